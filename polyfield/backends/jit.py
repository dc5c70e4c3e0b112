"""numba's `njit` for kernels: the same, but for what happens on disk.

Kernels are kept in a folder of the user, for all installations; NUMBA_CACHE_DIR names another. Of
several processes that want one, one compiles it. And a cache that fails is no error: numba raises
where no folder can be written to, where the disk is full, and where a file of its cache was cut
short. Here the kernel is compiled anew, and one warning says so.
"""

from __future__ import annotations

import glob
import hashlib
import os
import pickle
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import numba
import numpy as np

from polyfield.backends import kernel_cache
from polyfield.file_locks import FileLock

MEND = "set NUMBA_CACHE_DIR to a folder that can be written to"


def njit(
    function: Callable[..., Any] | None = None, /, *, cache: bool = False, **options: Any
) -> Any:
    """Compile a function, or decorate one to be compiled, as `numba.njit` does.

    Args:
        function: None where options are given.
        cache: Keep what is compiled on disk, where that can be.
        options: numba's.

    Raises:
        ValueError: another function has this one's name.
    """
    if function is None:
        return lambda given: njit(given, cache=cache, **options)
    _check_name(function)
    compiled = numba.njit(**options)(function)
    if cache and not numba.config.DISABLE_JIT:
        _keep(compiled, function)
    return compiled


_codes: dict[tuple[str, str], CodeType] = {}
"""Of functions, by module and name."""


def _check_name(function: Callable[..., Any]) -> None:
    """Raise for a second function of the same name, such as another closure.

    What several processes compiled and kept is linked by names, types and a number that each
    process counts for itself. Of two functions that differ in none of these the one that is loaded
    first stands for both, without a word.
    """
    code, name = function.__code__, (function.__module__, function.__qualname__)
    known = _codes.get(name)
    if known is not None and (known != code or function.__closure__ is not None):
        raise ValueError(f"expected a name that no other kernel has; got {'.'.join(name)} again")
    _codes[name] = code


def _keep(compiled: Any, function: Callable[..., Any]) -> None:
    """Give a dispatcher of numba its cache."""
    given = numba.config.CACHE_DIR
    base = given or _folder()
    try:
        if not base:
            raise RuntimeError
        # numba reads it here and nowhere else.
        numba.config.CACHE_DIR = os.path.join(base, kernel_cache.blocks(), _built_of(function))
        compiled.enable_caching()
    except RuntimeError:  # No folder will do.
        _no_cache("no folder that can be written to")
        return
    finally:
        numba.config.CACHE_DIR = given
    compiled._cache = ForgivingCache(compiled._cache, function)


def _built_of(function: Callable[..., Any]) -> str:
    """A name that changes with the constants and with kernels of other files that a kernel uses.

    numba looks at the kernel's own file alone.
    """
    found = hashlib.sha256()
    for part in _foreign(function, set()):
        found.update(part)
    return found.hexdigest()[:16]


def _foreign(function: Callable[..., Any], seen: set[str]) -> Iterator[bytes]:
    """Values of a function's constants, and the files of functions it calls, and of theirs."""
    for name in function.__code__.co_names:
        value = function.__globals__.get(name)
        if isinstance(value, (bool, int, float, str, tuple, np.generic)):
            yield f"{name}={value!r}".encode()
        elif isinstance(value, np.ndarray):
            yield name.encode() + value.tobytes()
        called = getattr(value, "py_func", None)
        if called is None:
            continue
        file = called.__code__.co_filename
        if file != function.__code__.co_filename and file not in seen:
            seen.add(file)
            yield Path(file).read_bytes() if os.path.isfile(file) else called.__code__.co_code
        key = f"{file}:{called.__qualname__}"
        if key not in seen:
            seen.add(key)
            yield from _foreign(called, seen)


def _folder() -> str:
    """Where to keep kernels unless told; nothing where there is no place."""
    if found := kernel_cache.user_folder():
        return str(found)
    if found := kernel_cache.temporary_folder():
        text = "the user's cache can't be written to: compiled kernels are kept in"
        _warn_once("place", f"{text} {found}; {MEND}")
        return str(found)
    return ""


class ForgivingCache:
    """numba's cache of one function; what it raises becomes a warning.

    It stands in a dispatcher in the place of numba's own, which knows no other way to be told.

    Args:
        inner: numba's cache.
        function: What it is the cache of.
    """

    def __init__(self, inner: Any, function: Callable[..., Any]) -> None:
        self._inner = inner
        self._claims: dict[str, FileLock] = {}
        self._stem = f"{Path(function.__code__.co_filename).stem}.{function.__qualname__}-"

    @property
    def cache_path(self) -> str:
        """The folder."""
        return str(self._inner.cache_path)

    def load_overload(self, signature: Any, context: Any) -> Any:
        """What was compiled for a signature.

        None if it isn't there or can't be read: then this process has said that it compiles it.
        """
        found = self._load(signature, context)
        if found is not None:
            return found
        what = f"{self._stem}{signature}"
        claim = kernel_cache.claim(Path(self.cache_path), what)
        if claim is not None:
            self._claims[what] = claim
        found = self._load(signature, context)
        if found is not None:
            self._release(what)
        return found

    def _load(self, signature: Any, context: Any) -> Any:
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
        finally:
            self._release(f"{self._stem}{signature}")

    def _release(self, what: str) -> None:
        claim = self._claims.pop(what, None)
        if claim is not None:
            claim.release()

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
