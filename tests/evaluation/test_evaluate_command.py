"""`sparselrp evaluate` on archives of small models: rows, baselines, randomisation, files, refusals."""

import json
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from sparselrp_cli.cli import evaluate as command
from sparselrp_cli.cli.main import run
from sparselrp_cli.evaluation import figures

WINDOW = 30
SEED = 1
METRICS = ("gini", "complexity", "zero_share", "deletion_drop", "insertion_rise", "ism_r", "var_r", "abpc")


class Net(nn.Module):
    """ReLU network on windows of 30 bp, two tasks."""

    window = WINDOW

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(SEED)
        self.scan = nn.Conv1d(4, 8, 5, padding=2)
        self.act = nn.ReLU()
        self.head = nn.Linear(8 * WINDOW, 2)

    def forward(self, x):
        return self.head(self.act(self.scan(x)).flatten(1))


class Sum(nn.Module):
    """Counts A: relevance, gradient x input and mutagenesis are known."""

    window = WINDOW

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4 * WINDOW, 1, bias=False)
        with torch.no_grad():
            self.head.weight.zero_()
            self.head.weight[:, :WINDOW] = 1

    def forward(self, x):
        return self.head(x.flatten(1))


class Nothing(Sum):
    """Looks at nothing, whatever its weights."""

    def __init__(self) -> None:
        super().__init__()
        with torch.no_grad():
            self.head.weight.zero_()


@pytest.fixture
def archives(tmp_path):
    rng = np.random.default_rng(0)
    letters = "".join(rng.choice(list("ACGT"), 900))
    genome = tmp_path / "genome.fa"
    genome.write_text(f">chr1\n{letters}\n")
    regions = tmp_path / "regions.bed"
    regions.write_text(
        "".join(f"chr1\t{s}\t{s + WINDOW}\tr{s}\t0\t{'+-'[s // 40 % 2]}\n" for s in range(40, 840, 40))
    )
    (tmp_path / "sites.bed").write_text("".join(f"chr1\t{s + 10}\t{s + 16}\n" for s in range(40, 840, 80)))

    def made(name, model, *options):
        given = ["attribute", genome, "-r", regions, "-m", f"{__file__}:{model}", "-o", tmp_path / name, "-q"]
        assert run([*map(str, given), "--formats", "h5", *options]) == 0
        return tmp_path / f"{name}.h5"

    return made


def evaluated(tmp_path, *arguments):
    prefix = tmp_path / "out"
    assert run(["evaluate", *map(str, arguments), "-o", str(prefix), "-q"]) == 0
    return pd.read_csv(f"{prefix}.evaluation.tsv", sep="\t").set_index("method"), prefix


@pytest.mark.usefixtures("unrendered")
def test_baselines_on_an_additive_model_are_the_map_itself(archives, tmp_path):
    one = archives("one", "Sum", "-p", "0", "--composite", "zero", "--centre", "none")
    baselines = ("--baseline", "gradient-x-input", "--baseline", "mutagenesis")
    table, _ = evaluated(
        tmp_path, one, "--sites", tmp_path / "sites.bed", "-m", f"{__file__}:Sum", *baselines
    )
    assert list(table.index) == ["one", "gradient-x-input", "mutagenesis"]
    assert (table["windows"] == 10).all()
    for column in ("mass_in_sites", "auroc", "gini", "zero_share"):
        assert table.loc["gradient-x-input", column] == pytest.approx(table.loc["one", column])
    assert table.loc["gradient-x-input", "agreement_with_first"] == pytest.approx(1)
    # Where there is no A, changing the base to A raises the score.
    assert table.loc["mutagenesis", "zero_share"] == 0
    assert table.loc["mutagenesis", "agreement_with_first"] == pytest.approx(1)


@pytest.mark.usefixtures("unrendered")
def test_the_map_of_an_additive_model_agrees_with_mutagenesis_on_both_strands(archives, tmp_path):
    """Half of the windows are read on the opposite strand."""
    net = archives("net", "Net", "-t", "0", "-p", "0", "--composite", "zero", "--centre", "none")
    table, _ = evaluated(
        tmp_path, net, "-m", f"{__file__}:Net", "--baseline", "gradient-x-input", "--faithfulness", "1"
    )
    # The gradient is rule 0 of a network of ReLUs: the very same map.
    for column in ("ism_r", "var_r", "abpc", "deletion_drop", "insertion_rise", "gini"):
        assert table.loc["net", column] == pytest.approx(table.loc["gradient-x-input", column], abs=1e-3)
    assert table.loc["net", "ism_r"] > 0.5
    assert table.loc["net", "var_r"] > 0.5
    assert table.loc["mutagenesis", ["ism_r", "var_r"]].tolist() == pytest.approx([1, 1])
    assert np.isnan(table.loc["random order", "ism_r"])
    assert table["background_score"].nunique() == 1
    written = json.loads((tmp_path / "out.evaluation.json").read_text())
    assert {"ism_r", "var_r", "deletion_share", "insertion_share", "abpc"} <= written["methods"][0].keys()
    compared = {difference["metric"] for difference in written["differences"]}
    assert {"ism_r", "var_r", "deletion_share", "insertion_share", "abpc"} <= compared
    assert "background_score" not in compared


@pytest.mark.usefixtures("unrendered")
def test_the_centred_map_of_an_additive_model_is_mutagenesis_up_to_a_factor(archives, tmp_path):
    one = archives("one", "Sum", "-p", "0", "--composite", "zero")
    table, _ = evaluated(tmp_path, one, "-m", f"{__file__}:Sum")
    assert table.loc["one", ["ism_r", "var_r"]].tolist() == pytest.approx([1, 1])


@pytest.mark.usefixtures("unrendered")
def test_matches_of_a_matrix_give_the_metrics_of_sites_and_of_informative_bases(archives, tmp_path):
    motif = tmp_path / "motif.jaspar"
    motif.write_text(">M1 some\nA [9 0 3]\nC [0 9 2]\nG [0 0 2]\nT [0 0 2]\n")
    one = archives("one", "Sum", "-p", "0", "--composite", "zero")
    table, _ = evaluated(tmp_path, one, "--motif", motif, "--min-bits", "2")
    assert table.loc["one", ["site_ap", "auprc_informative", "auprc"]].between(0.01, 1).all()
    assert "ism_r" not in table.columns
    of_bed, _ = evaluated(tmp_path, one, "--sites", tmp_path / "sites.bed")
    assert of_bed.loc["one", "site_ap"] > 0
    assert "auprc_informative" not in of_bed.columns


@pytest.mark.usefixtures("unrendered")
def test_mutagenesis_is_left_out_where_asked(archives, tmp_path):
    one = archives("one", "Sum", "-p", "0")
    given = (one, "-m", f"{__file__}:Sum", "--no-mutagenesis", "--faithfulness", "1")
    table, _ = evaluated(tmp_path, *given)
    assert list(table.index) == ["one", "random order"]
    assert "ism_r" not in table.columns


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--mutagenesis",), "--mutagenesis asks the model again; name it with --model"),
        (
            ("--no-mutagenesis", "--baseline", "mutagenesis"),
            "--no-mutagenesis and --baseline mutagenesis contradict each other",
        ),
    ],
    ids=["without a model", "twice"],
)
def test_mutagenesis_that_cant_be_is_refused(archives, capsys, options, said):
    one = archives("one", "Sum", "-p", "0")
    model = () if options[0] == "--mutagenesis" else ("-m", f"{__file__}:Sum")
    assert run(["evaluate", str(one), *model, *options]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.usefixtures("unrendered")
def test_windows_that_do_not_score_more_than_their_background_are_said(archives, tmp_path, capsys):
    none = archives("none", "Nothing", "-p", "0")
    assert run(["evaluate", str(none), "-m", f"{__file__}:Nothing", "--faithfulness", "1"]) == 0
    said = capsys.readouterr().err
    assert (
        "deletion_share and insertion_share not defined in 20 of 20 windows, which don't score more" in said
    )
    assert "ism_r and var_r not defined in 20 of 20 windows, where a map or mutagenesis is the same" in said


@pytest.mark.usefixtures("unrendered")
def test_progress_of_mutagenesis_counts_single_changes(archives, tmp_path, monkeypatch):
    told = []

    @contextmanager
    def counter(total, unit, *, quiet):
        told.append((total, unit, quiet))
        yield told.append

    monkeypatch.setattr(command, "counter", counter)
    one = archives("one", "Sum", "-p", "0")
    evaluated(tmp_path, one, "-m", f"{__file__}:Sum", "--windows", "4")
    assert told[0] == (3 * 4 * WINDOW, "change", True)
    assert sum(told[1:]) == 3 * 4 * WINDOW


@pytest.mark.usefixtures("unrendered")
def test_faithfulness_stands_beside_a_random_order(archives, tmp_path):
    one, two = archives("one", "Net", "-t", "0", "-p", "0"), archives("two", "Net", "-t", "0", "-p", "0.5")
    model = ("-m", f"{__file__}:Net", "--faithfulness", "3", "--strands", "--randomise")
    table, prefix = evaluated(tmp_path, one, two, *model)
    assert list(table.index) == ["one", "two", "mutagenesis", "random order"]
    assert table.loc["one", "deletion_drop"] > table.loc["random order", "deletion_drop"]
    assert table.loc["one", "insertion_rise"] > table.loc["random order", "insertion_rise"]
    assert table.loc["one", "strand_agreement"] == pytest.approx(0, abs=0.9)
    assert table.loc["one", "conservation_error"] < 1e-4
    assert np.isnan(table.loc["random order", "gini"])
    assert "auroc" not in table.columns
    randomised = pd.read_csv(f"{prefix}.randomisation.tsv", sep="\t")
    assert set(randomised["method"]) == {"one", "two"}
    assert randomised["correlation"].abs().max() < 0.9
    paired = json.loads((tmp_path / "out.evaluation.json").read_text())["differences"]
    per_window = pd.read_csv(f"{prefix}.per-window.tsv", sep="\t").set_index(["window", "method"])
    by_hand = per_window["gini"].unstack()
    gini = next(d for d in paired if d["metric"] == "gini" and d["method"] == "two")
    assert gini["difference"] == pytest.approx((by_hand["two"] - by_hand["one"]).mean(), rel=1e-4)
    assert gini["low"] <= gini["difference"] <= gini["high"]
    assert {p.name for p in tmp_path.glob("out.*")} == {
        "out.evaluation.tsv", "out.per-window.tsv", "out.differences.tsv", "out.curves.tsv",
        "out.randomisation.tsv", "out.evaluation.json", "out.evaluation.svg", "out.curves.svg",
    }  # fmt: skip


@pytest.mark.usefixtures("unrendered")
def test_a_model_that_looks_at_nothing_has_no_agreement_and_the_curves_of_a_random_order(archives, tmp_path):
    """Warnings of numpy would be errors here."""
    none = archives("none", "Nothing", "-p", "0")
    model = ("-m", f"{__file__}:Nothing", "--faithfulness", "1", "--strands", "--randomise")
    table, prefix = evaluated(tmp_path, none, *model)
    assert np.isnan(table.loc["none", "strand_agreement"])
    assert table.loc["none", "zero_share"] == 1
    assert table.loc["none", "deletion_drop"] == table.loc["random order", "deletion_drop"] == 0
    randomised = pd.read_csv(f"{prefix}.randomisation.tsv", sep="\t")
    assert len(randomised)
    assert randomised[["correlation", "sd_over_draws", "correlation_of_magnitudes"]].isna().all(axis=None)


def test_every_target_has_its_rows_and_equal_calls_give_equal_files(archives, tmp_path):
    both = archives("both", "Net", "-t", "0", "-t", "1")
    first, _ = evaluated(tmp_path, both, "-m", f"{__file__}:Net", "--faithfulness", "1", "--windows", "4")
    assert list(first["target"]) == [0] * 3 + [1] * 3
    assert list(first.index) == ["both", "mutagenesis", "random order"] * 2
    assert (first["windows"] == 4).all()
    written = {p.name: p.read_bytes() for p in tmp_path.glob("out.*")}
    evaluated(tmp_path, both, "-m", f"{__file__}:Net", "--faithfulness", "1", "--windows", "4")
    assert written == {p.name: p.read_bytes() for p in tmp_path.glob("out.*")}


def test_many_methods_with_long_names_fit_into_the_figures(tmp_path):
    """A warning that the layout failed would be an error here."""
    methods = [f"{number}{'x' * 80}" for number in range(33)]
    rows = [
        {"method": m, "target": 0, "window": w, **dict.fromkeys(METRICS, 0.1 * w)}
        for m in methods
        for w in range(2)
    ]
    figures.plot_metrics(pd.DataFrame(rows), tmp_path / "metrics.svg")
    shares = [
        {"method": m, "target": 0, "share": s, "deletion": s, "insertion": s} for m in methods for s in (0, 1)
    ]
    figures.plot_curves(pd.DataFrame(shares), tmp_path / "curves.svg")


def test_archives_of_other_windows_are_refused(archives, tmp_path, capsys):
    one = archives("one", "Net", "-t", "0")
    other = archives("other", "Net", "-t", "1")
    assert run(["evaluate", str(one), str(other), "-q"]) == 1
    assert "other windows or targets" in capsys.readouterr().err


def test_a_model_that_has_no_such_target_is_refused(archives, tmp_path, capsys):
    one = archives("one", "Net", "-t", "1")
    assert run(["evaluate", str(one), "-m", f"{__file__}:Sum", "--strands", "-q"]) == 1
    assert "error" in capsys.readouterr().err


def test_another_model_than_the_archive_s_is_refused(archives, tmp_path, capsys):
    one = archives("one", "Net", "-t", "0")
    other = tmp_path / "other.py"
    other.write_text(Path(__file__).read_text().replace("SEED = 1", "SEED = 2"))
    assert run(["evaluate", str(one), "-m", f"{other}:Net", "--strands", "-q"]) == 1
    assert "one.h5 was made with the model 'Net' from other files" in capsys.readouterr().err


@pytest.mark.usefixtures("unrendered")
def test_an_archive_of_several_models_is_judged_without_asking_one(archives, tmp_path, capsys):
    both = archives("both", "Net", "-m", f"{__file__}:Net", "-t", "0")
    assert run(["evaluate", str(both), "--sites", str(tmp_path / "sites.bed"), "-q"]) == 0
    capsys.readouterr()
    assert run(["evaluate", str(both), "-m", f"{__file__}:Net", "--strands", "-q"]) == 1
    assert "both.h5 is the mean of several models" in capsys.readouterr().err
