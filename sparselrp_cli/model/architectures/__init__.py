"""Architectures that a model folder can name: plain PyTorch, built from numbers in `model.json`."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from torch import nn

from sparselrp_cli.model.architectures.bpnet import BPNet
from sparselrp_cli.model.architectures.layers import Layers
from sparselrp_cli.model.architectures.pooled_cnn import PooledCNN
from sparselrp_cli.model.architectures.spliceai import SpliceAI

__all__ = ["ARCHITECTURES", "BPNet", "Layers", "PooledCNN", "SpliceAI"]

ARCHITECTURES: Mapping[str, Callable[..., nn.Module]] = MappingProxyType(
    {"pooled-cnn": PooledCNN, "bpnet": BPNet, "spliceai": SpliceAI, "layers": Layers}
)
