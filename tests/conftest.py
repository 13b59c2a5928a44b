"""What tests of several stages share."""

import logging
import os
from collections.abc import Iterator

# As the command does: threads that wait give way. It is read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest
import torch
from hypothesis import settings

pytest_plugins = ["helpers.interruption"]

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
    logger.setLevel(logging.NOTSET)
