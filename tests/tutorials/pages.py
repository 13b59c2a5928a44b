"""A tutorial page as its reader follows it: its files are written, and its commands run in their order."""

import re
import runpy
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.commands import run_here

from sparselrp_cli.cli import following
from sparselrp_cli.cli.main import run

FOLDER = Path(__file__).parents[2] / "docs" / "tutorials"
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
OTHERS = ("modisco", "finemo")
"""Programs of others, which aren't run: what they take has to be there, and their output is an empty file."""
EXIT_CODE = re.compile(r"#\s*exit code (\d+)$")


@dataclass(frozen=True)
class Command:
    """A command line of a page, and how it ends."""

    words: tuple[str, ...]
    exit_code: int = 0

    @classmethod
    def read(cls, line: str) -> "Command":
        said = EXIT_CODE.search(line)
        return cls(tuple(shlex.split(line, comments=True)), int(said[1]) if said else 0)

    def call(self) -> int:
        """Call the command in this process; gives its exit code."""
        program, *arguments = self.words
        match program:
            case "sparselrp":
                return run(arguments)
            case "python":
                runpy.run_path(arguments[0])
            case "mkdir":
                for name in arguments:
                    Path(name).mkdir()
            case _ if program in OTHERS:
                return self.hand_over()
            case _:
                raise ValueError(f"{program}: a page calls sparselrp, python, mkdir or {', '.join(OTHERS)}")
        return 0

    def hand_over(self) -> int:
        """Give 1 where a file that a program of others takes, in a folder of the page, is missing."""
        options = [pair for pair in zip(self.words, self.words[1:], strict=False) if "/" in pair[1]]
        missing = [name for option, name in options if option != "-o" and not Path(name).exists()]
        if not missing:
            Path(dict(options)["-o"]).touch()
        return len(missing[:1])


@dataclass(frozen=True)
class TutorialPage:
    """What stands on a page of docs/tutorials/.

    Attributes
    ----------
    text : str
    files : dict of str to str
        What each file holds that the reader is to write, by its name.
    commands : tuple of Command
        Of the shell blocks.
    """

    text: str
    files: dict[str, str]
    commands: tuple[Command, ...]

    @classmethod
    def read(cls, name: str) -> "TutorialPage":
        text = (FOLDER / name).read_text(encoding="utf-8")
        blocks = BLOCK.findall(text)
        files = {file: code for _, file, code in blocks if file}
        shell = "".join(code for language, _, code in blocks if language == "sh").replace("\\\n", " ")
        return cls(text, files, tuple(Command.read(line) for line in shell.splitlines() if line.strip()))

    def write_files(self, folder: Path) -> None:
        for name, code in self.files.items():
            (folder / name).write_text(code, encoding="utf-8")

    def follow(self, folder: Path) -> list[Command]:
        """Write the files and call the commands in a folder; gives those that didn't end as the page says."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.setenv("SPARSELRP_CACHE_DIR", str(folder / "cache"))
            patch.setattr(following, "run_command", run_here)
            self.write_files(folder)
            return [command for command in self.commands if command.call() != command.exit_code]
