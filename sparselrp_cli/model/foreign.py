"""Files that aren't what `-m` and `-w` take: what they are, and what to do with them."""

from pathlib import Path

from sparselrp_cli.model.formats import FORMATS

_HDF5 = FORMATS["keras"].begins
_IMPORT = "make a model folder of it with `sparselrp import {path} -o FOLDER`, and give that with -m"
_BY_SUFFIX = {
    ".keras": "a Keras archive; " + _IMPORT,
    ".pb": "a TensorFlow graph; " + _IMPORT,
    ".onnx": "an ONNX model, which isn't read; give the PyTorch model that it was exported from",
    ".tflite": "a TensorFlow Lite model, which isn't read; give the model that it was made from",
    ".index.json": "an index of weights without a model; use FILE.py:FACTORY with -w {path}",
    ".npz": "arrays of numpy; write them as weights: torch.save({{k: torch.from_numpy(v) for k, v in"
    " np.load('{path.name}').items()}}, 'weights.pt')",
}  # fmt: skip
_BY_START = {
    _HDF5: "a Keras or HDF5 file; if it is a Keras model, " + _IMPORT,
    b"version https://git-lfs": "a pointer of Git LFS and not the file itself; get that with `git lfs pull`",
    b"\x1f\x8b": "compressed by gzip; unpack it first",
    b"<!DOCTYPE": "a web page; download the file itself",
    b"<html": "a web page; download the file itself",
}
_LONGEST = max(map(len, _BY_START))


def foreign_file(path: Path) -> str | None:
    """Say what a file is that isn't read as weights or as a model, and what to do; None for others."""
    for suffix, said in _BY_SUFFIX.items():
        if path.name.endswith(suffix):
            return said.format(path=path)
    try:
        with path.open("rb") as stream:
            start = stream.read(_LONGEST)
    except OSError:
        return None
    found = (said for begins, said in _BY_START.items() if start.startswith(begins))
    return next((said.format(path=path) for said in found), None)
