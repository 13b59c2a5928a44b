"""Files are known by name, size and SHA-256."""

import hashlib
import os

import pytest

from sparselrp_cli.files.digest import FileEntry, sha256

CONTENT = b"ACGT" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def test_the_checksum_is_that_of_the_bytes(tmp_path):
    (tmp_path / "file").write_bytes(CONTENT)

    assert sha256(tmp_path / "file") == DIGEST


def test_a_file_is_described_by_its_name_size_and_checksum(tmp_path):
    (tmp_path / "file").write_bytes(CONTENT)
    entry = FileEntry.of(tmp_path / "file")

    assert entry.to_json() == {"file": "file", "bytes": 4000, "sha256": DIGEST}
    assert FileEntry.from_json(entry.to_json()) == entry


def test_a_pipe_is_described_by_its_path_alone(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    entry = FileEntry.of(tmp_path / "pipe")

    assert entry.to_json() == {"file": str(tmp_path / "pipe")}
    assert FileEntry.from_json(entry.to_json()) == entry


@pytest.mark.parametrize(
    "entry", [None, {}, {"file": 3}, {"file": "a", "bytes": 3}, {"file": "a", "sha256": 1}]
)
def test_what_describes_no_file_is_refused(entry):
    with pytest.raises(ValueError, match="a file is described by"):
        FileEntry.from_json(entry)
