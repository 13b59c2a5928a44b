"""What can't be explained is named with its line and the way out; what doesn't fit, with what would."""

import random

import pytest
import torch
from torch import nn
from torch.nn import functional

from sparselrp_cli.errors import ModelError
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.input_advice import fitting_windows
from sparselrp_cli.graph.loaded import capture_model
from sparselrp_cli.model.layout import InputLayout
from sparselrp_cli.model.loading import LoadedModel

WINDOW = 12


class Net(nn.Module):
    """A scan, something in between, and a head."""

    def __init__(self, between) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.scan, self.between, self.head = nn.Conv1d(4, 3, 5), between, nn.Linear(3, 2)

    def forward(self, x):
        return self.head(self.between(self.scan(x)).amax(-1))


class Reawakened(nn.Dropout):
    def forward(self, x):
        return functional.dropout(x, self.p, True)


def attention(h):
    return functional.scaled_dot_product_attention(h, h, h, dropout_p=0.3)


DROPOUT = (
    "dropout is called with training=True at {place}, so outputs differ from call to call; write"
    " F.dropout(x, p, training=self.training), or leave nn.Dropout in evaluation mode"
)
DRAWS = (
    "'{name}' draws random numbers at {place}, so outputs differ from call to call; draw them only"
    " if self.training"
)
BATCH = (
    "batch norm at {place} uses the statistics of its batch, so a window's map would depend on the other"
    " windows; it needs running statistics: track_running_stats=True in training, training=self.training"
    " where it is called as a function"
)
ATTENTION = (
    "attention is called with dropout_p above 0 at {place}, so outputs differ from call to call; write"
    " dropout_p=p if self.training else 0.0"
)


@pytest.mark.parametrize(
    ("between", "message"),
    [
        (lambda h: functional.dropout(h), DROPOUT),
        (lambda h: functional.dropout1d(h), DROPOUT),
        (lambda h: functional.alpha_dropout(h, training=True), DROPOUT),
        (Reawakened(), DROPOUT.replace("{place}", "module 'between', {place}")),
        (attention, ATTENTION),
        (lambda h: h + torch.randn(8), DRAWS.replace("{name}", "randn")),
        (lambda h: h + torch.rand_like(h), DRAWS.replace("{name}", "rand_like")),
        (lambda h: functional.rrelu(h, training=True), DRAWS.replace("{name}", "rrelu")),
        (
            nn.BatchNorm1d(3, track_running_stats=False),
            BATCH.replace("{place}", "module 'between', {place}"),
        ),
        (lambda h: functional.batch_norm(h, None, None, training=True), BATCH),
    ],
    ids=[
        "dropout", "dropout of channels", "alpha dropout", "a module", "attention", "a constant", "noise",
        "rrelu", "batch norm", "batch norm as a function",
    ],
)  # fmt: skip
def test_a_random_or_batch_dependent_model_is_refused_with_the_line(between, message):
    with pytest.raises(ModelError) as caught:
        capture(Net(between), loaded(Net(between)).example())
    said = str(caught.value)
    line = said.partition("test_faults.py:")[2].split()[0].rstrip(",")
    assert said == message.format(place=f"test_faults.py:{line}")
    assert int(line) > 0


@pytest.mark.parametrize(
    "between",
    [
        lambda h: functional.dropout(h, 0.0),
        lambda h: functional.dropout(h, training=False),
        nn.Dropout(),
        nn.InstanceNorm1d(3),
        nn.BatchNorm1d(3),
    ],
    ids=["nothing dropped", "evaluation", "a module", "instance norm", "batch norm"],
)
def test_what_only_looks_random_is_explained(between):
    assert not capture(Net(between), torch.zeros(2, 4, WINDOW)).unsupported()


def loaded(module: nn.Module, layout: str = "NCL", window: int = WINDOW) -> LoadedModel:
    return LoadedModel("net", module.eval(), window, InputLayout("ACGT", layout), (), ())


def test_a_model_that_draws_outside_of_torch_is_refused_too():
    with pytest.raises(ModelError) as caught:
        capture_model(loaded(Net(lambda h: h * (1 + random.random()))))
    assert str(caught.value) == (
        "the model's output 'output' differs between two calls with the same sequences; its forward draws"
        " random numbers, or remembers earlier calls: leave that out in evaluation mode (if self.training)"
    )


def test_an_output_that_isnt_finite_is_named():
    with pytest.raises(ModelError) as caught:
        capture_model(loaded(Net(lambda h: h / torch.zeros(8))))
    assert str(caught.value) == (
        "the model's output 'output' isn't finite for random sequences (4 of 4 values are NaN or infinite);"
        " look for a division by 0, a log of 0 or wrong weights"
    )


class Flattened(nn.Module):
    """Reads windows of 20 to 23 bp."""

    def __init__(self) -> None:
        super().__init__()
        self.scan, self.head = nn.Conv1d(4, 3, 5, padding=2), nn.Linear(3 * 5, 2)

    def forward(self, x):
        return self.head(functional.max_pool1d(self.scan(x), 4).flatten(1))


class Viewed(Flattened):
    """The same, written so that a wrong length mixes samples."""

    def forward(self, x):
        return self.head(functional.max_pool1d(self.scan(x), 4).view(-1, 15))


class Placed(nn.Module):
    """Reads windows of 30 bp."""

    def __init__(self) -> None:
        super().__init__()
        self.scan, self.places = nn.Conv1d(4, 3, 5, padding=2), nn.Parameter(torch.ones(3, 30))

    def forward(self, x):
        return (self.scan(x) + self.places).amax(-1)


class Checked(nn.Module):
    """Says itself what it reads."""

    def forward(self, x):
        if x.shape[-1] != 500:
            raise ValueError(f"windows of 500 bp, please, not {x.shape[-1]}")
        return x.mean(2)


class Turned(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x.transpose(1, 2))


class Deep(nn.Module):
    """Pools six times, so that lengths meet its sizes only roughly: 640 to 703 bp."""

    def __init__(self) -> None:
        super().__init__()
        self.scan, self.head = nn.Conv1d(4, 2, 3, padding=1), nn.Linear(2 * 10, 1)

    def forward(self, x):
        h = self.scan(x)
        for _ in range(6):
            h = functional.avg_pool1d(h, 2)
        return self.head(h.flatten(1))


@pytest.mark.parametrize(
    ("module", "fitting"),
    [
        (Flattened(), (20, 23)),
        (Viewed(), (20, 23)),
        (Placed(), (30, 30)),
        (nn.Conv1d(4, 2, 40), (40, None)),
        (Checked(), (500, 500)),
        (Turned(Flattened()), (20, 23)),
        (Deep(), (640, 703)),
        (nn.Conv1d(5, 2, 3), None),
    ],
    ids=["flatten", "view", "places", "too short", "said by itself", "NLC", "pools", "another reason"],
)
def test_window_lengths_that_fit_are_found(module, fitting):
    x = torch.zeros(2, 4, WINDOW)
    assert fitting_windows(module, x.transpose(1, 2) if isinstance(module, Turned) else x) == fitting


class WithMask(nn.Module):
    """Fails without an input that has a default."""

    def forward(self, x, mask=None):
        return torch.cat([x, mask], 1).sum(2)


CANT = "the model can't take an input of shape (2, 4, 12): "
ONE_ROW = (
    "; it takes a window as one row: wrap it in a module whose forward returns net(x.flatten(1)), or"
    " net(x.transpose(1, 2).flatten(1)) if the four numbers of a position stand side by side"
)


@pytest.mark.parametrize(
    ("module", "end"),
    [
        (Turned(nn.Conv1d(4, 2, 3)), "; give --layout NLC"),
        (nn.Linear(4, 2), "cannot be multiplied (8x12 and 4x2); give --layout NLC"),
        (nn.Conv2d(4, 2, (1, 3)), "but got 2 channels instead; give --layout NC1L"),
        (
            nn.Conv2d(1, 2, (4, 3)),
            "but got 2 channels instead; give --layout N1CL or N1LC, whichever it was trained with",
        ),
        (
            nn.Embedding(4, 2),
            "(while checking arguments for embedding); give --layout NL; or, if it takes ids of tokens, say"
            " which: --tokens",
        ),
        (nn.Linear(48, 2), f"cannot be multiplied (8x12 and 48x2){ONE_ROW}"),
        (
            nn.Conv1d(5, 2, 3),
            "but got 4 channels instead; it reads 5 channels: give those beside A, C, G and T with --input"
            " channels=1x12:VALUE, or channels=FILE.npz by region",
        ),
        (
            Turned(nn.Conv1d(6, 2, 3)),
            "it reads 6 channels: give --layout NLC and those beside A, C, G and T with --input"
            " channels=2x12:VALUE, or channels=FILE.npz by region",
        ),
        (nn.Conv2d(1, 2, (5, 4)), "; give --layout N1LC"),
        (nn.Conv2d(4, 2, (3, 1)), "; give --layout NCL1"),
        (Turned(Flattened()), "; windows of 20 to 23 bp would fit: --layout NLC --window 20"),
        (
            WithMask(),
            "it wants more inputs: give them with --input mask=SHAPE:VALUE, or mask=FILE.npz by region",
        ),
        (Flattened(), "; windows of 20 to 23 bp would fit: --window 20"),
        (Placed(), "; windows of 30 bp would fit: --window 30"),
        (nn.Conv1d(4, 2, 40), "; windows of 40 bp or more would fit: --window 40"),
        (
            nn.Bilinear(3, 3, 2),
            "missing 1 required positional argument: 'input2'; hold its other inputs constant with --input"
            " input2=SHAPE:VALUE ('input1' takes the sequence, unless it is held, too), or give a row for"
            " each region, --input input2=FILE.npz",
        ),
        (
            nn.Sequential(nn.Flatten(), nn.Unflatten(1, (7, 7))),
            "; the window length may be wrong (--window), or the order of the axes (--layout)",
        ),
    ],
    ids=[
        "NLC", "NLC, linear", "4 axes", "an axis for one channel", "ids", "one row", "5 channels",
        "6 channels, NLC", "an axis for one channel, NLC", "an axis behind", "window and NLC",
        "an optional input", "window",
        "one window", "too short", "two inputs", "nothing found",
    ],
)  # fmt: skip
def test_an_input_that_doesnt_fit_is_refused_with_what_would(module, end):
    with pytest.raises(ModelError) as caught:
        capture_model(loaded(module))
    said = str(caught.value)
    assert said.startswith(CANT)
    assert said.endswith(end)
    assert len(said.splitlines()) == 1


def test_a_model_of_nlc_that_gets_ncl_is_told_so_the_other_way_round_too():
    with pytest.raises(ModelError) as caught:
        capture_model(loaded(nn.Conv1d(4, 2, 3), "NLC"))
    assert str(caught.value).endswith("; give --layout NCL")


def test_where_forward_fails_is_said():
    with pytest.raises(
        ModelError, match=r"windows of 500 bp, please, not 12 at test_faults.py:\d+; windows of"
    ):
        capture_model(loaded(Checked()))
