"""What is explained, as the user's module takes it: sequences in any layout, or images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

from sparselrp_cli.errors import InputError, ModelError
from sparselrp_cli.model.forms import InForm
from sparselrp_cli.model.inputs import WithConstantInputs, parameters_of
from sparselrp_cli.model.layout import InputLayout
from sparselrp_cli.model.loading import module_dtype
from sparselrp_cli.model.request import FORMS, LAYOUTS

More: TypeAlias = Tensor | Sequence[Tensor] | Mapping[str, Tensor] | None
"""Inputs beside the one that is explained: in the order of forward's parameters, or by their names."""
_MORE = "additional_forward_args:"
_AXES = {"NC1L": (2, 4), "NCL1": (3, 4), "N1CL": (1, 4), "N1LC": (1, 4), "NL": (0, 2)}
"""Of each form, the axis of length 1 and how many axes there are."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a module takes its sequences.

    Attributes
    ----------
    order : InputLayout
    form : str or None
        One of `FORMS`, where it takes them in one of these.
    """

    order: InputLayout
    form: str | None = None

    @classmethod
    def of(cls, layout: str | None, alphabet: str | None, known: InputLayout) -> "Layout":
        """Read what was asked for, beside what is known of the module.

        Raises
        ------
        ModelError
            If there is no such layout or order of bases.
        """
        form = layout if layout in FORMS else None
        asked = LAYOUTS[0] if form else layout
        if layout is not None and form is None and layout not in LAYOUTS:
            raise ModelError(f"layout={layout!r}: must be one of {', '.join((*LAYOUTS, *FORMS))}")
        return cls(InputLayout(alphabet or known.alphabet, asked or known.layout), form)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Examples to be explained, in the module's type.

    Attributes
    ----------
    x : Tensor, shape (N, 4, L) or (N, C, H, W)
        Sequences in the order A C G T, or images.
    """

    x: Tensor

    @property
    def are_images(self) -> bool:
        """Whether they are images."""
        return self.x.dim() == 4

    @property
    def signed(self) -> bool:
        """Whether any number is negative."""
        return bool((self.x < 0).any())


def read_examples(x: Tensor, module: nn.Module, layout: Layout) -> Examples:
    """Check examples, and bring them to the axes and the type in which they are explained.

    Raises
    ------
    InputError
        If it isn't a tensor of such a shape, lies on another device than the module, or holds NaN.
    """
    if not isinstance(x, Tensor):
        raise InputError(f"x is of type {type(x).__name__}; give a tensor, such as torch.from_numpy(array)")
    if x.is_complex() or x.is_sparse or x.is_quantized:
        raise InputError(f"x holds {x.dtype} ({x.layout}); give an ordinary tensor of real numbers")
    found = _in_axes(x.detach(), layout)
    if not len(x):
        raise InputError(f"x has shape {tuple(x.shape)}: it holds no examples")
    _require_device(x, module)
    dtype = module_dtype(module)
    dtype = dtype if dtype == torch.float64 else torch.float32
    # A copy, laid out in one way: sums go by that, to the last digit.
    found = found.to(dtype, copy=True, memory_format=torch.contiguous_format)
    finite = found.flatten(1).isfinite().all(1)
    if not bool(finite.all()):
        number = int((~finite).nonzero()[0])
        raise InputError(f"x holds NaN or infinity in example {number} (counted from 0)")
    return Examples(found)


def _in_axes(x: Tensor, layout: Layout) -> Tensor:
    """Bring sequences to (N, 4, L) in the order A C G T; images stay as they are."""
    if layout.form is not None:
        return layout.order.from_model(_without_form(x, layout.form))
    bases = layout.order.base_axis
    if x.dim() == 3 and x.shape[bases] == 4 and x.shape[3 - bases]:
        return layout.order.from_model(x)
    if x.dim() == 4 and all(x.shape[1:]):
        return x
    raise InputError(f"x has shape {tuple(x.shape)}; {_advice(x, layout)}")


def _without_form(x: Tensor, form: str) -> Tensor:
    """Take the axis of length 1 out, or write ids as one-hot columns."""
    axis, count = _AXES[form]
    fits = x.dim() == count and (form == "NL" or x.shape[axis] == 1)
    if fits and form == "NL":
        if x.is_floating_point() or bool(((x < 0) | (x > 3)).any()):
            raise InputError("x holds other numbers than 0 to 3; layout='NL' takes ids of bases")
        return nn.functional.one_hot(x.long(), 4).transpose(1, 2)
    found = x.squeeze(axis).transpose(1, 2) if form == "N1LC" else x.squeeze(axis)
    if not fits or found.shape[1] != 4:
        raise InputError(f"x has shape {tuple(x.shape)}, which isn't layout='{form}' with 4 bases")
    return found


def _advice(x: Tensor, layout: Layout) -> str:
    bases = layout.order.base_axis
    if x.dim() == 3 and x.shape[3 - bases] == 4:
        other = "NLC" if bases == 1 else "NCL"
        return f"the 4 bases lie along another axis than in '{layout.order.layout}'; say layout='{other}'"
    if x.dim() == 2 and x.shape[0] == 4:
        return "give one sequence as x[None]"
    wanted = "(N, 4, L)" if bases == 1 else "(N, L, 4)"
    return f"give sequences {wanted}, or images (N, C, H, W)"


def _require_device(x: Tensor, module: nn.Module) -> None:
    devices = {tensor.device for tensor in (*module.parameters(), *module.buffers())}
    if len(devices) > 1:
        raise ModelError(
            f"the module lies on several devices ({', '.join(sorted(map(str, devices)))}); bring it to one"
            " with .to(device)"
        )
    if devices and x.device not in devices:
        (place,) = devices
        raise InputError(f"x is on {x.device} and the module on {place}; give x.to('{place}')")


def read_more(more: More, module: nn.Module, n: int) -> dict[str, Tensor]:
    """Name the inputs beside the one that is explained.

    Raises
    ------
    InputError
        If one isn't a tensor with a row for each example, or forward has no such parameter.
    """
    if more is None:
        return {}
    names = list(parameters_of(module))[1:]
    if isinstance(more, Mapping):
        rows = dict(more)
    else:
        given = (more,) if isinstance(more, Tensor) else tuple(more)
        if len(given) > len(names):
            raise InputError(f"{_MORE} {len(given)} for {len(names)} more parameters of forward")
        rows = dict(zip(names, given, strict=False))
    for name, row in rows.items():
        if name not in names:
            raise InputError(f"{_MORE} forward takes {', '.join(names) or 'no more'}, not '{name}'")
        if not isinstance(row, Tensor) or row.dim() == 0 or len(row) != n:
            raise InputError(f"{_MORE} '{name}' isn't a tensor with a row for each of {n} examples")
        if row.is_floating_point() and not bool(row.isfinite().all()):
            raise InputError(f"{_MORE} '{name}' holds NaN or infinity")
    return rows


def with_more(module: nn.Module, rows: Mapping[str, Tensor], base_axis: int, form: str | None) -> nn.Module:
    """Give a module that takes its sequence in NCL or NLC, and its other inputs as rows, if it has any."""
    if not rows:
        return module if form is None else InForm(module, form)
    dtype = module_dtype(module)
    first = {
        name: row[0].detach().to(dtype if row.is_floating_point() else row.dtype)
        for name, row in rows.items()
    }
    sequence = next(iter(parameters_of(module)))
    return WithConstantInputs(module, first, sequence, base_axis, tuple(rows), form)
