"""What tests of several stages share."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

# As the command does: threads that wait give way. It is read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# As below for torch. It is read when numpy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# What the user keeps of models isn't the tests'; those of the cache have one of their own.
os.environ["SPARSELRP_CACHE_DIR"] = ""

import numpy as np
import pytest
import torch
from hypothesis import settings

pytest_plugins = [
    "helpers.browsing", "helpers.captures", "helpers.collecting", "helpers.drawing", "helpers.exporting",
    "helpers.garbage", "helpers.interruption", "helpers.loops", "helpers.order", "helpers.warming",
]  # fmt: skip

# The networks of the tests are small; several threads would only wait for each other.
torch.set_num_threads(1)

# Every law is tried on the same examples in every run, and however long one takes.
settings.register_profile("laws", deadline=None, derandomize=True)
settings.load_profile("laws")


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> torch.device:
    """Every device there is."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no NVIDIA GPU here")
    return torch.device(request.param)


@pytest.fixture(scope="session")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two chromosomes of 300 and 90 bp; chr2 begins with N."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("genome") / "genome.fa"
    first = "".join(rng.choice(list("ACGTacgt"), 300))
    second = "N" * 20 + "".join(rng.choice(list("ACGT"), 70))
    path.write_text(f">chr1 the first\n{first[:150]}\n{first[150:]}\n>chr2\n{second}\n")
    return path


@pytest.fixture
def peaks(tmp_path: Path) -> Path:
    """Regions of that genome: two that overlap, two that hang over its ends, one on no chromosome of it."""
    path = tmp_path / "peaks.bed"
    path.write_text(
        "track name=peaks\nchr1\t100\t140\ta\t0\t+\nchr1\t110\t150\tb\t0\t-\nchr1\t0\t10\tleft\n"
        "chr2\t60\t90\tright\t1\t.\nchr7\t5\t9\tnowhere\n"
    )
    return path


@pytest.fixture(autouse=True)
def log_as_it_was() -> Iterator[None]:
    """Give every test the log as it is before any command, which shared fixtures may have run."""
    logger = logging.getLogger("sparselrp")
    _reset(logger)
    yield
    _reset(logger)


def _reset(logger: logging.Logger) -> None:
    logger.propagate = True
    logger.handlers.clear()
    if logger.level != logging.NOTSET:  # Setting it makes every logger there is ask for its level again.
        logger.setLevel(logging.NOTSET)
