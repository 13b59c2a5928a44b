"""`sparselrp probe` against edits of letters by hand, and networks whose answer is known."""

import io
import json
import re
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.commands import command, error_line, left_behind, table
from torch import nn

from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.probing.backgrounds import read_backgrounds
from sparselrp_cli.sequences.one_hot import encode
from sparselrp_cli.sequences.source import RecordSource

WINDOW = 40
ONE, TWO = "GATTACA", "CCGTTC"


class Net(nn.Module):
    """Two tasks, no symmetry."""

    window = WINDOW

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.scan = nn.Conv1d(4, 8, 5, padding=2)
        self.head = nn.Linear(8 * WINDOW, 2)

    def forward(self, x):
        return self.head(torch.relu(self.scan(x)).flatten(1))


class Other(Net):
    """Another fold."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(8)
        nn.init.normal_(self.head.weight)


class Profile(nn.Module):
    """A value for each base."""

    window = WINDOW

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.scan = nn.Conv1d(4, 1, 5, padding=2)

    def forward(self, x):
        return self.scan(x)


class Sites(nn.Module):
    """A site is worth 1, another 2, and the two together, in any order and on this strand, 3 more."""

    window = WINDOW

    def __init__(self) -> None:
        super().__init__()
        for name, site in (("one", ONE), ("two", TWO)):
            scan = nn.Conv1d(4, 1, len(site))
            with torch.no_grad():
                for i, base in enumerate(site):
                    scan.weight[0, :, i] = torch.tensor([float(base == b) for b in "ACGT"])
                scan.bias[:] = 1 - len(site)
            setattr(self, name, scan)

    def forward(self, x):
        one, two = (torch.relu(scan(x)).sum((1, 2)) for scan in (self.one, self.two))
        return (one + 2 * two + 3 * torch.relu(one + two - 1))[:, None]


pytestmark = pytest.mark.usefixtures("unrendered")
MODEL = ("-m", f"{__file__}:Net", "-t", "0", "-t", "1", "-q")
SITES = ("-m", f"{__file__}:Sites", "-q")


@pytest.fixture(scope="module")
def windows(tmp_path_factory) -> tuple[Path, list[str]]:
    rng = np.random.default_rng(3)
    letters = ["".join(rng.choice(list("ACGT"), WINDOW)) for _ in range(6)]
    path = tmp_path_factory.mktemp("windows") / "windows.fa"
    path.write_text("".join(f">w{i}\n{text}\n" for i, text in enumerate(letters)))
    return path, letters


@pytest.fixture(scope="module")
def motifs(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("motifs") / "known.jaspar"
    text = ""
    for name, site in (("MA1 one", ONE), ("MA2 two", TWO)):
        rows = "\n".join(f"{b} [ {' '.join('8' if c == b else '1' for c in site)} ]" for b in "ACGT")
        text += f">{name}\n{rows}\n"
    path.write_text(text)
    return path


def turned(letters: str) -> str:
    return letters[::-1].translate(str.maketrans("ACGT", "TGCA"))


def put(window: str, insert: str, start: int) -> str:
    return window[:start] + insert + window[start + len(insert) :]


def says(letters: list[str], net: nn.Module | None = None) -> np.ndarray:
    x = torch.from_numpy(np.stack([encode(text.encode()) for text in letters]).astype(np.float32))
    with torch.no_grad():
        return (net or Net())(x).numpy()


def probe(*arguments: object) -> int:
    return command("probe", *arguments)


def test_effects_are_those_of_letters_put_in_by_hand(tmp_path, windows):
    """Marginalisation as tangermeme and bpnet-lite have it: with the insert less without, by background."""
    path, letters = windows
    options = ("--insert", "GGATCC", "--insert", "box=TATAAAA", "--backgrounds", "given", "--at", "-3")
    assert probe(path, *MODEL, *options, "-o", tmp_path / "p") == 0
    rows = table(tmp_path / "p.probe.effects.tsv")
    each = table(tmp_path / "p.probe.backgrounds.tsv")
    before = says(letters)
    for name, site in (("GGATCC", "GGATCC"), ("box", "TATAAAA")):
        start = WINDOW // 2 - 3 - len(site) // 2
        after = says([put(text, site, start) for text in letters])
        for target in range(2):
            (row,) = [r for r in rows if (r["insert"], r["target"]) == (name, str(target))]
            effects = after[:, target] - before[:, target]
            assert (row["letters"], row["start"], row["backgrounds"]) == (site, str(start), "6")
            assert float(row["effect"]) == pytest.approx(effects.mean(), abs=1e-5)
            assert float(row["sd"]) == pytest.approx(effects.std(ddof=1), abs=1e-5)
            assert float(row["low"]) <= float(row["effect"]) <= float(row["high"])
            mine = [r for r in each if (r["insert"], r["target"]) == (name, str(target))]
            found = [float(r["score_after"]) - float(r["score_before"]) for r in mine]
            assert found == pytest.approx(effects.tolist(), abs=1e-5)
            assert float(row["specific"]) == pytest.approx(
                float(row["effect"]) - float(row["control"]), abs=1e-6
            )


def test_relevance_is_that_of_the_changed_sequences_explained(tmp_path, windows):
    path, letters = windows
    start = WINDOW // 2 - len(ONE) // 2
    edited = tmp_path / "edited.fa"
    edited.write_text("".join(f">w{i}\n{put(text, ONE, start)}\n" for i, text in enumerate(letters)))
    maps = []
    for name, sequences in (("before", path), ("after", edited)):
        assert command("attribute", sequences, *MODEL, "-o", tmp_path / name) == 0
        with ArchiveReader(tmp_path / f"{name}.h5") as reader:
            maps.append(reader.contributions(slice(None), 1))
    assert probe(path, *MODEL, "--insert", ONE, "--backgrounds", "given", "-o", tmp_path / "p") == 0
    rows = [r for r in table(tmp_path / "p.probe.backgrounds.tsv") if r["target"] == "1"]
    before, after = maps
    inside = slice(start, start + len(ONE))
    for name, expected in (
        ("relevance", after[:, inside].sum(1)),
        ("relevance_before", before[:, inside].sum(1)),
        ("elsewhere", (after - before).sum(1) - (after - before)[:, inside].sum(1)),
    ):
        assert [float(r[name]) for r in rows] == pytest.approx(expected.tolist(), abs=1e-4)


@pytest.fixture(scope="module")
def paired(tmp_path_factory, motifs) -> Path:
    """Backgrounds that hold neither site on either strand."""
    folder = tmp_path_factory.mktemp("pairs")
    (folder / "windows.fa").write_text("".join(f">w{i}\n{'AG' * 20}\n" for i in range(3)))
    options = ("--motifs", motifs, "--pair", "one", "MA2", "--spacing", "0:6:3")
    assert probe(folder / "windows.fa", *SITES, *options, "-o", folder / "p") == 0
    return folder


def test_interactions_are_those_the_network_was_made_with(paired):
    rows = table(paired / "p.probe.pairs.tsv")
    assert [(r["orientation"], r["spacing"]) for r in rows] == [
        (o, s) for s in ("0", "3", "6") for o in ("++", "+-", "-+", "--")
    ]
    for row in rows:
        one, two = (float(strand == "+") for strand in row["orientation"])
        expected, together = one + 2 * two, 3 * one * two
        assert float(row["expected"]) == pytest.approx(expected, abs=1e-5)
        assert float(row["interaction"]) == pytest.approx(together, abs=1e-5)
        assert float(row["observed"]) == pytest.approx(expected + together, abs=1e-5)
        assert float(row["low"]) == pytest.approx(together, abs=1e-5)
    assert not (paired / "p.probe.effects.tsv").exists()


def test_pairs_in_any_network_are_those_of_letters_put_in_by_hand(tmp_path, windows):
    path, letters = windows
    options = ("--pair", ONE, TWO, "--spacing", "0,5", "--backgrounds", "given", "--at", "2")
    assert probe(path, *MODEL, *options, "-o", tmp_path / "p") == 0
    before = says(letters)
    for row in table(tmp_path / "p.probe.pairs.tsv"):
        spacing, target = int(row["spacing"]), int(row["target"])
        one, two = (
            site if strand == "+" else turned(site)
            for site, strand in zip((ONE, TWO), row["orientation"], strict=True)
        )
        start = WINDOW // 2 + 2 - (len(ONE) + spacing + len(TWO)) // 2
        behind = start + len(ONE) + spacing
        left = says([put(text, one, start) for text in letters]) - before
        right = says([put(text, two, behind) for text in letters]) - before
        both = says([put(put(text, one, start), two, behind) for text in letters]) - before
        assert float(row["observed"]) == pytest.approx(both[:, target].mean(), abs=1e-5)
        assert float(row["expected"]) == pytest.approx((left + right)[:, target].mean(), abs=1e-5)
        interaction = (both - left - right)[:, target].mean()
        assert float(row["interaction"]) == pytest.approx(interaction, abs=1e-5)


def test_the_terminal_shows_the_largest_of_everything(tmp_path, paired, motifs, capsys):
    options = (
        "--motifs",
        motifs,
        "--insert",
        "two",
        "--pair",
        "one",
        "two",
        "--spacing",
        "4",
        "--number",
        "3",
    )
    assert probe(paired / "windows.fa", *SITES, *options, "-o", tmp_path / "p") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "target\toutput"
    assert re.fullmatch(r"two\t2 \(2 to 2\), .* with its columns in another order", said[1])
    assert said[2] == "one two ++, 4 bp apart\tinteraction 3 (3 to 3)"


def test_a_motif_of_a_file_is_its_most_frequent_bases_and_all_are_put_in_unless_named(
    tmp_path, paired, motifs
):
    options = (paired / "windows.fa", *SITES, "--motifs", motifs, "--number", "20")
    assert probe(*options, "-o", tmp_path / "all") == 0
    rows = table(tmp_path / "all.probe.effects.tsv")
    assert [(r["insert"], r["letters"], float(r["effect"])) for r in rows] == [
        ("one", ONE, pytest.approx(1, abs=1e-5)),
        ("two", TWO, pytest.approx(2, abs=1e-5)),
    ]
    # 20 shuffles of three windows; no order of the letters but the site's own counts.
    assert {r["backgrounds"] for r in rows} == {"20"}
    assert float(rows[0]["control"]) < 0.2
    assert probe(*options, "--insert", "TWO", "-o", tmp_path / "named") == 0
    assert [r["insert"] for r in table(tmp_path / "named.probe.effects.tsv")] == ["two"]


@pytest.fixture(scope="module")
def genome(tmp_path_factory) -> tuple[Path, str]:
    rng = np.random.default_rng(9)
    text = "".join(rng.choice(list("AG"), 300))
    text = put(put(put(text, ONE, 100), TWO, 110), turned(ONE), 200)
    path = tmp_path_factory.mktemp("genome") / "genome.fa"
    path.write_text(f">chr1\n{text}\n")
    return path, text


def test_a_hit_that_is_taken_out_takes_what_it_gave(tmp_path, genome):
    """With the interaction, on both strands, and with means by name."""
    path, _ = genome
    (tmp_path / "r.bed").write_text("chr1\t85\t130\tboth\t0\t+\nchr1\t184\t224\tturned\t0\t-\n")
    # As `motifs` writes them, with columns of its own, and plain.
    own = "100\t107\t0,114,178\t3.5\t1e-05\t0.001\tboth\tpos_1\tyes"
    hits = f"chr1\t100\t107\tone\t40\t+\t{own}\nchr1\t110\t116\ttwo\t0\t+\nchr1\t200\t207\tone\t0\t-\n"
    (tmp_path / "h.bed").write_text(hits + "chr1\t60\t70\tfar\t0\t+\n")
    options = ("-r", tmp_path / "r.bed", *SITES, "--delete", tmp_path / "h.bed", "--orders", "6")
    assert probe(path, *options, "-o", tmp_path / "p") == 0
    rows = table(tmp_path / "p.probe.hits.tsv")
    found = {(r["window"], r["name"]): r for r in rows}
    assert set(found) == {("both", "one"), ("both", "two"), ("turned", "one")}
    scores = {"both": 6.0, "turned": 1.0}
    # Other orders may spell the site again: of 7 letters with repeats seldom, and then it loses nothing.
    # An order that spells the site again would take nothing, and isn't drawn.
    gave = {("both", "one"): -4.0, ("both", "two"): -5.0, ("turned", "one"): -1.0}
    for key, row in found.items():
        assert float(row["score"]) == pytest.approx(scores[key[0]], abs=1e-5)
        assert float(row["effect"]) == pytest.approx(gave[key], abs=1e-5)
        assert float(row["relevance"]) > 0
    assert (tmp_path / "p.probe.deletions.svg").is_file()
    means = {r["name"]: r for r in table(tmp_path / "p.probe.deletions.tsv")}
    assert (means["one"]["hits"], means["two"]["hits"]) == ("2", "1")
    assert float(means["one"]["effect"]) == pytest.approx(-2.5, abs=1e-5)


def test_backgrounds_are_the_windows_with_their_dinucleotides(tmp_path, windows):
    """The score before of each background is that of its shuffle, which keeps every count."""
    path, letters = windows
    scores = []
    for seed in (0, 0, 1):
        options = ("--insert", ONE, "--number", "12", "--seed", seed, "-o", tmp_path / "p")
        assert probe(path, *MODEL, *options) == 0
        scores.append([r["score_before"] for r in table(tmp_path / "p.probe.backgrounds.tsv")])
    assert scores[0] == scores[1] != scores[2]
    assert len(set(scores[0])) == 24
    found = read_backgrounds(RecordSource(str(path), WINDOW), "shuffled", 12, 0)
    for i, one_hot in enumerate(found):
        text = "".join("ACGT"[b] for b in one_hot.argmax(axis=0))
        assert text != letters[i % 6]
        assert Counter(pairwise(text)) == Counter(pairwise(letters[i % 6]))


def test_windows_of_the_other_strand_are_read_on_it(tmp_path, genome):
    path, text = genome
    (tmp_path / "r.bed").write_text("chr1\t130\t170\tw\t0\t-\n")
    options = ("-r", tmp_path / "r.bed", *MODEL, "--insert", TWO, "--backgrounds", "given")
    assert probe(path, *options, "-o", tmp_path / "p") == 0
    row = table(tmp_path / "p.probe.backgrounds.tsv")[0]
    window = turned(text[130:170])
    assert float(row["score_before"]) == pytest.approx(says([window])[0, 0], abs=1e-5)
    changed = put(window, TWO, 20 - len(TWO) // 2)
    assert float(row["score_after"]) == pytest.approx(says([changed])[0, 0], abs=1e-5)


def test_several_models_and_both_strands_are_averaged(tmp_path, windows):
    path, letters = windows
    options = ("-m", f"{__file__}:Other", "--reverse-complement", "--insert", TWO, "--backgrounds", "given")
    assert probe(path, *MODEL, *options, "-o", tmp_path / "p") == 0
    start = WINDOW // 2 - len(TWO) // 2
    after = [put(text, TWO, start) for text in letters]
    nets = (Net(), Other())
    effects = np.mean(
        [
            says([turn(t) for t in after], net) - says([turn(t) for t in letters], net)
            for net in nets
            for turn in (str, turned)
        ],
        axis=0,
    )
    for row in table(tmp_path / "p.probe.effects.tsv"):
        assert float(row["effect"]) == pytest.approx(effects[:, int(row["target"])].mean(), abs=1e-5)


def test_what_an_earlier_probe_left_goes_and_the_record_lists_what_is_there(tmp_path, windows):
    path, _ = windows
    pair = ("--pair", ONE, TWO, "--spacing", "4")
    assert probe(path, *MODEL, *pair, "--insert", ONE, "--number", "5", "-o", tmp_path / "p") == 0
    before = left_behind(tmp_path)
    assert before == [
        "p.probe.backgrounds.tsv", "p.probe.effects.0.svg", "p.probe.effects.1.svg", "p.probe.effects.tsv",
        "p.probe.json", "p.probe.pairs.0.svg", "p.probe.pairs.1.svg", "p.probe.pairs.tsv",
    ]  # fmt: skip
    bytes_before = {name: (tmp_path / name).read_bytes() for name in before}
    assert probe(path, *MODEL, *pair, "--insert", ONE, "--number", "5", "-o", tmp_path / "p") == 0
    assert {name: (tmp_path / name).read_bytes() for name in before if name != "p.probe.json"} == {
        name: content for name, content in bytes_before.items() if name != "p.probe.json"
    }
    (tmp_path / "p.probe.mine.txt").write_text("mine")
    assert probe(path, *MODEL, "-t", "0", *pair, "--figures", "none", "-o", tmp_path / "p") == 0
    assert left_behind(tmp_path) == ["p.probe.json", "p.probe.mine.txt", "p.probe.pairs.tsv"]
    record = json.loads((tmp_path / "p.probe.json").read_text())
    assert [entry["file"] for entry in record["outputs"]] == ["p.probe.pairs.tsv"]
    assert record["probe"]["pairs"] == [[ONE, TWO]]
    assert record["inputs"]["sequences"]["sha256"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "nothing to put in or to take out; give --insert, --pair, --motifs or --delete"),
        (("--insert", "suhw"), "'suhw' is neither letters A, C, G, T nor a motif; give a file of motifs"),
        (("--insert", "x=NNN"), "is neither letters"),
        (("--insert", "A" * 41), "41 bp put in 0 bp from the middle don't lie in a window of 40 bp"),
        (("--insert", ONE, "--at", "-18"), "don't lie in a window of 40 bp; choose another --at"),
        (("--pair", ONE, TWO, "--spacing", "0:40:10"), "bp put in 0 bp from the middle don't lie"),
        (("--delete", "none.bed"), "none.bed: no such file"),
    ],
    ids=["nothing", "no name", "other letters", "too long", "beyond the end", "too far apart", "no hits"],
)
def test_what_cant_be_done_is_said_before_anything_is_written(tmp_path, windows, words, message, capsys):
    assert probe(windows[0], *MODEL, *words, "-o", tmp_path / "p") == 1
    assert message in error_line(capsys)
    assert left_behind(tmp_path) == []


def test_hits_of_another_genome_are_told_of(tmp_path, windows, capsys):
    (tmp_path / "h.bed").write_text("chrX\t1\t9\ta\n")
    assert probe(windows[0], *MODEL, "--delete", tmp_path / "h.bed", "-o", tmp_path / "p") == 1
    assert "no hit lies in any of the windows; are both of one genome?" in error_line(capsys)


def test_the_name_of_a_motif_that_isnt_there_shows_what_is(tmp_path, windows, motifs, capsys):
    options = ("--motifs", motifs, "--insert", "three")
    assert probe(windows[0], *MODEL, *options, "-o", tmp_path / "p") == 1
    assert "nor a motif of the file, which has one, two" in error_line(capsys)


@pytest.mark.parametrize(
    ("text", "spacings"),
    [("7", [7]), ("5,10,5", [5, 10]), ("0:6:3", [0, 3, 6]), ("0:5:3", [0, 3]), ("2:4", [2, 3, 4])],
)
def test_spacings_are_numbers_lists_and_ranges(tmp_path, windows, text, spacings):
    options = ("--pair", "AC", "GT", "--spacing", text, "--number", "2", "--figures", "none")
    assert probe(windows[0], *SITES, *options, "-o", tmp_path / "p") == 0
    found = [int(r["spacing"]) for r in table(tmp_path / "p.probe.pairs.tsv")]
    assert [*dict.fromkeys(found)] == spacings


@pytest.mark.parametrize("text", ["", "x", "-3", "0:9:0", "1:2:3:4", "9:3", "0:5000", "5,"])
def test_a_spacing_that_is_none_is_wrong_usage(tmp_path, windows, text, capsys):
    options = ("--pair", "AC", "GT", "--spacing", text)
    assert probe(windows[0], *SITES, *options, "-o", tmp_path / "p") == 2
    assert re.search(r"isn't a distance in bp|distances; give from 1", capsys.readouterr().err)


def test_what_comes_from_a_pipe_is_refused(tmp_path, windows, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(windows[0].read_bytes())))
    assert probe("-", *MODEL, "--insert", ONE, "-o", tmp_path / "p") == 1
    assert "can't come from a pipe" in error_line(capsys)


def test_a_target_that_reads_blocks_is_refused(tmp_path, genome, capsys):
    path, _ = genome
    (tmp_path / "r.bed").write_text("chr1\t130\t170\tw\n")
    options = ("-r", tmp_path / "r.bed", "-m", f"{__file__}:Profile", "-t", "0@blocks", "-q", "--insert", ONE)
    assert probe(path, *options, "-o", tmp_path / "p") == 1
    assert "blocks of regions, which made sequences don't have" in error_line(capsys)
