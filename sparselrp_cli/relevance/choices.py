"""What the engine lets one choose, and what it does unless told; no torch, for help texts and settings."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

PROPORTION = 0.1
"""The proportion of positive relevance mass that is pruned unless told: the largest that cost neither ranking
nor faithfulness in our experiments (benchmarks/RESULTS.md) [ours]."""

Redistribution = Literal["lambda", "m"]
REDISTRIBUTIONS: tuple[Redistribution, ...] = get_args(Redistribution)

COMPOSITES = (
    "epsilon-plus", "epsilon", "epsilon-gamma", "epsilon-alpha2-beta1", "epsilon-plus-flat",
    "epsilon-plus-box", "epsilon-gamma-box", "epsilon-plus-w-square", "z-plus", "gamma", "zero",
)  # fmt: skip
"""The presets of `composites.PRESETS`, in their order."""
COMPOSITE = "epsilon-gamma"
"""The preset that is taken unless told."""

SELECTING = ("zero", "epsilon", "gamma", "alpha-beta", "z-plus")
"""The rules of `rules.RULES` that neurons can be selected by: those that suit every layer."""

UNIFORM = (0.25, 0.25, 0.25, 0.25)
"""The composition that contributions are given against unless told; see `relevance.centring`."""

Ends = Literal["auto", "undo", "linear"]
ENDS: tuple[Ends, ...] = get_args(Ends)
"""What is done with a final sigmoid, softmax, exp, log or softplus; see `relevance.ends`."""

DTYPES: Mapping[str, str] = MappingProxyType(
    {"float32": "float32", "tf32": "float32", "bfloat16": "bfloat16", "float64": "float64"}
)
"""Precisions of the computation, the default first, and the torch type in which each keeps its numbers."""
REDUCED = ("tf32", "bfloat16")
"""Precisions whose error is measured and reported."""
