"""The result of `PLRP.attribute`: relevance, and where the rest of the score went."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from sparselrp_cli.errors import InputError
from sparselrp_cli.files.atomic import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Picked = int | slice | list[int] | Tensor | npt.NDArray[Any]


@dataclass(frozen=True, eq=False, repr=False)
class Attribution:
    """Relevance of sequences, or of images, for one target.

    All tensors are ordinary ones on the device of the examples: they can be edited, and used with autograd.

    Attributes
    ----------
    target : str
        What is explained.
    inputs : Tensor, shape (N, 4, L) or (N, C, H, W)
        The examples: sequences in the order A C G T, or images.
    contributions : Tensor, shape (N, L) or (N, H, W)
        Relevance of each position: at the observed base, or summed over the channels.
    maps : Tensor, shaped as `inputs`
        Of sequences `hypothetical`, of images `relevance`.
    score, prediction : Tensor of float64, shape (N,)
        What is explained, and what the module itself gives; these differ only where a final sigmoid,
        softmax or the like is explained from before it.
    background, absorbed, lost : Tensor of float64, shape (N,)
        Where the rest of the score went: to what the four bases share, to biases and stabilisers, nowhere.
    conservation_error : Tensor of float64, shape (N,)
        ``|score - sum of all these| / max(|score|, 0.1)``.
    """

    target: str
    inputs: Tensor
    contributions: Tensor
    maps: Tensor
    score: Tensor
    prediction: Tensor
    background: Tensor
    absorbed: Tensor
    lost: Tensor
    conservation_error: Tensor

    @property
    def are_images(self) -> bool:
        """Whether the examples are images."""
        return self.inputs.dim() == 4

    @property
    def hypothetical(self) -> Tensor:
        """Hypothetical contributions, shape (N, 4, L): what each base would contribute if it stood there.

        Raises
        ------
        InputError
            Of images, which have none.
        """
        if self.are_images:
            raise InputError("images have no hypothetical contributions; use relevance, shape (N, C, H, W)")
        return self.maps

    @property
    def relevance(self) -> Tensor:
        """Relevance of each number of the input, shaped as `inputs`."""
        return self.maps if self.are_images else self.inputs * self.maps

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, picked: Picked) -> "Attribution":
        """Give some of the examples; a number gives one of them, as N = 1."""
        if isinstance(picked, (int, np.integer)):
            number = int(picked)
            if not -len(self) <= number < len(self):
                raise IndexError(f"example {number} of {len(self)}")
            number %= len(self)
            picked = slice(number, number + 1)
        rows = torch.from_numpy(picked) if isinstance(picked, np.ndarray) else picked
        chosen: dict[str, Any] = {name: tensor[rows] for name, tensor in self._tensors()}
        return replace(self, **chosen)

    def __iter__(self) -> Iterator["Attribution"]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        n, size = len(self), self.inputs.shape[2:]
        what = "image" if self.are_images else "window"
        shape = f"{size[0]} x {size[1]}" if self.are_images else f"{size[0]} bp"
        scores = f", {self._scores()}" if n else ""
        return f"Attribution({n} {what}{'s' * (n != 1)} of {shape}, target '{self.target}'{scores})"

    def _scores(self) -> str:
        low, high = (f"{float(value):.4g}" for value in (self.score.min(), self.score.max()))
        return f"score {low}" if low == high else f"scores {low} to {high}"

    def numpy(self) -> dict[str, npt.NDArray[Any]]:
        """Give arrays by name: those of the attributes, `maps` under the name of what they are."""
        name = {"maps": "relevance" if self.are_images else "hypothetical"}
        return {name.get(n, n): tensor.detach().cpu().numpy().copy() for n, tensor in self._tensors()}

    def save(self, path: Path | str) -> None:
        """Write what `numpy` gives to a ``.npz`` file, which `numpy.load` reads.

        Parameters
        ----------
        path : str or Path

        Raises
        ------
        OutputError
            If it can't be written.
        """
        arrays: dict[str, Any] = {"target": np.array(self.target), **self.numpy()}
        with replacing(path) as hidden, hidden.open("wb") as file:
            np.savez_compressed(file, **arrays)

    def plot(
        self, i: int = 0, start: int | None = None, end: int | None = None, *, ax: "Axes | None" = None
    ) -> "Axes":
        """Draw one example: letters as high as their contributions, or the heatmap of an image.

        Parameters
        ----------
        i : int
            Which example.
        start, end : int, optional
            Of a sequence, the stretch: 0-based half-open, in bp. Where letters couldn't be read, as of more
            than 200 bp on a figure of the usual width, an outline is drawn.
        ax : matplotlib Axes, optional
            Where to draw; by default a figure of its own.

        Returns
        -------
        matplotlib Axes
        """
        from sparselrp_cli.face.drawing import draw

        return draw(self[i], start, end, ax)

    def to_modisco(self, prefix: Path | str) -> tuple[Path, Path]:
        """Write ``PREFIX.ohe.npz`` and ``PREFIX.attr.npz`` for ``modisco motifs -s -a``.

        As `sparselrp attribute --formats modisco` does: where a contribution is exactly zero the arrays have
        faint noise, without which TF-MoDISco fails on sparse maps.

        Parameters
        ----------
        prefix : str or Path

        Returns
        -------
        tuple of Path
            The two files.

        Raises
        ------
        InputError
            Of images, and of sequences that aren't one-hot.
        OutputError
            If a file can't be written.
        """
        from sparselrp_cli.face.motif_tools import write_arrays

        return write_arrays(self, Path(prefix))

    def seqlets(self, background: "Attribution | None" = None, *, fdr: float = 0.05) -> pd.DataFrame:
        """Call seqlets: stretches of more relevance than chance gives.

        Parameters
        ----------
        background : Attribution, optional
            Of shuffled windows, explained alike: the null. Without it the windows' own contributions are
            permuted, and the q-values aren't calibrated.
        fdr : float
            The largest q-value.

        Returns
        -------
        DataFrame
            A row for each seqlet, best first: window, start, end (0-based half-open, bp in the window),
            centre, sign, relevance, p, q.

        Raises
        ------
        InputError
            If there is too little relevance for a null, or the sequences aren't one-hot.
        """
        from sparselrp_cli.face.motif_tools import call

        return call(self, background, fdr)

    def _tensors(self) -> list[tuple[str, Tensor]]:
        values = ((each.name, getattr(self, each.name)) for each in fields(self))
        return [(name, value) for name, value in values if isinstance(value, Tensor)]
