"""tiny-cuda-nn and nerfacc: used where they are there, never needed.

Nothing here is imported before it is asked for: tiny-cuda-nn can't be imported without a GPU, and
nerfacc compiles its CUDA code on first use.
"""

from __future__ import annotations

import importlib
import importlib.util
import shutil
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from polyfield.errors import MissingBackend


@dataclass(frozen=True)
class Package:
    """An optional package."""

    title: str
    """What people call it."""
    module: str
    """What Python calls it."""
    hint: str
    """How to get it."""
    used: str
    """What it is used for."""
    core: str
    """The module that holds its CUDA code; imported, it is compiled if need be."""


TINYCUDANN = Package(
    "tiny-cuda-nn",
    "tinycudann",
    "pip install git+https://github.com/NVlabs/tiny-cuda-nn/#subdirectory=bindings/torch",
    "TcnnHashGrid and TcnnPerceptron in a config",
    "tinycudann",
)
NERFACC = Package(
    "nerfacc",
    "nerfacc",
    "pip install nerfacc, with CUDA's nvcc on the PATH",
    "NerfaccGrid in a config",
    "nerfacc.cuda._backend",
)
PACKAGES = (TINYCUDANN, NERFACC)


def why_not(package: Package) -> str | None:
    """Why a package can't be used here, and the mend; None if nothing speaks against it.

    Compiles nothing: whether nerfacc's CUDA code compiles shows when it is loaded.
    """
    if not _found(package.module):
        return f"not installed; {package.hint}"
    if not torch.cuda.is_available():
        return "installed, but PyTorch finds no CUDA device; use a machine with an NVIDIA GPU"
    try:
        importlib.import_module(package.module)
        ready = package.core == package.module or _found("nerfacc.csrc") or shutil.which("nvcc")
    except Exception as error:
        return f"installed, but can't be imported: {_line(error)}; {package.hint}"
    return None if ready else f"installed, but there is no nvcc to compile it; {package.hint}"


def describe(package: Package) -> str:
    """The version of a package that can be used, and what it is used for."""
    version = getattr(importlib.import_module(package.module), "__version__", None)
    used = f"for {package.used}"
    return f"{version}, {used}" if version else used


@cache
def load(package: Package) -> Any:
    """The package, its CUDA code compiled.

    Raises:
        MissingBackend: it isn't there, or can't be used on this machine.
    """
    reason = why_not(package) or _core(package)
    if reason is not None:
        got, _, hint = reason.partition("; ")
        raise MissingBackend(f"{package.title} for {package.used}", got, hint)
    return importlib.import_module(package.module)


def on_cuda(package: Package, tensor: Tensor) -> None:
    """See that a tensor is where the package computes.

    Raises:
        MissingBackend: it is not on a CUDA device.
    """
    if not tensor.is_cuda:
        raise MissingBackend(
            f"tensors on a CUDA device for {package.title}",
            f"one on {tensor.device.type}",
            "use --device cuda, or model.to('cuda') from Python",
        )


def _core(package: Package) -> str | None:
    """Why a package's CUDA code doesn't compile or load; None if it does."""
    try:
        core = importlib.import_module(package.core)
    except Exception as error:
        return f"one whose CUDA code doesn't compile: {_line(error)}; {package.hint}"
    if getattr(core, "_C", core) is None:
        return f"one without its CUDA code; {package.hint}"
    return None


def _found(module: str) -> bool:
    """Whether Python finds a module."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200].replace("; ", ", ")
