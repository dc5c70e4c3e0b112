"""The viewer as a browser meets it: from a new camera to its picture, idle and while it trains."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

import polyfield
from polyfield.apps.viewer.frames import Eye, Frame
from polyfield.scenes.camera_files import read_cameras
from polyfield.scenes.cameras import Camera
from taken.client import Client
from taken.evidence import TEACHERS, Evidence, Found, decibels, middle

CANVAS = (1280, 800)
"""Of the browser, pixels."""
MOVES, SECONDS, RATE = 25, 8.0, 30.0
"""Single moves; how long it moves, and how many cameras it sends a second then."""
WARM = 300
"""Steps before training is looked at."""
IDLE, TRAINING, FLUENT, STRIVE = 0.120, 0.250, 8.0, 0.060
"""Bars: seconds to a new picture (medians), pictures a second, and what would be fine."""
SAME = 35.0
"""dB, at least."""


def rows(evidence: Evidence) -> Iterator[tuple[str, object]]:
    """Names and what measures them."""
    yield "viewer idle: camera to picture", lambda: idle(evidence)
    yield "viewer training: camera to picture", lambda: training(evidence)
    yield "viewer against render", lambda: same_as_render(evidence)


def idle(evidence: Evidence) -> Found:
    """A trained run that nobody trains."""
    run = evidence.teacher("lego")
    eyes = orbit(run)
    with evidence.serving("view", run) as port, client_at(port) as client:
        found = moves(client, eyes, IDLE)
    return found


def training(evidence: Evidence) -> Found:
    """The same scene while it trains."""
    eyes, about = orbit(evidence.teacher("lego")), TEACHERS["lego"]
    run, data = evidence.out / "runs" / "viewed", evidence.place(about.data)
    words = ["fit", "scene", data, "--out", run, "--overwrite", "--view", "--steps", 10**6]
    with evidence.serving(*words, "--background", "white") as port, client_at(port) as client:
        client.look(eyes[-1])  # who hasn't said where he is isn't told anything
        reach_step(client, WARM)
        found = moves(client, eyes, TRAINING)
    return found


def moves(client: Client, eyes: list[Eye], bar: float) -> Found:
    """Medians of single moves, and pictures a second while it moves all the time."""
    waited = []
    for eye in eyes[:MOVES]:
        before = len(client.pictures)
        sent = client.look(eye)
        waited.append(client.wait(lambda p: p.is_moving, before, 60).when - sent)
        # The next one begins when all is still: no picture of this camera can be taken for it.
        client.wait(lambda p: not p.is_moving, before, 60)
        time.sleep(0.3)
    first, began, index = len(client.pictures), time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS:
        client.look(eyes[index % len(eyes)])
        index += 1
        time.sleep(max(0.0, began + index / RATE - time.perf_counter()))
    seen = [p for p in client.pictures[first:] if p.is_moving]
    rate = len(seen) / SECONDS
    p50 = middle(waited)
    return {
        "client": "websocket",
        "p50_ms": 1e3 * p50,
        "p90_ms": 1e3 * float(np.quantile(waited, 0.9)),
        "moving_per_second": rate,
        "moving_size": seen[-1].size if seen else None,
        "must": p50 <= bar and rate >= FLUENT,
        "strive": p50 <= STRIVE,
    }


def same_as_render(evidence: Evidence) -> Found:
    """The best picture at training poses against `render` there."""
    run = evidence.teacher("lego")
    model, scores = polyfield.load(run), []
    frame, views = Frame.of_box(model.bounds), read_cameras(run / "cameras.json")["train"]
    with evidence.serving("view", run) as port, client_at(port) as client:
        for view in views[:: len(views) // 5][:5]:
            before = len(client.pictures)
            client.look(frame.eye(view))
            picture = client.wait(lambda p: p.is_best, before, 60)
            wanted = model.render(view).color.clamp(0, 1).numpy()
            if picture.size != (view.width, view.height):
                raise RuntimeError(f"{picture.size} in place of {(view.width, view.height)}")
            scores.append(decibels(picture.pixels / 255, wanted))
    return {"worst_db": min(scores), "mean_db": sum(scores) / len(scores), "views": len(scores),
            "must": min(scores) >= SAME}  # fmt: skip


@contextmanager
def client_at(port: int) -> Iterator[Client]:
    """Connected; gone at the end."""
    client = Client(port)
    try:
        yield client
    finally:
        client.close()


def reach_step(client: Client, step: int) -> None:
    """Wait until the panel tells that so many steps are done.

    Raises:
        TimeoutError: it doesn't in ten minutes.
    """
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        if last_step(client) >= step:
            return
        time.sleep(0.2)
    raise TimeoutError(f"step {step} never came")


def last_step(client: Client) -> int:
    """The step that the panel told last; 0 before any."""
    for message in reversed(list(client.messages)):
        text = str(message.get("updates", {}).get("_markdown", message.get("updates", {})))
        if "step **" in text:
            return int(text.split("step **", 1)[1].split("*", 1)[0])
    return 0


def orbit(run: object, count: int = 120) -> list[Eye]:
    """Cameras on a circle through the first training view, as a browser says them."""
    model = polyfield.load(str(run))
    frame, first = Frame.of_box(model.bounds), read_cameras(f"{run}/cameras.json")["train"][0]
    up = first.pose.new_tensor([0.0, 0.0, 1.0])
    found = []
    for i in range(count):
        angle = 2 * math.pi * i / count
        found.append(replace(frame.eye(_turned(first, angle, up)), width=CANVAS[0],
                             height=CANVAS[1]))  # fmt: skip
    return found


def _turned(camera: Camera, angle: float, up: object) -> Camera:
    """Turned about z through zero."""
    turn = camera.pose.double().clone()
    c, s = math.cos(angle), math.sin(angle)
    matrix = turn.new_tensor([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    turn[:3, :3], turn[:3, 3] = matrix @ turn[:3, :3], matrix @ turn[:3, 3]
    return replace(camera, pose=turn)
