"""A run is a row of a MultiQC report."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.manifests import manifest

from sparselrp_cli.errors import OutputError
from sparselrp_cli.outputs.choices import WARN_ABOVE
from sparselrp_cli.outputs.multiqc import COLUMNS, MotifsRow, RunRow, sample_name, write_multiqc
from sparselrp_cli.runs.run_files import row_of
from sparselrp_cli.settings.manifest import Outcome


def a_row(targets: dict[str, dict[str, float]], models=("bpnet",), prune: Any = 0.25) -> RunRow:
    """The row of a run of some models."""
    outcome = Outcome(
        windows=12, skipped=3, ambiguous_bases=0, means=targets, largest_error=4.62e-06, agreement=None
    )
    return row_of(manifest(models, outcome, prune=prune, prune_negative=None, targets=tuple(targets)))


def means(score: float) -> dict[str, float]:
    names = ("relevance", "absorbed", "lost", "conservation_error", "zero_share")
    return {"mean_score": score, **{f"mean_{name}": 0.5 for name in names}}


def read(path: Path) -> tuple[str, dict[str, str]]:
    """The header's YAML, and the one row."""
    lines = path.read_text().splitlines()
    header = "\n".join(line.removeprefix("# ") for line in lines if line.startswith("#"))
    names, row = [line.split("\t") for line in lines if not line.startswith("#")]
    return header, dict(zip(names, row, strict=True))


def test_a_run_is_one_row_of_its_manifest(tmp_path):
    write_multiqc(a_row({"suhw": means(1.25)}), "peaks", tmp_path / "run_mqc.tsv")
    _, row = read(tmp_path / "run_mqc.tsv")

    assert (row["Sample"], row["model"], row["target"], row["prune"]) == ("peaks", "bpnet", "suhw", "0.25")
    assert (row["windows"], row["skipped"]) == ("12", "3")
    assert float(row["mean_score"]) == 1.25
    assert float(row["largest_conservation_error"]) == 4.62e-06


def test_several_targets_are_one_row_with_their_means(tmp_path):
    write_multiqc(a_row({"a": means(1.0), "b": means(4.0)}), "peaks", tmp_path / "run_mqc.tsv")
    _, row = read(tmp_path / "run_mqc.tsv")

    assert row["target"] == "2 targets"
    assert float(row["mean_score"]) == 2.5
    assert float(row["mean_relevance"]) == 0.5


def test_averaged_models_are_all_named(tmp_path):
    run = a_row({"a": means(1.0)}, models=("fold0", "fold1"))
    write_multiqc(run, "peaks", tmp_path / "run_mqc.tsv")

    assert read(tmp_path / "run_mqc.tsv")[1]["model"] == "fold0 + fold1"


@pytest.mark.parametrize("score", [None, float("nan")])
def test_a_mean_that_there_isnt_is_left_empty(tmp_path, score):
    targets = {} if score is None else {"suhw": means(score)}
    write_multiqc(a_row(targets), "peaks", tmp_path / "run_mqc.tsv")

    assert read(tmp_path / "run_mqc.tsv")[1]["mean_score"] == ""


@pytest.mark.parametrize(("name", "cell"), [("#1", "_1"), ("a\tb\nc", "a_b_c"), ("", ".")])
def test_names_cant_break_the_table(tmp_path, name, cell):
    run = a_row({"a\tb": means(1.0)})
    write_multiqc(run, name, tmp_path / "run_mqc.tsv")
    _, row = read(tmp_path / "run_mqc.tsv")

    assert (row["Sample"], row["target"]) == (cell, "a_b")


def test_equal_runs_give_equal_bytes(tmp_path):
    for name in ("first", "second"):
        write_multiqc(a_row({"suhw": means(1 / 3)}), "peaks", tmp_path / name)

    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_the_header_is_yaml_that_describes_every_column(tmp_path):
    yaml = pytest.importorskip("yaml", reason="PyYAML isn't installed")
    write_multiqc(a_row({"suhw": means(1.0)}), "peaks", tmp_path / "run_mqc.tsv")
    header, row = read(tmp_path / "run_mqc.tsv")
    parsed = yaml.safe_load(header)

    assert (parsed["id"], parsed["plot_type"]) == ("sparselrp", "table")
    assert list(parsed["headers"]) == list(COLUMNS) == list(row)[1:]


def test_a_folder_that_isnt_there_is_said(tmp_path):
    with pytest.raises(OutputError, match="the folder doesn't exist"):
        write_multiqc(a_row({"suhw": means(1.0)}), "peaks", tmp_path / "none" / "run_mqc.tsv")


def found(**changed: Any) -> MotifsRow:
    """The row of what was found in a run."""
    row = MotifsRow(target="suhw", windows=12, seqlets=90, motifs=2, named=1, hits=70, calibrated="yes")
    return replace(row, **changed)


def test_what_was_found_is_a_row_of_a_table_of_its_own(tmp_path):
    write_multiqc(found(), "peaks", tmp_path / "run.motifs_mqc.tsv")
    header, row = read(tmp_path / "run.motifs_mqc.tsv")

    assert "id: 'sparselrp_motifs'" in header
    assert (row["motifs"], row["named"], row["hits"], row["calibrated"]) == ("2", "1", "70", "yes")


@pytest.mark.parametrize(("windows", "skipped", "share"), [(12, 3, 0.2), (0, 4, 1.0), (0, 0, None)])
def test_the_share_of_skipped_regions_is_of_all_regions(windows, skipped, share):
    outcome = Outcome(
        windows=windows, skipped=skipped, ambiguous_bases=0, means={}, largest_error=0.0, agreement=None
    )
    assert row_of(manifest(("bpnet",), outcome, targets=())).skipped_share == share


def multiqc_report(folder: Path) -> tuple[dict[str, dict[str, Any]], str]:
    """Let MultiQC make its report: the rows of our table as it kept them, and the page."""
    beside = Path(sys.executable).parent / "multiqc"
    multiqc = str(beside) if beside.exists() else shutil.which("multiqc")
    if multiqc is None:
        pytest.skip("multiqc isn't installed")
    done = subprocess.run(
        [multiqc, "--strict", "--data-format", "json", "-o", str(folder / "report"), str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    data = json.loads((folder / "report" / "multiqc_data" / "multiqc_data.json").read_text())
    tables = {name: table for name, table in data["report_saved_raw_data"].items() if "sparselrp" in name}
    (rows,) = [table for name, table in tables.items() if "motifs" not in name]
    return rows, (folder / "report" / "multiqc_report.html").read_text()


def shown(page: str, column: str) -> set[str]:
    """What the page shows in a column of our table."""
    cells = re.findall(rf'<td[^>]*class="{column} [^"]*"[^>]*>(.*?)</td>', page, re.DOTALL)
    return {re.sub(r"<[^>]+>", "", cell).strip() for cell in cells}


def colours(page: str, column: str) -> dict[str, str]:
    """What the page shows in a column on a colour: a warning, or a failure."""
    names = {"#f0ad4e": "warn", "#d9534f": "fail"}
    cells = re.findall(rf'<td[^>]*class="[^"]*\b{column} [^"]*"[^>]*>(.*?)</td>', page, re.DOTALL)
    badges = [re.search(r'background-color:(#\w+)">(.*?)</span>', cell) for cell in cells]
    return {badge[2]: names[badge[1]] for badge in badges if badge is not None and badge[1] in names}


GOOD = replace(a_row({"t": means(1.0)}), skipped_share=0.0)
BAD = {
    "empty": replace(GOOD, windows=0, skipped_share=1.0),
    "flat": replace(GOOD, mean_zero_share=1.0, skipped_share=0.05),
    "leaking": replace(GOOD, largest_conservation_error=20 * WARN_ABOVE),
    "doubtful": replace(GOOD, largest_conservation_error=2 * WARN_ABOVE),
}
TYPED = ((0.02, "suhw"), (0.005, "007"), (1e-05, "1e5"), (0.0, "0.05"), ("auto", "1"))
"""Values of p and names of targets."""


@pytest.fixture(scope="module")
def reported(tmp_path_factory) -> tuple[dict[str, dict[str, Any]], str]:
    """The rows and the page of one call of MultiQC: good runs and bad ones, and four of one name."""
    top = tmp_path_factory.mktemp("many")
    for name, run in {"good": GOOD, **BAD}.items():
        write_multiqc(run, name, top / f"{name}_mqc.tsv")
    write_multiqc(replace(a_row({"suhw": means(1.25)}), skipped_share=0.0), "peaks", top / "peaks_mqc.tsv")
    write_multiqc(replace(a_row({}), skipped_share=0.0), "nothing", top / "nothing_mqc.tsv")
    for number, (prune, target) in enumerate(TYPED):
        run = replace(a_row({target: means(1.0)}, models=("2024",), prune=prune), skipped_share=0.0)
        write_multiqc(run, f"run {number}", top / f"{number}_mqc.tsv")
    for number, folder in enumerate(("a", "b", "a/out", "b/out")):
        prefix = top / folder / "run"
        prefix.parent.mkdir(exist_ok=True)
        run = replace(a_row({"t": means(number)}), skipped_share=0.0)
        write_multiqc(run, sample_name(prefix), top / folder / "run_mqc.tsv")
    motifs = {"good": found(), "none": found(seqlets=0, motifs=0, hits=0), "guessed": found(calibrated="no")}
    for name, row in motifs.items():
        write_multiqc(row, name, top / f"{name}.motifs_mqc.tsv")
    return multiqc_report(top)


def test_a_bad_run_shows_and_a_good_one_does_not(reported):
    _, page = reported
    assert colours(page, "windows") == {"0": "fail"}
    assert colours(page, "skipped_share") == {"1.000": "fail", "0.050": "warn"}
    assert colours(page, "mean_zero_share") == {"1.000": "fail"}
    assert colours(page, "largest_conservation_error") == {"2.0e-01": "fail", "2.0e-02": "warn"}
    assert colours(page, "motifs") == colours(page, "hits") == colours(page, "seqlets") == {"0": "warn"}
    assert colours(page, "calibrated") == {"no": "fail"}


def test_multiqc_shows_all_runs_in_one_table(reported):
    rows, _ = reported
    typed = {f"run {number}" for number in range(len(TYPED))}
    assert {name for name in rows if not name.endswith("/run")} == {*BAD, *typed, "good", "nothing", "peaks"}
    assert rows["peaks"]["mean_score"] == 1.25
    assert rows["peaks"]["windows"] == 12


def test_multiqc_shows_p_and_names_as_they_were_typed(reported):
    """MultiQC takes what reads as a number for one, and rounds it to a digit."""
    _, page = reported
    assert shown(page, "prune") == {"0.02", "0.005", "1e-05", "0", "auto", "0.25"}
    assert shown(page, "target") == {*(target for _, target in TYPED), "t", "0 targets"}
    assert shown(page, "model") == {"2024", "bpnet"}


def test_multiqc_has_a_row_of_each_run_of_one_name_in_different_folders(reported):
    rows = {name: row for name, row in reported[0].items() if name.endswith("/run")}

    assert sorted(row["mean_score"] for row in rows.values()) == [0, 1, 2, 3]
    assert {name for name in rows if name.endswith("out/run")} == {"a/out/run", "b/out/run"}


@pytest.mark.parametrize(
    ("prefix", "name"),
    [("/data/x/project/out/run", "project/out/run"), ("/out/run", "out/run"), ("/run", "run"),
     ("/a/b/../c/run", "a/c/run")],
)  # fmt: skip
def test_a_run_is_called_by_the_end_of_its_path(prefix, name):
    assert sample_name(Path(prefix)) == name


def test_a_name_without_a_folder_is_in_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sample_name(Path("run")) == f"{tmp_path.parent.name}/{tmp_path.name}/run"
