"""`sparselrp import`: a model folder from a published checkpoint."""

from functools import partial
from pathlib import Path

import click

from sparselrp_cli.cli.grouped import Grouped
from sparselrp_cli.cli.loading import loading
from sparselrp_cli.cli.options import log_options, model_folder_option, start_log
from sparselrp_cli.model.formats import FORMATS, PARTS, described
from sparselrp_cli.model.request import LONGEST_WINDOW

KINDS = ("auto", *FORMATS)


def _list(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        from sparselrp_cli.model.published import table_of_published

        click.echo(table_of_published())
        context.exit()


@click.command(
    "import", cls=Grouped, short_help="A model folder from a published checkpoint, without running its code."
)
@click.argument("checkpoint", type=click.Path(path_type=Path), metavar="FILE")
@partial(model_folder_option, help="; several networks go to FOLDER/1, FOLDER/2 and so on.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(KINDS),
    default=KINDS[0],
    show_default=True,
    help=f"What FILE is: {described()}.",
)
@click.option(
    "--window",
    type=click.IntRange(1, LONGEST_WINDOW),
    metavar="BP",
    help="Window length in bp, where FILE leaves it open.",
)
@click.option(
    "--part", type=click.Choice(PARTS), help=f"Which network of a ChromBPNet.  [default: {PARTS[0]}]"
)
@click.option("--name", metavar="NAME", help="What to call the model.  [default: from FILE]")
@click.option(
    "--list", is_flag=True, is_eager=True, expose_value=False, callback=_list,
    help="Print published checkpoints that were tried, with sources and digests, and do nothing else.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace a model folder that is there.")
@log_options
@click.pass_context
def import_model(
    context: click.Context, checkpoint: Path, folder: Path, kind: str, window: int | None, part: str | None,
    name: str | None, force: bool, quiet: bool,
) -> None:  # fmt: skip
    """Turn FILE, a published checkpoint, into a model folder that every command takes with -m.

    FILE is read as data: no code in it runs, and neither Keras nor TensorFlow is needed. The folder is loaded
    again and compared before it gets its name.

    \b
    Examples:
      sparselrp import chrombpnet_nobias.h5 -o models/k562
      sparselrp import --list
    """
    start_log(context, quiet=quiet)
    with loading("PyTorch"):
        import logging

        from sparselrp_cli.files.atomic import reported
        from sparselrp_cli.files.digest import sha256
        from sparselrp_cli.model import importing
        from sparselrp_cli.model.published import known_checkpoint
        from sparselrp_cli.model.whole_folders import refuse_existing

    refuse_existing(folder, force=force, maker="import")
    request = importing.ImportRequest(window, part, name)
    models = importing.import_model(checkpoint, kind, request)
    log = logging.getLogger("sparselrp")
    if (known := known_checkpoint(sha256(checkpoint))) is not None:
        log.info("%s: %s of %s, as published (sha256)", checkpoint, known.name, known.source)
    for note in dict.fromkeys(note for model in models for note in model.notes):
        log.info("%s: %s", checkpoint, note)
    with reported(folder):
        written = importing.write_folders(models, folder, str(checkpoint), force=force)
    for model, (place, shapes) in zip(models, written, strict=True):
        outputs = ", ".join(f"{n} ({', '.join(map(str, shape))})" for n, shape in shapes.items())
        click.echo(
            f"{place}: windows of {model.window} bp, output {outputs}; next: sparselrp inspect {place}"
        )
