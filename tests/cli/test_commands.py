"""The commands as users call them: files, exit codes, and one clear line for each mistake."""

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pyBigWig
import pytest
import torch
from helpers.commands import attribute, error_line, left_behind, table, write
from helpers.tiny_net import MODEL, WINDOW, TinyNet
from torch import nn

from sparselrp_cli.cli.main import run
from sparselrp_cli.errors import Stopped

ROOT = Path(__file__).parents[2]
SUHW = ROOT / "models" / "suhw-dm3"


def test_a_run_writes_every_file_of_the_contract(genome, peaks, tmp_path):
    prefix = tmp_path / "out" / "run"
    prefix.parent.mkdir()
    code = attribute(
        genome,
        "-r",
        peaks,
        "-m",
        MODEL,
        "-t",
        "0",
        "-o",
        prefix,
        "--formats",
        "h5,bigwig,bedgraph,modisco,finemo",
    )
    assert code == 0
    assert left_behind(prefix.parent) == [
        *sorted(
            f"run.{end}"
            for end in (
                "h5",
                "bw",
                "bedgraph.gz",
                "ohe.npz",
                "attr.npz",
                "regions.narrowPeak",
                "windows.tsv",
                "skipped.tsv",
                "manifest.json",
            )
        ),
        "run_mqc.tsv",
    ]
    windows = table(tmp_path / "out" / "run.windows.tsv")
    assert [w["name"] for w in windows] == ["a", "b", "left", "right"]
    assert (windows[2]["start"], windows[2]["n_bases_unknown"]) == ("-15", "15")
    (skipped,) = table(tmp_path / "out" / "run.skipped.tsv")
    assert skipped["name"] == "nowhere"
    assert "'chr7' is not in" in skipped["reason"]
    with h5py.File(f"{prefix}.h5") as archive, pyBigWig.open(f"{prefix}.bw") as track:
        one_hot, hypothetical = archive["input_seqs"][:], archive["hyp_scores"][:]
        assert one_hot.shape == hypothetical.shape == (4, WINDOW, 4)
        assert (one_hot[2, :15] == 0).all()
        assert (hypothetical[2, :15] == 0).all()
        contributions = (one_hot * hypothetical).sum(2)
        assert track.chroms() == {"chr1": 300, "chr2": 90}
        # Chromosome 2 has one window, 55..95, which hangs over its end.
        np.testing.assert_allclose(track.values("chr2", 55, 90), contributions[3, :35], rtol=1e-6)
        assert np.isnan(track.values("chr2", 0, 55)).all()
        np.testing.assert_allclose(
            contributions.sum(1), [float(w["relevance"]) for w in windows], rtol=1e-4, atol=1e-5
        )
    manifest = json.loads(Path(f"{prefix}.manifest.json").read_text())
    assert manifest["counts"] == {"windows": 4, "skipped": 1, "ambiguous_bases": 0}
    assert {entry["file"] for entry in manifest["outputs"]} == {
        name for name in left_behind(prefix.parent) if not name.endswith("manifest.json")
    }


def test_equal_runs_give_equal_bytes(genome, peaks, tmp_path):
    contents = []
    for _ in range(2):
        assert attribute(genome, "-r", peaks, "-m", MODEL, "-t", "1", "-o", tmp_path / "x", "--formats",
                         "h5,bigwig,bedgraph,modisco") == 0  # fmt: skip
        files = [p for p in tmp_path.iterdir() if p.name.startswith("x.")]
        contents.append({p.name: p.read_bytes() for p in files})
        for path in files:
            path.unlink()
    assert contents[0] == contents[1]


def test_a_minus_window_is_explained_reverse_complemented_on_forward_coordinates(genome, tmp_path):
    records = tmp_path / "regions.bed"
    records.write_text("chr1\t100\t140\tx\t0\t-\n")
    assert attribute(genome, "-r", records, "-m", MODEL, "-t", "0", "-o", tmp_path / "minus") == 0
    sequence = "".join(genome.read_text().splitlines()[1:3])[100:140].upper()
    complement = sequence[::-1].translate(str.maketrans("ACGT", "TGCA"))
    (tmp_path / "one.fa").write_text(f">x\n{complement}\n")
    assert attribute(tmp_path / "one.fa", "-m", MODEL, "-t", "0", "-o", tmp_path / "plus") == 0
    with h5py.File(tmp_path / "minus.h5") as minus, h5py.File(tmp_path / "plus.h5") as plus:
        assert np.array_equal(minus["hyp_scores"][0], plus["hyp_scores"][0][::-1, ::-1])
        assert minus["score"][0] == plus["score"][0]


def test_reverse_complement_averages_both_strands(genome, peaks, tmp_path):
    for name, strand in (("plus", "+"), ("minus", "-")):
        bed = tmp_path / f"{name}.bed"
        bed.write_text(f"chr1\t100\t140\tx\t0\t{strand}\n")
        attribute(genome, "-r", bed, "-m", MODEL, "-t", "0", "-o", tmp_path / name)
    bed = tmp_path / "plus.bed"
    assert (
        attribute(genome, "-r", bed, "-m", MODEL, "-t", "0", "-o", tmp_path / "both", "--reverse-complement")
        == 0
    )
    maps = {}
    for name in ("plus", "minus", "both"):
        with h5py.File(tmp_path / f"{name}.h5") as archive:
            maps[name] = archive["hyp_scores"][0]
    np.testing.assert_allclose(maps["both"], (maps["plus"] + maps["minus"]) / 2, rtol=1e-6, atol=1e-9)


def test_plain_fasta_is_tiled_padded_or_taken_as_it_is(tmp_path):
    rng = np.random.default_rng(1)
    lengths = {"long": 95, "exact": WINDOW, "short": 11}
    with gzip.open(tmp_path / "some.fa.gz", "wt") as stream:
        for name, length in lengths.items():
            stream.write(f">{name}\n{''.join(rng.choice(list('ACGT'), length))}\n")
    assert attribute(tmp_path / "some.fa.gz", "-m", MODEL, "-t", "0", "-o", tmp_path / "t") == 0
    windows = table(tmp_path / "t.windows.tsv")
    assert [(w["chrom"], int(w["start"])) for w in windows] == [
        ("long", 0), ("long", 20), ("long", 40), ("long", 55), ("exact", 0), ("short", -14),
    ]  # fmt: skip
    covered = dict.fromkeys(lengths, 0)
    with gzip.open(tmp_path / "t.bedgraph.gz", "rt") as stream:
        for line in stream:
            chrom, start, end, _ = line.split("\t")
            covered[chrom] += int(end) - int(start)
    assert covered == lengths


def test_several_targets_share_an_archive_and_have_a_track_each(genome, peaks, tmp_path):
    assert attribute(genome, "-r", peaks, "-m", MODEL, "-t", "0", "-t", "0-1", "-o", tmp_path / "m") == 0
    with h5py.File(tmp_path / "m.h5") as archive:
        assert archive["hyp_scores"].shape == (2, 4, WINDOW, 4)
    assert (tmp_path / "m.0.bw").exists()
    assert (tmp_path / "m.0-1.bw").exists()


def test_batch_size_doesnt_change_what_is_written(genome, peaks, tmp_path):
    for size in ("1", "3", "auto"):
        attribute(
            genome,
            "-r",
            peaks,
            "-m",
            MODEL,
            "-t",
            "0",
            "-o",
            tmp_path / size,
            "-b",
            size,
            "--dtype",
            "float64",
        )
    with h5py.File(tmp_path / "1.h5") as one, h5py.File(tmp_path / "auto.h5") as auto:
        np.testing.assert_allclose(one["hyp_scores"][:], auto["hyp_scores"][:], rtol=1e-9, atol=1e-12)


def test_without_h5_among_the_formats_no_archive_stays(genome, peaks, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    assert (
        attribute(genome, "-r", peaks, "-m", MODEL, "-t", "0", "-o", out / "x", "--formats", "bedgraph") == 0
    )
    assert left_behind(out) == [
        "x.bedgraph.gz",
        "x.manifest.json",
        "x.skipped.tsv",
        "x.windows.tsv",
        "x_mqc.tsv",
    ]


def test_export_makes_the_same_tracks_again(genome, peaks, tmp_path):
    attribute(
        genome, "-r", peaks, "-m", MODEL, "-t", "0", "-o", tmp_path / "run", "--formats", "h5,bigwig,finemo"
    )
    first = {n: (tmp_path / n).read_bytes() for n in ("run.bw", "run.attr.npz", "run.regions.narrowPeak")}
    assert run(["export", str(tmp_path / "run.h5"), "-o", str(tmp_path / "again")]) == 0
    for name, content in first.items():
        assert (tmp_path / name.replace("run", "again")).read_bytes() == content


def test_weights_of_a_factory_come_from_a_file(tmp_path, genome, peaks):
    net = TinyNet()
    with torch.no_grad():
        net.head.bias += 100
    torch.save(net.state_dict(), tmp_path / "weights.pt")
    assert (
        attribute(
            genome, "-r", peaks, "-m", MODEL, "-w", tmp_path / "weights.pt", "-t", "0", "-o", tmp_path / "w"
        )
        == 0
    )
    assert all(float(w["score"]) > 50 for w in table(tmp_path / "w.windows.tsv"))


def test_an_exported_program_is_explained_when_trusted(tmp_path, genome, peaks, capsys):
    program = torch.export.export(TinyNet().eval(), (torch.zeros(2, 4, WINDOW),))
    torch.export.save(program, tmp_path / "net.pt2")
    arguments = (
        genome,
        "-r",
        peaks,
        "-m",
        tmp_path / "net.pt2",
        "--window",
        WINDOW,
        "-t",
        "0",
        "-o",
        tmp_path / "p",
    )
    assert attribute(*arguments) == 1
    assert "can run code that is inside it; if you trust" in error_line(capsys)
    assert attribute(*arguments, "--trust-model") == 0


def test_inspect_shows_rules_and_checks_the_graph(capsys):
    assert run(["inspect", str(SUHW), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["difference"] < 1e-5
    assert document["conservation_error"] < 1e-4
    rules = {row["operation"]: row["rule"] for row in document["rows"]}
    assert rules["convolution"].startswith("gamma")
    assert rules["dense"].startswith("epsilon")
    assert run(["inspect", str(SUHW)]) == 0
    printed = capsys.readouterr().out
    assert "epsilon in dense layers, gamma in convolutions (in force)" in printed
    assert "windows of 600 bp" in printed


class Fourier(nn.Module):
    window = WINDOW

    def forward(self, x):
        return torch.fft.rfft(x).angle().sum((1, 2))[:, None]


def test_inspect_names_what_has_no_rule(capsys):
    assert run(["inspect", f"{__file__}:Fourier"]) == 1
    captured = capsys.readouterr()
    assert "unsupported" in captured.out
    assert "no rule for angle" in captured.err


def broken_folder(tmp_path: Path, change) -> Path:
    folder = tmp_path / "model"
    shutil.copytree(SUHW, folder, ignore=shutil.ignore_patterns("*.py"))
    description = json.loads((folder / "model.json").read_text())
    change(folder, description)
    (folder / "model.json").write_text(json.dumps(description))
    return folder


def corrupt(folder, description):
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    del description["weights_sha256"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (corrupt, "corrupt or not safetensors"),
        (lambda f, d: d.update(weights_sha256="0" * 64), "sha256 differs"),
        (lambda f, d: d.update(weights="../weights.safetensors"), "in the same folder"),
        (lambda f, d: d.update(window="long"), "'window' must be of type int"),
        (lambda f, d: d.update(colour="red"), "unknown key 'colour'"),
        (lambda f, d: d["architecture"].update(name="transformer-9"), "unknown architecture 'transformer-9'"),
        (lambda f, d: d["architecture"]["arguments"].update(tasks=3), "has shape"),
        (lambda f, d: d["architecture"]["arguments"].update(tracks=3), "can't be built with these arguments"),
        (lambda f, d: d.pop("window"), "'window' is missing"),
        (lambda f, d: d.update(schema_version=99), "schema version 99"),
    ],
)
def test_a_damaged_model_folder_is_one_line(tmp_path, capsys, change, message):
    assert run(["inspect", str(broken_folder(tmp_path, change))]) == 1
    assert message in error_line(capsys)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("no genome", "no-such.fa"),
        ("no regions", "no-such.bed"),
        ("no model", "no such model folder or file"),
        ("malformed BED", "bad.bed line 2: end 90 is not after start 95"),
        ("empty BED", "holds no region"),
        ("protein", "protein"),
        ("not FASTA", "n.fa line 1: a FASTA record begins with '>'"),
        (
            "only unknown chromosomes",
            "the only region can't be scored: '1' is not in genome.fa; it has 'chr1'",
        ),
        ("wrong window", "can't take an input of shape (2, 4, 39)"),
        ("unknown target", "unknown target 'liver'"),
        ("open target", "the model has several targets; choose with --target"),
        ("strict", "region nowhere (chr7:5-9) can't be scored"),
        ("conservation", "conservation error"),
        ("a file for a folder", "a part of the path isn't a folder; choose another path"),
        ("no GPU", "torch finds no GPU"),
    ],
)
def test_each_mistake_is_one_line_and_leaves_nothing(case, message, genome, peaks, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    base = {"sequences": genome, "-r": peaks, "-m": MODEL, "-t": "0", "-o": out / "x", "--device": "cpu"}
    flags: list[str] = []
    if case == "no GPU" and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    changes = {
        "no genome": {"sequences": tmp_path / "no-such.fa"},
        "no regions": {"-r": tmp_path / "no-such.bed"},
        "no model": {"-m": tmp_path / "no-such-model"},
        "malformed BED": {"-r": write(tmp_path / "bad.bed", "chr1\t5\t9\nchr1\t95\t90\n")},
        "empty BED": {"-r": write(tmp_path / "empty.bed", "# nothing\n")},
        "protein": {"sequences": write(tmp_path / "p.fa", ">chr1\nMKLVFFAEDE" + "ACGT" * 60 + "\n")},
        "not FASTA": {"sequences": write(tmp_path / "n.fa", "chr1\t1\t2\n")},
        "only unknown chromosomes": {"-r": write(tmp_path / "u.bed", "1\t100\t140\n")},
        "wrong window": {"--window": 39},
        "unknown target": {"-t": "liver"},
        "open target": {"-t": None},
        "conservation": {"--max-conservation-error": 0},
        "a file for a folder": {"-o": write(tmp_path / "taken", "") / "x"},
        "no GPU": {"--device": "cuda"},
    }.get(case, {})
    if case == "protein":
        changes["-r"] = write(tmp_path / "q.bed", "chr1\t0\t20\n")
    if case == "strict":
        flags = ["--strict"]
    options = {**base, **changes}
    sequences = options.pop("sequences")
    arguments = [part for key, value in options.items() if value is not None for part in (key, value)]
    assert attribute(sequences, *arguments, *flags) == 1
    assert message in error_line(capsys)
    assert left_behind(out) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["attribute"], "Missing argument 'SEQUENCES'"),
        (["attribute", "g.fa", "-m", "x", "-o", "y", "-p", "1.5"], "isn't a proportion: 0 <= P < 1"),
        (["attribute", "g.fa", "-m", "x", "-o", "y", "--formats", "wig"], "unknown format 'wig'"),
        (["attribute", "-", "-m", "x", "-o", "y", "-r", "-"], "can't both come from standard input"),
        (["attribute", "g.fa", "-m", "x", "-o", "y", "-b", "0"], "isn't a number of windows"),
        (["attribute", "g.fa", "-m", "x", "-o", "y", "--device", "tpu"], "isn't a device"),
        (
            ["attribute", "g.fa", "-m", "x", "-o", "y", "-p", "auto", "--prune-negative", "0.1"],
            "not with auto",
        ),
        (["evaluate", "x.h5", "--motif", "m", "--sites", "s"], "either --motif or --sites"),
        (["evaluate", "x.h5", "--strands"], "name it with --model"),
        (["evaluate", "a/x.h5", "b/x.h5"], "have the same name"),
        (["explain"], "No such command 'explain'"),
    ],
)
def test_wrong_usage_exits_with_two(arguments, message, capsys):
    assert run(arguments) == 2
    assert message in capsys.readouterr().err


def test_version_is_the_bare_number(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == "0.2.0\n"


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from sparselrp_cli.cli.main import run; code = run(['attribute', '--help']);"
        "heavy = {'torch', 'numpy', 'pandas', 'Bio', 'h5py', 'pyBigWig', 'pybigtools', 'tqdm'}"
        " & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_standard_input_gives_the_same_as_a_file(tmp_path, genome, monkeypatch):
    options = ["-m", MODEL, "-t", "0", "-q", "-o"]
    assert attribute(genome, *options, tmp_path / "file") == 0
    with genome.open() as stream:
        monkeypatch.setattr("sys.stdin", stream)
        assert attribute("-", *options, tmp_path / "pipe") == 0
    assert (tmp_path / "pipe.windows.tsv").read_bytes() == (tmp_path / "file.windows.tsv").read_bytes()


def test_an_interruption_exits_with_130_and_leaves_nothing(tmp_path, genome):
    bed = tmp_path / "many.bed"
    bed.write_text("chr1\t100\t140\n" * 200_000)
    out = tmp_path / "out"
    out.mkdir()
    # A background job of a shell inherits an ignored SIGINT, and Python leaves it so.
    start = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    process = subprocess.Popen(
        [sys.executable, "-c", f"{start}; from sparselrp_cli.cli.main import main; main()", "attribute",
         str(genome), "-r", str(bed), "-m", MODEL, "-t", "0", "-o", str(out / "x")],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not list(out.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130, stderr
    assert "interrupted" in stderr
    assert left_behind(out) == []


def test_the_error_of_reduced_precision_is_in_the_log_and_the_manifest(genome, peaks, tmp_path, capsys):
    out = tmp_path / "run"
    assert attribute(genome, "-r", peaks, "-m", MODEL, "-t", "0", "-o", out, "--dtype", "bfloat16") == 0
    manifest = json.loads((tmp_path / "run.manifest.json").read_text())
    found = manifest["accounting"]["agreement_with_float32"]
    assert f"bfloat16: cosine to float32 at least {found['cosine']:.4f}," in capsys.readouterr().err
    assert 0.9 < found["cosine"] < 1
    assert 0 < found["difference"] < 0.5
    attribute(genome, "-r", peaks, "-m", MODEL, "-t", "0", "-o", out)
    assert "agreement_with_float32" not in (tmp_path / "run.manifest.json").read_text()


def test_tf32_without_a_gpu_is_an_error(genome, peaks, tmp_path, capsys):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    code = attribute(genome, "-r", peaks, "-m", MODEL, "-o", tmp_path / "x", "--dtype", "tf32")
    assert code == 1
    assert "--dtype tf32 needs an NVIDIA GPU" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("came", "code", "word"), [(Stopped, 75, "stopped"), (KeyboardInterrupt, 130, "interrupted")]
)
def test_what_fails_in_the_midst_of_an_interruption_is_not_our_fault(
    came, code, word, tmp_path, monkeypatch, capsys
):
    """A signal between the opening of a member of a zip file and what would close it."""

    def broken_off(*_args, **_named):
        with zipfile.ZipFile(tmp_path / "maps.npz", "w") as archive:
            member = archive.open("a.npy", "w")
            member.write(b"half")
            raise came

    monkeypatch.setattr("sparselrp_cli.cli.main.cli.main", broken_off)
    assert run(["export", "any.h5"]) == code
    assert capsys.readouterr().err == f"sparselrp: error: {word}; nothing that isn't complete was left\n"


def test_a_fault_of_ours_alone_is_an_internal_error(monkeypatch, capsys):
    def failing(*_args, **_named):
        try:
            raise KeyError("handled")
        except KeyError:
            raise ValueError("wrong") from None

    monkeypatch.setattr("sparselrp_cli.cli.main.cli.main", failing)
    assert run(["export", "any.h5"]) == 1
    assert "internal error (ValueError: wrong)" in capsys.readouterr().err
