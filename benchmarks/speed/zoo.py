"""Every network of the tests' zoo: what is right of it, time and memory as ratios to its gradient x input.

    python -m benchmarks.speed.zoo --save
    python -m benchmarks.speed.zoo --only spliceai --rounds 3

In float32, one target, 64 windows in one batch, the default. `score` is how far the explained number is from
the module's own, relatively; `zero` how far LRP-0 is from gradient x input in float64, relative to the
largest contribution of the median window, of networks that are piecewise linear; `tied` how many windows
differ since a maximum is shared by equals, of which a gradient takes the first; `books` the conservation
error. Time is processor time with one thread, and memory the most bytes of tensors that are there at one
time, what the model holds apart. The networks are small, so that ratios hold what a step costs whatever its
size.
"""

import argparse
import statistics
import sys
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.history import ROOT
from benchmarks.options import timing_parser
from benchmarks.record import Keeper, Row
from benchmarks.timing import Call, interleaved, ratios, ready_device
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.targets import TargetParser
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import Pruning

if TYPE_CHECKING:
    from zoo.entry import Entry

BATCH = 64
TIED = 1e-6
WITHOUT_GRADIENT = frozenset({"tokens", "esm-of-3-mers"})
"""Networks of tokens: the module has no gradient of its input's bases."""


class Living(TorchDispatchMode):
    """Counts the bytes of tensors that are there; `most` is the largest number so far."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 0
        self._now = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(made):
            if isinstance(leaf, Tensor):
                self._note(leaf)
        return made

    def _note(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if (place := storage._cdata) in self._known:
            return
        size = storage.nbytes()
        self._known.add(place)
        self._now += size
        self.most = max(self.most, self._now)
        weakref.finalize(storage, self._gone, place, size)

    def _gone(self, place: int, size: int) -> None:
        self._known.discard(place)
        self._now -= size


@dataclass(frozen=True, slots=True)
class Subject:
    """A network, and how it is explained.

    Attributes
    ----------
    entry : Entry
    x : Tensor, shape (N, 4, L)
    default, zero : Explainer
    """

    entry: "Entry"
    module: torch.nn.Module
    x: Tensor
    default: Explainer
    zero: Explainer

    @classmethod
    def of(cls, entry: "Entry", dtype: torch.dtype) -> "Subject":
        """Capture a network of the zoo."""
        module = entry.build().to(dtype).requires_grad_(False)
        x = entry.windows(BATCH).to(dtype)
        graph = capture(module, x[:2])
        names = tuple(OutputNames(output.name, (), entry.axes) for output in graph.outputs)
        targets = [TargetParser(graph.outputs, names).parse(entry.targets.split()[0])]
        base_axis = 1 if entry.layout == "NCL" else 2
        default = Explainer(graph, targets, names, base_axis=base_axis)
        zero = Explainer(graph, targets, names, PRESETS["zero"], Pruning(0.0))
        return cls(entry, module, x, default, zero)

    def own_score(self, x: Tensor) -> Tensor:
        """The target of the module itself, (N,), with its gradient."""
        made = self.module(x)
        outputs = tree_leaves(made)
        graph = self.default.graph
        values = {o.node: value for o, value in zip(graph.outputs, outputs, strict=True)}
        (target,) = self.default.targets
        weights = target.seeds(graph.outputs, self.default.names, values, {})
        parts = [(values[name] * weight.detach()).reshape(len(x), -1) for name, weight in weights.items()]
        return torch.cat(parts, 1).sum(1)

    def gradient(self) -> Tensor:
        """Gradient x input."""
        x = self.x.clone().requires_grad_()
        (found,) = torch.autograd.grad(self.own_score(x).sum(), x)
        return found * self.x


def measured(entry: "Entry", rounds: int, device: torch.device) -> Row:
    """Everything of one network."""
    subject = Subject.of(entry, torch.float32)
    with torch.no_grad():
        own = subject.own_score(subject.x).double()
    (explained,) = subject.default.explain(subject.x)
    calls: dict[str, Call] = {"default": lambda: subject.default.explain(subject.x)}
    if entry.name not in WITHOUT_GRADIENT:
        calls["gradient"] = subject.gradient
    times = interleaved(calls, rounds, device, "cpu")
    most = {}
    for name, call in calls.items():
        with Living() as living:
            call()
        most[name] = living.most
    none = float("nan")
    row: Row = {
        "network": entry.name,
        "bp": entry.window,
        "score": float(((explained.prediction - own).abs() / own.abs().clamp(min=1e-3)).max()),
        "zero": none,
        "tied": none,
        "books": float(explained.conservation_error.max()),
        "ms a window": 1000 * statistics.median(times["default"]) / BATCH,
        "time": ratios(times, "gradient")["default"] if "gradient" in times else none,
        "memory": most["default"] / most["gradient"] if "gradient" in most else none,
    }
    if entry.piecewise_linear:
        # In float64: in float32 more of what a maximum is taken over is equal to within rounding, and shares.
        exact = Subject.of(entry, torch.float64)
        truth = exact.gradient().detach()
        (zero,) = exact.zero.explain(exact.x)
        gaps = (zero.contributions - truth).abs().flatten(1).amax(1) / truth.abs().flatten(1).amax(1)
        row |= {"zero": float(gaps.median()), "tied": int((gaps > TIED).sum())}
    return row


def options() -> argparse.ArgumentParser:
    found = timing_parser(__doc__, rounds=5)
    found.add_argument("--only", default="", metavar="TEXT", help="networks with this in their name")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    given = options().parse_args(arguments)
    sys.path.insert(0, str(ROOT / "tests"))
    from zoo.architectures import ZOO

    torch.set_num_threads(1)
    device = ready_device("cpu")
    keeper = Keeper.start("zoo", given, device)
    rows: list[Row] = []
    for entry in ZOO:
        if given.only not in entry.name:
            continue
        rows.append(measured(entry, given.rounds, device))
        print(pd.DataFrame(rows[-1:]).to_string(index=False, header=len(rows) == 1), flush=True)
        keeper.keep_so_far({"rows": rows})
    frame = pd.DataFrame(rows).set_index("network")
    print(frame.to_string(float_format="%.3g"))
    print(frame[["time", "memory"]].describe().to_string(float_format="%.2f"))
    keeper.keep({"rows": rows})


if __name__ == "__main__":
    main()
