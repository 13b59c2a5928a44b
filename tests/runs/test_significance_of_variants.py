"""Variants beside random changes of their kind: what is drawn, p and q, and windows explained once."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.commands import command, error_line, left_behind, table
from scipy import stats
from torch import nn

from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.relevance.windows import WindowExplainer
from sparselrp_cli.runs.variant_null import Drawing, empirical_p, kind_of, significance
from sparselrp_cli.sequences.genome import Genome
from sparselrp_cli.sequences.variants import Variant, read_variants, why_not

WINDOW = 40
HEADER = "##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
SITE = "GATTACA"


class Counter(nn.Module):
    """Counts a site, exactly: two tasks, once and twice."""

    window = WINDOW

    def __init__(self) -> None:
        super().__init__()
        self.scan = nn.Conv1d(4, 1, len(SITE))
        with torch.no_grad():
            for i, base in enumerate(SITE):
                self.scan.weight[0, :, i] = torch.tensor([float(base == b) for b in "ACGT"])
            self.scan.bias[:] = 1 - len(SITE)

    def forward(self, x):
        n = torch.relu(self.scan(x)).sum((1, 2))
        return torch.stack([n, 2 * n], 1)


MODEL = ("-m", f"{__file__}:Counter", "-t", "0", "-q")


@pytest.fixture(scope="module")
def letters() -> str:
    text = "".join(np.random.default_rng(4).choice(list("ACGT"), 400)).replace(SITE, "GGGGGGG")
    return text[:100] + SITE + text[107:250] + SITE + text[257:]


@pytest.fixture(scope="module")
def genome(tmp_path_factory, letters) -> Path:
    path = tmp_path_factory.mktemp("genome") / "genome.fa"
    path.write_text(f">chr1\n{letters}\n")
    return path


def vcf(folder: Path, *lines: str) -> Path:
    path = folder / "calls.vcf"
    path.write_text(HEADER + "".join("\t".join([*line.split(), ".", ".", "."]) + "\n" for line in lines))
    return path


def other(base: str) -> str:
    return {"A": "C", "C": "G", "G": "T", "T": "A"}[base]


def calls(letters: str) -> tuple[str, ...]:
    """One substitution in a site, one of the same base in none, and a deletion of a site's core."""
    beside = letters.index("T", 130)
    return (
        "chr1 103 hit T C",
        f"chr1 {beside + 1} miss T {other('T')}",
        f"chr1 251 core {letters[250:254]} {letters[250]}",
    )


def test_p_and_q_are_those_of_the_table_of_random_changes(tmp_path, genome, letters):
    path = vcf(tmp_path, *calls(letters))
    options = (path, genome, *MODEL, "--null", "150", "--seed", "3")
    assert command("variants", *options, "-o", tmp_path / "run") == 0
    rows, null = table(tmp_path / "run.variants.tsv"), table(tmp_path / "run.null.tsv")
    assert {(row["kind"], len(row["ref"]), len(row["alt"])) for row in null} == {
        ("T>N", 1, 1),
        ("-3+0", 4, 1),
    }
    assert len(null) == 300
    kinds = {"hit": "T>N", "miss": "T>N", "core": "-3+0"}
    of_p = {"score": [], "relevance": []}
    for row in rows:
        drawn = [r for r in null if r["kind"] == kinds[row["id"]]]
        for name, column in (("score", "score_difference"), ("relevance", "total_difference")):
            size = abs(float(row[column]))
            as_large = sum(abs(float(r[column])) >= size - 1e-5 for r in drawn)
            assert float(row[f"{name}_p"]) == pytest.approx((1 + as_large) / 151)
            of_p[name].append(float(row[f"{name}_p"]))
    hit, miss, core = (float(row["score_p"]) for row in rows)
    assert float(rows[0]["score_difference"]) == pytest.approx(-1, abs=1e-5)
    assert miss == 1
    # 7 of the 40 places of a window of a site at most lie in it.
    assert 1 / 151 < hit < 0.3
    assert core < 0.5
    for name, p in of_p.items():
        found = [float(row[f"{name}_q"]) for row in rows]
        assert found == pytest.approx(stats.false_discovery_control(p), abs=1e-8)


def test_each_random_change_is_a_change_of_its_kind_in_a_window_of_a_variant(tmp_path, genome, letters):
    """What is written as VCF reads back, suits the genome, and has the effect the network says."""
    path = vcf(tmp_path, *calls(letters))
    assert command("variants", path, genome, *MODEL, "--null", "40", "-o", tmp_path / "run") == 0
    drawn = [*read_variants(str(tmp_path / "run.null.vcf"))]
    places = [v.changed_at for v in read_variants(str(path))]
    with Genome(str(genome)) as opened:
        for variant, row in zip(drawn, table(tmp_path / "run.null.tsv"), strict=True):
            assert why_not(variant, opened, WINDOW) == ""
            assert kind_of(variant) == row["kind"]
            assert any(place - 20 <= variant.changed_at < place + 20 for place in places)
            edited = letters[: variant.start] + variant.alt + letters[variant.start + len(variant.ref) :]
            first = variant.changed_at - WINDOW // 2
            before, after = (text[first : first + WINDOW].count(SITE) for text in (letters, edited))
            assert float(row["score_difference"]) == pytest.approx(after - before, abs=1e-5)


def test_only_the_tables_of_the_null_are_left(tmp_path, genome, letters):
    path = vcf(tmp_path, *calls(letters))
    options = (path, genome, *MODEL, "-o", tmp_path / "run")
    assert command("variants", *options, "--null", "20") == 0
    assert [n for n in left_behind(tmp_path) if ".null" in n] == ["run.null.tsv", "run.null.vcf"]
    assert command("variants", *options) == 0
    assert [n for n in left_behind(tmp_path) if ".null" in n] == []
    assert "score_p" not in table(tmp_path / "run.variants.tsv")[0]


def test_equal_seeds_give_equal_bytes_and_others_dont(tmp_path, genome, letters):
    path = vcf(tmp_path, *calls(letters))
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        options = ("--null", "30", "--seed", seed, "-o", tmp_path / name)
        assert command("variants", path, genome, *MODEL, *options) == 0
    one, two, three = ((tmp_path / f"{name}.null.tsv").read_bytes() for name in "abc")
    assert one == two != three
    assert (tmp_path / "a.variants.tsv").read_bytes() == (tmp_path / "b.variants.tsv").read_bytes()


@pytest.mark.parametrize(
    "like", [Variant("chr1", 200, ".", "A", "G"), Variant("chr1", 199, ".", "GCA", "G"),
             Variant("chr1", 199, ".", "G", "GTTTT"), Variant("chr1", 199, ".", "GC", "TA")],
    ids=["substitution", "deletion", "insertion", "two bases"],
)  # fmt: skip
def test_p_of_changes_drawn_from_the_null_itself_is_uniform(genome, letters, like):
    """Whatever a model says of each change: here a random number for each."""
    n = 500
    with Genome(str(genome)) as opened:
        drawing = Drawing(opened, [("chr1", place) for place in (60, 150, 200, 310)], 100)
        drawn = [drawing.draw(like, n, seed) for seed in (1, 2)]
    says: dict[Variant, float] = {}
    rng = np.random.default_rng(5)
    observed, null = (np.array([says.setdefault(v, rng.normal()) for v in each]) for each in drawn)
    effects = significance(
        observed.reshape(1, 1, n), [kind_of(like)] * n, {kind_of(like): null.reshape(1, 1, n)}
    )
    p = effects.p[0, 0]
    # Two samples of n differ by more than 1.95 sqrt(2 / n) once in a thousand times (Smirnov); p has steps
    # of 1 / (n + 1), and equal changes drawn twice only raise it.
    at = np.linspace(0, 1, 201)
    share = (p[:, np.newaxis] <= at).mean(axis=0)
    assert (share - at).max() < 1.95 * np.sqrt(2 / n) + 1 / n
    assert (at - share).max() < 1.95 * np.sqrt(2 / n) + 4 / n
    assert effects.q[0, 0] == pytest.approx(stats.false_discovery_control(p))


def test_p_counts_what_is_as_large_and_is_never_0():
    p = empirical_p(np.array([5.0, 3.0, 0.0, 1.0]), np.array([0.0, 1.0, 3.0 - 1e-9, 4.0]))
    assert p.tolist() == [0.2, 0.6, 1.0, 0.8]


def test_the_reference_of_one_place_is_explained_once(tmp_path, genome, letters, monkeypatch):
    """Three alternatives in one line and two lines of one place, with the figures each has alone."""
    bases = [b for b in "ACGT" if b != letters[103]]
    place = f"chr1 104 . {letters[103]}"
    together = vcf(tmp_path, f"{place} {','.join(bases)}", f"{place} {bases[0]}", "chr1 103 . T C")
    seen: list[int] = []
    launch = WindowExplainer.launch

    def counted(self, one_hot, *rest):
        seen.append(len(one_hot))
        return launch(self, one_hot, *rest)

    monkeypatch.setattr(WindowExplainer, "launch", counted)
    assert command("variants", together, genome, *MODEL, "-b", "8", "-o", tmp_path / "all") == 0
    assert seen == [2, 5]
    rows = table(tmp_path / "all.variants.tsv")
    with ArchiveReader(tmp_path / "all.ref.h5") as reader:
        assert reader.n_windows == 5
    for number, base in enumerate(bases):
        alone = vcf(tmp_path, f"{place} {base}")
        assert command("variants", alone, genome, *MODEL, "-o", tmp_path / "one") == 0
        assert table(tmp_path / "one.variants.tsv") == [rows[number]]


def test_a_file_that_is_read_isnt_replaced(tmp_path, genome, letters, capsys):
    path = vcf(tmp_path, *calls(letters)).rename(tmp_path / "run.null.vcf")
    assert command("variants", path, genome, *MODEL, "--null", "9", "-o", tmp_path / "run") == 1
    assert "would be lost" in error_line(capsys)


@pytest.mark.parametrize("after", [1, 8], ids=["among the variants", "among the random changes"])
def test_what_was_interrupted_goes_on_to_the_same_bytes(
    tmp_path, genome, letters, monkeypatch, capsys, after
):
    path = vcf(tmp_path, *calls(letters))
    options = (path, genome, *MODEL, "--null", "200", "-b", "64", "-o")
    assert command("variants", *options, tmp_path / "whole") == 0
    launch, launches = WindowExplainer.launch, []

    def interrupted(self, *given):
        launches.append(1)
        if len(launches) > after:
            raise KeyboardInterrupt
        return launch(self, *given)

    monkeypatch.setattr(WindowExplainer, "launch", interrupted)
    assert command("variants", *options, tmp_path / "run") == 130
    assert not (tmp_path / "run.variants.tsv").exists()
    monkeypatch.setattr(WindowExplainer, "launch", launch)
    capsys.readouterr()
    assert command("variants", *options, tmp_path / "run", "--resume") == 0
    for ending in ("variants.tsv", "null.tsv", "null.vcf", "skipped.tsv"):
        assert (tmp_path / f"run.{ending}").read_bytes() == (tmp_path / f"whole.{ending}").read_bytes()
