"""Which axes of an output are samples, tasks and positions."""

from dataclasses import dataclass
from math import prod

from sparselrp_cli.errors import TargetError
from sparselrp_cli.graph.canonical import GraphOutput
from sparselrp_cli.graph.shapes import BatchDim, size
from sparselrp_cli.model.output_names import AXES, OutputNames

_KNOWN = {n: tuple(axes for axes in AXES if len(axes) == n) for n in (2, 3, 4)}
"""What outputs of so many axes may be; the first is meant where nobody says."""


@dataclass(frozen=True, slots=True)
class OutputAxes:
    """What the axes of one output are, and how long.

    Attributes
    ----------
    letters : str
        One for each axis: N samples, T tasks, P positions; two P are the two bins of a pair.
    lengths : tuple of int
        Of each axis; 1 for the samples.
    has_named_tasks : bool
    """

    letters: str
    lengths: tuple[int, ...]
    has_named_tasks: bool = False

    @classmethod
    def of(cls, output: GraphOutput, names: OutputNames) -> "OutputAxes":
        """Find the axes of an output.

        Raises
        ------
        TargetError
            If it can't be explained; the message says why.
        """
        if reason := obstacle(output):
            raise TargetError(f"output '{names.name}' can't be explained: {reason}")
        letters = _letters(len(output.shape), names.axes)
        lengths = (1, *(size(output.shape, axis) for axis in range(1, len(letters))))
        return cls(letters, lengths, has_named_tasks=bool(names.tasks))

    @property
    def n_tasks(self) -> int:
        """Count the tasks: 1 where there is no axis of them."""
        return self.lengths[self.letters.index("T")] if "T" in self.letters else 1

    @property
    def position_lengths(self) -> tuple[int, ...]:
        """Give the length of each axis of positions; none, one or two."""
        return tuple(n for letter, n in zip(self.letters, self.lengths, strict=True) if letter == "P")

    @property
    def n_positions(self) -> int:
        """Count the positions, or pairs of them: 1 where there are none."""
        return prod(self.position_lengths)

    @property
    def may_be_a_square(self) -> bool:
        """Whether what is taken for tasks by positions may be pairs: a square map without a task axis."""
        by_tasks = self.letters == "NTP" and not self.has_named_tasks
        return by_tasks and self.lengths[1] == self.lengths[2] > 1

    def as_square(self) -> "OutputAxes":
        """Take tasks by positions for pairs of positions."""
        return OutputAxes("NPP", self.lengths)


def obstacle(output: GraphOutput) -> str:
    """Say why an output can't be explained, whatever its path is like; nothing where it can."""
    if output.obstacle:
        return output.obstacle
    if not output.shape or not isinstance(output.shape[0], BatchDim):
        return "it has no axis of samples in front"
    if any(isinstance(dim, BatchDim) for dim in output.shape[1:]):
        return (
            "two of its axes are as long as the batch: the model mixes samples, or what --input gives has an"
            " axis too many"
        )
    if len(output.shape) > max(_KNOWN):
        return f"it has {len(output.shape)} axes; at most samples, tasks and pairs of positions are known"
    return ""


def _letters(n_axes: int, said: str) -> str:
    """Say what the axes are, given what is said of the model's outputs in general."""
    if n_axes == 1:
        return "N"
    known = _KNOWN[n_axes]
    if said in known:
        return said
    # Of a model whose outputs end in the tasks, maps by pairs do, too.
    return "NPPT" if n_axes == 4 and said == "NPT" else known[0]
