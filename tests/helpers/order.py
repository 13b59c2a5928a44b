"""A pytest plugin: what takes long without a pause is run first, so that no worker has it left at the end."""

from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
LONG = (
    "test_suite.py", "tutorials", "workflow", "docs/test_notebooks.py", "zoo/test_forms_of_attention.py",
    "zoo/test_language_models.py",
)  # fmt: skip
"""Files, and folders of them, of which one test or what it is set up with takes some seconds."""
PLACES = tuple(TESTS / name for name in LONG)


@cache
def is_long(path: Path) -> bool:
    return any(path.is_relative_to(place) for place in PLACES)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not is_long(item.path))
