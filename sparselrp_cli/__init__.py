"""sparselrp: pruned layer-wise relevance propagation for genomics."""

__version__ = "0.2.0"
