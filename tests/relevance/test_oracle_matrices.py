"""The matrices oracle against PyTorch's layers, to rounding."""

import numpy as np
import pytest
import torch
from oracles import matrices
from torch.nn import functional


def random(*shape):
    return np.random.default_rng(shape).normal(size=shape)


def by_torch(layer, x, *tensors, **options):
    out = layer(torch.from_numpy(x)[None], *(torch.from_numpy(t) for t in tensors), **options)
    return out.numpy()[0].ravel()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2},
        {"padding": 2},
        {"dilation": 3},
        {"groups": 2},
        {"stride": 3, "padding": 1, "dilation": 2, "groups": 2},
    ],
)
def test_convolutions_are_pytorchs(options):
    x, weight, bias = random(4, 13), random(6, 4 // options.get("groups", 1), 3), random(6)
    W, b = matrices.conv1d(weight, bias, 13, **options)  # noqa: N806

    np.testing.assert_allclose(
        x.ravel() @ W + b, by_torch(functional.conv1d, x, weight, bias, **options), atol=1e-13
    )


def test_two_dimensional_convolutions_are_pytorchs():
    x, weight = random(4, 7, 9), random(6, 2, 3, 2)
    options = {"stride": (2, 1), "dilation": (1, 3), "groups": 2}
    W, b = matrices.conv2d(weight, None, (7, 9), padding=((1, 1), (2, 2)), **options)  # noqa: N806

    expected = by_torch(functional.conv2d, x, weight, padding=(1, 2), **options)
    np.testing.assert_allclose(x.ravel() @ W + b, expected, atol=1e-13)


def test_linear_layers_act_on_the_last_axis():
    x, weight, bias = random(5, 3), random(4, 3), random(4)
    W, b = matrices.linear(weight, bias, positions=5)  # noqa: N806

    np.testing.assert_allclose(x.ravel() @ W + b, (x @ weight.T + bias).ravel(), atol=1e-13)


def test_folding_is_one_layer_for_two():
    x, weight, bias = random(3, 8), random(4, 3, 3), random(4)
    norm = (random(4), random(4) + 1, random(4) - 1, np.square(random(4)))
    scale, shift = matrices.batch_norm(*norm, 1e-3, positions=6)
    W, b = matrices.fold(*matrices.conv1d(weight, bias, 8), scale, shift)  # noqa: N806

    convolved = functional.conv1d(torch.from_numpy(x)[None], *map(torch.from_numpy, (weight, bias)))
    gamma, beta, mean, variance = map(torch.from_numpy, norm)
    expected = functional.batch_norm(convolved, mean, variance, gamma, beta, eps=1e-3).numpy()
    np.testing.assert_allclose(x.ravel() @ W + b, expected.ravel(), atol=1e-12)


@pytest.mark.parametrize(("width", "stride", "padding"), [(2, None, 0), (3, 2, 1), (5, 1, 2), (4, 3, 0)])
def test_pools_are_pytorchs(width, stride, padding):
    x = random(3, 11)
    M = matrices.average_pool1d(3, 11, width, stride, padding)  # noqa: N806
    chosen = matrices.winners(x.ravel(), matrices.max_pool1d_windows(3, 11, width, stride, padding))
    options = {"kernel_size": width, "stride": stride, "padding": padding}

    np.testing.assert_allclose(x.ravel() @ M, by_torch(functional.avg_pool1d, x, **options), atol=1e-13)
    np.testing.assert_array_equal(x.ravel()[chosen], by_torch(functional.max_pool1d, x, **options))


def test_the_first_of_equal_winners_takes_all_as_in_pytorch():
    x = np.random.default_rng(0).integers(0, 2, size=(2, 6, 8)).astype(float)
    windows = matrices.max_pool2d_windows(2, (6, 8), (2, 4), padding=(1, 0))

    _, places = functional.max_pool2d(torch.from_numpy(x)[None], (2, 4), padding=(1, 0), return_indices=True)
    expected = places[0].flatten(1).numpy() + np.array([[0], [48]])
    assert matrices.winners(x.ravel(), windows) == expected.ravel().tolist()


def test_the_global_average_is_the_mean():
    x = random(3, 7)

    np.testing.assert_allclose(x.ravel() @ matrices.mean_over_positions(3, 7), x.mean(axis=1), atol=1e-14)
