"""Runs over a genome from Python, and the archives of runs."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from face.networks import Sites, made
from helpers.commands import attribute, command, left_behind
from helpers.tiny_net import MODEL, WINDOW, TinyNet

import sparselrp
from sparselrp_cli.outputs.archive import layout
from sparselrp_cli.relevance.windows import WindowExplainer


@pytest.fixture
def regions(peaks: Path) -> Path:
    """Those of the peaks that lie on the genome."""
    lines = peaks.read_text().splitlines(keepends=True)
    peaks.write_text("".join(line for line in lines if "chr7" not in line))
    return peaks


def place_for(folder: Path) -> Path:
    """A prefix; its name and the two folders above, by which MultiQC calls a run, are always the same."""
    prefix = folder / "project" / "out" / "run"
    prefix.parent.mkdir(parents=True)
    return prefix


@pytest.fixture
def by_command(genome, regions, tmp_path) -> Path:
    """The prefix of the same run by the command."""
    prefix = place_for(tmp_path / "command")
    given = [genome, "-r", regions, "-m", MODEL, "-t", "1", "-t", "1-0", "-p", 0.2, "-b", 4]
    assert attribute(*given, "-o", prefix, "-q") == 0
    return prefix


@pytest.fixture
def run(genome, regions):
    return sparselrp.attribute(genome, regions, MODEL, target=["1", "1-0"], prune=0.2, batch_size=4)


def without_command(path: Path) -> dict[str, object]:
    return {key: value for key, value in json.loads(path.read_text()).items() if key != "command"}


def test_the_files_are_those_of_the_command_byte_for_byte(run, by_command, tmp_path):
    prefix = place_for(tmp_path / "python")
    written = run.save(prefix)
    names = left_behind(by_command.parent)
    assert left_behind(prefix.parent) == names == sorted(path.name for path in written)
    for name in names:
        ours, theirs = prefix.with_name(name), by_command.with_name(name)
        if name.endswith("manifest.json"):
            assert without_command(ours) == without_command(theirs)
        else:
            assert ours.read_bytes() == theirs.read_bytes(), name


def test_a_run_can_be_written_where_it_is_wanted(genome, regions, by_command, tmp_path):
    prefix = place_for(tmp_path / "python")
    given = {"target": ["1", "1-0"], "prune": 0.2, "batch_size": 4}
    run = sparselrp.attribute(genome, regions, MODEL, prefix=prefix, **given)
    assert run.path == prefix.with_name("run.h5")
    assert left_behind(prefix.parent) == left_behind(by_command.parent)
    assert run.path.read_bytes() == by_command.with_suffix(".h5").read_bytes()


def test_the_windows_are_those_of_the_table(run, by_command):
    table = pd.read_csv(by_command.with_suffix(".windows.tsv"), sep="\t")
    assert list(run.windows) == list(table)
    pd.testing.assert_frame_equal(run.windows, table, check_dtype=False, rtol=1e-8)


def test_an_archive_is_the_same_run(run, by_command):
    opened = sparselrp.open(by_command.with_suffix(".h5"))
    assert len(opened) == len(run) == 4
    assert opened.targets == run.targets == ("1", "1-0")
    for one, other in ((opened, run), (opened.of("1-0"), run.of("1-0"))):
        np.testing.assert_array_equal(one.contributions, other.contributions)
        np.testing.assert_array_equal(one.hypothetical, other.hypothetical)
        np.testing.assert_array_equal(one.sequences, other.sequences)
    np.testing.assert_array_equal(
        opened.contributions, (opened.sequences * opened.hypothetical).sum(1, dtype=np.float32)
    )
    assert opened.manifest == run.manifest


def test_a_repr_is_one_line(run):
    assert repr(run) == "Run(4 windows of 40 bp, target '1' of 2, run.h5)"
    assert repr(run.locus("chr1:101-140")) == "Locus(chr1:101-140, 40 bp)"


def test_a_locus_is_read_as_browsers_write_it(run):
    locus = run.locus("chr1:101-140")
    assert (locus.chrom, locus.start, locus.end) == ("chr1", 100, 140)
    at = run.windows.drop_duplicates("name").reset_index()
    row = int(at.index[at["name"] == "a"][0])
    first = int(at.loc[row, "start"])
    inside = run.contributions[row, 100 - first : 110 - first]
    np.testing.assert_allclose(locus.contributions[:10].sum(1), inside)
    axes = locus.plot()
    assert axes.get_xlim() == (100.5, 140.5)
    assert axes.get_xlabel() == "position on chr1"
    for place in ("chr1", ("chr1", 101, 140), 101):
        with pytest.raises(sparselrp.InputError, match="isn't a place"):
            run.locus(place)
    with pytest.raises(sparselrp.InputError, match="has no window at"):
        run.locus("chr1:250-260")


def test_a_module_is_explained_as_its_packed_folder_is(genome, regions, tmp_path):
    net = TinyNet()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    run = sparselrp.attribute(genome, regions, net, target="1", batch_size=4)
    assert net.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert command("pack", MODEL, "-o", tmp_path / "tiny") == 0
    packed = sparselrp.attribute(genome, regions, tmp_path / "tiny", target="1", batch_size=4)
    np.testing.assert_array_equal(run.hypothetical, packed.hypothetical)
    assert run.manifest == packed.manifest


def test_several_models_are_averaged(genome, regions):
    nets = [made(Sites, seed) for seed in (0, 1)]
    given = {"window": WINDOW, "target": "0", "batch_size": 4}
    mean = sparselrp.attribute(genome, regions, nets, **given)
    each = [sparselrp.attribute(genome, regions, net, **given) for net in nets]
    np.testing.assert_allclose(
        mean.hypothetical, (each[0].hypothetical + each[1].hypothetical) / 2, rtol=1e-5, atol=1e-6
    )
    assert "score_sd" in mean.windows


def test_targets_may_be_numbers_of_tasks(genome, regions):
    run = sparselrp.attribute(genome, regions, MODEL, target=[1, np.int64(-2)], batch_size=4)
    assert run.targets == ("1", "-2")
    as_text = sparselrp.attribute(genome, regions, MODEL, target=["1", "-2"], batch_size=4)
    pd.testing.assert_frame_equal(run.windows, as_text.windows)
    assert sparselrp.attribute(genome, regions, MODEL, target={"second": 1}).targets == ("second",)


def test_records_are_explained_without_regions(tmp_path):
    (tmp_path / "x.fa").write_text(">one\n" + "ACGT" * 10 + "\n>two\n" + "GGCA" * 10 + "\n")
    run = sparselrp.attribute(tmp_path / "x.fa", None, MODEL, target={"second": "1"})
    assert list(run.windows["name"]) == ["one", "two"]
    assert run.target == "second"


def test_types_follow_the_module(genome, regions):
    run = sparselrp.attribute(genome, regions, TinyNet().double(), target="1")
    assert run.hypothetical.dtype == np.float64
    assert run.manifest["runtime"]["dtype"] == "float64"


def test_the_temporary_folder_goes_with_the_run(genome, regions):
    run = sparselrp.attribute(genome, regions, MODEL, target="1")
    other = run.of("1")
    folder = run.path.parent
    del run
    assert folder.is_dir()
    del other
    assert not folder.exists()


def test_an_interrupted_run_goes_on_where_it_is_told_to(genome, regions, by_command, tmp_path, monkeypatch):
    given = {"target": ["1", "1-0"], "prune": 0.2, "batch_size": 1, "prefix": tmp_path / "run"}

    def interrupted(*arguments):
        if len(launched) == 2:
            raise KeyboardInterrupt
        launched.append(1)
        return launch(*arguments)

    launch, launched = WindowExplainer.launch, []
    # A block for each window, so that some work is kept.
    monkeypatch.setattr(layout, "BLOCK_ROWS", 1)
    with monkeypatch.context() as patch:
        patch.setattr(WindowExplainer, "launch", interrupted)
        with pytest.raises(KeyboardInterrupt, match="kept in"):
            sparselrp.attribute(genome, regions, MODEL, **given)
    with pytest.raises(
        sparselrp.OutputError, match="go on with resume=True, or throw them away with resume=False"
    ):
        sparselrp.attribute(genome, regions, MODEL, **given)
    run = sparselrp.attribute(genome, regions, MODEL, **given, resume=True)
    assert len(run) == 4
    again = sparselrp.attribute(genome, regions, MODEL, **given, resume=True)
    np.testing.assert_array_equal(again.hypothetical, run.hypothetical)


REFUSED = {
    "genome": ({"sequences": "missing.fa"}, sparselrp.InputError, "missing.fa"),
    "model": ({"model": 3}, sparselrp.SettingError, "model=3: give a module"),
    "no models": ({"model": []}, sparselrp.SettingError, "give a module"),
    "window": ({"model": made(Sites)}, sparselrp.ModelError, "window length of Sites isn't known"),
    "long window": ({"model": made(Sites), "window": 10**9}, sparselrp.ModelError, "window=1000000000"),
    "target": ({"target": "7"}, sparselrp.TargetError, "there is no task 7"),
    "no text": ({"target": 1.0}, sparselrp.TargetError, "target=1.0: give a text such as '1-0'"),
    "a truth": ({"target": [True]}, sparselrp.TargetError, "target=True: give a text"),
    "a table": (
        {"regions": pd.DataFrame({"chrom": ["chr1"]})}, sparselrp.InputError,
        "regions= is of type DataFrame; give the path of a file",
    ),
    "no genome": ({"sequences": None}, sparselrp.InputError, "sequences= is of type NoneType"),
    "no target": ({"target": None}, sparselrp.TargetError, "choose with target= among"),
    "prune": ({"prune": 2}, sparselrp.SettingError, "prune=2"),
    "formats": ({"formats": ("bam",)}, sparselrp.SettingError, "formats="),
    "device": ({"device": "gpu"}, sparselrp.SettingError, "isn't a device"),
    "tiles": ({"tile_overlap": 3}, sparselrp.SettingError, "tile_overlap= goes without regions"),
    "weights": ({"model": TinyNet(), "weights": "w.pt"}, sparselrp.SettingError, "go with a factory"),
    "tf32": ({"dtype": "tf32"}, sparselrp.SparselrpError, "dtype='tf32' needs an NVIDIA GPU"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cant_be_run_is_said_in_one_line(case, genome, regions):
    given, error, message = REFUSED[case]
    asked = {"sequences": genome, "regions": regions, "model": MODEL, "target": "1", **given}
    with pytest.raises(error, match=message) as caught:
        sparselrp.attribute(**asked)
    assert "\n" not in str(caught.value)
    assert "--" not in str(caught.value)


def test_a_run_that_keeps_no_archive_is_refused(genome, regions, tmp_path):
    with pytest.raises(sparselrp.SettingError, match="formats= without 'h5'"):
        sparselrp.attribute(genome, regions, MODEL, target="1", prefix=tmp_path / "run", formats=("bigwig",))


def test_archives_that_arent_there_or_lack_their_table_are_refused(run, by_command, tmp_path):
    with pytest.raises(sparselrp.OutputError, match=r"no\.h5: no such file"):
        sparselrp.open(tmp_path / "no.h5")
    with pytest.raises(sparselrp.OutputError, match="has no target '3'; give target="):
        run.of("3")
    archive = by_command.with_suffix(".h5")
    with pytest.raises(sparselrp.OutputError, match="the archive of this run itself"):
        sparselrp.open(archive).save(by_command)
    by_command.with_suffix(".skipped.tsv").unlink()
    with pytest.raises(sparselrp.OutputError, match=r"run\.skipped\.tsv: no such file"):
        sparselrp.open(archive).save(tmp_path / "other")
