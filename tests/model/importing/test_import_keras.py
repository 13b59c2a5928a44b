"""Keras models: what Keras computed, what the definitions give in float64, and what is refused by name."""

import os
from pathlib import Path

import keras_numpy
import numpy as np
import pytest
import torch
from helpers import keras_files
from helpers.keras_files import SEQUENCE, dense, flatten, random, write

from sparselrp_cli.errors import ModelError
from sparselrp_cli.model.architectures.parts import same_padding
from sparselrp_cli.model.importing import ImportRequest, import_model

DATA = Path(__file__).parent / "data"
STYLES = ("pooled", "chrombpnet", "danq", "recurrent", "zoo", "shapes")


def imported(path, window=None):
    (model,) = import_model(path, "auto", ImportRequest(window))
    return model


def windows(bases):
    return torch.tensor(np.eye(4)[bases]).transpose(1, 2)


@pytest.mark.parametrize("style", STYLES)
def test_an_imported_model_computes_what_keras_computed(style):
    model = imported(DATA / f"keras-{style}.h5")
    with np.load(DATA / f"keras-{style}.npz") as stored:
        x = windows(stored["bases"])
        assert x.shape[2] == model.window
        expected = [stored[name] for name in stored.files if name != "bases"]
    with torch.no_grad():
        outputs = model.build(style).double()(x)
    found = list(outputs.values()) if isinstance(outputs, dict) else [outputs]
    for value, keras in zip(found, expected, strict=True):
        value = value.transpose(1, 2) if value.dim() == 3 else value
        np.testing.assert_allclose(value.numpy(), keras, atol=2e-6)


def test_outputs_keep_their_names_and_say_whether_they_run_along_the_sequence():
    profile, counts = imported(DATA / "keras-chrombpnet.h5").outputs
    assert (profile.name, profile.axes) == ("wo_bias_bpnet_logits_profile_predictions", "NP")
    assert (counts.name, counts.axes) == ("wo_bias_bpnet_logcount_predictions", "NT")
    assert [(o.name, o.axes) for o in imported(DATA / "keras-shapes.h5").outputs] == [
        ("profile", "NTP"),
        ("shares", "NTP"),
    ]


def chain(path):
    """Write convolution, normalisation, ReLU, flatten, dropout, dense in the dialect of Keras 2."""
    statistics = {"gamma:0": random(5), "beta:0": random(5), "moving_mean:0": random(5)}
    layers = [
        SEQUENCE,
        ("ConvDNA", {"name": "scan", "activation": "relu", "padding": "same", "strides": [1],
                     "use_bias": True, "dilation_rate": [1], "seq_length": None}, ["dna"],
         {"kernel:0": random(4, 4, 5), "bias:0": random(5)}),
        ("BatchNormalization", {"name": "norm", "axis": -1, "epsilon": 0.01, "center": True, "scale": True},
         ["scan"], {**statistics, "moving_variance:0": random(5) ** 2 + 1}),
        ("ReLU", {"name": "rise", "max_value": None}, ["norm"], {}),
        flatten("rise"),
        ("Dropout", {"name": "drop", "rate": 0.5}, ["flat"], {}),
        dense("site", "drop", 60, 1, activation="sigmoid"),
    ]  # fmt: skip
    return write(path, layers, ["site"])


def test_the_dialect_of_keras_2_gives_what_its_definitions_say(tmp_path):
    path = chain(tmp_path / "chain.h5")
    bases = np.random.default_rng(0).integers(0, 4, (6, 12))
    with torch.no_grad():
        found = imported(path).build("chain").double()(windows(bases)).numpy()
    np.testing.assert_allclose(found, keras_numpy.forward(path, np.eye(4)[bases]), atol=1e-12)


def test_the_oldest_dialect_of_sequential_models_reads_the_same(tmp_path):
    path = chain(tmp_path / "chain.h5")
    bases = np.random.default_rng(0).integers(0, 4, (6, 12))
    with keras_files.h5py.File(path, "a") as file:
        layers = keras_files.json.loads(file.attrs["model_config"])["config"]["layers"][1:]
        layers[0]["config"]["batch_input_shape"] = [None, 12, 4]
        plain = [{"class_name": layer["class_name"], "config": layer["config"]} for layer in layers]
        file.attrs["model_config"] = keras_files.json.dumps({"class_name": "Sequential", "config": plain})
        group = file["model_weights/norm"]
        names = group.attrs["weight_names"]
        del group.attrs["weight_names"]  # as Keras splits an attribute that is too long for HDF5
        group.attrs["weight_names0"], group.attrs["weight_names1"] = names[:3], names[3:]
    sequential = imported(path)
    functional = imported(chain(tmp_path / "other.h5"))
    with torch.no_grad():
        found, expected = (m.build("chain")(windows(bases).float()) for m in (sequential, functional))
    assert torch.equal(found, expected)


@pytest.mark.skipif("SPARSELRP_PUBLISHED" not in os.environ, reason="SPARSELRP_PUBLISHED names no folder")
@pytest.mark.parametrize(("name", "window"), [("Donor", 18), ("Acceptor", 53)])
def test_the_splice_site_models_of_mmsplice_give_what_their_definitions_say(name, window):
    path = Path(os.environ["SPARSELRP_PUBLISHED"]) / f"{name}.h5"
    if not path.is_file():
        pytest.skip(f"no {path}")
    model = imported(path)
    assert model.window == window
    bases = np.random.default_rng(0).integers(0, 4, (50, window))
    x = windows(bases)
    x[:, :, :2] = 0  # unknown bases
    with torch.no_grad():
        found = model.build(name).double()(x).numpy()
    expected = keras_numpy.forward(path, x.transpose(1, 2).numpy())
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize(
    ("width", "stride", "dilation"), [(3, 1, 1), (4, 1, 3), (5, 2, 1), (2, 3, 1), (7, 4, 2)]
)
@pytest.mark.parametrize("length", [8, 9, 13])
def test_same_padding_leaves_the_ceiling_of_length_over_stride(length, width, stride, dilation):
    left, right = same_padding(length, width, stride, dilation)
    assert right - left in (0, 1)
    if (length - 1) % stride + 1 <= (width - 1) * dilation + 1:
        reach = (width - 1) * dilation + 1
        assert (length + left + right - reach) // stride + 1 == -(-length // stride)


def refusal(path, layers, outputs=("site",), **more):
    with pytest.raises(ModelError) as error:
        imported(write(path, layers, outputs, **more))
    message = str(error.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def test_a_lambda_layer_is_refused_by_name_and_its_code_never_runs(tmp_path):
    marker = tmp_path / "ran"
    code = [f"__import__('pathlib').Path({str(marker)!r}).touch()", None, None]
    layers = [
        SEQUENCE,
        ("Lambda", {"name": "odd", "function": code, "function_type": "lambda"}, ["dna"], {}),
        flatten("odd"),
        dense("site", "flat"),
    ]
    message = refusal(tmp_path / "model.h5", layers)
    assert "layer 'odd' (Lambda) holds Python code, which isn't run" in message
    assert "FILE.py:FACTORY" in message
    assert not marker.exists()


MERGED = {
    "Add": np.add, "Subtract": np.subtract, "Multiply": np.multiply, "Maximum": np.maximum,
    "Average": lambda a, b: (a + b) / 2,
}  # fmt: skip


@pytest.mark.parametrize("turned", [False, True], ids=["positions first", "positions last"])
@pytest.mark.parametrize("kind", MERGED)
def test_numbers_without_positions_are_merged_with_those_of_every_position(tmp_path, kind, turned):
    """As in squeeze-and-excite: Keras's merging layers put the missing axis behind the windows."""
    sources = ["mean", "dna"] if turned else ["dna", "mean"]
    layers = [
        SEQUENCE,
        ("GlobalAveragePooling1D", {"name": "mean"}, ["dna"], {}),
        (kind, {"name": "merged"}, sources, {}),
        flatten("merged"),
        dense("site", "flat"),
    ]
    net = imported(write(tmp_path / "merged.h5", layers, ["site"])).build("merged").double()
    bases = np.random.default_rng(3).integers(0, 4, (3, 12))

    found = net(windows(bases)).detach().numpy()

    x = np.eye(4)[bases]
    both = (x.mean(1, keepdims=True), x) if turned else (x, x.mean(1, keepdims=True))
    merged = MERGED[kind](*np.broadcast_arrays(*both)).reshape(3, -1)
    np.testing.assert_allclose(found, merged @ random(48, 2) + random(2), atol=1e-6)


def test_a_second_input_is_refused_by_name(tmp_path):
    control = ("InputLayer", {"name": "control", "batch_input_shape": [None, 12, 2]}, [], {})
    both = ("Concatenate", {"name": "both", "axis": -1}, ["dna", "control"], {})
    layers = [SEQUENCE, control, both, flatten("both"), dense("site", "flat", 72)]
    message = refusal(tmp_path / "model.h5", layers, inputs=("dna", "control"))
    assert "besides the sequence 'dna' it takes 'control' (None, 12, 2)" in message


def test_an_input_that_is_no_sequence_is_refused(tmp_path):
    image = ("InputLayer", {"name": "dna", "batch_input_shape": [None, 12, 5]}, [], {})
    message = refusal(tmp_path / "model.h5", [image, flatten("dna"), dense("site", "flat", 60)])
    assert "no input is a one-hot sequence (None, L, 4); there is 'dna' (None, 12, 5)" in message


@pytest.mark.parametrize(
    ("kind", "config", "why"),
    [
        ("GRU", {"recurrent_activation": "sigmoid", "reset_after": False}, "reset_after=False"),
        ("LSTM", {"recurrent_activation": "hard_sigmoid"}, "recurrent_activation='hard_sigmoid'"),
        ("LSTM", {"recurrent_activation": "sigmoid", "go_backwards": True}, "goes backwards"),
        ("Conv1D", {"data_format": "channels_first"}, "data_format='channels_first'"),
        ("Conv1D", {"activation": "hard_tanh"}, "activation 'hard_tanh'"),
        ("Conv1D", {"padding": "full"}, "padding='full'"),
        ("Reshape", {"target_shape": [3, 4, 4]}, "reshapes to [3, 4, 4]"),
        ("BatchNormalization", {"axis": 0}, "normalises axis 0"),
        ("Activation", {"activation": {"class_name": "Custom>Exotic", "config": {}}}, "'Custom>Exotic'"),
    ],
)
def test_a_setting_that_cannot_be_expressed_is_refused_by_name(tmp_path, kind, config, why):
    weights = {"kernel:0": random(3, 4, 4), "bias:0": random(4)}
    if kind in ("GRU", "LSTM"):
        gates = {"GRU": 3, "LSTM": 4}[kind] * 2
        weights = {
            "kernel:0": random(4, gates),
            "recurrent_kernel:0": random(2, gates),
            "bias:0": random(gates),
        }
    layers = [
        SEQUENCE,
        (kind, {"name": "odd", **config}, ["dna"], weights),
        flatten("odd"),
        dense("site", "flat"),
    ]
    message = refusal(tmp_path / "model.h5", layers)
    assert f"layer 'odd' ({kind})" in message
    assert why in message


@pytest.mark.parametrize("first", [0, 1])
def test_a_layer_used_twice_has_the_same_weights_twice(tmp_path, first):
    layers = [SEQUENCE, flatten("dna"), dense("site", "flat", 48, 48, activation="tanh")]
    path = write(tmp_path / "model.h5", layers, ["site"])
    with keras_files.h5py.File(path, "a") as file:
        config = keras_files.json.loads(file.attrs["model_config"])
        config["config"]["layers"][2]["inbound_nodes"].append([["site", first, 0, {}]])
        config["config"]["output_layers"] = [["site", first + 1, 0]]
        file.attrs["model_config"] = keras_files.json.dumps(config)
        kernel, bias = (file[f"model_weights/site/site_1/{role}:0"][()] for role in ("kernel", "bias"))
    x = windows(np.random.default_rng(0).integers(0, 4, (6, 12)))
    flat = x.transpose(1, 2).flatten(1).numpy()
    once = np.tanh(flat @ kernel + bias)
    with torch.no_grad():
        found = imported(path).build("twice").double()(x).numpy()
    np.testing.assert_allclose(found, np.tanh(once @ kernel + bias), atol=1e-12)


STATISTICS = {"gamma:0": random(3), "beta:0": random(3), "moving_mean:0": random(3)}


def both_strands(path, **more):
    """Write a network of keras-genomics: a layer for both strands, its normalisation, the maximum."""
    scan = {"name": "scan", "activation": "relu", "padding": "same", "strides": [1], "use_bias": True}
    layers = [
        SEQUENCE,
        ("RevCompConv1D", scan, ["dna"], {"kernel:0": random(5, 4, 3), "bias:0": random(3), **more}),
        ("RevCompConv1DBatchNorm", {"name": "norm", "axis": -1, "epsilon": 0.01}, ["scan"],
         {**STATISTICS, "moving_variance:0": random(3) ** 2 + 1}),
    ]  # fmt: skip
    return write(path, layers, ["norm"])


def test_a_layer_that_shares_weights_between_strands_gives_the_other_strand_in_its_second_half(tmp_path):
    path = both_strands(tmp_path / "strands.h5")
    net = imported(path).build("strands").double()
    x = windows(np.random.default_rng(0).integers(0, 4, (6, 12)))
    with torch.no_grad():
        forward, other = net(x), net(x.flip(1, 2))
    assert forward.shape == (6, 6, 12)
    torch.testing.assert_close(other, forward.flip(1, 2), rtol=0, atol=1e-12)
    with keras_files.h5py.File(path) as file:
        kernel, bias = (
            torch.tensor(file[f"model_weights/scan/scan_1/{r}:0"][()]) for r in ("kernel", "bias")
        )
        gamma, beta, mean = (torch.tensor(STATISTICS[f"{r}:0"]) for r in ("gamma", "beta", "moving_mean"))
        variance = torch.tensor(file["model_weights/norm/norm_1/moving_variance:0"][()])
    scanned = torch.nn.functional.conv1d(x, kernel.permute(2, 1, 0).double(), bias.double(), padding=2).relu()
    column = lambda t: t.double()[:, None]  # noqa: E731
    expected = column(gamma) * (scanned - column(mean)) / (column(variance) + 0.01).sqrt() + column(beta)
    torch.testing.assert_close(forward[:, :3], expected, rtol=1e-7, atol=1e-7)


def test_weights_of_a_wrong_form_for_both_strands_are_refused(tmp_path):
    path = both_strands(tmp_path / "strands.h5", **{"kernel:0": random(4, 3)})
    with pytest.raises(ModelError, match=r"layer 'scan' \(RevCompConv1D\) has 'kernel' of shape \(4, 3\); 3"):
        imported(path)


def test_other_layers_for_both_strands_are_refused_by_name(tmp_path):
    layers = [SEQUENCE, ("DenseAfterRevcompConv1D", {"name": "site"}, ["dna"], {"kernel:0": random(24, 2)})]
    message = refusal(tmp_path / "model.h5", layers)
    assert (
        "layer 'site' (DenseAfterRevcompConv1D) isn't a kind that can be imported; port the model" in message
    )


def test_the_window_is_asked_for_where_the_file_leaves_it_open(tmp_path):
    free = ("InputLayer", {"name": "dna", "batch_input_shape": [None, None, 4]}, [], {})
    pooled = ("GlobalMaxPooling1D", {"name": "top"}, ["dna"], {})
    path = write(tmp_path / "model.h5", [free, pooled, dense("site", "top", 4)], ["site"])
    with pytest.raises(ModelError, match="give the window length with --window"):
        imported(path)
    assert imported(path, 30).window == 30


def test_another_window_than_the_files_is_refused(tmp_path):
    with pytest.raises(ModelError, match="takes sequences of 12 bp, not 30; leave --window out"):
        imported(chain(tmp_path / "chain.h5"), 30)


def test_layers_that_do_not_fit_together_are_refused(tmp_path):
    message = refusal(tmp_path / "model.h5", [SEQUENCE, flatten("dna"), dense("site", "flat", 47)])
    assert "can't be computed on windows of 12 bp" in message


def test_weights_that_are_not_finite_are_refused(tmp_path):
    layer = dense("site", "flat")
    layer[3]["kernel:0"][0, 0] = np.nan
    message = refusal(tmp_path / "model.h5", [SEQUENCE, flatten("dna"), layer])
    assert "weights 'site/site_1/kernel:0' aren't finite" in message


def test_missing_weights_are_named(tmp_path):
    layer = dense("site", "flat")
    del layer[3]["bias:0"]
    message = refusal(tmp_path / "model.h5", [SEQUENCE, flatten("dna"), layer])
    assert "layer 'site' (Dense) has no 'bias' among its weights" in message


def test_weights_alone_and_damaged_files_are_refused(tmp_path):
    alone = tmp_path / "alone.h5"
    with keras_files.h5py.File(alone, "w") as file:
        file["kernel"] = random(3)
    with pytest.raises(ModelError, match="holds no whole Keras model"):
        imported(alone)
    whole = chain(tmp_path / "chain.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 3])
    with pytest.raises(ModelError, match="can't be read as HDF5"):
        imported(tmp_path / "cut.h5")
