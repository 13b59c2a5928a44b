"""`sparselrp inspect`: what a model is, and the rule each operation gets."""

from dataclasses import replace

import click

from sparselrp_cli.cli.grouped import Grouped
from sparselrp_cli.cli.loading import loading
from sparselrp_cli.cli.models import MODEL, model_details
from sparselrp_cli.cli.options import log_options, start_log
from sparselrp_cli.cli.settings import setting_option
from sparselrp_cli.model.request import ModelRequest


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
    with loading("PyTorch"):
        import json

        from sparselrp_cli.face.inspection import inspect_model
        from sparselrp_cli.graph.loaded import load_model

    found = inspect_model(load_model(replace(model, by_window=True)), composite)
    click.echo(json.dumps(found.to_dict(), indent=2) if as_json else str(found))
    if found.obstacle is not None:
        raise found.obstacle
