"""What a model calls its outputs and their tasks."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OutputNames:
    """What a model's output is called and what its tasks are.

    Attributes
    ----------
    name : str
    tasks : tuple of str
        May be empty where nobody named them.
    axes : str
        ``NT``, ``NTP`` or ``NPT``: samples, tasks, positions.
    """

    name: str
    tasks: tuple[str, ...] = ()
    axes: str = "NTP"
