"""`sparselrp pack`: any model to a folder with its canonical graph."""

from functools import partial
from pathlib import Path

import click

from sparselrp_cli.cli.grouped import Grouped
from sparselrp_cli.cli.loading import loading
from sparselrp_cli.cli.models import MODEL, model_details
from sparselrp_cli.cli.options import log_options, model_folder_option, start_log
from sparselrp_cli.errors import number_of
from sparselrp_cli.model.request import ModelRequest


@click.command(
    cls=Grouped,
    short_help="Any model to a folder with its canonical graph, without its code.",
)
@click.argument("model", type=MODEL)
@partial(model_folder_option, help=": graph.json and weights.safetensors.")
@click.option("--name", metavar="NAME", help="What to call the model.  [default: as MODEL is called]")
@click.option("--force", is_flag=True, help="Replace a model folder that is there.")
@model_details
@log_options
@click.pass_context
def pack(
    context: click.Context, model: ModelRequest, folder: Path, name: str | None, force: bool, quiet: bool
) -> None:
    """Trace MODEL once and write what it computes to a folder that every command takes with -m.

    The folder holds every operation by name and every constant, exactly. It can't run code, needs neither the
    model's code nor its version of PyTorch, and isn't traced when it is loaded. It is read again and compared
    before it gets its name.

    \b
    Example:
      sparselrp pack mynet.py:build -w weights.safetensors --window 2114 -o models/mynet
    """
    start_log(context, quiet=quiet)
    with loading("PyTorch"):
        from sparselrp_cli.runs import pack as packing

    packed = packing.pack(model, folder, name, force=force)
    click.echo(
        f"{folder}: windows of {packed.window} bp, {number_of(packed.nodes, 'operation')}, output"
        f" {', '.join(packed.outputs)}; next: sparselrp inspect {folder}"
    )
