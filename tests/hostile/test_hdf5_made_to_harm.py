"""HDF5 made to harm, as archives and as Keras models: each ends in one line, in little memory."""

import pickle
import resource
import zlib

import h5py
import numpy as np
import pytest
from helpers import keras_files
from helpers.archives import random_places, random_rows, write_archive
from helpers.commands import command

from sparselrp_cli.errors import ModelError, OutputError
from sparselrp_cli.files.hdf5 import attribute, holds_its_text
from sparselrp_cli.model.importing.imported import ImportRequest
from sparselrp_cli.model.importing.keras import import_keras
from sparselrp_cli.outputs.archive import ArchiveReader

MB = 1 << 20
TEXT = h5py.string_dtype()


def one_text(file, text):
    """Keep a text in the file, and give what refers to it."""
    dataset = file.create_dataset("one", (1,), TEXT, chunks=(1,))
    dataset[0] = text
    file.flush()
    _, reference = dataset.id.read_direct_chunk((0,))
    del file["one"]
    return reference


def repeated(file, name, text, count, packed=True):
    """Make a dataset of texts which are all one in the file."""
    reference = one_text(file, text)
    more = {"compression": "gzip", "shuffle": True} if packed else {}
    dataset = file.create_dataset(name, (count,), TEXT, chunks=(count,), **more)
    raw = np.frombuffer(reference * count, np.uint8)
    shuffled = raw.reshape(count, -1).T.tobytes()
    dataset.id.write_direct_chunk((0,), zlib.compress(shuffled) if packed else raw.tobytes(), 0)


def nested(depth):
    return "[" * depth + "]" * depth


def set_attribute(name, value, **more):
    def change(file):
        del file.attrs[name]
        file.attrs.create(name, value, **more)

    return change


def set_reference(name):
    return lambda file: file.attrs.__setitem__(name, file[next(iter(file))].ref)


def link(name, to):
    def change(file):
        if name in file:
            del file[name]
        file[name] = to

    return change


def many_chromosomes(packed):
    def change(file):
        del file["chrom_names"], file["chrom_sizes"]
        repeated(file, "chrom_names", "x" * 20 * MB, 4096, packed)
        file["chrom_sizes"] = np.full(4096, 100)

    return change


def many_names(file):
    del file["names"]
    repeated(file, "names", "x" * 50 * MB, len(file["score"]))


PICKLE = np.void(pickle.dumps({"a": [1] * 1000}))
ATTRIBUTES = {
    "a pickle": PICKLE,
    "texts": np.array(["a", "b"], dtype=object),
    "a compound": np.array([(1, 2.0)], dtype=[("a", int), ("b", float)])[0],
    "a number": 5,
    "nested lists": nested(100_000),
    "text that isn't UTF-8": b"\xff\xfe{}",
    "17 MiB of lists": "[" + "[]," * (6 * MB) + "[]]",
    "nothing": h5py.Empty("S1"),
}
ARCHIVES = {
    **{
        f"{name} of {what}": (set_attribute(name, value), f"attribute '{name}' is damaged")
        for name in ("target_names", "manifest")
        for what, value in ATTRIBUTES.items()
    },
    "a manifest that refers to an object": (set_reference("manifest"), "attribute 'manifest' is damaged"),
    "a version of a pickle": (set_attribute("schema_version", PICKLE), "isn't a sparselrp archive"),
    "a version that refers to an object": (set_reference("schema_version"), "isn't a sparselrp archive"),
    "80 GB of names of chromosomes, packed": (many_chromosomes(True), "'chrom_names' holds less than it"),
    "80 GB of names of chromosomes": (many_chromosomes(False), "'chrom_names' holds less than it declares"),
    "names of 50 MB each": (many_names, "dataset 'names' holds less than it declares"),
    "scores in another file": (link("score", h5py.ExternalLink("/etc/passwd", "x")), "no dataset 'score'"),
    "scores that refer to themselves": (link("score", h5py.SoftLink("/score")), "no dataset 'score'"),
}


def read_archive(path):
    """Read what commands read of an archive."""
    with ArchiveReader(path) as reader:
        assert reader.manifest
        assert reader.chrom_sizes
        reader.rows(slice(0, reader.n_windows))
        reader.names(np.arange(reader.n_windows)[::2])


def read_keras(path):
    import_keras(path, ImportRequest())


def check_refusal(path, read, change, error, expected):
    """A file that is read is refused once it is changed: in one line, and without much memory."""
    read(path)
    with h5py.File(path, "r+", libver="latest") as file:
        change(file)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(error, match=expected) as refused:
        read(path)
    assert "\n" not in str(refused.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400 << 10  # KiB


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_made_to_harm_is_refused(tmp_path, name):
    change, expected = ARCHIVES[name]
    path = write_archive(tmp_path / "run.h5", random_rows(random_places(8), 20))
    check_refusal(path, read_archive, change, OutputError, expected)


@pytest.mark.parametrize("change", ["a version of a pickle", "target_names of nested lists"])
@pytest.mark.parametrize(
    "words",
    [("export",), ("merge", "-o", "new"), ("motifs", "-o", "new"), ("report", "-o", "new.html")],
    ids=lambda words: words[0],
)
def test_commands_end_in_that_line(tmp_path, monkeypatch, capsys, words, change):
    monkeypatch.chdir(tmp_path)
    path = write_archive(tmp_path / "run.h5", random_rows(random_places(8), 20))
    change, expected = ARCHIVES[change]
    with h5py.File(path, "r+", libver="latest") as file:
        change(file)
    name, *rest = words
    assert command(name, path, *rest, "-q") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert expected in line
    assert [made.name for made in tmp_path.iterdir()] == ["run.h5"]


def a_keras_model(path):
    layers = [keras_files.SEQUENCE, keras_files.flatten("dna"), keras_files.dense("head", "flat")]
    return keras_files.write(path, layers, ["head"])


def in_head(change):
    return lambda file: change(file["model_weights/head"])


def weights_of_text(file):
    group = file["model_weights/head/head_1"]
    del group["kernel:0"]
    repeated(file, "model_weights/head/head_1/kernel:0", "1" * 20 * MB, 4096)


def kernel_elsewhere(to):
    return lambda file: link("kernel:0", to)(file["model_weights/head/head_1"])


MISSING = "weights 'head/head_1/kernel:0' are missing or damaged"
MODELS = {
    **{
        f"a configuration of {what}": (set_attribute("model_config", value), expected)
        for what, value, expected in (
            ("a pickle", PICKLE, "holds no whole Keras model"),
            ("a compound", ATTRIBUTES["a compound"], "holds no whole Keras model"),
            ("nested lists", nested(100_000), "its 'model_config' isn't JSON"),
            ("17 MiB of lists", ATTRIBUTES["17 MiB of lists"], "is larger than that of any model"),
            ("numbers", np.arange(100), "its 'model_config' isn't JSON"),
            ("nothing", ATTRIBUTES["nothing"], "its 'model_config' isn't JSON"),
        )
    },
    "a configuration that refers to an object": (set_reference("model_config"), "holds no whole Keras model"),
    "names of weights of a pickle": (in_head(set_attribute("weight_names", PICKLE)), "has no 'kernel'"),
    "names of weights that refer": (in_head(set_reference("weight_names")), "has no 'kernel'"),
    "a name of weights of numbers": (in_head(set_attribute("weight_names", 5)), "weights 'head/5' are miss"),
    "weights of 80 GB of text": (weights_of_text, MISSING),
    "weights in another file": (kernel_elsewhere(h5py.ExternalLink("/etc/passwd", "x")), MISSING),
    "weights at themselves": (
        kernel_elsewhere(h5py.SoftLink("/model_weights/head/head_1/kernel:0")),
        MISSING,
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_keras_model_made_to_harm_is_refused(tmp_path, name):
    change, expected = MODELS[name]
    path = a_keras_model(tmp_path / "model.h5")
    check_refusal(path, read_keras, change, ModelError, expected)


def test_plain_attributes_are_read(tmp_path):
    values = {"text": "a", "bytes": b"ab", "number": 5, "numbers": np.arange(3), "texts": ["a", "bc"]}
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs.update(values)
        assert attribute(file, "text") == "a"
        assert attribute(file, "number") == 5
        assert attribute(file, "bytes") == "ab"
        assert attribute(file, "numbers").tolist() == [0, 1, 2]
        assert attribute(file, "texts").tolist() == ["a", "bc"]
        assert attribute(file, "missing") is None


def test_an_attribute_of_many_texts_in_a_large_file_is_not_read(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w", libver="latest") as file:
        file.attrs["names"] = ["x"] * 1000
        file["large"] = np.zeros(MB, np.uint8)
        file.flush()
        assert attribute(file, "names") is None


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"chunks": (3,)},
        {"chunks": (4,), "maxshape": (None,)},
        {"chunks": (3,), "compression": "gzip"},
        {"chunks": (4,), "compression": "gzip", "shuffle": True},
    ],
)
def test_texts_that_are_each_in_the_file_are_read_however_they_are_packed(tmp_path, given):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        texts = [str(i) * i for i in range(10)]
        dataset = file.create_dataset("texts", data=texts, dtype=TEXT, **given)
        file.flush()
        assert holds_its_text(dataset, [slice(0, 10)])
        assert holds_its_text(dataset, [slice(2, 3), slice(5, 10)])
        repeated(file, "same", "x" * 10_000, 100, packed="compression" in given)
        file.flush()
        assert not holds_its_text(file["same"], [slice(0, 1)])
