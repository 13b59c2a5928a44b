"""A pytest plugin: what lives as long as the session isn't looked through for garbage again and again.

Modules, tests and their parameters are more than half a million objects.
"""

import gc

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    # Tracing a model makes many objects that stay for a moment.
    gc.set_threshold(10_000, 10, 10)
