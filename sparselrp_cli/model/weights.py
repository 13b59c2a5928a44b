"""Weights from files that can't run code: safetensors, or a state dict read with `weights_only=True`."""

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from sparselrp_cli.errors import ModelError, number_of
from sparselrp_cli.model.foreign import foreign_file
from sparselrp_cli.model.plain_modules import foreign_classes, with_weights_of_modules
from sparselrp_cli.model.sharded import INDEX, read_index
from sparselrp_cli.model.state_dict import MisfitError, equal, expected_tensors, find_weights, misfit, places
from sparselrp_cli.model.trusted import is_script, load_objects
from sparselrp_cli.model.unpickling import read_checkpoint


@dataclass(frozen=True, slots=True)
class Filled:
    """What a file of weights gave a module.

    Attributes
    ----------
    names : frozenset of str
        Of the tensors that were filled.
    notes : tuple of str
        What was taken off, left out or converted, for the log.
    """

    names: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


NOTHING = Filled()
_SHOWN = 3
_TORCHS = b"\x80\x02\x8a\nl\xfc\x9cF"
"""How a file of torch.save of old begins."""


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read safetensors.

    Raises
    ------
    ModelError
        If the file is missing, corrupt, or holds anything but named tensors.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such weights file")
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, AttributeError, KeyError, RuntimeError) as error:
        raise ModelError(f"{path}: corrupt or not safetensors ({error}); get the file again") from error


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a file of weights holds.

    Attributes
    ----------
    path : Path
    document : object
        Named tensors, perhaps among other things; stand-ins for what would need code.
    note : str
        What wasn't read, for the log; may be empty.
    parts : tuple of Path
        The files that an index of several names.
    """

    path: Path
    document: object
    note: str = ""
    parts: tuple[Path, ...] = ()


def load_checkpoint(path: Path, *, trust: bool = False) -> Checkpoint:
    """Read what a file of weights holds: named tensors, perhaps among other things.

    Parameters
    ----------
    path : Path
    trust : bool
        Whether objects that run code may be made.

    Raises
    ------
    ModelError
        If the file is missing or corrupt, or can't be read without running code.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such weights file")
    if path.name.endswith(INDEX):
        return _load_parts(path, trust=trust)
    if (said := foreign_file(path)) is not None:
        raise ModelError(f"{path}: {said}")
    if path.suffix == ".safetensors":
        return Checkpoint(path, load_weights(path))
    return _load_pickled(path, trust=trust)


def _load_parts(path: Path, *, trust: bool) -> Checkpoint:
    """Read what the files of an index hold, each name from the file that the index says."""
    document = {}
    files = read_index(path)
    for file, names in files.items():
        if not file.is_file():
            raise ModelError(
                f"{file}: no such file, and {path.name} names it; put all parts beside each other"
            )
        held = load_checkpoint(file, trust=trust).document
        for name in names:
            if not isinstance(held, dict) or name not in held:
                raise ModelError(f"{file}: lacks '{name}', which {path.name} says is in it")
            document[name] = held[name]
    return Checkpoint(path, document, f"weights of {number_of(len(files), 'file')}", tuple(files))


def _load_pickled(path: Path, *, trust: bool) -> Checkpoint:
    if is_script(path):
        raise ModelError(f"{path}: a TorchScript archive, which holds code; use the original checkpoint")
    try:
        with warnings.catch_warnings():
            # What it can't read it says itself, and the error with it.
            warnings.filterwarnings("ignore", "Detected pickle protocol")
            return Checkpoint(path, torch.load(path, map_location="cpu", weights_only=True))
    except pickle.UnpicklingError as error:
        if trust:
            return Checkpoint(path, load_objects(path))
        if zipfile.is_zipfile(path):
            return _load_without_objects(path)
        named = re.search(r"GLOBAL (\S+)", str(error))
        if named is None:
            raise ModelError(f"{path}: {_damage(path)}") from error
        what = f" ({named[1]})" if named else ""
        raise ModelError(
            f"{path}: holds more than tensors{what}, so reading it could run code; save its state dict alone"
            f" where you trust it: d = torch.load('{path.name}', map_location='cpu', weights_only=False);"
            " torch.save(d.get('state_dict', d), 'weights.pt')"
        ) from error
    # The file is what it is; torch's reader has no error of its own for a damaged one.
    except Exception as error:
        raise ModelError(f"{path}: {_damage(path)}") from error


def _damage(path: Path) -> str:
    """Say what may be wrong with a file that torch can't read."""
    with path.open("rb") as stream:
        start = stream.read(len(_TORCHS))
    if start.startswith(b"\x80") and start != _TORCHS:
        return (
            "a plain pickle, and reading it could run code; write it anew where you trust it:"
            f" torch.save(pickle.load(open('{path.name}', 'rb')), 'weights.pt')"
        )
    return "corrupt or not a weights file; get the file again"


def _load_without_objects(path: Path) -> Checkpoint:
    """Read tensors and data; of every module its weights, of other objects nothing."""
    document = with_weights_of_modules(read_checkpoint(path))
    kinds = foreign_classes(document)
    more = f" and {len(kinds) - _SHOWN} more" if len(kinds) > _SHOWN else ""
    note = f"objects that aren't weights are left out ({', '.join(kinds[:_SHOWN])}{more})" if kinds else ""
    return Checkpoint(path, document, note)


def fill(module: nn.Module, path: Path) -> Filled:
    """Fill a module from a file, as `fill_from` does.

    Raises
    ------
    ModelError
        If the file can't be read or doesn't fit.
    """
    return fill_from(module, load_checkpoint(path))


def fill_from(module: nn.Module, checkpoint: Checkpoint) -> Filled:
    """Fill a module, every tensor of it; what stands around the weights is taken off.

    Raises
    ------
    ModelError
        If the weights don't fit.
    """
    path, document = checkpoint.path, checkpoint.document
    try:
        found = find_weights(module, document, path)
    except MisfitError:
        if not _loads_by_itself(module, document):
            raise
        notes: list[str] = []
    else:
        notes = [found.describe(), *_conversions(module, found.weights)]
        put_weights(module, found.weights, path)
    notes = [note for note in (checkpoint.note, *notes) if note]
    return Filled(frozenset(module.state_dict()), tuple(f"{path}: {note}" for note in notes))


def _loads_by_itself(module: nn.Module, document: object) -> bool:
    """Try whether torch, or the module's own code, knows names of an older version."""
    for _, tensors in places(document):
        try:
            module.load_state_dict(tensors, strict=True)
        except Exception:  # noqa: BLE001 - why it doesn't fit is told better by names and shapes
            continue
        return True
    return False


def put_weights(module: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Fill a module, every tensor of it and no other.

    Raises
    ------
    ModelError
        If names, shapes or kinds of numbers differ, with the first that does.
    """
    require_fit(module, weights, path)
    _require_ties(module, weights, path)
    try:
        module.load_state_dict(weights, strict=False)
    except Exception as error:
        raise ModelError(f"{path}: the model doesn't take these weights ({error})") from error


def require_fit(module: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Check that weights are those of a module.

    Raises
    ------
    ModelError
        If names, shapes or kinds of numbers differ, with the first that does.
    """
    expected = expected_tensors(module)
    if said := misfit(expected, weights):
        raise ModelError(f"{path}: {said}")
    for name, tensor in weights.items():
        theirs, ours = tensor.dtype, expected[name].dtype
        if theirs.is_floating_point != ours.is_floating_point or theirs.is_complex != ours.is_complex:
            raise ModelError(
                f"{path}: '{name}' holds {_name(theirs)} numbers, the model's is {_name(ours)}; save the"
                " weights as floating-point numbers, not quantised or coded"
            )


def _require_ties(module: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Refuse a file with two values for what is one tensor in the model."""
    expected = expected_tensors(module)
    first: dict[int, str] = {}
    for name in weights:
        other = first.setdefault(id(expected[name]), name)
        if other != name and not equal(weights[name], weights[other]):
            raise ModelError(
                f"{path}: '{other}' and '{name}' are one tensor in the model, and differ in the file; they"
                " aren't of this model"
            )


def _conversions(module: nn.Module, weights: Mapping[str, Tensor]) -> list[str]:
    expected = expected_tensors(module)
    pairs = {(t.dtype, expected[n].dtype) for n, t in weights.items() if t.is_floating_point()}
    differing = sorted((pair for pair in pairs if pair[0] != pair[1]), key=str)
    return [f"{_name(theirs)} weights become the model's {_name(ours)}" for theirs, ours in differing]


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
