"""Targets under the blocks of regions, from BED12 to all that follows a run, against sums by hand."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from helpers.commands import attribute, command, error_line, left_behind, run_here, table, write
from torch import Tensor, nn
from torch.nn import functional

from sparselrp_cli.cli import following
from sparselrp_cli.evaluation.mutagenesis import SingleChanges
from sparselrp_cli.graph.bins import Bins
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.targets import TargetParser
from sparselrp_cli.model.layout import InputLayout
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import NONE

WINDOW = 64
FIRST, WIDTH, COUNT = 8, 4, 12
"""Of the bins below: where the first begins, and how many there are."""
LINEAR = ("--composite", "zero", "-p", "0", "--centre", "none", "--dtype", "float64")


class Genes(nn.Module):
    """Three tracks (N, 12, 3) of 4 bp a bin over the middle 48 bp of a window of 64, as Enformer has them."""

    window = WINDOW

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.scan, self.head = nn.Conv1d(4, 6, 5, padding=2, bias=False), nn.Linear(6, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        bins = functional.avg_pool1d(self.scan(x).relu(), WIDTH)
        return self.head(bins.transpose(1, 2)[:, 2:-2])


class Rates(Genes):
    """The same behind a softplus."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.softplus(super().forward(x))


class Lopsided(Genes):
    """The same bins over the first 48 bp."""

    def forward(self, x: Tensor) -> Tensor:
        bins = functional.avg_pool1d(self.scan(x).relu(), WIDTH)
        return self.head(bins.transpose(1, 2)[:, :-4])


class Hidden(Genes):
    """The same bins, tasks first, made by a dense layer of all that there is."""

    def __init__(self) -> None:
        super().__init__()
        self.all = nn.Linear(36, 36)

    def forward(self, x: Tensor) -> Tensor:
        return self.all(super().forward(x).flatten(1)).reshape(-1, 3, COUNT)


class Pairs(Genes):
    """Two outputs: tracks, and counts without positions."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        tracks = super().forward(x)
        return {"tracks": tracks, "counts": tracks.mean(1)}


@pytest.fixture(scope="module")
def letters() -> str:
    return "".join(np.random.default_rng(3).choice(list("ACGT"), 400))


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory, letters: str) -> Path:
    return write(tmp_path_factory.mktemp("genome") / "genome.fa", f">chr1\n{letters}\n")


def bed12(name: str, start: int, end: int, strand: str, *blocks: tuple[int, int]) -> str:
    sizes = ",".join(str(n - m) for m, n in blocks)
    starts = ",".join(str(m - start) for m, _ in blocks)
    columns = ("chr1", start, end, name, 0, strand, start, end, 0, len(blocks), f"{sizes},", f"{starts},")
    return "\t".join(map(str, columns)) + "\n"


# Windows are 32 bp to either side of the middle.
GENES = {
    "two exons": (80, 120, "+", [(80, 86), (110, 120)]),
    "reversed": (81, 121, "-", [(81, 90), (112, 121)]),
    "no strand": (150, 190, ".", [(150, 151), (168, 171), (189, 190)]),
    "longer than its window": (100, 300, "+", [(100, 190), (205, 207), (250, 300)]),
    "reversed and lopsided": (210, 250, "-", [(210, 214), (230, 231)]),
    "they overlap": (300, 340, "+", [(300, 320), (310, 330)]),
    "at the begin": (0, 30, "-", [(0, 7), (20, 30)]),
}


@pytest.fixture
def genes(tmp_path: Path) -> Path:
    lines = [bed12(name, start, end, strand, *blocks) for name, (start, end, strand, blocks) in GENES.items()]
    return write(tmp_path / "genes.bed", "".join(lines))


def one_hot_of(letters: str, start: int) -> Tensor:
    text = [letters[i] if 0 <= i < len(letters) else "N" for i in range(start, start + WINDOW)]
    x = torch.zeros(4, WINDOW, dtype=torch.float64)
    for place, letter in enumerate(text):
        if letter != "N":
            x["ACGT".index(letter), place] = 1
    return x


def by_hand(net, letters: str, gene: str, value, first: int = FIRST) -> tuple[float, np.ndarray]:
    """The value of a gene, and its gradient times the input on the forward strand, base by base."""
    start, end, strand, blocks = GENES[gene]
    begin = (start + end) // 2 - WINDOW // 2
    exonic = [any(s <= base < e for s, e in blocks) for base in range(begin, begin + WINDOW)]
    x = one_hot_of(letters, begin)
    if strand == "-":
        x, exonic = x.flip(0, 1), exonic[::-1]
    bins = [b for b in range(COUNT) if any(exonic[first + WIDTH * b : first + WIDTH * (b + 1)])]
    x = x[None].requires_grad_()
    score = value(net(x)[0][bins])
    (gradient,) = torch.autograd.grad(score, x)
    found = (gradient * x)[0].sum(0).detach().numpy()
    return float(score.detach()), found[::-1] if strand == "-" else found


def contributions(prefix: Path, target: int = 0) -> np.ndarray:
    with ArchiveReader(f"{prefix}.h5") as reader:
        return reader.contributions(slice(None), target)


def maps(prefix: Path) -> np.ndarray:
    with h5py.File(f"{prefix}.h5") as archive:
        return archive["hyp_scores"][:]


def run_of(genome: Path, genes: Path, net: str = "Genes") -> tuple[object, ...]:
    return (genome, "-r", genes, "-m", f"{__file__}:{net}")


CASES = {
    "0@blocks": lambda y: y[:, 0].mean(),
    "*@blocks": lambda y: y.mean(),
    "0:2@blocks": lambda y: y[:, :2].mean(),
    "0.5*(1-2)@blocks": lambda y: 0.5 * (y[:, 1] - y[:, 2]).mean(),
    "0@blocks-1@blocks": lambda y: (y[:, 0] - y[:, 1]).mean(),
}


def test_each_window_is_scored_under_its_own_blocks(genome, genes, letters, tmp_path):
    targets = [part for text in CASES for part in ("-t", text)]
    assert attribute(*run_of(genome, genes), *targets, *LINEAR, "-o", tmp_path / "x", "--formats", "h5") == 0
    net, rows = Genes().double(), table(tmp_path / "x.windows.tsv")
    for number, (text, value) in enumerate(CASES.items()):
        of_target = [row for row in rows if row["target"] == text]
        assert [row["name"] for row in of_target] == list(GENES)
        found = contributions(tmp_path / "x", number)
        for row, ours in zip(of_target, found, strict=True):
            score, expected = by_hand(net, letters, row["name"], value)
            assert float(row["score"]) == pytest.approx(score, rel=1e-7)
            # Of piecewise linear networks the rule LRP-0 gives gradient x input.
            np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-12)


def test_log_ratios_of_tracks_are_of_the_mean_over_a_genes_exons(genome, genes, letters, tmp_path):
    text = "log(0:2@blocks)-log(2@blocks)"
    run = run_of(genome, genes, "Rates")
    assert attribute(*run, "-t", text, *LINEAR, "-o", tmp_path / "x", "--formats", "h5") == 0
    net = Rates().double()
    for row, ours in zip(table(tmp_path / "x.windows.tsv"), contributions(tmp_path / "x"), strict=True):
        score, expected = by_hand(
            net, letters, row["name"], lambda y: (y[:, :2].mean() / y[:, 2].mean()).log()
        )
        assert float(row["prediction"]) == pytest.approx(score, rel=1e-7)
        np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-12)


def test_bins_that_arent_in_the_middle_are_turned_with_their_window(genome, genes, letters, tmp_path):
    run = run_of(genome, genes, "Lopsided")
    assert attribute(*run, "-t", "0@blocks", *LINEAR, "-o", tmp_path / "x", "--formats", "h5") == 0
    net = Lopsided().double()
    for row, ours in zip(table(tmp_path / "x.windows.tsv"), contributions(tmp_path / "x"), strict=True):
        score, expected = by_hand(net, letters, row["name"], lambda y: y[:, 0].mean(), first=0)
        assert float(row["score"]) == pytest.approx(score, rel=1e-7)
        np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-12)


def test_both_strands_read_the_same_exons(genome, genes, letters, tmp_path):
    run = (*run_of(genome, genes), "-t", "0@blocks", *LINEAR, "--formats", "h5")
    assert attribute(*run, "--reverse-complement", "-o", tmp_path / "both") == 0
    flipped = tmp_path / "flipped.bed"
    turned = {"+": "-", "-": "+", ".": "-"}
    lines = [line.split("\t") for line in genes.read_text().splitlines()]
    flipped.write_text("".join("\t".join([*w[:5], turned[w[5]], *w[6:]]) + "\n" for w in lines))
    assert attribute(*run, "-o", tmp_path / "here") == 0
    assert attribute(genome, "-r", flipped, *run[3:], "-o", tmp_path / "there") == 0
    expected = (contributions(tmp_path / "here") + contributions(tmp_path / "there")) / 2
    np.testing.assert_allclose(contributions(tmp_path / "both"), expected, rtol=1e-6, atol=1e-12)


def test_a_window_without_a_block_under_its_bins_is_skipped_with_the_reason(genome, tmp_path, capsys):
    lines = [
        bed12("before", 40, 120, "+", (40, 50), (110, 120)),  # bins are from 56 to 104
        bed12("just", 40, 120, "+", (40, 57)),
        bed12("touching", 40, 120, "+", (40, 56), (104, 120)),
        bed12("nowhere", 390, 420, "+", (390, 391)),
    ]
    lines[3] = lines[3].replace("chr1", "chr9")
    genes = write(tmp_path / "genes.bed", "".join(lines))
    run = (*run_of(genome, genes), "-t", "0@blocks", "--formats", "h5")
    assert attribute(*run, "-o", tmp_path / "x") == 0
    assert [row["name"] for row in table(tmp_path / "x.windows.tsv")] == ["just"]
    skipped = {row["name"]: row["reason"] for row in table(tmp_path / "x.skipped.tsv")}
    why = "no block of its region lies under output 'output', bases 8 to 56 of the window"
    assert (skipped["before"], skipped["touching"]) == (why, why)
    assert "chr9" in skipped["nowhere"]
    assert attribute(*run, "-o", tmp_path / "y", "--strict") == 1
    assert error_line(capsys).endswith(f"region before (chr1:40-120) can't be scored: {why}")


def test_where_no_gene_has_a_block_under_the_bins_the_run_says_why(genome, tmp_path, capsys):
    genes = write(tmp_path / "genes.bed", bed12("far", 40, 120, "+", (40, 50)))
    assert attribute(*run_of(genome, genes), "-t", "0@blocks", "-o", tmp_path / "x") == 1
    assert "the only region can't be scored: no block of its region lies under output" in error_line(capsys)


def test_blocks_that_dont_count_are_said_and_where_the_bins_lie_is_kept(genome, genes, tmp_path, capsys):
    run = (*run_of(genome, genes), "-t", "0@blocks", "--formats", "h5")
    assert attribute(*run, "-o", tmp_path / "x") == 0
    said = capsys.readouterr().err
    assert (
        "blocks that lie under no position of the output don't count, and only the others do (first in longer"
        " than its window)" in said
    )
    note = (
        "output 'output': 12 bins of 4 bp over bases 8 to 56 of the window, of which those under blocks are"
    )
    note += " read"
    assert note in said
    manifest = json.loads((tmp_path / "x.manifest.json").read_text())
    assert note in manifest["model"]["ends"]
    assert "bins" not in manifest["settings"]


@pytest.mark.parametrize(("given", "first"), [("4", 8), ("4:8", 8), ("4:3", 3)])
def test_bins_can_be_said_where_the_layers_hide_them(genome, genes, letters, tmp_path, capsys, given, first):
    run = (*run_of(genome, genes, "Hidden"), "-t", "0@blocks", *LINEAR, "--formats", "h5")
    assert attribute(*run, "-o", tmp_path / "x") == 1
    assert error_line(capsys).endswith(
        "output 'output': over which bases its positions lie, which @blocks needs, isn't seen from the"
        " model's layers (positions can't be followed through 'reshape'); say it with --bins WIDTH[:START]"
    )
    assert attribute(*run, "-o", tmp_path / "x", "--bins", given) == 0

    def tasks_last(x: Tensor) -> Tensor:
        return net(x).transpose(1, 2)

    net = Hidden().double()
    for row, ours in zip(table(tmp_path / "x.windows.tsv"), contributions(tmp_path / "x"), strict=True):
        score, expected = by_hand(tasks_last, letters, row["name"], lambda y: y[:, 0].mean(), first)
        assert float(row["score"]) == pytest.approx(score, rel=1e-7)
        np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-12)


def test_given_bins_are_those_of_the_layers(genome, genes, tmp_path, capsys):
    run = (*run_of(genome, genes), "-t", "0@blocks", "--formats", "h5")
    assert attribute(*run, "-o", tmp_path / "found") == 0
    for given in ("4", "4:8"):
        assert attribute(*run, "-o", tmp_path / "given", "--bins", given) == 0
        np.testing.assert_array_equal(maps(tmp_path / "found"), maps(tmp_path / "given"))
    manifest = json.loads((tmp_path / "given.manifest.json").read_text())
    assert manifest["settings"]["bins"] == "4:8"
    assert attribute(*run, "-o", tmp_path / "shifted", "--bins", "4:0") == 0
    assert (maps(tmp_path / "found") != maps(tmp_path / "shifted")).any()
    assert attribute(*run, "-o", tmp_path / "x", "--bins", "6") == 1
    assert error_line(capsys).endswith(
        "output 'output': 12 positions of 6 bp don't fit into a window of 64 bp; correct --bins WIDTH[:START]"
    )
    assert attribute(*run[:5], "-t", "0@3", "-o", tmp_path / "y", "--bins", "4", "--formats", "h5") == 0
    assert "--bins changes nothing: no target has @blocks" in capsys.readouterr().err


def test_shards_batches_and_resumed_runs_read_the_same_blocks(genome, genes, tmp_path, capsys):
    run = (*run_of(genome, genes), "-t", "0@blocks", "-t", "1@3", "-b", "2")
    assert attribute(*run, "-o", tmp_path / "whole", "--formats", "h5") == 0
    for i in (1, 2):
        assert attribute(*run, "-o", tmp_path / f"part{i}", "--shard", f"{i}/2") == 0
    parts = [tmp_path / f"part{i}.h5" for i in (1, 2)]
    assert command("merge", *parts, "-o", tmp_path / "merged", "--formats", "h5") == 0
    with ArchiveReader(tmp_path / "whole.h5") as whole, ArchiveReader(tmp_path / "merged.h5") as merged:
        np.testing.assert_array_equal(whole.blocks(slice(None)), merged.blocks(slice(None)))
    np.testing.assert_array_equal(maps(tmp_path / "merged"), maps(tmp_path / "whole"))
    before = (tmp_path / "whole.h5").read_bytes()
    (tmp_path / "whole.windows.tsv").unlink()
    assert attribute(*run, "-o", tmp_path / "whole", "--formats", "h5", "--resume") == 0
    assert "written again from" in capsys.readouterr().err
    assert (tmp_path / "whole.h5").read_bytes() == before


def test_an_archive_keeps_the_blocks_base_by_base(genome, genes, tmp_path):
    assert attribute(*run_of(genome, genes), "-t", "0@blocks", "-o", tmp_path / "x", "--formats", "h5") == 0
    with ArchiveReader(tmp_path / "x.h5") as reader:
        for window, marked in zip(reader.windows(slice(None)), reader.blocks(slice(None)), strict=True):
            _, _, _, blocks = GENES[window.name]
            places = range(window.start, window.end)
            assert marked.tolist() == [int(any(s <= base < e for s, e in blocks)) for base in places]
    assert attribute(*run_of(genome, genes), "-t", "0@3", "-o", tmp_path / "y", "--formats", "h5") == 0
    with ArchiveReader(tmp_path / "y.h5") as reader:
        assert not reader.has_blocks


def test_the_null_of_a_gene_reads_the_bins_under_its_own_exons(genome, genes, tmp_path):
    run = (*run_of(genome, genes), "-t", "0@blocks", "--formats", "h5", "-o", tmp_path / "x")
    assert attribute(*run) == 0
    assert command("motifs", tmp_path / "x.h5", "-m", f"{__file__}:Genes", "-o", tmp_path / "x") == 0
    with ArchiveReader(tmp_path / "x.h5") as run_reader, ArchiveReader(tmp_path / "x.background.h5") as null:
        index = [window.index for window in null.windows(slice(None))]
        rows = np.array(index) % len(GENES)
        np.testing.assert_array_equal(null.blocks(slice(None)), run_reader.blocks(slice(None))[rows])


@pytest.mark.usefixtures("unrendered")
def test_a_report_explains_its_best_windows_without_pruning_under_the_same_blocks(
    genome, genes, tmp_path, monkeypatch
):
    monkeypatch.setattr(following, "run_command", run_here)
    run = (*run_of(genome, genes), "-t", "0@blocks", "-p", "0.2", "--formats", "h5", "-o", tmp_path / "x")
    assert attribute(*run, "--report", "-q") == 0
    with ArchiveReader(tmp_path / "x.h5") as pruned, ArchiveReader(tmp_path / "x.unpruned.h5") as plain:
        scores = dict(
            zip([w.start for w in pruned.windows(slice(None))], pruned.column("score"), strict=True)
        )
        for window, score in zip(plain.windows(slice(None)), plain.column("score"), strict=True):
            assert score == pytest.approx(scores[window.start], rel=1e-5)


@pytest.mark.usefixtures("unrendered")
def test_evaluate_asks_the_model_under_the_same_blocks(genome, genes, letters, tmp_path):
    run = (*run_of(genome, genes), "-t", "0@blocks", *LINEAR, "--formats", "h5", "-o", tmp_path / "x")
    assert attribute(*run) == 0
    again = ("evaluate", tmp_path / "x.h5", "-m", f"{__file__}:Genes", "--strands", "--baseline")
    assert command(*again, "gradient-x-input", "--faithfulness", "1", "-q", "-o", tmp_path / "e") == 0
    rows = {row["method"]: row for row in table(tmp_path / "e.evaluation.tsv")}
    # By gradient and by LRP-0 of a piecewise linear network, which are the same.
    assert float(rows["gradient-x-input"]["agreement_with_first"]) == pytest.approx(1, abs=1e-6)
    assert rows["x"]["windows"] == str(len(GENES))
    assert np.isfinite(float(rows["x"]["deletion_drop"]))


def test_scores_gradients_and_mutagenesis_are_of_the_bins_under_the_blocks():
    torch.manual_seed(1)
    one_hot = functional.one_hot(torch.randint(4, (3, WINDOW)), 4).transpose(1, 2).numpy().astype(np.uint8)
    marked = np.zeros((3, WINDOW), np.uint8)
    marked[0, 10:20], marked[1, [0, 30]], marked[2] = 1, 1, 1
    bins = [[0, 1, 2], [5], [*range(COUNT)]]
    net, x = Rates().double(), torch.from_numpy(one_hot).double()
    graph = capture(net, x)
    names = [OutputNames("rates", axes="NPT")]
    target = TargetParser(graph.outputs, names).parse("log(1@blocks)-0@blocks")
    explainer = Explainer(graph, [target], names, PRESETS["zero"], NONE, bins={0: Bins(FIRST, WIDTH, COUNT)})

    def score_of(window: Tensor, b: list[int]) -> Tensor:
        y = net(window[None])[0][b]
        return y[:, 1].mean().log() - y[:, 0].mean()

    expected = [float(score_of(window, b).detach()) for window, b in zip(x, bins, strict=True)]
    scorer = SingleChanges(explainer, InputLayout())
    np.testing.assert_allclose(scorer.scores(one_hot, marked), expected, rtol=1e-11)
    leaf = x.clone().requires_grad_()
    sum(score_of(window, b) for window, b in zip(leaf, bins, strict=True)).backward()
    np.testing.assert_allclose(scorer.gradient(one_hot, marked), leaf.grad, rtol=1e-9, atol=1e-13)
    found = scorer.effects(one_hot[0], within=slice(8, 12), marked=marked[0])
    for place in range(8, 12):
        for base in range(4):
            changed = x[0].clone()
            changed[:, place] = torch.eye(4)[base]
            assert found[base, place] == pytest.approx(
                float(score_of(changed, bins[0]).detach()) - expected[0], abs=1e-12
            )
    with pytest.raises(ValueError, match="a target reads blocks, and no bases are marked"):
        explainer.explain(x)


@pytest.mark.parametrize("net", ["Genes", "Rates", "Pairs", "Hidden"])
def test_inspect_says_where_bins_lie_and_its_examples_work(genome, genes, tmp_path, capsys, net):
    assert command("inspect", f"{__file__}:{net}", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    lies = "" if net == "Hidden" else "12 bins of 4 bp over bases 8 to 56 of the window"
    assert document["outputs"][0]["bins"] == lies
    assert any("@blocks" in text for text in document["targets"]) == (net != "Hidden")
    asked = [part for text in document["targets"] for part in ("-t", text)]
    assert attribute(*run_of(genome, genes, net), *asked, "-o", tmp_path / "x", "--formats", "h5") == 0
    rows = table(tmp_path / "x.windows.tsv")
    assert [row["target"] for row in rows][: len(document["targets"])] == document["targets"]


def test_variants_and_records_have_no_blocks_which_is_said(genome, genes, letters, tmp_path, capsys):
    model = f"{__file__}:Genes"
    vcf = write(tmp_path / "v.vcf", f"##fileformat=VCFv4.3\nchr1\t101\tv\t{letters[100]}\tN\n")
    assert command("variants", vcf, genome, "-m", model, "-t", "0@blocks", "-o", tmp_path / "v") == 1
    assert error_line(capsys).endswith(
        "a target with @blocks reads the blocks of regions, which variants don't have; name positions such as"
        " @START:END"
    )
    assert attribute(genome, "-m", model, "-t", "0@blocks", "-o", tmp_path / "x") == 1
    assert error_line(capsys).endswith(
        "a target with @blocks reads the blocks of regions; give a BED12 with --regions"
    )
    assert not [name for name in left_behind(tmp_path) if name.endswith(".h5")]


def test_a_bed_without_blocks_is_refused_with_its_line_before_anything_is_explained(genome, tmp_path, capsys):
    lines = [bed12("good", 80, 120, "+", (80, 120)), "chr1\t100\t140\tpeak\t0\t+\n"]
    genes = write(tmp_path / "genes.bed", "".join(lines))
    assert attribute(*run_of(genome, genes), "-t", "0@blocks", "-o", tmp_path / "x") == 1
    assert error_line(capsys).endswith(
        "genes.bed line 2: 6 columns, and a target with @blocks reads the blocks in columns 10 to 12; give"
        " BED12"
    )
    assert attribute(*run_of(genome, genes), "-t", "0@3", "-o", tmp_path / "x", "--formats", "h5") == 0


def test_folds_of_one_model_read_the_same_blocks(genome, genes, tmp_path):
    model = f"{__file__}:Genes"
    run = (genome, "-r", genes, "-t", "0@blocks", *LINEAR, "--formats", "h5")
    assert attribute(*run, "-m", model, "-o", tmp_path / "one") == 0
    assert attribute(*run, "-m", model, "-m", model, "-o", tmp_path / "two") == 0
    np.testing.assert_allclose(maps(tmp_path / "one"), maps(tmp_path / "two"), rtol=1e-6, atol=1e-12)


def test_only_outputs_that_are_read_under_blocks_need_bins(genome, genes, tmp_path):
    run = run_of(genome, genes, "Pairs")
    assert attribute(*run, "-t", "tracks/0@blocks+counts/1", "-o", tmp_path / "x", "--formats", "h5") == 0


def test_reduced_precision_is_compared_under_the_same_blocks(genome, genes, tmp_path):
    run = (*run_of(genome, genes), "-t", "0@blocks", "--formats", "h5", "-o", tmp_path / "x")
    assert attribute(*run, "--dtype", "bfloat16") == 0
    manifest = json.loads((tmp_path / "x.manifest.json").read_text())
    assert manifest["accounting"]["agreement_with_float32"]["cosine"] > 0.9
