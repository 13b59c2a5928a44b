"""Values that no machine or file can have are refused before anything is computed."""

from pathlib import Path

import pytest
from helpers.tiny_net import MODEL

from sparselrp_cli.cli.main import run

ATTRIBUTE = ("attribute", "a.fa", "-m", "x")
VARIANTS = ("variants", "a.fa", "a.vcf", "-m", "x")
OUT = ("-o", "out/run")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((*ATTRIBUTE, *OUT, "--max-unknown", "nan"), "'nan' isn't a finite number"),
        ((*ATTRIBUTE, *OUT, "--max-unknown", "inf"), "inf is not in the range 0<=x<=1"),
        ((*ATTRIBUTE, *OUT, "--max-conservation-error", "NaN"), "'NaN' isn't a finite number"),
        ((*ATTRIBUTE, *OUT, "--max-conservation-error", "inf"), "'inf' isn't a finite number"),
        ((*ATTRIBUTE, *OUT, "--max-conservation-error", "-inf"), "-inf is not in the range x>=0"),
        ((*ATTRIBUTE, *OUT, "-p", "nan"), "'nan' isn't a proportion"),
        ((*ATTRIBUTE, *OUT, "--prune-negative", "nan"), "'nan' isn't a proportion"),
        ((*ATTRIBUTE, *OUT, "--threads", "100000"), "100000 is not in the range 1<=x<=1024"),
        ((*ATTRIBUTE, *OUT, "-b", "9" * 30), f"'{'9' * 30}' windows at a time fit into no memory"),
        ((*ATTRIBUTE, *OUT, "-b", "1000000"), "'1000000' windows at a time fit into no memory"),
        ((*ATTRIBUTE, *OUT, "-b", "\N{SUPERSCRIPT TWO}"), "isn't a number of windows"),
        ((*ATTRIBUTE, *OUT, "-b", "00"), "isn't a number of windows"),
        ((*ATTRIBUTE, *OUT, "--device", "cuda:99999999999"), "'cuda:99999999999' isn't a device"),
        ((*ATTRIBUTE, *OUT, "--device", "cuda:\N{ARABIC-INDIC DIGIT ONE}"), "isn't a device"),
        (("motifs", "a.h5", *OUT, "--fdr", "nan"), "'nan' isn't a finite number"),
        (("motifs", "a.h5", *OUT, "--fdr", "0"), "0.0 is not in the range 0<x<=1"),
        (("evaluate", "a.h5", "--min-bits", "nan"), "'nan' isn't a finite number"),
        (("evaluate", "a.h5", "--min-score", "nan"), "'nan' isn't a finite number"),
        *(
            ((*command, "-o", prefix), f"'{prefix}' names a folder, if anything; the files' names begin with")
            for command in (ATTRIBUTE, VARIANTS, ("motifs", "a.h5"), ("merge", "a.h5"), ("evaluate", "a.h5"),
                            ("export", "a.h5"), ("compare", "a.h5", "b.h5"))
            for prefix in ("", "results/", "/", ".", "..", "a/.", "a/..")
        ),
        *(
            ((*command, "-o", path), f"'{path}' names a folder, if anything; name a file")
            for command in (("report", "a.h5"), ("shuffle", "a.h5"), ("plot", "a.h5", "chr1:1-9"))
            for path in ("", "results/", ".")
        ),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_is_wrong_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    given: tuple[str, ...], said: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert run(given) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("a = " + "[" * 5000, "nested too deeply to be a composite"),
        ("a = " + "{a = " * 5000, "nested too deeply to be a composite"),
        (".".join("a" * 100_000) + " = 1", "line 1: a key of more than 64 parts, nested too deeply"),
        (
            "\nx = {" + ".".join("a" * 100_000) + " = 1}",
            "line 2: a key of more than 64 parts, nested too deeply",
        ),
        ("[" + ".".join("a" * 100_000) + "]", "line 1: a key of more than 64 parts, nested too deeply"),
        ("[[" + ".".join("a" * 100_000) + "]]", "line 1: a key of more than 64 parts, nested too deeply"),
        (".".join(['"a"'] * 100_000) + " = 1", "line 1: a key of more than 64 parts, nested too deeply"),
        ("a = 1" + "0" * 5000, "not TOML (Exceeds the limit"),
        ("extends = [1]", "extends '[1]'; the presets are"),
        ("[[rule]]\nrule = {a = 1}", "unknown rule '{'a': 1}'"),
        ("[[rule]]\nrule = 'epsilon'\nepsilon = 1" + "0" * 400, "int too large to convert to float"),
        ("[[rule]]\nrule = 'epsilon'\nepsilon = nan", "'epsilon' must be a number"),
        ("[[rule]]\nrule = 'epsilon'\nepsilon = -inf", "'epsilon' must be a number"),
    ],
)
def test_a_composite_that_is_none_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], toml: str, said: str
) -> None:
    (tmp_path / "c.toml").write_text(toml)
    assert run(["inspect", MODEL, "--composite", str(tmp_path / "c.toml")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "c.toml" in line
    assert said in line
