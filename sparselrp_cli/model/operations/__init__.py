"""The kinds of operation a canonical graph is made of.

Each kind is one small class with two methods: ``forward`` computes the output, ``pull`` carries a
relevance multiplier from the output back to the inputs. Relevance is ``activation * multiplier``.
"""

from sparselrp_cli.model.operations.activations import Activation
from sparselrp_cli.model.operations.arithmetic import Add, ChannelAffine, Negate, Scale, Shift, Subtract
from sparselrp_cli.model.operations.base import BatchDim, Dim, Operation, map_tensors, per_sample, resolve
from sparselrp_cli.model.operations.layers import Convolution, Dense, Layer
from sparselrp_cli.model.operations.pooling import AdaptivePool, AveragePool, Maximum, MaxPool, Mean, Sum
from sparselrp_cli.model.operations.transport import (
    Concatenate,
    Expand,
    Flip,
    IndexSelect,
    Pad,
    Permute,
    Reshape,
    Slice,
)

__all__ = [
    "Activation",
    "AdaptivePool",
    "Add",
    "AveragePool",
    "BatchDim",
    "ChannelAffine",
    "Concatenate",
    "Convolution",
    "Dense",
    "Dim",
    "Expand",
    "Flip",
    "IndexSelect",
    "Layer",
    "MaxPool",
    "Maximum",
    "Mean",
    "Negate",
    "Operation",
    "Pad",
    "Permute",
    "Reshape",
    "Scale",
    "Shift",
    "Slice",
    "Subtract",
    "Sum",
    "map_tensors",
    "per_sample",
    "resolve",
]
