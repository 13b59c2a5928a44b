"""Archives as Keras 2.12 to 2.15 write them, made of those of Keras 3: the walk of its `saving_lib.py`."""

import io
import json
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py

VERSIONS = ("2.12.0", "2.13.1", "2.14.0", "2.15.0")


@dataclass(eq=False)
class Trackable:
    """A layer or a model: its class, its arrays, and what hangs on it."""

    kind: str
    arrays: list[Any]
    attributes: dict[str, "Trackable | list[Trackable]"] = field(default_factory=dict)

    def has_weights(self) -> bool:
        inner = [part for value in self.attributes.values() for part in _listed(value)]
        return bool(self.arrays) or any(part.has_weights() for part in inner)


def _listed(value: "Trackable | list[Trackable]") -> "list[Trackable]":
    return value if isinstance(value, list) else [value]


def rewritten(source: Path, path: Path, version: str, *, windows: bool = False) -> Path:
    """Write an archive of Keras 3 as a version of Keras 2 does."""
    with zipfile.ZipFile(source) as archive:
        document = json.loads(archive.read("config.json"))
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
            model = _model(document, file)
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        _save_state(model, "", set(), _Writer(file, version, "\\" if windows else "/"))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version, "date_saved": "x"}))
        archive.writestr("config.json", json.dumps(_of_keras2(document)))
        archive.writestr("model.weights.h5", weights.getvalue())
    return path


def _model(document: dict[str, Any], group: Any) -> Trackable:
    counts: dict[str, int] = {}
    layers = []
    for entry in document["config"]["layers"]:
        kind = entry["class_name"]
        name = to_snake_case(kind)
        counts[name] = counts.get(name, -1) + 1
        inner = group.get(f"layers/{name}" + (f"_{counts[name]}" if counts[name] else ""))
        layers.append(_model(entry, inner) if kind in ("Functional", "Sequential") else _layer(kind, inner))
    return Trackable(document["class_name"], [], {"layers": layers})


def _layer(kind: str, group: Any) -> Trackable:
    if group is None:
        return Trackable(kind, [])
    own = group.get("vars", {})
    arrays = [own[name][()] for name in sorted(own, key=int)]
    inner = {name: _layer(name, group[name]) for name in group if name != "vars"}
    return Trackable(kind, arrays, inner)


@dataclass
class _Writer:
    file: h5py.File
    version: str
    separator: str

    def attributes(self, trackable: Trackable) -> list[tuple[str, Any]]:
        """Walk as `dir` does, or from its end: up to 2.14 a model's dependencies come before its layers."""
        found = dict(trackable.attributes)
        if "layers" in found and self.version < "2.15":
            found["_layer_checkpoint_dependencies"] = [
                each for layer in found["layers"] for each in [layer] * (2 if layer.has_weights() else 1)
            ]
        return sorted(found.items(), reverse=self.version >= "2.15")

    def save(self, path: str, arrays: list[Any]) -> None:
        group = (self.file.create_group(path) if path else self.file).create_group("vars")
        for number, array in enumerate(arrays):
            group[f"{number}"] = array

    def join(self, path: str, name: str) -> str:
        return f"{path}{self.separator}{name}" if path else name


def _save_state(trackable: Trackable, path: str, visited: set[int], to: _Writer) -> None:
    if id(trackable) in visited:
        return
    to.save(path, trackable.arrays)
    visited.add(id(trackable))
    for name, value in to.attributes(trackable):
        inner = to.join(path, name)
        if isinstance(value, Trackable):
            _save_state(value, inner, visited, to)
        else:
            _save_container(value, inner, visited, to)


def _save_container(container: list[Trackable], path: str, visited: set[int], to: _Writer) -> None:
    used: dict[str, int] = {}
    for trackable in container:
        if to.version >= "2.14" and id(trackable) in visited:
            continue
        name = to_snake_case(trackable.kind)
        used[name] = used.get(name, -1) + 1
        name = f"{name}_{used[name]}" if used[name] else name
        _save_state(trackable, to.join(path, name), visited, to)


def to_snake_case(name: str) -> str:
    return re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z0-9]+)", r"\1_\2", name)).lower()


def _of_keras2(value: Any) -> Any:
    """Write a configuration as Keras 2: types by name, shapes of batches, references as lists."""
    if isinstance(value, list):
        return [_of_keras2(each) for each in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") == "DTypePolicy":
        return value["config"]["name"]
    module = str(value.get("module")).replace("keras.src.models.functional", "keras.src.engine.functional")
    changed = {
        ("batch_input_shape" if key == "batch_shape" else key): _of_keras2(each)
        for key, each in value.items()
        if key not in ("shared_object_id", "optional")
    }
    if "inbound_nodes" in value:
        changed["inbound_nodes"] = [_references(node["args"]) for node in value["inbound_nodes"]]
    for key in ("input_layers", "output_layers"):
        if key in value and value[key] and isinstance(value[key][0], str):
            changed[key] = [value[key]]
    return changed | ({"module": module} if "module" in value else {})


def _references(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [[*value["config"]["keras_history"], {}]]
    return [found for each in value for found in _references(each)]
