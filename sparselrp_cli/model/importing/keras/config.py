"""The `model_config` of a Keras file, whatever version wrote it, as one flat list of layers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sparselrp_cli.errors import ModelError

_FUNCTIONAL = ("Model", "Functional")


@dataclass(frozen=True, slots=True)
class KerasLayer:
    """One layer.

    Attributes
    ----------
    name : str
        Unique in the file: the names of the models around it come first.
    kind : str
        Its class in Keras.
    config : mapping
    inputs : tuple of str
        Names of layers.
    path : tuple of str
        Names of the models around it and its own, as its weights are filed.
    module : str
        Where its class is, as Keras 3 says it; may be empty.
    arguments : tuple
        Of an operation of Keras 3 what it is called with, None for the result of a layer.
    """

    name: str
    kind: str
    config: Mapping[str, Any]
    inputs: tuple[str, ...]
    path: tuple[str, ...]
    module: str = ""
    arguments: tuple[Any, ...] = ()

    @property
    def is_operation(self) -> bool:
        """Whether it is a function of `keras.ops`, which a model of Keras 3 holds between its layers."""
        return self.module.startswith("keras.") and ".ops" in self.module


@dataclass(frozen=True, slots=True)
class KerasNetwork:
    """Layers in an order in which they can be computed, and which of them are inputs and outputs."""

    layers: tuple[KerasLayer, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def read_network(document: Mapping[str, Any], place: str) -> KerasNetwork:
    """Read a model configuration.

    Raises
    ------
    ModelError
        If it is none.
    """
    try:
        network = _network(document, place)
        return replace(network, layers=_sorted(network.layers, place))
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        raise ModelError(
            f"{place}: its 'model_config' can't be understood ({type(error).__name__}: {error}); save the"
            " model again with a current Keras"
        ) from error


def _network(document: Mapping[str, Any], place: str) -> KerasNetwork:
    kind = document["class_name"]
    if kind == "Sequential":
        network = _sequential(document["config"])
    elif kind in _FUNCTIONAL:
        network = _functional(document["config"])
    else:
        raise ModelError(
            f"{place}: a model of class '{kind}', whose code isn't in the file; build it with the functional"
            " API and save it again, or port it to a PyTorch factory"
        )
    return _inlined(network, place)


def _sequential(config: Any) -> KerasNetwork:
    entries = config["layers"] if isinstance(config, Mapping) else config
    layers: list[KerasLayer] = []
    if entries[0]["class_name"] != "InputLayer":
        shape = _first_shape(config, entries[0]["config"])
        layers.append(
            _layer({"class_name": "InputLayer", "config": {"name": "input", "batch_shape": shape}}, ())
        )
    for entry in entries:
        layers.append(_layer(entry, (layers[-1].name,) if layers else ()))
    return KerasNetwork(tuple(layers), (layers[0].name,), (layers[-1].name,))


def _first_shape(config: Any, first: Mapping[str, Any]) -> Any:
    shape = first.get("batch_input_shape", first.get("batch_shape"))
    if shape is None and isinstance(config, Mapping):
        shape = config.get("build_input_shape")
    return shape


def _functional(config: Mapping[str, Any]) -> KerasNetwork:
    uses = _Uses(config)
    layers = [layer for entry in config["layers"] for layer in _used(entry, uses)]
    inputs, outputs = (uses.names(config[key]) for key in ("input_layers", "output_layers"))
    return KerasNetwork(tuple(layers), inputs, outputs)


class _Uses:
    """Names the uses of layers: one that is called several times is as many layers of equal weights.

    Some versions count the uses of a model within a model from 1, as the model itself was the first.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.first: dict[str, int] = {}
        ends = [config["input_layers"], config["output_layers"]]
        for name, use in _references([*ends, *(entry["inbound_nodes"] for entry in config["layers"])]):
            self.first[name] = min(use, self.first.get(name, use))

    def names(self, value: Any) -> tuple[str, ...]:
        """Give the names of the uses that are referred to, in any nesting."""
        return tuple(use_name(name, use - self.first[name]) for name, use in _references(value))


def use_name(layer: str, use: int) -> str:
    """Name a use of a layer, counted from 0."""
    return f"{layer}/{use}" if use else layer


def _used(entry: Mapping[str, Any], uses: _Uses) -> list[KerasLayer]:
    nodes = entry["inbound_nodes"]
    if len(nodes) <= 1 or _one_node(nodes):
        return [_layer(entry, uses.names(nodes), _arguments(nodes))]
    layers = [_layer(entry, uses.names(node), _arguments(node)) for node in nodes]
    return [replace(layer, name=use_name(layer.name, use)) for use, layer in enumerate(layers)]


def _arguments(node: Any) -> tuple[Any, ...]:
    """Give what an operation is called with; a tensor counts as None."""
    node = node[0] if isinstance(node, list) and len(node) == 1 else node
    given = node.get("args", ()) if isinstance(node, Mapping) else ()
    return tuple(None if isinstance(value, Mapping) else value for value in given)


def _one_node(nodes: Sequence[Any]) -> bool:
    """Whether these are the references of one node, as some versions write them, and not several nodes."""
    return all(isinstance(n, list) and n and isinstance(n[0], str) for n in nodes)


def _references(value: Any) -> tuple[tuple[str, int], ...]:
    """Collect layers and which use of them is meant, in any nesting of references of Keras 2 and 3."""
    if isinstance(value, Mapping):
        history = value.get("keras_history")
        if isinstance(history, list):
            return ((str(history[0]), int(history[1])),)
        return tuple(found for part in value.values() for found in _references(part))
    if not isinstance(value, (list, tuple)):
        return ()
    if len(value) >= 3 and isinstance(value[0], str) and isinstance(value[1], int):
        return ((value[0], value[1]), *(found for part in value[3:] for found in _references(part)))
    return tuple(found for part in value for found in _references(part))


def _layer(entry: Mapping[str, Any], inputs: tuple[str, ...], arguments: tuple[Any, ...] = ()) -> KerasLayer:
    config = entry["config"]
    name = entry.get("name") or (config["name"] if isinstance(config, Mapping) else None)
    kind, name = str(entry["class_name"]), str(name)
    if kind == "Sequential" or kind in _FUNCTIONAL:
        config = {"nested": dict(entry)}
    return KerasLayer(name, kind, config, inputs, (name,), str(entry.get("module") or ""), arguments)


def _inlined(network: KerasNetwork, place: str) -> KerasNetwork:
    """Put the layers of nested models in their places."""
    layers: list[KerasLayer] = []
    aliases: dict[str, tuple[str, ...]] = {}
    for layer in network.layers:
        if "nested" not in layer.config:
            layers.append(layer)
            continue
        inner = _network(layer.config["nested"], place)
        names = {inside.name: f"{layer.name}_{inside.name}" for inside in inner.layers}
        names.update(zip(inner.inputs, layer.inputs, strict=True))
        for inside in inner.layers:
            if inside.name not in inner.inputs:
                sources = tuple(names[i] for i in inside.inputs)
                path = (*layer.path, *inside.path)
                layers.append(replace(inside, name=names[inside.name], inputs=sources, path=path))
        aliases[layer.name] = tuple(names[o] for o in inner.outputs)
    return KerasNetwork(
        tuple(replace(la, inputs=_through(la.inputs, aliases, place)) for la in layers),
        network.inputs,
        _through(network.outputs, aliases, place),
    )


def _through(names: tuple[str, ...], aliases: Mapping[str, tuple[str, ...]], place: str) -> tuple[str, ...]:
    found = []
    for name in names:
        targets = aliases.get(name, (name,))
        if len(targets) != 1:
            raise ModelError(
                f"{place}: the nested model '{name}' has {len(targets)} outputs, which can't be imported;"
                " build the model without nesting and save it again"
            )
        target = targets[0]
        found.append(_through((target,), aliases, place)[0] if target in aliases else target)
    return tuple(found)


def _sorted(layers: tuple[KerasLayer, ...], place: str) -> tuple[KerasLayer, ...]:
    """Order layers so that each comes after those it takes."""
    waiting, done, ordered = list(layers), set[str](), list[KerasLayer]()
    while waiting:
        ready = [layer for layer in waiting if done.issuperset(layer.inputs)]
        if not ready:
            layer = waiting[0]
            raise ModelError(f"{place}: layer '{layer.name}' takes a layer that the file doesn't hold")
        ordered += ready
        done.update(layer.name for layer in ready)
        waiting = [layer for layer in waiting if layer.name not in done]
    return tuple(ordered)
