"""Which picture a browser needs next, and how large it is."""

import pytest

from polyfield.apps.viewer.frames import Eye
from polyfield.apps.viewer.screen import (
    MOVING_SIDES,
    STILL_SECONDS,
    Asked,
    Level,
    Screen,
    Speed,
    size_of,
)
from polyfield.renderers.stages.base import Look

LOOK = Look("color")


def _eye(x: float = 0.0, width: int = 1600, height: int = 900) -> Eye:
    return Eye((1, 0, 0, 0), (x, 0, 0), 1.0, width, height)


def test_moving_then_still_then_best() -> None:
    screen = Screen(LOOK, 1200, 0.0)
    assert screen.wants(0.0) is Level.NOTHING  # no camera yet
    screen.move(_eye(), 1.0)
    assert screen.wants(1.0) is Level.MOVING
    screen.got(screen.asked.number, Level.MOVING, 1.05)
    assert screen.wants(1.1) is Level.NOTHING  # it may move on
    assert screen.wants(1.0 + STILL_SECONDS) is Level.SMALL
    screen.got(screen.asked.number, Level.SMALL, 1.3)
    assert screen.wants(1.3) is Level.FULL
    screen.got(screen.asked.number, Level.FULL, 1.5)
    assert screen.wants(9.0) is Level.NOTHING
    screen.outdate()  # the model has changed: no worse picture in between
    assert screen.wants(9.0) is Level.FULL
    screen.move(_eye(1.0), 10.0)
    assert screen.wants(10.0) is Level.MOVING
    screen.outdate()
    assert screen.wants(10.0) is Level.MOVING


def test_a_late_picture_counts_for_what_it_is_of() -> None:
    screen = Screen(LOOK, 1200, 0.0)
    screen.move(_eye(), 0.0)
    first = screen.asked.number
    screen.move(_eye(1.0), 0.1)
    screen.got(first, Level.MOVING, 0.2)
    assert screen.wants(9.0) is Level.MOVING


def test_what_is_shown_changes_at_once() -> None:
    screen = Screen(LOOK, 1200, 0.0)
    screen.move(_eye(), 0.0)
    screen.got(screen.asked.number, Level.FULL, 1.0)
    screen.change(2.0, look=Look("depth"), side=300)
    assert screen.asked.look.what == "depth" and screen.asked.side == 300
    assert screen.wants(2.0) is Level.MOVING
    screen.got(screen.asked.number, Level.MOVING, 2.0)
    assert screen.wants(2.0) is Level.SMALL


def test_nonsense_and_the_same_again_are_passed_over() -> None:
    screen = Screen(LOOK, 1200, 0.0)
    screen.move(_eye(), 0.0)
    number = screen.asked.number
    screen.move(_eye(), 1.0)
    screen.move(Eye((0, 0, 0, 0), (0, 0, 0), 1.0, 8, 8), 1.0)
    assert screen.asked.number == number


@pytest.mark.parametrize("rate", [1.0, 1e4, 1e5, 1e6, 1e9])
@pytest.mark.parametrize("canvas", [(1600, 900), (300, 800), (50, 40), (1, 1)])
def test_sizes(rate: float, canvas: tuple[int, int]) -> None:
    speed = Speed()
    speed.rate = rate
    asked = Asked(1, _eye(0, *canvas), LOOK, 1200, 0.0)
    sizes = {level: size_of(asked, level, speed, 1 / 12) for level in list(Level)[1:]}
    assert max(sizes[Level.FULL]) == min(1200, max(canvas))
    assert all(w >= 1 and h >= 1 for w, h in sizes.values())
    moving = max(sizes[Level.MOVING])
    assert min(MOVING_SIDES[0], max(canvas)) <= moving <= MOVING_SIDES[1]
    assert moving <= max(sizes[Level.SMALL]) <= max(sizes[Level.FULL])
    assert size_of(asked, Level.FULL, speed, 1 / 12, 2.0) <= sizes[Level.FULL]
    for width, height in sizes.values():  # the aspect is the browser's
        assert abs(width * canvas[1] / canvas[0] - height) <= 1 + canvas[1] / canvas[0]


def test_one_slow_part_does_not_make_pictures_tiny() -> None:
    speed = Speed()
    speed.add(4096, 20.0)  # a first part that compiles
    assert speed.rate > 2e4
    for _ in range(200):
        speed.add(4096, 4096 / 5e5)
    assert speed.rate == pytest.approx(5e5, rel=0.1)
