"""Kernels compile whatever becomes of numba's cache."""

import errno
import importlib.util
import os
import pickle
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
import torch
from numba.core.dispatcher import Dispatcher

from polyfield.backends import dispatch, jit, kernel_cache
from polyfield.errors import InputError
from polyfield.machine import use_threads

SOURCE = """
from polyfield.backends.jit import njit

@njit(cache=True, nogil=True)
def double(x):
    return 2 * x
"""


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit, "_said", set())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "doubles.py").write_text(SOURCE)
    return tmp_path


def _double(folder: Path) -> Any:
    """The function of a fresh import, as another process has it."""
    spec = importlib.util.spec_from_file_location("doubles", folder / "doubles.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["doubles"] = module
    spec.loader.exec_module(module)
    return module.double


def test_numba_still_asks_its_cache_where_ours_is_put(folder: Path) -> None:
    double = _double(folder)
    assert isinstance(double, Dispatcher) and isinstance(double._cache, jit.ForgivingCache)
    assert double(3) == 6 and sum(double.stats.cache_misses.values()) == 1
    again = _double(folder)
    assert again(3) == 6 and sum(again.stats.cache_hits.values()) == 1


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("size", [0, 1, 40, -1])
def test_a_file_cut_short_is_named_and_compiled_anew(folder: Path, suffix: str, size: int) -> None:
    _double(folder)(3)
    (path,) = (folder / "cache").rglob(f"*{suffix}")
    path.write_bytes(path.read_bytes()[:size])
    damaged = _double(folder)
    with pytest.warns(RuntimeWarning) as caught:
        assert damaged(3) == 6
    assert len(caught) == 1 and str(path) in str(caught[0].message)
    again = _double(folder)
    assert again(3) == 6 and sum(again.stats.cache_hits.values()) == 1


@pytest.mark.parametrize("text", [b"hello", pickle.dumps("0.0"), pickle.dumps(None) * 2])
def test_a_file_of_something_else(folder: Path, text: bytes) -> None:
    _double(folder)(3)
    for path in (folder / "cache").rglob("*.nb?"):
        path.write_bytes(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert _double(folder)(3) == 6
    again = _double(folder)
    assert again(3) == 6 and sum(again.stats.cache_hits.values()) == 1


def test_a_full_disk_leaves_no_half_of_a_pair(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    double = _double(folder)
    inner = double._cache._inner

    def full(name: str, data: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(inner._cache_file, "_save_data", full)
    with pytest.warns(RuntimeWarning, match="No space left .*NUMBA_CACHE_DIR") as caught:
        assert double(3) == 6 and double(3.0) == 6.0
    assert len(caught) == 1 and not list((folder / "cache").rglob("*.nb?"))


def test_without_a_folder_there_is_no_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(self: Any) -> None:
        raise RuntimeError("no locator available")

    monkeypatch.setattr(Dispatcher, "enable_caching", nowhere)
    with pytest.warns(RuntimeWarning, match="each run compiles; set NUMBA_CACHE_DIR"):
        double = _double(folder)
    assert double(3) == 6


@pytest.fixture
def places(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home, and a folder for temporary files, beside the source."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    (folder / "home").mkdir()
    (folder / "temporary").mkdir()
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(folder / "home"))
    monkeypatch.setattr(kernel_cache.tempfile, "gettempdir", lambda: str(folder / "temporary"))
    for read_once in (kernel_cache.user_folder, kernel_cache.temporary_folder):
        read_once.cache_clear()
    yield folder
    for read_once in (kernel_cache.user_folder, kernel_cache.temporary_folder):
        read_once.cache_clear()


def _kept(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.nb?"))


def test_kernels_are_kept_in_the_users_folder(places: Path) -> None:
    assert _double(places)(3) == 6
    assert len(_kept(places / "home")) == 2 == len(_kept(places))
    again = _double(places)
    assert again(3) == 6 and sum(again.stats.cache_hits.values()) == 1
    assert numba.config.CACHE_DIR == ""


def test_a_home_that_can_not_be_written_to_gives_a_temporary_folder(places: Path) -> None:
    (places / "home" / ".cache").write_text("a file")
    (places / "home" / "Library").write_text("a file")
    (places / "home" / "AppData").write_text("a file")
    with pytest.warns(RuntimeWarning, match="kept in .*temporary.*NUMBA_CACHE_DIR") as caught:
        double = _double(places)
    assert double(3) == 6 and len(caught) == 1
    assert len(_kept(places / "temporary")) == 2 == len(_kept(places))
    again = _double(places)
    assert again(3) == 6 and sum(again.stats.cache_hits.values()) == 1


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="temporary files are the user's own there")
def test_no_kernel_comes_from_a_folder_that_others_write_to(
    places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "~")
    open_to_all = places / "temporary" / f"polyfield-kernels-{os.getuid()}"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    with pytest.warns(RuntimeWarning, match="each run compiles; set NUMBA_CACHE_DIR"):
        double = _double(places)
    assert double(3) == 6 and not _kept(places)


def test_without_a_home_no_folder_called_tilde(
    places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_cache.os.path, "expanduser", lambda path: path)
    with pytest.warns(RuntimeWarning, match="NUMBA_CACHE_DIR"):
        double = _double(places)
    assert double(3) == 6 and not list(places.rglob("~"))


def test_who_comes_second_waits_and_loads(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fcntl")
    first, second, waits = _double(folder), _double(folder), []
    monkeypatch.setattr(kernel_cache.time, "sleep", waits.append)
    whole = first._cache._inner.save_overload

    def save(*kept: Any) -> None:
        # The second one asks while the first one compiles, and is told when it is there.
        monkeypatch.setattr(kernel_cache.time, "sleep", lambda seconds: (whole(*kept), release()))
        assert second(3) == 6

    def release() -> None:
        for what in list(first._cache._claims):
            first._cache._release(what)

    monkeypatch.setattr(first._cache._inner, "save_overload", save)
    assert first(3) == 6
    assert sum(first.stats.cache_misses.values()) == 1
    assert sum(second.stats.cache_hits.values()) == 1
    assert not list((folder / "cache").rglob("*.claim"))


def test_a_claim_of_a_process_that_hangs_is_waited_for_only_so_long(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fcntl")
    first, second = _double(folder), _double(folder)
    assert first._cache.load_overload((numba.types.int64,), first.targetctx) is None
    monkeypatch.setattr(kernel_cache, "PATIENCE", 0.1)
    assert second(3) == 6 and sum(second.stats.cache_misses.values()) == 1
    for claim in first._cache._claims.values():
        claim.release()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A machine whose variables are read anew."""
    threads = torch.get_num_threads()
    monkeypatch.delenv("POLYFIELD_BACKEND", raising=False)
    monkeypatch.setattr(dispatch, "_forced", [])
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1}, raising=False)
    for read_once in (dispatch.chosen, dispatch.why_no_numba):
        read_once.cache_clear()
    yield monkeypatch
    for read_once in (dispatch.chosen, dispatch.why_no_numba):
        read_once.cache_clear()
    torch.set_num_threads(threads)


def test_fewer_threads_for_numba_are_told(machine: pytest.MonkeyPatch) -> None:
    machine.setenv("NUMBA_NUM_THREADS", "1")
    assert use_threads(None) == 1 == torch.get_num_threads()
    assert use_threads(1) == 1
    with pytest.raises(InputError, match="at most 1 threads, as NUMBA_NUM_THREADS says; got 2"):
        use_threads(2)
    for value in ("many", "0", "-1", "1.5"):
        machine.setenv("NUMBA_NUM_THREADS", value)
        with pytest.raises(InputError, match="NUMBA_NUM_THREADS to be a number"):
            use_threads(1)


def test_a_compiler_that_is_switched_off_is_told(machine: pytest.MonkeyPatch) -> None:
    machine.setenv("NUMBA_DISABLE_JIT", "1")
    with pytest.warns(RuntimeWarning, match="CPU kernels are off .NUMBA_DISABLE_JIT=1."):
        assert use_threads(1) == 1
    assert not dispatch.use_numba(torch.zeros(3))
    assert {row.name: row.used for row in dispatch.report()}["numba"] is False
    dispatch.chosen.cache_clear()
    machine.setenv("POLYFIELD_BACKEND", "numba")
    with pytest.raises(InputError, match="numba's compiler .*; got NUMBA_DISABLE_JIT=1; unset it"):
        use_threads(1)


def test_a_name_that_two_kernels_have_is_refused() -> None:
    """On disk functions of one name and of one list of types stand for each other."""

    def made(number: int) -> Any:
        def add(x: int) -> int:
            return x + number

        return add

    jit.njit(made(1))
    with pytest.raises(ValueError, match=r"no other kernel has; got .*\.add again"):
        jit.njit(made(2))


def test_products_of_other_modes_have_other_names() -> None:
    from polyfield.backends import gemm

    found = [value for value in vars(gemm).values() if isinstance(value, Dispatcher)]
    products = [one for one in found if one.py_func.__name__ == "multiply"]
    assert len(products) == 7
    assert len({one.py_func.__qualname__ for one in products}) == 7


def _made(text: str, **names: object) -> Any:
    """A function of this text, with these globals."""
    space: dict[str, object] = dict(names)
    exec(compile(text, str(names["file"]), "exec"), space)
    return space["kernel"]


def test_the_folder_tells_what_a_kernel_is_made_of(tmp_path: Path) -> None:
    """Constants, and files of other functions, through functions between; names alone don't."""
    file = tmp_path / "other.py"
    file.write_text("one")

    def name(size: object = 3, called: bool = True) -> str:
        inner = _made("def kernel(x):\n    return x", file=file)
        middle = _made("def kernel(x):\n    return Inner(x)", file="m", Inner=_Compiled(inner))
        text = "def kernel(x):\n    return (Middle(x) if True else x) + SIZE"
        more = {"Middle": _Compiled(middle)} if called else {}
        return jit._built_of(_made(text, file="k", SIZE=size, **more))

    first = name()
    assert first == name() and first != name(4) and first != name(np.zeros(2))
    assert first != name(called=False)
    file.write_text("two")
    assert first != name()


class _Compiled:
    def __init__(self, py_func: Any) -> None:
        self.py_func = py_func
