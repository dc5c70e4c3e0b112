import os
import signal
import threading

import pytest

from polyfield.training.interrupts import deferred


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [
        (signal.SIGINT, KeyboardInterrupt, None),
        (signal.SIGTERM, SystemExit, 143),
        (signal.SIGHUP, SystemExit, 129),
    ],
)
def test_a_signal_waits_for_the_check(
    number: int, kind: type[BaseException], code: int | None
) -> None:
    # As Python begins, also where the tests run in the background, in which shells ignore some.
    wanted = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    held = signal.signal(number, wanted)
    try:
        with deferred() as stop:
            stop.check()
            os.kill(os.getpid(), number)
            with pytest.raises(kind) as caught:
                stop.check()
        if code is not None:
            assert caught.value.code == code  # type: ignore[attr-defined]
        assert signal.getsignal(number) is wanted
    finally:
        signal.signal(number, held)


def test_a_signal_after_the_last_check_is_not_lost() -> None:
    with pytest.raises(SystemExit), deferred():
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_signal_that_is_ignored_stays_so() -> None:
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with deferred() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            stop.check()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_leaves_signals_alone() -> None:
    found = []

    def work() -> None:
        with deferred() as stop:
            stop.check()
            found.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before]
