"""Packed graphs: exact, the same bytes each time, and no file of a stranger is taken for one that isn't."""

import copy
import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from sparselrp_cli.errors import ModelError, UnsupportedOperationError
from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.loaded import capture_model, load_model
from sparselrp_cli.graph.operation import tensors_of
from sparselrp_cli.graph.overloads import CONVERTERS
from sparselrp_cli.graph.packed import checking, reading
from sparselrp_cli.graph.packed.kinds import function_name, function_of, kinds
from sparselrp_cli.graph.packed.values import UnpackableError, from_json, to_json
from sparselrp_cli.graph.packed.writing import Packing, packable, write_packed
from sparselrp_cli.graph.shapes import BatchDim
from sparselrp_cli.model.layout import InputLayout
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.model.request import ModelRequest

WINDOW = 12
OLD = Path(__file__).parent / "data" / "packed-version-1"


class Net(nn.Module):
    """Every shape of a parameter: weights, a mask, a number, an infinity, a text, a function, a table."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.scan = nn.Conv1d(4, 3, 5, padding=2)
        self.norm = nn.BatchNorm1d(3)
        self.norm.running_mean.copy_(torch.tensor([0.1, -0.2, 0.3]))
        self.head = nn.Linear(3, 2)
        self.register_buffer("mask", torch.tensor([0.0, -math.inf, 0.0]))

    def forward(self, x):
        h = torch.relu(self.norm(self.scan(x)))
        h = nn.functional.gelu(h.clamp(min=-1.5), approximate="tanh").cumsum(-1).amax(-1)
        shares = (h + self.mask).softmax(-1)
        return {"rates": self.head(h), "shares": shares * (h > 0.1)}


def graph_of(module: nn.Module) -> CanonicalGraph:
    x = nn.functional.one_hot(torch.arange(2 * WINDOW).reshape(2, WINDOW) % 4, 4).transpose(1, 2)
    return capture(module.eval(), x.to(next(module.parameters()).dtype))


def write(folder: Path, graph: CanonicalGraph, name: str = "net") -> Path:
    names = [OutputNames(output.name, (), "NT") for output in graph.outputs]
    write_packed(Packing(name, WINDOW, InputLayout(), names, graph), folder)
    return folder


def load(folder: Path, **asked: Any):
    return load_model(ModelRequest(str(folder), **asked))


def windows(dtype: torch.dtype) -> torch.Tensor:
    bases = torch.randint(4, (3, WINDOW), generator=torch.Generator().manual_seed(1))
    return nn.functional.one_hot(bases, 4).transpose(1, 2).to(dtype)


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("packed") / "net", packable(graph_of(Net())))


@pytest.fixture
def folder(packed, tmp_path) -> Path:
    """A copy that may be broken."""
    for name in ("graph.json", "weights.safetensors"):
        (tmp_path / name).write_bytes((packed / name).read_bytes())
    return tmp_path


@pytest.mark.parametrize("computed", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("trained", [torch.float16, torch.float32, torch.float64], ids=str)
def test_a_graph_read_again_computes_the_same_numbers_in_every_type(tmp_path, trained, computed):
    graph = graph_of(Net().to(trained))
    model = load(write(tmp_path / "net", graph))
    again = capture_model(model)
    assert (again.dtype, model.example(1).dtype) == (trained, trained)
    ours, theirs = (g.to(g.device, computed).evaluate(windows(computed)) for g in (graph, again))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_digits_that_a_type_cannot_hold_are_kept(packed):
    """As those of a folded batch norm, so that a run in float64 has them."""
    weights = load_file(packed / "weights.safetensors")
    assert {weights["conv1d.weight"].dtype, weights["linear.weight"].dtype} == {torch.float64, torch.float32}


def test_what_is_known_of_a_graph_is_kept(packed):
    graph, again = graph_of(Net()), capture_model(load(packed))
    assert [(n.name, n.inputs, n.shape, n.module, n.source) for n in again.nodes] == [
        (n.name, n.inputs, n.shape, n.module, n.source) for n in graph.nodes
    ]
    assert [n.operation.describe() for n in again.nodes] == [n.operation.describe() for n in graph.nodes]
    assert again.outputs == graph.outputs
    assert (again.input, again.input_shape) == (graph.input, graph.input_shape)
    assert any(n.source.startswith("test_packed_graphs.py:") for n in again.nodes)


def test_equal_graphs_give_equal_bytes(packed, tmp_path):
    write(tmp_path / "again", packable(graph_of(Net())))
    for name in ("graph.json", "weights.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (packed / name).read_bytes()


def test_a_tensor_that_several_operations_share_is_written_once(tmp_path):
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mix = nn.Conv1d(4, 4, 3, padding=1, bias=False)

        def forward(self, x):
            return self.mix(torch.relu(self.mix(x))).sum(-1)

    folder = write(tmp_path / "net", graph_of(Twice()))
    assert list(load_file(folder / "weights.safetensors")) == ["conv1d.weight"]
    first, second = (
        n.operation for n in load(folder).module.graph.nodes if n.operation.kind == "convolution"
    )
    assert torch.equal(first.weight, second.weight)


def test_an_output_without_a_rule_keeps_its_place_and_says_why(tmp_path):
    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(4 * WINDOW, 2)

        def forward(self, x):
            y = self.head(x.flatten(1))
            return {"odd": torch.special.digamma(y), "even": y}

    model = load(write(tmp_path / "net", packable(graph_of(Half()))))
    odd, even = capture_model(model).outputs
    assert odd.obstacle.startswith("no rule for digamma")
    assert (even.obstacle, odd.node) == ("", "")
    computed = model.module(windows(torch.float32))
    assert [y is None for y in computed] == [True, False]


def test_a_graph_of_which_nothing_has_a_rule_is_refused():
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(4 * WINDOW, 2)

        def forward(self, x):
            return torch.special.digamma(self.head(x.flatten(1)))

    with pytest.raises(UnsupportedOperationError, match=r"^no rule for digamma"):
        packable(graph_of(Odd()))


def test_weights_of_a_packed_network_can_be_changed_like_those_of_a_module(packed):
    model = load(packed)
    before = capture_model(model)
    same = [a.operation is b.operation for a, b in zip(before.nodes, capture_model(model).nodes, strict=True)]
    assert all(same)
    changed = copy.deepcopy(model.module)
    for weight in changed.parameters():
        weight.data = torch.zeros_like(weight.data)
    x = windows(torch.float32)
    assert not changed(x)[0].any()
    assert torch.equal(model.module(x)[0], before.evaluate(x)[before.outputs[0].node])


def test_folders_of_the_first_version_are_read():
    """A folder that was written once and kept."""
    model = load(OLD)
    assert (model.name, model.window, model.layout.alphabet) == ("small", 20, "ACGT")
    graph = capture_model(model)
    assert [node.operation.kind for node in graph.nodes] == ["convolution", "activation", "max", "dense"]
    x = torch.zeros(1, 4, 20)
    x[0, 0] = 1
    # Relu of scan, largest, times two, minus one: by hand, from the weights 0.5 at A in the middle.
    assert model.module(x)[0].tolist() == [[0.0, -1.0]]


# A change to what stands here must raise the version, or give what is new a default.
PARAMETERS = {
    "activation": "function arguments slope", "adaptive-pool": "size maximum", "add": "alpha",
    "attention": "scale mask", "average-pool": "width stride padding ceil_mode count_include_pad divisor",
    "channel-affine": "scale shift", "concatenate": "axis parts stack samples",
    "contraction": "weight bias rectified equation",
    "convolution": "weight bias rectified stride padding dilation groups",
    "decision": "function arguments name item like", "dense": "weight bias rectified",
    "einstein-sum": "equation", "embedding": "weight scheme slots", "expand": "shape_out", "flip": "axes",
    "fourier-convolution": "weight bias rectified axis",
    "gated-linear": "axis", "gather": "axis",
    "homogeneous": "function arguments name item degree sign", "index-add": "axis index length",
    "index-select": "axis index",
    "log-sum-exp": "axes keepdim", "matrix-product": "",
    "max-pool": "width stride padding ceil_mode dilation",
    "maximum": "axes keepdim", "mean": "axes keepdim", "negate": "",
    "normalise": "name row groups centred epsilon weight bias", "pad": "amounts value", "permute": "order",
    "power": "exponent", "product": "gate rule", "quotient": "", "raised": "",
    "recurrent": "cell w u b b_hidden h0 c0 reverse",
    "reshape": "shape_in shape_out", "scale": "factor", "scatter": "axis before", "shift": "constant",
    "slice": "axis start stop step drop", "softmax": "axis logarithm", "strided": "sizes strides offset",
    "subtract": "", "sum": "axes keepdim",
    "tokens": "scheme count",
    "transposed-convolution": "weight bias rectified stride padding output_padding dilation groups",
    "where": "parts absorbing",
    "xlog-y": "",
}  # fmt: skip


def test_kinds_and_parameters_are_those_of_the_version():
    assert reading.VERSION == 1
    assert {name: " ".join(kind.parameters) for name, kind in kinds().items()} == PARAMETERS


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -7, 2**62, 0.1, 5e-324, -0.0, math.inf, -math.inf, "x", (), ((1, 2), (None, "y")),
     BatchDim(), BatchDim(6, 2), torch.float16, torch.contiguous_format, torch.ops.aten.gt.Scalar],
    ids=repr,
)  # fmt: skip
def test_a_parameter_is_read_as_it_was_written(value):
    written = json.loads(json.dumps(to_json(value, lambda *_: "", "p"), allow_nan=False))
    again = from_json(written, lambda name: torch.zeros(()))
    assert type(again) is type(value)
    assert again == value
    assert not isinstance(value, float) or math.copysign(1, again) == math.copysign(1, value)


@pytest.mark.parametrize(
    "value",
    [math.nan, torch.tensor([0, math.nan]), object(), 1j, torch.device("cpu"), torch.rand, print],
    ids=["nan", "tensor with nan", "object", "complex", "device", "torch function", "function"],
)
def test_what_no_file_can_hold_is_refused(value):
    with pytest.raises(UnpackableError):
        to_json(value, lambda *_: "", "p")


@pytest.mark.parametrize(
    "name",
    ["aten.from_file.default", "aten.rand.default", "aten.native_dropout.default", "aten.add_.Tensor",
     "aten.relu.out", "aten.__class__.default", "aten.relu.__call__", "prims.convert_element_type.default",
     "os.system", "print", "aten.relu", "aten.no_such.default", ""],
)  # fmt: skip
def test_a_file_names_no_function_that_does_more_than_compute(name):
    assert function_of(name) is None


def test_every_function_that_has_a_converter_can_be_named():
    for overload in CONVERTERS:
        if overload.namespace != "aten":
            continue  # ours, which only traces hold
        name = function_name(overload)
        assert name is not None
        assert function_of(name) is overload


Document = dict[str, Any]


def node(document: Document, kind: str) -> Document:
    return next(n for n in document["nodes"] if n["kind"] == kind)


def set_parameter(kind: str, parameter: str, value: Any) -> Callable[[Document], None]:
    return lambda document: node(document, kind)["parameters"].update({parameter: value})


def set_field(kind: str, field: str, value: Any) -> Callable[[Document], None]:
    return lambda document: node(document, kind).update({field: value})


def set_head(key: str, value: Any) -> Callable[[Document], None]:
    return lambda document: document.update({key: value})


def set_output(key: str, value: Any) -> Callable[[Document], None]:
    return lambda document: document["outputs"][0].update({key: value})


REFUSED: dict[str, tuple[Callable[[Document], Any], str]] = {
    "another format": (set_head("format", "onnx"), "format 'onnx', version 1; this program reads 'sparselrp"),
    "a later version": (set_head("version", 2), "version 2; this program reads .*, version 1; pack"),
    "a missing key": (lambda d: d.pop("window"), "the document: 'window' is missing"),
    "a key too many": (set_head("code", "x"), "the document: unknown key 'code'; known are format, version"),
    "a wrong type": (set_head("nodes", {}), r"the document: 'nodes' must be of type list, not \{\}"),
    "a truth value for a number": (set_head("window", True), "'window' must be of type int, not True"),
    "an escape sequence": (set_head("name", "\x1b[31m"), "'name' must be text that can be printed"),
    "a long name": (set_head("name", "x" * 1001), "'name' must be text .* of at most 1000 letters"),
    "no window": (set_head("window", 0), "'window' must be between 1 and 10,000,000 bp"),
    "another window": (set_head("window", 13), "input: its shape isn't that of windows of 13 bp in NCL"),
    "another layout": (set_head("layout", "NLC"), "input: its shape isn't that of windows of 12 bp in NLC"),
    "no layout": (set_head("layout", "LCN"), "layout 'LCN': must be NCL or NLC"),
    "no alphabet": (set_head("alphabet", "ACGU"), "alphabet 'ACGU': must hold A, C, G and T once each"),
    "a type of whole numbers": (set_head("dtype", "int64"), "'dtype' must be a type of floating-point"),
    "a type that isn't": (set_head("dtype", "float80"), "unknown type of numbers 'float80'"),
    "digest": (set_head("weights_sha256", "0" * 64), r"weights\.safetensors: not the weights that graph"),
    "no digest": (set_head("weights_sha256", "../x"), "'weights_sha256' must be 64 hexadecimal digits"),
    "no node": (lambda d: d["nodes"].insert(0, 7), "node 1: must be an object, not 7"),
    "a node twice": (lambda d: d["nodes"].insert(1, d["nodes"][0]), "'conv1d': its name is another node's"),
    "a node without a name": (set_field("dense", "name", ""), "node '': its name is no node's"),
    "a circle": (set_field("convolution", "inputs", ["linear"]),
                 "node 'conv1d': reads 'linear', neither the input nor a node before it"),
    "itself": (set_field("dense", "inputs", ["linear"]), "node 'linear': reads 'linear', neither the input"),
    "nothing read": (set_field("dense", "inputs", []), "node 'linear': it reads nothing"),
    "inputs too many": (set_field("dense", "inputs", ["amax", "amax"]), "dense doesn't take such inputs"),
    "an unknown kind": (set_field("dense", "kind", "lambda"), "node 'linear': unknown kind 'lambda'"),
    "another kind": (set_field("dense", "kind", "flip"), "flip: the parameter 'axes' is missing"),
    "a parameter too many": (set_parameter("dense", "hook", 1), "'linear': dense: unknown parameter 'hook'"),
    "no tensor": (set_parameter("dense", "weight", {"tensor": "../x"}),
                  r"'linear': dense: 'weight': no tensor '\.\./x' in weights\.safetensors"),
    "a number for a tensor": (set_parameter("dense", "weight", 1.5), "dense: 'weight' can't be 1.5"),
    "a fraction": (set_parameter("convolution", "groups", 1.5), "convolution: 'groups' can't be 1.5"),
    "a list for a number": (set_parameter("convolution", "groups", [1]), r"'groups' can't be \[1\]"),
    "a huge number": (set_parameter("convolution", "groups", 10**30), "'groups': a number too large: 1000"),
    "no parameter": (set_parameter("convolution", "stride", {"eval": "x"}), "'stride': not a parameter:"),
    "a wrong infinity": (set_parameter("dense", "bias", {"float": "nan"}), "'bias': not a parameter:"),
    "no stride": (set_parameter("convolution", "stride", [0]), "'conv1d': convolution can't be computed "),
    "a stride": (set_parameter("convolution", "stride", [2]),
                 r"'conv1d': says that its shape is \[2, 3, 12\] for 2 samples, and gives \[2, 3, 6\]"),
    "an unknown function": (set_parameter("activation", "function", "system"),
                            "'relu': activation can't be computed \\(unknown 'system'\\)"),
    "a function of files": (set_parameter("homogeneous", "function", {"function": "aten.from_file.default"}),
                            "homogeneous: 'function': unknown function 'aten.from_file.default'"),
    "a function without its input": (set_parameter("homogeneous", "arguments", [["self", 1]]),
                                     "homogeneous: 'arguments' doesn't name each of its 1 inputs"),
    "a shape without samples": (set_field("dense", "shape", [2, 2]), "must have one axis of samples"),
    "a shape with two": (set_field("dense", "shape", ["N", "N"]), "must have one axis of samples"),
    "a negative length": (set_field("dense", "shape", ["N", -1]), "a length must be a whole number or 'N'"),
    "samples that lie otherwise": (set_field("activation", "shape", [{"samples": 3}, 12]),
                                   r"'relu': activation can't be computed \(the result holds another number"),
    "a shape that isn't": (set_output("shape", ["N", 3]), "'rates': its shape isn't that of node 'linear'"),
    "an output of nothing": (set_output("node", "gone"), "output 'rates': there is no node 'gone'"),
    "an output without a reason": (set_output("node", ""), "no node computes it, and no obstacle says why"),
    "axes that aren't": (set_output("axes", "NX"), "output 'rates': 'axes' must be one of NT, NP, NTP"),
    "tasks that aren't": (set_output("tasks", [1]), "'rates': 'tasks': must be a list of names, not 1"),
    "a node too many": (lambda d: d["outputs"].pop(0), "node 'linear': no output needs it"),
    "an output of steps": (lambda d: d["outputs"].append(d["outputs"][1] | {"node": "gt"}),
                           "node 'gt': an output must hold floating-point numbers"),
    "too many nodes": (lambda d: d["nodes"].extend([d["nodes"][0]] * 20_000), "more than 20,000 nodes"),
}  # fmt: skip


@pytest.mark.parametrize("change", REFUSED)
def test_a_document_that_is_wrong_is_refused_with_what_is_wrong_where(folder, change):
    make, message = REFUSED[change]
    document = json.loads((folder / "graph.json").read_text())
    make(document)
    (folder / "graph.json").write_text(json.dumps(document))
    with pytest.raises(ModelError, match=message) as caught:
        load(folder)
    assert str(caught.value).startswith(str(folder))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"graph\.json line 1: not JSON"),
        ("[]", r"graph\.json: not a JSON object"),
        ("[" * 100_000, r"graph\.json: can't be read \(maximum recursion depth"),
        ('{"a": NaN}', r"graph\.json: can't be read \(NaN isn't JSON\)"),
        ('{"a": 1, "a": 2}', r"graph\.json: can't be read \('a' stands twice in one object\)"),
        ('{"a": ' + "1" * 5000 + "}", r"graph\.json: can't be read \(Exceeds the limit"),
        (" " * (17 << 20), r"graph\.json: larger than 16 MiB, so not a packed graph"),
    ],
    ids=["nothing", "a list", "deep", "NaN", "a key twice", "a long number", "large"],
)  # fmt: skip
def test_a_file_that_is_no_document_is_refused(folder, text, message):
    (folder / "graph.json").write_text(text)
    with pytest.raises(ModelError, match=message):
        load(folder)


def nested(document: Document) -> None:
    deep: list[Any] = []
    for _ in range(400):
        deep = [deep]
    node(document, "homogeneous")["parameters"]["arguments"] = deep


def test_what_is_nested_deeply_is_refused(folder):
    document = json.loads((folder / "graph.json").read_text())
    nested(document)
    (folder / "graph.json").write_text(json.dumps(document))
    with pytest.raises(ModelError, match=r"nested too deeply|'arguments' can't be"):
        load(folder)


def with_tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    """Write other tensors, and their digest."""
    tensors = load_file(folder / "weights.safetensors")
    change(tensors)
    save_file(tensors, folder / "weights.safetensors")
    document = json.loads((folder / "graph.json").read_text())
    document["weights_sha256"] = hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()
    (folder / "graph.json").write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t["linear.bias"].fill_(math.nan), r"'linear\.bias' of weights\.safetensors holds NaN"),
        (lambda t: t["linear.weight"].fill_(math.inf), "node 'linear': its 'weight' holds infinities"),
        (lambda t: t.pop("linear.bias"), r"no tensor 'linear\.bias' in weights\.safetensors"),
        (lambda t: t.update(more=torch.ones(2)), r"no node holds the tensor 'more' of weights\.safetensors"),
        (lambda t: t.update({"linear.bias": torch.ones(3)}), "node 'linear': dense can't be computed"),
        (lambda t: t.update({"linear.weight": torch.ones(2, 3, dtype=torch.int64)}), "'linear': dense can't"),
        (lambda t: t.update({"linear.bias": torch.ones(2, dtype=torch.complex64)}),
         r"tensor 'linear\.bias' holds numbers of type torch\.complex64"),
    ],
    ids=["NaN", "infinite weights", "one missing", "one too many", "a shape", "integers", "complex"],
)  # fmt: skip
def test_tensors_that_are_wrong_are_refused(folder, change, message):
    with_tensors(folder, change)
    with pytest.raises(ModelError, match=message):
        load(folder)


def test_a_damaged_file_of_weights_is_refused(folder):
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelError, match=r"weights\.safetensors: not the weights that graph\.json"):
        load(folder)
    path.unlink()
    with pytest.raises(ModelError, match=r"weights\.safetensors: no such weights file"):
        load(folder)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"weights": Path("w.pt")}, "--weights goes with a factory; a packed folder brings its own"),
        ({"inputs": ("c=2:0",)}, "has one input; other inputs were held when it was packed"),
        ({"window": 13}, "packed for windows of 12 bp, not 13; pack it again"),
        ({"layout": "NLC"}, "packed with the layout NCL, not NLC; leave out --layout"),
    ],
)
def test_what_a_packed_graph_cannot_have_is_refused(packed, asked, message):
    with pytest.raises(ModelError, match=message):
        load(packed, **asked)


def test_what_a_packed_graph_has_may_be_said(packed):
    model = load(packed, window=WINDOW, layout="NCL", alphabet="TGCA")
    assert model.layout == InputLayout("TGCA", "NCL")


def test_its_file_names_a_packed_folder_and_two_descriptions_are_refused(folder):
    assert load(folder / "graph.json").name == "net"
    (folder / "model.json").write_text("{}")
    with pytest.raises(ModelError, match=r"holds both model\.json and graph\.json; give the one"):
        load(folder)


def test_a_tensor_that_memory_cannot_hold_is_refused_before_it_is_made(folder):
    document = json.loads((folder / "graph.json").read_text())
    huge = {"name": "huge", "kind": "pad", "inputs": ["conv1d"], "shape": ["N", 3, 12 + 10**12],
            "parameters": {"amounts": [0, 10**12]}, "module": "", "source": ""}  # fmt: skip
    document["nodes"].insert(1, huge)
    document["outputs"].append(
        document["outputs"][0] | {"name": "huge", "node": "huge", "shape": huge["shape"], "axes": "NTP"}
    )
    (folder / "graph.json").write_text(json.dumps(document))
    with pytest.raises(ModelError, match="'huge': computes a tensor of 3,000,000,000,036 numbers a window"):
        load(folder)


@pytest.mark.parametrize(("limit", "least"), [("MOST_TURNS", 3), ("MOST_WORK", 719)])
def test_a_graph_that_would_be_computed_for_ever_is_refused(packed, monkeypatch, limit, least):
    monkeypatch.setattr(checking, limit, least)
    with pytest.raises(ModelError, match=r"computing it takes \d+ turns of loops and .* multiply-adds"):
        load(packed)


def test_loops_are_counted_by_their_turns():
    class Loops(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.read = nn.GRU(4, 2, batch_first=True)
            self.head = nn.Linear(2, 1)

        def forward(self, x):
            h, _ = self.read(nn.functional.adaptive_max_pool1d(nn.functional.max_pool1d(x, 3), 2).mT)
            return self.head(h[:, -1])

    turns = {}
    graph = graph_of(Loops())
    shapes = {graph.input: graph.input_shape, **{n.name: n.shape for n in graph.nodes}}
    for part in graph.nodes:
        turns[part.operation.kind] = part.operation.turns([shapes[i] for i in part.inputs])
    assert (turns["max-pool"], turns["adaptive-pool"], turns["recurrent"], turns["dense"]) == (3, 2, 2, 1)


def test_reading_leaves_no_view_of_the_file(packed):
    """Sums of products go by where numbers begin in memory, to the last digit."""
    graph = capture_model(load(packed))
    assert all(t.data_ptr() % 64 == 0 for n in graph.nodes for t in tensors_of(n.operation) if t.numel() > 1)
