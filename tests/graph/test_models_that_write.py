"""Models that write: to buffers and attributes of their own, to their input, to parts of tensors."""

import copy
import functools

import pytest
import torch
from torch import Tensor, nn

from sparselrp_cli.graph.capture import capture, check_against_module
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.relevance.explainer import Explainer

LENGTH = 20


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head = nn.Conv1d(4, 6, 5, padding=2), nn.Linear(6, 2)

    def hidden(self, x: Tensor) -> Tensor:
        return torch.relu(self.conv(x)).amax(-1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.hidden(x))


class Counter(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.seen += 1
        return super().forward(x)


class ReadsItsCounter(Counter):
    """The first call from the state it came in: times 1."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.seen


class CountsInPython(Plain):
    seen = 0

    def forward(self, x: Tensor) -> Tensor:
        self.seen += 1
        return super().forward(x)


class RunningMean(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(6))

    def forward(self, x: Tensor) -> Tensor:
        h = self.hidden(x)
        self.mean.copy_(0.9 * self.mean + 0.1 * h.mean(0))
        return self.head(h)


class KeepsAList(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.kept.append(self.hidden(x))
        return self.head(self.kept[-1])


class KeepsTheLast(Plain):
    last = None

    def forward(self, x: Tensor) -> Tensor:
        self.last = self.hidden(x)
        return self.head(self.last)


class Masked(Plain):
    def forward(self, x: Tensor) -> Tensor:
        mask = torch.ones(LENGTH, dtype=x.dtype)
        mask[:3] = 0
        return super().forward(x * mask)


class MaskedInPlace(Plain):
    def forward(self, x: Tensor) -> Tensor:
        x[:, :, :3] = 0
        return super().forward(x)


class FilledInPlace(Plain):
    def forward(self, x: Tensor) -> Tensor:
        x.masked_fill_(torch.arange(LENGTH) < 3, 0.0)
        return super().forward(x)


class Doubled(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(2 * x)


class DoubledInPlace(Plain):
    def forward(self, x: Tensor) -> Tensor:
        x.mul_(2)
        return super().forward(x)


class RectifiedInPlace(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.relu(x))


class FilledBySlices(Plain):
    def hidden(self, x: Tensor) -> Tensor:
        h, y = super().hidden(x), torch.zeros(len(x), 6, dtype=x.dtype)
        y[:, :4] = h[:, :4]
        y[:, 4] = h[:, 4]
        y[:, torch.tensor([5])] = h[:, 5:]
        return y


class CutByAMask(Plain):
    def forward(self, x: Tensor) -> Tensor:
        h = self.conv(x)
        h[h < 0] = 0
        return self.head(h.amax(-1))


PAIRS = [
    (Counter, Plain), (ReadsItsCounter, Plain), (CountsInPython, Plain), (RunningMean, Plain),
    (KeepsAList, Plain), (KeepsTheLast, Plain), (MaskedInPlace, Masked), (FilledInPlace, Masked),
    (DoubledInPlace, Doubled), (RectifiedInPlace, Plain), (FilledBySlices, Plain), (CutByAMask, Plain),
]  # fmt: skip
every_pair = pytest.mark.parametrize(("made", "pure"), PAIRS, ids=lambda c: c.__name__)


def sequences(dtype: torch.dtype) -> Tensor:
    bases = torch.randint(4, (3, LENGTH), generator=torch.Generator().manual_seed(1))
    return nn.functional.one_hot(bases, 4).transpose(1, 2).to(dtype)


def relevance(module: nn.Module, x: Tensor) -> Tensor:
    graph = capture(module, x).to(x.device, torch.float64)
    (found,) = Explainer(graph, [Target("task 1", (Term(0, 1, None),))]).explain(x.double())
    return found.contributions


@functools.cache
def expected(pure: type[nn.Module]) -> Tensor:
    return relevance(pure(), sequences(torch.float32))


@every_pair
def test_a_model_that_writes_is_explained_as_one_that_does_not(made, pure):
    x = sequences(torch.float32)
    torch.testing.assert_close(relevance(made(), x), expected(pure), rtol=1e-12, atol=1e-12)


@every_pair
def test_a_model_that_writes_is_given_back_as_it_was_and_so_is_its_input(made, pure):
    module, x = made().eval(), sequences(torch.float32)
    before, state = x.clone(), copy.deepcopy(module.__dict__)
    for _ in range(2):
        graph = capture(module, x)
        assert max(check_against_module(graph, module, x).values()) < 1e-6
    assert torch.equal(x, before)
    assert all(torch.equal(a, b) for a, b in zip(module.buffers(), state["_buffers"].values(), strict=True))
    assert {k: v for k, v in module.__dict__.items() if k[0] != "_"} == {
        k: v for k, v in state.items() if k[0] != "_"
    }


class CannotBeCopied(Counter):
    def __deepcopy__(self, memo):
        raise RuntimeError("only one of me")


def test_a_model_that_cannot_be_copied_has_its_buffers_and_its_mode_put_back():
    module, x = CannotBeCopied().train(), sequences(torch.float32)
    graph = capture(module, x)
    assert max(check_against_module(graph, Plain(), x).values()) < 1e-6
    assert module.seen == 0
    assert module.training
    assert module.conv.training
