"""Checkpoints of bpnet-lite: what bpnet-lite computed, and nothing in the file that runs."""

import collections
import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sparselrp_cli.errors import ModelError
from sparselrp_cli.model.importing import ImportRequest, import_model
from sparselrp_cli.model.unpickling import Stub, read_checkpoint

DATA = Path(__file__).parent / "data"


def imported(path, **request):
    (model,) = import_model(path, "auto", ImportRequest(**request))
    return model


@pytest.mark.parametrize(
    ("name", "part", "prefix"),
    [
        ("stranded", None, ""),
        ("basepairnet", None, ""),
        ("chrombpnet", None, "accessibility-"),
        ("chrombpnet", "bias", "bias-"),
    ],
)
def test_an_imported_model_computes_what_bpnet_lite_computed_without_control_tracks(name, part, prefix):
    model = imported(DATA / f"bpnet-lite-{name}.torch", window=300, part=part)
    with np.load(DATA / f"bpnet-lite-{name}.npz") as stored:
        x = torch.tensor(np.eye(4)[stored["bases"]]).transpose(1, 2)
        expected = {o: stored[f"{prefix}{o}"] for o in ("profile", "counts")}
    with torch.no_grad():
        found = model.build(name).double()(x)
    for output, value in expected.items():
        np.testing.assert_allclose(found[output].numpy(), value, atol=1e-8)


def test_a_state_dict_gives_the_same_tensors_as_the_model_it_was_taken_of():
    whole = imported(DATA / "bpnet-lite-chrombpnet.torch")
    alone = imported(DATA / "bpnet-lite-state-dict.pt")
    assert whole.weights.keys() == alone.weights.keys()
    assert all(torch.equal(whole.weights[key], alone.weights[key]) for key in whole.weights)
    assert alone.arguments["trimming"] == 47 + 2 + 4 + 8
    assert any("trimming isn't in the file" in note for note in alone.notes)


def test_what_is_assumed_or_left_out_is_said():
    model = imported(DATA / "bpnet-lite-stranded.torch")
    assert model.notes == (
        "2 control tracks taken as zero",
        "windows of 1122 bp, for a profile of 1000; change it with --window",
    )
    notes = imported(DATA / "bpnet-lite-chrombpnet.torch").notes
    assert notes[0] == "'accessibility' of a ChromBPNet; its bias model is left out"


def test_a_part_of_a_single_model_is_refused():
    with pytest.raises(ModelError, match="--part goes with a ChromBPNet; this is a single model"):
        imported(DATA / "bpnet-lite-stranded.torch", part="bias")


def test_a_window_without_room_for_a_profile_is_refused():
    with pytest.raises(ModelError, match="a window of 122 bp leaves no profile; 122 bp are trimmed"):
        imported(DATA / "bpnet-lite-stranded.torch", window=122)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"iconv.weight": torch.zeros(4, 4, 20)}, "'iconv' is 20 bp wide"),
        ({"rconvs.1.weight": torch.zeros(4, 4, 5)}, "'rconvs.1' is 5 bp wide"),
        ({"norm.weight": torch.zeros(4)}, "has 'norm.weight', which a BPNet of bpnet-lite hasn't"),
        ({"linear.weight": torch.zeros(1, 9)}, "its heads don't fit 4 filters"),
    ],
)
def test_a_network_that_differs_from_bpnet_is_refused(tmp_path, change, message):
    state = torch.load(DATA / "bpnet-lite-state-dict.pt", weights_only=True)
    torch.save({**state, **change}, tmp_path / "model.pt")
    with pytest.raises(ModelError, match=message):
        imported(tmp_path / "model.pt")


def test_another_model_is_refused_with_what_to_do(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "model.pt")
    with pytest.raises(ModelError, match=r"no BPNet of bpnet-lite .* FILE.py:FACTORY with -w"):
        imported(tmp_path / "model.pt")


class Bomb:
    """Touches a file when it is unpickled as usual."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("way", ["path", "exec", "getattr"])
def test_a_call_hidden_in_a_checkpoint_does_not_run(tmp_path, way):
    marker = tmp_path / "ran"
    bomb = {
        "path": Bomb(Path.touch, marker),
        "exec": Bomb(exec, f"import pathlib; pathlib.Path({str(marker)!r}).touch()"),
        "getattr": Bomb(map, Bomb(getattr, marker, "touch"), []),
    }[way]
    state = torch.load(DATA / "bpnet-lite-state-dict.pt", weights_only=True)
    path = tmp_path / "model.pt"
    torch.save({"state_dict": state, "bomb": bomb}, path)
    model = imported(path)
    assert torch.equal(model.weights["stem.weight"], state["iconv.weight"])
    assert not marker.exists()
    if way != "getattr":
        torch.load(path, weights_only=False)
        assert marker.exists(), "the bomb of this test is a dud"


def test_objects_come_back_as_stand_ins_that_keep_their_state(tmp_path):
    counter = collections.Counter("aab")
    torch.save({"set": {1}, "net": nn.Conv1d(4, 2, 3), "counter": counter}, tmp_path / "model.pt")
    loaded = read_checkpoint(tmp_path / "model.pt")
    assert {type(v).__mro__[1] for v in loaded.values()} == {Stub}
    assert loaded["net"].path == "torch.nn.modules.conv.Conv1d"
    assert loaded["net"].state["kernel_size"] == (3,)
    assert isinstance(loaded["net"].state["_parameters"]["weight"], torch.Tensor)


def test_tensors_come_back_as_they_were_whatever_their_strides_and_types(tmp_path):
    base = torch.arange(24.0).reshape(4, 6)
    tensors = {
        "view": base[1:3, ::2], "transposed": base.T, "half": base.half(), "brain": base.bfloat16(),
        "double": base.double(), "long": torch.arange(3), "mask": base > 3, "empty": torch.empty(0, 3),
        "scalar": torch.tensor(2.5), "parameter": nn.Parameter(base),
    }  # fmt: skip
    torch.save(tensors, tmp_path / "model.pt")
    loaded = read_checkpoint(tmp_path / "model.pt")
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor), name


def rezipped(path, change):
    """Copy a ZIP archive with some members replaced."""
    stream = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return stream.getvalue()


def test_a_tensor_beyond_its_storage_is_refused(tmp_path):
    torch.save({"iconv.weight": torch.zeros(100)}, tmp_path / "model.pt")
    short = rezipped(tmp_path / "model.pt", lambda name, data: data[:40] if "/data/" in name else data)
    (tmp_path / "short.pt").write_bytes(short)
    with pytest.raises(ModelError, match=r"a damaged checkpoint \(ValueError: a tensor beyond its storage\)"):
        read_checkpoint(tmp_path / "short.pt")


def test_damaged_and_foreign_files_are_refused(tmp_path):
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("some.txt", "text")
    with pytest.raises(ModelError, match=r"a ZIP archive, but not one torch\.save wrote"):
        read_checkpoint(path)
    whole = (DATA / "bpnet-lite-stranded.torch").read_bytes()
    path.write_bytes(whole[:5000])
    with pytest.raises(ModelError, match=r"not a checkpoint of torch\.save in its present format"):
        read_checkpoint(path)
    cut = rezipped(DATA / "bpnet-lite-stranded.torch", lambda n, d: d[:99] if n.endswith("data.pkl") else d)
    path.write_bytes(cut)
    with pytest.raises(ModelError, match="a damaged checkpoint"):
        read_checkpoint(path)
    path.write_bytes(pickle.dumps({"weight": 1}))
    with pytest.raises(ModelError, match="save it again with a current PyTorch"):
        read_checkpoint(path)


def test_a_keras_archive_is_refused_with_what_to_do(tmp_path):
    path = tmp_path / "model.torch"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.weights.h5", b"")
    with pytest.raises(
        ModelError, match=r"the \.keras format; read it with sparselrp import --format keras-archive"
    ):
        imported(path)


def test_a_torchscript_archive_is_refused(tmp_path):
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", b"")
        archive.writestr("model/constants.pkl", b"")
    with pytest.raises(ModelError, match="a TorchScript archive, which holds code"):
        read_checkpoint(path)
