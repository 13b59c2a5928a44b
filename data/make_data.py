"""Make the files of this folder from their sources; see README.md for where those come from.

python data/make_data.py chr2R.fa SuHw_Kc_Bushey_2009.bed SuHw_Mbn2_Bushey_2009.bed JASPAR2026.sqlite
"""

import argparse
import sqlite3
from pathlib import Path

import numpy as np
from Bio import SeqIO, bgzf, motifs

HERE = Path(__file__).parent
TEST_START = 15_000_000
LINE = 60
WINDOW = 600
DEMONSTRATED = 60
PSEUDOCOUNT = 0.1


def write_genome(sequence: str, target: Path) -> None:
    """Keep the test part; what comes before it becomes N, so that coordinates stay those of dm3."""
    masked = "N" * TEST_START + sequence[TEST_START:]
    with bgzf.BgzfWriter(str(target), compresslevel=9) as stream:
        stream.write(b">chr2R\n")
        for start in range(0, len(masked), LINE):
            stream.write(masked[start : start + LINE].encode() + b"\n")


def read_peaks(path: Path) -> list[tuple[int, int]]:
    """Read the peaks on chr2R, 0-based half-open."""
    rows = [line.split() for line in path.read_text().splitlines()]
    return [(int(r[1]), int(r[2])) for r in rows if r and r[0] == "chr2R"]


def merged(peaks: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join overlapping peaks."""
    result: list[tuple[int, int]] = []
    for start, end in sorted(peaks):
        if result and start < result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return result


def write_peaks(sources: list[Path], target: Path) -> list[tuple[int, int]]:
    """Write, and return, the peaks of the test part that either cell type has."""
    peaks = merged([peak for path in sources for peak in read_peaks(path)])
    tested = [peak for peak in peaks if peak[0] >= TEST_START]
    lines = [f"chr2R\t{s}\t{e}\tsuhw_{i}\t0\t." for i, (s, e) in enumerate(tested, 1)]
    target.write_text("\n".join(lines) + "\n")
    return tested


def write_windows(sequence: str, peaks: list[tuple[int, int]], target: Path) -> None:
    """Write windows around the midpoints of the first peaks, as the model takes them: the demo's."""
    lines = []
    for i, (start, end) in enumerate(peaks[:DEMONSTRATED], 1):
        first = (start + end) // 2 - WINDOW // 2
        lines.append(f">suhw_{i} chr2R:{first + 1}-{first + WINDOW}")
        lines.append(sequence[first : first + WINDOW])
    target.write_text("\n".join(lines) + "\n")


def write_matrix(database: Path, target: Path) -> None:
    """Write MA0533.1 in JASPAR format."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        number, name = connection.execute(
            "SELECT ID, NAME FROM MATRIX WHERE BASE_ID = 'MA0533' AND VERSION = 1"
        ).fetchone()
        rows = connection.execute("SELECT row, col, val FROM MATRIX_DATA WHERE ID = ?", (number,)).fetchall()
    counts = {(base, int(column)): value for base, column, value in rows}
    width = max(column for _, column in counts)
    lines = [f">MA0533.1\t{name}"]
    for base in "ACGT":
        values = " ".join(f"{counts[base, column]:6.0f}" for column in range(1, width + 1))
        lines.append(f"{base}  [{values} ]")
    target.write_text("\n".join(lines) + "\n")


def write_insects(target: Path) -> None:
    """Write JASPAR 2026's CORE motifs of insects in MEME format, from the package pyjaspar."""
    from pyjaspar import jaspardb

    found = jaspardb(release="JASPAR2026").fetch_motifs(collection="CORE", tax_group=["insects"])
    lines = ["MEME version 4", "", "ALPHABET= ACGT", "", "strands: + -", ""]
    lines += ["Background letter frequencies", "A 0.25 C 0.25 G 0.25 T 0.25", ""]
    for motif in sorted(found, key=lambda motif: motif.matrix_id):
        counts = np.array([motif.counts[base] for base in "ACGT"]).T
        lines.append(f"MOTIF {motif.matrix_id} {motif.name}")
        header = f"alength= 4 w= {len(counts)} nsites= {round(counts[0].sum())} E= 0"
        lines.append(f"letter-probability matrix: {header}")
        lines += [" ".join(f"{x:.6f}" for x in row / row.sum()) for row in counts]
        lines.append("")
    target.write_text("\n".join(lines))


def matrix_aurocs(
    sequence: str, peaks: list[tuple[int, int]], matrix: Path, shifts: tuple[int, ...]
) -> list[float]:
    """Separate peaks, moved by each shift (bp), from ten random intervals of their widths each.

    An interval scores as its best match of the matrix on either strand. If coordinates and sequence are of
    the same assembly, the AUROC is high unmoved and near 0.5 moved.
    """
    with matrix.open() as stream:
        motif = motifs.read(stream, "jaspar")
    log_odds = motif.counts.normalize(pseudocounts=PSEUDOCOUNT).log_odds()
    strands = [m.calculate(sequence.upper()) for m in (log_odds, log_odds.reverse_complement())]
    best = np.nan_to_num(np.maximum(*strands), nan=-np.inf)

    def scores(starts: np.ndarray) -> np.ndarray:
        return np.array(
            [best[s : s + w - motif.length + 1].max() for s, w in zip(starts, widths, strict=True)]
        )

    peak_starts = np.array([start for start, _ in peaks])
    widths = np.array([end - start for start, end in peaks])
    rng = np.random.default_rng(0)
    random = np.concatenate(
        [scores(rng.integers(TEST_START, len(sequence) - 1000, len(peaks))) for _ in range(10)]
    )
    return [float((scores(peak_starts + shift)[:, None] > random).mean()) for shift in shifts]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("genome", type=Path, help="dm3 chr2R, FASTA")
    parser.add_argument("peaks_kc", type=Path, help="Su(Hw) peaks of Kc cells, BED")
    parser.add_argument("peaks_mbn2", type=Path, help="Su(Hw) peaks of Mbn2 cells, BED")
    parser.add_argument("jaspar", type=Path, help="JASPAR database, sqlite")
    given = parser.parse_args()
    sequence = str(SeqIO.read(given.genome, "fasta").seq)
    write_genome(sequence, HERE / "chr2R-15-21Mb.fa.gz")
    peaks = write_peaks([given.peaks_kc, given.peaks_mbn2], HERE / "suhw-peaks.bed")
    write_windows(sequence, peaks, HERE / "suhw-windows.fa")
    matrix = HERE / "suhw-MA0533.1.jaspar"
    write_matrix(given.jaspar, matrix)
    write_insects(HERE / "jaspar2026-insects.meme")
    shifts = (0, -500, 500)
    for shift, auroc in zip(shifts, matrix_aurocs(sequence, peaks, matrix, shifts), strict=True):
        print(f"{len(peaks)} peaks moved by {shift:+d} bp against random: matrix AUROC {auroc:.3f}")


if __name__ == "__main__":
    main()
