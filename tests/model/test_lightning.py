"""Lightning checkpoints: their classes are called with what they keep; what isn't data stays unread."""

import argparse
import collections
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.commands import attribute, command, error_line, table, write
from torch import nn

from sparselrp_cli.errors import ModelError
from sparselrp_cli.model.hyper_parameters import read_hyper_parameters
from sparselrp_cli.model.loading import LoadedModel, load_model
from sparselrp_cli.model.plain_objects import plain
from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.model.unpickling import Stub, foreign_class, read_checkpoint

DATA = Path(__file__).parent / "data"
GENUINE = DATA / "lightning.ckpt"
CODE = '''
import torch
from torch import nn


class Net(nn.Module):
    """By name and shape the network of data/make_lightning.py, without Lightning."""

    window = 30

    def __init__(self, channels, width=7, act=None, **more):
        super().__init__()
        self.scan = nn.Conv1d(4, channels, width)
        self.head = nn.Linear(channels, 2)
        self.act = act or torch.relu
        self.more = more

    def forward(self, x):
        return self.head(self.act(self.scan(x)).amax(2))


class Named(Net):
    def __init__(self, channels, width=7):
        super().__init__(channels, width)


class Whole(Net):
    def __init__(self, hparams):
        super().__init__(hparams.channels, hparams["width"])
        if hparams.get("loss_is_used"):
            self.loss = hparams.loss


class Config(Net):
    def __init__(self, config):
        super().__init__(config["channels"], config.model.width)


def build(channels, width):
    return Net(channels, width)


def small():
    return Net(6, 5)
'''


def criterion(x: torch.Tensor) -> torch.Tensor:
    """Stands for an object of the user's code."""
    return x


@pytest.fixture(scope="module")
def code(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("code") / "net.py"
    path.write_text(CODE)
    return path


@pytest.fixture
def saved(tmp_path, code):
    """Write a checkpoint as Lightning does, of the network that the class `Net` makes."""

    def written(values: object, **more: object) -> Path:
        torch.manual_seed(0)
        state = nn.ModuleDict({"scan": nn.Conv1d(4, 6, 5), "head": nn.Linear(6, 2)}).state_dict()
        document = {"pytorch-lightning_version": "2.6", "state_dict": state, "hyper_parameters": values}
        torch.save({**document, **more}, tmp_path / "net.ckpt")
        return tmp_path / "net.ckpt"

    return written


def loaded(path: Path, code: Path, name: str = "Net", *, trust: bool = False) -> LoadedModel:
    return load_model(ModelRequest(str(path), trust=trust, model_class=f"{code}:{name}"))


SIZES = {"channels": 6, "width": 5}


@pytest.mark.parametrize("name", ["Net", "Named"])
@pytest.mark.parametrize("way", ["--model-class", "-w"])
def test_a_genuine_checkpoint_computes_what_its_model_did(code, name, way):
    reference = f"{code}:{name}"
    if way == "-w":
        model = load_model(ModelRequest(reference, GENUINE))
    else:
        model = load_model(ModelRequest(str(GENUINE), model_class=reference))
    with np.load(DATA / "lightning.npz") as given, torch.no_grad():
        np.testing.assert_allclose(model.module(torch.from_numpy(given["x"])), given["y"], atol=1e-6)
    assert model.files == (code, GENUINE)
    taken = "channels=6, width=5" + (", lr=0.001, folder='runs'" if name == "Net" else "")
    assert model.notes[0].startswith(f"{reference}: called with the hyper-parameters of {GENUINE}: {taken}")
    left = "; others aren't parameters of it (lr, folder)"
    assert model.notes[0].endswith(left) == (name == "Named")
    assert model.notes[-1] == f"{GENUINE}: weights are taken from 'state_dict'"


def test_the_genuine_class_itself_is_called_where_lightning_is_installed():
    pytest.importorskip("pytorch_lightning")
    model = load_model(ModelRequest(str(GENUINE), window=30, model_class=f"{DATA / 'make_lightning.py'}:Net"))
    with np.load(DATA / "lightning.npz") as given, torch.no_grad():
        np.testing.assert_allclose(model.module(torch.from_numpy(given["x"])), given["y"], atol=1e-6)


class AttributeDict(dict):
    """Pickled as Lightning's own."""


FORMS = {
    "a dictionary": SIZES,
    "a namespace": argparse.Namespace(**SIZES),
    "Lightning's dictionary": AttributeDict(SIZES),
    "numbers of NumPy": {"channels": np.int64(6), "width": np.int32(5)},
    "a dictionary with a default": collections.defaultdict(int, SIZES),
}


@pytest.mark.parametrize("values", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize(
    ("name", "named"), [("Net", "kwargs"), ("Whole", "hparams"), ("Whole", None), ("build", "kwargs")]
)
def test_hyper_parameters_are_read_in_every_form_that_lightning_saves(saved, code, values, name, named):
    model = loaded(saved(values, hparams_name=named), code, name)
    assert (model.module.scan.out_channels, model.module.scan.kernel_size) == (6, (5,))


def test_a_function_that_needs_no_arguments_is_called_without(saved, code):
    model = loaded(saved({"channels": 3, "width": 3}), code, "small")
    assert model.module.scan.out_channels == 6


def test_nested_hyper_parameters_are_read_by_attribute_and_by_item(saved, code):
    assert loaded(saved({"channels": 6, "model": {"width": 5}}), code, "Config").module.scan.kernel_size == (
        5,
    )


def test_objects_among_the_hyper_parameters_stop_only_the_class_that_takes_them(saved, code):
    path = saved({**SIZES, "act": criterion})
    assert loaded(path, code, "Named").module.scan.out_channels == 6
    with pytest.raises(ModelError) as caught:
        loaded(path, code)
    assert str(caught.value) == (
        f"{code}:Net: its hyper-parameter 'act' is {criterion.__module__}.criterion, an object that isn't"
        " made from a file; write a factory that gives it, or add --trust-model if you trust the checkpoint"
    )
    given = f"channels=6, width=5, act=<{criterion.__module__}.criterion>"
    assert caught.value.example == ("from net import Net", "def build():", f"    return Net({given})")


def test_objects_are_made_where_the_checkpoint_is_trusted(saved, code):
    assert loaded(saved({**SIZES, "act": torch.sigmoid}), code, trust=True).module.act is torch.sigmoid


@pytest.mark.parametrize("used", [False, True])
def test_of_hyper_parameters_taken_as_one_those_that_are_objects_cant_be_read(saved, code, used):
    path = saved({**SIZES, "loss": criterion, "loss_is_used": used}, hparams_name="hparams")
    if not used:
        assert loaded(path, code, "Whole").module.scan.out_channels == 6
        return
    with pytest.raises(ModelError) as caught:
        loaded(path, code, "Whole")
    assert str(caught.value).endswith(
        f"AttributeError: hyper-parameter 'loss' is {criterion.__module__}.criterion, an object that isn't"
        " made from a file"
    )


def test_what_lightnings_command_line_would_make_isnt_made(saved, code):
    made = {"class_path": "losses.Poisson", "init_args": {}}
    path = saved({**SIZES, "act": made, "_instantiator": "lightning.pytorch.cli.instantiate_module"})
    with pytest.raises(ModelError, match=r"its hyper-parameter 'act' is losses\.Poisson, an object that"):
        loaded(path, code)


def test_configurations_of_omegaconf_are_read_as_data(code):
    found = read_hyper_parameters(read_checkpoint(DATA / "omegaconf.ckpt"))
    assert {name: value for name, value in found.values.items() if name != "also"} == {
        "channels": 6, "model": {"width": 5}, "rates": [0.1, 0.2], "act": None,
    }  # fmt: skip
    assert found.whole == "config"
    assert foreign_class(found.values["also"]) == "omegaconf.nodes.AnyNode"


def stand_in(path: str, *arguments: object, state: object = None) -> Stub:
    made = type(path.rpartition(".")[2], (Stub,), {"path": path})(*arguments)
    made.__setstate__(state)
    return made


@pytest.mark.parametrize(
    ("stub", "value"),
    [
        (stand_in("types.SimpleNamespace", state={"a": 1}), {"a": 1}),
        (stand_in("pathlib._local.PosixPath", "runs", "one"), "runs/one"),
        (stand_in("omegaconf.nodes.IntegerNode", state={"_val": 3}), 3),
        (type("float16", (Stub,), {"path": "torch.float16"}), torch.float16),
    ],
    ids=["namespace", "path", "node", "type of torch"],
)
def test_objects_that_are_data_are_read(stub, value):
    assert plain({"x": [stub]}) == {"x": [value]}


@pytest.mark.parametrize(
    "stub",
    [
        stand_in("nets.Loss", state={"a": 1}),
        stand_in("pathlib.PosixPath", 3),
        stand_in("omegaconf.dictconfig.DictConfig", state={"_content": "${model}"}),
        stand_in("numpy.core.multiarray.scalar", stand_in("numpy.dtype", "O8"), b"12345678"),
        stand_in("numpy.core.multiarray.scalar", stand_in("numpy.dtype", "i8"), b"123"),
        stand_in("numpy.core.multiarray.scalar", 1, 2),
        type("manual_seed", (Stub,), {"path": "torch.manual_seed"}),
    ],
    ids=["class", "path", "reference", "object", "too few bytes", "no type", "function of torch"],
)
def test_other_objects_stay_what_stands_for_them(stub):
    assert plain(stub) is stub


def test_a_small_file_that_would_be_a_large_value_is_refused():
    wide: list[object] = []
    for _ in range(20):
        wide = [wide, wide]
    with pytest.raises(ValueError, match="too many values"):
        plain(wide)
    assert read_hyper_parameters({"hyper_parameters": {"deep": wide}}).values == {}


OF_A_CHECKPOINT = (
    "{path}: a Lightning checkpoint, which holds weights and hyper-parameters (channels=6, width=5), but not"
    " the model's code; name its class with --model-class FILE.py:CLASS, or write these lines to build.py and"
    " give -m build.py:build -w {path}"
)
FACTORY = ("from PACKAGE.MODULE import CLASS", "def build():", "    return CLASS(channels=6, width=5)")


@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".pth", ".torch", ".bin"])
def test_without_a_class_the_message_has_a_factory(tmp_path, saved, suffix):
    path = saved(SIZES).rename(tmp_path / f"net{suffix}")
    with pytest.raises(ModelError) as caught:
        load_model(ModelRequest(str(path)))
    assert str(caught.value) == OF_A_CHECKPOINT.format(path=path)
    assert caught.value.example == FACTORY


def test_the_factory_of_the_message_works_as_it_is_printed(tmp_path, saved, capsys, monkeypatch):
    path = saved(SIZES)
    assert command("inspect", path) == 1
    said, *lines = capsys.readouterr().err.splitlines()
    assert said == f"sparselrp: error: {OF_A_CHECKPOINT.format(path=path)}"
    assert tuple(lines) == FACTORY
    write(tmp_path / "net.py", CODE)
    write(tmp_path / "build.py", "\n".join(lines).replace("PACKAGE.MODULE", "net").replace("CLASS", "Net"))
    monkeypatch.chdir(tmp_path)
    assert load_model(ModelRequest("build.py:build", path)).module.scan.out_channels == 6


def test_of_hyper_parameters_taken_as_one_the_factory_makes_one(saved):
    with pytest.raises(ModelError) as caught:
        load_model(ModelRequest(str(saved(SIZES, hparams_name="hparams"))))
    assert caught.value.example[-1] == "    return CLASS(hparams=dict(channels=6, width=5))"


def test_a_checkpoint_without_hyper_parameters_says_so(tmp_path):
    path = tmp_path / "net.ckpt"
    torch.save({"pytorch-lightning_version": "2.6", "state_dict": {"w": torch.ones(1)}}, path)
    with pytest.raises(ModelError, match="which holds weights, and no hyper-parameters, but not the model's"):
        load_model(ModelRequest(str(path)))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("-m", "{code}:Net", "--model-class", "{code}:Net"),
            "{code}:Net: --model-class goes with a checkpoint",
        ),
        (
            ("-m", "{path}", "--model-class", "{code}:Net", "-w", "{path}"),
            "{path}: --model-class goes with a checkpoint",
        ),
        (("-m", "{path}.nowhere.ckpt", "--model-class", "{code}:Net"), "{path}.nowhere.ckpt: no such file"),
        (("-m", "{folder}", "--model-class", "{code}:Net"), "{folder}: --model-class goes with a checkpoint"),
        (
            ("-m", "{path}", "--model-class", "Net"),
            "--model-class 'Net': write PACKAGE.MODULE:CLASS or FILE.py:CLASS",
        ),
        (("-m", "{path}", "--model-class", "{code}:No"), "{code}:No: {code} has no function or class 'No'"),
    ],
    ids=["a factory", "weights too", "no file", "a folder", "no module", "no such class"],
)
def test_a_class_that_goes_with_nothing_is_refused(tmp_path, saved, code, capsys, words, message):
    names = {"code": code, "path": saved(SIZES), "folder": tmp_path}
    given = [word.format(**names) for word in words]
    assert command("attribute", write(tmp_path / "a.fa", ">a\nACGT\n"), *given, "-o", tmp_path / "o") == 1
    assert message.format(**names) in error_line(capsys)


def test_a_run_of_a_checkpoint_and_its_class_is_that_of_a_factory_with_weights(tmp_path, code, saved):
    path, fasta = saved(SIZES), write(tmp_path / "a.fa", ">a\nACGTTGCATTAGCCATAGGCATTAGCAACG\n")
    ways = {"one": ("-m", path, "--model-class", f"{code}:Net"), "two": ("-m", f"{code}:Net", "-w", path)}
    for name, words in ways.items():
        assert attribute(fasta, *words, "-t", "0", "-o", tmp_path / name, "-q") == 0
    assert table(tmp_path / "one.windows.tsv") == table(tmp_path / "two.windows.tsv")


def test_several_checkpoints_have_one_class(tmp_path, code, saved):
    fasta = write(tmp_path / "a.fa", ">a\nACGTTGCATTAGCCATAGGCATTAGCAACG\n")
    words = ("-m", saved(SIZES), "-m", GENUINE, "--model-class", f"{code}:Net")
    assert attribute(fasta, *words, "-t", "0", "-o", tmp_path / "o", "-q") == 0
    assert "score_sd" in table(tmp_path / "o.windows.tsv")[0]
