"""The paper's other half: images with exact object masks, LRP against PLRP.

    python -m benchmarks.evidence.images --save     half an hour on two cores; --quick takes a minute or two

No ImageNet weights are at hand. scikit-learn's handwritten digits (8 x 8) are laid, twice enlarged, at a
random place on a canvas of 40 x 40 pixels with clutter: blocks of noise, lines, and upper parts of other
digits. The mask is the digit's ink. A VGG-like and a ResNet-like network are trained with several seeds;
correctly classified test images are explained through the Python API. Pixel flipping puts another canvas's
clutter in the place of the most relevant pixels.
"""

import argparse
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from torch import Tensor, nn

from benchmarks.evidence.methods import Method, image_methods, refined
from benchmarks.options import parser
from benchmarks.record import Keeper
from sparselrp_cli.evaluation.agreement import map_metrics
from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.relevance.choices import COMPOSITE
from sparselrp_cli.relevance.composites import PRESETS, Composite
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import Pruned, Pruning

SIZE, SCALE = 40, 2
SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2)
DIGITS_FOR_TRAINING = 1400
BATCH = 32
# What the picture shows, of so many images of each network.
PICTURED = (("LRP", 0.0), ("PLRP-lambda", 0.05), ("PLRP-lambda", 0.25), ("PLRP-lambda", 0.9))
SHOWN = 4


@dataclass(frozen=True)
class Images:
    """Canvases, classes, masks of the digits, and each canvas without its digit."""

    x: Tensor
    y: Tensor
    masks: np.ndarray
    empty: Tensor


def draw(
    n: int, digits: np.ndarray, classes: np.ndarray, rng: np.random.Generator, *, centred: bool = False
) -> Images:
    """Compose n canvases, with the digit in the middle or anywhere."""
    side = 8 * SCALE
    canvases, masks, empty, labels = [], [], [], []
    for _ in range(n):
        clutter = _clutter(digits, rng)
        number = int(rng.integers(len(digits)))
        digit = np.kron(digits[number], np.ones((SCALE, SCALE)))
        row, column = [(SIZE - side) // 2] * 2 if centred else rng.integers(0, SIZE - side, 2)
        canvas, mask = clutter.copy(), np.zeros((SIZE, SIZE), bool)
        here = (slice(row, row + side), slice(column, column + side))
        canvas[here] = np.maximum(canvas[here], digit)
        mask[here] = digit > 0.3
        for kept, value in ((canvases, canvas), (masks, mask), (empty, clutter), (labels, classes[number])):
            kept.append(value)
    x, without = (torch.from_numpy(np.stack(v)).float()[:, None] for v in (canvases, empty))
    return Images(x, torch.tensor(np.array(labels)), np.stack(masks), without)


def _clutter(digits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    canvas = np.kron(rng.random((SIZE // 4, SIZE // 4)), np.ones((4, 4))) * 0.3
    for _ in range(4):
        row, column = rng.integers(0, SIZE - 14, 2)
        if rng.random() < 0.5:
            canvas[row, column : column + 14] = rng.uniform(0.5, 1)
        else:
            canvas[row : row + 14, column] = rng.uniform(0.5, 1)
    for _ in range(3):
        part = np.kron(digits[rng.integers(len(digits))], np.ones((SCALE, SCALE)))[:6]
        row, column = rng.integers(0, SIZE - 6), rng.integers(0, SIZE - part.shape[1])
        canvas[row : row + 6, column : column + part.shape[1]] = part
    return canvas


class Residual(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs),
        )  # fmt: skip
        self.beside = (
            nn.Identity()
            if inputs == outputs and stride == 1
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.main(x) + self.beside(x))


def network(kind: str) -> nn.Module:
    """Eight convolutions with pooling and a dense head, or three residual blocks with a mean."""
    if kind == "VGG-like":
        layers: list[nn.Module] = []
        for inputs, outputs in ((1, 16), (16, 32), (32, 48), (48, 64)):
            for channels in (inputs, outputs):
                layers += [nn.Conv2d(channels, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)]
                layers += [nn.ReLU()]
            layers += [nn.MaxPool2d(2)]
        head = (nn.Flatten(), nn.Linear(64 * 4, 96), nn.ReLU(), nn.Dropout(0.3), nn.Linear(96, 10))
        return nn.Sequential(*layers, *head)
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, 64, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


def train(kind: str, seed: int, epochs: int, n: int, source: tuple[np.ndarray, np.ndarray]) -> nn.Module:
    """Train on canvases that are drawn anew for every second epoch."""
    torch.manual_seed(seed)
    net, rng = network(kind), np.random.default_rng(seed)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=epochs * (n // BATCH))
    for epoch in range(epochs):
        if epoch % 2 == 0:
            data = draw(n, *source, rng)
        for rows in torch.randperm(n)[: n // BATCH * BATCH].split(BATCH):
            loss = nn.functional.cross_entropy(net(data.x[rows]), data.y[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return net.eval().requires_grad_(False)


def explain(net: nn.Module, test: Images, quick: bool) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Explain correctly classified images; metrics by method, and the first maps for the picture."""
    with torch.no_grad():
        right = net(test.x).argmax(1) == test.y
    chosen = torch.nonzero(right)[:, 0][: 30 if quick else 100]
    graph = capture(net, test.x[:2])
    rows: list[dict[str, Any]] = []
    pictures = {"image": test.x[chosen[:SHOWN], 0].numpy()}
    plain: dict[str, np.ndarray] = {}
    for method in image_methods(quick=quick):
        maps = relevance(graph, test, chosen, method)
        unpruned = plain.setdefault(method.composite, maps)
        if method.refined:
            maps = np.stack([refined(a, b) for a, b in zip(maps, unpruned, strict=True)])
        metrics = [map_metrics(a.ravel(), test.masks[i].ravel()) for i, a in zip(chosen, maps, strict=True)]
        rows.append(
            {
                "composite": method.composite, "method": method.name, "p": method.p, "select": method.select,
                **pd.DataFrame(metrics).mean().to_dict(), "flipping_drop": flipping(net, test, chosen, maps),
            }
        )  # fmt: skip
        if method.composite == "epsilon-gamma" and not method.select and (method.name, method.p) in PICTURED:
            pictures[f"{method.name}, p = {method.p}" if method.p else method.name] = maps[:SHOWN]
    random = flipping(net, test, chosen, np.zeros((len(chosen), SIZE, SIZE)))
    rows.append({"composite": "-", "method": "random order", "p": 0.0, "flipping_drop": random})
    return rows, pictures


def relevance(graph: CanonicalGraph, test: Images, chosen: Tensor, method: Method) -> np.ndarray:
    """Explain the logit of each image's class: shape (images, SIZE, SIZE)."""
    maps = np.empty((len(chosen), SIZE, SIZE))
    for digit in test.y[chosen].unique().tolist():
        here = torch.nonzero(test.y[chosen] == digit)[:, 0]
        (found,) = explainer(graph, digit, method.rules(), method.pruning).explain(test.x[chosen[here]])
        maps[here.numpy()] = found.contributions[:, 0].numpy()
    return maps


def explainer(graph: CanonicalGraph, digit: int, composite: Composite, pruning: Pruning) -> Explainer:
    """Make an explainer of one class."""
    target = Target(str(digit), (Term(0, digit, None),))
    return Explainer(graph, [target], [OutputNames("class")], composite, pruning, input_non_negative=True)


class Recording(Pruning):
    """Pruning that remembers which neurons it kept, tensor by tensor."""

    masks: ClassVar[list[Tensor]] = []

    def scale(self, a: Tensor, c: Tensor) -> Pruned:
        pruned = super().scale(a, c)
        self.masks.append((pruned.multiplier * a != 0).reshape(len(a), -1))
        return pruned


def neurons(net: nn.Module, test: Images, n_each: int) -> list[dict[str, Any]]:
    """How much the sets of kept neurons of two images overlap (Jaccard), in one class and in two.

    In the images all digits lie in the middle: a digit elsewhere has other neurons for that alone.
    """
    with torch.no_grad():
        right = net(test.x).argmax(1) == test.y
    graph = capture(net, test.x[:2])
    rows = []
    for p in (0.05, 0.25, 0.9):
        kept: list[list[Tensor]] = []
        labels: list[int] = []
        for digit in range(10):
            here = torch.nonzero(right & (test.y == digit))[:n_each, 0]
            if not len(here):
                continue
            made = explainer(graph, digit, PRESETS[COMPOSITE], Recording(p))
            Recording.masks.clear()
            made.explain(test.x[here])
            kept += [[mask[i] for mask in Recording.masks] for i in range(len(here))]
            labels += [digit] * len(here)
        for layer in range(len(kept[0])):
            overlaps: dict[bool, list[float]] = {True: [], False: []}
            for i, j in itertools.combinations(range(len(kept)), 2):
                a, b = kept[i][layer], kept[j][layer]
                overlap = float((a & b).sum() / max(int((a | b).sum()), 1))
                overlaps[labels[i] == labels[j]].append(overlap)
            share = float(torch.stack([k[layer] for k in kept]).double().mean())
            same, other = (float(np.mean(overlaps[which])) for which in (True, False))
            chance = share / (2 - share)
            row = {"p": p, "layer from the output": layer + 1, "kept": share, "overlap, by chance": chance}
            rows.append({**row, "overlap, one class": same, "overlap, two classes": other})
    return rows


def flipping(net: nn.Module, test: Images, chosen: Tensor, maps: np.ndarray) -> float:
    """Mean drop of the class's logit while a fifth of the pixels turns to another canvas's clutter."""
    rng = np.random.default_rng(0)
    drops = []
    for i, a in zip(chosen.tolist(), maps, strict=True):
        other = test.empty[int(rng.integers(len(test.empty)))]
        order = rng.permutation(a.size)
        order = order[np.argsort(-a.ravel()[order], kind="stable")]
        flipped = []
        for share in SHARES:
            image = test.x[i].clone().view(-1)
            pixels = torch.from_numpy(order[: round(share * a.size)])
            image[pixels] = other.view(-1)[pixels]
            flipped.append(image.view(test.x[i].shape))
        with torch.no_grad():
            logits = net(torch.stack(flipped))[:, test.y[i]].numpy()
        drops.append(np.trapezoid(logits[0] - logits, SHARES) / SHARES[-1])
    return float(np.mean(drops))


def draw_pictures(pictures: dict[str, dict[str, np.ndarray]], path: Path) -> None:
    """Draw images beside their heatmaps."""
    mpl.rcParams["svg.hashsalt"] = "sparselrp"
    kinds = list(pictures)
    columns = list(pictures[kinds[0]])
    figure = Figure(figsize=(1.9 * len(columns), 1.9 * 2 * len(kinds)), layout="constrained")
    axes = figure.subplots(2 * len(kinds), len(columns), squeeze=False)
    for row, axis_row in enumerate(axes):
        kind, image = kinds[row // 2], row % 2
        for axis, column in zip(axis_row, columns, strict=True):
            values = pictures[kind][column][image]
            if column == "image":
                axis.imshow(values, cmap="gray_r")
                axis.set_ylabel(kind)
            else:
                limit = np.abs(values).max() or 1
                axis.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit)
            if row == 0:
                axis.set_title(column, fontsize=9)
            axis.set_xticks([])
            axis.set_yticks([])
    figure.savefig(path, dpi=110)


def options() -> argparse.ArgumentParser:
    found = parser(__doc__)
    found.add_argument("--quick", action="store_true", help="one seed, fewer images")
    found.add_argument("--seeds", type=int, default=3)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    given = options().parse_args(arguments)
    keeper = Keeper.start("images", given, torch.device("cpu"))
    epochs, n, seeds = (8, 2500, 1) if given.quick else (14, 4000, given.seeds)
    bunch = load_digits()
    digits, classes = bunch.images / 16, bunch.target
    split = DIGITS_FOR_TRAINING
    rows, networks, overlaps = [], [], []
    pictures: dict[str, dict[str, np.ndarray]] = {}
    for kind in ("VGG-like", "ResNet-like"):
        for seed in range(seeds):
            began = time.perf_counter()
            net = train(kind, seed, epochs, n, (digits[:split], classes[:split]))
            test = draw(400, digits[split:], classes[split:], np.random.default_rng([seed, 1]))
            with torch.no_grad():
                accuracy = float((net(test.x).argmax(1) == test.y).double().mean())
            networks.append({"network": kind, "seed": seed, "accuracy": accuracy})
            print(networks[-1], f"{time.perf_counter() - began:.0f} s", flush=True)
            found, shown = explain(net, test, given.quick)
            rows += [{"network": kind, "seed": seed, **row} for row in found]
            middle = draw(
                200, digits[split:], classes[split:], np.random.default_rng([seed, 2]), centred=True
            )
            overlaps += [
                {"network": kind, "seed": seed, **row}
                for row in neurons(net, middle, 2 if given.quick else 6)
            ]
            pictures.setdefault(kind, shown)
            keeper.keep_so_far({"networks": networks, "rows": rows, "neurons": overlaps})
    keeper.keep({"networks": networks, "rows": rows, "neurons": overlaps})
    table = pd.DataFrame(rows)
    table["p"] = table["p"].astype(str)
    columns = ["mass_in_sites", "auroc", "auprc", "gini", "zero_share", "flipping_drop"]
    keys = ["network", "composite", "method", "p"]
    print(table.groupby(keys, sort=False)[columns].mean().round(3).to_string(sparsify=False))
    print(pd.DataFrame(overlaps).groupby(["network", "p", "layer from the output"]).mean().round(3))
    if keeper.folder:
        draw_pictures(pictures, keeper.folder / "images.png")


if __name__ == "__main__":
    main()
