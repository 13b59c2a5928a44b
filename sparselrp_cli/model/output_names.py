"""What a model calls its outputs and their tasks."""

from dataclasses import dataclass

AXES = ("NT", "NP", "NTP", "NPT", "NPP", "NTPP", "NPPT")
"""What the axes of an output may be: samples, tasks, positions; two P are the two bins of a pair."""


@dataclass(frozen=True, slots=True)
class OutputNames:
    """What a model's output is called and what its tasks are.

    Attributes
    ----------
    name : str
    tasks : tuple of str
        May be empty where nobody named them.
    axes : str
        One of `AXES`.
    """

    name: str
    tasks: tuple[str, ...] = ()
    axes: str = "NTP"
