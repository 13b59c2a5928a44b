"""Seqlets: the null, p and q values, places."""

import numpy as np
import pytest
from helpers.archives import write_archive
from motifs.planted import planted_archive, planted_rows

from sparselrp_cli.errors import InputError, OutputError
from sparselrp_cli.motifs.null import fit_null, q_values, require_same_explanation
from sparselrp_cli.motifs.seqlets import call_seqlets
from sparselrp_cli.outputs.archive import ArchiveReader


def slow_q_values(p):
    """By the definition: the smallest rate at which a test would be called."""
    ordered = np.sort(p)
    rates = ordered * len(p) / np.arange(1, len(p) + 1)
    return [min(1.0, rates[ordered >= x].min()) for x in p]


def test_q_values_are_those_of_the_definition():
    p = np.random.default_rng(0).random(200) ** 3
    assert np.allclose(q_values(p), slow_q_values(p))


def test_q_values_of_the_smallest_alone_need_the_number_of_tests():
    p = np.random.default_rng(1).random(500) ** 3
    assert np.allclose(q_values(p[p < 0.1], len(p)), q_values(p)[p < 0.1])


def test_p_values_of_the_null_itself_are_uniform(tmp_path):
    """A null of one half of noise windows, asked about the other half."""
    one, _ = planted_archive(tmp_path / "one.h5", n=300, sites=(), seed=1)
    two, _ = planted_archive(tmp_path / "two.h5", n=300, sites=(), seed=2)
    with ArchiveReader(one) as first, ArchiveReader(two) as second:
        p = fit_null(first, "background", 1).p_values(fit_null(second, "background", 1).sample)
    for level in (0.5, 0.1, 0.01):
        share = (p <= level).mean()
        assert abs(share - level) < 4 * np.sqrt(level * (1 - level) / len(p)) + 0.1 * level


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("kind", ["background", "permuted"])
def test_planted_sites_are_found_and_little_else(tmp_path, sign, kind):
    path, places = planted_archive(tmp_path / "planted.h5", sign=sign)
    noise, _ = planted_archive(tmp_path / "noise.h5", sites=(), seed=9)
    with ArchiveReader(path) as reader, ArchiveReader(noise) as background:
        null = fit_null(background if kind == "background" else reader, kind, sign)
        found = call_seqlets(reader, null, sign)
    overlaps = [
        any(
            r == row and s < end and e > start
            for r, s, e in zip(found.row, found.start, found.end, strict=True)
        )
        for row, start, end in places
    ]
    assert np.mean(overlaps) > 0.95
    assert len(found) < 1.2 * len(places)
    assert (np.sign(found.relevance) == sign).all()


def test_noise_alone_gives_hardly_a_seqlet(tmp_path):
    path, _ = planted_archive(tmp_path / "a.h5", n=300, sites=(), seed=3)
    noise, _ = planted_archive(tmp_path / "b.h5", n=300, sites=(), seed=4)
    with ArchiveReader(path) as reader, ArchiveReader(noise) as background:
        assert len(call_seqlets(reader, fit_null(background, "background", 1), 1)) <= 3


def test_a_site_in_two_windows_is_one_seqlet(tmp_path):
    rows, places = planted_rows(60)
    archive = write_archive(tmp_path / "once.h5", rows, sizes={"chr": 10**6})
    twice = write_archive(tmp_path / "twice.h5", _concatenated(rows), sizes={"chr": 10**6})
    found = []
    for path in (archive, twice):
        with ArchiveReader(archive) as once, ArchiveReader(path) as reader:
            found.append(call_seqlets(reader, fit_null(once, "permuted", 1), 1))
    assert len(found[1]) == len(found[0]) >= len(places)


def _concatenated(rows):
    from dataclasses import replace

    return replace(
        rows,
        windows=[*rows.windows, *rows.windows],
        one_hot=np.concatenate([rows.one_hot] * 2),
        hypothetical=np.concatenate([rows.hypothetical] * 2, axis=1),
        accounting={name: np.concatenate([x, x], axis=1) for name, x in rows.accounting.items()},
        n_unknown=np.concatenate([rows.n_unknown] * 2),
    )


def test_too_few_segments_for_a_null_is_said(tmp_path):
    path, _ = planted_archive(tmp_path / "few.h5", n=1)
    with ArchiveReader(path) as reader, pytest.raises(InputError, match="too few for a null"):
        fit_null(reader, "permuted", 1)


def test_a_background_of_other_options_is_refused(tmp_path):
    rows, _ = planted_rows(5)
    manifests = [{"schema_version": 1, "model": {"name": "m"}, "settings": {"prune": p}} for p in (0, 0.25)]
    paths = [
        write_archive(tmp_path / f"{i}.h5", rows, sizes={"chr": 10**6}, manifest=manifest)
        for i, manifest in enumerate(manifests)
    ]
    with ArchiveReader(paths[0]) as ours, ArchiveReader(paths[1]) as other:
        assert require_same_explanation(ours, ours, 0) == 0
        with pytest.raises(OutputError, match=r"made with prune 0\.25"):
            require_same_explanation(ours, other, 0)
