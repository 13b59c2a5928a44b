"""Writes Keras 3's own archives (`.keras`) of the models of `make_keras.py`, and of models that need Keras 3.

Run where Keras 3 is installed: `KERAS_BACKEND=torch python make_keras_archives.py`. The tests need no Keras.
Written with Keras 3.15.1 on torch 2.13.0.
"""

import zipfile
from pathlib import Path

import keras
import make_keras
import numpy as np
from keras import layers, ops

HERE = Path(__file__).parent
rng = np.random.default_rng(9)


def strands():
    """Both strands through one network, averaged in the model, as DeePaC does; and one layer used twice."""
    sequence = keras.Input((30, 4), name="dna")
    start = keras.Input((30, 4))
    x = layers.MaxPooling1D(3)(layers.Conv1D(5, 7, activation="relu")(start))
    encoder = keras.Model(start, layers.GlobalAveragePooling1D()(x), name="encoder")
    forward, reverse = encoder(sequence), encoder(ops.flip(sequence, axis=(1, 2)))
    mean = (forward + reverse) * 0.5
    shared = layers.Dense(5, name="shared")
    twice = ops.relu(shared(shared(mean))) / 2 - (1 - mean)
    best = ops.max(layers.Conv1D(5, 3, name="best")(sequence), axis=1)
    return keras.Model(sequence, layers.Dense(2, name="both")(ops.maximum(twice, best)))


def repacked(path):
    """Write the same contents in less room: the weights by `repack`, and the archive deflated."""
    weights = path.with_suffix(".weights.h5")
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    weights.write_bytes(contents["model.weights.h5"])
    make_keras.repack(weights)
    contents["model.weights.h5"] = weights.read_bytes()
    weights.unlink()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


def write(name, model):
    """Save a model with random weights everywhere, and its outputs for random windows."""
    for weight in model.weights:
        low, high = (0.5, 1.5) if weight.name in ("gamma", "moving_variance") else (-0.4, 0.4)
        weight.assign(rng.uniform(low, high, weight.shape).astype(np.float32))
    bases = rng.integers(0, 4, (3, model.input_shape[1]), dtype=np.int8)
    outputs = model.predict(np.eye(4, dtype=np.float32)[bases], verbose=0)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    path = HERE / f"keras3-{name}.keras"
    model.save(path)
    repacked(path)
    values = {f"output{i}": np.asarray(v) for i, v in enumerate(outputs)}
    np.savez_compressed(HERE / f"keras3-{name}.npz", bases=bases, **values)


if __name__ == "__main__":
    for make in (*make_keras.STYLES, strands):
        write(make.__name__, make())
