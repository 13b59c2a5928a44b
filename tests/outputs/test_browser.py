"""Files for genome browsers."""

import json
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from helpers.commands import error_line

from sparselrp_cli.cli.main import run
from sparselrp_cli.files.digest import FileEntry, sha256
from sparselrp_cli.files.lock import locked


def list_files(folder, prefix, names):
    """Write a manifest that lists files."""
    outputs = [FileEntry.of(folder / name).to_json() for name in names]
    (folder / f"{prefix}.manifest.json").write_text(json.dumps({"outputs": outputs}))


def list_hits(folder, prefix):
    """Write the record of a search in the archive of a prefix."""
    hits = replace(FileEntry.of(folder / f"{prefix}.hits.bed"), file="hits.bed").to_json()
    record = {"archive": {"sha256": sha256(folder / f"{prefix}.h5")}, "outputs": [hits]}
    (folder / f"{prefix}.motifs.json").write_text(json.dumps(record))


@pytest.fixture
def folder(tmp_path):
    for name in ("a b&c.h5", "a b&c.bw", "a b&c.task.bw", "a b&c.hits.bed", "other.bw"):
        (tmp_path / name).write_text(name)
    list_files(tmp_path, "a b&c", ["a b&c.h5", "a b&c.bw", "a b&c.task.bw"])
    list_hits(tmp_path, "a b&c")
    assert (
        run(["browser", str(tmp_path / "a b&c"), "--genome", "dm3", "--url", "https://x.org/d/", "-q"]) == 0
    )
    return tmp_path


def test_igv_finds_every_file_beside_the_session(folder):
    session = ET.parse(folder / "a b&c.igv.xml").getroot()
    paths = [resource.get("path") for resource in session.iter("Resource")]
    assert paths == ["a b&c.bw", "a b&c.task.bw", "a b&c.hits.bed"]
    assert all((folder / path).is_file() for path in paths)
    assert {track.get("id") for track in session.iter("Track")} == set(paths)
    assert session.get("genome") == "dm3"


def test_without_an_address_nothing_of_an_earlier_one_is_left(folder):
    assert (folder / "a b&c.igv.json").is_file()
    assert run(["browser", str(folder / "a b&c"), "--genome", "dm3", "-q"]) == 0
    made = {path.name for path in folder.iterdir() if path.suffix in (".xml", ".txt", ".json")}
    assert made == {"a b&c.igv.xml", "a b&c.hub.txt", "a b&c.manifest.json", "a b&c.motifs.json"}


def test_the_hub_has_a_stanza_with_letters_for_each_bigwig(folder):
    stanzas = (folder / "a b&c.hub.txt").read_text().strip().split("\n\n")
    settings = [dict(line.split(" ", 1) for line in stanza.splitlines()) for stanza in stanzas]
    assert settings[0]["useOneFile"] == "on"
    assert settings[1] == {"genome": "dm3"}
    assert [s["bigDataUrl"] for s in settings[2:]] == ["a%20b%26c.bw", "a%20b%26c.task.bw"]
    assert all(s["type"] == "bigWig" and s["logo"] == "on" for s in settings[2:])
    names = [s["track"] for s in settings[2:]]
    assert len(set(names)) == 2
    assert all(name.replace("_", "").isalnum() for name in names)


def test_the_data_hub_has_addresses(folder):
    hub = json.loads((folder / "a b&c.datahub.json").read_text())
    assert [track["url"] for track in hub] == [
        "https://x.org/d/a%20b%26c.bw",
        "https://x.org/d/a%20b%26c.task.bw",
    ]
    assert all(track["type"] == "dynseq" for track in hub)


def test_the_web_session_has_letters_and_the_beds_under_their_addresses(folder):
    session = json.loads((folder / "a b&c.igv.json").read_text())
    assert session["genome"] == "dm3"
    assert "locus" not in session
    tracks = {track["url"]: track for track in session["tracks"]}
    assert list(tracks) == [
        "https://x.org/d/a%20b%26c.bw",
        "https://x.org/d/a%20b%26c.task.bw",
        "https://x.org/d/a%20b%26c.hits.bed",
    ]
    assert [track.get("graphType") for track in tracks.values()] == ["dynseq", "dynseq", None]


def test_without_an_address_there_are_no_web_sessions(tmp_path):
    (tmp_path / "x.bw").touch()
    list_files(tmp_path, "x", ["x.bw"])
    assert run(["browser", str(tmp_path / "x"), "--genome", "dm3", "-q"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"x.bw", "x.manifest.json", "x.igv.xml", "x.hub.txt"}


@pytest.mark.parametrize("listing", [["x.h5"], []], ids=["other files", "nothing"])
def test_a_run_without_a_bigwig_is_said(tmp_path, capsys, listing):
    (tmp_path / "x.h5").touch()
    (tmp_path / "x.bw").touch()
    list_files(tmp_path, "x", listing)
    assert run(["browser", str(tmp_path / "x"), "--genome", "dm3"]) == 1
    assert "x: no x.bw; make it with `sparselrp export" in error_line(capsys)


def without_manifest(folder):
    (folder / "a b&c.manifest.json").unlink()
    return "a b&c.manifest.json is missing, which says which files belong together; finish the run, or"


def with_half_a_manifest(folder):
    (folder / "a b&c.manifest.json").write_text('{"outputs": [')
    return "a b&c.manifest.json is missing, which says"


def with_another_track(folder):
    (folder / "a b&c.task.bw").write_text("A b&c.task.bw")
    return "a b&c.task.bw isn't as it was written by the run of a b&c.manifest.json; make it again with"


def with_a_longer_track(folder):
    (folder / "a b&c.bw").write_text("longer than it was")
    return "a b&c.bw isn't as it was written"


def without_a_track(folder):
    (folder / "a b&c.bw").unlink()
    return "a b&c.bw is missing"


@pytest.mark.parametrize(
    "change",
    [without_manifest, with_half_a_manifest, with_another_track, with_a_longer_track, without_a_track],
)
def test_tracks_that_are_no_whole_set_are_refused(folder, capsys, change):
    said = change(folder)
    before = (folder / "a b&c.igv.xml").read_text()
    assert run(["browser", str(folder / "a b&c"), "--genome", "dm4"]) == 1
    assert said in error_line(capsys)
    assert (folder / "a b&c.igv.xml").read_text() == before


def with_other_hits(folder):
    (folder / "a b&c.hits.bed").write_text("of a search before")


def with_hits_of_another_archive(folder):
    (folder / "a b&c.h5").write_text("of a run since")
    list_files(folder, "a b&c", ["a b&c.h5", "a b&c.bw"])


def with_hits_of_nothing(folder):
    (folder / "a b&c.motifs.json").unlink()


@pytest.mark.parametrize("change", [with_other_hits, with_hits_of_another_archive, with_hits_of_nothing])
def test_hits_of_another_run_are_left_out_with_a_warning(folder, capsys, change):
    change(folder)
    assert run(["browser", str(folder / "a b&c"), "--genome", "dm3", "-q"]) == 0
    assert "a b&c.hits.bed isn't of this run, and left out; make it again" in capsys.readouterr().err
    assert "hits.bed" not in (folder / "a b&c.igv.xml").read_text()


def test_tracks_of_a_run_under_way_are_not_shown(folder, capsys):
    with locked(folder / "a b&c"):
        assert run(["browser", str(folder / "a b&c"), "--genome", "dm3"]) == 1
    assert "another run is writing" in error_line(capsys)
