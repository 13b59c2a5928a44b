"""The table of element-wise functions: what a row says is what the function does."""

import math

import pytest
import torch

from sparselrp_cli.graph.functions import FUNCTIONS, Function
from sparselrp_cli.graph.operations.activation import Activation

GIVEN = {
    "leaky_relu": [(0.01,), (0.3,)],
    "hardtanh": [(-1.0, 1.0), (-0.5, 2.0), (0.0, 6.0), (0.5, 2.0), (-2.0, -1.0), (-math.inf, 0.5)],
    "elu": [(1.0,), (1.5,)],
    "celu": [(1.0,), (0.5,)],
    "gelu": [("none",), ("tanh",)],
    "softplus": [(1.0, 20.0), (2.0, 20.0)],
    "threshold": [(-0.5, -1.5), (0.5, 3.0), (0.0, 1.0), (0.5, -1.0)],
    "power": [(2.0,), (3.0,), (0.5,), (-1.0,), (-2.0,)],
}
ROWS = {
    f"{name} {' '.join(map(str, arguments))}".strip(): (row.given(arguments), arguments)
    for name, row in FUNCTIONS.items()
    if name != "prelu"  # its slope is a tensor; see tests/graph/operations/test_activation.py
    for arguments in GIVEN.get(name, [()])
}
every_row = pytest.mark.parametrize(("row", "arguments"), ROWS.values(), ids=ROWS)
X = torch.linspace(-4, 4, 801, dtype=torch.float64)
STEP = 1e-7


def value(row: Function, arguments: tuple, x: torch.Tensor) -> torch.Tensor:
    return row.call(x, *arguments)


def test_every_row_has_a_name_and_an_overload_of_its_own():
    assert all(name == row.name for name, row in FUNCTIONS.items())
    overloads = [row.overload for row in FUNCTIONS.values() if row.overload is not None]
    assert len(set(overloads)) == len(overloads)


@every_row
def test_the_value_at_0_is_the_functions(row, arguments):
    at_zero = float(value(row, arguments, torch.zeros(1, dtype=torch.float64)))
    assert row.value == (pytest.approx(at_zero, abs=1e-15) if math.isfinite(at_zero) else 0.0)


@every_row
def test_the_slope_at_0_is_the_functions_where_it_has_one(row, arguments):
    nothing = torch.zeros(1, dtype=torch.float64)
    below, here, above = (float(value(row, arguments, nothing + d)) for d in (-STEP, 0.0, STEP))
    left, right = (here - below) / STEP, (above - here) / STEP
    if row.below is not None or not all(map(math.isfinite, (left, right))) or abs(left) > 1e3:
        assert row.slope == 0.0
    elif abs(left - right) < 1e-5:
        assert row.slope == pytest.approx((left + right) / 2, abs=1e-6)
    else:
        assert any(row.slope == pytest.approx(s, abs=1e-6) for s in (left, right, 0.0))


@pytest.mark.parametrize(
    ("row", "arguments"),
    [case for case in ROWS.values() if case[0].below is not None],
    ids=["0", "0.01", "0.3"],
)
def test_the_factor_below_0_is_the_functions(row, arguments):
    torch.testing.assert_close(value(row, arguments, X), torch.where(X > 0, X, row.below * X))


@every_row
def test_signs_are_the_functions(row, arguments):
    y = value(row, arguments, X)
    never_negative = not bool((y < 0).any())
    # A function that has no value for negative numbers may claim either.
    assert row.non_negative == never_negative or (never_negative and bool(y.isnan().any()))
    assert row.keeps_sign == (not bool((y[X >= 0] < 0).any()))


@every_row
def test_an_end_is_increasing(row, arguments):
    y = value(row, arguments, X)
    y = y[torch.isfinite(y)]
    if row.end:
        assert bool((y.diff() >= 0).all())
        assert Activation(row.name).end() == row.name


def test_what_models_end_in_to_return_probabilities_or_rates_is_an_end():
    ends = {name for name, row in FUNCTIONS.items() if row.end}
    assert ends >= {"sigmoid", "exp", "softplus", "log"}
    assert not ends & {"relu", "tanh", "abs", "cos"}


def test_a_power_of_a_size_is_a_gate_if_it_divides():
    assert FUNCTIONS["power"].given((-0.5,)).gate
    assert not FUNCTIONS["power"].given((2.0,)).gate
    assert Activation("power", (-0.5,)).describe() == "power -0.5"
