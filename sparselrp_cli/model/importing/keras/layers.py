"""How each kind of Keras layer is written in the list of layers."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from sparselrp_cli.model.importing.keras.config import KerasLayer
from sparselrp_cli.model.importing.keras.recurrent import bidirectional, recurrent
from sparselrp_cli.model.importing.keras.source import Piece, Source, Translator, ascending
from sparselrp_cli.model.importing.keras.strands import both_strands

SKIPPED = frozenset(
    ["Dropout", "SpatialDropout1D", "GaussianDropout", "GaussianNoise", "AlphaDropout",
     "ActivityRegularization", "Identity"]
)  # fmt: skip


def _convolution(source: Source) -> list[Piece]:
    source.channels_last()
    kernel = source.array("kernel", 3)  # (width, in, out)
    groups = source.integer("groups", 1)
    arguments = {
        **_geometry(source, kernel.shape[0]),
        "in_channels": kernel.shape[1] * groups,
        "out_channels": kernel.shape[2],
        "groups": groups,
        "bias": bool(source.get("use_bias", True)),
    }
    tensors = {"weight": ascending(kernel, 2, 1, 0), **source.bias()}
    return source.with_activation(Piece("convolution", arguments, tensors))


def _geometry(source: Source, width: int) -> dict[str, int | str]:
    return {
        "width": width,
        "stride": source.integer("strides", 1),
        "dilation": source.integer("dilation_rate", 1),
        "pad": source.allow("padding", "valid", "same", "causal", default="valid"),
    }


def _depthwise(source: Source) -> Piece:
    source.channels_last()
    role = "kernel" if source.optional("depthwise_kernel") is None else "depthwise_kernel"
    kernel = source.array(role, 3)  # (width, in, multiplier)
    width, n_in, multiplier = kernel.shape
    arguments = {
        **_geometry(source, width),
        "in_channels": n_in,
        "out_channels": n_in * multiplier,
        "groups": n_in,
    }
    weight = ascending(kernel, 1, 2, 0).reshape(n_in * multiplier, 1, width)
    return Piece("convolution", arguments, {"weight": weight})


def _depthwise_convolution(source: Source) -> list[Piece]:
    piece = _depthwise(source)
    bias = source.bias()
    arguments = {**piece.arguments, "bias": bool(bias)}
    return source.with_activation(Piece(piece.type, arguments, {**piece.tensors, **bias}))


def _separable(source: Source) -> list[Piece]:
    first = _depthwise(source)
    kernel = source.array("pointwise_kernel", 3)
    bias = source.bias()
    arguments = {
        "in_channels": kernel.shape[1],
        "out_channels": kernel.shape[2],
        "width": 1,
        "bias": bool(bias),
    }
    second = Piece("convolution", arguments, {"weight": ascending(kernel, 2, 1, 0), **bias})
    depthwise = Piece(first.type, {**first.arguments, "bias": False}, first.tensors, suffix="_depthwise")
    return [depthwise, *source.with_activation(second)]


def _transposed(source: Source) -> list[Piece]:
    source.channels_last()
    source.allow("output_padding", None)
    if source.integer("dilation_rate", 1) != 1:
        source.refuse("is dilated, which can't be imported for a transposed convolution")
    kernel = source.array("kernel", 3)  # (width, out, in)
    arguments = {
        "in_channels": kernel.shape[2],
        "out_channels": kernel.shape[1],
        "width": kernel.shape[0],
        "stride": source.integer("strides", 1),
        "pad": source.allow("padding", "valid", "same", default="valid"),
        "bias": bool(source.get("use_bias", True)),
    }
    tensors = {"weight": ascending(kernel, 2, 1, 0), **source.bias()}
    return source.with_activation(Piece("transposed-convolution", arguments, tensors))


def _dense(source: Source) -> list[Piece]:
    kernel = source.array("kernel", 2)  # (in, out)
    bias = source.bias()
    arguments = {"in_features": kernel.shape[0], "out_features": kernel.shape[1], "bias": bool(bias)}
    return source.with_activation(Piece("dense", arguments, {"weight": ascending(kernel, 1, 0), **bias}))


def _time_distributed(source: Source) -> list[Piece]:
    inner = source.get("layer", {})
    if inner.get("class_name") != "Dense":
        source.refuse(f"wraps a {inner.get('class_name')}; only Dense can be imported inside it")
    layer = source.layer
    config = inner["config"]
    return _dense(Source(type(layer)(layer.name, layer.kind, config, layer.inputs, layer.path),
                         source.arrays, source.place))  # fmt: skip


def _batch_normalisation(source: Source) -> list[Piece]:
    axis = _last_axis(source)
    mean = source.array("moving_mean", 1)
    tensors = {
        "weight": source.array("gamma", 1) if source.get("scale", True) else np.ones_like(mean),
        "bias": source.array("beta", 1) if source.get("center", True) else np.zeros_like(mean),
        "running_mean": mean,
        "running_var": source.array("moving_variance", 1),
    }
    arguments = {"num_features": len(mean), "eps": source.number("epsilon", 1e-3)}
    if axis == 1:
        arguments["n_axes"] = 2
    return [Piece("batch-normalisation", arguments, tensors)]


def _layer_normalisation(source: Source) -> list[Piece]:
    _last_axis(source)
    source.allow("rms_scaling", False, default=False)
    gamma, beta = source.optional("gamma"), source.optional("beta")
    known = gamma if gamma is not None else beta
    if known is None:
        source.refuse("has neither scale nor offset, so its width isn't known")
    tensors = {
        "weight": np.ones_like(known) if gamma is None else gamma,
        "bias": np.zeros_like(known) if beta is None else beta,
    }
    arguments = {"normalized_shape": [len(known)], "eps": source.number("epsilon", 1e-3)}
    return [Piece("layer-normalisation", arguments, tensors)]


def _last_axis(source: Source) -> int:
    """Give the axis of a normalisation, refusing what can't be that of channels."""
    axis = source.get("axis", -1)
    axis = axis[0] if isinstance(axis, (list, tuple)) and len(axis) == 1 else axis
    flat = all(array.ndim == 1 for _, array in source.arrays)
    if axis not in (-1, 1, 2) or not flat:
        source.refuse(f"normalises axis {axis}; only the last can be imported")
    return int(axis)


def _activation(source: Source) -> list[Piece]:
    return source.with_activation(Piece("identity"))


def _relu(source: Source) -> list[Piece]:
    if source.number("threshold", 0.0) != 0:
        source.refuse("has a threshold, which can't be imported")
    slope, top = source.number("negative_slope", 0.0), source.get("max_value")
    if top is not None and slope:
        source.refuse("has both a slope and a largest value, which can't be imported")
    if top is not None:
        return [Piece("clamp", {"min_val": 0.0, "max_val": source.number("max_value", 0.0)})]
    return [Piece("leaky-relu", {"negative_slope": slope}) if slope else Piece("identity", activation="relu")]


def _leaky_relu(source: Source) -> list[Piece]:
    key = "negative_slope" if "negative_slope" in source.layer.config else "alpha"
    return [Piece("leaky-relu", {"negative_slope": source.number(key, 0.3)})]


def _prelu(source: Source) -> list[Piece]:
    slope = source.optional("alpha")
    if slope is None or slope.ndim not in (1, 2):
        source.refuse("has no slopes for channels and positions")
    if slope.ndim == 2:  # (positions or 1, channels)
        slope = ascending(slope, 1, 0)
    return [Piece("prelu", {"shape": list(slope.shape)}, {"slope": slope})]


def _pool(kind: str) -> Translator:
    def translate(source: Source) -> list[Piece]:
        source.channels_last()
        width = source.integer("pool_size", source.get("pool_length", 2))
        stride = width if source.get("strides") is None else source.integer("strides")
        pad = source.allow("padding", "valid", "same", default="valid")
        return [Piece("pool", {"kind": kind, "width": width, "stride": stride, "pad": pad})]

    return translate


def _global_pool(kind: str) -> Translator:
    def translate(source: Source) -> list[Piece]:
        source.channels_last()
        return [Piece("global-pool", {"kind": kind, "keep_axis": bool(source.get("keepdims", False))})]

    return translate


def _reshape(source: Source) -> list[Piece]:
    shape = source.get("target_shape")
    if not isinstance(shape, list) or len(shape) not in (1, 2) or not all(isinstance(n, int) for n in shape):
        source.refuse(f"reshapes to {shape}; only (positions, channels) or (channels) can be imported")
    return [Piece("reshape", {"shape": shape})]


def _permute(source: Source) -> list[Piece]:
    dims = list(source.get("dims") or ())
    if dims not in ([1, 2], [2, 1]):
        source.refuse(f"permutes axes {dims}; only positions and channels can be imported")
    return [Piece("permute" if dims == [2, 1] else "identity")]


def _sides(kind: str, key: str) -> Translator:
    def translate(source: Source) -> list[Piece]:
        source.channels_last()
        left, right = source.pair(key)
        return [Piece(kind, {"left": left, "right": right})]

    return translate


def _merge(kind: str) -> Translator:
    return lambda source: [Piece(kind)]


def is_custom(layer: KerasLayer) -> bool:
    """Whether Keras 3 says that a layer's class is the user's own; those of published layers are known."""
    of_keras = layer.module.partition(".")[0] in ("", "keras", "tf_keras", "tensorflow", "builtins")
    return not of_keras and layer.kind not in PUBLISHED


def why_not(layer: KerasLayer) -> str:
    """Say why a layer can't be translated."""
    if layer.kind == "Lambda":
        return "holds Python code, which isn't run; use layers or keras.ops in its place and save it again"
    if is_custom(layer):
        return f"is a class of its own ({layer.module}), whose code isn't in the file"
    if layer.is_operation:
        return f"is an operation ({layer.module}) that can't be imported"
    return "isn't a kind that can be imported"


PUBLISHED: Mapping[str, Translator] = MappingProxyType(
    {
        **dict.fromkeys(["ConvDNA", "ConvSequence"], _convolution),
        "RevCompConv1D": both_strands(_convolution),
        "RevCompConv1DBatchNorm": both_strands(_batch_normalisation),
    }
)
"""Layers of published packages whose class isn't Keras's."""
TRANSLATORS: Mapping[str, Translator] = MappingProxyType(
    {
        **PUBLISHED,
        **dict.fromkeys(["Conv1D", "Convolution1D"], _convolution),
        "DepthwiseConv1D": _depthwise_convolution,
        **dict.fromkeys(["SeparableConv1D", "SeparableConvolution1D"], _separable),
        **dict.fromkeys(["Conv1DTranspose", "Convolution1DTranspose"], _transposed),
        "Dense": _dense,
        "TimeDistributed": _time_distributed,
        **dict.fromkeys([f"BatchNormalization{v}" for v in ("", "V1", "V2")], _batch_normalisation),
        "LayerNormalization": _layer_normalisation,
        "Activation": _activation,
        "ReLU": _relu,
        "LeakyReLU": _leaky_relu,
        "ELU": lambda source: [Piece("elu", {"alpha": source.number("alpha", 1.0)})],
        "PReLU": _prelu,
        "Softmax": lambda source: [Piece("softmax", {"axis": source.integer("axis", -1)})],
        "MaxPooling1D": _pool("max"),
        "AveragePooling1D": _pool("average"),
        **dict.fromkeys(["GlobalMaxPooling1D", "GlobalMaxPool1D"], _global_pool("max")),
        **dict.fromkeys(["GlobalAveragePooling1D", "GlobalAvgPool1D"], _global_pool("average")),
        "Flatten": lambda source: [Piece("flatten")],
        "Reshape": _reshape,
        "Permute": _permute,
        **{name: _merge(name.lower()) for name in ("Add", "Subtract", "Multiply", "Average", "Maximum")},
        "Concatenate": lambda source: [Piece("concatenate", {"axis": source.integer("axis", -1)})],
        "Cropping1D": _sides("crop", "cropping"),
        "ZeroPadding1D": _sides("zero-pad", "padding"),
        "UpSampling1D": lambda source: [Piece("upsample", {"size": source.integer("size", 2)})],
        **dict.fromkeys(["LSTM", "GRU"], recurrent),
        "Bidirectional": bidirectional,
    }
)  # fmt: skip
