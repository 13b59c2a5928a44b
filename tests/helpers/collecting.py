"""A pytest plugin: the ids of all that a session has collected, before a marker or a name leaves any out."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COLLECTED = pytest.StashKey[list[str]]()
LEAVING_OUT = ("ignore", "ignore_glob", "deselect", "lf", "pyargs")


def is_whole(config: pytest.Config) -> bool:
    """Whether a session collects every test of the suite."""
    given = [(config.invocation_params.dir / name).resolve() for name in config.args]
    return given == [ROOT / "tests"] and not any(config.getoption(name, None) for name in LEAVING_OUT)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    config.stash[COLLECTED] = [item.nodeid for item in items]
