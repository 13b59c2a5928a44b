"""Print the versions of what the tests need, as this environment has them, for `pip install -c`.

From an environment with the tests' extras: python packaging/lock.py > requirements-tests.txt
"""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = ("test", "workflow", "check")
SEEDS = {"pip", "setuptools"}
"""What an environment begins with, in a version of its Python's."""
HEAD = "# Made by packaging/lock.py: the versions that the tests were last run with; make test installs them."


def normalised(name: str) -> str:
    """Write a name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def of_project(extras: tuple[str, ...] = EXTRAS) -> list[str]:
    """Give the requirements of the project and of some of its extras; an extra may name others."""
    optional = PROJECT["optional-dependencies"]
    found, left = list(PROJECT["dependencies"]), list(extras)
    while left:
        for text in optional[left.pop()]:
            requirement = Requirement(text)
            if requirement.name == PROJECT["name"]:
                left += requirement.extras
            else:
                found.append(text)
    return found


def with_what_they_need(texts: list[str]) -> dict[str, str]:
    """Give the version of each requirement, and of what it needs in turn, by name."""
    versions: dict[str, str] = {}
    left = [Requirement(text) for text in texts]
    seen: set[tuple[str, frozenset[str]]] = set()
    while left:
        requirement = left.pop()
        key = normalised(requirement.name), frozenset(requirement.extras)
        if key in seen:
            continue
        seen.add(key)
        try:
            # A build's local label, such as +cpu, isn't on every index.
            versions[key[0]] = version(requirement.name).partition("+")[0]
        except PackageNotFoundError as error:
            raise SystemExit(f"{requirement.name} isn't installed; make test first") from error
        for text in requires(requirement.name) or ():
            needed = Requirement(text)
            environments = [{"extra": extra} for extra in (*requirement.extras, "")]
            if needed.marker is None or any(map(needed.marker.evaluate, environments)):
                left.append(needed)
    return versions


if __name__ == "__main__":
    locked = with_what_they_need(of_project())
    pins = [f"{name}=={number}" for name, number in sorted(locked.items()) if name not in SEEDS]
    print("\n".join([HEAD, *pins]))
