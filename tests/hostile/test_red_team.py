"""What a red team tried on models, weights and arrays: each ends in one line, and is no fault of ours."""

import io
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from helpers.tiny_net import MODEL

from sparselrp_cli.cli.main import run
from sparselrp_cli.errors import ModelError
from sparselrp_cli.model.rows import RowsAsked, read_rows
from sparselrp_cli.model.unpickling import read_checkpoint

BEGIN, END = b"\x80\x02", b"."
NAMES = b"ccollections\nOrderedDict\n)R"


def text(word: str) -> bytes:
    return b"X" + struct.pack("<I", len(word)) + word.encode()


def attribute(name: str, value: bytes = b"N") -> bytes:
    """What a pickle's BUILD takes: attributes by name."""
    return b"}" + text(name) + value + b"s"


def checkpoint(path: Path, content: bytes) -> Path:
    """Write a checkpoint of torch.save with a pickle of one's own."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("w/data.pkl", content)
        archive.writestr("w/version", "3\n")
        archive.writestr("w/byteorder", "little")
    path.write_bytes(stream.getvalue())
    return path


METHODS = ["items", "keys", "values", "get", "copy", "update", "pop", "_metadata", "__dict__", "anything"]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("slots", [False, True], ids=["as a dict", "as slots"])
def test_attributes_that_a_pickle_sets_dont_stand_for_methods(tmp_path, name, slots):
    state = b"N" + attribute(name) + b"\x86" if slots else attribute(name)
    path = checkpoint(tmp_path / "w.pt", BEGIN + NAMES + state + b"b" + text("bias") + b"K\x05s" + END)
    found = read_checkpoint(path)
    assert list(found.items()) == [("bias", 5)]
    assert list(found.copy()) == ["bias"]
    assert not vars(found)


OBJECTS = {
    "names": NAMES,
    "a class": b"cos\nsystem\n",
    "an object": b"cos\nsystem\n" + text("true") + b"\x85R",
    "the class of names": b"ccollections\nOrderedDict\n",
    "a number": b"K\x01",
    "a list": b"]",
    "a mapping": b"}",
    "a type of numbers": b"ctorch\nFloatStorage\n",
    "a function of tensors": b"ctorch._utils\n_rebuild_tensor_v2\n",
}
STATES = {
    "methods": attribute("items", b"K\x01"),
    "a class": attribute("__class__", b"K\x01"),
    "slots": b"N" + attribute("items") + b"\x86",
    "a list": b"]",
    "names that are no text": b"}K\x01K\x02s",
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("what", OBJECTS)
def test_a_pickle_that_sets_attributes_ends_in_one_line(tmp_path, capsys, what, state):
    pickled = OBJECTS[what] + STATES[state] + b"b"
    for content in (BEGIN + pickled + END, BEGIN + b"}" + text("state_dict") + pickled + b"s" + END):
        path = checkpoint(tmp_path / "w.pt", content)
        ends_in_one_line(capsys, "import", path, "-o", tmp_path / "imported", name=path.name)
        ends_in_one_line(capsys, "inspect", MODEL, "-w", path, name=path.name)


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + END,
        b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"N" + END,
        BEGIN + b"\x8b" + struct.pack("<i", 2**31 - 1) + END,
        BEGIN + b"]" * 50_000 + b"a" * 49_999 + END,
        BEGIN + b"I" + b"9" * 100_000 + b"\n" + END,
        BEGIN + b"Nr" + struct.pack("<I", 2**31) + END,
    ],
    ids=["bytes", "a frame", "a long number", "nested lists", "a number of many digits", "a far place"],
)
@pytest.mark.parametrize("packed", [True, False])
def test_a_pickle_that_declares_more_than_it_holds_ends_in_one_line(tmp_path, capsys, content, packed):
    path = checkpoint(tmp_path / "w.pt", content)
    if not packed:
        path.write_bytes(content)
    ends_in_one_line(capsys, "inspect", MODEL, "-w", path, name=path.name)
    ends_in_one_line(capsys, "import", path, "-o", tmp_path / "imported", name=path.name)


@pytest.mark.parametrize(
    "header",
    [
        b'{"a":' + b"[" * 100_000,
        b'{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}',
        b'{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}',
        json.dumps({"a": {"dtype": "F32", "shape": [1] * 100_000, "data_offsets": [0, 4]}}).encode(),
        json.dumps({"__metadata__": {"a": 1}}).encode(),
        None,
    ],
    ids=[
        "nested",
        "a negative size",
        "a huge size",
        "many axes",
        "numbers as notes",
        "a header of 2^63 bytes",
    ],
)
def test_a_header_of_safetensors_that_lies_ends_in_one_line(tmp_path, capsys, header):
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", 2**63 if header is None else len(header)) + (header or b"") + bytes(4))
    ends_in_one_line(capsys, "inspect", MODEL, "-w", path, name="w")


class RunsCode:
    """Fails the test where it is unpickled."""

    def __reduce__(self):
        return pytest.fail, ("code was run",)


def npy(header: bytes, data: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header + b"\n" + data


def of_objects() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([RunsCode()], object), allow_pickle=True)
    return stream.getvalue()


def declared(descr: str = "'<f4'", shape: str = "(1,)", data: bytes = bytes(8)) -> bytes:
    return npy(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode(), data)


ARRAYS = {
    "objects": of_objects(),
    "objects in fields": declared("[('a', 'O')]"),
    "terabytes": declared(shape="(9999999999999,)"),
    "a size of many digits": declared(shape=f"({'9' * 4000},)"),
    "a negative size": declared(shape="(-1,)"),
    "nested brackets": npy(b"{'descr': " + b"[" * 9000),
    "an expression": declared("__import__('os')"),
    "null bytes": npy(b"\0" * 50),
    "nothing": b"",
}


@pytest.mark.parametrize("kind", ARRAYS)
@pytest.mark.parametrize("packed", [False, True], ids=["npy", "npz"])
def test_arrays_made_to_harm_are_refused(tmp_path, kind, packed):
    path = tmp_path / f"rows.{'npz' if packed else 'npy'}"
    path.write_bytes(ARRAYS[kind])
    if packed:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("control.npy", ARRAYS[kind])
    # What is no array at all comes out of an .npz as the bytes that it is.
    said = (
        r"rows\.np[yz]: (corrupt, or not an array of numbers; save it with|holds \|S\d+, not numbers; save)"
    )
    with pytest.raises(ModelError, match=said):
        read_rows(RowsAsked("control", path))


def ends_in_one_line(capsys, *given: object, name: str) -> None:
    """Require a command to fail with one line that names a file, which isn't a fault of ours."""
    assert run([str(word) for word in given]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1, said
    assert said[0].startswith("sparselrp: error: ")
    assert name in said[0]
    assert "internal error" not in said[0]
