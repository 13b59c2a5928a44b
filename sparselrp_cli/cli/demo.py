"""`sparselrp demo`: the shipped model on shipped windows, to a report."""

import shlex
from pathlib import Path

import click

from sparselrp_cli.cli.grouped import Grouped
from sparselrp_cli.cli.options import log_options, start_log


@click.command(
    cls=Grouped,
    short_help="The shipped model on shipped windows, to a report: start here.",
)
@click.option(
    "-o", "--output", "folder", type=click.Path(path_type=Path), default="sparselrp-demo", show_default=True,
    metavar="DIR", help="Where the files go; a new folder, or an empty one.",
)  # fmt: skip
@log_options
@click.pass_context
def demo(context: click.Context, folder: Path, quiet: bool) -> None:
    """Explain 60 peaks of the fly's insulator protein su(Hw) with the shipped model suhw-dm3.

    Everything comes with the package: nothing is downloaded. Each command is printed before it runs, to be
    copied and changed. The first run on a machine compiles its loops and takes a minute or two longer.

    \b
    Example:
      sparselrp demo -o my-demo
    """
    start_log(context, quiet=quiet)
    from sparselrp_cli.cli.following import run_command
    from sparselrp_cli.motifs.discovery import can_find_motifs
    from sparselrp_cli.runs.demo import demo_results, demo_steps, put_demo_files

    put_demo_files(folder)
    for number, step in enumerate(demo_steps(folder), 1):
        click.echo(f"{number}. {step.why}\n   {shlex.join(['sparselrp', *step.arguments])}")
        run_command(list(step.arguments), quiet=quiet)
        click.echo()
    if not can_find_motifs():
        click.echo("motifs are left out, for TF-MoDISco isn't installed: pip install 'sparselrp[motifs]'\n")
    click.echo("Where to look:")
    results = demo_results(folder)
    width = max((len(str(place)) for place, _ in results), default=0)
    for place, text in results:
        click.echo(f"  {place!s:{width}}  {text}")
    click.echo(
        "\nYour own network next: `sparselrp inspect mynet.py:build -w weights.safetensors --window BP`."
    )
