"""Processes in which Triton runs in its interpreter, or compiles for GPUs that needn't be here.

The interpreter must be asked for before triton is imported, and whoever runs the tests may have imported it.
"""

import importlib
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from itertools import product
from typing import Any

import pytest

KERNELS = "sparselrp_cli.relevance.kernels."


def process(**environment: str) -> Iterator[ProcessPoolExecutor]:
    """Start a process with a few environment variables."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
        pool.submit(find_spec, "triton").result()
    with pool:
        yield pool


def assembly_for(
    capability: int, module: str, kernels: Sequence[str], types: dict[str, str], constants: dict[str, Any]
) -> dict[str, str]:
    """Compile kernels for a GPU that needn't be here, for every value of their constants; their assembly.

    Parameters
    ----------
    capability : int
        As in sm_80.
    module : str
        Under `sparselrp_cli.relevance.kernels`.
    kernels : sequence of str
    types : dict
        Triton's types by the name of a parameter; constants are "constexpr".
    constants : dict
        The values that each constant is compiled with.
    """
    import triton
    from triton.backends.compiler import GPUTarget

    written = {}
    for name in kernels:
        kernel = getattr(importlib.import_module(KERNELS + module), name)
        signature = {argument: types[argument] for argument in kernel.arg_names}
        fixed = [argument for argument in signature if signature[argument] == "constexpr"]
        for values in product(*(constants[argument] for argument in fixed)):
            given = dict(zip(fixed, values, strict=True))
            source = triton.compiler.ASTSource(kernel, signature, given)
            options = {"enable_fp_fusion": False}
            compiled = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
            assert compiled.asm["cubin"]
            written[f"{name} {given}"] = compiled.asm["ptx"]
    return written
