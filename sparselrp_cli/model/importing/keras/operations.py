"""How each function of `keras.ops` that a model of Keras 3 may hold is written in the list of layers."""

from collections.abc import Mapping
from types import MappingProxyType

from sparselrp_cli.model.importing.keras.source import Piece, Source, Translator


def _arithmetic(merge: str) -> Translator:
    """Translate a sum, a product and the like: of two layers, or of a layer and a number."""

    def translate(source: Source) -> list[Piece]:
        numbers = [n for n in source.layer.arguments if n is not None]
        if not numbers and len(source.layer.inputs) == 2:
            return [Piece(merge)]
        if len(numbers) != 1 or isinstance(numbers[0], bool) or not isinstance(numbers[0], int | float):
            source.refuse("computes with what is neither a layer nor a number, which can't be imported")
        return [Piece("affine", _with_number(source, merge, float(numbers[0])))]

    return translate


def _with_number(source: Source, merge: str, number: float) -> dict[str, float]:
    if merge == "multiply":
        return {"scale": number}
    if merge == "add":
        return {"shift": number}
    if merge != "subtract":
        source.refuse("computes with a number, which can't be imported for it")
    of_number = source.layer.arguments[0] is not None
    return {"scale": -1.0, "shift": number} if of_number else {"shift": -number}


def _quotient(source: Source) -> list[Piece]:
    numbers = source.layer.arguments[1:]
    if len(numbers) != 1 or isinstance(numbers[0], bool) or not isinstance(numbers[0], int | float):
        source.refuse("divides by what isn't a number, which can't be imported")
    if not numbers[0]:
        source.refuse("divides by zero")
    return [Piece("affine", {"scale": 1.0 / numbers[0]})]


def _activation(name: str) -> Translator:
    return lambda source: [Piece("identity", activation=name)]


def _pool(kind: str) -> Translator:
    def translate(source: Source) -> list[Piece]:
        axis = source.get("axis")
        if axis not in (1, [1], -2, [-2]):
            source.refuse(f"reduces axis {axis}; only that of positions can be imported")
        return [Piece("global-pool", {"kind": kind, "keep_axis": bool(source.get("keepdims", False))})]

    return translate


def _flip(source: Source) -> list[Piece]:
    axes = source.get("axis")
    axes = [axes] if isinstance(axes, int) else axes
    if not isinstance(axes, list) or not all(isinstance(n, int) and n in (1, 2, -1, -2) for n in axes):
        source.refuse(f"flips axes {axes}; only positions and channels can be imported")
    return [Piece("flip", {"axes": axes})]


OPERATIONS: Mapping[str, Translator] = MappingProxyType(
    {
        **{name: _arithmetic(name.lower()) for name in ("Add", "Subtract", "Multiply", "Maximum")},
        **dict.fromkeys(["Divide", "TrueDivide"], _quotient),
        "Relu": _activation("relu"),
        "Sigmoid": _activation("sigmoid"),
        "Tanh": _activation("tanh"),
        "Silu": _activation("silu"),
        "Softplus": _activation("softplus"),
        "Exp": _activation("exponential"),
        "Softmax": lambda source: [Piece("softmax", {"axis": source.integer("axis", -1)})],
        "Max": _pool("max"),
        "Mean": _pool("average"),
        "Flip": _flip,
    }
)
