"""CREsted's own networks, where it is installed: imported, they compute what Keras does."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sparselrp_cli.model.importing import ImportRequest, import_model

SMALL = {
    "simple_convnet": (512, {"first_filters": 8, "filters": 8, "dense_size": 8, "bottleneck": 4}),
    "deeptopic_cnn": (128, {"filters": 8, "dense_out": 8}),
    "deeptopic_lstm": (128, {"filters": 6, "dense_out": 5, "lstm_out": 4}),
    "dilated_cnn": (256, {"first_conv_filters": 6, "num_filters": 6, "n_dil_layers": 3}),
    "dilated_cnn_decoupled": (256, {"first_conv_filters": 6, "num_filters": 6, "n_dil_layers": 3}),
    "basenji": (1024, {"first_filters": 8, "filters": 16}),
    "legnet": (64, {"stem_filters": 6, "tower_filters": (6, 8), "pool_sizes": (2, 2)}),
}


@pytest.fixture(scope="module")
def crested() -> Any:
    """The package's networks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "torch"))
        yield pytest.importorskip("crested.tl.zoo", reason="CREsted isn't installed", exc_type=ImportError)


def made(build: Callable[..., Any], length: int, options: dict[str, Any]) -> Any:
    """Make a network, its zeros replaced by random numbers as training would."""
    model = build(length, 3, **options)
    generator = np.random.default_rng(0)
    for weight in model.weights:
        values = weight.numpy()
        if values.dtype.kind == "f" and values.size and not values.any():
            weight.assign(generator.normal(0, 0.1, values.shape))
    return model


# Keras's torch backend and NumPy 2 disagree on a keyword.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
@pytest.mark.parametrize("name", SMALL)
def test_an_imported_network_computes_what_keras_does(crested, tmp_path: Path, name):
    length, options = SMALL[name]
    model = made(getattr(crested, name), length, options)
    model.save(tmp_path / "net.keras")
    x = np.eye(4, dtype=np.float32)[np.random.default_rng(1).integers(0, 4, (2, length))]

    (imported,) = import_model(tmp_path / "net.keras", "auto", ImportRequest(None))

    with torch.no_grad():
        found = imported.build(name)(torch.from_numpy(x).transpose(1, 2))
    assert imported.window == length
    np.testing.assert_allclose(found.numpy(), model.predict(x, verbose=0), atol=2e-6)
