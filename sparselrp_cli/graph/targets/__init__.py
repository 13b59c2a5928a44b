"""Targets: which number of a model's output is explained.

A target is a functional of output tensors (`functional`), written as users type it (`text`).
"""

from sparselrp_cli.graph.targets.functional import Logarithm, Target, Term
from sparselrp_cli.graph.targets.parser import TargetParser

__all__ = ["Logarithm", "Target", "TargetParser", "Term"]
