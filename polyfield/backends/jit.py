"""numba's `njit` for kernels: the same, but a cache on disk that fails is no error.

numba raises where no folder can be written to, where the disk is full, and where a file of its
cache was cut short. Here the kernel is compiled anew, and one warning says so.
"""

from __future__ import annotations

import glob
import os
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

MEND = "set NUMBA_CACHE_DIR to a folder that can be written to"


def njit(
    function: Callable[..., Any] | None = None, /, *, cache: bool = False, **options: Any
) -> Any:
    """Compile a function, or decorate one to be compiled, as `numba.njit` does.

    Args:
        function: None where options are given.
        cache: Keep what is compiled on disk, where that can be.
        options: numba's.
    """
    if function is None:
        return lambda given: njit(given, cache=cache, **options)
    compiled = numba.njit(**options)(function)
    if cache and not numba.config.DISABLE_JIT:
        _keep(compiled, function)
    return compiled


def _keep(compiled: Any, function: Callable[..., Any]) -> None:
    """Give a dispatcher of numba its cache."""
    try:
        if _homeless(Path(function.__code__.co_filename).parent):
            raise RuntimeError
        compiled.enable_caching()
    except RuntimeError:  # No folder will do.
        _no_cache("no folder that can be written to")
        return
    compiled._cache = ForgivingCache(compiled._cache, function)


def _homeless(folder: Path) -> bool:
    """Whether numba would keep its files in a folder called ~ here, for want of a home."""
    if numba.config.CACHE_DIR or os.path.expanduser("~") != "~":
        return False
    cache = folder / "__pycache__"
    return not os.access(cache if cache.is_dir() else folder, os.W_OK)


class ForgivingCache:
    """numba's cache of one function; what it raises becomes a warning.

    It stands in a dispatcher in the place of numba's own, which knows no other way to be told.

    Args:
        inner: numba's cache.
        function: What it is the cache of.
    """

    def __init__(self, inner: Any, function: Callable[..., Any]) -> None:
        self._inner = inner
        self._stem = f"{Path(function.__code__.co_filename).stem}.{function.__qualname__}-"

    @property
    def cache_path(self) -> str:
        """The folder."""
        return str(self._inner.cache_path)

    def load_overload(self, signature: Any, context: Any) -> Any:
        """What was compiled for a signature; None if it isn't there or can't be read."""
        try:
            return self._inner.load_overload(signature, context)
        except Exception as error:  # Damaged files make pickle raise almost anything.
            damaged = [path for path in self._files() if _is_damaged(path)]
            _damaged(str(damaged[0]) if damaged else f"{self.cache_path}: {type(error).__name__}")
            self._remove()
            return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep what was compiled, if that can be."""
        try:
            self._inner.save_overload(signature, compiled)
        except OSError as error:
            # An index without its data would go with the data of an older version.
            self._remove()
            _no_cache(f"{error.strerror}: {self.cache_path}")

    def flush(self) -> None:
        """Forget what is kept."""
        self._inner.flush()

    def _files(self) -> list[Path]:
        """The files of this function."""
        return sorted(Path(self.cache_path).glob(f"{glob.escape(self._stem)}*.nb[ci]"))

    def _remove(self) -> None:
        for path in self._files():
            try:
                path.unlink()
            except OSError:
                pass  # What can't be removed is told when it can't be written either.


def _is_damaged(path: Path) -> bool:
    """Whether one of numba's files can't be read to its end."""
    try:
        with path.open("rb") as file:
            for _ in range(2 if path.suffix == ".nbi" else 1):  # Version and index, or the data.
                pickle.load(file)
    except Exception:
        return True
    return False


def _no_cache(reason: str) -> None:
    _warn_once("keep", f"numba can't keep compiled kernels ({reason}): each run compiles; {MEND}")


def _damaged(what: str) -> None:
    text = f"a file of numba's cache is damaged: {what}; it and others like it are compiled anew"
    _warn_once("read", text)


_said: set[str] = set()
"""Kinds of warnings given in this process; it may have dozens of kernels."""


def _warn_once(kind: str, text: str) -> None:
    if kind not in _said:
        _said.add(kind)
        warnings.warn(text, RuntimeWarning, stacklevel=2)
