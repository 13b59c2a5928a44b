"""Writes Keras models as Keras 2 did, layer by layer, without Keras."""

import json

import h5py
import numpy as np

SEQUENCE = ("InputLayer", {"name": "dna", "batch_input_shape": [None, 12, 4]}, [], {})


def random(*shape):
    return np.random.default_rng(sum(shape)).normal(0, 0.5, shape).astype(np.float32)


def dense(name, source, n_in=48, n_out=2, **more):
    """Describe a Dense layer: class, settings, what it takes, weights."""
    weights = {"kernel:0": random(n_in, n_out), "bias:0": random(n_out)}
    return ("Dense", {"name": name, "activation": "linear", "use_bias": True, **more}, [source], weights)


def flatten(source):
    return ("Flatten", {"name": "flat"}, [source], {})


def write(path, layers, outputs, inputs=("dna",)):
    """Write a functional model; each layer is class, settings, names of what it takes, and weights."""
    entries = [
        {
            "class_name": kind,
            "name": config["name"],
            "config": config,
            "inbound_nodes": [[[source, 0, 0, {}] for source in sources]] if sources else [],
        }
        for kind, config, sources, _ in layers
    ]
    model = {
        "layers": entries,
        "input_layers": [[name, 0, 0] for name in inputs],
        "output_layers": [[name, 0, 0] for name in outputs],
    }
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Model", "config": model})
        for _, config, _, weights in layers:
            group = file.create_group(f"model_weights/{config['name']}")
            names = [f"{config['name']}_1/{role}" for role in weights]
            group.attrs["weight_names"] = np.array(names, dtype="S")
            for name, array in zip(names, weights.values(), strict=True):
                group[name] = array
    return path
