"""What a checkpoint of another program becomes: the contents of a model folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sparselrp_cli.errors import ModelError, first_line
from sparselrp_cli.model.architectures import ARCHITECTURES
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.model.sizes import outline, require_room

_UNFIT = (TypeError, ValueError, KeyError, RuntimeError, AttributeError, IndexError, ArithmeticError)


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What the user said about the checkpoint.

    Attributes
    ----------
    window : int or None
        Window length in bp.
    part : str or None
        ``accessibility`` or ``bias``, of a ChromBPNet.
    name : str or None
        What to call the model.
    """

    window: int | None = None
    part: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class ImportedModel:
    """One network of a checkpoint.

    Attributes
    ----------
    name : str
    subfolder : str
        Where it goes below the folder; empty if the folder is its own.
    architecture : str
    arguments : mapping
    weights : mapping of str to Tensor
    window : int
        In bp.
    outputs : tuple of OutputNames
    description, licence, source : str
        May be empty.
    notes : tuple of str
        What the user should know: what was assumed or left out.
    """

    name: str
    architecture: str
    arguments: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    window: int
    outputs: tuple[OutputNames, ...]
    subfolder: str = ""
    description: str = ""
    licence: str = ""
    source: str = ""
    notes: tuple[str, ...] = ()

    def build(self, place: str) -> nn.Module:
        """Build the network.

        Raises
        ------
        ModelError
            If the checkpoint's layers don't fit together.
        """
        try:
            plan = outline(ARCHITECTURES[self.architecture], self.arguments)
            self._require_fit(plan, place)
            require_room(plan, self.window, place)
            module = ARCHITECTURES[self.architecture](**self.arguments)
            module.load_state_dict(dict(self.weights), strict=False)
        except _UNFIT as error:
            raise ModelError(f"{place}: its layers don't fit together ({first_line(error)})") from error
        return module.eval()

    def _require_fit(self, module: nn.Module, place: str) -> None:
        expected = module.state_dict()
        for name in filter(self.weights.__contains__, expected):
            ours, theirs = tuple(expected[name].shape), tuple(self.weights[name].shape)
            if ours != theirs:
                raise ValueError(f"size mismatch for {name}: {theirs} in the file, {ours} in the model")
        missing = [k for k in expected if k not in self.weights and "num_batches" not in k]
        if missing:
            raise ModelError(f"{place}: no weights for '{missing[0]}'; get the file again")

    def run(self, module: nn.Module, place: str) -> dict[str, Tensor]:
        """Compute the outputs on two random windows, by name.

        Raises
        ------
        ModelError
            If the network can't take such windows.
        """
        try:
            with torch.no_grad():
                outputs = module(random_windows(self.window))
        except _UNFIT as error:
            message = f"{place}: can't be computed on windows of {self.window} bp ({first_line(error)});"
            raise ModelError(f"{message} give the length it was trained on with --window") from error
        values = outputs if isinstance(outputs, dict) else {self.outputs[0].name: outputs}
        for name, value in values.items():
            if not value.numel() or not torch.isfinite(value).all():
                raise ModelError(f"{place}: output '{name}' is empty or not finite on {self.window} bp")
        return values


def random_windows(window: int, n_samples: int = 2) -> Tensor:
    """Make random one-hot windows (N, 4, L), the same each time."""
    generator = torch.Generator().manual_seed(1)
    bases = torch.randint(4, (n_samples, window), generator=generator)
    return nn.functional.one_hot(bases, 4).transpose(1, 2).float()
