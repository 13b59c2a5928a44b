"""What tests of the workflow share."""

from collections.abc import Iterator

import pytest
from helpers.planning import Snakemake, loaded


@pytest.fixture(scope="session")
def planner() -> Iterator[Snakemake]:
    """Snakemake without a start for each call."""
    pytest.importorskip("snakemake", reason="snakemake isn't installed")
    with loaded() as snakemake:
        yield snakemake
