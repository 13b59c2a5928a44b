"""A frozen TensorFlow graph evaluated node by node in float64, each operation written from its definition."""

import sys

import numpy as np


class Evaluation:
    """Values of a graph's nodes for one input."""

    def __init__(self, graph, x):
        self.graph = graph
        self.values = {node.name: x for node in graph.values() if node.op == "Placeholder"}

    def __call__(self, name):
        """Compute a node and all it depends on."""
        before = sys.getrecursionlimit()
        sys.setrecursionlimit(100_000)
        try:
            return self._value(name)
        finally:
            sys.setrecursionlimit(before)

    def _value(self, name):
        if name not in self.values:
            node = self.graph[name]
            if node.op == "Const":
                value = node.value.astype(np.float64) if node.value.dtype.kind == "f" else node.value
            else:
                value = OPERATIONS[node.op](node.settings, *[self._value(i) for i in node.inputs])
            self.values[name] = value
        return self.values[name]


def conv2d(settings, x, kernel):
    """Convolve (N, 1, L, C) with (1, W, C, D); TensorFlow pads the odd position at the right."""
    assert settings["strides"] == [1, 1, 1, 1]
    assert settings["dilations"] == [1, 1, 1, 1]
    width = kernel.shape[1]
    if settings["padding"] == "SAME":
        x = np.pad(x, ((0, 0), (0, 0), ((width - 1) // 2, width // 2), (0, 0)))
    length = x.shape[2] - width + 1
    return sum(x[:, :, i : i + length] @ kernel[0, i] for i in range(width))


def space_to_batch(_, x, block, paddings):
    """Deal the positions of (N, L, C) out to `block` samples, after padding."""
    (b,), (pads,) = block, paddings
    x = np.pad(x, ((0, 0), tuple(pads), (0, 0)))
    return np.concatenate([x[:, i::b] for i in range(b)])


def batch_to_space(_, x, block, crops):
    """Take the positions together again, and crop."""
    (b,), (crop,) = block, crops
    n = len(x) // b
    y = np.zeros((n, x.shape[1] * b, x.shape[2]))
    for i in range(b):
        y[:, i::b] = x[i * n : (i + 1) * n]
    return y[:, crop[0] : y.shape[1] - crop[1]]


def strided_slice(settings, x, begin, end, strides):
    """Slice with TensorFlow's bit masks."""
    has = {name: int(settings.get(f"{name}_mask") or 0) for name in ("begin", "end", "shrink_axis")}
    assert not settings.get("ellipsis_mask")
    assert not settings.get("new_axis_mask")
    index = []
    for i, (start, stop, step) in enumerate(zip(begin, end, strides, strict=True)):
        if has["shrink_axis"] >> i & 1:
            index.append(int(start))
        else:
            given = [None if has[k] >> i & 1 else int(v) for k, v in (("begin", start), ("end", stop))]
            index.append(slice(*given, int(step)))
    return np.asarray(x)[tuple(index)]


def reduction(function):
    """Reduce with the axes as second input."""
    return lambda settings, x, axis: function(
        x, axis=tuple(np.atleast_1d(axis)), keepdims=bool(settings.get("keep_dims"))
    )


OPERATIONS = {
    "Identity": lambda _, x, *__: x,
    "ExpandDims": lambda _, x, axis: np.expand_dims(x, int(axis)),
    "Squeeze": lambda settings, x: np.squeeze(x, tuple(settings["squeeze_dims"])),
    "Conv2D": conv2d,
    "SpaceToBatchND": space_to_batch,
    "BatchToSpaceND": batch_to_space,
    "StridedSlice": strided_slice,
    "Shape": lambda _, x: np.asarray(x.shape),
    "Pack": lambda settings, *xs: np.stack(xs, int(settings.get("axis") or 0)),
    "BiasAdd": lambda _, x, b: x + b,
    "AddV2": lambda _, x, y: x + y,
    "Sub": lambda _, x, y: x - y,
    "Mul": lambda _, x, y: x * y,
    "RealDiv": lambda _, x, y: x / y,
    "FloorMod": lambda _, x, y: np.mod(x, y),
    "Rsqrt": lambda _, x: 1 / np.sqrt(x),
    "Relu": lambda _, x: np.maximum(x, 0),
    "Exp": lambda _, x: np.exp(x),
    "Max": reduction(np.max),
    "Sum": reduction(np.sum),
    "Mean": reduction(np.mean),
}
