"""Kernels get their arguments, and each task is done once."""

import os
import threading

import numpy as np
import pytest
import torch
from numba.core.errors import TypingError

from polyfield.backends import dispatch, parallel
from polyfield.backends.jit import njit
from polyfield.backends.parallel import call

pytestmark = pytest.mark.skipif(dispatch.why_no_numba() is not None, reason="no numba")


@njit(nogil=True)
def _note(first, last, out, like, scale, twice, numbers):  # type: ignore[no-untyped-def]
    for task in range(first, last):
        value = task * scale + len(like) + numbers[1]
        out[task] += 2 * value if twice else value


@njit(nogil=True)
def _count(first, last, out):  # type: ignore[no-untyped-def]
    for task in range(first, last):
        out[task] += 1


@njit(nogil=True)
def _fail(first, last, out):  # type: ignore[no-untyped-def]
    for task in range(first, last):
        if task == 3:
            raise MemoryError
        out[task] += 1


@pytest.fixture(autouse=True, params=[1, 2, 5])
def threads(request: pytest.FixtureRequest):  # type: ignore[no-untyped-def]
    """Threads, also more than there are cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("tasks", [0, 1, 2, 7, 1000])
@pytest.mark.parametrize("twice", [False, True])
def test_every_task_once_with_its_arguments(tasks: int, twice: bool) -> None:
    out = np.zeros(tasks, np.float32)
    parallel.run(_note, tasks, out, (0, 0, 0), np.float32(0.5), twice, np.array([7, 9]))
    np.testing.assert_array_equal(out, (np.arange(tasks) * 0.5 + 12) * (1 + twice))


def test_other_types_are_other_kernels() -> None:
    for dtype in (np.float32, np.int64, np.uint32):
        for size in (3, 4):
            out = np.zeros(size, dtype)
            parallel.run(_count, size, out)
            assert (out == 1).all()


def test_what_fails_is_told() -> None:
    out = np.zeros(8, np.int64)
    with pytest.raises((RuntimeError, MemoryError)):
        parallel.run(_fail, 8, out)
    parallel.run(_count, 8, out)


def test_threads_of_python_may_call_at_once() -> None:
    outs = [np.zeros(50, np.int64) for _ in range(8)]

    def work(out: np.ndarray) -> None:
        for _ in range(100):
            parallel.run(_count, 50, out)

    workers = [threading.Thread(target=work, args=(out,)) for out in outs]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all((out == 100).all() for out in outs)


def test_torch_keeps_its_threads(threads: int) -> None:
    parallel.run(_count, 50, np.zeros(50, np.int64))
    assert torch.get_num_threads() == threads


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_has_kernels_too(threads: int) -> None:
    out = np.zeros(50, np.int64)
    parallel.run(_count, 50, out)
    child = os.fork()
    if child == 0:
        try:
            parallel.run(_count, 50, out)
        finally:
            os._exit(0 if (out == 2).all() else 1)
    assert os.waitpid(child, 0)[1] == 0


@njit(nogil=True)
def _halves(first, last, where, whole, out):  # type: ignore[no-untyped-def]
    for task in range(first, last):
        given = (2 * task, 2 * task + 2, whole[2 * task : 2 * task + 2])
        if not call(where, given):
            raise MemoryError
        out[task] += whole[2 * task] + whole[2 * task + 1]


@njit(nogil=True)
def _fill(first, last, out):  # type: ignore[no-untyped-def]
    if first == 6:
        raise MemoryError
    for i in range(out.size):
        out[i] = first + i


def test_a_kernel_calls_another_by_its_address() -> None:
    whole, out = np.zeros(6), np.zeros(3)
    where = parallel.address_of(_fill, whole)
    parallel.run(_halves, 3, where, whole, out)
    assert whole.tolist() == [0, 1, 2, 3, 4, 5] and out.tolist() == [1, 5, 9]
    with pytest.raises(RuntimeError, match="_halves failed"):
        parallel.run(_halves, 4, where, np.zeros(8), np.zeros(4))


def test_types_that_no_address_was_asked_with_are_refused() -> None:
    whole, out = np.zeros(6, np.uint16), np.zeros(3)
    with pytest.raises(TypingError, match="no address was asked"):
        parallel.run(_halves, 3, 12345, whole, out)
