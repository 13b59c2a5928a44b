"""Weights from files that can't run code: safetensors, or a state dict read with `weights_only=True`."""

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from sparselrp_cli.errors import ModelError


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict.

    Raises
    ------
    ModelError
        If the file is missing, corrupt, or holds anything but named tensors.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such weights file")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError, ValueError, AttributeError, KeyError, RuntimeError) as error:
            raise ModelError(f"{path}: corrupt or not safetensors ({error}); get the file again") from error
    return _load_state_dict(path)


def _load_state_dict(path: Path) -> dict[str, Tensor]:
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        message = f"{path}: not a plain state dict; save the model's state_dict() alone, best as safetensors"
        raise ModelError(message) from error
    # The file is what it is; torch's reader has no error of its own for a damaged one.
    except Exception as error:
        raise ModelError(f"{path}: corrupt or not a weights file; get the file again") from error
    for key in ("state_dict", "model_state_dict"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict) or not all(isinstance(v, Tensor) for v in loaded.values()):
        raise ModelError(f"{path}: holds no state dict (names and tensors)")
    return dict(loaded)


def put_weights(module: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Fill a module, every tensor of it and no other.

    Raises
    ------
    ModelError
        If names or shapes differ, with the first that does.
    """
    require_fit(module, weights, path)
    module.load_state_dict(weights, strict=False)


def require_fit(module: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Check that weights are those of a module.

    Raises
    ------
    ModelError
        If names or shapes differ, with the first that does.
    """
    expected = module.state_dict()
    missing = [k for k in expected if k not in weights and not k.endswith("num_batches_tracked")]
    if missing:
        raise ModelError(f"{path}: weights for '{missing[0]}' are missing ({len(missing)} in all)")
    if unknown := [k for k in weights if k not in expected]:
        raise ModelError(f"{path}: the model has no '{unknown[0]}' ({len(unknown)} such in all)")
    for key, tensor in weights.items():
        if tensor.shape != expected[key].shape:
            shapes = f"{tuple(tensor.shape)}, the model's is {tuple(expected[key].shape)}"
            raise ModelError(f"{path}: '{key}' has shape {shapes}")
