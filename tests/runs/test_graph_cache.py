"""Graphs kept between runs: nothing is traced twice, and a cache that can't be used is no error."""

import os
import shutil
from pathlib import Path

import pytest
from helpers.commands import attribute, command, left_behind

import sparselrp
from sparselrp_cli.cli import motifs
from sparselrp_cli.graph import traced_model
from sparselrp_cli.graph.packed import keeping, reading
from sparselrp_cli.model import graph_cache
from sparselrp_cli.model.graph_cache import FOLDER, cache_folder

ROOT = Path(__file__).parents[2]
ENDS = ("h5", "bw", "windows.tsv", "manifest.json")


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv(FOLDER, str(tmp_path / "cache"))
    return tmp_path / "cache" / "graphs"


@pytest.fixture
def model(tmp_path) -> Path:
    """A copy of the shipped model, as long as windows of the small genome."""
    return Path(shutil.copytree(ROOT / "models" / "suhw-dm3", tmp_path / "suhw"))


@pytest.fixture
def done(monkeypatch) -> list[str]:
    """What was traced or checked, in order."""
    done: list[str] = []

    def told(module: object, name: str) -> None:
        right = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *given: (done.append(name), right(*given))[1])

    told(traced_model, "capture")
    told(reading, "require_computable")
    return done


def run(genome: Path, model: Path, prefix: Path, *more: object) -> dict[str, bytes]:
    prefix.parent.mkdir(exist_ok=True)
    peaks = prefix.parent.parent / "peak.bed"
    peaks.write_text("chr1\t100\t140\n")
    assert attribute(genome, "-r", peaks, "-m", model, "-o", prefix, *more) == 0
    return {end: Path(f"{prefix}.{end}").read_bytes() for end in ENDS}


def kept(cache: Path, kind: str) -> list[Path]:
    return sorted(cache.glob(f"{kind}-*"))


def test_a_named_architecture_is_traced_once_and_gives_the_same_bytes(cache, model, genome, tmp_path, done):
    first = run(genome, model, tmp_path / "out" / "run")
    assert done == ["capture"]
    assert run(genome, model, tmp_path / "out" / "run") == first
    assert done == ["capture"]
    (place,) = kept(cache, "graph")
    assert left_behind(place) == ["graph.json", "weights.safetensors"]
    assert run(genome, model / "model.json", tmp_path / "out" / "run") == first
    assert done == ["capture"]


def test_another_description_code_or_request_is_traced_again(
    cache, model, genome, tmp_path, done, monkeypatch
):
    prefix = tmp_path / "out" / "run"
    run(genome, model, prefix)
    run(genome, model, prefix, "--alphabet", "ACTG")
    path = model / "model.json"
    path.write_text(path.read_text() + "\n")
    run(genome, model, prefix)
    monkeypatch.setattr(graph_cache, "code_stamp", lambda: "of another code")
    run(genome, model, prefix)
    assert done == ["capture"] * 4
    assert len(kept(cache, "graph")) == 4


def cut(place: Path) -> None:
    path = place / "graph.json"
    path.write_text(path.read_text()[:-9])


def other_number(place: Path) -> None:
    path = place / "graph.json"
    path.write_text(path.read_text().replace('"padding": [10]', '"padding": [11]'))


def other_weight(place: Path) -> None:
    path = place / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def lost_weights(place: Path) -> None:
    (place / "weights.safetensors").unlink()


@pytest.mark.parametrize("damage", [cut, other_number, other_weight, lost_weights])
def test_an_entry_that_is_broken_is_made_again(cache, model, genome, tmp_path, done, capsys, damage):
    first = run(genome, model, tmp_path / "out" / "run")
    (place,) = kept(cache, "graph")
    right = {path.name: path.read_bytes() for path in place.iterdir()}
    damage(place)
    capsys.readouterr()
    assert run(genome, model, tmp_path / "out" / "run") == first
    assert "damaged" not in capsys.readouterr().err
    assert done == ["capture", "capture"]
    assert {path.name: path.read_bytes() for path in place.iterdir()} == right


def test_a_cache_that_cannot_be_written_is_no_error(model, genome, tmp_path, monkeypatch, done, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv(FOLDER, str(tmp_path / "file" / "below"))
    run(genome, model, tmp_path / "out" / "run")
    assert "can't be written" not in capsys.readouterr().err
    assert command("pack", model, "-o", tmp_path / "packed") == 0
    run(genome, tmp_path / "packed", tmp_path / "out" / "run")
    assert done == ["capture", "capture", "require_computable", "require_computable"]


def state(cache: Path) -> dict[str, int]:
    """Names of all that is kept, with the times at which they were used."""
    return {str(path.relative_to(cache)): path.stat().st_mtime_ns for path in sorted(cache.rglob("*"))}


@pytest.mark.parametrize(
    ("packed", "again"), [(False, ["capture"]), (True, ["require_computable"])], ids=["named", "packed"]
)
def test_without_the_cache_nothing_of_it_is_read_or_written_and_the_bytes_are_the_same(
    cache, model, genome, tmp_path, done, packed, again
):
    prefix = tmp_path / "out" / "run"
    if packed:
        assert command("pack", model, "-o", tmp_path / "packed") == 0
        model = tmp_path / "packed"
    first = run(genome, model, prefix)
    before = state(cache)
    done.clear()
    assert run(genome, model, prefix, "--no-cache") == first
    assert (done, state(cache)) == (again, before)
    shutil.rmtree(cache.parent)
    assert run(genome, model, prefix, "--no-cache") == first
    assert not cache.parent.exists()


def by_python(genome: Path, model: Path, folder: Path, *without: str) -> int:
    sparselrp.attribute(genome, folder / "peak.bed", model, no_cache=bool(without))
    return 0


def of_variants(genome: Path, model: Path, folder: Path, *without: str) -> int:
    ref = genome.read_text().splitlines()[1][119]
    rows = ("##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT", f"chr1\t120\t.\t{ref}\t{'CA'[ref == 'C']}")
    (folder / "one.vcf").write_text("\n".join(rows) + "\n")
    return command("variants", folder / "one.vcf", genome, "-m", model, "-o", folder / "v", *without)


def of_probe(genome: Path, model: Path, folder: Path, *without: str) -> int:
    given = ("-r", folder / "peak.bed", "--insert", "ACGTTGCA", "--number", 1, "--figures", "none")
    return command("probe", genome, "-m", model, "-o", folder / "p", *given, *without)


def of_motifs(genome: Path, model: Path, folder: Path, *without: str) -> int:
    prefix = folder / ("without" if without else "with")  # whose background isn't there yet
    return command("motifs", folder / "run.h5", "-o", prefix, *without)


@pytest.mark.parametrize("way", [by_python, of_variants, of_probe, of_motifs])
def test_whatever_explains_can_do_without_the_cache(cache, model, genome, tmp_path, monkeypatch, way):
    monkeypatch.setattr(motifs, "_search_in_new_process", lambda options, context, *, quiet: None)
    (tmp_path / "peak.bed").write_text("chr1\t100\t140\n")
    of_run = ("-r", tmp_path / "peak.bed", "-m", model, "-o", tmp_path / "run", "--no-cache")
    monkeypatch.setattr("sys.argv", ["sparselrp", "attribute", *map(str, (genome, *of_run))])
    assert attribute(genome, *of_run) == 0
    assert way(genome, model, tmp_path, "--no-cache") == 0
    assert not cache.parent.exists()
    assert way(genome, model, tmp_path) == 0
    assert len(kept(cache, "graph")) == 1


def test_models_too_large_to_copy_are_not_kept(cache, model, genome, tmp_path, monkeypatch):
    monkeypatch.setattr(keeping, "LARGEST", 10)
    run(genome, model, tmp_path / "out" / "run")
    assert kept(cache, "graph") == []


def test_a_packed_folder_is_checked_by_the_first_run(cache, model, genome, tmp_path, done):
    packed = tmp_path / "packed"
    assert command("pack", model, "-o", packed) == 0
    assert done == ["capture", "require_computable"]
    first = run(genome, packed, tmp_path / "out" / "run")
    assert run(genome, packed, tmp_path / "out" / "run") == first
    assert done == ["capture", "require_computable", "require_computable"]
    path = packed / "graph.json"
    path.write_text(path.read_text() + "\n")
    run(genome, packed, tmp_path / "out" / "run")
    assert done[3:] == ["require_computable"]


def test_inspect_always_traces_and_checks(cache, model, genome, tmp_path, done):
    run(genome, model, tmp_path / "out" / "run")
    assert command("inspect", model) == 0
    assert done == ["capture", "capture"]


def test_what_was_used_least_lately_goes_and_nothing_else(cache, monkeypatch):
    monkeypatch.setattr(graph_cache, "MOST_ENTRIES", 2)
    cache.mkdir(parents=True)
    for age, name in enumerate(("graph-a", "checked-b", ".graph-c.part", "graph-d", "thesis")):
        (cache / name).mkdir() if "graph" in name else (cache / name).touch()
        os.utime(cache / name, (1000 - age, 1000 - age))
    graph_cache.trim(cache)
    assert left_behind(cache) == ["checked-b", "graph-a", "thesis"]


def test_the_cache_is_where_caches_are_unless_told(monkeypatch, tmp_path):
    monkeypatch.delenv(FOLDER)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "sparselrp" / "graphs"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "sparselrp" / "graphs"
    monkeypatch.setenv(FOLDER, "")
    assert cache_folder() is None
