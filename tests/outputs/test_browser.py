"""Files for genome browsers."""

import json
from xml.etree import ElementTree as ET

import pytest

from sparselrp_cli.cli.main import run


@pytest.fixture
def folder(tmp_path):
    for name in ("a b&c.bw", "a b&c.task.bw", "a b&c.hits.bed", "other.bw"):
        (tmp_path / name).touch()
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
    assert run(["browser", str(tmp_path / "x"), "--genome", "dm3", "-q"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"x.bw", "x.igv.xml", "x.hub.txt"}


def test_a_run_without_a_bigwig_is_said(tmp_path, capsys):
    assert run(["browser", str(tmp_path / "x"), "--genome", "dm3"]) == 1
    assert "sparselrp export" in capsys.readouterr().err
