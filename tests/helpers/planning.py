"""Snakemake, loaded once in a process of its own that is forked for each call: loading takes the longest."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CALLS = """
import gc, json, os, sys

import jsonschema, smart_open  # which it loads when it needs them
from snakemake.cli import main, parse_args

parse_args(["-n"])  # which loads the plugins
gc.freeze()  # What a child looks through for garbage, or takes apart at its end, it has to copy first.
for line in sys.stdin:
    folder, said, *arguments = json.loads(line)
    child = os.fork()
    if not child:
        os.chdir(folder)
        file = os.open(said, os.O_WRONLY | os.O_CREAT)
        os.dup2(file, 1)
        os.dup2(file, 2)
        try:
            main(arguments)
        except SystemExit as end:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(end.code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@dataclass(frozen=True)
class Snakemake:
    """The process that is forked."""

    process: subprocess.Popen[str]

    def call(self, folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Call it in a folder; what goes to both streams is given as standard output."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        said = folder / "said"
        print(json.dumps([str(folder), str(said), *map(str, arguments)]), file=self.process.stdin, flush=True)
        code = int(self.process.stdout.readline())
        return subprocess.CompletedProcess(arguments, code, said.read_text(), "")


@contextmanager
def loaded() -> Iterator[Snakemake]:
    with subprocess.Popen(
        [sys.executable, "-c", CALLS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Snakemake(process)
