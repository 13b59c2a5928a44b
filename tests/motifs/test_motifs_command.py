"""`sparselrp motifs` on planted sites: motifs, files, names, errors."""

import json

import h5py
import numpy as np
import pyBigWig
import pytest
from Bio import motifs as bio
from memelite.io import read_meme
from motifs.planted import SITES, planted_archive

from sparselrp_cli.cli.main import run
from sparselrp_cli.motifs.database import match, read_database
from sparselrp_cli.motifs.formats import KnownMotif

# TF-MoDISco's own.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def write_database(path, n=40, seed=0):
    """A MEME file of random motifs, and the first planted one."""
    rng = np.random.default_rng(seed)
    lines = ["MEME version 4", "", "ALPHABET= ACGT", ""]
    matrices = [rng.dirichlet(np.full(4, 0.3), 12) for _ in range(n)]
    known = np.array([[0.97 if base == b else 0.01 for b in "ACGT"] for base in SITES[0]])
    for i, matrix in enumerate([*matrices, known]):
        lines.append(f"MOTIF M{i} {'planted' if matrix is known else 'random'}")
        lines.append(f"letter-probability matrix: alength= 4 w= {len(matrix)} nsites= 20 E= 0")
        lines += [" ".join(f"{x:.6f}" for x in row) for row in matrix] + [""]
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("motifs")
    archive, places = planted_archive(folder / "a.h5", n=180)
    background, _ = planted_archive(folder / "bg.h5", n=180, sites=(), seed=5)
    database = write_database(folder / "known.meme")
    given = ["motifs", str(archive), "-q", "--background", str(background), "--database", str(database)]
    for name in ("a", "again"):
        assert run([*given, "--bigbed", "-o", str(folder / name)]) == 0
    return folder, places


def record(folder):
    return json.loads((folder / "a.motifs.json").read_text())


def test_what_was_found_is_a_row_for_multiqc_under_the_name_of_the_run(found):
    folder, _ = found
    lines = [line for line in (folder / "a.motifs_mqc.tsv").read_text().splitlines() if line[0] != "#"]
    names, values = (line.split("\t") for line in lines)
    row, counts = dict(zip(names, values, strict=True)), record(folder)["counts"]
    assert row.pop("Sample").endswith(f"{folder.name}/a")
    named = sum(bool(m["matches"]) and m["matches"][0]["q"] <= 0.05 for m in record(folder)["motifs"])
    assert named == 1, "of the planted ones one is in the database"
    assert row == {
        **{name: str(counts[name]) for name in ("windows", "seqlets", "motifs", "hits")},
        "target": record(folder)["target"], "named": str(named), "calibrated": "yes",
    }  # fmt: skip


def test_the_planted_motifs_are_found_and_named(found):
    folder, places = found
    motifs = record(folder)["motifs"]
    assert len(motifs) == 2
    complement = str.maketrans("ACGT", "TGCA")
    for site in SITES:
        both = (site, site.translate(complement)[::-1])
        assert any(s in m["consensus"].upper() for s in both for m in motifs), site
    best = next(m for m in motifs if SITES[0] in m["consensus"].upper())["matches"][0]
    assert (best["alt_name"], best["strand"]) == ("planted", "+")
    assert best["q"] < 1e-3
    assert sum(m["n_seqlets"] for m in motifs) > 0.9 * len(places)


def bed(path):
    return [line.split("\t") for line in path.read_text().splitlines()]


@pytest.mark.parametrize("name", ["seqlets", "hits"])
def test_the_bed_files_are_sorted_and_valid(found, name):
    rows = bed(found[0] / f"a.{name}.bed")
    places = [(row[0], int(row[1]), int(row[2])) for row in rows]
    assert rows
    assert places == sorted(places)
    assert all(0 <= start < end for _, start, end in places)
    assert all(0 <= int(row[4]) <= 1000 and row[5] in "+-." for row in rows)


@pytest.mark.parametrize("name", ["seqlets", "hits"])
def test_a_bigbed_holds_all_lines_and_is_of_the_set(found, name):
    folder, _ = found
    with pyBigWig.open(str(folder / f"a.{name}.bb")) as file:
        entries = file.entries("chr", 0, 10**6)
    rows = bed(folder / f"a.{name}.bed")
    assert [[start, end, *rest.split("\t")] for start, end, rest in entries] == [
        [int(row[1]), int(row[2]), *row[3:]] for row in rows
    ]
    assert f"{name}.bb" in {entry["file"] for entry in record(folder)["outputs"]}


def test_hits_and_seqlets_have_the_known_name_and_the_colour_of_their_motif(found):
    folder, _ = found
    names = {m["name"]: m["matches"][0] for m in record(folder)["motifs"]}
    known = {name: match["alt_name"] if match["q"] <= 0.05 else name for name, match in names.items()}
    assert "planted" in known.values()
    for kind, column in (("seqlets", 12), ("hits", 13)):
        rows = [row for row in bed(folder / f"a.{kind}.bed") if row[column] != "."]
        assert {row[3] for row in rows} == set(known.values())
        assert all(row[3] == known[row[column]] for row in rows)
        assert len({(row[8], row[column]) for row in rows}) == len(known)
        assert (folder / f"a.{kind}.as").read_text().startswith(f"table {kind}\n")


def test_hits_are_the_sites_with_their_strands(found):
    folder, places = found
    wanted = {(200 * row + start, 200 * row + end) for row, start, end in places}
    hits = [(int(row[1]), int(row[2])) for row in bed(folder / "a.hits.bed")]
    right = [any(a < end and b > start for a, b in wanted) for start, end in hits]
    assert np.mean(right) > 0.95
    assert len(hits) > 0.9 * len(wanted)


def test_the_matrices_read_back_alike(found):
    folder, _ = found
    motifs = record(folder)["motifs"]
    ours = [np.array(m["pfm"], float) for m in motifs]
    meme = list(read_meme(str(folder / "a.motifs.meme")).values())
    with (folder / "a.motifs.jaspar").open() as stream:
        jaspar = list(bio.parse(stream, "jaspar"))
    with (folder / "a.motifs.transfac").open() as stream:
        transfac = list(bio.parse(stream, "transfac"))
    assert len(ours) == len(meme) == len(jaspar) == len(transfac)
    for counts, frequencies, one, other in zip(ours, meme, jaspar, transfac, strict=True):
        expected = (counts + 0.5) / (counts + 0.5).sum(axis=1, keepdims=True)
        assert np.allclose(frequencies.T, expected, atol=1e-5)
        for motif in (one, other):
            assert np.array_equal(np.array([motif.counts[b] for b in "ACGT"]).T, counts)


def test_the_patterns_are_as_modisco_writes_them(found):
    folder, _ = found
    motifs = record(folder)["motifs"]
    with h5py.File(folder / "a.motifs.h5") as file:
        assert len(file["pos_patterns"]) == len(motifs)
        for i, motif in enumerate(motifs):
            pattern = file[f"pos_patterns/pattern_{i}"]
            assert pattern["contrib_scores"].shape == (50, 4)
            assert pattern["seqlets/n_seqlets"][0] == motif["n_seqlets"]
            start = (50 - motif["width"]) // 2
            shown = pattern["contrib_scores"][start : start + motif["width"]]
            assert np.allclose(shown, motif["cwm"], rtol=1e-3, atol=1e-4)


def test_equal_inputs_give_equal_bytes(found):
    folder, _ = found
    for path in folder.glob("a.*"):
        again = folder / path.name.replace("a.", "again.", 1)
        if path.name != "a.h5":
            assert path.read_bytes() == again.read_bytes(), path.name


def test_a_motif_matches_itself_best(tmp_path):
    known = read_database(str(write_database(tmp_path / "known.meme")))
    for motif in known[::10]:
        best = match(100 * motif.frequencies, known)[0]
        assert best.name == motif.name
        assert best.p < 1e-6


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("first", "last"), [(8, 16), (4, 16), (2, 14), (8, 20), (6, 16)])
def test_the_offset_says_at_which_column_of_ours_the_known_motif_begins(first, last, turned):
    rng = np.random.default_rng(0)
    long, *others = (rng.dirichlet([0.2] * 4, width) for width in [24, *rng.integers(6, 14, 60)])
    known = long[first:last][::-1, ::-1] if turned else long[first:last]
    database = [KnownMotif(str(i), "", 100 * frequencies) for i, frequencies in enumerate([known, *others])]
    best = match(100 * long[6:16], database)[0]
    assert (best.name, best.strand, best.offset) == ("0", "-" if turned else "+", first - 6)
    assert best.overlap == min(last, 16) - max(first, 6)
    assert np.allclose(best.frequencies, database[0].frequencies)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "can't be read"),
        (
            "MEME version 4\nMOTIF a\nletter-probability matrix: alength= 4 w= 1\n1 0 0 0\n",
            "1 motif is too few",
        ),
        ("", "holds no motif"),
        ("MEME version 4\n", "holds no motif"),
        ("MEME version 4\nMOTIF a\nletter-probability matrix: alength= 4 w= 1\nx y z\n", "is damaged"),
    ],
)
def test_a_database_that_is_none_is_said(tmp_path, capsys, text, said):
    archive, _ = planted_archive(tmp_path / "a.h5", n=30)
    database = tmp_path / "known"
    if text is not None:
        database.write_text(text)
    assert run(["motifs", str(archive), "-o", str(tmp_path / "o"), "--database", str(database)]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1


def test_noise_has_no_motif_and_that_is_no_error(tmp_path, capsys):
    archive, _ = planted_archive(tmp_path / "a.h5", n=60, sites=())
    (tmp_path / "o.hits.bb").write_text("of a search before")
    assert run(["motifs", str(archive), "--bigbed", "-o", str(tmp_path / "o")]) == 0
    said = capsys.readouterr().err
    assert "no motif" in said
    assert "warning: no hits, and so no bigBed of them" in said
    assert not (tmp_path / "o.hits.bb").exists()
    assert json.loads((tmp_path / "o.motifs.json").read_text())["motifs"] == []
