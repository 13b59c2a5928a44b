"""BPNet and ChromBPNet as bpnet-lite saves them (`torch.save(model)`), or their state dicts."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sparselrp_cli.errors import ModelError
from sparselrp_cli.model.formats import PARTS
from sparselrp_cli.model.importing.imported import ImportedModel, ImportRequest
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.model.unpickling import Stub, read_checkpoint

_PROFILE_LENGTH = 1000  # what the published models were trained to predict, in bp
_CONVOLUTIONS = ("iconv", "fconv", "rconvs")


@dataclass(frozen=True, slots=True)
class _Saved:
    """A network's tensors by name, its settings by name, and its class ('' where unknown)."""

    tensors: Mapping[str, Tensor]
    settings: Mapping[str, Any]
    kind: str

    def part(self, name: str) -> "_Saved":
        """Give one network inside this one."""
        kind = self.settings.get(f"{name}.", "")
        return _Saved(_below(self.tensors, name), _below(self.settings, name), kind)


def import_bpnet_lite(path: Path, request: ImportRequest) -> list[ImportedModel]:
    """Read a checkpoint of bpnet-lite.

    Raises
    ------
    ModelError
        If it isn't one, or differs from BPNet in a way that can't be expressed.
    """
    saved = _collect(read_checkpoint(path), str(path))
    notes: list[str] = []
    saved, part = _chosen(saved, request.part, str(path), notes)
    name = request.name or (f"{path.stem}-{part}" if part else path.stem)
    return [_model(saved, request, name, path, notes)]


def _collect(loaded: Any, place: str) -> _Saved:
    if isinstance(loaded, dict):
        for key in ("state_dict", "model_state_dict"):
            if isinstance(loaded.get(key), dict):
                loaded = loaded[key]
        tensors = {str(k): v for k, v in loaded.items() if isinstance(v, Tensor)}
        return _Saved(tensors, {}, "")
    if not isinstance(loaded, Stub) or "_modules" not in loaded.state:
        raise ModelError(f"{place}: holds neither a saved model nor a state dict")
    saved_tensors: dict[str, Tensor] = {}
    settings: dict[str, Any] = {}
    _walk(loaded, "", saved_tensors, settings)
    return _Saved(saved_tensors, settings, str(settings.pop("", "")))


def _walk(stub: Stub, prefix: str, tensors: dict[str, Tensor], settings: dict[str, Any]) -> None:
    """Collect tensors, settings and, under the prefix itself, classes of a saved module."""
    settings[prefix] = stub.path.rsplit(".", 1)[-1]
    for key, value in stub.state.items():
        if key in ("_parameters", "_buffers") and isinstance(value, dict):
            tensors.update({f"{prefix}{k}": v for k, v in value.items() if isinstance(v, Tensor)})
        elif key == "_modules" and isinstance(value, dict):
            for name, child in value.items():
                if isinstance(child, Stub) and prefix.count(".") < 16:
                    _walk(child, f"{prefix}{name}.", tensors, settings)
        elif isinstance(value, (int, float, str, tuple)):
            settings[f"{prefix}{key}"] = value


def _below(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    prefix = f"{name}."
    return {k.removeprefix(prefix): v for k, v in values.items() if k.startswith(prefix) and k != prefix}


def _chosen(saved: _Saved, part: str | None, place: str, notes: list[str]) -> tuple[_Saved, str]:
    """Go down to the BPNet inside wrappers and ChromBPNet, and say which part that was."""
    while "iconv.weight" not in saved.tensors and _below(saved.tensors, "model"):
        saved = saved.part("model")
    parts = [name for name in PARTS if f"{name}.iconv.weight" in saved.tensors]
    if parts:
        chosen = part or PARTS[0]
        if chosen not in parts:
            raise ModelError(f"{place}: has no part '{chosen}'; there is {' and '.join(parts)}")
        notes.append(f"'{chosen}' of a ChromBPNet" + ("" if part else "; its bias model is left out"))
        return saved.part(chosen), chosen
    if part is not None:
        raise ModelError(f"{place}: --part goes with a ChromBPNet; this is a single model")
    if "iconv.weight" not in saved.tensors:
        raise ModelError(
            f"{place}: no BPNet of bpnet-lite (no 'iconv.weight'); for another model use a factory,"
            " FILE.py:FACTORY with -w"
        )
    return saved, ""


def _model(saved: _Saved, request: ImportRequest, name: str, path: Path, notes: list[str]) -> ImportedModel:
    place = str(path)
    n_layers = sum(f"rconvs.{i}.weight" in saved.tensors for i in range(64))
    arguments, weights = _arguments(saved, n_layers, place), _weights(saved, n_layers, place, notes)
    trimming = _trimming(saved, n_layers, notes)
    if not saved.kind:
        notes.append("a state dict doesn't say its class; taken for bpnet-lite's BPNet, not BasePairNet")
    window = request.window or 2 * trimming + _PROFILE_LENGTH
    if request.window is None:
        notes.append(f"windows of {window} bp, for a profile of {_PROFILE_LENGTH}; change it with --window")
    if window <= 2 * trimming:
        raise ModelError(f"{place}: a window of {window} bp leaves no profile; {2 * trimming} bp are trimmed")
    return ImportedModel(
        name=name,
        architecture="bpnet",
        arguments={**arguments, "trimming": trimming},
        weights=weights,
        window=window,
        outputs=(OutputNames("profile", (), "NTP"), OutputNames("counts", (), "NT")),
        source=f"imported from the bpnet-lite checkpoint {path.name}",
        notes=tuple(notes),
    )


def _trimming(saved: _Saved, n_layers: int, notes: list[str]) -> int:
    found = saved.settings.get("trimming")
    if isinstance(found, int) and found >= 0:
        return found
    trimming: int = 47 + sum(2**i for i in range(1, n_layers + 1))
    notes.append(f"trimming isn't in the file; taken for the default, {trimming} bp at each end")
    return trimming


def _arguments(saved: _Saved, n_layers: int, place: str) -> dict[str, Any]:
    tensors = saved.tensors
    for key in ("iconv.weight", "fconv.weight", "linear.weight"):
        if key not in tensors or tensors[key].dim() != (2 if key == "linear.weight" else 3):
            raise ModelError(f"{place}: '{key}' is missing or has another shape than a BPNet's")
    _check_settings(saved, n_layers, place)
    return {
        "filters": tensors["iconv.weight"].shape[0],
        "layers": n_layers,
        "tasks": tensors["fconv.weight"].shape[0],
        "stem_width": tensors["iconv.weight"].shape[2],
        "profile_width": tensors["fconv.weight"].shape[2],
        "count_tasks": tensors["linear.weight"].shape[0],
        "pre_activation": saved.kind == "BasePairNet",
    }


def _check_settings(saved: _Saved, n_layers: int, place: str) -> None:
    """Refuse a class, a tensor or a convolution that isn't BPNet's."""
    if saved.kind not in ("", "BPNet", "BasePairNet"):
        raise ModelError(
            f"{place}: a model of class '{saved.kind}'; only BPNet, BasePairNet and ChromBPNet are known"
        )
    modules = ["iconv", "fconv", "linear", *(f"rconvs.{i}" for i in range(n_layers))]
    known = [f"{module}.{kind}" for module in modules for kind in ("weight", "bias")]
    if unknown := [key for key in saved.tensors if key not in known]:
        raise ModelError(f"{place}: has '{unknown[0]}', which a BPNet of bpnet-lite hasn't; use a factory")
    for key, weight in saved.tensors.items():
        module = key.removesuffix(".weight")
        if key == module or not module.startswith(_CONVOLUTIONS):
            continue
        index = module.removeprefix("rconvs.")
        dilation = 2 ** (int(index) + 1) if index.isdigit() else 1
        width = weight.shape[2]
        wanted = {"dilation": dilation, "stride": 1, "padding": dilation * (width - 1) // 2}
        if width % 2 == 0 or (dilation > 1 and width != 3):
            raise ModelError(f"{place}: convolution '{module}' is {width} bp wide, unlike a BPNet's")
        for setting, expected in wanted.items():
            found = saved.settings.get(f"{module}.{setting}", expected)
            if found not in (expected, (expected,), "same"):
                raise ModelError(f"{place}: convolution '{module}' has {setting} {found}, a BPNet {expected}")


def _weights(saved: _Saved, n_layers: int, place: str, notes: list[str]) -> dict[str, Tensor]:
    """Give the tensors by our names; control tracks, which are zero when explaining, are left out."""
    filters = saved.tensors["iconv.weight"].shape[0]
    names = {"iconv": "stem", "fconv": "profile", "linear": "counts"}
    names |= {f"rconvs.{i}": f"residual.{i}" for i in range(n_layers)}
    weights = {}
    for old, new in names.items():
        weight = saved.tensors[f"{old}.weight"].to(torch.float32, copy=True)
        bias = saved.tensors.get(f"{old}.bias")
        weights[f"{new}.weight"] = weight
        weights[f"{new}.bias"] = (
            torch.zeros(weight.shape[0]) if bias is None else bias.to(torch.float32, copy=True)
        )
    n_controls = weights["profile.weight"].shape[1] - filters
    extra = weights["counts.weight"].shape[1] - filters
    if min(n_controls, extra) < 0 or bool(n_controls) != bool(extra) or extra > 1:
        raise ModelError(f"{place}: its heads don't fit {filters} filters")
    if n_controls:
        notes.append(f"{n_controls} control track{'s' if n_controls > 1 else ''} taken as zero")
        if saved.kind == "BasePairNet":  # there the count head sees log(0 + 2)
            weights["counts.bias"] = weights["counts.bias"] + log(2) * weights["counts.weight"][:, filters]
        weights["profile.weight"] = weights["profile.weight"][:, :filters].contiguous()
        weights["counts.weight"] = weights["counts.weight"][:, :filters].contiguous()
    return weights
