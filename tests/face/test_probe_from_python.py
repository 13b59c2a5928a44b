"""Probes from Python: the same job as the command, and its tables."""

import gc
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.commands import command, left_behind
from helpers.tiny_net import MODEL, WINDOW, TinyNet

import sparselrp
from sparselrp_cli.probing.kept import Kept

TABLES = ("effects", "backgrounds", "pairs", "hits", "deletions")
GIVEN = {
    "insert": {"NA": "GGATCC", "nan": "TATA"}, "pair": ("GAT", "CCG"), "spacing": (0, 4), "number": 5,
    "seed": 3, "orders": 3, "target": ["0", "1-0"],
}  # fmt: skip
TYPED = (
    "--insert", "NA=GGATCC", "--insert", "nan=TATA", "--pair", "GAT", "CCG", "--spacing", "0,4",
    "--number", "5", "--seed", "3", "--orders", "3", "-t", "0", "-t", "1-0",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    rng = np.random.default_rng(3)
    place = tmp_path_factory.mktemp("probe")
    letters = ["".join(rng.choice(list("ACGT"), WINDOW)) for _ in range(6)]
    (place / "windows.fa").write_text("".join(f">w{i}\n{text}\n" for i, text in enumerate(letters)))
    (place / "hits.bed").write_text("w0\t2\t9\tNA\nw1\t3\t9\thit\n")
    return place


def probed(folder: Path, **given: object) -> sparselrp.Probe:
    asked = {"regions": None, "model": MODEL, "delete": folder / "hits.bed", **GIVEN, **given}
    return sparselrp.probe(folder / "windows.fa", **asked)


@pytest.fixture(scope="module")
def by_command(folder) -> Path:
    prefix = folder / "by" / "p"
    asked = (folder / "windows.fa", "-m", MODEL, *TYPED, "--delete", folder / "hits.bed", "-q", "-o", prefix)
    assert command("probe", *asked) == 0
    return prefix


def test_the_tables_are_those_of_the_command(folder, by_command):
    found = probed(folder)
    for name in TABLES:
        written = pd.read_csv(
            by_command.with_name(f"p.probe.{name}.tsv"), sep="\t", dtype=str, na_filter=False
        )
        mine: pd.DataFrame = getattr(found, name)
        assert list(mine) == list(written), name
        assert len(mine) == len(written) > 0, name
        for column in mine:
            if mine[column].dtype == object:
                assert list(mine[column]) == list(written[column]), column
            else:
                np.testing.assert_array_equal(mine[column].to_numpy(float), written[column].astype(float))
    assert set(found.effects["insert"]) == {"NA", "nan"}
    assert set(found.hits["name"]) == {"NA", "hit"}
    assert set(found.pairs["target"]) == {"0", "1-0"}


def test_a_repr_is_one_line(folder):
    assert repr(probed(folder)) == "Probe(2 inserts, 8 arrangements, 2 hits)"
    assert repr(probed(folder, insert="TATA", delete=None, pair=())) == "Probe(1 insert)"


def test_with_a_prefix_the_files_are_those_of_the_command_byte_for_byte(folder, by_command, tmp_path):
    found = probed(folder, prefix=tmp_path / "p")
    names = left_behind(by_command.parent)
    assert left_behind(tmp_path) == names == sorted(path.name for path in found.files)
    for name in names:
        ours, theirs = tmp_path / name, by_command.with_name(name)
        if name == "p.probe.json":
            ours, theirs = ({**json.loads(p.read_text()), "command": None} for p in (ours, theirs))
            assert ours == theirs
        else:
            assert ours.read_bytes() == theirs.read_bytes(), name


def test_what_wasnt_asked_has_no_rows_but_its_columns(folder):
    found = probed(folder, delete=None, pair=())
    assert [len(getattr(found, name)) for name in TABLES[2:]] == [0, 0, 0]
    assert list(found.pairs)[:2] == ["left", "right"]
    assert found.hits["effect"].dtype == np.float64


def test_the_temporary_folder_goes_with_the_result(folder):
    found = probed(folder, delete=None, pair=())
    place = found.files[0].parent
    assert place.is_dir()
    assert not list(place.glob("*.svg")), "nobody sees figures there"
    del found
    gc.collect()
    assert not place.exists()


def test_a_module_in_memory_is_asked_and_left_as_it_is(folder):
    net = TinyNet()
    found = probed(folder, model=net, delete=None, pair=())
    assert net.training
    pd.testing.assert_frame_equal(found.effects, probed(folder, delete=None, pair=()).effects)


@pytest.mark.parametrize(
    ("given", "same"),
    [
        ({"pair": [("GAT", "CCG")]}, {"pair": ("GAT", "CCG")}),
        ({"spacing": 4}, {"spacing": (4,)}),
        ({"spacing": range(0, 5, 4)}, {"spacing": (0, 4)}),
        ({"spacing": np.array([0, 4])}, {"spacing": (0, 4)}),
        ({"insert": "GGATCC", "pair": ()}, {"insert": ["GGATCC"], "pair": ()}),
        ({"number": np.int64(5)}, {"number": 5}),
    ],
    ids=["pairs", "one spacing", "a range", "an array", "one insert", "a number of NumPy"],
)
def test_what_may_be_said_in_two_ways_means_the_same(folder, given, same):
    one, other = (probed(folder, delete=None, **each) for each in (given, same))
    for name in ("effects", "pairs"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name))


REFUSED = {
    "nothing": ({"insert": (), "pair": (), "delete": None}, sparselrp.InputError, "give insert=, pair="),
    "pair": ({"pair": "GATCCG"}, sparselrp.SettingError, "pair='GATCCG': give two to put in together"),
    "three": ({"pair": [("A", "C", "G")]}, sparselrp.SettingError, "give two to put in together"),
    "no spacing": ({"spacing": ()}, sparselrp.SettingError, "spacing= has 0 distances; give from 1 to 1000"),
    "spacing": ({"spacing": -1}, sparselrp.SettingError, "spacing=-1: not a whole number from 0 to"),
    "number": ({"number": 0}, sparselrp.SettingError, "number=0: not a whole number from 1 to 100000"),
    "orders": ({"orders": 2.5}, sparselrp.SettingError, "orders=2.5: not a whole number from 1 to 10000"),
    "seed": ({"seed": True}, sparselrp.SettingError, "seed=True: not a whole number from 0 to"),
    "at": ({"at": "3"}, sparselrp.SettingError, "at='3': not a whole number from -1000000"),
    "far": ({"at": 40}, sparselrp.InputError, "choose another at=, or less"),
    "backgrounds": ({"backgrounds": "none"}, sparselrp.SettingError, "choose among shuffled, given"),
    "figures": ({"figures": "gif", "prefix": "p"}, sparselrp.SettingError, "choose among svg, png, pdf"),
    "letters": ({"insert": "suhw"}, sparselrp.InputError, "give a file of motifs with motifs="),
    "target": ({"target": "7"}, sparselrp.TargetError, "there is no task 7"),
    "hits": ({"delete": "none.bed"}, sparselrp.InputError, "none.bed: no such file"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cant_be_asked_is_said_in_one_line(case, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given, error, message = REFUSED[case]
    with pytest.raises(error, match=message) as caught:
        probed(folder, **given)
    assert "\n" not in str(caught.value)
    assert "--" not in str(caught.value)
    assert left_behind(tmp_path) == []


def test_an_interrupted_probe_goes_on_where_it_is_told_to(folder, by_command, tmp_path, monkeypatch):
    def interrupted(kept: Kept, compute) -> np.ndarray:
        if len(steps) == 3:
            raise KeyboardInterrupt
        steps.append(1)
        return numbers(kept, compute)

    numbers, steps = Kept.numbers, []
    monkeypatch.setattr(Kept, "numbers", interrupted)
    with pytest.raises(KeyboardInterrupt, match="3 steps are kept in"):
        probed(folder, prefix=tmp_path / "p")
    monkeypatch.undo()
    with pytest.raises(
        sparselrp.OutputError, match="go on with resume=True, or throw them away with resume=False"
    ):
        probed(folder, prefix=tmp_path / "p")
    found = probed(folder, prefix=tmp_path / "p", resume=True)
    assert [path.read_bytes() for path in found.files[:-1]] == [
        by_command.with_name(path.name).read_bytes() for path in found.files[:-1]
    ]
    again = probed(folder, prefix=tmp_path / "p", resume=True)
    pd.testing.assert_frame_equal(again.effects, found.effects)
