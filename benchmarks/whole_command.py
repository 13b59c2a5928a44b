"""Time of the whole command over 10,000 windows, as a ratio to the engine alone on as many.

    python benchmarks/whole_command.py --save
    python benchmarks/whole_command.py --windows 1000 --models suhw-dm3

A random genome of 20 Mb and random regions (fixed seed); default formats. The engine is timed before and
after the command, on random windows, with the same batch; also how long the model takes to load.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from common import ROOT, parser, save

from sparselrp_cli.model.architectures import BPNet
from sparselrp_cli.model.importing.imported import ImportedModel
from sparselrp_cli.model.importing.writing import write_folders
from sparselrp_cli.model.loading import ModelRequest, capture_model, load_model
from sparselrp_cli.model.targets import OutputNames, TargetParser
from sparselrp_cli.relevance.explainer import Explainer

CHROMS, LENGTH = 4, 5_000_000


def inputs(folder: Path, count: int) -> tuple[Path, Path]:
    """Write a genome and regions."""
    rng = np.random.default_rng(0)
    fasta, bed = folder / "genome.fa", folder / "regions.bed"
    with fasta.open("w") as genome, bed.open("w") as regions:
        for chrom in range(CHROMS):
            letters = np.frombuffer(b"ACGT", np.uint8)[rng.integers(0, 4, LENGTH)].reshape(-1, 50)
            genome.write(f">chr{chrom}\n" + "\n".join(row.tobytes().decode() for row in letters) + "\n")
            for start in np.sort(rng.integers(5_000, LENGTH - 5_000, count // CHROMS)):
                regions.write(f"chr{chrom}\t{start}\t{start + 200}\n")
    return fasta, bed


def bpnet_folder(folder: Path) -> Path:
    """Write a BPNet-like model with random weights."""
    torch.manual_seed(0)
    arguments = {"filters": 64, "layers": 8}
    weights = BPNet(**arguments).state_dict()
    outputs = (OutputNames("profile"), OutputNames("counts", axes="NT"))
    model = ImportedModel("bpnet-like", "bpnet", arguments, weights, 2114, outputs)
    write_folders([model], folder / "bpnet", "random weights", force=False)
    return folder / "bpnet"


def engine_seconds(model: Path, target: str | None, count: int, batch: int) -> dict[str, float]:
    """Seconds of loading a model, and of explaining so many random windows."""
    began = time.perf_counter()
    loaded = load_model(ModelRequest(str(model)))
    graph = capture_model(loaded)
    names = loaded.output_names(graph)
    targets = TargetParser(graph.outputs, names)
    explainer = Explainer(graph, [targets.parse(target) if target else targets.default()], names)
    loading = time.perf_counter() - began
    bases = torch.randint(4, (batch, loaded.window), generator=torch.Generator().manual_seed(1))
    x = loaded.layout.to_model(torch.nn.functional.one_hot(bases, 4).transpose(1, 2).float())
    explainer.explain(x)
    began = time.perf_counter()
    for _ in range(0, count, batch):
        explainer.explain(x)
    return {"loading": loading, "engine": time.perf_counter() - began}


def command_seconds(
    model: Path, target: str | None, batch: int, files: tuple[Path, Path], out: Path
) -> float:
    """Seconds of the whole command."""
    fasta, bed = files
    program = Path(sys.executable).with_name("sparselrp")
    chosen = ["-t", target] if target else []
    began = time.perf_counter()
    subprocess.run(
        [
            str(program), "attribute", str(fasta), "-r", str(bed), "-m", str(model),
            "-o", str(out), "-b", str(batch), "-q", *chosen,
        ],
        check=True,
    )  # fmt: skip
    return time.perf_counter() - began


def main() -> None:
    options = parser(__doc__, repeats=1)
    options.add_argument("--windows", type=int, default=10_000)
    options.add_argument("--models", nargs="+", choices=["suhw-dm3", "bpnet"], default=["suhw-dm3", "bpnet"])
    given = options.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = inputs(folder, given.windows)
        for which in given.models:
            model, target, batch = ROOT / "models" / "suhw-dm3", None, 64
            if which == "bpnet":
                model, target, batch = bpnet_folder(folder), "counts", 8
            for _ in range(given.repeats):
                before = engine_seconds(model, target, given.windows, batch)
                command = command_seconds(model, target, batch, files, folder / "run")
                after = engine_seconds(model, target, given.windows, batch)
                engine = statistics.mean([before["engine"], after["engine"]])
                rows.append(
                    {
                        "model": which, "windows": given.windows, "batch": batch, "command, s": command,
                        "engine, s": engine, "ratio": command / engine, "loading, s": after["loading"],
                    }
                )  # fmt: skip
                print(pd.DataFrame(rows[-1:]).to_string(index=False, float_format="%.2f"), flush=True)
    if given.save:
        save("whole_command", rows, torch.device("cpu"))


if __name__ == "__main__":
    main()
