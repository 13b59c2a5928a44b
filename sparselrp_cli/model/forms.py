"""Forms of input with other axes than bases and positions alone: given to a model as a part of it."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from sparselrp_cli.model.request import FORMS

_MAKE: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    dict(
        zip(
            FORMS,
            (
                lambda x: x[:, :, None],
                lambda x: x[..., None],
                lambda x: x[:, None],
                lambda x: x.transpose(1, 2)[:, None],
                lambda x: x.argmax(1),
            ),
            strict=True,
        )
    )
)


def in_form(name: str, x: Tensor) -> Tensor:
    """Give windows (N, 4, L) in one of `FORMS`."""
    return _MAKE[name](x)


class InForm(nn.Module):
    """A model that takes its windows in a form of its own.

    Parameters
    ----------
    module : nn.Module
    form : str
        One of `FORMS`.
    """

    def __init__(self, module: nn.Module, form: str) -> None:
        super().__init__()
        self.module, self.form = module, form

    def forward(self, x: Tensor) -> Any:
        """Compute the outputs of windows (N, 4, L)."""
        return self.module(in_form(self.form, x))
