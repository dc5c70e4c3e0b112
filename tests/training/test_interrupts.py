import os
import signal
import threading

import pytest

from polyfield.training.interrupts import deferred


@pytest.mark.parametrize(
    ("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_a_signal_waits_for_the_check(number: int, kind: type[BaseException]) -> None:
    before = signal.getsignal(number)
    with deferred() as stop:
        stop.check()
        os.kill(os.getpid(), number)
        with pytest.raises(kind) as caught:
            stop.check()
    if number == signal.SIGTERM:
        assert caught.value.code == 143  # type: ignore[attr-defined]
    assert signal.getsignal(number) is before


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
