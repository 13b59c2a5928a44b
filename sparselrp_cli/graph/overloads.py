"""Every ATen function that has a rule, with its converter: put together from the files of `operations`.

A file of that folder is an operation. It says in its constant `CONVERTERS` which functions are converted to
it, and is found because it lies there: nothing else lists it.
"""

import importlib
import pkgutil
from collections.abc import Iterable
from types import MappingProxyType

from sparselrp_cli.graph import operations
from sparselrp_cli.graph.call import Call, Converted, Converters, NoRule
from sparselrp_cli.graph.operations.complex_numbers import of_complex, reads_complex


def operation_files() -> tuple[str, ...]:
    """Give the modules of `operations`, in alphabetical order."""
    return tuple(f"{operations.__name__}.{found.name}" for found in pkgutil.iter_modules(operations.__path__))


def merged(tables: Iterable[tuple[str, Converters]]) -> Converters:
    """Put tables of converters together.

    Parameters
    ----------
    tables : iterable of (str, mapping)
        With where each comes from.

    Raises
    ------
    ValueError
        If two of them convert the same function.
    """
    table: dict[object, tuple[str, Converters]] = {}
    for place, converters in tables:
        for overload in converters:
            if overload in table:
                raise ValueError(f"{overload} is converted in {table[overload][0]} and in {place}")
            table[overload] = place, converters
    return MappingProxyType({overload: found[overload] for overload, (_, found) in table.items()})


CONVERTERS = merged((name, importlib.import_module(name).CONVERTERS) for name in operation_files())
DEFAULT_HINT = "rewrite it with operations that have a rule"
HINTS = MappingProxyType(
    {
        "native_dropout": "call model.eval() before the export",
        "masked_scatter": "write y[:, index] = x with an index that is the same for every sample",
        "segment_reduce": "use index_add or scatter_reduce with an index that is the same for every sample",
        "atan2": "write torch.atan(y / x)",
        "_native_batch_norm_legit": "call model.eval() before the export",
        "_native_batch_norm_legit_functional": "call model.eval() before the export",
    }
)


def convert_call(target: object, call: Call) -> Converted:
    """Convert one operation.

    Raises
    ------
    NoRule
    """
    converter = CONVERTERS.get(target)
    if converter is None:
        raise NoRule(HINTS.get(str(target).split(".")[1] if "." in str(target) else "", DEFAULT_HINT))
    return of_complex(target, call, converter) if reads_complex(call) else converter(call)
