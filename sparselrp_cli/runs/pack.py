"""Any model to a folder with its canonical graph."""

import logging
from dataclasses import dataclass
from pathlib import Path

import torch

from sparselrp_cli.errors import ModelError
from sparselrp_cli.files.atomic import reported
from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.loaded import capture_model, load_model, output_names
from sparselrp_cli.graph.packed.writing import Packing, packable, write_packed
from sparselrp_cli.graph.targets.axes import obstacle
from sparselrp_cli.model.loading import LoadedModel
from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.model.whole_folders import refuse_existing, whole_folder

logger = logging.getLogger("sparselrp")
MAKER = "pack"


@dataclass(frozen=True, slots=True)
class Packed:
    """What was packed.

    Attributes
    ----------
    window : int
        In bp.
    nodes : int
        How many operations the graph has.
    outputs : tuple of str
        Those that can be explained.
    """

    window: int
    nodes: int
    outputs: tuple[str, ...]


def pack(request: ModelRequest, folder: Path, name: str | None, *, force: bool) -> Packed:
    """Trace a model and write its canonical graph, read it again and compare, and give the folder its name.

    Parameters
    ----------
    request : ModelRequest
    folder : Path
    name : str, optional
        What to call the model, unless as it is called.
    force : bool
        Replace a model folder that is there.

    Raises
    ------
    SparselrpError
        If the model can't be loaded or traced, no output of it has a rule, or the folder can't be written.
    """
    refuse_existing(folder, force=force, maker=MAKER)
    return pack_model(load_model(request), folder, name, force=force)


def pack_model(model: LoadedModel, folder: Path, name: str | None = None, *, force: bool = False) -> Packed:
    """Write the canonical graph of a loaded model to a folder; see `pack`."""
    refuse_existing(folder, force=force, maker=MAKER)
    captured = packable(capture_model(model))
    graph = captured.to(torch.device("cpu"), captured.dtype)
    names = output_names(model, graph)
    for output in graph.outputs:
        if output.obstacle:
            logger.warning("output %s can't be explained: %s", output.name, output.obstacle)
    packing = Packing(name or model.name, model.window, model.layout, names, graph)
    with reported(folder), whole_folder(folder, force=force, maker=MAKER) as hidden:
        write_packed(packing, hidden)
        _require_equal(graph, model, hidden)
    explained = (n.name for n, o in zip(names, graph.outputs, strict=True) if not obstacle(o))
    return Packed(model.window, len(graph.nodes), tuple(explained))


def _require_equal(graph: CanonicalGraph, model: LoadedModel, folder: Path) -> None:
    """Read a folder again, and compare what it computes with what was packed, number by number."""
    again = capture_model(load_model(ModelRequest(str(folder))))
    x = model.example(1).to(graph.device)
    for dtype in (graph.dtype, torch.float64):
        ours, theirs = (g.to(g.device, dtype).evaluate(x.to(dtype)) for g in (graph, again))
        for output in graph.outputs:
            if output.node in ours and not torch.equal(ours[output.node], theirs[output.node]):
                raise ModelError(
                    f"output '{output.name}' of the packed graph differs from the model's; this is a fault of"
                    " sparselrp, please report it with the model's code"
                )
