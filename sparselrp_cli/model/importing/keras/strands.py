"""Layers of keras-genomics and its descendants that read both strands with one set of weights.

Their second half of channels holds, in reverse order, what the first half gives for the reverse complement
(Shrikumar et al., bioRxiv 103663, 2017).
"""

from dataclasses import replace
from types import MappingProxyType

import numpy as np

from sparselrp_cli.model.importing.keras.source import Array, Piece, Source, Translator


def _mirrored_kernel(kernel: Array) -> Array:
    """Add to kernels (width, in, out) those of the other strand."""
    return np.concatenate([kernel, kernel[::-1, ::-1, ::-1]], axis=2)


def _mirrored(of_channels: Array) -> Array:
    return np.concatenate([of_channels, of_channels[::-1]])


_ROLES = MappingProxyType({"kernel": (3, _mirrored_kernel)})


def both_strands(translate: Translator) -> Translator:
    """Make a translator of a layer that shares its weights between strands from that of the plain layer."""

    def translated(source: Source) -> list[Piece]:
        arrays = []
        for role, array in source.arrays:
            n_axes, mirror = _ROLES.get(role, (1, _mirrored))
            if array.ndim != n_axes:
                source.refuse(f"has '{role}' of shape {array.shape}; {n_axes} axes were expected")
            arrays.append((role, mirror(array)))
        return translate(replace(source, arrays=tuple(arrays)))

    return translated
