"""Reads what torch.save wrote, as data: tensors come back, objects as inert stand-ins, no code runs.

Every name a pickle asks for is answered from this file. A class or function that isn't a tensor's is
answered by a stand-in that only keeps the state it is given.
"""

import io
import math
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from sparselrp_cli.errors import ModelError, first_line

_DTYPES = {
    "FloatStorage": torch.float32, "DoubleStorage": torch.float64, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool, "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
}  # fmt: skip


class Stub:
    """Stands for an object whose class isn't loaded: it keeps what it is given and does nothing.

    Attributes
    ----------
    path : str
        Where its class is: ``MODULE.NAME``.
    arguments : tuple
        What the class would have been called with.
    state : dict
        What would have become its attributes.
    entries : list of (key, value)
        What would have become its items, of one that is a mapping.
    """

    path = ""
    arguments: tuple[Any, ...]
    state: dict[str, Any]
    entries: list[tuple[Any, Any]]

    def __new__(cls, *arguments: object, **named: object) -> "Stub":
        """Take any arguments."""
        made = object.__new__(cls)
        made.arguments, made.state, made.entries = arguments, {}, []
        return made

    def __init__(self, *arguments: object, **named: object) -> None:
        """Take any arguments."""

    def __setstate__(self, state: object) -> None:
        self.state = state if isinstance(state, dict) else {}

    def __call__(self, *arguments: object, **named: object) -> "Stub":
        """Take any arguments and give another stand-in."""
        return Stub()

    def __setitem__(self, key: object, value: object) -> None:
        """Keep an item."""
        self.entries.append((key, value))

    def append(self, item: object) -> None:
        """Take an item and keep none."""

    def extend(self, items: object) -> None:
        """Take items and keep none."""


class Names(OrderedDict[Any, Any]):
    """An `OrderedDict` that takes no attributes, which could stand for its methods."""

    def __setstate__(self, state: object) -> None:
        """Let go of them: torch's state dicts come with the versions of their modules."""


def read_checkpoint(path: Path) -> Any:
    """Read a file of torch.save.

    Returns
    -------
    object
        Tensors, dictionaries, lists, numbers, names, and `Stub` for every other object.

    Raises
    ------
    ModelError
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            pickles = [name for name in names if name.endswith("/data.pkl")]
            if any(name.endswith("/constants.pkl") for name in names):
                raise ModelError(
                    f"{path}: a TorchScript archive, which holds code; use the original checkpoint"
                )
            if "model.weights.h5" in names:
                raise ModelError(
                    f"{path}: a Keras model in the .keras format; read it with sparselrp import --format"
                    " keras-archive"
                )
            if len(pickles) != 1:
                raise ModelError(f"{path}: a ZIP archive, but not one torch.save wrote")
            return _Reader(archive, pickles[0].removesuffix("data.pkl")).load()
    except (zipfile.BadZipFile, OSError) as error:
        raise ModelError(
            f"{path}: not a checkpoint of torch.save in its present format ({first_line(error)}); load it"
            " where it was made and save it again with a current PyTorch"
        ) from error
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            f"{path}: a damaged checkpoint ({type(error).__name__}: {first_line(error)})"
        ) from error


class _Reader(pickle.Unpickler):
    """Unpickles with nothing but this file's own functions."""

    def __init__(self, archive: zipfile.ZipFile, prefix: str) -> None:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("packed entries, which torch.save doesn't write")
        content = archive.read(f"{prefix}data.pkl")
        _refuse_far_places(content)
        super().__init__(io.BytesIO(content), encoding="utf-8")
        self.archive, self.prefix = archive, prefix
        self.storages: dict[str, Tensor] = {}
        order = f"{prefix}byteorder"
        if order in archive.namelist() and archive.read(order) != b"little":
            raise ValueError("big-endian numbers")

    def find_class(self, module: str, name: str, /) -> Any:
        """Answer a name: tensors by our own functions, anything else by a stand-in."""
        if module == "torch._utils" and name in _REBUILDERS:
            # A new function each time: what a pickle does to it is gone with it.
            rebuild = _REBUILDERS[name]
            return lambda *arguments: rebuild(*arguments)
        if (module, name) == ("collections", "OrderedDict"):
            return Names
        if module in ("torch", "torch.storage") and name in _DTYPES:
            return _DTYPES[name]
        return type(name, (Stub,), {"path": f"{module}.{name}"})

    def persistent_load(self, pid: Any, /) -> Tensor:
        """Read the numbers of a tensor."""
        kind, dtype, key = pid[:3]
        if kind != "storage" or not isinstance(dtype, torch.dtype):
            raise ValueError("a storage of unknown type")
        if key not in self.storages:
            data = bytearray(self.archive.read(f"{self.prefix}data/{key}"))
            self.storages[key] = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
        return self.storages[key]


def _refuse_far_places(content: bytes) -> None:
    """Refuse to remember an object at a place that isn't needed: memory is given up to the last place."""
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.name.endswith("PUT") and int(argument or 0) > len(content):
            raise ValueError("a place beyond all objects")


def _tensor(storage: Any, offset: int, size: Any, stride: Any, *_: object) -> Tensor:
    """Cut a tensor out of its storage, as torch._utils._rebuild_tensor_v2."""
    if not isinstance(storage, Tensor):
        raise TypeError("a tensor without a storage")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if min(offset, *size, *stride, 0) < 0 or (0 not in size and last >= storage.numel()):
        raise ValueError("a tensor beyond its storage")
    if math.prod(size) > storage.numel():
        raise ValueError("a tensor larger than its storage")
    # Not a copy: many tensors may ask for one storage.
    return torch.as_strided(storage, tuple(size), tuple(stride), offset)


def _parameter(data: Any, *_: object) -> Any:
    """Take a parameter as its tensor."""
    return data


_REBUILDERS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "_rebuild_tensor": _tensor,
        "_rebuild_tensor_v2": _tensor,
        "_rebuild_parameter": _parameter,
        "_rebuild_parameter_with_state": _parameter,
    }
)


def foreign_class(value: object) -> str:
    """Name the class of what stands for an object, or the class or function it stands for; else nothing."""
    if isinstance(value, Stub):
        return type(value).path
    return value.path if isinstance(value, type) and issubclass(value, Stub) else ""
