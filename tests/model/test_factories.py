"""Factories: random weights are refused, NaN is named, and a model's neighbours are its own."""

import importlib
import logging
import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sparselrp_cli.errors import ModelError
from sparselrp_cli.model.loading import LoadedModel, load_model
from sparselrp_cli.model.neighbours import Neighbours
from sparselrp_cli.model.request import ModelRequest

NET = """
import random
import numpy as np
import torch
from torch import nn

class Net(nn.Module):
    window = 12
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.scan = nn.Conv1d(4, 3, 5)
    def forward(self, x):
        return self.scan(x).amax(-1)
"""


@pytest.fixture
def model(tmp_path):
    """Write a file with a network and more, and load its `build`."""

    def loaded(more: str, weights: dict | None = None, name: str = "model.py") -> LoadedModel:
        (tmp_path / name).write_text(NET + more)
        path = None
        if weights is not None:
            path = tmp_path / "weights.safetensors"
            save_file(weights, path)
        return load_model(ModelRequest(f"{tmp_path / name}:build", path))

    return loaded


DRAWN = {
    "a parameter": (
        "def build():\n    net = Net(); torch.seed(); nn.init.normal_(net.scan.weight); return net",
        "'scan.weight'; 1 of 2 tensors",
    ),
    "by torch's generator": (
        "def build():\n    net = nn.Sequential(nn.Conv1d(4, 2, 3)); net.window = 9; return net",
        "'0.weight'; 2 of 2 tensors",
    ),
    "by numpy": (
        "def build():\n    net = Net(); net.scan.bias.data[:] = torch.tensor(np.random.rand(3)); return net",
        "'scan.bias'; 1 of 2 tensors",
    ),
    "by Python": (
        "def build():\n    net = Net(); net.scan.bias.data[0] = random.random(); return net",
        "'scan.bias'; 1 of 2 tensors",
    ),
    "when the file is imported": (
        "W = torch.randn(3)\ndef build():\n    net = Net(); net.scan.bias.data[:] = W; return net",
        "'scan.bias'; 1 of 2 tensors",
    ),
    "once, and kept": (
        "NET = nn.Conv1d(4, 3, 5)\nNET.window = 9\ndef build():\n    return NET",
        "'weight'; 2 of 2 tensors",
    ),
    "a buffer that forward reads": (
        "class More(Net):\n    def __init__(self):\n        super().__init__(); torch.seed()\n"
        "        self.register_buffer('noise', torch.randn(3))\n"
        "    def forward(self, x):\n        return super().forward(x) + self.noise\nbuild = More",
        "'noise'; 1 of 3 tensors",
    ),
    "a tensor that is neither": (
        "class More(Net):\n    def __init__(self):\n        super().__init__(); torch.seed()\n"
        "        self.tables = [torch.randn(3)]\n"
        "    def forward(self, x):\n        return super().forward(x) + self.tables[0]\nbuild = More",
        "'tables'; 1 of 3 tensors",
    ),
    "the number of channels": (
        "def build():\n    n = random.getrandbits(20) % 9999 + 1; net = nn.Conv1d(4, n, 1); net.window = 9\n"
        "    nn.init.zeros_(net.weight); nn.init.zeros_(net.bias); return net",
        "'weight'; 2 of 2 tensors",
    ),
}


@pytest.mark.parametrize(("code", "what"), DRAWN.values(), ids=DRAWN)
def test_a_factory_whose_weights_differ_is_refused_with_what_differs(model, tmp_path, code, what):
    with pytest.raises(ModelError) as caught:
        model(code)
    assert str(caught.value) == (
        f"{tmp_path / 'model.py'}:build: weights differ from call to call ({what}), so they are random, not"
        " trained; give the trained ones with -w FILE, or load them in the factory"
    )


def test_a_factory_that_gives_the_same_twice_has_its_own_weights(model, tmp_path):
    assert model("build = Net").notes == (f"{tmp_path / 'model.py'}:build: the factory's own weights",)


AGREEING = {
    "a buffer that nothing reads": (
        "class More(Net):\n    def __init__(self):\n        super().__init__(); torch.seed()\n"
        "        self.register_buffer('made_at', torch.randn(1))\nbuild = More"
    ),
    "NaN that is in both": (
        "class More(Net):\n    def __init__(self):\n        super().__init__()\n"
        "        self.best = torch.tensor([float('nan')])\nbuild = More"
    ),
    "-inf in a mask": (
        "class More(Net):\n    def __init__(self):\n        super().__init__()\n"
        "        self.register_buffer('mask', torch.full((2,), float('-inf')))\nbuild = More"
    ),
}


@pytest.mark.parametrize("code", AGREEING.values(), ids=AGREEING)
def test_what_changes_no_output_isnt_refused(model, code):
    assert model(code).notes[-1].endswith("build: the factory's own weights")


WEIGHTS = {"scan.weight": torch.ones(3, 4, 5), "scan.bias": torch.zeros(3)}


def test_a_factory_with_weights_is_called_once(model):
    code = "CALLS = []\ndef build():\n    CALLS.append(1); assert len(CALLS) == 1; return Net()"
    loaded = model(code, WEIGHTS)
    assert torch.equal(loaded.module.scan.weight, WEIGHTS["scan.weight"])
    assert loaded.notes == ()


def test_what_the_weights_dont_hold_may_not_be_random_either(model, tmp_path):
    code = (
        "class More(Net):\n    def __init__(self):\n        super().__init__(); torch.seed()\n"
        "        self.register_buffer('noise', torch.randn(3), persistent=False)\n"
        "    def forward(self, x):\n        return super().forward(x) + self.noise\nbuild = More"
    )
    with pytest.raises(ModelError) as caught:
        model(code, WEIGHTS)
    assert str(caught.value) == (
        f"{tmp_path / 'model.py'}:build: 'noise' isn't among the weights and differs from call to call (1 of"
        " 1 such), so maps would be random; save it with the weights (register_buffer), or fix its seed"
    )


def test_recurrent_layers_with_weights_are_their_own(model, tmp_path):
    code = "def build():\n    net = nn.LSTM(4, 3); net.window = 9; return net"
    names = torch.nn.LSTM(4, 3).state_dict()
    assert torch.equal(model(code, names).module.weight_hh_l0, names["weight_hh_l0"])


def test_a_factory_that_goes_only_once_is_said_not_to_be_known(model, tmp_path, caplog):
    marker = tmp_path / "made"
    code = (
        f"def build():\n    import pathlib\n    pathlib.Path({str(marker)!r}).touch(exist_ok=False)\n"
        "    return Net()"
    )
    with caplog.at_level(logging.INFO, "sparselrp"):
        model(code)
    (line,) = caplog.messages
    assert line.endswith(
        "; this is at the second call, so whether its weights are random can't be told: give them with -w to"
        " be sure"
    )
    assert "calling it without arguments fails: FileExistsError" in line


def test_code_that_is_imported_only_once_is_called_twice(model, tmp_path):
    marker = tmp_path / "imported"
    code = f"import pathlib\npathlib.Path({str(marker)!r}).touch(exist_ok=False)\nbuild = Net"
    assert model(code).notes[-1].endswith("the factory's own weights")


def test_generators_of_random_numbers_are_left_as_they_were(model):
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    model("def build():\n    random.seed(5); np.random.seed(5); torch.rand(9); return Net()")
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.array_equal(np.random.get_state()[1], before[2])  # noqa: NPY002


DIVERGED = "training may have diverged: give weights from before that"
NOT_A_NUMBER = {
    "NaN in a parameter": (
        "def build():\n    net = Net(); net.scan.weight.data[0, 0, :2] = float('nan'); return net",
        "weights of 'scan.weight' hold NaN (2 of 60 values)",
    ),
    "infinite": (
        "def build():\n    net = Net(); net.scan.bias.data[1] = float('-inf'); return net",
        "weights of 'scan.bias' hold infinities (1 of 3 values)",
    ),
    "NaN in a buffer": (
        "def build():\n    net = Net(); net.register_buffer('mean', torch.tensor(float('nan'))); return net",
        "numbers of 'mean' hold NaN (1 of 1 value)",
    ),
}


def test_nan_in_weights_is_named_with_their_file(model, tmp_path):
    bias = torch.tensor([0.0, float("nan"), 1.0])
    with pytest.raises(
        ModelError, match=r"weights.safetensors: weights of 'scan.bias' hold NaN \(1 of 3 val"
    ):
        model("build = Net", {**WEIGHTS, "scan.bias": bias})


def test_a_lazy_layer_without_values_is_refused(model):
    with pytest.raises(ModelError, match=r"build: '0.weight' has no shape and no values yet; give the weigh"):
        model("def build():\n    return nn.Sequential(nn.LazyConv1d(3, 5))")


FAULTS = {
    "a name that isn't there": ("", "{path} has no function or class 'build'"),
    "a module that is made already": (
        "build = Net()",
        "'build' is a module, not what makes one; add a function to {path} that returns it, and name that",
    ),
    "arguments": (
        "def build(n): pass",
        "calling it without arguments fails: TypeError: build() missing 1 required positional argument: 'n';"
        " write a function without arguments that makes it, and name that",
    ),
    "no module": ("def build(): return 3", "gives a int, not a torch.nn.Module"),
    "an exit": (
        "def build(): raise SystemExit(2)",
        "calling it without arguments fails: it ends the program (exit code 2); put what it does as a script"
        " under if __name__ == '__main__'",
    ),
}


IMPORTS = {
    "a script that reads the command line": (
        "import argparse\nargparse.ArgumentParser().parse_args(['--unknown'])",
        "it ends the program (exit code 2); put what it does as a script under if __name__ == '__main__'",
    ),
    "a part of a package": (
        "from .layers import Scan",
        "ImportError: attempted relative import with no known parent package; it belongs to a package: name"
        " it {folder}.model:build, from the folder above",
    ),
    "a module that isn't there": (
        "import layers_of_no_one",
        "ModuleNotFoundError: No module named 'layers_of_no_one'",
    ),
}


WRONG = {
    **{name: (code, f":build: {what}; {DIVERGED}") for name, (code, what) in NOT_A_NUMBER.items()},
    **{name: (code, f":build: {what}") for name, (code, what) in FAULTS.items()},
    **{name: (code, f": importing it fails: {what}") for name, (code, what) in IMPORTS.items()},
}


@pytest.mark.parametrize(("code", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_a_file_or_its_factory_is_said(model, tmp_path, code, message):
    path = tmp_path / "model.py"
    with pytest.raises(ModelError) as caught:
        model(code)
    assert str(caught.value) == str(path) + message.format(path=path, folder=tmp_path.name)


@pytest.fixture
def python_as_it_was():
    """Say what of Python's own state must be the same afterwards."""
    paths, modules, finders = list(sys.path), dict(sys.modules), list(sys.meta_path)
    yield
    assert sys.path == paths
    assert sys.meta_path == finders
    changed = {name for name, module in modules.items() if sys.modules.get(name) is not module}
    assert changed == set()
    assert {"layers", "model", "statistics_of_mine", "mymodels"} & (
        sys.modules.keys() - modules.keys()
    ) == set()


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def of_size(channels: int) -> str:
    return NET.replace("nn.Conv1d(4, 3, 5)", f"nn.Conv1d(4, {channels}, 5)")


@pytest.fixture
def packages_without_files(tmp_path, monkeypatch):
    """A package `model` and within it another, neither with an `__init__.py`, imported before any model."""
    (tmp_path / "elsewhere" / "model" / "part").mkdir(parents=True)
    (tmp_path / "elsewhere" / "model" / "part" / "code.py").write_text("here = True")
    for name in [name for name in sys.modules if name.partition(".")[0] == "model"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))
    yield importlib.import_module("model.part.code")
    for name in ("model.part.code", "model.part", "model"):
        sys.modules.pop(name, None)


def test_a_file_may_have_the_name_of_a_package_without_a_file(tmp_path, packages_without_files):
    write(tmp_path / "fold", {"model.py": NET, "part.py": "x = 1"})
    for _ in range(2):
        load_model(ModelRequest(f"{tmp_path / 'fold' / 'model.py'}:Net"))
        assert importlib.import_module("model.part.code") is packages_without_files
        assert sys.modules["model.part"].code is packages_without_files
        assert not any(isinstance(finder, Neighbours) for finder in sys.meta_path)


@pytest.mark.usefixtures("python_as_it_was")
def test_neighbours_of_one_name_in_two_folders_are_each_folds_own(tmp_path):
    for fold, channels in (("fold0", 5), ("fold1", 6)):
        write(tmp_path / fold, {"layers.py": of_size(channels), "model.py": "from layers import Net"})
    loaded = [load_model(ModelRequest(f"{tmp_path / fold / 'model.py'}:Net")) for fold in ("fold0", "fold1")]
    assert [model.module.scan.out_channels for model in loaded] == [5, 6]


@pytest.mark.usefixtures("python_as_it_was")
def test_packages_of_one_name_in_two_folders_are_each_folds_own(tmp_path):
    """With what is within them, which later imports look for in Python's table."""
    body = (
        "from layers.scan import Net\nimport sys\ndef build():\n    import layers.scan\n"
        "    assert Net is layers.scan.Net is sys.modules['layers.scan'].Net\n    return Net()"
    )
    for fold, channels in (("fold0", 5), ("fold1", 6)):
        files = {"layers/__init__.py": "", "layers/scan.py": of_size(channels), "model.py": body}
        write(tmp_path / fold, files)
    asked = [ModelRequest(f"{tmp_path / fold / 'model.py'}:build") for fold in ("fold0", "fold1")]
    assert [load_model(each).module.scan.out_channels for each in asked] == [5, 6]
    assert not [name for name in sys.modules if name.partition(".")[0] == "layers"]


@pytest.mark.usefixtures("python_as_it_was")
@pytest.mark.parametrize("name", ["statistics", "queue", "random", "click", "numpy", "conftest", "parts"])
def test_a_neighbour_has_any_name_and_only_the_models_code_sees_it(tmp_path, name):
    body = f"{NET}\nimport {name}\ndef build():\n    import json\n    assert {name}.MINE\n    return Net()"
    write(tmp_path, {f"{name}.py": "MINE = True", "model.py": body})
    assert load_model(ModelRequest(f"{tmp_path / 'model.py'}:build")).window == 12


@pytest.mark.usefixtures("python_as_it_was")
def test_a_neighbour_that_the_model_doesnt_import_is_in_nobodys_way(tmp_path):
    broken = "raise RuntimeError('not to be imported')"
    names = ("copy", "colorsys", "types", "torch", "inspect", "this", "sndhdr")
    code = f"{NET}\ndef build():\n    import pdb\n    import torch.nn\n    return Net()"
    write(tmp_path, {**{f"{name}.py": broken for name in names}, "model.py": code})
    assert load_model(ModelRequest(f"{tmp_path / 'model.py'}:build")).window == 12


@pytest.mark.usefixtures("python_as_it_was")
def test_what_forward_imports_is_found_later(tmp_path):
    code = NET.replace("return self.scan", "from layers import double; return double(1) * self.scan")
    write(tmp_path, {"layers.py": "def double(x): return 2 * x", "model.py": code})
    model = load_model(ModelRequest(f"{tmp_path / 'model.py'}:Net"))
    x = model.example()
    torch.testing.assert_close(model.module(x), 2 * model.module.scan(x).amax(-1))


@pytest.mark.usefixtures("python_as_it_was")
def test_relative_imports_within_a_package_of_the_working_folder_go(tmp_path, monkeypatch):
    files = {
        "mymodels/__init__.py": "",
        "mymodels/layers.py": of_size(7),
        "mymodels/deep/__init__.py": "from ..layers import Net",
        "mymodels/deep/model.py": "from . import Net\nfrom mymodels import layers\nassert layers.Net is Net",
    }
    write(tmp_path, files)
    monkeypatch.chdir(tmp_path)
    assert load_model(ModelRequest("mymodels.deep.model:Net")).module.scan.out_channels == 7


@pytest.mark.usefixtures("python_as_it_was")
def test_a_folder_without_init_is_a_package_of_the_working_folder_too(tmp_path, monkeypatch):
    write(tmp_path, {"mymodels/net.py": of_size(8)})
    monkeypatch.chdir(tmp_path)
    assert load_model(ModelRequest("mymodels.net:Net")).module.scan.out_channels == 8


@pytest.mark.usefixtures("python_as_it_was")
@pytest.mark.parametrize(
    "how",
    [
        "import importlib\nNet = importlib.import_module('layers').Net",
        "import pickle, layers\nNet = pickle.loads(pickle.dumps(layers.Net))\nassert Net is layers.Net",
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom layers import *\n"
        "@dataclass\nclass Config:\n    channels: int = 3\n",
        "import sys, os\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), 'more'))\n"
        "from deeper import Net",
        "import sys\nfrom layers import Net\nassert sys.modules[Net.__module__].Net is Net",
    ],
    ids=["import_module", "pickle", "dataclass", "sys.path", "sys.modules"],
)
def test_other_ways_to_import_a_neighbour_go(tmp_path, how):
    write(tmp_path, {"layers.py": of_size(9), "more/deeper.py": of_size(9), "model.py": how})
    model = load_model(ModelRequest(f"{tmp_path / 'model.py'}:Net"))
    assert model.module.scan.out_channels == 9
    sys.modules.pop("deeper", None)
