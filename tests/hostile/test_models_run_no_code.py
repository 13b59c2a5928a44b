"""Without --trust-model no byte of a pickle or a .pt2 is executed, whatever the file is called."""

import io
import json
import pickle
import pickletools
import tarfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from helpers.tiny_net import MODEL
from torch import nn

from sparselrp_cli.cli.main import run


class Payload:
    """Touches a file where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def plain_pickle(mark: Path) -> bytes:
    return pickle.dumps(Payload(mark))


def optimised_pickle(mark: Path) -> bytes:
    return pickletools.optimize(pickle.dumps({"state_dict": Payload(mark)}, protocol=0))


def torch_zip(mark: Path) -> bytes:
    stream = io.BytesIO()
    torch.save({"weight": torch.zeros(2), "more": Payload(mark)}, stream)
    return stream.getvalue()


def torch_legacy(mark: Path) -> bytes:
    stream = io.BytesIO()
    torch.save({"weight": Payload(mark)}, stream, _use_new_zipfile_serialization=False)
    return stream.getvalue()


def torch_tar(mark: Path) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            content = plain_pickle(mark)
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def exported_program(mark: Path) -> bytes:
    stream = io.BytesIO()
    program = torch.export.export(nn.Linear(4, 1), (torch.zeros(2, 4),))
    torch.export.save(program, stream)
    changed = io.BytesIO()
    with zipfile.ZipFile(stream) as given, zipfile.ZipFile(changed, "w") as archive:
        for name in given.namelist():
            content = given.read(name)
            # The weights and constants of a program may be pickles.
            harmless = name.endswith(("version", ".json", "byteorder", "format"))
            archive.writestr(name, content if harmless else plain_pickle(mark))
    return changed.getvalue()


def numpy_objects(mark: Path) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([Payload(mark)], object), allow_pickle=True)
    return stream.getvalue()


def keras_lambda(mark: Path) -> bytes:
    stream = io.BytesIO()
    code = f"__import__('pathlib').Path({str(mark)!r}).touch()"
    layer = {"class_name": "Lambda", "config": {"name": "l", "function": [code, None, None]}}
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}
    with h5py.File(stream, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        file.create_group("model_weights")
    return stream.getvalue()


def keras_archive_lambda(mark: Path) -> bytes:
    code = f"__import__('pathlib').Path({str(mark)!r}).touch()"
    layer = {"class_name": "Lambda", "config": {"name": "l", "function": code}, "module": "keras.layers"}
    start = {"class_name": "InputLayer", "config": {"name": "i", "batch_shape": [None, 9, 4]}}
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [start, layer]}}
    weights, stream = io.BytesIO(), io.BytesIO()
    h5py.File(weights, "w").close()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", weights.getvalue())
    return stream.getvalue()


def lightning_checkpoint(mark: Path) -> bytes:
    stream = io.BytesIO()
    values = {"channels": 3, "act": Payload(mark)}
    torch.save({"state_dict": {"w": torch.zeros(2)}, "hyper_parameters": values}, stream)
    return stream.getvalue()


KINDS = [
    plain_pickle, optimised_pickle, torch_zip, torch_legacy, torch_tar, exported_program, numpy_objects,
    keras_lambda, keras_archive_lambda, lightning_checkpoint,
]  # fmt: skip
SUFFIXES = [
    ".pt",
    ".pth",
    ".pkl",
    ".bin",
    ".pt2",
    ".safetensors",
    ".h5",
    ".json",
    ".npy",
    "",
    ".ckpt",
    ".keras",
]


def fails_clearly(capsys, *arguments: object) -> None:
    capsys.readouterr()
    assert run([str(a) for a in arguments]) in (1, 2)
    err = capsys.readouterr().err
    assert "internal error" not in err
    assert "Error: " in err or "error: " in err


@pytest.fixture
def mark(tmp_path) -> Path:
    """A file that exists once code has run."""
    return tmp_path / "code-has-run"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_no_code_is_run_under_any_name(tmp_path, mark, capsys, kind):
    content = kind(mark)
    assert not mark.exists()
    for suffix in SUFFIXES:
        path = tmp_path / f"model{suffix}"
        path.write_bytes(content)
        fails_clearly(capsys, "inspect", path, "--window", "20")
        fails_clearly(capsys, "import", path, "-o", tmp_path / "imported")
        factory = MODEL
        fails_clearly(capsys, "inspect", factory, "-w", path)
        folder = tmp_path / f"folder{suffix}"
        folder.mkdir()
        (folder / "weights.safetensors").write_bytes(content)
        arguments = {"window": 40, "channels": [3], "widths": [5], "pools": [4], "dense": [3], "tasks": 2}
        document = {"schema_version": 1, "architecture": {"name": "pooled-cnn", "arguments": arguments},
                    "weights": "weights.safetensors", "window": 40}  # fmt: skip
        (folder / "model.json").write_text(json.dumps(document))
        fails_clearly(capsys, "inspect", folder)
        assert not mark.exists(), suffix


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [plain_pickle, torch_zip, torch_legacy])
def test_the_same_file_runs_its_code_where_it_is_trusted(tmp_path, mark, kind):
    path = tmp_path / "model.pt"
    path.write_bytes(kind(mark))
    run(["inspect", str(path), "--window", "20", "--trust-model"])
    assert mark.exists()
