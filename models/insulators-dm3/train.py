"""Train the network of this folder: peaks of su(Hw) and BEAF-32 on dm3 chr2R against background.

Run from the repository root:

    OMP_NUM_THREADS=1 python models/insulators-dm3/train.py --seeds 0

made the weights of this folder. `benchmarks/evidence/public.py` fetches genome and peaks and checks them.
"""

import argparse
import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT)]

from benchmarks.evidence.binding import Recipe, fit, logits, start_from_suhw, tested  # noqa: E402
from benchmarks.evidence.insulator_peaks import FACTORS, SUHW, TEST, WINDOW, Peaks  # noqa: E402
from sparselrp_cli.model.architectures import Layers  # noqa: E402

TRAINED = (SUHW, FACTORS[0])
TASKS = ("suhw", "beaf32")
CHANNELS, STEM, POOL, DILATIONS, DENSE = 32, 21, 3, (1, 2, 4, 8, 16), 32
DROPOUT = 0.3
RECIPE = Recipe(epochs=14, rate=2e-3)


def layers() -> list[dict[str, Any]]:
    """Write the network down as a model folder has it: a stem, residual blocks, the mean, a dense head."""
    found = [*normalised("stem", "input", 4, STEM, 1, "relu")]
    found.append({"name": "pooled", "type": "pool", "inputs": ["stem"], "kind": "max", "width": POOL,
                  "stride": POOL})  # fmt: skip
    last = "pooled"
    for number, dilation in enumerate(DILATIONS, 1):
        inner, outer = f"block{number}-a", f"block{number}-b"
        found += normalised(inner, last, CHANNELS, 3, dilation, "relu")
        found += normalised(outer, inner, CHANNELS, 3, dilation, "linear")
        last, before = f"block{number}", last
        found.append({"name": last, "type": "add", "inputs": [before, outer], "activation": "relu"})
    return [
        *found,
        {"name": "mean", "type": "global-pool", "inputs": [last], "kind": "average"},
        {"name": "dropout-1", "type": "identity", "inputs": ["mean"]},
        {"name": "dense", "type": "dense", "inputs": ["dropout-1"], "in_features": CHANNELS,
         "out_features": DENSE, "activation": "relu"},
        {"name": "dropout-2", "type": "identity", "inputs": ["dense"]},
        {"name": "binding", "type": "dense", "inputs": ["dropout-2"], "in_features": DENSE,
         "out_features": len(TASKS)},
    ]  # fmt: skip


def normalised(
    name: str, before: str, channels: int, width: int, dilation: int, activation: str
) -> list[dict[str, Any]]:
    """Give a convolution, its batch normalisation and what follows it."""
    return [
        {"name": f"{name}-conv", "type": "convolution", "inputs": [before], "in_channels": channels,
         "out_channels": CHANNELS, "width": width, "dilation": dilation, "pad": "same", "bias": False},
        {"name": name, "type": "batch-normalisation", "inputs": [f"{name}-conv"], "num_features": CHANNELS,
         "eps": 1e-5, "activation": activation},
    ]  # fmt: skip


def network() -> Layers:
    """Build the network as it is trained: with dropout where the folder has identities."""
    net = Layers(layers(), ["binding"])
    for name in ("dropout-1", "dropout-2"):
        net.parts[name] = nn.Dropout(DROPOUT)
    return net


def train(data: Peaks, seed: int) -> tuple[nn.Module, float]:
    """Train a network; give it and its mean AUROC on the validation part."""
    torch.manual_seed(seed)
    net = network()
    start_from_suhw(net.parts["stem-conv"], net.parts["stem"])
    auroc = fit(net, data, seed, RECIPE)
    print(f"seed {seed}: validation AUROC {auroc:.4f}", flush=True)
    return net, auroc


def save(model: nn.Module) -> None:
    """Write weights and description."""
    weights = HERE / "weights.safetensors"
    state = {
        k: v.contiguous() for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")
    }
    save_file(state, weights)
    description = {
        "schema_version": 1,
        "name": HERE.name,
        "description": "su(Hw) and BEAF-32 in Drosophila cells: logits of peak against background",
        "architecture": {"name": "layers", "arguments": {"layers": layers(), "outputs": ["binding"]}},
        "weights": weights.name,
        "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "window": WINDOW,
        "alphabet": "ACGT",
        "layout": "NCL",
        "outputs": [{"name": "binding", "tasks": list(TASKS)}],
        "license": "MIT",
        "source": "models/insulators-dm3/train.py on dm3 chr2R 0-15 Mb; peaks of Bushey et al. 2009",
    }
    (HERE / "model.json").write_text(json.dumps(description, indent=1) + "\n")


def scored(model: nn.Module, data: Peaks) -> str:
    """Lines of the README: the logits of each factor's test peak that scores highest for it."""
    lines = []
    for task in range(len(TRAINED)):
        centres = data.centres(task, TEST)
        found = logits(model, data.chromosome.windows(centres))
        best = int(found[:, task].argmax())
        start = centres[best] - WINDOW // 2
        scores = " | ".join(f"{score:.2f}" for score in found[best])
        lines.append(f"| {start:,}-{start + WINDOW:,} | {scores} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="the best on validation is kept")
    given = parser.parse_args()
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    data, began = Peaks(TRAINED), time.monotonic()
    model, validation = max((train(data, seed) for seed in given.seeds), key=lambda pair: pair[1])
    save(model)
    print(f"validation AUROC {validation:.4f}, {time.monotonic() - began:.0f} s")
    for row in tested(model, data, TEST):
        figures = {name: np.round(value, 4).item() for name, value in row.items() if name != "factor"}
        print(f"test, {row['factor']}: {figures}")
    print(scored(model, data))


if __name__ == "__main__":
    main()
