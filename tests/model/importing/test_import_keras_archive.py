"""Keras's archives: what Keras computed, and what is refused by name; no code of a file runs."""

import functools
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from helpers.commands import command, error_line
from keras2_archives import VERSIONS, rewritten

from sparselrp_cli.errors import ModelError
from sparselrp_cli.graph.loaded import capture_model
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.model.importing import ImportRequest, import_model
from sparselrp_cli.model.importing.keras.filing import snake_case
from sparselrp_cli.model.loading import load_model
from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import NONE

DATA = Path(__file__).parent / "data"
STYLES = ("pooled", "chrombpnet", "danq", "recurrent", "zoo", "shapes", "strands")
STRANDS = DATA / "keras3-strands.keras"


def imported(path, window=None):
    (model,) = import_model(path, "auto", ImportRequest(window))
    return model


@functools.cache
def imported_by_style(style):
    return imported(DATA / f"keras3-{style}.keras")


@pytest.mark.parametrize("style", STYLES)
def test_an_archive_computes_what_keras_computed(style):
    model = imported_by_style(style)
    with np.load(DATA / f"keras3-{style}.npz") as stored:
        x = torch.tensor(np.eye(4)[stored["bases"]]).transpose(1, 2)
        expected = [stored[name] for name in stored.files if name != "bases"]
    assert x.shape[2] == model.window
    with torch.no_grad():
        outputs = model.build(style).double()(x)
    found = list(outputs.values()) if isinstance(outputs, dict) else [outputs]
    for value, keras in zip(found, expected, strict=True):
        value = value.transpose(1, 2) if value.dim() == 3 else value
        np.testing.assert_allclose(value.numpy(), keras, atol=1e-6 * max(1, np.abs(keras).max()))


@pytest.mark.parametrize("windows", [False, True], ids=["slashes", "backslashes"])
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("style", ["pooled", "chrombpnet", "recurrent", "zoo"])
def test_an_archive_of_keras_2_is_the_same_network(tmp_path, style, version, windows):
    source = DATA / f"keras3-{style}.keras"
    model = imported(rewritten(source, tmp_path / source.name, version, windows=windows))
    expected = imported_by_style(style)
    assert model.arguments == expected.arguments
    assert model.weights.keys() == expected.weights.keys()
    assert all(torch.equal(tensor, expected.weights[name]) for name, tensor in model.weights.items())


@pytest.mark.parametrize(
    ("version", "said"), [("2.12.0", "2.14.0"), ("2.14.0", "2.13.1"), ("2.13.1", "2.15.0")]
)
def test_weights_that_are_filed_otherwise_than_the_version_does_are_refused(tmp_path, version, said):
    path = rewritten(DATA / "keras3-pooled.keras", tmp_path / "net.keras", version)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    packed(path, {**parts, "metadata.json": json.dumps({"keras_version": said}).encode()})
    with pytest.raises(
        ModelError, match=r"no layer's by the names that this version|has no 'kernel' among its"
    ):
        imported(path)


def test_an_archive_becomes_a_folder_that_can_be_explained(tmp_path, capsys):
    assert command("import", STRANDS, "-o", tmp_path / "net") == 0
    said = capsys.readouterr().out
    assert said == (
        f"{tmp_path / 'net'}: windows of 30 bp, output both (2); next: sparselrp inspect {tmp_path / 'net'}\n"
    )
    model = load_model(ModelRequest(str(tmp_path / "net")))
    model.module.double()
    # One-hot windows repeat k-mers, and of equal maxima a gradient takes shares and a rule takes one.
    x = torch.rand(3, 4, 30, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    explainer = Explainer(
        capture_model(model), [Target("1", (Term(0, 1, None),))], composite=PRESETS["zero"], pruning=NONE
    )
    (found,) = explainer.explain(x.detach())
    (gradient,) = torch.autograd.grad(model.module(x)[:, 1].sum(), x)
    torch.testing.assert_close(found.hypothetical * x.detach(), gradient * x.detach(), rtol=1e-9, atol=1e-12)
    assert float(found.conservation_error.max()) < 1e-9


@pytest.mark.parametrize(
    ("name", "filed"),
    [
        ("Conv1D", "conv1d"),
        ("Conv1DTranspose", "conv1d_transpose"),
        ("SpatialDropout1D", "spatial_dropout1d"),
        ("LSTM", "lstm"),
        ("PReLU", "p_re_lu"),
        ("GlobalMaxPooling1D", "global_max_pooling1d"),
        ("LayerNormalization", "layer_normalization"),
    ],
)
def test_layers_are_filed_under_the_names_that_keras_gives_their_classes(name, filed):
    assert snake_case(name) == filed


Change = Callable[[dict], object]


def changed(path: Path, config: Change = dict, weights: Callable[[h5py.File], object] | None = None) -> Path:
    """Copy the archive with both strands, with changes; a change that gives None or a dict works in place."""
    with zipfile.ZipFile(STRANDS) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    document = json.loads(contents["config.json"])
    config(document)
    contents["config.json"] = json.dumps(document).encode()
    if weights is not None:
        stream = io.BytesIO(contents["model.weights.h5"])
        with h5py.File(stream, "r+") as file:
            weights(file)
        contents["model.weights.h5"] = stream.getvalue()
    return packed(path, contents)


def packed(path: Path, contents: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def layer_of(document: dict, name: str) -> dict:
    """Find a layer by its name, or an operation, which Keras names, by its class."""
    layers = document["config"]["layers"]
    return next(la for la in layers if la["config"]["name"] == name or la["class_name"] == name)


def of_layer(name: str, **entries: object) -> Change:
    return lambda document: layer_of(document, name).update(entries)


def setting(name: str, **entries: object) -> Change:
    return lambda document: layer_of(document, name)["config"].update(entries)


FACTORY = "port the model to a PyTorch factory (FILE.py:FACTORY)"
QUANTISED = {"module": "keras", "class_name": "QuantizedDTypePolicy", "config": {"mode": "int8"}}
OWN = {"module": "mynet", "class_name": "function", "config": "relu", "registered_name": "function"}
CODE = {"class_name": "__lambda__", "config": {"code": "4wEAAAAAAAAA", "defaults": None, "closure": None}}
REFUSED = {
    "a lambda": (
        of_layer("shared", class_name="Lambda"),
        f"layer 'shared' (Lambda) holds Python code, which isn't run; use layers or keras.ops in its place"
        f" and save it again; {FACTORY}",
    ),
    "a lambda as activation": (
        setting("shared", activation=CODE),
        "layer 'shared' (Dense) has activation '__lambda__', which can't be imported; port the model",
    ),
    "a layer of another": (
        of_layer("shared", class_name="Attend", module="mynet", registered_name="mynet>Attend"),
        f"layer 'shared' (Attend) is a class of its own (mynet), whose code isn't in the file; {FACTORY}",
    ),
    "another's class of a known name": (
        of_layer("shared", module="mynet", registered_name="mynet>Dense"),
        f"layer 'shared' (Dense) is a class of its own (mynet), whose code isn't in the file; {FACTORY}",
    ),
    "another's dropout": (
        of_layer("shared", class_name="Dropout", module="mynet"),
        f"layer 'shared' (Dropout) is a class of its own (mynet), whose code isn't in the file; {FACTORY}",
    ),
    "another's function of a known name": (
        setting("shared", activation=OWN),
        "layer 'shared' (Dense) has activation 'mynet.relu', which can't be imported; port the model",
    ),
    "an unknown layer": (
        of_layer("shared", class_name="EinsumDense"),
        f"layer 'shared' (EinsumDense) isn't a kind that can be imported; {FACTORY}",
    ),
    "an unknown operation": (
        of_layer("relu", class_name="Erf", module="keras.src.ops.math"),
        f"layer 'relu' (Erf) is an operation (keras.src.ops.math) that can't be imported; {FACTORY}",
    ),
    "another axis": (setting("flip", axis=[0, 1]), "layer 'flip' (Flip) flips axes [0, 1]; only"),
    "a maximum over channels": (setting("max", axis=2), "layer 'max' (Max) reduces axis 2; only that of"),
    "a quantised layer": (
        setting("shared", dtype=QUANTISED),
        "layer 'shared' (Dense) is quantised (QuantizedDTypePolicy), which can't be imported; save the model"
        " as it was before",
    ),
    "a class of models": (
        lambda document: document.update(class_name="MyNet"),
        "a model of class 'MyNet', whose code isn't in the file; build it with the functional API",
    ),
    "no layers": (
        lambda document: document["config"].pop("layers"),
        "its 'model_config' can't be understood (KeyError: 'layers')",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cant_be_imported_is_refused_with_the_layer_and_what_to_do(tmp_path, change, message):
    path = changed(tmp_path / "net.keras", change)
    with pytest.raises(ModelError) as caught:
        imported(path)
    assert str(caught.value).startswith(f"{path}: {message}")


ARGUMENTS = {
    "two numbers": [2, 3],
    "a list": [None, [1, 2]],
    "a text": [None, "x"],
    "a truth": [None, True],
}


@pytest.mark.parametrize("given", ARGUMENTS.values(), ids=ARGUMENTS)
def test_an_operation_on_what_is_no_number_is_refused(tmp_path, given):
    def change(document):
        node = layer_of(document, "Multiply")["inbound_nodes"][0]
        node["args"] = [node["args"][0] if value is None else value for value in given]

    with pytest.raises(ModelError, match=r"layer 'multiply\w*' \(Multiply\) computes with what is neither a"):
        imported(changed(tmp_path / "net.keras", change))


WEIGHTS = {
    "no weights of a layer": (
        lambda file: file["layers/dense"].__delitem__("vars"),
        "layer 'shared' (Dense) has no 'kernel' among its weights; get the file again",
    ),
    "one array too few": (
        lambda file: file["layers/dense/vars"].__delitem__("1"),
        "layer 'shared' (Dense) has 1 arrays of weights, not 2 (kernel, bias); save the model again without"
        " quantisation or LoRA",
    ),
    "those of another layer": (
        lambda file: file["layers/dense/vars"].attrs.modify("name", "other"),
        "the weights at '/layers/dense' are those of 'other', not of layer 'shared' (Dense); save the model"
        " again with a current Keras",
    ),
    "NaN": (
        lambda file: file["layers/dense/vars/1"].write_direct(np.full(5, np.nan, np.float32)),
        "weights '/layers/dense/vars/1' aren't finite; get the file again",
    ),
    "whole numbers": (
        lambda file: (
            file["layers/dense/vars"].__delitem__("1"),
            file["layers/dense/vars"].create_dataset("1", data=np.ones(5, np.int8)),
        ),
        "weights '/layers/dense/vars/1' are int8, not floats of 16, 32 or 64 bits; load the model in Keras"
        " and save it in float32",
    ),
    "another file's": (
        lambda file: (
            file["layers/dense/vars"].__delitem__("1"),
            file["layers/dense/vars"].__setitem__("1", h5py.ExternalLink("secret.h5", "/x")),
        ),
        "weights '/layers/dense/vars/1' are missing or damaged",
    ),
}


@pytest.mark.parametrize(("change", "message"), WEIGHTS.values(), ids=WEIGHTS)
def test_weights_that_are_wrong_are_named(tmp_path, change, message):
    path = changed(tmp_path / "net.keras", weights=change)
    with pytest.raises(ModelError) as caught:
        imported(path)
    assert str(caught.value) == f"{path}: {message}"


def contents() -> dict[str, bytes]:
    with zipfile.ZipFile(STRANDS) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


ARCHIVES = {
    "no weights": ({"config.json": b"{}"}, "holds no whole Keras model (no 'model.weights.h5')"),
    "no configuration": ({"model.weights.h5": b""}, "holds no whole Keras model (no 'config.json')"),
    "no JSON": ({"config.json": b"{", "model.weights.h5": b""}, "its 'config.json' isn't JSON"),
    "a list": ({"config.json": b"[]", "model.weights.h5": b""}, "its 'config.json' isn't a JSON object"),
    "an old Keras 2": (
        {"config.json": b"{}", "metadata.json": b'{"keras_version": "2.11.0"}', "model.weights.h5": b""},
        "written by Keras 2.11.0, whose archives aren't known; load it there and write it with"
        " model.save('NAME.h5')",
    ),
    "damaged weights": ({"model.weights.h5": b"nothing"}, "can't be read as a .keras archive ("),
}


@pytest.mark.parametrize(("parts", "message"), ARCHIVES.values(), ids=ARCHIVES)
def test_archives_that_arent_whole_are_refused(tmp_path, parts, message):
    path = tmp_path / "net.keras"
    packed(path, {**contents(), **parts} if message.startswith("can't") else parts)
    with pytest.raises(ModelError) as caught:
        imported(path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_an_archive_that_unpacks_to_more_than_deflate_can_hold_is_refused(tmp_path):
    path = packed(tmp_path / "net.keras", contents())
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"config.json") - 46
    content[entry + 24 : entry + 28] = (1 << 31).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"'config\.json' unpacks to more than it can hold"):
        imported(path)


def test_an_archive_cut_off_is_refused(tmp_path):
    path = tmp_path / "net.keras"
    path.write_bytes(STRANDS.read_bytes()[:2000])
    with pytest.raises(ModelError, match=r"can't be read as a \.keras archive"):
        imported(path)


def test_an_archive_given_as_a_model_leads_to_import(capsys):
    assert command("inspect", STRANDS) == 1
    assert error_line(capsys) == (
        f"sparselrp: error: {STRANDS}: a Keras archive; make a model folder of it with `sparselrp import"
        f" {STRANDS} -o FOLDER`, and give that with -m"
    )


def test_the_code_of_a_lambda_never_runs(tmp_path, capsys):
    code = f"__import__('pathlib').Path({str(tmp_path / 'mark')!r}).touch()"
    change = of_layer("shared", class_name="Lambda", config={"name": "shared", "function": code})
    path = changed(tmp_path / "net.keras", change)
    assert command("import", path, "-o", tmp_path / "net") == 1
    assert "(Lambda) holds Python code, which isn't run" in error_line(capsys)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.keras"]
