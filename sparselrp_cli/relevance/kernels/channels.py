"""Where the channels of a sample's numbers lie in memory."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Channels:
    """The channels of a layer's output that is laid out as (N, neurons).

    Attributes
    ----------
    count : int
    inner : int
        Numbers of a channel that lie side by side: positions, or 1 where channels are last.
    """

    count: int
    inner: int
