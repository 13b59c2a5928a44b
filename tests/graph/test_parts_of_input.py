"""Models whose forward takes a dict, a tuple or an object: the message has a class that takes tensors."""

import pytest
import torch
from torch import nn

from sparselrp_cli.errors import ModelError
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.loaded import capture_model
from sparselrp_cli.model.loading import load_model
from sparselrp_cli.model.request import ModelRequest

CODE = """
import torch
from torch import nn


class Net(nn.Module):
    window = 12

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.scan, self.head = nn.Conv1d(4, 3, 3), nn.Linear(30, 2)

    def net(self, x, scale=None):
        out = self.head(self.scan(x).relu().flatten(1))
        return out if scale is None else out * scale

    def forward(self, {parameters}):
        {body}
"""
HELD = torch.full((2, 2), 3.0)


def written(folder, parameters: str, body: str) -> str:
    path = folder / "nets_in_parts.py"
    path.write_text(CODE.format(parameters=parameters, body=body), encoding="utf-8")
    return f"{path}:Net"


def refused(reference: str, *inputs: str) -> ModelError:
    with pytest.raises(ModelError) as caught:
        capture_model(load_model(ModelRequest(reference, inputs=inputs)))
    return caught.value


CASES = {
    "a dict": ("batch", 'return self.net(batch["sequence"])', "'s 'batch' is a dict with 'sequence'"),
    "a dict of two": (
        "batch: dict",
        'return self.net(batch["seq"], batch["scale"])',
        "'s 'batch' is a dict with 'seq', 'scale'",
    ),
    "a dict, the sequence last": (
        "batch",
        'scale = batch["scale"]; return self.net(batch["dna"], scale)',
        "'s 'batch' is a dict with 'scale', 'dna'",
    ),
    "a dict of which one part alone is taken as the sequence": (
        "batch",
        'scale = batch["scale"]; assert scale.ndim == 2; return self.net(batch["dna"], scale)',
        "'s 'batch' is a dict with 'scale', 'dna'",
    ),
    "a dict gone through": (
        "batch",
        'batch = {k: v * 1 for k, v in batch.items()}; return self.net(batch["x"])',
        "'s 'batch' is a dict with 'x'",
    ),
    "a dict that may have more": (
        "batch",
        'return self.net(batch["sequence"], batch.get("scale"))',
        "'s 'batch' is a dict with 'sequence'",
    ),
    "a dict beside the sequence": (
        "x, extra",
        'return self.net(x, extra["scale"])',
        "'s 'extra' is a dict with 'scale'",
    ),
    "a tuple": ("inputs", "x, scale = inputs; return self.net(x, scale)", "'s 'inputs' is a tuple of 2"),
    "a tuple of one": ("inputs", "return self.net(inputs[0])", "'s 'inputs' is a tuple of 1"),
    "a tuple by number": ("inputs", "return self.net(inputs[0], inputs[1])", "'s 'inputs' is a tuple of 2"),
    "an object": ("batch", "return self.net(batch.seq)", "'s 'batch' is an object with the attributes 'seq'"),
    "any keywords": ("**batch", 'return self.net(batch["seq"])', " asks for 'seq' among its keywords"),
    "any arguments": ("*given", "return self.net(given[0], given[1])", " reads 2 arguments"),
}


@pytest.mark.parametrize(("parameters", "body", "said"), CASES.values(), ids=CASES)
def test_the_lines_of_the_message_make_a_model_of_tensors(tmp_path, parameters, body, said):
    error = refused(written(tmp_path, parameters, body))
    assert f"; its forward{said}; write these lines to explained.py" in str(error)
    (tmp_path / "explained.py").write_text("\n".join(error.example) + "\n", encoding="utf-8")
    held = tuple(
        word.replace("SHAPE:VALUE", "2:3") for word in str(error).split() if word.endswith("=SHAPE:VALUE")
    )
    model = load_model(ModelRequest(f"{tmp_path / 'explained.py'}:Explained", inputs=held))
    plain = load_model(ModelRequest(f"{tmp_path / 'nets_in_parts.py'}:Net"))
    x = model.example()
    expected = plain.module.net(x, HELD if held else None)
    graph = capture_model(model)
    torch.testing.assert_close(graph.outputs_for(x)[graph.outputs[0].node], expected, rtol=1e-5, atol=1e-6)


def test_of_keywords_beside_the_sequence_options_are_enough(tmp_path):
    reference = written(tmp_path, "x, **more", 'return self.net(x, more["scale"])')
    error = refused(reference)
    assert "among its keywords; give them with --input scale=SHAPE:VALUE" in str(error)
    assert not error.example
    model = load_model(ModelRequest(reference, inputs=("scale=2:3",)))
    x = model.example()
    expected = model.module.module.net(x, HELD)
    torch.testing.assert_close(model.module(x), expected, rtol=0, atol=0)
    capture_model(model)


def test_a_sequence_that_is_taken_by_name_only_is_given_by_name(tmp_path):
    model = load_model(
        ModelRequest(written(tmp_path, "*, sequence, scale=None", "return self.net(sequence, scale)"))
    )
    x = model.example()
    torch.testing.assert_close(model.module(x), model.module.module.net(x), rtol=0, atol=0)
    assert not capture_model(model).unsupported()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('return self.net(batch["inputs"]["dna"])', "wrap it in a module whose forward takes one tensor"),
        ('return self.net({"a": 1}["b"])', "wrap it in a module whose forward takes one tensor"),
        ("return self.net(batch.transpose(1, 2))", "give --layout NLC"),
        ("return self.net(batch[:, :, 1:])", "would fit"),
    ],
    ids=["a dict within a dict", "a key of its own", "another layout", "another length"],
)
def test_what_isnt_understood_gets_no_lines(tmp_path, body, said):
    error = refused(written(tmp_path, "batch", body))
    assert said in str(error)
    assert not error.example


def test_an_input_with_an_axis_too_many_is_refused_in_words(tmp_path):
    model = load_model(
        ModelRequest(
            written(tmp_path, "x, scale", "return self.net(x, scale[:, None])"), inputs=("scale=1:2",)
        )
    )
    (output,) = capture_model(model).outputs
    assert output.obstacle.startswith("two of its axes are as long as the batch")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_scripted_module_is_refused_in_words():
    scripted = torch.jit.script(nn.Sequential(nn.Conv1d(4, 2, 3), nn.Flatten()))
    with pytest.raises(ModelError, match=r"give the module as it was before torch\.jit\.script"):
        capture(scripted, torch.rand(2, 4, 8))
