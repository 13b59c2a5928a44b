"""Packed folders on disk: `graph.json`, a canonical graph as data, and its constants as safetensors.

What the files hold is read here; what it means, `graph.packed` knows.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from sparselrp_cli.errors import ModelError
from sparselrp_cli.files.digest import sha256
from sparselrp_cli.model.json_files import read_json
from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.model.weights import load_weights
from sparselrp_cli.model.whole_folders import GRAPH, SPEC, WEIGHTS

DIGEST = "weights_sha256"
_MOST_MIB = 16
_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class PackedFolder:
    """What a packed folder holds.

    Attributes
    ----------
    graph, weights : Path
        Its two files.
    document : mapping
        What `graph.json` says; nothing of it is checked but the digest of the weights.
    tensors : mapping of str to Tensor
    """

    graph: Path
    weights: Path
    document: Mapping[str, Any]
    tensors: Mapping[str, Tensor]


def packed_graph(reference: str) -> Path | None:
    """Give the `graph.json` that a model is named by, itself or its folder; None for other models.

    Raises
    ------
    ModelError
        If a folder is both a packed one and one of a named architecture.
    """
    path = Path(reference)
    if path.name == GRAPH and not path.is_dir():
        return path
    if not (path / GRAPH).is_file():
        return None
    if (path / SPEC).is_file():
        raise ModelError(f"{path}: holds both {SPEC} and {GRAPH}; give the one that is meant")
    return path / GRAPH


def read_packed(path: Path, request: ModelRequest) -> PackedFolder:
    """Read the files of a packed folder.

    Parameters
    ----------
    path : Path
        Of `graph.json`.
    request : ModelRequest
        What was asked for beside it.

    Raises
    ------
    ModelError
        If one is missing or damaged, or something was asked for that a packed graph can't have.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    if request.weights is not None:
        raise ModelError("--weights goes with a factory; a packed folder brings its own")
    if request.tokens is not None:
        raise ModelError(f"--tokens: {path} reads the tokens that it was packed with; leave it out")
    if request.inputs:
        raise ModelError(f"--input: {path} has one input; other inputs were held when it was packed")
    document = read_json(path, _MOST_MIB, "a packed graph")
    if not isinstance(document, dict):
        raise ModelError(f"{path}: not a JSON object")
    digest, weights = document.get(DIGEST), path.with_name(WEIGHTS)
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise ModelError(f"{path}: '{DIGEST}' must be 64 hexadecimal digits")
    if weights.is_file() and sha256(weights) != digest:
        raise ModelError(f"{weights}: not the weights that {path.name} was written for (sha256 differs)")
    # Copies begin where torch lets tensors begin: sums of products go by that, to the last digit.
    tensors = {name: tensor.clone() for name, tensor in load_weights(weights).items()}
    return PackedFolder(path, weights, document, tensors)


def digest_of(file: Path) -> str:
    """Give what a graph says of a file that it goes with, as of its weights under `DIGEST`."""
    return sha256(file)
