"""Writes small Keras models in every style that is imported, with what Keras computes for them.

Run where Keras 3 is installed: `KERAS_BACKEND=torch python make_keras.py`. The tests need no Keras.
Written with Keras 3.15.1 on torch 2.13.0.
"""

from pathlib import Path

import h5py
import keras
import numpy as np
from keras import layers

HERE = Path(__file__).parent
rng = np.random.default_rng(7)


def pooled():
    """Basset and DeepSTARR: convolution, normalisation, ReLU, pooling, flatten, dense."""
    return keras.Sequential(
        [
            layers.Input((50, 4)),
            layers.Conv1D(8, 7, padding="same"),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.MaxPooling1D(2),
            layers.Conv1D(6, 4, padding="same", activation="relu", use_bias=False),
            layers.BatchNormalization(scale=False, epsilon=1e-2),
            layers.MaxPooling1D(3, padding="same"),
            layers.SpatialDropout1D(0.1),
            layers.Flatten(),
            layers.Dense(12),
            layers.BatchNormalization(center=False),
            layers.ReLU(),
            layers.Dropout(0.4),
            layers.Dense(2, name="enhancer"),
        ],
        name="pooled",
    )


def chrombpnet():
    """The accessibility model of ChromBPNet, with its names of layers."""
    sequence = keras.Input((200, 4), name="sequence")
    prefix = "wo_bias_bpnet_"
    x = layers.Conv1D(8, 21, padding="valid", activation="relu", name=f"{prefix}1st_conv")(sequence)
    for i in (1, 2, 3):
        name = f"{prefix}{i}conv"
        convolved = layers.Conv1D(8, 3, padding="valid", dilation_rate=2**i, activation="relu", name=name)(x)
        x = layers.Cropping1D(2**i, name=f"{prefix}{i}crop")(x)
        x = layers.add([convolved, x])
    profile = layers.Conv1D(1, 25, padding="valid", name=f"{prefix}prof_out_precrop")(x)
    excess = profile.shape[1] - 100
    profile = layers.Cropping1D(excess // 2, name=f"{prefix}logits_profile_predictions_preflatten")(profile)
    profile = layers.Flatten(name=f"{prefix}logits_profile_predictions")(profile)
    pooled = layers.GlobalAveragePooling1D(name=f"{prefix}gap")(x)
    count = layers.Dense(1, name=f"{prefix}logcount_predictions")(pooled)
    return keras.Model(sequence, [profile, count])


def danq():
    """DanQ: convolution, pooling, bidirectional LSTM, flatten, dense, sigmoid."""
    return keras.Sequential(
        [
            layers.Input((40, 4)),
            layers.Conv1D(8, 5, activation="relu"),
            layers.MaxPooling1D(4, strides=4),
            layers.Dropout(0.2),
            layers.Bidirectional(layers.LSTM(5, return_sequences=True)),
            layers.Flatten(),
            layers.Dense(10, activation="relu"),
            layers.Dense(3, activation="sigmoid", name="marks"),
        ]
    )


def recurrent():
    """Every kind of recurrence that can be imported."""
    sequence = keras.Input((20, 4), name="dna")
    both = layers.Bidirectional(layers.GRU(3), name="gru_both")(sequence)
    along = layers.GRU(4, return_sequences=True, use_bias=False, name="gru_along")(sequence)
    last = layers.LSTM(4, name="lstm_last")(along)
    ends = layers.Bidirectional(layers.LSTM(3), name="lstm_both")(along)
    joined = layers.Concatenate(name="joined")([both, last, ends])
    return keras.Model(sequence, layers.Dense(2, activation="softmax", name="probability")(joined))


def inner():
    """A model to be nested."""
    start = keras.Input((30, 6))
    x = layers.Conv1D(6, 3, padding="same", activation="leaky_relu")(start)
    return keras.Model(start, layers.Add()([x, start]), name="nested")


def zoo():
    """Convolutions, activations, sums and normalisations of every kind."""
    sequence = keras.Input((30, 4), name="input")
    x = layers.SeparableConv1D(6, 5, padding="same", depth_multiplier=2, activation="gelu")(sequence)
    x = inner()(x)
    x = layers.LayerNormalization()(x)
    a = layers.Conv1D(6, 4, strides=3, padding="same", groups=2, activation="swish")(x)
    a = layers.UpSampling1D(3)(a)
    b = layers.Conv1D(6, 3, dilation_rate=2, padding="causal", activation="elu")(x)
    c = layers.DepthwiseConv1D(3, padding="same", activation="tanh")(x)
    a, b = layers.LeakyReLU(0.15)(a), layers.ELU(0.7)(b)
    d = layers.Subtract()([layers.Maximum()([a, b]), layers.Average()([a, c, x])])
    d = layers.PReLU(shared_axes=[1])(d)
    d = layers.Multiply()([d, layers.GlobalMaxPooling1D(keepdims=True)(x)])
    total = layers.Dense(3, activation="softplus", name="total")(layers.GlobalAveragePooling1D()(d))
    capped = layers.ReLU(max_value=0.2, name="capped")(layers.Dense(4)(total))
    return keras.Model(sequence, [total, layers.Dropout(0.5, name="kept")(capped)])


def shapes():
    """Pooling with padding, transposed convolution, and everything that moves numbers."""
    sequence = keras.Input((30, 4), name="input")
    x = layers.AveragePooling1D(4, strides=4, padding="same")(sequence)
    x = layers.Conv1DTranspose(5, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv1DTranspose(5, 2, strides=3, padding="valid")(x)
    x = layers.PReLU()(x)
    x = layers.ZeroPadding1D((2, 1))(layers.Cropping1D((3, 0))(x))
    y = layers.Flatten()(layers.Cropping1D((9, 11))(layers.Conv1D(5, 1)(sequence)))
    y = layers.Permute((2, 1))(layers.Reshape((5, 10))(y))
    x = layers.Concatenate(axis=1, name="longer")([x, layers.Conv1D(5, 2)(y)])
    profile = layers.TimeDistributed(layers.Dense(2), name="profile")(x)
    return keras.Model(sequence, [profile, layers.Softmax(axis=1, name="shares")(profile)])


def write(name, model):
    """Save a model with random weights everywhere, and its outputs for random windows."""
    for weight in model.weights:
        scale = 0.6 / np.sqrt(max(np.prod(weight.shape[:-1]), 1)) if len(weight.shape) > 1 else 0.2
        values = rng.normal(0, scale, weight.shape)
        if weight.name in ("gamma", "moving_variance"):
            values = rng.uniform(0.5, 1.5, weight.shape)
        weight.assign(values.astype(np.float32))
    bases = rng.integers(0, 4, (3, model.input_shape[1]), dtype=np.int8)
    outputs = model.predict(np.eye(4, dtype=np.float32)[bases], verbose=0)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    model.save(HERE / f"keras-{name}.h5", include_optimizer=False)
    repack(HERE / f"keras-{name}.h5")
    names = getattr(model, "output_names", [model.layers[-1].name])
    values = {n: np.asarray(v) for n, v in zip(names, outputs, strict=True)}
    np.savez_compressed(HERE / f"keras-{name}.npz", bases=bases, **values)


def copy(name, item, target):
    """Write one group or dataset again."""
    made = (
        target.create_group(name)
        if isinstance(item, h5py.Group)
        else target.create_dataset(name, data=item[()])
    )
    made.attrs.update(item.attrs)


def repack(path):
    """Write the same HDF5 contents in less room."""
    old = path.rename(path.with_suffix(".big"))
    with h5py.File(old) as source, h5py.File(path, "w", libver="latest") as target:
        target.attrs.update(source.attrs)
        source.visititems(lambda name, item: copy(name, item, target))
    old.unlink()


STYLES = (pooled, chrombpnet, danq, recurrent, zoo, shapes)

if __name__ == "__main__":
    for make in STYLES:
        write(make.__name__, make())
