"""CI-SpliceAI: five SpliceAI-10k networks in one frozen TensorFlow graph, whose outputs it averages.

The graph is taken apart from its output backwards, and every operation on the way must be the one that the
architecture has there; nothing is taken from the names of nodes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparselrp_cli.errors import ModelError
from sparselrp_cli.model.importing.graphdef import GraphNode, read_graph
from sparselrp_cli.model.importing.imported import ImportedModel, ImportRequest
from sparselrp_cli.model.output_names import OutputNames

_TASKS = ("neither", "acceptor", "donor")
_SOURCE = "imported from CI-SpliceAI (Strauch et al. 2022, PLoS ONE 17:e0269159), file {name}"


@dataclass(frozen=True, slots=True)
class _Convolution:
    """Kernel (width, in, out), bias (out,), and what it is applied to."""

    kernel: Any
    bias: Any
    dilation: int
    source: str


@dataclass(frozen=True, slots=True)
class _Normalisation:
    scale: Any
    offset: Any
    mean: Any
    variance: Any
    eps: float
    source: str


@dataclass(slots=True)
class _Block:
    """A residual block: normalisation, ReLU and convolution, twice, in order."""

    parts: list[tuple[_Normalisation, _Convolution]] = field(default_factory=list)
    source: str = ""


@dataclass(frozen=True, slots=True)
class _Network:
    """A network taken apart: after how many blocks each skip starts is in `steps`."""

    stem: _Convolution
    blocks: list[_Block]
    skips: list[_Convolution]
    steps: list[int]
    crop: int
    head: _Convolution


def import_cispliceai(path: Path, request: ImportRequest) -> list[ImportedModel]:
    """Read CI-SpliceAI's graph.

    Raises
    ------
    ModelError
        If it isn't a mean of SpliceAI networks.
    """
    if request.part is not None:
        raise ModelError(f"{path}: --part goes with a ChromBPNet")
    graph = read_graph(path)
    try:
        roots = _networks(graph)
        return [_model(_network(graph, root), i, request, path) for i, root in enumerate(roots, start=1)]
    except (_Unlike, KeyError, IndexError) as error:
        raise ModelError(
            f"{path}: a TensorFlow graph, but not that of CI-SpliceAI ({error}); port the model to a PyTorch"
            " factory"
        ) from error


class _Unlike(Exception):  # noqa: N818 - becomes a ModelError with the file's name
    """The graph isn't built as expected."""


def _networks(graph: Mapping[str, GraphNode]) -> list[str]:
    """Find the outputs of the networks whose mean the graph computes."""
    means = [node for node in graph.values() if node.op == "Mean"]
    if len(means) != 1:
        raise _Unlike(f"{len(means)} means")
    return [_take(graph, name, "RealDiv").name for name in _take(graph, means[0].inputs[0], "Pack").inputs]


def _take(graph: Mapping[str, GraphNode], name: str, *ops: str) -> GraphNode:
    """Give a node, passing through those that change nothing, if it is one of these operations."""
    node = graph[name]
    while node.op in ("Identity", "Squeeze", "ExpandDims") and node.op not in ops:
        node = graph[node.inputs[0]]
    if node.op not in ops:
        raise _Unlike(f"'{node.name}' is {node.op}, not {' or '.join(ops)}")
    return node


def _constant(graph: Mapping[str, GraphNode], name: str) -> Any:
    value = _take(graph, name, "Const").value
    if value is None:
        raise _Unlike(f"'{name}' has no value")
    return value


def _convolution(graph: Mapping[str, GraphNode], name: str) -> _Convolution:
    """Read bias + convolution; TensorFlow dilates between SpaceToBatchND and BatchToSpaceND."""
    biased = _take(graph, name, "BiasAdd")
    node = _take(graph, biased.inputs[0], "Conv2D", "BatchToSpaceND")
    dilation = 1
    if node.op == "BatchToSpaceND":
        dilation = int(_constant(graph, node.inputs[1]).item())
        node = _take(graph, node.inputs[0], "Conv2D")
    kernel, bias = _constant(graph, node.inputs[1]), _constant(graph, biased.inputs[1])
    source = node.inputs[0]
    if dilation > 1:
        source = _take(graph, source, "SpaceToBatchND").inputs[0]
    strided = any(n != 1 for key in ("strides", "dilations") for n in node.settings.get(key) or [1])
    if strided or (dilation == 1 and kernel.shape[0] > 1 and node.settings.get("padding") != "SAME"):
        raise _Unlike(f"'{node.name}' is strided or not padded")
    return _Convolution(kernel, bias, dilation, _reach(graph, source))


def _reach(graph: Mapping[str, GraphNode], name: str) -> str:
    """Give the node a value comes from, behind those that change nothing."""
    node = graph[name]
    while node.op in ("Identity", "Squeeze", "ExpandDims"):
        node = graph[node.inputs[0]]
    return node.name


def _normalisation(graph: Mapping[str, GraphNode], name: str) -> _Normalisation:
    """Read x * s + (offset - mean * s), where s = scale / sqrt(variance + eps)."""
    total = _take(graph, name, "AddV2")
    product, rest = _take(graph, total.inputs[0], "Mul"), _take(graph, total.inputs[1], "Sub")
    shifted = _take(graph, rest.inputs[1], "Mul")
    if product.inputs[1] != shifted.inputs[1]:
        raise _Unlike(f"'{name}' isn't a batch normalisation")
    slope = _take(graph, product.inputs[1], "Mul")
    spread = _take(graph, _take(graph, slope.inputs[0], "Rsqrt").inputs[0], "AddV2")
    return _Normalisation(
        scale=_constant(graph, slope.inputs[1]),
        offset=_constant(graph, rest.inputs[0]),
        mean=_constant(graph, shifted.inputs[0]),
        variance=_constant(graph, spread.inputs[0]),
        eps=float(_constant(graph, spread.inputs[1]).item()),
        source=_reach(graph, product.inputs[0]),
    )


def _block(graph: Mapping[str, GraphNode], name: str) -> _Block:
    """Read h + conv(relu(norm(conv(relu(norm(h))))))."""
    total = _take(graph, name, "AddV2")
    block, place = _Block(source=_reach(graph, total.inputs[1])), total.inputs[0]
    for _ in range(2):
        convolution = _convolution(graph, place)
        normalisation = _normalisation(graph, _take(graph, convolution.source, "Relu").inputs[0])
        block.parts.insert(0, (normalisation, convolution))
        place = normalisation.source
    if place != block.source:
        raise _Unlike(f"'{name}' doesn't add what its block takes")
    return block


def _logits(graph: Mapping[str, GraphNode], root: str) -> str:
    """Give what the softmax is taken of: exp(z - max z) / sum(exp(z - max z))."""
    quotient = _take(graph, root, "RealDiv")
    exponential = _take(graph, quotient.inputs[0], "Exp")
    if _take(graph, quotient.inputs[1], "Sum").inputs[0] != exponential.name:
        raise _Unlike(f"'{root}' isn't a softmax")
    return _take(graph, exponential.inputs[0], "Sub").inputs[0]


def _crop(graph: Mapping[str, GraphNode], name: str) -> tuple[int, str]:
    """Read the same crop at both ends: how far, and of what."""
    node = _take(graph, name, "StridedSlice")
    start, end, step = (_constant(graph, i).tolist() for i in node.inputs[1:4])
    kinds = ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    masks = [node.settings.get(f"{kind}_mask") or 0 for kind in kinds]
    if masks != [5, 5, 0, 0, 0] or step != [1, 1, 1] or start[1] != -end[1] or start[1] <= 0:
        raise _Unlike(f"'{name}' isn't the same crop at both ends")
    return int(start[1]), _reach(graph, node.inputs[0])


def _network(graph: Mapping[str, GraphNode], root: str) -> _Network:
    head = _convolution(graph, _logits(graph, root))
    crop, place = _crop(graph, head.source)
    skips: list[_Convolution] = []
    while graph[place].op == "AddV2":
        skips.insert(0, _convolution(graph, graph[place].inputs[1]))
        place = _reach(graph, graph[place].inputs[0])
    skips.insert(0, _convolution(graph, place))
    blocks: list[_Block] = []
    trunk = [skips[-1].source]
    while graph[trunk[0]].op == "AddV2":
        blocks.insert(0, _block(graph, trunk[0]))
        trunk.insert(0, blocks[0].source)
    stem = _convolution(graph, trunk[0])
    _take(graph, stem.source, "Placeholder")
    if any(skip.source not in trunk for skip in skips):
        raise _Unlike("a skip doesn't start between blocks")
    return _Network(stem, blocks, skips, [trunk.index(skip.source) for skip in skips], crop, head)


def _model(network: _Network, number: int, request: ImportRequest, path: Path) -> ImportedModel:
    context = 2 * network.crop
    window = request.window or context + 1
    if window <= context:
        raise ModelError(f"{path}: a window of {window} bp leaves no output; {context} bp are context")
    return ImportedModel(
        name=f"{request.name or 'ci-spliceai'}-{number}",
        subfolder=str(number),
        architecture="spliceai",
        arguments=_arguments(network),
        weights=_weights(network),
        window=window,
        outputs=(OutputNames("logits", _TASKS, "NTP"),),
        description="Splice sites: logits of neither, acceptor and donor at each position",
        licence="CC-BY-4.0",
        source=_SOURCE.format(name=path.name),
    )


def _arguments(network: _Network) -> dict[str, Any]:
    eps = {normalisation.eps for block in network.blocks for normalisation, _ in block.parts}
    alike = [len({(len(c.kernel), c.dilation) for _, c in block.parts}) == 1 for block in network.blocks]
    if len(eps) != 1 or not all(alike):
        raise _Unlike("the halves of a block differ")
    return {
        "channels": network.stem.kernel.shape[2],
        "widths": [len(block.parts[0][1].kernel) for block in network.blocks],
        "dilations": [block.parts[0][1].dilation for block in network.blocks],
        "context": 2 * network.crop,
        "skips": network.steps,
        "eps": round(eps.pop(), 9),
    }


def _weights(network: _Network) -> dict[str, Tensor]:
    """Give the tensors by the names of our SpliceAI."""
    convolutions = {"stem": network.stem, "head": network.head}
    convolutions |= {f"skips.{i}": skip for i, skip in enumerate(network.skips)}
    weights: dict[str, Any] = {}
    for b, block in enumerate(network.blocks):
        for half, (normalisation, convolution) in enumerate(block.parts):
            convolutions[f"blocks.{b}.{3 * half + 2}"] = convolution
            place = f"blocks.{b}.{3 * half}"
            weights[f"{place}.weight"], weights[f"{place}.bias"] = normalisation.scale, normalisation.offset
            weights[f"{place}.running_mean"] = normalisation.mean
            weights[f"{place}.running_var"] = normalisation.variance
    for place, convolution in convolutions.items():
        weights[f"{place}.weight"] = convolution.kernel.transpose(2, 1, 0)
        weights[f"{place}.bias"] = convolution.bias
    return {name: torch.from_numpy(np.array(array, np.float32)) for name, array in weights.items()}
