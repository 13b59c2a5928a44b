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
    ".index.json": "an index of weights in several files; join them: w = {{k: v for f in files for k, v in"
    " load_file(f).items()}}; save_file(w, 'weights.safetensors')",
}  # fmt: skip


def foreign_file(path: Path) -> str | None:
    """Say what a file is that isn't read as weights or as a model, and what to do; None for others."""
    for suffix, said in _BY_SUFFIX.items():
        if path.name.endswith(suffix):
            return said.format(path=path)
    try:
        with path.open("rb") as stream:
            start = stream.read(len(_HDF5))
    except OSError:
        return None
    if start == _HDF5:
        return "a Keras or HDF5 file; if it is a Keras model, " + _IMPORT.format(path=path)
    return None
