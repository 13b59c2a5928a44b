"""Networks of the zoo as the engine sees them."""

import functools

import torch
from helpers.captures import captured_once

from oracles.zoo import Case, make
from sparselrp_cli.graph.canonical import CanonicalGraph


@functools.cache
def captured(kind: str, seed: int, samples: int = 2) -> tuple[Case, CanonicalGraph]:
    """A network of the zoo and its canonical graph, traced once for all tests and numbers of samples."""
    case = make(kind, seed, samples)
    return case, captured_once(case.module, torch.from_numpy(case.inputs[:2]))
