"""Time of the whole command over 10,000 windows, as a ratio to the engine alone on as many.

    python -m benchmarks.speed.whole_command --save
    python -m benchmarks.speed.whole_command --windows 50 --models suhw-dm3

A random genome of 20 Mb and random regions (fixed seed); default formats. The engine is timed before and
after the command, on random windows, in processes with the same batch, device, threads and OMP_WAIT_POLICY;
also how long the model takes to load. The command's time is all of it, from the start of Python on. On the
CPU seconds are processor time of all threads, which another program that computes changes less than time that
passes; both have large tensors in large pages, as the command does it.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.history import ROOT
from benchmarks.networks import one_hot, random_bases
from benchmarks.options import timing_parser
from benchmarks.record import Keeper
from benchmarks.timing import ready_device, timed
from sparselrp_cli.graph.loaded import capture_model, output_names
from sparselrp_cli.graph.targets import TargetParser
from sparselrp_cli.model.architectures import BPNet
from sparselrp_cli.model.importing.imported import ImportedModel
from sparselrp_cli.model.importing.writing import write_folders
from sparselrp_cli.model.loading import load_model
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.model.request import ModelRequest
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
            share = count // CHROMS + (chrom < count % CHROMS)
            for start in np.sort(rng.integers(5_000, LENGTH - 5_000, share)):
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


def engine_seconds(
    model: Path, target: str | None, count: int, batch: int, device: torch.device
) -> dict[str, float]:
    """Seconds of loading a model, and of explaining so many random windows."""
    began = time.perf_counter()
    loaded = load_model(ModelRequest(str(model)))
    graph = capture_model(loaded).to(device, torch.float32)
    names = output_names(loaded, graph)
    targets = TargetParser(graph.outputs, names)
    explainer = Explainer(graph, [targets.parse(target) if target else targets.default()], names)
    loading = time.perf_counter() - began
    x = loaded.layout.to_model(one_hot(random_bases(min(batch, count), loaded.window))).to(device)
    timed(lambda: explainer.explain(x), device)

    def run() -> None:
        for start in range(0, count, batch):
            explainer.explain(x[: count - start])

    return {"loading": loading, "engine": timed(run, device, "cpu")}


def command_seconds(
    model: Path, target: str | None, batch: int, device: str, files: tuple[Path, Path], out: Path
) -> float:
    """Seconds of the whole command: on the CPU those that it computes, on a GPU those that pass."""
    fasta, bed = files
    program = Path(sys.executable).with_name("sparselrp")
    chosen = ["-t", target] if target else []
    clock = children_seconds if device == "cpu" else time.perf_counter
    began = clock()
    subprocess.run(
        [
            str(program), "attribute", str(fasta), "-r", str(bed), "-m", str(model), "-o", str(out),
            "-b", str(batch), "--device", device, "-q", *chosen,
        ],
        check=True,
    )  # fmt: skip
    return clock() - began


def children_seconds() -> float:
    """Give the processor seconds, user and system, of child processes that are done."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def apart(given: argparse.Namespace, model: Path, target: str | None) -> dict[str, float]:
    """Time the engine in a process of its own, as the command is."""
    command = [sys.executable, "-m", "benchmarks.speed.whole_command", "--device", given.device]
    command += ["--windows", str(given.windows), "--batch", str(given.batch)]
    command += ["--engine", str(model), target or ""]
    answer = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(answer.splitlines()[-1])


def compare(
    which: str, given: argparse.Namespace, files: tuple[Path, Path], folder: Path
) -> dict[str, object]:
    """Time the command with one model, and the engine before and after."""
    target = "counts" if which == "bpnet" else None
    model = folder / "bpnet" if which == "bpnet" else ROOT / "models" / "suhw-dm3"
    before = apart(given, model, target)
    command = command_seconds(model, target, given.batch, given.device, files, folder / "run")
    after = apart(given, model, target)
    engine = statistics.mean([before["engine"], after["engine"]])
    return {
        "model": which, "windows": given.windows, "batch": given.batch, "command, s": command,
        "engine, s": engine, "ratio": command / engine, "loading, s": after["loading"],
        "engine before / after": before["engine"] / after["engine"],
    }  # fmt: skip


def options() -> argparse.ArgumentParser:
    found = timing_parser(__doc__, rounds=1)
    found.add_argument("--windows", type=int, default=10_000)
    found.add_argument("--batch", type=int, default=32)
    found.add_argument("--models", nargs="+", choices=["suhw-dm3", "bpnet"], default=["suhw-dm3", "bpnet"])
    found.add_argument("--engine", nargs=2, help=argparse.SUPPRESS)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    given = options().parse_args(arguments)
    if given.engine:
        model, target = given.engine
        device = ready_device(given.device)
        print(json.dumps(engine_seconds(Path(model), target or None, given.windows, given.batch, device)))
        return
    # As the command has it, for the engine too.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    keeper = Keeper.start("whole_command", given, ready_device(given.device))
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = inputs(folder, given.windows)
        bpnet_folder(folder)
        for which in given.models:
            for _ in range(given.rounds):
                rows.append(compare(which, given, files, folder))
                print(pd.DataFrame(rows[-1:]).to_string(index=False, float_format="%.2f"), flush=True)
    keeper.keep({"rows": rows})


if __name__ == "__main__":
    main()
