"""A run is a row of a MultiQC report."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.manifests import manifest

from sparselrp_cli.errors import OutputError
from sparselrp_cli.outputs.multiqc import COLUMNS, RunRow, write_multiqc
from sparselrp_cli.runs.run_files import row_of
from sparselrp_cli.settings.manifest import Outcome


def a_row(targets: dict[str, dict[str, float]], models=("bpnet",)) -> RunRow:
    """The row of a run of some models."""
    outcome = Outcome(
        windows=12, skipped=3, ambiguous_bases=0, means=targets, largest_error=4.62e-06, agreement=None
    )
    return row_of(manifest(models, outcome, prune=0.25, targets=tuple(targets)))


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


def test_multiqc_shows_both_runs_in_one_table(tmp_path):
    beside = Path(sys.executable).parent / "multiqc"
    multiqc = str(beside) if beside.exists() else shutil.which("multiqc")
    if multiqc is None:
        pytest.skip("multiqc isn't installed")
    write_multiqc(a_row({"suhw": means(1.25)}), "peaks", tmp_path / "peaks_mqc.tsv")
    write_multiqc(a_row({}), "empty", tmp_path / "empty_mqc.tsv")
    done = subprocess.run(
        [multiqc, "--strict", "--data-format", "json", "-o", str(tmp_path / "report"), str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "report" / "multiqc_report.html").stat().st_size > 0
    data = json.loads((tmp_path / "report" / "multiqc_data" / "multiqc_data.json").read_text())
    (rows,) = [table for name, table in data["report_saved_raw_data"].items() if "sparselrp" in name]
    assert sorted(rows) == ["empty", "peaks"]
    assert rows["peaks"]["mean_score"] == 1.25
    assert rows["peaks"]["windows"] == 12
