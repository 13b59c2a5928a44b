"""Objects of a pickle that are no more than data, read from their stand-ins without their classes."""

import re
from collections.abc import Callable, Mapping
from pathlib import PurePath
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from sparselrp_cli.model.unpickling import Stub

_DEEPEST = 24
_MOST_VALUES = 100_000
_NUMBER = re.compile(r"[?biufbc]\d{1,2}")


def plain(value: Any) -> Any:
    """Give what a value holds as dictionaries, lists, numbers and names; stand-ins where that isn't known.

    Read are namespaces, Lightning's and OmegaConf's dictionaries, paths, numbers of NumPy and types of torch.

    Raises
    ------
    ValueError
        If it holds too many values: a small pickle can hold one list a million times.
    """
    return _Reading().read(value, 0)


class _Reading:
    """Reads values, and counts them."""

    def __init__(self) -> None:
        self.left = _MOST_VALUES

    def read(self, value: Any, depth: int) -> Any:
        self.left -= 1
        if self.left < 0:
            raise ValueError("too many values")
        if depth > _DEEPEST:
            return Stub()
        if isinstance(value, dict):
            return {key: self.read(each, depth + 1) for key, each in dict.items(value)}
        if isinstance(value, list | tuple):
            return type(value)(self.read(each, depth + 1) for each in value)
        if isinstance(value, Stub):
            known = _known(value)
            return value if known is None else self.read(known[0], depth + 1)
        return _torch_type(value) if isinstance(value, type) and issubclass(value, Stub) else value


def _known(stub: Stub) -> "Known":
    readers = (reader for ends, reader in _READERS.items() if type(stub).path.endswith(ends))
    return next((reader(stub) for reader in readers), None)


def _torch_type(stub: type[Stub]) -> Any:
    known = getattr(torch, stub.path.removeprefix("torch."), None) if stub.path.startswith("torch.") else None
    return known if isinstance(known, torch.dtype) else stub


Known = tuple[Any] | None
"""What a stand-in holds, in a tuple of one; None where that can't be read."""


def _attributes(stub: Stub) -> Known:
    return (dict(stub.state),)


def _items(stub: Stub) -> Known:
    return (dict(stub.entries),)


def _content(stub: Stub) -> Known:
    """Read a dictionary or list of OmegaConf; one that is a reference to another value is None."""
    content = stub.state.get("_content")
    return (content,) if isinstance(content, dict | list) else None


def _node(stub: Stub) -> Known:
    """Read a value of OmegaConf, unless it refers to another."""
    value = stub.state.get("_val")
    return None if isinstance(value, str) and "${" in value else (value,)


def _path(stub: Stub) -> Known:
    return (str(PurePath(*stub.arguments)),) if all(isinstance(p, str) for p in stub.arguments) else None


def _number(stub: Stub) -> Known:
    """Read a number of NumPy: its type, and its bytes, which old pickles keep as text."""
    if len(stub.arguments) != 2:
        return None
    dtype, content = stub.arguments
    if isinstance(content, Stub) and type(content).path.endswith("_codecs.encode") and content.arguments:
        content = str(content.arguments[0]).encode("latin1")
    name = dtype.arguments[0] if isinstance(dtype, Stub) and dtype.arguments else None
    if not isinstance(content, bytes) or not isinstance(name, str) or not _NUMBER.fullmatch(name):
        return None
    kind = np.dtype(name)
    return (np.frombuffer(content, kind)[0].item(),) if len(content) == kind.itemsize else None


_READERS: Mapping[str, Callable[[Stub], Known]] = MappingProxyType(
    {
        "argparse.Namespace": _attributes,
        "types.SimpleNamespace": _attributes,
        ".AttributeDict": _items,
        "collections.defaultdict": _items,
        "omegaconf.dictconfig.DictConfig": _content,
        "omegaconf.listconfig.ListConfig": _content,
        **dict.fromkeys(
            [f"omegaconf.nodes.{kind}Node" for kind in
             ("Any", "String", "Integer", "Float", "Boolean", "Path", "Bytes")], _node,
        ),
        ".PosixPath": _path,
        ".WindowsPath": _path,
        "multiarray.scalar": _number,
    }
)  # fmt: skip
