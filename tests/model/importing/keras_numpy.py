"""Keras models that are one chain of layers, computed in float64 from the file and Keras's definitions."""

import json

import h5py
import numpy as np


def forward(path, x):
    """Compute the output of a chain for one-hot windows (N, L, 4)."""
    with h5py.File(path) as file:
        config = json.loads(file.attrs["model_config"])["config"]
        layers = config["layers"] if isinstance(config, dict) else config
        for layer in layers:
            group = file["model_weights"].get(layer["config"]["name"])
            names = [] if group is None else [n.decode() for n in group.attrs["weight_names"]]
            arrays = {n.split("/")[-1].removesuffix(":0"): group[n][()].astype(float) for n in names}
            x = LAYERS[layer["class_name"]](layer["config"], arrays, x)
    return x


def convolution(config, arrays, x):
    """Slide kernels (width, in, out) over (N, L, in), one position at a time."""
    kernel = arrays["kernel"]
    width = len(kernel)
    if config["padding"] == "same":
        x = np.pad(x, ((0, 0), ((width - 1) // 2, width // 2), (0, 0)))
    y = np.stack(
        [np.einsum("nwi,wio->no", x[:, i : i + width], kernel) for i in range(x.shape[1] - width + 1)], 1
    )
    return function(config["activation"], y + arrays["bias"])


def normalisation(config, arrays, x):
    """Shift and scale the last axis by the statistics of the training."""
    spread = np.sqrt(arrays["moving_variance"] + config["epsilon"])
    return (x - arrays["moving_mean"]) / spread * arrays["gamma"] + arrays["beta"]


def function(name, x):
    """Apply an activation."""
    return {"relu": np.maximum(x, 0), "sigmoid": 1 / (1 + np.exp(-x)), "linear": x}[name]


LAYERS = {
    "InputLayer": lambda config, arrays, x: x,
    "Dropout": lambda config, arrays, x: x,
    "Conv1D": convolution,
    "ConvDNA": convolution,
    "BatchNormalization": normalisation,
    "ReLU": lambda config, arrays, x: np.maximum(x, 0),
    "Flatten": lambda config, arrays, x: x.reshape(len(x), -1),
    "Dense": lambda config, arrays, x: function(config["activation"], x @ arrays["kernel"] + arrays["bias"]),
}
