"""What holds for every kind of operation, and that every kind has its file of tests."""

import importlib
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from oracles.operations import tensor
from torch import Tensor

from sparselrp_cli.graph import operations
from sparselrp_cli.graph.call import Converters, NoRule
from sparselrp_cli.graph.operation import At, Cropped, Lies, Operation, map_tensors
from sparselrp_cli.graph.overloads import CONVERTERS, convert_call, merged, operation_files
from sparselrp_cli.graph.packed.kinds import kind_name, kinds
from sparselrp_cli.graph.packed.values import fits, from_json, to_json
from sparselrp_cli.graph.shapes import BatchDim, Dim, Span

FILES = sorted(path.stem for path in Path(operations.__file__).parent.glob("[!_]*.py"))
HERE = Path(__file__)
META = torch.device("meta")


def module_of(name: str) -> ModuleType:
    return importlib.import_module(f"test_{name}")


def drawn(name: str) -> dict[str, tuple[Operation, tuple[Tensor, ...]]]:
    """By name of the case, the operations that a file of tests draws, and their inputs."""
    module, rng = module_of(name), np.random.default_rng(5)
    found = {}
    for label, draw in getattr(module, "CASES", {}).items():
        case = draw(rng)
        found[label] = case.operation, tuple(tensor(x) for x in case.inputs)
    for label, draw in getattr(module, "LAYERS", {}).items():
        layer, shape = draw(rng)
        found[label] = layer, (tensor(rng.normal(size=(2, *shape))),)
    return found


DRAWN = {f"{name}, {label}": case for name in FILES for label, case in drawn(name).items()}
every_case = pytest.mark.parametrize(("operation", "inputs"), DRAWN.values(), ids=DRAWN)


def kinds_in(name: str) -> set[type]:
    """The kinds that a file of operations defines."""
    module = importlib.import_module(f"{operations.__name__}.{name}")
    classes = [c for _, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == module.__name__]
    return {c for c in classes if issubclass(c, Operation) and not inspect.isabstract(c)}


def test_every_file_of_operations_has_a_file_of_tests_and_none_is_left_over():
    tests = {path.stem.removeprefix("test_") for path in HERE.parent.glob("test_*.py")} - {"every_kind"}
    assert tests == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_every_kind_is_computed_and_carries_relevance_in_its_file_of_tests(name):
    assert kinds_in(name) == {type(operation) for operation, _ in drawn(name).values()}


@pytest.mark.parametrize("name", FILES)
def test_every_kind_says_what_it_is_called_and_how_relevance_passes(name):
    for operation, _ in drawn(name).values():
        assert operation.kind
        assert operation.passes


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_found_and_says_which_functions_it_converts(name):
    assert f"{operations.__name__}.{name}" in operation_files()
    module = importlib.import_module(f"{operations.__name__}.{name}")
    assert module.CONVERTERS
    assert all(CONVERTERS[overload] is converter for overload, converter in module.CONVERTERS.items())


def test_nothing_but_files_of_operations_is_gathered():
    assert [name.rpartition(".")[2] for name in operation_files()] == FILES
    tables = [importlib.import_module(name).CONVERTERS for name in operation_files()]
    assert set(CONVERTERS) == {overload for table in tables for overload in table}


def test_a_function_that_two_files_convert_is_refused():
    table: Converters = {torch.ops.aten.relu.default: CONVERTERS[torch.ops.aten.relu.default]}
    with pytest.raises(ValueError, match=r"^aten\.relu\.default is converted in one\.py and in two\.py$"):
        merged([("one.py", table), ("two.py", table)])


@pytest.mark.parametrize(
    ("function", "advice"),
    [
        (torch.ops.aten.native_dropout.default, "call model.eval() before the export"),
        (torch.ops.aten._fft_r2c.default, "rewrite it with operations that have a rule"),
    ],
    ids=["dropout", "another"],
)  # fmt: skip
def test_a_function_without_a_converter_is_refused_with_advice(function, advice):
    with pytest.raises(NoRule) as caught:
        convert_call(function, None)
    assert str(caught.value) == advice


@every_case
def test_a_kind_is_packed_and_read_as_it_was(operation, inputs):
    tensors: dict[str, Tensor] = {}

    def kept(tensor: Tensor, name: str) -> str:
        tensors[name] = tensor
        return name

    kind = kinds()[kind_name(type(operation))]
    values = {p: to_json(getattr(operation, p), kept, p) for p in kind.parameters}
    again = {p: from_json(value, tensors.__getitem__) for p, value in json.loads(json.dumps(values)).items()}
    assert all(fits(again[p], hint) for p, hint in kind.parameters.items())
    read = kind.operation(**again)
    assert read.describe() == operation.describe()
    assert torch.equal(read.forward(*inputs)[0], operation.forward(*inputs)[0])


def symbolic(two: torch.Size, four: torch.Size) -> tuple[Dim, ...]:
    return tuple(a if a == b else BatchDim(a // 2) for a, b in zip(two, four, strict=True))


def spans(shape: tuple[Dim, ...]) -> list[Span]:
    """A few ranges of every axis that samples don't lie along."""
    return [
        Span(axis, start, stop)
        for axis, size in enumerate(shape)
        if isinstance(size, int)
        for start, stop in ((0, 1), (size - 1, size), (size // 2, size // 2 + 1), (size // 3, size))
        if start < stop <= size
    ]


def whole_shapes(
    operation: Operation, inputs: tuple[Tensor, ...]
) -> tuple[list[tuple[Dim, ...]], tuple[Dim, ...]]:
    """The symbolic shapes of inputs and output, found with twice as many samples."""
    whole, _ = operation.forward(*inputs)
    more, _ = operation.forward(*(torch.cat([x, x]) for x in inputs))
    return [(BatchDim(), *x.shape[1:]) for x in inputs], symbolic(whole.shape, more.shape)


def croppings(operation: Operation, inputs: tuple[Tensor, ...]) -> list[tuple[Span, Cropped]]:
    """The spans of an operation's output that need less than all of its inputs."""
    shapes, output = whole_shapes(operation, inputs)
    tried = ((span, operation.cropped(span, shapes, output)) for span in spans(output))
    return [(span, cropped) for span, cropped in tried if cropped is not None]


def some(holds: Callable[[Operation, tuple[Tensor, ...]], object]) -> pytest.MarkDecorator:
    """The cases that something holds for."""
    chosen = {label: case for label, case in DRAWN.items() if holds(*case)}
    assert chosen
    return pytest.mark.parametrize(("operation", "inputs"), chosen.values(), ids=chosen)


@some(lambda operation, inputs: operation.keeps_non_negative([True] * len(inputs)))
def test_a_kind_that_keeps_numbers_non_negative_does(operation, inputs):
    assert bool((operation.forward(*(x.abs() for x in inputs))[0] >= 0).all())


@some(lambda operation, inputs: operation.keeps_non_negative([False] * len(inputs)))
def test_a_kind_that_never_makes_negative_numbers_makes_none(operation, inputs):
    assert bool((operation.forward(*inputs)[0] >= 0).all())


@some(croppings)
def test_a_cropped_operation_makes_the_span_from_what_it_says_it_reads(operation, inputs):
    whole, _ = operation.forward(*inputs)
    for span, cropped in croppings(operation, inputs):
        parts = []
        for x, read in zip(inputs, cropped.inputs, strict=True):
            zeros = [0] * (2 * (x.dim() - 1 - read.axis)) + list(cropped.zeros)
            part = x.narrow(read.axis, read.start, read.stop - read.start)
            parts.append(torch.nn.functional.pad(part, zeros))
        made, _ = cropped.operation.forward(*parts)
        expected = whole.narrow(span.axis, span.start, span.stop - span.start)
        torch.testing.assert_close(made, expected, rtol=1e-12, atol=1e-12)


@some(lambda operation, inputs: operation.cropped_whole())
def test_an_operation_whose_whole_output_needs_less_makes_it_from_less(operation, inputs):
    cropped = operation.cropped_whole()
    parts = [
        x.narrow(read.axis, read.start, read.stop - read.start)
        for x, read in zip(inputs, cropped.inputs, strict=True)
    ]
    assert torch.equal(cropped.operation.forward(*parts)[0], operation.forward(*inputs)[0])


def placed(operation: Operation, inputs: tuple[Tensor, ...]) -> list[tuple[int, int, Lies]]:
    """The axes of an output whose positions are said to lie on an axis of an input, and of which one."""
    shapes, output = whole_shapes(operation, inputs)
    return [
        (axis, number, lies)
        for axis, length in enumerate(output)
        if isinstance(length, int) and length > 1
        for number, lies in enumerate(operation.positions(axis, shapes, output))
        if lies is not None
    ]


def dependent(
    operation: Operation, inputs: tuple[Tensor, ...], number: int, axis: int, along: int
) -> np.ndarray:
    """Which positions of an output change with which positions of one input: (out, in), by changing these."""
    before, _ = operation.forward(*inputs)
    found = np.zeros((before.shape[along], inputs[number].shape[axis]), bool)
    others = [a for a in range(before.dim()) if a != along]
    rng = np.random.default_rng(0)
    for place in range(found.shape[1]):
        for size in (0.1, 10, -10):
            changed = list(inputs)
            changed[number] = inputs[number].clone()
            part = changed[number].select(axis, place)
            part += size * torch.from_numpy(rng.uniform(0.5, 1, tuple(part.shape))).to(part)
            after, _ = operation.forward(*changed)
            found[:, place] |= (after != before).sum(others).numpy() > 0
    return found


@some(placed)
def test_positions_depend_on_those_they_are_said_to_lie_on(operation, inputs):
    for along, number, lies in placed(operation, inputs):
        depends = dependent(operation, inputs, number, lies.axis, along)
        for position, on in enumerate(depends):
            if not on.any():
                continue  # as of an input that only decides
            centre = lies.step * position + lies.offset
            near = {int(np.floor(centre)), int(np.ceil(centre))} & set(range(len(on)))
            assert not near or any(on[place] for place in near), (along, number, position)


@every_case
def test_a_kind_waits_for_no_number(operation, inputs):
    def shape(x: Tensor | None) -> torch.Size | None:
        return None if x is None else x.shape

    here, there = operation, map_tensors(operation, lambda t: t.to(META))
    y, memo = here.forward(*inputs)
    at = At(inputs, y, memo)
    on_meta = tuple(x.to(META) for x in inputs)
    y_there, memo_there = there.forward(*on_meta)
    at_there = At(on_meta, y_there, memo_there)
    c = torch.ones_like(y)
    assert y_there.shape == y.shape
    assert [shape(p) for p in there.pull(c.to(META), at_there)] == [shape(p) for p in here.pull(c, at)]
    assert shape(there.absorbed(c.to(META), at_there)) == shape(here.absorbed(c, at))
