"""The walk over an exported program that collects the nodes of a canonical graph."""

import dataclasses
import math
import operator
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, fx
from torch.export.graph_signature import InputKind

from sparselrp_cli.errors import ModelError
from sparselrp_cli.graph.beside import NO_ROWS, Beside
from sparselrp_cli.graph.call import Alias, Call, Chain, Converted, NoRule, Steps
from sparselrp_cli.graph.canonical import CanonicalGraph, GraphOutput, Node, Unsupported
from sparselrp_cli.graph.computed_shape import computed_shape
from sparselrp_cli.graph.constants import one_row
from sparselrp_cli.graph.decided import Decided
from sparselrp_cli.graph.functional import READING_SHAPES
from sparselrp_cli.graph.operation import Operation
from sparselrp_cli.graph.operations.decision import Decision, decision
from sparselrp_cli.graph.operations.index_select import IndexSelect
from sparselrp_cli.graph.operations.matrix_product import product_with_rows
from sparselrp_cli.graph.operations.reshape import Reshape
from sparselrp_cli.graph.operations.tokens import Tokens
from sparselrp_cli.graph.overloads import convert_call
from sparselrp_cli.graph.returned import outputs_of
from sparselrp_cli.graph.shapes import BatchDim, Dim, resolve
from sparselrp_cli.graph.tracing import Traced, place_of

# Functions that write all of an activation anew, and the argument that says with what.
_OVERWRITING: Mapping[object, str] = MappingProxyType(
    {
        torch.ops.aten.fill.Scalar: "value",
        torch.ops.aten.fill.Tensor: "value",
        torch.ops.aten.copy.default: "src",
        torch.ops.aten.type_as.default: "self",
    }
)
_NOTHING: Mapping[fx.Node, str] = MappingProxyType({})
_CHECKING = frozenset({torch.ops.aten._assert_tensor_metadata.default, torch.ops.aten._assert_scalar.default})


class Conversion:
    """Walks an exported program once and collects canonical nodes."""

    def __init__(
        self, traced: Traced, example: Tensor, dtype: torch.dtype, rows: Mapping[str, Tensor] = NO_ROWS
    ) -> None:
        self.largest = torch.finfo(dtype).max
        self.traced = traced
        self.program = traced.program
        self.example = example
        self.constants = self._lifted_constants()
        self.user_inputs = [
            spec.arg.name
            for spec in self.program.graph_signature.input_specs
            if spec.kind == InputKind.USER_INPUT
        ]
        self.refs: dict[fx.Node, str] = {}  # activations: exported node -> canonical node or input
        self.values: dict[fx.Node, Any] = {}  # everything that doesn't depend on the sequence
        # Constants of all samples: these are merged with another axis, as heads are within attention, or
        # differ, as the numbers of samples do. Refused where they meet an activation.
        self.merged: dict[fx.Node, tuple[Any, str]] = {}
        self.repeated: dict[fx.Node, Tensor] = {}  # of several batches, each row as in `values`
        self.nodes: list[Node] = []
        self.shapes: dict[str, tuple[Dim, ...]] = {}
        self.gates: set[str] = set()
        self.decisions: set[str] = set()  # what depends on the sequence by steps only
        # Torch 2.11 traces the last state of a recurrent layer with an axis too many, and all that reads it.
        self.mended: set[str] = set()
        self.input = ""
        self.rows = iter(rows.items())
        self.of_windows: set[str] = set()  # what depends on inputs beside the sequence
        self.decided = Decided(self)

    def _lifted_constants(self) -> Mapping[str, Any]:
        tensors = {**self.program.state_dict, **self.program.constants}
        return {
            spec.arg.name: tensors[spec.target]
            for spec in self.program.graph_signature.input_specs
            if spec.target is not None and spec.target in tensors
        }

    def graph(self) -> CanonicalGraph:
        outputs: tuple[GraphOutput, ...] = ()
        for node in self.program.graph.nodes:
            if node.op == "placeholder":
                self._placeholder(node)
            elif node.op == "call_function":
                self._call(node)
            elif node.op == "output":
                outputs = outputs_of(self.program, node, self.refs, self.shapes, self.input)
            else:
                raise ModelError(f"the traced model holds a node of kind '{node.op}', which isn't supported")
        graph = CanonicalGraph(
            input=self.input,
            input_shape=self.shapes[self.input],
            nodes=tuple(self.nodes),
            outputs=outputs,
            dtype=self.example.dtype,
            device=self.example.device,
        )
        return graph.restricted(tuple(range(len(outputs))))

    def _placeholder(self, node: fx.Node) -> None:
        if node.name in self.user_inputs:
            if self.input and (row := next(self.rows, None)) is not None:
                self._beside(node, *row)
                return
            if self.input:
                raise ModelError(
                    "the model takes several inputs; hold the others constant with --input NAME=SHAPE:VALUE,"
                    " or wrap the model in a module that takes the sequence alone"
                )
            self.input = node.name
            self.refs[node] = node.name
            self.shapes[node.name] = self.traced.shape(node)
        elif node.name in self.constants:
            value = self.constants[node.name]
            self.values[node] = value.detach() if isinstance(value, Tensor) else value

    def _beside(self, node: fx.Node, name: str, row: Tensor) -> None:
        """Note an input of each window; what is made of nothing else decides, as comparisons do."""
        shape = (BatchDim(), *row.shape[1:])
        self.nodes.append(Node(node.name, Beside(name, row.detach().clone()), (self.input,), shape))
        self.shapes[node.name], self.refs[node] = shape, node.name
        self.gates.add(node.name)
        self.decisions.add(node.name)
        self.of_windows.add(node.name)

    def _call(self, node: fx.Node) -> None:
        arguments = self._arguments(node)
        if node.target in _CHECKING:
            return
        written = arguments.get(_OVERWRITING.get(node.target, ""), node)
        reads_shape = node.target in READING_SHAPES or not isinstance(written, fx.Node)
        if reads_shape or not self._depends(node):
            self._evaluate(node)
            return
        if isinstance(node.meta.get("val"), (tuple, list)):
            return  # its items are converted where they are taken out
        try:
            self._convert(node, arguments)
        except NoRule as why:
            self._refuse(node, str(why))

    def _depends(self, node: fx.Node) -> bool:
        return any(self._is_activation(n) for n in node.all_input_nodes)

    def _is_activation(self, node: fx.Node) -> bool:
        if node in self.refs:
            return True
        several = isinstance(node.meta.get("val"), (tuple, list)) and node.op == "call_function"
        return several and self._depends(node)

    def _evaluate(self, node: fx.Node) -> None:
        """Compute a node that doesn't depend on the sequence."""
        number = self.traced.number(node)
        if number is not None:
            self.values[node] = number
            return
        args = fx.map_arg(node.args, self._concrete)
        kwargs = fx.map_arg(node.kwargs, self._concrete)
        if not callable(node.target):
            raise ModelError(f"the traced model calls '{node.target}', which isn't a function")
        with torch.no_grad():
            result = node.target(*args, **kwargs)
        self.traced.note(node, result)
        try:
            axis = self.traced.axis(node)
            self.values[node] = result if axis is None else one_row(result, axis)
        except ModelError as error:
            if (row := self._row_of_all(node, result)) is not None:
                self.values[node], self.repeated[node] = row, result
                return
            # What is wrong began where the samples were merged first.
            said = next((self.merged[n][1] for n in node.all_input_nodes if n in self.merged), str(error))
            self.merged[node] = result, said

    def _row_of_all(self, node: fx.Node, result: Any) -> Tensor | None:
        """Give the row of a constant of several batches, all of whose rows are alike, as first states are."""
        axis = self.traced.axis_of_batches(node)
        row = None if axis is None else result.narrow(axis, 0, 1)
        return row.clone() if row is not None and torch.equal(row.expand_as(result), result) else None

    def _concrete(self, node: fx.Node) -> Any:
        n = self.example.shape[0]
        if node in self.repeated:
            return self.repeated[node]
        if node in self.merged:
            return self.merged[node][0]
        if node in self.refs:
            dtype = self.example.dtype if _is_floating(node) else node.meta["val"].dtype
            return torch.empty(resolve(self.shapes[self.refs[node]], n), dtype=dtype)
        value = self.values.get(node)
        if isinstance(value, BatchDim):
            return value.multiple * n
        axis = self.traced.axis(node)
        if isinstance(value, Tensor) and axis is not None:
            # As the model made it, maybe: an expanded tensor doesn't take every view.
            return value.expand(*value.shape[:axis], n, *value.shape[axis + 1 :]).contiguous()
        return value

    def _arguments(self, node: fx.Node) -> dict[str, Any]:
        """Name the arguments as the operator's schema does, constants replaced by their values."""
        schema = getattr(node.target, "_schema", None)
        if schema is None:
            return {}
        named = {a.name: v for a, v in zip(schema.arguments, node.args, strict=False)}
        named.update(node.kwargs)
        for argument in schema.arguments:
            named.setdefault(argument.name, argument.default_value)
        named.update(self.traced.differing(node, named))
        named = {k: fx.map_arg(v, lambda n: self.values.get(n, n)) for k, v in named.items()}
        return {k: self._within(v) for k, v in named.items()}

    def _within(self, value: Any) -> Any:
        """Keep a number, such as the least of float64, finite in the type that is computed in."""
        if isinstance(value, float) and math.isfinite(value):
            return min(max(value, -self.largest), self.largest)
        return value

    def _note_sizes(self, node: fx.Node) -> None:
        """Find out how large a result is where constants decide that, as how much a mask chooses."""
        if not self.traced.is_open(node) or any(self._is_step(n) for n in node.all_input_nodes):
            return
        args, kwargs = fx.map_arg(node.args, self._concrete), fx.map_arg(node.kwargs, self._concrete)
        with torch.no_grad():
            self.traced.note(node, node.target(*args, **kwargs))  # type: ignore[operator]

    def _is_step(self, node: fx.Node) -> bool:
        return self.refs.get(node) in self.decisions

    def _convert(self, node: fx.Node, arguments: dict[str, Any]) -> None:
        origin, item = node, 0
        self._note_sizes(node)
        if (
            own := self._of_own_sample(node, arguments) or self._of_own_matrices(node, arguments)
        ) is not None:
            self._add_steps(node, own, node.name)
            return
        self._require_apart(node)
        if node.target is operator.getitem:
            origin, item = node.args[0], int(node.args[1])  # type: ignore[assignment,arg-type]
            arguments = self._arguments(origin)
        shape = self.traced.shape(node)
        call = Call(
            arguments=arguments,
            item=item,
            output=shape,
            output_shapes=self.traced.shapes(origin),
            shape_of=lambda n: self.shapes[self.refs[n]],
            dtype=self.example.dtype,
            function=origin.target,  # type: ignore[arg-type]
            floating=_is_floating(node),
            is_gate=lambda n: self.refs[n] in self.gates,
            is_decision=lambda n: self.refs[n] in self.decisions,
            look_up=self.decided.look_up,
            made_by=lambda n: (n.target, self._arguments(n)),
            token_rows=self.decided.token_rows,
        )
        converted, read = self._converted(origin, call)
        if isinstance(converted, Alias):
            self.refs[node] = self.refs[converted.node]
            return
        self._add_steps(node, converted, f"{origin.name}.{item}" if item else origin.name, read)

    def _add_steps(
        self, node: fx.Node, converted: Chain | Steps, called: str, read: Mapping[fx.Node, str] = _NOTHING
    ) -> None:
        """Add the operations that a node becomes; the last has its name."""
        shape, names = self.traced.shape(node), list[str]()
        for i, (operation, sources) in enumerate(converted.steps):
            inputs = tuple(names[s] if isinstance(s, int) else read.get(s, self.refs[s]) for s in sources)
            last = i == len(converted.steps) - 1
            names.append(called if last else f"{called}:{i}")
            trusted = last and not i and not self.mended.intersection(inputs)
            placed = self._placed(operation, inputs, shape if trusted else None)
            if last and len(placed) != len(shape):
                self.mended.add(called)
            self._add(node, names[-1], operation, inputs, placed)

    def _of_own_sample(self, node: fx.Node, arguments: Mapping[str, Any]) -> Chain | None:
        """Read ``x[numbers of the samples, index]``, as masks are made, as an index; None for all else."""
        if node.target is not torch.ops.aten.index.Tensor or len(arguments["indices"]) != 2:
            return None
        x, (samples, index) = arguments["self"], arguments["indices"]
        if samples not in self.merged or x not in self.refs or not isinstance(index, Tensor):
            return None
        numbers, shape = self.merged[samples][0], self.traced.shape(node)
        if numbers.shape[0] != numbers.numel() or not torch.equal(
            numbers.flatten(), torch.arange(len(numbers))
        ):
            return None
        if self.shapes[self.refs[x]][:1] != (BatchDim(),) or len(self.shapes[self.refs[x]]) != 2:
            return None
        each = index.expand(resolve(shape, 1))[0]
        moved = Reshape((BatchDim(), each.numel()), shape)
        return Chain((IndexSelect(1, each.flatten()), moved), (x,))

    def _of_own_matrices(self, node: fx.Node, arguments: Mapping[str, Any]) -> Chain | None:
        """Read ``bmm`` with a constant that is the same matrices for every sample; None for all else."""
        if node.target is not torch.ops.aten.bmm.default:
            return None
        factors = arguments["self"], arguments["mat2"]
        first = factors[0] in self.merged
        constant, x = factors if first else factors[::-1]
        if constant not in self.merged or x not in self.refs:
            return None
        shape, n = self.shapes[self.refs[x]], self.example.shape[0]
        of_samples = self.merged[constant][0].unflatten(0, (n, -1))
        apart = (
            isinstance(shape[0], BatchDim) and shape[0].entries == shape[0].multiple == of_samples.shape[1]
        )
        if not apart or not torch.equal(of_samples, of_samples[:1].expand_as(of_samples)):
            return None
        chain = product_with_rows(of_samples[0], shape, self.traced.shape(node), first=first)
        return dataclasses.replace(chain, inputs=(x,))

    def _require_apart(self, node: fx.Node) -> None:
        """Stop where an activation meets a constant whose samples are merged with another axis."""
        for read in node.all_input_nodes:
            if read in self.merged:
                raise ModelError(self.merged[read][1])

    def _converted(self, origin: fx.Node, call: Call) -> tuple[Converted, dict[fx.Node, str]]:
        """Convert a call; what reads nothing but steps is a step itself.

        Returns
        -------
        converted : Chain, Alias or Steps
        read : dict of node to str
            Of steps that are read as numbers and that single bases decide, where they are looked up.
        """
        steps = [n for n in call.activations() if self.refs.get(n) in self.decisions]
        only_steps = bool(steps) and len(steps) == len(call.activations())
        try:
            converted = convert_call(origin.target, call)
        except NoRule:
            by_window = any(self.refs[n] in self.of_windows for n in steps)
            if not only_steps or (origin.target is torch.ops.aten.embedding.default and not by_window):
                raise
            return decision()(call), {}
        if not steps or isinstance(converted, Alias) or origin.target is torch.ops.aten.embedding.default:
            return converted, {}
        takes = [o.takes_decisions and (o.transport or call.floating) for o, _ in converted.steps]
        if all(takes):
            return converted, {}
        read = {
            n: name for n in steps if _is_floating(n) and (name := self.decided.looked_up(n, self._placed))
        }
        return (converted if read or not only_steps else decision()(call)), read

    def _placed(
        self, operation: Operation, inputs: tuple[str, ...], shape: tuple[Dim, ...] | None
    ) -> tuple[Dim, ...]:
        """Give the shape of an operation's result, with how samples lie along their axis."""
        sources = [self.shapes[i] for i in inputs]
        if shape is None:
            shape = computed_shape(operation, sources, self.example.dtype)
        try:
            return operation.laid(shape, sources)
        except ValueError as error:
            raise NoRule("it mixes samples") from error

    def _add(
        self, node: fx.Node, name: str, operation: Operation, inputs: tuple[str, ...], shape: tuple[Dim, ...]
    ) -> None:
        module, source = place_of(node)
        self.nodes.append(Node(name, operation, inputs, shape, module, source))
        self.shapes[name] = shape
        self.refs[node] = name
        if self.of_windows.intersection(inputs):
            self.of_windows.add(name)
        if isinstance(operation, (Decision, Tokens)) or (inputs and self.decisions.issuperset(inputs)):
            self.decisions.add(name)
        if name in self.decisions or operation.is_gate([i in self.gates for i in inputs]):
            self.gates.add(name)

    def _refuse(self, node: fx.Node, reason: str) -> None:
        origin = node.args[0] if node.target is operator.getitem else node
        name = str(getattr(origin, "target", origin)).removeprefix("aten.").split(".")[0]
        sources = origin.all_input_nodes if isinstance(origin, fx.Node) else []
        inputs = tuple(self.refs[n] for n in sources if n in self.refs)
        shape = self.traced.loose_shape(node)
        self._add(node, node.name, Unsupported(name, reason), inputs, shape)


def _is_floating(node: fx.Node) -> bool:
    value = node.meta.get("val")
    return isinstance(value, Tensor) and value.is_floating_point()
