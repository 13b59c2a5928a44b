"""From a PyTorch module to a canonical graph, through torch.export.

The module itself is not changed: the graph holds its own constants.
"""

import logging
import operator
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import Dim as ExportDim
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from sparselrp_cli.errors import ModelError
from sparselrp_cli.model.conversion import Alias, Call, NoRule, convert_call
from sparselrp_cli.model.folding import fold_batch_norm
from sparselrp_cli.model.graph import CanonicalGraph, GraphOutput, Node, Unsupported
from sparselrp_cli.model.operations import BatchDim, Dim

_EXAMPLE_BATCH = 2
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<function>\S+)')


def capture(module: nn.Module, example: Tensor) -> CanonicalGraph:
    """Trace a module into a canonical graph with batch normalisation folded.

    Parameters
    ----------
    module : nn.Module
        Takes one tensor. It is traced in evaluation mode and given back in the mode it came in.
    example : Tensor, shape (2, ...)
        An input of the shape that will be explained, with two samples.

    Returns
    -------
    CanonicalGraph
        Operations without a rule are in it as `Unsupported` nodes.

    Raises
    ------
    ModelError
        If `torch.export` can't trace the module, or the module doesn't take such an input.
    """
    modes = {m: m.training for m in module.modules()}
    try:
        for submodule in modes:
            submodule.training = False
        program = _export(module, example)
    finally:
        for submodule, mode in modes.items():
            submodule.training = mode
    return fold_batch_norm(_Converter(program, example).graph())


def _export(module: nn.Module, example: Tensor) -> ExportedProgram:
    with torch.no_grad():
        try:
            _call_quietly(module, example)
        except Exception as error:
            message = f"the model can't take an input of shape {tuple(example.shape)}: {_first_line(error)}"
            raise ModelError(message) from error
        for dynamic in ({0: ExportDim("N")}, None):
            try:
                return _traced(module, example, (dynamic,) if dynamic else None)
            except Exception as error:  # noqa: BLE001 - torch.export raises many kinds
                failure = error
    raise ModelError(
        f"torch.export can't trace the model: {_first_line(failure)}; wrap the part that computes the"
        " output in a module whose forward has no branches that depend on data"
    ) from failure


def _call_quietly(module: Callable[[Tensor], Any], x: Tensor) -> Any:
    """Call the user's model without the warnings that are its own affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return module(x)


def _traced(module: nn.Module, example: Tensor, dynamic_shapes: Any) -> ExportedProgram:
    loggers = [logging.getLogger(name) for name in ("torch.export", "torch._dynamo", "torch.fx")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(module, (example,), dynamic_shapes=dynamic_shapes, strict=False)
            functional: ExportedProgram = program.run_decompositions({})
            return functional
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


class _Converter:
    """Walks an exported program once and collects canonical nodes."""

    def __init__(self, program: ExportedProgram, example: Tensor) -> None:
        self.program = program
        self.example = example
        self.constants = self._lifted_constants()
        self.user_inputs = [
            spec.arg.name for spec in program.graph_signature.input_specs if spec.kind == InputKind.USER_INPUT
        ]
        self.refs: dict[fx.Node, str] = {}  # activations: exported node -> canonical node or input
        self.values: dict[fx.Node, Any] = {}  # everything that doesn't depend on the sequence
        self.nodes: list[Node] = []
        self.shapes: dict[str, tuple[Dim, ...]] = {}
        self.input = ""
        self.fixed_batch: int | None = None

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
                outputs = self._outputs(node)
            else:
                raise ModelError(f"the traced model holds a node of kind '{node.op}', which isn't supported")
        return CanonicalGraph(
            input=self.input,
            input_shape=self.shapes[self.input],
            nodes=tuple(self.nodes),
            outputs=outputs,
            fixed_batch=self.fixed_batch,
            dtype=self.example.dtype,
            device=self.example.device,
        )

    def _placeholder(self, node: fx.Node) -> None:
        if node.name in self.user_inputs:
            if self.input:
                raise ModelError(
                    "the model takes several inputs; wrap it in a module that takes the sequence alone"
                )
            self.input = node.name
            if isinstance(node.meta["val"].shape[0], int):
                self.fixed_batch = int(node.meta["val"].shape[0])
            self.refs[node] = node.name
            self.shapes[node.name] = self._shape(node.meta["val"])
        elif node.name in self.constants:
            value = self.constants[node.name]
            self.values[node] = value.detach() if isinstance(value, Tensor) else value

    def _shape(self, value: Any) -> tuple[Dim, ...]:
        """Give the symbolic shape of a traced tensor.

        Raises
        ------
        NoRule
            If an axis other than the first depends on the number of samples, or the first doesn't.
        """
        dims = list(value.shape)
        if self.fixed_batch is not None:
            if not dims or dims[0] % self.fixed_batch:
                raise NoRule("it mixes samples or drops the sample axis")
            return (BatchDim(dims[0] // self.fixed_batch), *dims[1:])
        if not dims or isinstance(dims[0], int) or not all(isinstance(d, int) for d in dims[1:]):
            raise NoRule("it mixes samples or drops the sample axis")
        multiple = _multiple_of_batch(dims[0])
        if multiple is None:
            raise NoRule("it takes part of the samples or mixes them")
        return (BatchDim(multiple), *dims[1:])

    def _call(self, node: fx.Node) -> None:
        arguments = self._arguments(node)
        if node.target is torch.ops.aten.sym_size.int or not self._depends(node):
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
        value = node.meta.get("val")
        if isinstance(value, torch.SymInt):
            multiple = _multiple_of_batch(value)
            self.values[node] = BatchDim(multiple) if multiple else value
            return
        if isinstance(value, (int, float, bool)):
            self.values[node] = value
            return
        args = fx.map_arg(node.args, self._concrete)
        kwargs = fx.map_arg(node.kwargs, self._concrete)
        if not callable(node.target):
            raise ModelError(f"the traced model calls '{node.target}', which isn't a function")
        with torch.no_grad():
            result = node.target(*args, **kwargs)
        self.values[node] = _one_row(result) if _has_batch_axis(value) else result

    def _concrete(self, node: fx.Node) -> Any:
        value = self.values.get(node)
        if isinstance(value, BatchDim):
            return value.multiple * self.example.shape[0]
        if isinstance(value, Tensor) and _has_batch_axis(node.meta.get("val")):
            return value.expand(self.example.shape[0], *value.shape[1:])
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
        return {k: fx.map_arg(v, lambda n: self.values.get(n, n)) for k, v in named.items()}

    def _convert(self, node: fx.Node, arguments: dict[str, Any]) -> None:
        origin, item = node, 0
        if node.target is operator.getitem:
            origin, item = node.args[0], int(node.args[1])  # type: ignore[assignment,arg-type]
            arguments = self._arguments(origin)
        shape = self._shape(node.meta["val"])
        several = origin.meta["val"] if origin is not node else [node.meta["val"]]
        call = Call(
            arguments=arguments,
            item=item,
            output=shape,
            output_shapes=tuple(_loose_shape(v) for v in several),
            shape_of=lambda n: self.shapes[self.refs[n]],
            dtype=self.example.dtype,
        )
        converted = convert_call(origin.target, call)
        if isinstance(converted, Alias):
            self.refs[node] = self.refs[converted.node]
            return
        inputs = tuple(self.refs[n] for n in converted.inputs)
        called = f"{origin.name}.{item}" if item else origin.name
        for i, operation in enumerate(converted.operations):
            last = i == len(converted.operations) - 1
            name = called if last else f"{called}:{i}"
            self._add(node, name, operation, inputs, shape if last else ())
            inputs = (name,)

    def _add(
        self, node: fx.Node, name: str, operation: Any, inputs: tuple[str, ...], shape: tuple[Dim, ...]
    ) -> None:
        module, source = _place(node)
        self.nodes.append(Node(name, operation, inputs, shape, module, source))
        self.shapes[name] = shape
        self.refs[node] = name

    def _refuse(self, node: fx.Node, reason: str) -> None:
        origin = node.args[0] if node.target is operator.getitem else node
        name = str(getattr(origin, "target", origin)).removeprefix("aten.").split(".")[0]
        sources = origin.all_input_nodes if isinstance(origin, fx.Node) else []
        inputs = tuple(self.refs[n] for n in sources if n in self.refs)
        shape = _loose_shape(node.meta.get("val"))
        self._add(node, node.name, Unsupported(name, reason), inputs, shape)

    def _outputs(self, node: fx.Node) -> tuple[GraphOutput, ...]:
        returned = list(node.args[0])  # type: ignore[arg-type]
        names = _output_names(self.program, len(returned))
        outputs = []
        for name, item in zip(names, returned, strict=True):
            ref = self.refs.get(item, "") if isinstance(item, fx.Node) else ""
            outputs.append(GraphOutput(name, ref, self.shapes.get(ref, ())))
        return tuple(outputs)


def _multiple_of_batch(size: Any) -> int | None:
    """Give k where a traced size is k times the number of samples."""
    expression = size.node.expr
    symbols = list(expression.free_symbols)
    if len(symbols) != 1:
        return None
    multiple = expression / symbols[0]
    return int(multiple) if multiple.is_Integer else None


def _has_batch_axis(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dim() > 0 and isinstance(value.shape[0], torch.SymInt)


def _loose_shape(value: Any) -> tuple[Dim, ...]:
    """Give a shape for a table or a split, without asking where the samples are."""
    dims = value.shape if isinstance(value, Tensor) else ()
    return tuple(d if isinstance(d, int) else BatchDim() for d in dims)


def _one_row(value: Tensor) -> Tensor:
    """Keep one row of a constant that was made for every sample.

    Raises
    ------
    ModelError
        If the rows differ, as random numbers do.
    """
    if not torch.equal(value[:1].expand_as(value), value):
        raise ModelError("the model makes different numbers for each sample (random?); it can't be explained")
    return value[:1].clone()


def _place(node: fx.Node) -> tuple[str, str]:
    """Give the module path and the line of code a traced node comes from."""
    stack = node.meta.get("nn_module_stack") or {}
    module = str(list(stack.values())[-1][0]) if stack else ""
    if module.startswith("_empty"):
        module = ""
    frames = [m.groupdict() for m in _FRAME.finditer(node.meta.get("stack_trace") or "")]
    own = [f for f in frames if "/torch/" not in f["file"]]
    if not own:
        return module, ""
    return module, f"{own[-1]['file'].rsplit('/', 1)[-1]}:{own[-1]['line']}"


def _output_names(program: ExportedProgram, count: int) -> list[str]:
    """Name the outputs by the keys of the returned structure where it has keys."""
    structure = program.call_spec.out_spec
    if count == 1 or structure is None:
        return ["output"] if count == 1 else [f"output{i}" for i in range(count)]
    tree = torch.utils._pytree.tree_unflatten(list(range(count)), structure)
    if isinstance(tree, Mapping):
        paths, _ = torch.utils._pytree.tree_flatten_with_path(tree)
        return [".".join(str(getattr(k, "key", getattr(k, "idx", k))) for k in path) for path, _ in paths]
    return [f"output{i}" for i in range(count)]


def check_against_module(
    graph: CanonicalGraph, module: Callable[[Tensor], Any], x: Tensor
) -> dict[str, float]:
    """Compare the graph's outputs with the module's.

    Returns
    -------
    dict of str to float
        For each output that depends on the input, the largest difference relative to the largest value.
    """
    with torch.no_grad():
        expected, _ = torch.utils._pytree.tree_flatten(_call_quietly(module, x))
        values = graph.evaluate(x)
    differences = {}
    for output, tensor in zip(graph.outputs, expected, strict=True):
        if output.node in values:
            scale = max(float(tensor.abs().max()), 1e-30)
            differences[output.name] = float((values[output.node] - tensor).abs().max()) / scale
    return differences
