"""Keeps the graphs of named architectures as packed folders in the user's cache, and finds them again."""

import logging
import os
import secrets
import shutil
from dataclasses import replace
from pathlib import Path

from sparselrp_cli.errors import ModelError
from sparselrp_cli.graph.operation import tensors_of
from sparselrp_cli.graph.packed.reading import read_graph
from sparselrp_cli.graph.packed.writing import Packing, write_packed
from sparselrp_cli.model.folder import read_spec
from sparselrp_cli.model.graph_cache import mark_checked, quietly, trim, was_checked
from sparselrp_cli.model.loading import LoadedModel
from sparselrp_cli.model.packed import read_packed
from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.model.whole_folders import GRAPH, SPEC

logger = logging.getLogger("sparselrp")
LARGEST = 32 << 20
"""Bytes of constants; of a larger model tracing is the smaller part, and copies would fill the disk."""


def recalled(place: Path, request: ModelRequest) -> LoadedModel | None:
    """Give the model that is kept at a place; None where none is, or it is damaged, which removes it."""
    graph = place / GRAPH
    if not graph.is_file():
        return None
    try:
        if not was_checked(graph):
            raise ModelError(f"{graph}: not as it was written")
        as_kept = ModelRequest(str(place))
        model = read_graph(read_packed(graph, as_kept), as_kept, checked=True)
    except (ModelError, OSError):
        logger.debug("what the cache holds is damaged, and is made again", exc_info=True)
        shutil.rmtree(place, ignore_errors=True)
        return None
    with quietly():
        os.utime(place)
        mark_checked(graph)
    path = Path(request.reference)
    path = path if path.name == SPEC else path / SPEC
    return replace(model, files=(path, path.parent / read_spec(path).weights))


def keep(place: Path, packing: Packing) -> None:
    """Keep a graph, whole or not at all; where that can't be it is no error."""
    operations = [node.operation for node in packing.graph.nodes]
    if sum(t.numel() * t.element_size() for o in operations for t in tensors_of(o)) > LARGEST:
        return
    hidden = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    try:
        with quietly():
            write_packed(packing, hidden)
            mark_checked(hidden / GRAPH)
            hidden.rename(place)
            trim(place.parent)
    except ModelError:
        logger.debug("the graph can't be packed", exc_info=True)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
