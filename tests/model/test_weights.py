"""Weights from files: what stands around the names is taken off and said; what doesn't fit is named."""

import argparse
import json
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file, save_model
from torch import nn

from sparselrp_cli.errors import ModelError
from sparselrp_cli.model.state_dict import find_weights
from sparselrp_cli.model.weights import fill, load_checkpoint


class Net(nn.Module):
    def __init__(self, seed: int = 1) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.scan = nn.Conv1d(4, 3, 5)
        self.norm = nn.BatchNorm1d(3)
        self.head = nn.Linear(3, 2)


class Wrapped(nn.Module):
    """A network whose own child is called `module`."""

    def __init__(self, seed: int = 1) -> None:
        super().__init__()
        self.module = Net(seed)


class Tied(nn.Module):
    def __init__(self, seed: int = 1) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.one = nn.Linear(3, 3)
        self.other = self.one


class Views(nn.Module):
    """Two parameters that overlap, but aren't the same."""

    def __init__(self) -> None:
        super().__init__()
        self.whole = nn.Parameter(torch.arange(6.0))
        self.front = nn.Parameter(self.whole.data[:3])


def prefixed(prefix: str, weights: dict) -> dict:
    return {prefix + name: tensor for name, tensor in weights.items()}


def trained() -> dict:
    return Net(2).state_dict()


def written(path: Path, document: object) -> Path:
    save_file(document, path) if path.suffix == ".safetensors" else torch.save(document, path)
    return path


def filled_as(module: nn.Module, weights: dict) -> bool:
    return all(torch.equal(tensor, weights[name]) for name, tensor in module.state_dict().items())


PREFIXES = ("model.", "module.", "_orig_mod.", "net.", "module.model.", "_orig_mod.module.", "encoder.body.")


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".bin", ".safetensors"])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_shared_prefix_is_taken_off_and_said(tmp_path, prefix, suffix):
    module, path = Net(), tmp_path / f"w{suffix}"
    notes = fill(module, written(path, prefixed(prefix, trained()))).notes
    assert filled_as(module, trained())
    (line,) = notes
    assert line == f"{path}: the prefix '{prefix}' is taken off their names"


def test_names_that_fit_are_loaded_without_a_word(tmp_path):
    module = Net()
    filled = fill(module, written(tmp_path / "w.pt", trained()))
    assert filled_as(module, trained())
    assert filled.names == set(trained())
    assert filled.notes == ()


KEYS = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params", "ema", "generator")


@pytest.mark.parametrize("key", KEYS)
def test_a_nested_state_dict_is_found_by_what_fits(tmp_path, key):
    optimizer = {"state": {0: {"exp_avg": torch.zeros(3, 4, 5)}}, "param_groups": [{"lr": 0.1}]}
    document = {"epoch": 3, "optimizer": optimizer, key: trained(), "history": {"loss": torch.zeros(5)}}
    module, path = Net(), tmp_path / "w.pt"
    notes = fill(module, written(path, document)).notes
    assert filled_as(module, trained())
    assert notes == (f"{path}: weights are taken from '{key}'",)


def test_a_nested_one_within_another_with_a_prefix_is_found(tmp_path):
    module, path = Net(), tmp_path / "w.pt"
    document = {"checkpoint": {"model": prefixed("module.", trained())}}
    notes = fill(module, written(path, document)).notes
    assert filled_as(module, trained())
    assert notes == (
        f"{path}: weights are taken from 'checkpoint.model', the prefix 'module.' is taken off their names",
    )


def test_what_a_lightning_checkpoint_holds_beside_the_model_is_left_out_and_said(tmp_path):
    beside = {"criterion.weight": torch.ones(2), "valid_auc.scores": torch.ones(9)}
    module, path = Net(), tmp_path / "w.ckpt"
    notes = fill(module, written(path, {"state_dict": {**prefixed("model.", trained()), **beside}})).notes
    assert filled_as(module, trained())
    assert notes[0].endswith(
        "the prefix 'model.' is taken off their names, 2 others are left out ('criterion.weight',"
        " 'valid_auc.scores')"
    )


@pytest.mark.parametrize("wrapper", ["_orig_mod.", "_fsdp_wrapped_module."])
def test_a_compiled_part_of_a_model_is_recognised(tmp_path, wrapper):
    names = {name.replace("scan.", f"scan.{wrapper}"): t for name, t in trained().items()}
    module = Net()
    fill(module, written(tmp_path / "w.pt", prefixed("model.", names)))
    assert filled_as(module, trained())


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_child_that_is_called_module_keeps_its_name(tmp_path, prefix):
    weights, module = Wrapped(2).state_dict(), Wrapped()
    fill(module, written(tmp_path / "w.pt", prefixed(prefix, weights)))
    assert filled_as(module, weights)


@pytest.mark.parametrize("optional", ["norm.num_batches_tracked"])
def test_a_counter_that_older_files_lack_isnt_missed(tmp_path, optional):
    weights = prefixed("model.", {n: t for n, t in trained().items() if n != optional})
    module = Net()
    fill(module, written(tmp_path / "w.pt", weights))
    assert torch.equal(module.scan.weight, trained()["scan.weight"])


def without_scan() -> dict:
    return {name: t for name, t in trained().items() if name != "scan.weight"}


MODEL_NAMES = "the model's names are 'scan.weight', 'scan.bias', 'norm.weight', ...; "


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            lambda: prefixed("conv_", trained()),
            f"weights for 'scan.weight' are missing (8 in all): {MODEL_NAMES}the file's are"
            " 'conv_scan.weight', 'conv_scan.bias', 'conv_norm.weight', ...",
        ),
        (
            without_scan,
            f"weights for 'scan.weight' are missing (1 in all): {MODEL_NAMES}the file's are 'scan.bias',"
            " 'norm.weight', 'norm.bias', ...",
        ),
        (
            lambda: {"state_dict": prefixed("model.", without_scan())},
            f"weights for 'scan.weight' are missing under 'state_dict.model' (1 in all): {MODEL_NAMES}the"
            " file's are 'scan.bias', 'norm.weight', 'norm.bias', ...",
        ),
        (
            lambda: {**without_scan(), "scan.weight_v": torch.ones(1)},
            f"weights for 'scan.weight' are missing (1 in all): {MODEL_NAMES}the file's are 'scan.weight_v',"
            " 'scan.bias', 'norm.weight', ...",
        ),
        (
            lambda: {**trained(), "extra.weight": torch.ones(1)},
            f"the model has no 'extra.weight' (1 such in all): {MODEL_NAMES}others of the file are"
            " 'extra.weight'",
        ),
        (
            lambda: prefixed("model.", {**trained(), "extra.weight": torch.ones(1)}),
            f"the model has no 'extra.weight' under 'model' (1 such in all): {MODEL_NAMES}others of the file"
            " are 'extra.weight'",
        ),
        (
            lambda: {**trained(), "head.weight": torch.ones(5, 3)},
            "'head.weight' has shape (5, 3), the model's is (2, 3)",
        ),
        (lambda: {"epoch": 3}, "holds no state dict (names and tensors)"),
        (lambda: torch.ones(3), "holds no state dict (names and tensors)"),
        (
            lambda: {"model": trained(), "ema": Net(3).state_dict()},
            "2 sets of weights in it fit the model, at 'model' and 'ema', and they differ; save the one you"
            " mean alone",
        ),
        (
            lambda: {**prefixed("0.", trained()), **prefixed("1.", Net(3).state_dict())},
            "2 sets of weights in it fit the model, at '0' and '1', and they differ; save the one you mean"
            " alone",
        ),
        (
            lambda: {**trained(), "head.weight": torch.ones(2, 3, dtype=torch.int8)},
            "'head.weight' holds int8 numbers, the model's is float32; save the weights as floating-point"
            " numbers, not quantised or coded",
        ),
        (
            lambda: {**trained(), "head.weight": torch.ones(2, 3, dtype=torch.complex64)},
            "'head.weight' holds complex64 numbers, the model's is float32; save the weights as"
            " floating-point numbers, not quantised or coded",
        ),
    ],
    ids=[
        "other names", "one missing", "one missing in a nested one", "one under another name",
        "one more", "one more under the prefix",
        "shape", "no tensors", "no names", "two sets", "an ensemble", "quantised", "complex",
    ],
)  # fmt: skip
def test_weights_that_dont_fit_are_refused_with_names_of_both_sides(tmp_path, document, message):
    path = written(tmp_path / "w.pt", document())
    with pytest.raises(ModelError) as caught:
        fill(Net(), path)
    assert str(caught.value) == f"{path}: {message}"


def test_two_sets_of_the_same_numbers_are_one(tmp_path):
    module = Net()
    fill(module, written(tmp_path / "w.pt", {"model": trained(), "best": trained()}))
    assert filled_as(module, trained())


def test_a_second_name_of_a_tied_tensor_isnt_missed(tmp_path):
    source, module, path = Tied(2), Tied(), tmp_path / "w.safetensors"
    save_model(source, path)
    fill(module, path)
    assert filled_as(module, source.state_dict())
    assert module.other.weight is module.one.weight


def test_of_two_views_of_one_tensor_each_is_missed():
    with pytest.raises(ModelError, match=r"^w: weights for 'front' are missing \(1 in all\)"):
        find_weights(Views(), {"whole": torch.ones(6)}, Path("w"))


def test_two_values_for_one_tensor_are_refused(tmp_path):
    weights = {**Tied(2).state_dict(), "other.weight": torch.zeros(3, 3)}
    path = written(tmp_path / "w.pt", weights)
    with pytest.raises(ModelError) as caught:
        fill(Tied(), path)
    assert str(caught.value) == (
        f"{path}: 'one.weight' and 'other.weight' are one tensor in the model, and differ in the file; they"
        " aren't of this model"
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_weights_of_another_precision_become_the_models_and_that_is_said(tmp_path, dtype):
    module, path = Net(), tmp_path / "w.pt"
    theirs = {n: t.to(dtype) if t.is_floating_point() else t for n, t in trained().items()}
    notes = fill(module, written(path, theirs)).notes
    assert module.scan.weight.dtype == torch.float32
    assert filled_as(module, {n: t.to(trained()[n].dtype) for n, t in theirs.items()})
    name = str(dtype).removeprefix("torch.")
    assert notes == (f"{path}: {name} weights become the model's float32",)


def test_names_of_an_older_torch_are_loaded_as_torch_does(tmp_path):
    module = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    old = {"weight_g": torch.full((2, 1), 2.0), "weight_v": torch.eye(2, 3), "bias": torch.ones(2)}
    fill(module, written(tmp_path / "w.pt", {"state_dict": old}))
    torch.testing.assert_close(module.weight.detach(), 2 * torch.eye(2, 3))


BESIDE = {
    "a namespace": (argparse.Namespace(lr=1), "argparse.Namespace"),
    "a class": (torch.optim.Adam, "torch.optim.adam.Adam"),
    "an optimiser": (torch.optim.SGD([nn.Parameter(torch.ones(1))]), "torch.optim.sgd.SGD"),
    "a path": (Path("runs"), "pathlib.PosixPath"),
    "a number of NumPy's": (np.float64(0.5), "numpy._core.multiarray.scalar"),
}


@pytest.mark.parametrize(("value", "kind"), BESIDE.values(), ids=BESIDE)
def test_objects_beside_the_weights_are_left_out_and_said(tmp_path, value, kind):
    module, path = Net(), tmp_path / "w.ckpt"
    torch.save({"state_dict": trained(), "more": [{"deep": value}]}, path)
    notes = fill(module, path).notes
    assert filled_as(module, trained())
    assert notes[0].startswith(f"{path}: objects that aren't weights are left out ({kind}")
    assert notes[1] == f"{path}: weights are taken from 'state_dict'"


class Marks:
    """Touches a file where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_code_beside_the_weights_isnt_run(tmp_path):
    torch.save({"state_dict": trained(), "more": Marks(tmp_path / "mark")}, tmp_path / "w.ckpt")
    module = Net()
    fill(module, tmp_path / "w.ckpt")
    assert filled_as(module, trained())
    assert not (tmp_path / "mark").exists()
    torch.load(tmp_path / "w.ckpt", weights_only=False)
    assert (tmp_path / "mark").exists(), "the bomb of this test is a dud"


@pytest.mark.parametrize(
    ("wrapped", "place", "prefix"),
    [
        (lambda net: net, "", ""),
        (lambda net: {"model": net, "epoch": 3}, "model", ""),
        (nn.DataParallel, "", "module."),
        (lambda net: {"net": nn.DataParallel(net)}, "net", "module."),
    ],
    ids=["alone", "under a key", "DataParallel", "both"],
)
def test_of_a_pickled_module_the_weights_are_read_without_its_code(tmp_path, wrapped, place, prefix):
    source = Net(2)
    source.register_buffer("scratch", torch.ones(3), persistent=False)
    module, path = Net(), tmp_path / "w.pt"
    torch.save(wrapped(source), path)
    notes = fill(module, path).notes
    assert filled_as(module, trained())
    taken = [f"weights are taken from '{place}'"] if place else []
    taken += [f"the prefix '{prefix}' is taken off their names"] if prefix else []
    assert notes == ((f"{path}: {', '.join(taken)}",) if taken else ())


def test_a_checkpoint_of_the_old_form_with_objects_says_how_to_save_the_weights_alone(tmp_path):
    path = tmp_path / "w.ckpt"
    document = {"state_dict": trained(), "hyper_parameters": argparse.Namespace(lr=1)}
    torch.save(document, path, _use_new_zipfile_serialization=False)
    with pytest.raises(ModelError) as caught:
        fill(Net(), path)
    assert str(caught.value) == (
        f"{path}: holds more than tensors (argparse.Namespace), so reading it could run code; save its state"
        " dict alone where you trust it: d = torch.load('w.ckpt', map_location='cpu', weights_only=False);"
        " torch.save(d.get('state_dict', d), 'weights.pt')"
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_torchscript_archive_is_named(tmp_path):
    path = tmp_path / "w.pt"
    torch.jit.save(torch.jit.trace(nn.Linear(3, 2), torch.ones(1, 3)), path)
    with pytest.raises(ModelError) as caught:
        fill(Net(), path)
    assert str(caught.value) == (
        f"{path}: a TorchScript archive, which holds code; use the original checkpoint"
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "m.h5",
            b"\x89HDF\r\n\x1a\n....",
            "a Keras or HDF5 file; if it is a Keras model, make a model folder of it with `sparselrp import"
            " {path} -o FOLDER`, and give that with -m",
        ),
        (
            "m.keras",
            b"PK",
            "a Keras archive; make a model folder of it with `sparselrp import {path} -o FOLDER`, and give"
            " that with -m",
        ),
        (
            "pytorch_model.bin.index.json",
            b"{}",
            "no index of weights: its 'weight_map' of names to files is missing",
        ),
        (
            "m.pb",
            b"\n",
            "a TensorFlow graph; make a model folder of it with `sparselrp import {path} -o FOLDER`, and give"
            " that with -m",
        ),
        (
            "m.onnx",
            b"\x08",
            "an ONNX model, which isn't read; give the PyTorch model that it was exported from",
        ),
        (
            "w.pt",
            b"version https://git-lfs.github.com/spec/v1",
            "a pointer of Git LFS and not the file itself; get that with `git lfs pull`",
        ),
        ("w.pt", b"<!DOCTYPE html>", "a web page; download the file itself"),
        ("w.pt.gz", b"\x1f\x8b\x08", "compressed by gzip; unpack it first"),
        (
            "w.npz",
            b"PK",
            "arrays of numpy; write them as weights: torch.save({{k: torch.from_numpy(v) for k, v in"
            " np.load('w.npz').items()}}, 'weights.pt')",
        ),
        (
            "w.pkl",
            pickle.dumps({"w": 1}),
            "a plain pickle, and reading it could run code; write it anew where you trust it:"
            " torch.save(pickle.load(open('w.pkl', 'rb')), 'weights.pt')",
        ),
        ("w.pt", b"nothing", "corrupt or not a weights file; get the file again"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 30 else "",
)
def test_a_file_of_another_kind_is_named_with_the_way_to_read_it(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        fill(Net(), path)
    assert str(caught.value) == f"{path}: {message.format(path=path)}"


class WithAttributes(dict):
    """Pickled as a dictionary with attributes in the place of its methods."""

    def __reduce__(self):
        return OrderedDict, (), dict.fromkeys(("items", "keys", "values", "get"), 3), None, iter(self.items())


def test_attributes_that_a_pickle_hangs_on_what_it_holds_change_nothing(tmp_path):
    weights = WithAttributes(trained())
    bias = nn.Parameter(weights["head.bias"])
    bias.isnan = bias.detach = bias.numel = 3
    weights["head.bias"] = bias
    module = Net()
    fill(module, written(tmp_path / "w.pt", {"state_dict": weights}))
    assert filled_as(module, trained())


def sharded(folder: Path, save=save_file, ending="safetensors", **changes: object) -> Path:
    """Weights in two files and the index beside them, as large models are published."""
    weights, files = trained(), [f"model-0000{i}-of-00002.{ending}" for i in (1, 2)]
    places = {name: files[i % 2] for i, name in enumerate(weights)}
    for file in files:
        save({name: weights[name] for name in weights if places[name] == file}, folder / file)
    path = folder / f"model.{ending}.index.json"
    path.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places | changes}))
    return path


@pytest.mark.parametrize(("save", "ending"), [(save_file, "safetensors"), (torch.save, "bin")])
def test_weights_of_several_files_are_joined_by_their_index(tmp_path, save, ending):
    module = Net()
    path = sharded(tmp_path, save, ending)
    filled = fill(module, path)
    assert filled_as(module, trained())
    assert filled.notes == (f"{path}: weights of 2 files",)
    assert load_checkpoint(path).parts == tuple(tmp_path / f"model-0000{i}-of-00002.{ending}" for i in (1, 2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scan.bias": "../other.safetensors"}, "{path}: 'scan.bias' lies in '../other.safetensors', which"),
        ({"scan.bias": 3}, "{path}: 'scan.bias' lies in 3, which isn't the name of a file beside it"),
        (
            {"scan.bias": "other.safetensors"},
            "{folder}/other.safetensors: no such file, and {path.name} names it",
        ),
        (
            {"more": "model-00001-of-00002.safetensors"},
            "{folder}/model-00001-of-00002.safetensors: lacks 'more', which {path.name} says is in it",
        ),
        ({"scan.bias": "model.safetensors.index.json"}, "{path}: 'scan.bias' lies in 'model.safetensors.i"),
    ],
    ids=["elsewhere", "no name", "missing", "not in it", "itself"],
)
def test_an_index_that_doesnt_fit_its_files_is_refused(tmp_path, changes, message):
    path = sharded(tmp_path, **changes)
    with pytest.raises(ModelError) as caught:
        fill(Net(), path)
    assert str(caught.value).startswith(message.format(path=path, folder=tmp_path))
