"""`sparselrp export`: tracks and motif-ready files again, from archives."""

from functools import partial
from pathlib import Path

import click

from sparselrp_cli.cli.grouped import Grouped
from sparselrp_cli.cli.options import command_line, log_options, prefix_option, start_log
from sparselrp_cli.cli.settings import setting_option
from sparselrp_cli.outputs.formats import EXPORTED, help_on_formats


@click.command(
    cls=Grouped, short_help="Tracks and motif-ready files again, from the archive (CPU, no torch)."
)
@click.argument("archives", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PREFIX.h5...")
@partial(prefix_option, help="Where to write, for a single archive.  [default: the archive's own prefix]")
@setting_option("formats", help=help_on_formats(",".join(EXPORTED)))
@setting_option("overlap")
@log_options
@click.pass_context
def export(
    context: click.Context, archives: tuple[Path, ...], prefix: Path | None, formats: tuple[str, ...],
    overlap: str, quiet: bool,
) -> None:  # fmt: skip
    """Write tracks and motif-ready files from archives that `attribute` made.

    \b
    Example:
      sparselrp export out/suhw.h5 --formats bigwig,modisco,finemo
    """
    start_log(context, quiet=quiet)
    if prefix is not None and len(archives) > 1:
        raise click.UsageError("--output goes with a single archive")
    import logging

    from sparselrp_cli.runs.exporting import export_archive

    for archive in archives:
        target = prefix or archive.with_suffix("")
        files = export_archive(archive, target, formats or EXPORTED, overlap, command_line())
        said = f"wrote {', '.join(map(str, files))}" if files else f"{archive} is there; nothing to write"
        logging.getLogger("sparselrp").info("%s", said)
