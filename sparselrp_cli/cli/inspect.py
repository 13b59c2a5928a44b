"""`sparselrp inspect`: what a model is, and the rule each operation gets."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from sparselrp_cli.cli.grouped import Grouped
from sparselrp_cli.cli.models import MODEL, model_details
from sparselrp_cli.cli.options import log_options, say_step, start_log
from sparselrp_cli.cli.settings import setting_option
from sparselrp_cli.model.request import ModelRequest

if TYPE_CHECKING:
    from sparselrp_cli.graph.bins import Bins
    from sparselrp_cli.graph.canonical import CanonicalGraph
    from sparselrp_cli.model.output_names import OutputNames


@click.command(
    cls=Grouped,
    short_help="What the model is, the rule each operation gets, what has none.",
)
@click.argument("model", type=MODEL)
@model_details
@setting_option("composite")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@log_options
@click.pass_context
def inspect(context: click.Context, model: ModelRequest, composite: str, as_json: bool, quiet: bool) -> None:
    """Trace MODEL and print its operations, the rule each gets, its targets, and the composites there are.

    On a few random sequences the traced graph is compared with the model, and conservation measured. A packed
    graph (see `sparselrp pack`) was compared when it was packed, and isn't traced.
    An operation without a rule is named; `attribute` would stop at it (exit code 1 here, too).

    \b
    Examples:
      sparselrp inspect suhw-dm3
      sparselrp inspect mynet.py:build -w weights.safetensors --window 2114 --json
    """
    start_log(context, quiet=quiet)
    say_step("loading PyTorch")
    from sparselrp_cli.errors import ModelError
    from sparselrp_cli.graph.loaded import capture_model, load_model, output_names
    from sparselrp_cli.graph.located import seen_bins
    from sparselrp_cli.graph.packed.network import PackedNetwork
    from sparselrp_cli.graph.steps import steps_beside
    from sparselrp_cli.graph.targets import TargetParser
    from sparselrp_cli.graph.token_notes import token_example, token_notes
    from sparselrp_cli.graph.traced_model import checked_windows
    from sparselrp_cli.relevance.audit import audit, require_audited
    from sparselrp_cli.relevance.composites import PRESETS
    from sparselrp_cli.relevance.explainer import Explainer
    from sparselrp_cli.relevance.pruning import NONE
    from sparselrp_cli.relevance.signs import positive_outputs
    from sparselrp_cli.runs.composite_file import find_composite

    rules = find_composite(composite)
    loaded = load_model(replace(model, by_window=True))
    graph = capture_model(loaded)
    names = output_names(loaded, graph)
    explainer, stuck = None, None
    notes: tuple[str, ...] = ()
    parser = TargetParser(graph.outputs, names)
    if not graph.unsupported() and parser.choices.open:
        target = parser.any_target()
        try:
            explainer = Explainer(graph, [target], names, rules, NONE, base_axis=loaded.layout.base_axis)
            notes = explainer.notes
        except ModelError as error:
            stuck = error  # said below the tables, which show where
    bins = seen_bins(graph, names, 3 - loaded.layout.base_axis)
    binned = [i for i, of_output in bins.items() if of_output.width > 1]
    packed = isinstance(loaded.module, PackedNetwork)
    example = checked_windows(graph, loaded.example(4))
    report = audit(graph, None if packed else loaded.module, rules, explainer, example)
    document = {
        "model": loaded.name,
        "packed": packed,
        "window": loaded.window,
        "alphabet": loaded.layout.alphabet,
        "layout": loaded.layout.layout,
        "outputs": _outputs(graph, names, bins),
        "targets": parser.examples(positive_outputs(graph), binned),
        "tokens": [*token_notes(graph), *filter(None, [token_example(graph, loaded.example(1))])],
        "ends": [*notes, *steps_beside(graph)],
        "composite": composite,
        "select": None if rules.select is None else rules.select.describe(),
        **report.as_dict(),
    }
    _print_json(document) if as_json else _print_tables(
        document, {p.name: p.summary for p in PRESETS.values()}
    )
    require_audited(report)
    if stuck is not None:
        raise stuck
    parser.any_target()


def _outputs(
    graph: "CanonicalGraph", names: "Sequence[OutputNames]", bins: "Mapping[int, Bins]"
) -> list[dict[str, Any]]:
    """Describe the outputs: their names and shapes, over which bases they lie, what keeps them closed."""
    from sparselrp_cli.graph.targets.axes import obstacle
    from sparselrp_cli.relevance.audit import shape_text

    return [
        {
            "name": of_output.name,
            "tasks": list(of_output.tasks),
            "shape": shape_text(output.shape),
            "bins": bins[i].describe() if i in bins else "",
            "obstacle": obstacle(output),
        }
        for i, (of_output, output) in enumerate(zip(names, graph.outputs, strict=True))
    ]


def _print_json(document: dict[str, Any]) -> None:
    import json

    click.echo(json.dumps(document, indent=2))


def _for_a_shell(text: str) -> str:
    """Quote a target as people would type it in a shell."""
    plain = shlex.quote(text)
    return f'"{text}"' if "'" in text and not any(c in text for c in '"\\$`!') else plain


def _output_line(output: dict[str, Any]) -> str:
    if output["obstacle"]:
        return f"output {output['name']} can't be explained: {output['obstacle']}"
    tasks = f", tasks {', '.join(output['tasks'])}" if output["tasks"] else ""
    bins = f", {output['bins']}" if output["bins"] else ""
    return f"output {output['name']} {output['shape']}{tasks}{bins}"


def _print_tables(document: dict[str, Any], presets: dict[str, str]) -> None:
    import pandas as pd

    packed = "a packed graph, " if document["packed"] else ""
    click.echo(f"model {document['model']}: {packed}windows of {document['window']} bp, {document['layout']},"
               f" {document['alphabet']}")  # fmt: skip
    for output in document["outputs"]:
        click.echo(_output_line(output))
    if document["targets"]:
        click.echo(f"targets, such as: {'   '.join(map(_for_a_shell, document['targets']))}")
    for note in (*document["tokens"], *document["ends"]):
        click.echo(note)
    if document["rows"]:
        table = pd.DataFrame(document["rows"]).drop(columns="work").rename(columns={"where": "comes from"})
        table["pruned"] = table["pruned"].map({True: "yes", False: ""})
        click.echo("\n" + table.to_string(index=False, justify="left") + "\n")
    for rule, share in document["work"].items():
        click.echo(f"{100 * share:5.1f} % of the work: {rule}")
    if document["difference"] is not None:
        click.echo(f"graph against model: largest relative difference {document['difference']:.1e}")
    if document["conservation_error"] is not None:
        click.echo(f"conservation error, unpruned: {document['conservation_error']:.1e}")
    if document["select"] is not None:
        click.echo(f"neurons are selected by their relevance under {document['select']} in convolutions")
    click.echo("\ncomposites:")
    for name, summary in presets.items():
        click.echo(f"  {name:22} {summary}{' (in force)' if name == document['composite'] else ''}")
