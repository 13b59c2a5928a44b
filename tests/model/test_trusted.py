"""Pickled modules and programs, for who trusts them; and files that are no model."""

import copy

import pytest
import torch
from torch import nn

from sparselrp_cli.errors import ModelError
from sparselrp_cli.graph.loaded import capture_model
from sparselrp_cli.model.loading import LoadedModel, load_model
from sparselrp_cli.model.request import ModelRequest

NET = nn.Sequential(nn.Conv1d(4, 3, 5), nn.GELU(), nn.Dropout(), nn.AdaptiveMaxPool1d(1), nn.Flatten())


@pytest.fixture
def load(tmp_path):
    def loaded(document: object, name: str = "net.pt") -> LoadedModel:
        torch.save(document, tmp_path / name)
        return load_model(ModelRequest(str(tmp_path / name), window=12, trust=True))

    return loaded


def changed(change) -> nn.Module:
    net = copy.deepcopy(NET)
    change(net)
    return net


@pytest.mark.parametrize(
    ("document", "note"),
    [
        (NET, None),
        (copy.deepcopy(NET).train(), None),
        (copy.deepcopy(NET).half(), None),
        (nn.DataParallel(NET), "the network within a DataParallel is taken"),
        (torch.optim.swa_utils.AveragedModel(NET), "the network within a AveragedModel is taken"),
        ({"model": NET, "epoch": 3}, "the model is taken from 'model'"),
        ({"ema": NET, "model": NET}, "the model is taken from 'ema'"),
    ],
    ids=["plain", "in training", "half", "DataParallel", "averaged", "under a key", "twice the same"],
)
def test_a_pickled_module_is_taken_out_of_what_is_around_it(tmp_path, load, document, note):
    model = load(document)
    assert type(model.module) is nn.Sequential
    assert not any(module.training for module in model.module.modules())
    assert model.notes == (() if note is None else (f"{tmp_path / 'net.pt'}: {note}",))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_compiled_module_is_unwrapped(load):
    model = load(torch.compile(NET))
    assert type(model.module) is nn.Sequential
    assert model.notes[0].endswith("the network within a OptimizedModule is taken")


class Exits:
    def __reduce__(self):
        return (exec, ("raise SystemExit(3)",))


class Breaks:
    def __reduce__(self):
        return (exec, ("{}['x']",))


DAMAGED = "a damaged module, or one pickled by another version of torch ({}); use FILE.py:FACTORY with -w"
REFUSED = {
    "a state dict": (NET.state_dict(), "holds weights without a model; use FILE.py:FACTORY with -w {path}"),
    "two models": (
        {"model": NET, "ema": copy.deepcopy(NET)},
        "holds 2 models, at 'model' and 'ema'; save the one you mean alone with torch.save",
    ),
    "a list": ([NET], "holds a list, not a torch.nn.Module"),
    "an exit": (Exits(), "loading what is pickled in it fails (SystemExit: 3)"),
    "an error": (Breaks(), "loading what is pickled in it fails (KeyError: 'x')"),
    "no table of modules": (
        changed(lambda net: net.__dict__.pop("_modules")),
        DAMAGED.format("AttributeError: 'Sequential' object has no attribute '_modules'"),
    ),
    "no buffers": (
        changed(lambda net: net[0].__dict__.pop("_buffers")),
        DAMAGED.format("AttributeError: 'Conv1d' object has no attribute '_buffers'"),
    ),
    "a number as a weight": (
        changed(lambda net: net[0]._parameters.update(weight=3)),
        DAMAGED.format("TypeError: what stands for a layer or a tensor isn't one"),
    ),
    "a number as a method": (
        changed(lambda net: net.__dict__.update(state_dict=3)),
        DAMAGED.format("TypeError: 'int' object is not callable"),
    ),
    "NaN": (
        changed(lambda net: net[0].bias.data.fill_(float("nan"))),
        "weights of '0.bias' hold NaN (3 of 3 values); training may have diverged: give weights from before"
        " that",
    ),
}


@pytest.mark.parametrize(("document", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_model_is_refused_in_one_line(tmp_path, load, document, message):
    with pytest.raises(ModelError) as caught:
        load(document)
    path = tmp_path / "net.pt"
    assert str(caught.value) == f"{path}: {message.replace('{path}', str(path))}"


def test_a_module_of_an_older_torch_is_refused_with_the_way_to_load_it(load):
    model = load(changed(lambda net: net[1].__dict__.pop("approximate")))
    with pytest.raises(ModelError) as caught:
        capture_model(model)
    assert str(caught.value) == (
        "the model can't take an input of shape (2, 4, 12): 'GELU' object has no attribute 'approximate'; if"
        " it was pickled, another version of torch or of its code did that: load its state dict into its"
        " class, FILE.py:FACTORY with -w"
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_nan_in_an_exported_program_is_named(tmp_path):
    net = changed(lambda net: net[0].bias.data.fill_(float("nan"))).eval()
    path = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(net, (torch.zeros(2, 4, 12),)), path)
    with pytest.raises(ModelError, match=r"net.pt2: weights of '0.bias' hold NaN \(3 of 3 values\)"):
        load_model(ModelRequest(str(path), window=12, trust=True))


def test_weights_beside_a_pickled_module_arent_left_unread(tmp_path):
    torch.save(NET, tmp_path / "net.pt")
    request = ModelRequest(str(tmp_path / "net.pt"), tmp_path / "w.pt", window=12, trust=True)
    with pytest.raises(ModelError, match=r"--weights goes with a factory; .*net.pt brings its own"):
        load_model(request)


KERAS = b"\x89HDF\r\n\x1a\n"
IMPORT = "make a model folder of it with `sparselrp import {path} -o FOLDER`, and give that with -m"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("net.h5", KERAS, f"a Keras or HDF5 file; if it is a Keras model, {IMPORT}"),
        ("net.pt", KERAS, f"a Keras or HDF5 file; if it is a Keras model, {IMPORT}"),
        ("net.hdf5", KERAS, f"a Keras or HDF5 file; if it is a Keras model, {IMPORT}"),
        ("net.pb", b"\n", f"a TensorFlow graph; {IMPORT}"),
        ("net.safetensors", b"", "holds weights without a model; use FILE.py:FACTORY with -w {path}"),
        ("net.ckpt", b"", "holds weights without a model; use FILE.py:FACTORY with -w {path}"),
        (
            "net.py",
            b"",
            "Python code; say which function or class in it makes the model: {path}:FACTORY",
        ),
        ("net.txt", b"", "not a model; give a model folder, FILE.py:FACTORY, or a .pt2 or .pt file"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("net") else "",
)
def test_a_file_that_is_no_model_is_named_with_what_to_do(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        load_model(ModelRequest(str(path)))
    assert str(caught.value) == f"{path}: {message.format(path=path)}"


def test_weights_of_a_model_folder_lead_to_the_folder(tmp_path):
    for name in ("model.json", "weights.safetensors"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(ModelError) as caught:
        load_model(ModelRequest(str(tmp_path / "weights.safetensors")))
    path = tmp_path / "weights.safetensors"
    assert str(caught.value) == f"{path}: weights of a model folder; give the folder: {tmp_path}"


PICKLED = {
    "a module": NET,
    "one under a key": {"net": NET, "epoch": 3},
    "DataParallel": nn.DataParallel(NET),
}
WAYS = (
    "; or name its class (torch.nn.modules.container.Sequential), FILE.py:Sequential with -w {path}: its"
    " weights are read without running code"
)
LOADS = (
    "{path}: loading this file can run code that is inside it; if you trust where it comes from, add"
    " --trust-model"
)


@pytest.mark.parametrize("document", PICKLED.values(), ids=PICKLED)
def test_a_pickled_module_that_isnt_trusted_has_two_ways_in(tmp_path, document):
    path = tmp_path / "net.torch"
    torch.save(document, path)
    with pytest.raises(ModelError) as caught:
        load_model(ModelRequest(str(path)))
    assert str(caught.value) == (LOADS + WAYS).format(path=path)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".torch", ".pkl", ".bin"])
@pytest.mark.parametrize("zipped", [True, False])
def test_weights_alone_arent_to_be_trusted_in_vain(tmp_path, suffix, zipped):
    path = tmp_path / f"net{suffix}"
    torch.save({"module.model." + k: v for k, v in NET.state_dict().items()}, path,
               _use_new_zipfile_serialization=zipped)  # fmt: skip
    with pytest.raises(ModelError) as caught:
        load_model(ModelRequest(str(path)))
    assert str(caught.value) == f"{path}: holds weights without a model; use FILE.py:FACTORY with -w {path}"


def test_objects_that_are_neither_have_to_be_trusted(tmp_path):
    torch.save(Exits(), tmp_path / "net.pt")
    with pytest.raises(ModelError) as caught:
        load_model(ModelRequest(str(tmp_path / "net.pt")))
    assert str(caught.value) == LOADS.format(path=tmp_path / "net.pt")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_torchscript_archive_says_what_to_give_instead(tmp_path):
    path = tmp_path / "net.pt"
    torch.jit.save(torch.jit.trace(nn.Linear(3, 2), torch.ones(1, 3)), path)
    with pytest.raises(ModelError) as caught:
        load_model(ModelRequest(str(path)))
    assert str(caught.value) == (
        f"{path}: a TorchScript archive; export the original model with torch.export instead"
    )
