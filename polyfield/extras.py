"""Packages that only some users need; what misses one says in a line which extra brings it."""

from __future__ import annotations

import importlib
from typing import Any

from polyfield.errors import MissingBackend


def load(module: str, package: str, what: str, extra: str) -> Any:
    """A module of an optional package.

    Args:
        module: what Python calls it.
        package: what people call it.
        what: what it is needed for, as the user says it.
        extra: of polyfield, that brings it.

    Raises:
        MissingBackend: it is not installed, or can't be loaded.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:
        top = module.partition(".")[0]
        missing = isinstance(error, ModuleNotFoundError) and error.name in (top, module)
        reason = " ".join(str(error).split())[:80]
        got = "none" if missing else f"one that can't be loaded ({reason})"
        raise MissingBackend(
            f"{package} for {what}", got, f"pip install 'polyfield[{extra}]'"
        ) from None
