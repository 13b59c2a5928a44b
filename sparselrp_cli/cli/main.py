"""The command `sparselrp`: its subcommands, and what its exit codes mean."""

import gc
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from types import MappingProxyType

import click

from sparselrp_cli import __version__
from sparselrp_cli.cli.colour import painted
from sparselrp_cli.cli.grouped import HelpContext
from sparselrp_cli.cli.memory import require_addresses, shortage
from sparselrp_cli.cli.scratch import missing_scratch, settle_scratch
from sparselrp_cli.cli.streams import drop_output, drop_what_is_left, open_closed_streams, reported_output
from sparselrp_cli.errors import SparselrpError, Stopped
from sparselrp_cli.files.interruptions import let_go
from sparselrp_cli.runs.stopping import STOPPED, end_with_parent, stop_request

# Threads that wait give way: where others want the processor, turning in circles slows everyone down.
# It is read when torch is loaded, which the commands do later.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Large tensors in large pages: a window of Enformer takes a fifth less time, half of the system's.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

DONE, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130


# Each command and its module in this folder, whose function of the same name it is, in the order of the help.
COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "demo": "demo",
        "attribute": "attribute",
        "variants": "variants",
        "probe": "probe",
        "shuffle": "shuffle",
        "motifs": "motifs",
        "report": "report",
        "plot": "plot",
        "compare": "compare",
        "browser": "browser",
        "export": "export",
        "merge": "merge",
        "evaluate": "evaluate",
        "init": "init",
        "inspect": "inspect",
        "import": "import_model",
        "pack": "pack",
        "help": "help_topics",
    }
)
SECTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Begin": ("demo", "inspect", "help"),
        "Explain": ("attribute", "variants", "probe", "init", "merge"),
        "Go on from an archive": (
            "motifs", "report", "plot", "compare", "browser", "export", "shuffle", "evaluate",
        ),
        "Model folders": ("import", "pack"),
    }
)  # fmt: skip
"""The commands as help shows them."""
START = """\
Which bases mattered: sparse, conserved relevance from trained sequence models. To begin with:

  sparselrp demo                     the shipped model on shipped windows, to a report, in about a minute
  sparselrp inspect MODEL            what your model is, and what can be typed after -t
  sparselrp attribute genome.fa -r peaks.bed -m MODEL -o PREFIX --report
                                     relevance for every window, motifs, and a page about them

All commands: sparselrp --help"""


class Commands(click.Group):
    """The commands of the table, loaded when they are asked for."""

    context_class = HelpContext

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f"sparselrp_cli.cli.{module}"), module)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, section by section."""
        for section, names in SECTIONS.items():
            with formatter.section(section):
                found = [(name, self.get_command(ctx, name)) for name in names]
                formatter.write_dl([(name, c.get_short_help_str(100)) for name, c in found if c is not None])


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 75 stopped by SIGTERM or SIGUSR1, 130 interrupted.",
)
@click.version_option(__version__, "-V", "--version", message="%(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Which bases mattered: sparse, conserved relevance from trained sequence models.

    Pruned layer-wise relevance propagation (Yanez Sarmiento et al., ECML PKDD 2024) for genomics: per-base
    relevance tracks and motif-ready files from FASTA or BED.
    """
    if context.invoked_subcommand is None:
        click.echo(START, err=True)
        context.exit(WRONG_USAGE)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    open_closed_streams()
    code = run(arguments)
    drop_what_is_left()
    gc.freeze()  # No search for garbage on the way out: the memory goes back as a whole.
    sys.exit(code)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and give its exit code; failures are one line on standard error."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    verbose = any(a == "--verbose" or (a[:1] == "-" and a[1:2] != "-" and "v" in a[1:]) for a in given)
    try:
        with stop_request() as request:
            end_with_parent()
            require_addresses(given)
            settle_scratch()
            with reported_output():
                code = cli.main(given, prog_name="sparselrp", standalone_mode=False, obj=request)
    except click.UsageError as error:
        error.show()
        return WRONG_USAGE
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except (click.Abort, KeyboardInterrupt) as error:
        let_go(error)
        # Click puts its own error in the place of an interruption.
        return _interrupted(error.__cause__ if isinstance(error, click.Abort) else error)
    except BrokenPipeError:
        # Whoever read our output has left; nobody is there to be told.
        drop_output()
        return FAILED
    except (SparselrpError, click.ClickException) as error:
        if verbose:
            traceback.print_exc()
        said = error.format_message() if isinstance(error, click.ClickException) else str(error)
        return _failed(said, FAILED, getattr(error, "example", ()))
    except Exception as error:  # noqa: BLE001 - a fault of ours: still one line, and how to see more
        if verbose:
            traceback.print_exc()
        if (came := _interruption_before(error)) is not None:
            let_go(error)
            return _interrupted(came)
        if (lacking := shortage(error) or missing_scratch(error)) is not None:
            return _failed(lacking, FAILED)
        what = " ".join(str(error).split())
        hint = "" if verbose else "; run again with -v and report it"
        return _failed(f"internal error ({type(error).__name__}: {what}){hint}", FAILED)
    return code if isinstance(code, int) else DONE


def _interruption_before(error: BaseException) -> BaseException | None:
    """Give the interruption in the midst of which an error was met, as of a file that can't be closed."""
    while error.__context__ is not None:
        error = error.__context__
        if isinstance(error, KeyboardInterrupt):
            return error
    return None


def _interrupted(error: BaseException | None) -> int:
    stopped = isinstance(error, Stopped)
    what = "stopped" if stopped else "interrupted"
    said = str(error or "") or f"{what}; nothing that isn't complete was left"
    return _failed(said, STOPPED if stopped else INTERRUPTED)


def _failed(message: str, code: int, example: Sequence[str] = ()) -> int:
    # Where standard error is full, the code alone tells.
    with suppress(OSError):
        head = painted("sparselrp: error:", sys.stderr, "red", bold=True)
        click.echo("\n".join([f"{head} {message}", *example]), err=True)
    return code
