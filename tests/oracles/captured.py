"""Networks of the zoo as the engine sees them."""

import functools

import torch

from oracles.zoo import Case, make
from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.capture import capture


@functools.cache
def captured(kind: str, seed: int, samples: int = 2) -> tuple[Case, CanonicalGraph]:
    """A network of the zoo and its canonical graph, traced once for all tests."""
    case = make(kind, seed, samples)
    return case, capture(case.module, torch.from_numpy(case.inputs))
