"""Write traced.json beside each shipped model, so that no run has to trace it.

    python models/trace.py

Needed when a model, its architecture or the canonical graph changes; a test says so.
"""

from pathlib import Path

from sparselrp_cli.graph.loaded import capture_model, output_names
from sparselrp_cli.graph.packed.traced import TRACED, traced_text
from sparselrp_cli.graph.packed.writing import Packing
from sparselrp_cli.model.loading import load_model
from sparselrp_cli.model.request import ModelRequest


def text_for(folder: Path) -> str:
    """Trace the model of a folder, and give its traced.json."""
    model = load_model(ModelRequest(str(folder)))
    graph = capture_model(model)
    packing = Packing(model.name, model.window, model.layout, output_names(model, graph), graph)
    return traced_text(packing, model.module, folder)


def main() -> None:
    for spec in sorted(Path(__file__).parent.glob("*/model.json")):
        (spec.parent / TRACED).write_text(text_for(spec.parent), encoding="utf-8")


if __name__ == "__main__":
    main()
