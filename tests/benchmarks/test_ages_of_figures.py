"""Figures are older than their code where commits changed it after they were measured, and only there."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.evidence import page
from benchmarks.evidence.ages import Age, age_of
from benchmarks.experiments import Experiment
from benchmarks.history import current_commit
from benchmarks.record import Origin, Record

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git isn't installed")

EXPERIMENT = Experiment(
    "variants", "an example", "speed.example", "1 s", ("relevance", "graph"), ("data/peaks.bed",)
)
FILES = {
    "sparselrp_cli/relevance/rules.py": "relevance",
    "sparselrp_cli/graph/walk.py": "graph",
    "benchmarks/speed/example.py": "its scripts",
    "data/peaks.bed": "the data",
}
OTHERS = (
    "sparselrp_cli/report/page.py",
    "sparselrp_cli/relevance/README.md",
    "benchmarks/results/variants_cpu.json",
)


@pytest.fixture
def commit(tmp_path: Path) -> Callable[..., str]:
    """A function that changes files of a project of its own, and commits that."""

    def git(*arguments: str) -> str:
        who = ("-c", "user.name=Example", "-c", "user.email=example@example.org")
        done = subprocess.run(
            ["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def change(*names: str) -> str:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(path.read_text() + "more\n" if path.exists() else "first\n")
        git("add", "-A")
        git("commit", "-qm", f"Change {', '.join(names)}")
        return git("rev-parse", "HEAD")

    git("init", "-q")
    change(*FILES, *OTHERS)
    return change


def age(root: Path, commit: str | None, *, dirty: bool | None = False, noted: str = "by the run") -> Age:
    origin = Origin(commit, dirty, noted, "cpu", "Example", 1, None, {})
    return age_of(Record("variants", origin, {}), EXPERIMENT, root)


def test_figures_of_this_very_code_are_as_new_as_it(commit, tmp_path):
    found = age(tmp_path, commit("sparselrp_cli/relevance/rules.py"))
    assert not found.older
    assert found.since == "no commit has changed what it depends on since"


@pytest.mark.parametrize(("path", "named"), FILES.items())
def test_a_commit_to_what_they_depend_on_makes_them_older(commit, tmp_path, path, named):
    measured = commit(*OTHERS)
    commit(path)
    found = age(tmp_path, measured)
    assert found.older
    assert found.since == f"1 commit has changed {named} since"


@pytest.mark.parametrize("path", OTHERS)
def test_a_commit_to_anything_else_doesnt(commit, tmp_path, path):
    measured = commit("sparselrp_cli/graph/walk.py")
    commit(path)
    assert not age(tmp_path, measured).older


def test_commits_are_counted_once_and_rooms_named(commit, tmp_path):
    measured = commit("sparselrp_cli/graph/walk.py")
    commit("sparselrp_cli/graph/walk.py", "sparselrp_cli/relevance/rules.py")
    commit("sparselrp_cli/graph/walk.py")
    found = age(tmp_path, measured)
    assert found.since == "2 commits have changed relevance, graph since"


def test_work_that_isnt_committed_makes_them_older(commit, tmp_path):
    measured = commit("sparselrp_cli/graph/walk.py")
    (tmp_path / "sparselrp_cli/graph/walk.py").write_text("at work\n")
    (tmp_path / "sparselrp_cli/report/page.py").write_text("at work\n")
    found = age(tmp_path, measured)
    assert found.older
    assert found.since.endswith("; changes in graph aren't committed")


@pytest.mark.parametrize("unknown", [None, "f" * 40])
def test_of_an_unknown_commit_nothing_can_be_told(commit, tmp_path, unknown):
    found = age(tmp_path, unknown)
    assert found.older
    assert found.since == "what has changed since can't be told"


def test_doubt_about_the_commit_is_said(commit, tmp_path):
    measured = commit("sparselrp_cli/graph/walk.py")
    short = f"`{measured[:7]}`"
    assert age(tmp_path, measured).measured_at == short
    assert age(tmp_path, measured, dirty=True).measured_at == f"{short} and changes that weren't committed"
    found = age(tmp_path, measured, dirty=None, noted="from the file's history")
    assert found.measured_at == f"or before {short}"
    assert age(tmp_path, None).measured_at == "an unknown commit"


def test_the_check_names_what_is_older(commit, tmp_path, capsys):
    measured = commit("sparselrp_cli/graph/walk.py")
    new = age(tmp_path, measured)
    assert not page.check([new])
    assert "variants_cpu.json: as new as the code" in capsys.readouterr().out
    commit("sparselrp_cli/graph/walk.py")
    assert page.check([new, age(tmp_path, measured)])
    said = capsys.readouterr().out
    assert "variants_cpu.json: older" in said
    assert "1 commit has changed graph since" in said
    assert "python -m benchmarks.evidence.variants --save" in said
    assert "1 of 2 files of figures are older" in said


@pytest.mark.parametrize("older", [True, False])
def test_the_check_fails_where_any_is_older_and_writes_nothing(commit, tmp_path, monkeypatch, older):
    measured = commit("sparselrp_cli/graph/walk.py")
    if older:
        commit("sparselrp_cli/graph/walk.py")
    monkeypatch.setattr(page, "all_ages", lambda: [age(tmp_path, measured)])
    before = page.PAGE.read_bytes()
    with pytest.raises(SystemExit) as ended:
        page.main(["--check"])
    assert ended.value.code == int(older)
    assert page.PAGE.read_bytes() == before


def test_the_page_warns_in_bold_and_in_words(commit, tmp_path):
    measured = commit("sparselrp_cli/graph/walk.py")
    new = age(tmp_path, measured)
    commit("sparselrp_cli/graph/walk.py")
    old = age(tmp_path, measured)
    assert "**1 commit has changed graph since**" in page.ages_table([old])
    assert "**" not in page.ages_table([new])
    other = replace(old, record=replace(old.record, experiment="images"))
    line = f"*variants: measured at `{measured[:7]}`; 1 commit has changed graph since.*"
    assert page.age_lines([old, other], ["variants"]) == line


def test_figures_and_prose_dont_make_the_code_dirty(commit, tmp_path):
    measured = commit("README.md")
    for name in ("benchmarks/results/variants_cpu.json", "README.md"):
        (tmp_path / name).write_text("new\n")
    assert current_commit(tmp_path) == (measured, False)
    (tmp_path / "sparselrp_cli/report/page.py").write_text("at work\n")
    assert current_commit(tmp_path) == (measured, True)


@pytest.mark.parametrize("said", ["1" * 40, None])
def test_without_git_the_commit_is_what_the_environment_says(tmp_path, monkeypatch, said):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.delenv("SPARSELRP_COMMIT", raising=False)
    if said:
        monkeypatch.setenv("SPARSELRP_COMMIT", said)
    assert current_commit(tmp_path) == (said, None)
