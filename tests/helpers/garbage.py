"""A pytest plugin: what lives as long as the session isn't looked through for garbage again and again.

Modules, tests and their parameters are more than half a million objects. All of them stay, so that nothing is
looked for while they are made: that took a quarter of the time of collecting.
"""

import gc
from collections.abc import Iterator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()
        # Tracing a model makes many objects that stay for a moment.
        gc.set_threshold(10_000, 10, 10)
