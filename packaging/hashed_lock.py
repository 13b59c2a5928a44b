"""Write the locks with the SHA-256 of every file, for the tests and for the container.

From an environment with uv on PATH, after packaging/lock.py: python packaging/hashed_lock.py

The versions are those of requirements-tests.txt, which constrain uv. torch has no hash: which build is
right, for CPUs or one of several CUDA versions, is the machine's. Each index has its own files under one
version, and the hash of one would refuse the others. constraints.txt pins its version. What every build of
torch needs is in the locks; what a CUDA build needs besides comes with it.
"""

import re
import subprocess
import tempfile
import tomllib
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PINS = ROOT / "requirements-tests.txt"
LOCKS = {
    ROOT / "requirements-hashed.txt": ("test", "workflow", "check", "supply"),
    ROOT / "packaging" / "requirements-container.txt": ("motifs", "jaspar", "tokens", "import", "vcf"),
}
"""Each lock and the extras that it is for."""
OLDEST = "3.11.5"
"""Of Python: the first that every locked version takes."""
OF_BUILDS = ("nvidia", "cuda", "triton")
"""What only some builds of torch need."""
NEVER = 'torch ; sys_platform == "never"'
HEAD = """\
# Made by packaging/hashed_lock.py (make lock), for Python {oldest} to 3.13; all but torch, see there:
# pip install -c constraints.txt torch && pip install --no-deps --require-hashes -r {name}
"""


def torch_needs() -> list[str]:
    """What every build of torch needs, as the installed one says."""
    needed = map(Requirement, requires("torch") or ())
    return [str(r) for r in needed if r.marker is None and not r.name.startswith(OF_BUILDS)]


def compiled(extras: tuple[str, ...]) -> str:
    """Give the requirements of the project with some extras, each file with its hash."""
    with tempfile.TemporaryDirectory() as folder:
        overrides, needs = Path(folder) / "overrides.txt", Path(folder) / "needs.in"
        overrides.write_text(f"{NEVER}\n")
        needs.write_text("\n".join(torch_needs()))
        command = ["uv", "pip", "compile", "--quiet", "--universal", "--python-version", OLDEST]
        command += ["--generate-hashes", "--no-header", "--no-annotate", "--overrides", str(overrides)]
        command += ["-c", str(PINS), *(word for extra in extras for word in ("--extra", extra))]
        command += ["pyproject.toml", str(needs)]
        return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def without_torch(text: str) -> str:
    """Leave out torch and its hashes; a requirement is a line, and the indented ones behind it."""
    requirements = re.split(r"\n(?=\S)", text.rstrip("\n"))
    return "\n".join(each for each in requirements if not each.startswith("torch==")) + "\n"


def main() -> None:
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for path, extras in LOCKS.items():
        if unknown := set(extras) - set(known):
            raise SystemExit(f"pyproject.toml has no extra {', '.join(sorted(unknown))}")
        name = path.relative_to(ROOT)
        path.write_text(HEAD.format(oldest=OLDEST, name=name) + without_torch(compiled(extras)))
        print(name)


if __name__ == "__main__":
    main()
