"""Whether a factory's numbers are its own, or drawn anew at every call."""

import logging
import random
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_leaves

from sparselrp_cli.errors import ModelError
from sparselrp_cli.model.factories import Factory
from sparselrp_cli.model.memory import give_back
from sparselrp_cli.model.prints import silently
from sparselrp_cli.model.wrappers import unwrapped

logger = logging.getLogger("sparselrp")
FIRST_SEED, SECOND_SEED = 11, 12
_TOLERANCE = 1e-6
_REGISTERED = ("_parameters", "_buffers", "_modules")
Compute = Callable[[], list[Tensor]]
"""Gives the network's outputs for a fixed input."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run with all global generators of random numbers at a seed, and put them back as they were."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    on_devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the user's code may draw from it
    torch.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])
        for number, state in enumerate(on_devices):
            torch.cuda.set_rng_state(state, number)


def require_own_numbers(
    factory: Factory, module: nn.Module, filled: Collection[str], compute: Compute
) -> tuple[str, ...]:
    """Make the network a second time, with other random numbers, and refuse it if it differs.

    Parameters
    ----------
    factory : Factory
    module : nn.Module
        What it gave.
    filled : collection of str
        Names of the tensors that came from a file of weights, which are the user's.
    compute : callable
        Tells whether a buffer that differs matters.

    Returns
    -------
    tuple of str
        What is known then, for the log.

    Raises
    ------
    ModelError
    """
    first = {name: t for name, t in _numbers(module).items() if name not in filled}
    again = _made_again(factory) if first else None
    if again is None:
        return ()
    second = _numbers(again)
    differing = [name for name, tensor in first.items() if not _equal(tensor, second.get(name))]
    parameters = dict(module.named_parameters(remove_duplicate=False))
    drawn = [name for name in differing if name in parameters]
    if drawn or (differing and _matter(first, second, differing, compute)):
        raise ModelError(_refusal(factory.reference, drawn or differing, len(first), weights=bool(filled)))
    del again, second
    give_back(module)
    return () if filled else (f"{factory.reference}: the factory's own weights",)


def _refusal(reference: str, names: list[str], total: int, *, weights: bool) -> str:
    if weights:
        return (
            f"{reference}: '{names[0]}' isn't among the weights and differs from call to call ({len(names)}"
            f" of {total} such), so maps would be random; save it with the weights (register_buffer), or"
            " fix its seed"
        )
    return (
        f"{reference}: weights differ from call to call ('{names[0]}'; {len(names)} of {total} tensors), so"
        " they are random, not trained; give the trained ones with -w FILE, or load them in the factory"
    )


def _made_again(factory: Factory) -> nn.Module | None:
    """Make the network from code that is imported anew, or else from the same; None where neither goes."""
    said: ModelError | None = None
    for anew in (True, False):
        try:
            with seeded(SECOND_SEED), silently():
                same = factory.imported_again() if anew else factory
                return unwrapped(same.make())[0]
        except ModelError as error:
            said = error
    logger.warning(
        "%s; this is at the second call, so whether its weights are random can't be told: give them with -w"
        " to be sure",
        said,
    )
    return None


def _numbers(module: nn.Module) -> dict[str, Tensor]:
    """Give all tensors of a network by name: parameters, buffers, and what else its modules hold."""
    registered: dict[str, Tensor] = {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
    }
    storages = {_storage(t) for t in registered.values()}
    beside: dict[str, Tensor] = {}
    for path, submodule in module.named_modules():
        for name, value in vars(submodule).items():
            if name not in _REGISTERED:
                found = [t for t in _tensors(value) if _storage(t) not in storages]
                place = f"{path}.{name}" if path else name
                beside |= {f"{place}[{i}]" if i else place: t for i, t in enumerate(found)}
    return registered | beside


def _storage(tensor: Tensor) -> int:
    """Tell tensors that share their numbers."""
    if is_lazy(tensor) or tensor.is_meta or not tensor.numel():
        return id(tensor)
    return tensor.untyped_storage().data_ptr()


def _tensors(value: object) -> list[Tensor]:
    if not isinstance(value, (Tensor, np.ndarray, list, tuple, dict)):
        return []
    leaves = tree_leaves(value)
    arrays = [torch.from_numpy(v) for v in leaves if isinstance(v, np.ndarray) and v.dtype.kind in "fi"]
    return [leaf for leaf in leaves if isinstance(leaf, Tensor)] + arrays


def _equal(one: Tensor, other: Tensor | None) -> bool:
    if other is None or is_lazy(one) or is_lazy(other):
        return False
    if one.shape != other.shape or one.dtype != other.dtype or one.is_meta:
        return False
    if not one.is_floating_point() or torch.equal(one, other):
        return torch.equal(one, other)
    scale = float(one.detach().abs().nan_to_num(0, 0, 0).max())
    return torch.allclose(one, other, rtol=0, atol=_TOLERANCE * scale, equal_nan=True)


def _matter(
    first: Mapping[str, Tensor], second: Mapping[str, Tensor], names: list[str], compute: Compute
) -> bool:
    """Whether a network computes something else with the second values of some of its tensors."""
    pairs = [(first[name], second.get(name)) for name in names]
    if any(b is None or a.shape != b.shape or a.dtype != b.dtype or a.is_meta for a, b in pairs):
        return True
    try:
        as_it_is = compute()
        with _exchanged(pairs):  # type: ignore[arg-type]
            exchanged = compute()
    except Exception:  # noqa: BLE001 - what is wrong with the network is told where it is traced
        return True
    return not all(_equal(a, b) for a, b in zip(as_it_is, exchanged, strict=True))


@contextmanager
def _exchanged(pairs: list[tuple[Tensor, Tensor]]) -> Iterator[None]:
    kept = [a.detach().clone() for a, _ in pairs]
    try:
        for one, other in pairs:
            one.data.copy_(other.data)
        yield
    finally:
        for (one, _), values in zip(pairs, kept, strict=True):
            one.data.copy_(values)
