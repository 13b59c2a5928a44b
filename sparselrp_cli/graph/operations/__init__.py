"""The kinds of operation a canonical graph is made of.

Each kind is one small class with two methods: ``forward`` computes the output, ``pull`` carries a
relevance multiplier from the output back to the inputs. Relevance is ``activation * multiplier``.
"""

from sparselrp_cli.graph.operations.activations import Activation
from sparselrp_cli.graph.operations.arithmetic import Add, ChannelAffine, Negate, Scale, Shift, Subtract
from sparselrp_cli.graph.operations.attention import Attention, LogSumExp, MatrixProduct, Softmax
from sparselrp_cli.graph.operations.base import (
    At,
    BatchDim,
    Dim,
    Operation,
    Samples,
    map_tensors,
    numbers,
    resolve,
    sample_axis,
    tracked,
)
from sparselrp_cli.graph.operations.functions import Decision, Homogeneous, Place
from sparselrp_cli.graph.operations.layers import (
    Contraction,
    Convolution,
    Dense,
    Layer,
    TransposedConvolution,
)
from sparselrp_cli.graph.operations.normalisation import Normalise
from sparselrp_cli.graph.operations.pooling import AdaptivePool, AveragePool, Maximum, MaxPool, Mean, Sum
from sparselrp_cli.graph.operations.products import GatedLinear, Product, Quotient, Where
from sparselrp_cli.graph.operations.recurrent import Recurrent
from sparselrp_cli.graph.operations.transport import (
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
    "At",
    "Attention",
    "AveragePool",
    "BatchDim",
    "ChannelAffine",
    "Concatenate",
    "Contraction",
    "Convolution",
    "Decision",
    "Dense",
    "Dim",
    "Expand",
    "Flip",
    "GatedLinear",
    "Homogeneous",
    "IndexSelect",
    "Layer",
    "LogSumExp",
    "MatrixProduct",
    "MaxPool",
    "Maximum",
    "Mean",
    "Negate",
    "Normalise",
    "Operation",
    "Pad",
    "Permute",
    "Place",
    "Product",
    "Quotient",
    "Recurrent",
    "Reshape",
    "Samples",
    "Scale",
    "Shift",
    "Slice",
    "Softmax",
    "Subtract",
    "Sum",
    "TransposedConvolution",
    "Where",
    "map_tensors",
    "numbers",
    "resolve",
    "sample_axis",
    "tracked",
]
