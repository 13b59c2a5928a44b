"""Writes frozen TensorFlow graphs of small SpliceAI networks, with the operations TensorFlow writes."""

from pathlib import Path

import numpy as np

from sparselrp_cli.model.importing.graphdef import _graph_class


class GraphWriter:
    """Adds nodes one by one; every method gives the name of what it added."""

    def __init__(self, crop=9, channels=3, widths=(3, 4, 5), dilations=(1, 4, 2), skips=(0, 2, 3), seed=0):
        self.message = _graph_class(Path("graph"))()
        self.crop, self.channels, self.widths = crop, channels, widths
        self.dilations, self.skips = dilations, skips
        self.rng = np.random.default_rng(seed)

    def node(self, op, *inputs, **settings):
        node = self.message.node.add(name=f"node{len(self.message.node)}", op=op)
        node.input.extend(inputs)
        for key, value in settings.items():
            attribute = node.attr.add(key=key).value
            if isinstance(value, str):
                attribute.s = value.encode()
            elif isinstance(value, bool):
                attribute.b = value
            elif isinstance(value, int):
                attribute.i = value
            elif isinstance(value, list):
                attribute.list.i.extend(value)
            else:
                attribute.tensor.dtype = {"f": 1, "i": 3}[value.dtype.kind]
                for n in value.shape:
                    attribute.tensor.tensor_shape.dim.add(size=n)
                attribute.tensor.tensor_content = value.tobytes()
        return node.name

    def constant(self, value, kind=np.float32):
        """Add a constant, and the Identity that freezing leaves behind each variable."""
        return self.node("Identity", self.node("Const", value=np.asarray(value, kind)))

    def integers(self, value):
        return self.constant(value, np.int32)

    def convolution(self, x, width=1, dilation=1, n_out=None, n_in=None):
        shape = (width, n_in or self.channels, n_out or self.channels)
        kernel = self.node("ExpandDims", self.constant(self.rng.normal(0, 0.4, shape)), self.integers(0))
        if dilation > 1:
            total = (width - 1) * dilation
            # every length that this writer is used with is a multiple of the dilations
            left, right = total // 2, total - total // 2
            x = self.node("SpaceToBatchND", x, self.integers([dilation]), self.integers([[left, right]]))
        x = self.node("ExpandDims", x, self.integers(-3))
        padding = "SAME" if dilation == 1 and width > 1 else "VALID"
        x = self.node("Conv2D", x, kernel, padding=padding, strides=[1] * 4, dilations=[1] * 4)
        x = self.node("Squeeze", x, squeeze_dims=[-3])
        if dilation > 1:
            x = self.node("BatchToSpaceND", x, self.integers([dilation]), self.integers([[0, 0]]))
        return self.node("BiasAdd", x, self.constant(self.rng.normal(size=shape[2])))

    def normalisation(self, x):
        scale, offset, mean = (self.constant(self.rng.normal(size=self.channels)) for _ in range(3))
        variance = self.constant(self.rng.uniform(0.5, 2, self.channels))
        spread = self.node("Rsqrt", self.node("AddV2", variance, self.constant(0.001)))
        slope = self.node("Mul", spread, scale)
        rest = self.node("Sub", offset, self.node("Mul", mean, slope))
        return self.node("AddV2", self.node("Mul", x, slope), rest)

    def block(self, h, width, dilation):
        x = h
        for _ in range(2):
            x = self.convolution(self.node("Relu", self.normalisation(x)), width, dilation)
        return self.node("AddV2", x, h)

    def network(self, x):
        h = self.convolution(x, n_in=4)
        total = self.convolution(h) if 0 in self.skips else None
        for done, (width, dilation) in enumerate(zip(self.widths, self.dilations, strict=True), start=1):
            h = self.block(h, width, dilation)
            if done in self.skips:
                skip = self.convolution(h)
                total = skip if total is None else self.node("AddV2", total, skip)
        ends = [self.integers([0, n, 0]) for n in (self.crop, -self.crop)]
        masks = {"begin_mask": 5, "end_mask": 5}
        cropped = self.node("StridedSlice", total, *ends, self.integers([1, 1, 1]), **masks)
        logits = self.convolution(cropped, n_out=3)
        top = self.node("Max", logits, self.integers([-1]), keep_dims=True)
        exponential = self.node("Exp", self.node("Sub", logits, top))
        total = self.node("Sum", exponential, self.integers([-1]), keep_dims=True)
        return self.node("RealDiv", exponential, total)

    def write(self, path, count=2):
        """Write the mean of `count` networks."""
        x = self.node("Placeholder")
        networks = [self.network(x) for _ in range(count)]
        mean = self.node("Mean", self.node("Pack", *networks), self.integers([0]))
        self.node("Identity", mean)
        path.write_bytes(self.message.SerializeToString())
        return path
