"""`sparselrp import` as users call it: complete folders or none, and one clear line for each mistake."""

import json
from pathlib import Path

import pytest
import torch
from helpers.commands import command, error_line

from sparselrp_cli.cli.main import run
from sparselrp_cli.model.formats import FORMATS, PARTS
from sparselrp_cli.model.importing import reader, writing
from sparselrp_cli.model.loading import load_model
from sparselrp_cli.model.request import ModelRequest

DATA = Path(__file__).parent / "data"
POOLED, STRANDED = DATA / "keras-pooled.h5", DATA / "bpnet-lite-stranded.torch"


def imports(*arguments: object) -> int:
    return command("import", *arguments)


def test_a_folder_is_written_loaded_again_and_named_with_the_next_step(tmp_path, capsys):
    folder = tmp_path / "pooled"
    assert imports(POOLED, "-o", folder, "--name", "enhancers") == 0
    expected = f"{folder}: windows of 50 bp, output enhancer (2); next: sparselrp inspect {folder}\n"
    assert capsys.readouterr().out == expected
    assert sorted(p.name for p in folder.iterdir()) == ["model.json", "weights.safetensors"]
    assert [p.name for p in tmp_path.iterdir()] == ["pooled"]
    model = load_model(ModelRequest(str(folder)))
    assert (model.name, model.window) == ("enhancers", 50)
    assert model.module(model.example()).shape == (2, 2)


def test_an_imported_model_can_be_inspected(tmp_path, capsys):
    folder = tmp_path / "pooled"
    assert imports(POOLED, "-o", folder) == 0
    capsys.readouterr()
    assert run(["inspect", str(folder), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["outputs"][0]["name"] == "enhancer"
    assert document["conservation_error"] < 1e-3


def test_importing_twice_gives_the_same_bytes(tmp_path):
    for name in ("first", "second"):
        assert imports(POOLED, "-o", tmp_path / name) == 0
    for file in ("model.json", "weights.safetensors"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()


def test_notes_are_said_and_kept_quiet_with_q(tmp_path, capsys):
    assert imports(STRANDED, "-o", tmp_path / "a") == 0
    assert "2 control tracks taken as zero" in capsys.readouterr().err
    assert imports(STRANDED, "-o", tmp_path / "b", "-q") == 0
    assert capsys.readouterr().err == ""


def test_whoever_reads_the_description_reads_the_weights(tmp_path):
    assert imports(POOLED, "-o", tmp_path / "net") == 0
    assert len({path.stat().st_mode for path in (tmp_path / "net").iterdir()}) == 1


def test_a_folder_that_is_there_is_replaced_only_with_force(tmp_path, capsys):
    folder = tmp_path / "model"
    assert imports(POOLED, "-o", folder) == 0
    before = (folder / "model.json").read_bytes()
    assert imports(STRANDED, "-o", folder) == 1
    assert "exists already; name another folder, or replace it with --force" in error_line(capsys)
    assert (folder / "model.json").read_bytes() == before
    assert imports(STRANDED, "-o", folder, "--force") == 0
    assert json.loads((folder / "model.json").read_text())["architecture"]["name"] == "bpnet"
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_force_never_removes_what_no_import_wrote(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert imports(POOLED, "-o", tmp_path, "--force") == 1
    assert "holds 'thesis.txt', which no import wrote" in error_line(capsys)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_failure_leaves_the_old_folder_and_nothing_else(tmp_path, capsys, monkeypatch):
    folder = tmp_path / "model"
    assert imports(POOLED, "-o", folder) == 0
    before = (folder / "weights.safetensors").read_bytes()
    right = writing.load_model

    def wrong(request):
        model = right(request)
        for parameter in model.module.parameters():
            torch.nn.init.constant_(parameter, 1.0)
        return model

    monkeypatch.setattr(writing, "load_model", wrong)
    assert imports(POOLED, "-o", folder, "--force") == 1
    assert "of the written folder differs by" in error_line(capsys)
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    assert (folder / "weights.safetensors").read_bytes() == before


def test_a_file_of_no_known_format_is_refused(tmp_path, capsys):
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    assert imports(path, "-o", tmp_path / "model") == 1
    assert error_line(capsys).endswith(
        "not a format that is known by its content; import reads a Keras model (.h5), one of Keras 2.12 or"
        " later (.keras), a bpnet-lite checkpoint (.torch, .pt) or CI-SpliceAI's graph (.pb); name one with"
        " --format"
    )
    assert imports(tmp_path / "missing.h5", "-o", tmp_path / "model") == 1
    assert "missing.h5" in error_line(capsys)
    assert imports(tmp_path / "missing.h5", "-o", tmp_path / "model", "--format", "keras") == 1
    assert "no such file" in error_line(capsys)
    assert not (tmp_path / "model").exists()


def test_a_folder_below_none_is_refused(tmp_path, capsys):
    path = tmp_path / "file"
    path.write_text("")
    assert imports(POOLED, "-o", path / "model") == 1
    assert "can't be written" in error_line(capsys)


def test_the_command_names_the_formats_and_parts_there_are(capsys):
    assert imports("--help") == 0
    said = "".join(capsys.readouterr().out.split())  # lines break at hyphens, too
    assert f"[{'|'.join(['auto', *FORMATS])}]" in said
    assert f"[{'|'.join(PARTS)}]" in said
    assert all(row.what.replace(" ", "") in said for row in FORMATS.values())


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_its_reader_in_a_module_of_its_own(name):
    modules = [reader(other).__module__ for other in FORMATS]
    assert callable(reader(name))
    assert modules.count(reader(name).__module__) == 1


def test_help_says_that_no_code_runs(capsys):
    assert imports("--help") == 0
    assert "no code in it runs" in capsys.readouterr().out
