"""Pictures are drawn in parts; a move leaves them; nobody is forgotten."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.apps.viewer.engine import Engine
from polyfield.apps.viewer.frames import Eye
from polyfield.apps.viewer.screen import MOVING_RATE, QUALITY, Level
from polyfield.renderers.stages.base import Look, Stage
from polyfield.scenes.cameras import Camera


class Flat(Stage):
    """All of one value; counts the parts."""

    bounds = torch.tensor([[-1.0] * 3, [1.0] * 3])
    up = (0.0, 0.0, 1.0)
    shows = ("color",)

    def __init__(self) -> None:
        self.parts, self.refreshed, self.value = 0, 0, 0.5

    def values(self, camera: Camera, look: Look, size: int) -> Iterator[Float[Tensor, "n c"]]:
        total = camera.width * camera.height
        for at in range(0, total, size):
            self.parts += 1
            yield torch.full((min(size, total - at), 3), self.value)

    def image(self, values: Float[Tensor, "h w c"], look: Look) -> np.ndarray:
        return (values * 255).byte().numpy()

    def refresh(self) -> None:
        self.refreshed += 1


class Pane:
    """A window that keeps what it is sent."""

    def __init__(self) -> None:
        self.shown: list[tuple[tuple[int, ...], int, int]] = []

    def show(self, image: np.ndarray, quality: int | None) -> None:
        self.shown.append((image.shape, quality, int(image[0, 0, 0])))

    def move(self, wxyz: object, position: object, fov: float, target: object) -> None:
        raise AssertionError

    def tell(self, text: str) -> None:
        raise AssertionError

    def send(self, name: str, content: bytes) -> None:
        raise AssertionError


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _eye(x: float) -> Eye:
    return Eye((1, 0, 0, 0), (x, 0, 0), 1.0, 800, 600)


@pytest.fixture
def engine() -> Engine:
    return Engine(Flat(), 800, clock=Clock())


def _finish(engine: Engine) -> None:
    for _ in range(10**5):
        if not engine.step():
            return
    raise AssertionError("it never ends")


def test_three_sizes_and_qualities(engine: Engine) -> None:
    pane = Pane()
    screen = engine.connect(1, pane)
    assert not engine.step()
    screen.move(_eye(0), engine._clock())
    _finish(engine)
    assert [q for _, q, _ in pane.shown] == [QUALITY[1]]
    engine._clock.now += 1  # type: ignore[attr-defined]
    _finish(engine)
    shapes = [shape for shape, _, _ in pane.shown]
    assert [q for _, q, _ in pane.shown] == [50, 80, None]
    assert shapes[-1] == (600, 800, 3) and shapes[0] < shapes[1] < shapes[2]
    assert not engine.step() and engine.sent == 3


def test_a_move_leaves_the_picture_within_one_part(engine: Engine) -> None:
    pane, stage = Pane(), engine.stage
    assert isinstance(stage, Flat)
    screen = engine.connect(1, pane)
    screen.move(_eye(0), engine._clock())
    engine._clock.now += 1  # type: ignore[attr-defined]
    for speed in engine.speeds.values():
        speed.rate = 1e5
    while engine.next_level() is not Level.FULL:
        engine.step()
    engine.step()
    engine.step()
    begun = engine.seats[1].drawing
    assert begun is not None and begun.job.level is Level.FULL
    screen.move(_eye(1), engine._clock())
    sent = engine.sent
    engine.step()
    assert engine.seats[1].drawing is not begun  # not one part more of it
    while engine.sent == sent:
        engine.step()
    assert pane.shown[-1][1] == QUALITY[Level.MOVING]


def test_a_moving_picture_is_one_part_and_what_is_slow_is_small(engine: Engine) -> None:
    pane, stage = Pane(), engine.stage
    assert isinstance(stage, Flat)
    screen = engine.connect(1, pane)
    engine.speeds[Level.MOVING].rate, engine.speeds[Level.FULL].rate = 2e5, 1e7
    screen.move(_eye(0), engine._clock())
    engine.step()
    ((height, width, _), _, _) = pane.shown[0]
    # Of its own level's rate: that of large pictures says nothing of small ones.
    assert stage.parts == 1 and width * height == pytest.approx(2e5 / MOVING_RATE, rel=0.05)


def test_a_slow_stage_gets_no_best_picture_of_minutes(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first best picture is small enough: its speed is guessed from that of the others."""
    clock, stage = engine._clock, engine.stage
    assert isinstance(clock, Clock) and isinstance(stage, Flat)
    drawn = stage.values

    def slow(camera: Camera, look: Look, size: int) -> Iterator[Float[Tensor, "n c"]]:
        for part in drawn(camera, look, size):
            clock.now += len(part) / 5e3
            yield part

    monkeypatch.setattr(stage, "values", slow)
    monkeypatch.setattr("time.perf_counter", clock)
    engine.most_seconds = 2.0
    pane = Pane()
    engine.connect(1, pane).move(Eye((1, 0, 0, 0), (0, 0, 0), 1.0, 3200, 2400), clock.now)
    engine._side = 2000
    while engine.last[0] is not Level.FULL:
        clock.now += 0.2
        began = clock.now
        assert engine.step()
    assert engine.speeds[Level.FULL].rate == pytest.approx(5e3, rel=0.05)
    assert clock.now - began <= 2.1 and pane.shown[-1][0][0] * pane.shown[-1][0][1] > 9e3


def test_one_who_never_stands_still_sees_pictures(engine: Engine) -> None:
    pane = Pane()
    screen = engine.connect(1, pane)
    for i in range(300):
        screen.move(_eye(i), engine._clock())
        engine._clock.now += 0.02  # type: ignore[attr-defined]
        engine.step()
    assert len(pane.shown) > 50 and {q for _, q, _ in pane.shown} == {50}


def test_two_browsers_and_the_moving_one_goes_first(engine: Engine) -> None:
    panes = Pane(), Pane()
    first, second = (engine.connect(i, pane) for i, pane in enumerate(panes))
    first.move(_eye(0), engine._clock())
    engine._clock.now += 1  # type: ignore[attr-defined]
    while engine.next_level() is not Level.FULL:
        engine.step()
    engine.step()
    begun = engine.seats[0].drawing
    second.move(_eye(5), engine._clock())
    while not panes[1].shown:
        engine.step()
    assert engine.seats[0].drawing is begun  # what it has is kept
    engine._clock.now += 1  # type: ignore[attr-defined]
    _finish(engine)
    assert all(pane.shown[-1][1] == QUALITY[Level.FULL] for pane in panes)


def test_a_browser_that_goes_in_the_middle_of_a_picture(engine: Engine) -> None:
    panes = Pane(), Pane()
    for i, pane in enumerate(panes):
        engine.connect(i, pane).move(_eye(i), engine._clock())
    engine._clock.now += 1  # type: ignore[attr-defined]
    for _ in range(100):
        engine.step()
        if engine.seats[0].drawing is not None:
            break
    assert engine.seats[0].drawing is not None
    before = list(panes[0].shown)
    engine.disconnect(0)
    engine.disconnect(0)
    _finish(engine)
    assert panes[0].shown == before and len(before) < 3 and len(panes[1].shown) == 3


def test_no_picture_is_of_two_models(engine: Engine) -> None:
    pane, stage = Pane(), engine.stage
    assert isinstance(stage, Flat)
    screen = engine.connect(1, pane)
    screen.move(_eye(0), engine._clock())
    engine._clock.now += 1  # type: ignore[attr-defined]
    _finish(engine)
    stage.value = 1.0
    engine.changed(again=False)
    assert not engine.step() and stage.refreshed == 1
    engine.changed(again=True)
    engine.step()
    stage.value = 0.25
    engine.changed(again=False)
    assert engine.seats[1].drawing is None
    _finish(engine)
    assert pane.shown[-1] == ((600, 800, 3), None, 63)


def test_a_snapshot_is_of_full_size(engine: Engine) -> None:
    assert engine.whole(_eye(0), Look("color"), 400).shape == (300, 400, 3)
