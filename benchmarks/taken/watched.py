"""What a browser costs a run that trains: steps a second with and without one, in turns.

One fit in a process of its own goes through all of them, a share of a minute each, again and again:
no viewer at all, one that nobody opens, one whose browser stands still, one whose browser moves.
Steps change their cost as a scene is learned, so each is compared with the plain turns before and
after it.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

from polyfield.apps.viewer.frames import Eye
from taken.client import Client
from taken.evidence import TEACHERS, Evidence, Found, middle
from taken.viewing import RATE, orbit

TURNS = 5
SECONDS = {"plain": 8.0, "nobody": 8.0, "still": 16.0, "moving": 8.0}
"""Of a turn. The best pictures of one who stands still are seconds apart."""
BARS = {"nobody": 0.98, "still": 0.70, "moving": 0.50}
SETTLE = 2.0
"""Seconds between one and the next, in which nothing counts."""


def rows(evidence: Evidence) -> Iterator[tuple[str, Callable[[], Found]]]:
    """Names and what measures them."""
    yield "training while watched", lambda: watched(evidence)


def watched(evidence: Evidence, turns: int = TURNS, share: float = 1.0) -> Found:
    """Steps a second of each, as shares of those of the plain turns around it.

    Args:
        evidence: Whose threads and data.
        turns: How often.
        share: Of the seconds of a turn.
    """
    eyes, data = orbit(evidence.teacher("lego")), evidence.place(TEACHERS["lego"].data)
    command = [sys.executable, str(Path(__file__).with_name("watched_fit.py")), data]
    steps: dict[str, list[float]] = {name: [] for name in SECONDS}
    with subprocess.Popen(
        [*command, str(evidence.threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            port = int(_answer(process))
            for _ in range(turns):
                for name, seconds in SECONDS.items():
                    steps[name].append(_turn(process, port, name, seconds * share, eyes))
            steps["plain"].append(_turn(process, port, "plain", SECONDS["plain"] * share, eyes))
        finally:
            process.kill()
    around = [(before + after) / 2 for before, after in pairwise(steps["plain"])]
    shares = {
        name: [own / plain for own, plain in zip(steps[name], around, strict=True)]
        for name in BARS
    }
    found: Found = {"client": "websocket", "plain_steps_per_second": middle(steps["plain"])}
    found |= {f"{name}_share": middle(shares[name]) for name in BARS}
    found |= {"shares": shares, "plain_turns": steps["plain"]}
    found["must"] = all(middle(shares[name]) >= bar for name, bar in BARS.items())
    return found


def _turn(
    process: subprocess.Popen[str], port: int, name: str, seconds: float, eyes: list[Eye]
) -> float:
    """Steps a second of a turn."""
    _ask(process, "off" if name == "plain" else "on")
    done, client, mover = threading.Event(), None, None
    if name in ("still", "moving"):
        client = Client(port)
        client.look(eyes[0])
        if name == "moving":
            mover = threading.Thread(target=_move, args=(client, eyes, done))
            mover.start()
    try:
        time.sleep(SETTLE)
        before, began = int(_ask(process, "steps")), time.perf_counter()
        time.sleep(seconds)
        after = int(_ask(process, "steps"))
        return (after - before) / (time.perf_counter() - began)
    finally:
        done.set()
        if mover is not None:
            mover.join()
        if client is not None:
            client.close()


def _move(client: Client, eyes: list[Eye], done: threading.Event) -> None:
    began, index = time.perf_counter(), 0
    while not done.is_set():
        client.look(eyes[index % len(eyes)])
        index += 1
        time.sleep(max(0.0, began + index / RATE - time.perf_counter()))


def _ask(process: subprocess.Popen[str], word: str) -> str:
    """What the fit answers."""
    assert process.stdin is not None
    process.stdin.write(f"{word}\n")
    process.stdin.flush()
    return _answer(process)


def _answer(process: subprocess.Popen[str]) -> str:
    """The next line of the fit; it says its port only when it has warmed up."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("the fit ended")
    return line.strip()
