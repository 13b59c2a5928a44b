"""An exported program, and where its samples are: by symbolic sizes, or by tracing two and three samples."""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.utils._sympy.symbol import SymT, symbol_is_type

from sparselrp_cli.errors import ModelError
from sparselrp_cli.graph.call import NoRule
from sparselrp_cli.graph.shapes import BatchDim, Dim

_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<function>\S+)')


@dataclass(frozen=True)
class Traced:
    """A traced model.

    Attributes
    ----------
    program : ExportedProgram
        Traced with a free number of samples, or with two.
    larger : ExportedProgram or None
        Where the number of samples couldn't be left free: the same model traced with three.
    sizes : dict of symbol to int
        Sizes that constants decide, such as how many entries a mask chooses, as they are found out.

    Raises
    ------
    ModelError
        If the model does different things for two and three samples.
    """

    program: ExportedProgram
    larger: ExportedProgram | None = None
    sizes: dict[Any, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.larger is None:
            return
        two = [(n.op, n.target) for n in self.program.graph.nodes]
        if two != [(n.op, n.target) for n in self.larger.graph.nodes]:
            raise ModelError(
                "the model does different things for batches of 2 and of 3 samples (a loop over the batch?);"
                " write its forward for any number of samples"
            )

    def decomposed(self, targets: list[Any]) -> "Traced | None":
        """Break functions up into simpler ones where torch knows how; None where it doesn't for any."""
        table = torch.export.default_decompositions()
        chosen = {target: table[target] for target in targets if target in table}
        if not chosen:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            larger = None if self.larger is None else self.larger.run_decompositions(chosen)
            return Traced(self.program.run_decompositions(chosen), larger)

    def _twin(self, node: fx.Node) -> fx.Node | None:
        return self._twins.get(node)

    @cached_property
    def _twins(self) -> dict[fx.Node, fx.Node]:
        if self.larger is None:
            return {}
        return dict(zip(self.program.graph.nodes, self.larger.graph.nodes, strict=True))

    def _dims(self, node: fx.Node) -> list[tuple[Any, ...]]:
        """Give the sizes of each result of a node: numbers, and a `BatchDim` or None along samples."""
        values = _values(node)
        twin = self._twin(node)
        if twin is None:
            return [tuple(self._size(d) for d in v.shape) for v in values]
        pairs = zip(values, _values(twin), strict=True)
        return [
            tuple(
                self._size(a) if _decided_by_constants(a) else _different(a, b)
                for a, b in zip(v.shape, w.shape, strict=True)
            )
            for v, w in pairs
        ]

    def _size(self, size: Any) -> Any:
        """Turn a traced size into a number, a `BatchDim`, or None for anything else."""
        return _symbolic(size, self.sizes)

    def is_open(self, node: fx.Node) -> bool:
        """Whether a size of a result depends on constants and isn't known yet."""
        sizes = [d for v in _values(node) for d in v.shape if _decided_by_constants(d)]
        return any(self._size(d) is None for d in sizes)

    def note(self, node: fx.Node, result: Any) -> None:
        """Note the sizes that constants decide, from what a node computes with them."""
        values = node.meta.get("val")
        if isinstance(values, torch.SymInt):
            self._note(values, int(result))
        for value, computed in zip(_values(node), _tensors(result), strict=False):
            for size, number in zip(value.shape, computed.shape, strict=True):
                self._note(size, number)

    def _note(self, size: Any, number: int) -> None:
        if _decided_by_constants(size) and size.node.expr.is_Symbol:
            self.sizes[size.node.expr] = number

    def shape(self, node: fx.Node) -> tuple[Dim, ...]:
        """Give the symbolic shape of a node's only result.

        Raises
        ------
        NoRule
            If not exactly one axis goes along the samples.
        """
        dims = self._dims(node)[0]
        if None in dims or sum(isinstance(d, BatchDim) for d in dims) != 1:
            raise NoRule("it mixes samples or drops the sample axis")
        return dims

    def loose_shape(self, node: fx.Node) -> tuple[Dim, ...]:
        """Give a shape for a table, whatever it is."""
        dims = self._dims(node)
        return tuple(BatchDim() if d is None else d for d in dims[0]) if dims else ()

    def shapes(self, node: fx.Node) -> tuple[tuple[Dim, ...], ...]:
        """Give the shapes of all results, whatever they are."""
        return tuple(tuple(BatchDim() if d is None else d for d in dims) for dims in self._dims(node))

    def axis(self, node: fx.Node) -> int | None:
        """Give the axis along which a constant was repeated for every sample.

        Raises
        ------
        ModelError
            If it isn't one sample a row.
        """
        dims = self._dims(node)
        found = [i for i, d in enumerate(dims[0]) if not isinstance(d, int)] if len(dims) == 1 else []
        if not found:
            return None
        if len(found) > 1 or dims[0][found[0]] != BatchDim():
            raise ModelError(
                f"a constant ('{node.name}') that mixes with the number of samples has no rule{_at(node)};"
                " index and reshape within each sample, as x.flatten(1) does"
            )
        return found[0]

    def axis_of_batches(self, node: fx.Node) -> int | None:
        """Give the only axis along which several rows lie for every sample; None where there is none."""
        dims = self._dims(node)
        found = [i for i, d in enumerate(dims[0]) if not isinstance(d, int)] if len(dims) == 1 else []
        return found[0] if len(found) == 1 and isinstance(dims[0][found[0]], BatchDim) else None

    def number(self, node: fx.Node) -> Any:
        """Give a node's result where it is a number; a `BatchDim` where it counts samples."""
        value = node.meta.get("val")
        if isinstance(value, torch.SymInt):
            size = self._size(value)
            return value if size is None and not _decided_by_constants(value) else size
        twin = self._twin(node)
        if twin is not None and isinstance(value, int) and not isinstance(value, bool):
            return _different(value, twin.meta["val"])
        return value if isinstance(value, (int, float, bool)) else None

    def differing(self, node: fx.Node, named: dict[str, Any]) -> dict[str, Any]:
        """Give the arguments that differ between the traces, numbers of samples as `BatchDim`."""
        twin = self._twin(node)
        if twin is None:
            return {}
        schema = node.target._schema  # type: ignore[union-attr]
        others = {a.name: v for a, v in zip(schema.arguments, twin.args, strict=False)}
        others.update(twin.kwargs)
        return {k: _compared(named[k], v) for k, v in others.items()}


def _values(node: fx.Node) -> list[Tensor]:
    return _tensors(node.meta.get("val"))


def _tensors(value: Any) -> list[Tensor]:
    values = value if isinstance(value, (list, tuple)) else [value]
    return [v for v in values if isinstance(v, Tensor)]


def _decided_by_constants(size: Any) -> bool:
    """Whether a traced size depends on the numbers in a tensor."""
    symbols = getattr(size.node.expr, "free_symbols", ()) if isinstance(size, torch.SymInt) else ()
    return any(symbol_is_type(symbol, SymT.UNBACKED_INT) for symbol in symbols)


def _symbolic(size: Any, known: Mapping[Any, int]) -> Any:
    """Turn a traced size into a number, a multiple of the number of samples, or None for anything else."""
    if isinstance(size, int):
        return size
    expression = known.get(size.node.expr, size.node.expr)
    if isinstance(expression, int):
        return expression
    expression = expression.xreplace(dict(known))
    symbols = list(expression.free_symbols)
    if any(symbol_is_type(symbol, SymT.UNBACKED_INT) for symbol in symbols):
        return None
    if len(symbols) != 1:
        return int(expression) if not symbols else None
    multiple = expression / symbols[0]
    return BatchDim(int(multiple)) if multiple.is_Integer else None


def _different(two: int, three: int) -> Any:
    """Compare a size for two samples with that for three."""
    if two == three:
        return two
    multiple = three - two
    return BatchDim(multiple) if two == 2 * multiple else None


def _compared(two: Any, three: Any) -> Any:
    if isinstance(two, (list, tuple)) and isinstance(three, (list, tuple)):
        return [_compared(a, b) for a, b in zip(two, three, strict=True)]
    if isinstance(two, int) and not isinstance(two, bool) and isinstance(three, int) and two != three:
        return _different(two, three)
    return two


def _at(node: fx.Node) -> str:
    _, line = place_of(node)
    return f" at {line}" if line else ""


def place_of(node: fx.Node) -> tuple[str, str]:
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
