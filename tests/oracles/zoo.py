# ruff: noqa: N803, N806 -- W is a matrix of weights, M one of constant weights
"""Random small networks, each as a PyTorch module and, from the same weights, as an oracle network.

The names of the oracle's layers are the module's own (`named_modules`), so one composite serves both.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from oracles import matrices
from oracles.network import Network, Node

LENGTH = 14


@dataclass(frozen=True)
class Case:
    """One network twice, and inputs (N, 4, L) for both; `module` is float64 and in evaluation mode."""

    kind: str
    module: nn.Module
    network: Network
    inputs: NDArray[np.float64]


@dataclass(frozen=True)
class Signal:
    """A tensor of the oracle's graph and its shape without the batch axis."""

    node: Node
    shape: tuple[int, ...]


class Graph:
    """Writes an oracle network down in terms of PyTorch layers and shapes."""

    def __init__(self, module: nn.Module, *shape: int) -> None:
        self.network = Network()
        self.names = {layer: name for name, layer in module.named_modules()}
        self.start = Signal(self.network.input(int(np.prod(shape))), shape)

    def conv(self, x: Signal, layer: nn.Conv1d | nn.Conv2d, norm: nn.Module | None = None) -> Signal:
        """A convolution, with the batch norm that is its only user folded in."""
        weight, bias = _numpy(layer.weight), None if layer.bias is None else _numpy(layer.bias)
        if isinstance(layer, nn.Conv1d):
            width, dilation = layer.kernel_size[0], layer.dilation[0]
            padding = _same(width, dilation) if layer.padding == "same" else (layer.padding[0],) * 2
            W, b = matrices.conv1d(
                weight,
                bias,
                x.shape[-1],
                stride=layer.stride[0],
                padding=padding,
                dilation=dilation,
                groups=layer.groups,
            )
            rows = ()
        else:
            padding = tuple((p, p) for p in layer.padding)
            W, b = matrices.conv2d(
                weight,
                bias,
                x.shape[-2:],
                stride=layer.stride,
                padding=padding,
                dilation=layer.dilation,
                groups=layer.groups,
            )
            rows = (
                matrices.output_length(
                    x.shape[1], layer.kernel_size[0], layer.stride[0], padding[0], layer.dilation[0]
                ),
            )
        shape = (layer.out_channels, *rows, W.shape[1] // int(np.prod((layer.out_channels, *rows))))
        return self._affine(x, W, b, shape, layer, norm)

    def linear(self, x: Signal, layer: nn.Linear, norm: nn.Module | None = None) -> Signal:
        """A linear layer on the last axis."""
        bias = None if layer.bias is None else _numpy(layer.bias)
        positions = int(np.prod(x.shape[:-1]))
        W, b = matrices.linear(_numpy(layer.weight), bias, positions)
        return self._affine(x, W, b, (*x.shape[:-1], layer.out_features), layer, norm)

    def lone_norm(self, x: Signal, norm: nn.Module) -> Signal:
        """A batch norm that can't be folded: a diagonal affine layer, whose input isn't pruned."""
        scale, shift = _scale_and_shift(norm, x.shape)
        node = self.network.affine(x.node, np.diag(scale), shift, self.names[norm], prunes=False)
        return Signal(node, x.shape)

    def relu(self, x: Signal) -> Signal:
        return Signal(self.network.relu(x.node), x.shape)

    def add(self, x: Signal, y: Signal) -> Signal:
        assert x.shape == y.shape
        return Signal(self.network.add(x.node, y.node), x.shape)

    def max_pool(self, x: Signal, width: int, stride: int | None = None, padding: int = 0) -> Signal:
        windows = matrices.max_pool1d_windows(*x.shape, width, stride, padding)
        return Signal(self.network.max_pool(x.node, windows), (x.shape[0], len(windows) // x.shape[0]))

    def max_pool2d(self, x: Signal, window: tuple[int, int]) -> Signal:
        windows = matrices.max_pool2d_windows(x.shape[0], x.shape[1:], window)
        shape = (x.shape[0], x.shape[1] // window[0], x.shape[2] // window[1])
        return Signal(self.network.max_pool(x.node, windows), shape)

    def average_pool(self, x: Signal, width: int, stride: int | None = None, padding: int = 0) -> Signal:
        M = matrices.average_pool1d(*x.shape, width, stride, padding)
        return Signal(self.network.linear_map(x.node, M), (x.shape[0], M.shape[1] // x.shape[0]))

    def mean(self, x: Signal) -> Signal:
        M = matrices.mean_over_positions(*x.shape)
        return Signal(self.network.linear_map(x.node, M), (x.shape[0],))

    def sum(self, x: Signal) -> Signal:
        M = matrices.mean_over_positions(*x.shape) * x.shape[1]
        return Signal(self.network.linear_map(x.node, M), (x.shape[0],))

    def concat(self, *parts: Signal) -> Signal:
        """Along the first axis."""
        shape = (sum(x.shape[0] for x in parts), *parts[0].shape[1:])
        return Signal(self.network.concat(*(x.node for x in parts)), shape)

    def view(self, x: Signal, arrange: Callable[[NDArray[np.intp]], NDArray[np.intp]]) -> Signal:
        """Any rearrangement, written as what it does to an array of the signal's shape (-1 for a zero)."""
        index = arrange(np.arange(int(np.prod(x.shape))).reshape(x.shape))
        return Signal(self.network.view(x.node, index), index.shape)

    def flatten(self, x: Signal) -> Signal:
        return self.view(x, np.ravel)

    def crop(self, x: Signal, edge: int) -> Signal:
        return self.view(x, lambda index: index[:, edge:-edge])

    def finish(self, x: Signal) -> Network:
        self.network.output(x.node)
        return self.network

    def _affine(
        self,
        x: Signal,
        W: NDArray[np.float64],
        b: NDArray[np.float64],
        shape: tuple[int, ...],
        layer: nn.Module,
        norm: nn.Module | None,
    ) -> Signal:
        if norm is not None:
            W, b = matrices.fold(W, b, *_scale_and_shift(norm, shape))
        return Signal(self.network.affine(x.node, W, b, self.names[layer]), shape)


class Sequential(nn.Module):
    """Convolutions with batch norm, max pooling with and without overlap, a dense head with batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv1d(4, 4, 3, padding=1, bias=False), nn.BatchNorm1d(4)
        self.conv2, self.norm2 = nn.Conv1d(4, 5, 2), nn.BatchNorm1d(5)
        self.dense, self.norm3 = nn.Linear(15, 5), nn.BatchNorm1d(5)
        self.head = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = functional.max_pool1d(functional.relu(self.norm1(self.conv1(x))), 2)
        h = functional.max_pool1d(functional.relu(self.norm2(self.conv2(h))), 2, stride=2, padding=1)
        h = h[:, :, :3]
        return self.head(functional.relu(self.norm3(self.dense(h.flatten(1)))))

    def oracle(self) -> Network:
        g = Graph(self, 4, LENGTH)
        h = g.max_pool(g.relu(g.conv(g.start, self.conv1, self.norm1)), 2)
        h = g.max_pool(g.relu(g.conv(h, self.conv2, self.norm2)), 2, 2, 1)
        h = g.view(h, lambda index: index[:, :3])
        return g.finish(g.linear(g.relu(g.linear(g.flatten(h), self.dense, self.norm3)), self.head))


class Residual(nn.Module):
    """Post-activation residual blocks; the second has a stride and a shortcut convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(4, 4, 3, padding=1)
        self.conv1, self.norm1 = nn.Conv1d(4, 4, 3, padding=1, bias=False), nn.BatchNorm1d(4)
        self.conv2, self.norm2 = nn.Conv1d(4, 4, 3, padding=1, bias=False), nn.BatchNorm1d(4)
        self.conv3, self.norm3 = nn.Conv1d(4, 5, 3, stride=2, padding=1, bias=False), nn.BatchNorm1d(5)
        self.conv4, self.norm4 = nn.Conv1d(5, 5, 3, padding=1, bias=False), nn.BatchNorm1d(5)
        self.shortcut, self.norm5 = nn.Conv1d(4, 5, 1, stride=2, bias=False), nn.BatchNorm1d(5)
        self.head = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = functional.relu(self.stem(x))
        h = functional.relu(h + self.norm2(self.conv2(functional.relu(self.norm1(self.conv1(h))))))
        inner = self.norm4(self.conv4(functional.relu(self.norm3(self.conv3(h)))))
        h = functional.relu(inner + self.norm5(self.shortcut(h)))
        return self.head(h.mean(dim=-1))

    def oracle(self) -> Network:
        g = Graph(self, 4, LENGTH)
        h = g.relu(g.conv(g.start, self.stem))
        inner = g.conv(g.relu(g.conv(h, self.conv1, self.norm1)), self.conv2, self.norm2)
        h = g.relu(g.add(h, inner))
        inner = g.conv(g.relu(g.conv(h, self.conv3, self.norm3)), self.conv4, self.norm4)
        h = g.relu(g.add(inner, g.conv(h, self.shortcut, self.norm5)))
        return g.finish(g.linear(g.mean(h), self.head))


class PreActivation(nn.Module):
    """Residual blocks on a signed stream; batch norms before the activation can't be folded."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(4, 4, 3, padding=1)
        self.norm1, self.conv1 = nn.BatchNorm1d(4), nn.Conv1d(4, 4, 3, padding=1)
        self.norm2, self.conv2 = nn.BatchNorm1d(4), nn.Conv1d(4, 4, 3, padding=2, dilation=2)
        self.norm3, self.head = nn.BatchNorm1d(4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x)
        h = h + self.conv1(functional.relu(self.norm1(h)))
        h = h + self.conv2(functional.relu(self.norm2(h)))
        return self.head(functional.relu(self.norm3(h)).sum(dim=2))

    def oracle(self) -> Network:
        g = Graph(self, 4, LENGTH)
        h = g.conv(g.start, self.stem)
        h = g.add(h, g.conv(g.relu(g.lone_norm(h, self.norm1)), self.conv1))
        h = g.add(h, g.conv(g.relu(g.lone_norm(h, self.norm2)), self.conv2))
        return g.finish(g.linear(g.sum(g.relu(g.lone_norm(h, self.norm3))), self.head))


class Dilated(nn.Module):
    """BPNet's tower: unpadded dilated convolutions, added to the cropped stream; a head on the average."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(4, 4, 3)
        self.tower = nn.ModuleList(nn.Conv1d(4, 4, 3, dilation=d) for d in (1, 2))
        self.counts = nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.counts(self.stream(x).mean(dim=2))

    def stream(self, x: Tensor) -> Tensor:
        h = functional.relu(self.stem(x))
        for layer in self.tower:
            edge = layer.dilation[0]
            h = h[:, :, edge:-edge] + functional.relu(layer(h))
        return h

    def oracle(self) -> Network:
        g = Graph(self, 4, LENGTH)
        return g.finish(g.linear(g.mean(self.oracle_stream(g)), self.counts))

    def oracle_stream(self, g: Graph) -> Signal:
        h = g.relu(g.conv(g.start, self.stem))
        for layer in self.tower:
            h = g.add(g.crop(h, layer.dilation[0]), g.relu(g.conv(h, layer)))
        return h


class TwoHeads(Dilated):
    """The tower with a profile head and a head on the average; the output is both, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.profile = nn.Conv1d(4, 1, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.stream(x)
        return torch.cat([self.profile(h).flatten(1), self.counts(h.mean(dim=2))], dim=1)

    def oracle(self) -> Network:
        g = Graph(self, 4, LENGTH)
        h = self.oracle_stream(g)
        return g.finish(g.concat(g.flatten(g.conv(h, self.profile)), g.linear(g.mean(h), self.counts)))


class AveragePooled(nn.Module):
    """Average pooling with and without padding."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv1d(4, 4, 3, padding=1), nn.Conv1d(4, 5, 3)
        self.head = nn.Linear(15, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = functional.avg_pool1d(functional.relu(self.conv1(x)), 2)
        h = functional.avg_pool1d(functional.relu(self.conv2(h)), 3, stride=2, padding=1)
        return self.head(h.flatten(1))

    def oracle(self) -> Network:
        g = Graph(self, 4, LENGTH)
        h = g.average_pool(g.relu(g.conv(g.start, self.conv1)), 2)
        h = g.average_pool(g.relu(g.conv(h, self.conv2)), 3, 2, 1)
        return g.finish(g.linear(g.flatten(h), self.head))


class Branches(nn.Module):
    """Two branches that feed nothing but their concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.narrow, self.wide = nn.Conv1d(4, 3, 3, padding=1), nn.Conv1d(4, 3, 5, padding=2)
        self.norm = nn.BatchNorm1d(3)
        self.mix, self.head = nn.Conv1d(6, 4, 3), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.cat([functional.relu(self.narrow(x)), functional.relu(self.norm(self.wide(x)))], dim=1)
        return self.head(functional.relu(self.mix(h)).amax(dim=2))

    def oracle(self) -> Network:
        g = Graph(self, 4, LENGTH)
        narrow = g.relu(g.conv(g.start, self.narrow))
        wide = g.relu(g.conv(g.start, self.wide, self.norm))
        h = g.relu(g.conv(g.concat(narrow, wide), self.mix))
        return g.finish(g.linear(g.flatten(g.max_pool(h, h.shape[1])), self.head))


class Image(nn.Module):
    """Two-dimensional convolutions on the one-hot matrix as an image; the second grouped, with a stride."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(1, 4, (3, 3), padding=(1, 0)), nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 4, (2, 3), stride=(1, 2), padding=(0, 1), groups=2)
        self.head = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = functional.max_pool2d(functional.relu(self.norm1(self.conv1(x.unsqueeze(1)))), (2, 2))
        return self.head(functional.relu(self.conv2(h)).flatten(1))

    def oracle(self) -> Network:
        g = Graph(self, 4, LENGTH)
        image = g.view(g.start, lambda index: index[None])
        h = g.max_pool2d(g.relu(g.conv(image, self.conv1, self.norm1)), (2, 2))
        return g.finish(g.linear(g.flatten(g.relu(g.conv(h, self.conv2))), self.head))


class LargeBiases(nn.Module):
    """Biases that outweigh the inputs: much of the score is absorbed."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv1d(4, 5, 3, padding=1), nn.Conv1d(5, 4, 3, stride=2)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = functional.relu(self.conv2(functional.relu(self.conv1(x))))
        return self.head(functional.max_pool1d(h, h.shape[2]).squeeze(2))

    def oracle(self) -> Network:
        g = Graph(self, 4, LENGTH)
        h = g.relu(g.conv(g.relu(g.conv(g.start, self.conv1)), self.conv2))
        return g.finish(g.linear(g.flatten(g.max_pool(h, h.shape[1])), self.head))


class Signed(nn.Module):
    """Convolutions and linear layers that read inputs of both signs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv1d(4, 4, 3, padding=1), nn.Conv1d(4, 4, 3)
        self.dense, self.head = nn.Linear(48, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.dense(functional.relu(self.conv2(self.conv1(x))).flatten(1)))

    def oracle(self) -> Network:
        g = Graph(self, 4, LENGTH)
        h = g.relu(g.conv(g.conv(g.start, self.conv1), self.conv2))
        return g.finish(g.linear(g.linear(g.flatten(h), self.dense), self.head))


class Rearranged(nn.Module):
    """Padding, cropping, transposition, groups, stride, dilation and `padding="same"`."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(4, 4, 3, padding="same", dilation=2, groups=2)
        self.mix = nn.Linear(4, 6)
        self.conv2 = nn.Conv1d(6, 4, 3, dilation=3, stride=2, groups=2)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = functional.relu(self.conv1(functional.pad(x, (1, 2))))
        h = functional.relu(self.mix(h.transpose(1, 2))).transpose(1, 2)
        h = functional.relu(self.conv2(functional.pad(h[:, :, 1:-2], (2, 1))))
        return self.head(h.transpose(1, 2).reshape(len(x), -1, 4)).flatten(1)

    def oracle(self) -> Network:
        g = Graph(self, 4, LENGTH)
        h = g.relu(g.conv(g.view(g.start, lambda index: _pad(index, 1, 2)), self.conv1))
        h = g.relu(g.linear(g.view(h, np.transpose), self.mix))
        h = g.view(g.view(h, np.transpose), lambda index: _pad(index[:, 1:-2], 2, 1))
        h = g.relu(g.conv(h, self.conv2))
        return g.finish(g.flatten(g.linear(g.view(h, np.transpose), self.head)))


MODULES: dict[str, type[nn.Module]] = {
    "sequential": Sequential,
    "residual": Residual,
    "pre-activation": PreActivation,
    "dilated": Dilated,
    "two heads": TwoHeads,
    "average pooled": AveragePooled,
    "branches": Branches,
    "image": Image,
    "large biases": LargeBiases,
    "signed": Signed,
    "rearranged": Rearranged,
}

KINDS = tuple(MODULES)


def make(kind: str, seed: int, samples: int = 2) -> Case:
    """A random network of one of `KINDS` and its inputs: one-hot for even seeds, else non-negative."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    module = MODULES[kind]().double().eval()
    _randomise(module, rng, bias_scale=3.0 if kind == "large biases" else 0.2)
    if seed % 2 == 0:
        inputs = np.eye(4)[rng.integers(4, size=(samples, LENGTH))].transpose(0, 2, 1).copy()
    else:
        inputs = np.maximum(rng.normal(size=(samples, 4, LENGTH)), 0.0)
    return Case(kind, module, module.oracle(), inputs)


def _randomise(module: nn.Module, rng: np.random.Generator, bias_scale: float) -> None:
    """Random weights, biases and running statistics, all from `rng`."""
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                layer.weight.copy_(torch.from_numpy(rng.normal(1.0, 0.5, layer.weight.shape)))
                layer.running_mean.copy_(torch.from_numpy(rng.normal(0.0, 0.3, layer.weight.shape)))
                layer.running_var.copy_(torch.from_numpy(rng.uniform(0.5, 2.0, layer.weight.shape)))
            elif isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear):
                scale = np.sqrt(2.0 / layer.weight[0].numel())
                layer.weight.copy_(torch.from_numpy(rng.normal(0.0, scale, layer.weight.shape)))
            if getattr(layer, "bias", None) is not None:
                layer.bias.copy_(torch.from_numpy(rng.normal(0.0, bias_scale, layer.bias.shape)))


def _scale_and_shift(
    norm: nn.Module, shape: tuple[int, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    parameters = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    return matrices.batch_norm(*(_numpy(p) for p in parameters), norm.eps, positions=int(np.prod(shape[1:])))


def _same(width: int, dilation: int) -> tuple[int, int]:
    """PyTorch's `padding="same"`: the odd one goes to the right."""
    total = dilation * (width - 1)
    return total // 2, total - total // 2


def _pad(index: NDArray[np.intp], left: int, right: int) -> NDArray[np.intp]:
    return np.pad(index, ((0, 0), (left, right)), constant_values=-1)


def _numpy(tensor: Tensor) -> NDArray[np.float64]:
    return tensor.detach().numpy().astype(np.float64)
