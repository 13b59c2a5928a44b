"""One's own models in the workflow: folds, several targets, and what `sparselrp init` writes."""

import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.commands import command, error_line
from helpers.own_network import write_network, write_regions
from helpers.planning import Snakemake

from sparselrp_cli.files.names import target_file_names
from sparselrp_cli.runs import workflow_files

WORKFLOW = Path(__file__).parents[2] / "workflow"
MODEL = "model: net.py:Net\n    weights: net.pt"
PACKED = ("graph.json", "{}"), ("weights.safetensors", "")
Plan = Callable[..., str]


@pytest.fixture
def plan(planner: Snakemake) -> Plan:
    """Say what a configuration would run, or why it can't."""

    def said(folder: Path, config: Path | str = "config.yaml", *more: object) -> str:
        planned = ("-n", "-p", "-s", WORKFLOW / "Snakefile", "--configfile", config, *more)
        done = planner.call(folder, *planned)
        (folder / "said").unlink()
        return done.stdout

    return said


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder with a user's own files."""
    write_network(tmp_path)
    write_regions(tmp_path, 4)
    (tmp_path / "samples.tsv").write_text("sample\tgenome\tregions\npeaks\tgenome.fa\tpeaks.bed\n")
    return tmp_path


def configure(folder: Path, models: str, more: str = "") -> None:
    (folder / "config.yaml").write_text(f"samples: samples.tsv\nmodels:\n{models}\n{more}")


def test_each_target_has_its_motifs_its_report_and_its_part_of_file_names(plan, own):
    (own / "more.tsv").write_text("# name\ttarget\n\nlog ratio\tlog(0)-log(1)\n")
    targets = "targets: [0, 1-0, output/0]\n    targets_file: more.tsv"
    steps = "motifs: {enabled: true}\nmodisco: {enabled: true}\nmultiqc: {enabled: true}\n"
    configure(own, f"  own:\n    {MODEL}\n    {targets}\n", steps)
    said = plan(own)

    explained = re.findall(r"sparselrp attribute .*", said)
    assert len(explained) == 3, "the run, its background, the best windows without pruning"
    assert all("-t 0 -t 1-0 -t output/0 --targets more.tsv" in each for each in explained)
    called = re.findall(r"sparselrp motifs .*?h5 -t ('.*?'|\S+) .* -o results/motifs/peaks\.own\.(\S+)", said)
    assert dict(called) == {"0": "0", "1-0": "1-0", "output/0": "output_0", "'log ratio'": "log_ratio"}
    for target, part in called:
        page = f"-t {target} --motifs results/motifs/peaks.own.{part}.motifs.json"
        assert f"{page} --unpruned results/unpruned/peaks.own.h5 -o results/reports/peaks.own.{part}" in said
        assert f"prefix=results/peaks.own/peaks.own.{part}; " in said
        assert f"results/motifs/peaks.own.{part}.motifs_mqc.tsv" in said


def test_parts_of_file_names_are_those_of_the_tool():
    """The workflow runs where the tool needn't be installed, and so has the rule itself."""
    text = (WORKFLOW / "rules" / "models.smk").read_text()
    (function,) = re.findall(r"^def file_names\(.*?\n(?=\n\ndef )", text, re.DOTALL | re.MULTILINE)
    scope = {"re": re, "unicodedata": unicodedata}
    exec(function, scope)  # noqa: S102 - our own file
    long = ["t" * 100, "t" * 90, "é" * 41]
    names = ["a/b", "a b", "A_b", ".x", "-1", "x..y", "e\u0301", "\u00e9", "", "y.", "0", "0.sd", *long]
    for endings in (("",), ("", ".sd")):
        assert scope["file_names"](names, endings) == target_file_names(names, endings)


@pytest.mark.parametrize(
    ("folds", "names"),
    [("mean", {"own"}), ("apart", {"own-1", "own-2", "own-3"}), ("both", {"own", "own-1", "own-2", "own-3"})],
)
def test_folds_are_averaged_or_apart_or_both(plan, own, folds, names):
    (own / "packed").mkdir()
    for name, text in PACKED:
        (own / "packed" / name).write_text(text)
    (own / "b.pt").touch()
    members = "model: [net.py:Net, packed, net.py:Net], weights: [net.pt, b.pt]"
    configure(own, f"  own: {{{members}, folds: {folds}}}\n")

    models = dict(re.findall(r"attribute .*? (-m .*?) -p .*? -o results/shards/peaks\.([\w-]+)/", plan(own)))
    expected = {
        "own": "-m net.py:Net -m packed/graph.json -m net.py:Net -w net.pt -w b.pt",
        "own-1": "-m net.py:Net -w net.pt",
        "own-2": "-m packed/graph.json",
        "own-3": "-m net.py:Net -w b.pt",
    }
    assert {name: options for options, name in models.items()} == {name: expected[name] for name in names}


@pytest.mark.parametrize(
    ("models", "complaint"),
    [
        (
            f"  own:\n    {MODEL}\n  own-1:\n    {MODEL}\n",
            None,
        ),
        (
            "  own: {model: [net.py:Net, net.py:Net], folds: both}\n  own-1: {model: net.py:Net}\n",
            "'own-1' is a fold of 'own' and a model of its own; rename one",
        ),
        (
            "  own: {model: [net.py:Net, net.py:Net], weights: net.pt, folds: apart}\n",
            "'own' has 1 weights for 2 factories; give one for each",
        ),
    ],
)
def test_folds_that_cant_be_told_apart_are_refused(plan, own, models, complaint):
    configure(own, models)
    said = plan(own)
    assert complaint in said if complaint else "rule merge" in said


@pytest.mark.parametrize(
    ("settings", "planned"),
    [
        ("prune: 0.2", True),
        ("prune: auto", True),
        ("prune: 0", False),
        ("prune: 0, options: [--prune-negative, '0.1']", True),
    ],
)
def test_the_best_windows_are_explained_without_pruning_where_the_run_is_pruned(plan, own, settings, planned):
    configure(
        own, f"  own: {{model: net.py:Net, weights: net.pt, {settings}}}\n", "motifs: {enabled: true}\n"
    )
    said = plan(own)
    assert ("--unpruned results/unpruned/peaks.own.h5" in said) == planned
    assert ("rule unpruned" in said) == planned


def test_what_only_tiles_take_is_left_out_for_the_best_windows(plan, own):
    options = "options: [--tile-overlap, '50', --reverse-complement]"
    configure(own, f"  own: {{model: net.py:Net, {options}}}\n", "motifs: {enabled: true}\n")
    (own / "samples.tsv").write_text("sample\tgenome\tregions\nall\tgenome.fa\t\n")
    (unpruned,) = re.findall(r"sparselrp attribute .* -p 0 --prune-negative 0 .*", plan(own))
    assert "--tile-overlap" not in unpruned
    assert "--reverse-complement" in unpruned


@pytest.mark.parametrize(
    ("named", "of_samples", "given"),
    [
        ("", {"a": None, "b": None}, {"a": None, "b": None}),
        (", genes: all.gtf", {"a": None, "b": None}, {"a": "all.gtf", "b": "all.gtf"}),
        (", genes: all.gtf", {"a": "", "b": "my own.bed"}, {"a": "all.gtf", "b": "'my own.bed'"}),
        ("", {"a": "", "b": "my own.bed"}, {"a": None, "b": "'my own.bed'"}),
    ],
    ids=["none", "of all samples", "of all but one", "of one sample"],
)
def test_reports_show_the_genes_of_the_configuration_or_of_the_sample(plan, own, named, of_samples, given):
    for name in ("all.gtf", "my own.bed"):
        (own / name).touch()
    rows = [("sample", "genome", "regions", "genes")]
    rows += [(sample, "genome.fa", "peaks.bed", genes or "") for sample, genes in of_samples.items()]
    width = 4 if any(genes is not None for genes in of_samples.values()) else 3
    (own / "samples.tsv").write_text("".join("\t".join(row[:width]) + "\n" for row in rows))
    configure(own, f"  own:\n    {MODEL}\n    targets: [first]\n", f"motifs: {{enabled: true{named}}}\n")
    said = plan(own)

    reports = re.findall(r"sparselrp report results/(\w+)\.own/.*", said)
    shown = dict(re.findall(r"sparselrp report results/(\w+)\.own/.*?--genes ('.*?'|\S+) -o ", said))
    assert {sample: shown.get(sample) for sample in reports} == given
    assert "not there" not in said


def test_genes_that_are_not_there_are_said_before_anything_runs(plan, own):
    configure(
        own, f"  own:\n    {MODEL}\n    targets: [first]\n", "motifs: {enabled: true, genes: none.gtf}\n"
    )
    said = plan(own)
    assert "MissingInputException" in said
    assert "none.gtf" in said


@pytest.mark.parametrize("options", ["[--null, permuted]", "[--null=permuted]"])
def test_permuted_contributions_need_no_background(plan, own, options):
    steps = f"motifs: {{enabled: true, options: {options}}}\n"
    configure(own, f"  own:\n    {MODEL}\n    targets: [first@blocks]\n", steps)
    said = plan(own)
    assert "rule motifs" in said
    assert "rule background" not in said
    assert "rule unpruned" not in said, "windows of narrowPeak have no blocks"


def init(folder: Path, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.chdir(folder)
    return command("init", *arguments)


CASES = {
    "one": ("-r", "peaks.bed", "-m", "net.py:Net", "-w", "net.pt"),
    "targets": ("-r", "peaks.bed", "-m", "net.py:Net", "-w", "net.pt", "-t", "first", "-t", "second-first"),
    "by name": ("-r", "peaks.bed", "-m", "net.py:Net", "-w", "net.pt", "--targets", "names.tsv"),
    "folds": ("-r", "peaks.bed", *("-m", "net.py:Net") * 2, *("-w", "net.pt") * 2),
    "shipped": ("-r", "peaks.bed", "-m", "suhw-dm3", "--shards", "3", "--gpus", "1", "--profile", "slurm"),
    "records": ("-m", "suhw-dm3", "--database", "it's: a #name.meme"),
    "genes": ("-r", "peaks.bed", "-m", "net.py:Net", "-w", "net.pt", "--genes", "genes: of #all.bed"),
    "details": ("-m", "a.package:make", "--window", "200", "--layout", "NLC", "--input", "x=2x3:0"),
    "trusted": ("-m", "net.pt2", "--trust-model"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_init_writes_plans_a_run_as_it_was_typed(plan, own, monkeypatch, case):
    (own / "names.tsv").write_text("contrast\tsecond-first\n")
    (own / "it's: a #name.meme").touch()
    (own / "genes: of #all.bed").touch()
    (own / "net.pt2").touch()
    assert init(own, monkeypatch, "genome.fa", *CASES[case], "-o", "a place") == 0
    # The other profile asks for a plugin.
    profile = () if "slurm" in CASES[case] else ("--workflow-profile", "a place/profile")
    said = plan(own, "a place/config.yaml", *profile)
    assert "rule report" in said
    (explained, *_) = re.findall(r"sparselrp attribute .*--shard.*", said)
    typed = [word for word in CASES[case] if word in ("first", "second-first", "200", "NLC", "--trust-model")]
    assert [word for word in typed if f" {word} " not in explained] == []
    assert explained.count("-m ") == CASES[case].count("-m")
    assert ("-r peaks.bed" in explained) == ("-r" in CASES[case])
    assert ("--genes 'genes: of #all.bed'" in said) == ("--genes" in CASES[case])


def test_samples_are_named_after_their_files_each_once(own, monkeypatch, capsys):
    (own / "more").mkdir()
    for name in ("K562 rep.1.narrowPeak", "more/peaks.bed.gz", "more/peaks.txt"):
        (own / name).write_bytes((own / "peaks.bed").read_bytes())
    regions = ("peaks.bed", "more/peaks.bed.gz", "more/peaks.txt", "K562 rep.1.narrowPeak")
    options = [word for place in regions for word in ("-r", place)]
    assert init(own, monkeypatch, "genome.fa", *options, "-m", "net.py:Net", "-w", "net.pt") == 0
    rows = [
        line.split("\t") for line in (own / "sparselrp-workflow" / "samples.tsv").read_text().splitlines()
    ]
    assert rows == [
        ["sample", "genome", "regions"],
        ["peaks", "genome.fa", "peaks.bed"],
        ["peaks_2", "genome.fa", "more/peaks.bed.gz"],
        ["peaks_3", "genome.fa", "more/peaks.txt"],
        ["K562_rep_1", "genome.fa", "K562 rep.1.narrowPeak"],
    ]
    said = capsys.readouterr().out
    assert (
        "--configfile sparselrp-workflow/config.yaml --workflow-profile sparselrp-workflow/profile -n" in said
    )


@pytest.mark.parametrize(("n", "shards"), [(1, 1), (10_000, 1), (10_001, 2)])
def test_there_is_a_shard_for_every_ten_thousand_regions(own, monkeypatch, n, shards):
    (own / "many.bed").write_text("chr1\t0\t100\n" * n)
    regions = ("-r", "many.bed", "-r", "peaks.bed")
    assert init(own, monkeypatch, "genome.fa", *regions, "-m", "net.py:Net", "-w", "net.pt") == 0
    assert f"\nshards: {shards}\n" in (own / "sparselrp-workflow" / "config.yaml").read_text()


@pytest.mark.parametrize("there", ["config.yaml", "samples.tsv", "profile/config.yaml"])
def test_init_overwrites_nothing(own, monkeypatch, capsys, there):
    kept = own / "out" / there
    kept.parent.mkdir(parents=True)
    kept.write_text("mine")
    assert init(own, monkeypatch, "genome.fa", "-m", "net.py:Net", "-w", "net.pt", "-o", "out") == 1
    assert f"out/{there} is there already, and init overwrites nothing; name another" in error_line(capsys)
    assert [path.read_text() for path in (own / "out").rglob("*") if path.is_file()] == ["mine"]


@pytest.mark.parametrize("left", [(), ("config.yaml",), ("samples.tsv", "profile/config.yaml")])
def test_an_init_that_was_killed_can_be_typed_again(own, monkeypatch, left):
    typed = ("genome.fa", "-m", "net.py:Net", "-w", "net.pt", "-o", "out")
    assert init(own, monkeypatch, *typed) == 0
    files = [path for path in (own / "out").rglob("*") if path.is_file()]
    whole = {path: path.read_bytes() for path in files}
    assert len(whole) == 3
    for path in files:
        if str(path.relative_to(own / "out")) not in left:
            path.unlink()
    assert init(own, monkeypatch, *typed) == 0
    assert {path: path.read_bytes() for path in files} == whole


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (
            ("none.fa", "-r", "no.bed", "-m", "gone.py:Net", "-w", "gone.pt"), 1,
            "not there: none.fa, no.bed, gone.py, gone.pt; paths are relative to the folder you are in",
        ),
        (("genome.fa", "-m", "no-folder"), 1, "not there: no-folder"),
        (("genome.fa", "-r", "net.py", "-m", "net.py:Net"), 1, "net.py line 1: "),
        (("genome.fa", "-r", "-", "-m", "net.py:Net"), 2, "jobs can't read standard input again; name files"),
        (
            ("genome.fa", "--genes", "-", "-m", "net.py:Net"), 2,
            "jobs can't read standard input again; name files",
        ),
        (("genome.fa", "--genes", "no.gtf", "-m", "net.py:Net", "-w", "net.pt"), 1, "not there: no.gtf"),
        (("genome.fa", "-m", "net.py:Net", "-w", "a", "-w", "b"), 2, "2 files for 1 factory among"),
    ],
)  # fmt: skip
def test_what_cant_run_is_said_before_anything_is_written(
    own, monkeypatch, capsys, arguments, code, complaint
):
    assert init(own, monkeypatch, *arguments) == code
    assert complaint in error_line(capsys)
    assert not (own / "sparselrp-workflow").exists()


def test_where_only_the_package_is_installed_the_workflow_is_said_to_be_elsewhere(own, monkeypatch, capsys):
    monkeypatch.setattr(workflow_files, "shipped", lambda place: own / "nowhere" / place)
    assert init(own, monkeypatch, "genome.fa", "-m", "net.py:Net", "-w", "net.pt") == 0
    said = capsys.readouterr().out
    assert "wrote sparselrp-workflow/config.yaml, sparselrp-workflow/samples.tsv\n" in said
    assert "The workflow isn't beside this installation; a checkout has it." in said
    assert (
        "-s PATH-TO-A-CHECKOUT/workflow/Snakefile --configfile sparselrp-workflow/config.yaml -c all" in said
    )
