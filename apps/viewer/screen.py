"""What one browser asks to see, how far it has got with it, and how large the next picture is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import IntEnum

from polyfield.apps.viewer.frames import Eye
from polyfield.renderers.stages.base import Look

STILL_SECONDS = 0.15
"""Without a new camera for so long, a browser stands still."""
MOVING_RATE = 20.0
"""Pictures a second that moving pictures are made small enough for: a new camera is answered after
about 50 ms of drawing, and what it takes on the way."""
MOVING_SIDES = (96, 400)
"""Fewest and most pixels of the longer side of a moving picture."""
SMALL_SECONDS = 0.4
"""The first picture of a browser that stands still takes about so long, if its longer side is then
from a quarter to a half of the best one's."""
FIRST_RATE = 100_000.0
"""Pixels a second before any were drawn."""
QUALITY = {1: 50, 2: 80, 3: None}
"""Of JPEG, by level; the best picture is a PNG: JPEG halves the resolution of colour."""


class Level(IntEnum):
    """How good a picture is."""

    NOTHING = 0
    MOVING = 1
    SMALL = 2
    FULL = 3


class Speed:
    """Pixels a second of whole pictures of one level, smoothed over some tenths of a second.

    Parts say little: those with nothing in them are drawn ten times as fast as those with much. Nor
    do large pictures say what small ones take, whose rays are drawn in rounds of fewer samples.
    """

    def __init__(self, rate: float = FIRST_RATE) -> None:
        self.rate = rate
        self.known = False
        """Whether a picture was taken in."""

    def add(self, pixels: int, seconds: float) -> None:
        """Take a picture in."""
        if pixels <= 0 or seconds <= 0:
            return
        # One slow picture, such as a first one that compiles, must not make all others tiny.
        seen = min(max(pixels / seconds, self.rate / 4), self.rate * 4)
        share = min(max(1 - math.exp(-seconds / 0.2), 0.02), 0.5) if self.known else 1.0
        self.rate *= (seen / self.rate) ** share
        self.known = True


@dataclass(frozen=True)
class Asked:
    """What a browser asks for. Replaced as a whole, so that it can be read from any thread."""

    number: int
    """Counts what was asked."""
    eye: Eye | None
    """None before its first camera."""
    look: Look
    side: int
    """Pixels of the longer side of the best picture, at most."""
    still: float
    """From when on it stands still, unless it asks for more; seconds of a monotonic clock."""


class Screen:
    """One browser: what it asks for, and the best picture of that it has.

    Args:
        look: What it begins with.
        side: Longest side of its best picture.
        now: The time.
    """

    def __init__(self, look: Look, side: int, now: float) -> None:
        self.asked = Asked(0, None, look, side, now)
        self.served = 0.0
        """When it last got a picture."""
        self._has: tuple[int, Level] = (0, Level.NOTHING)

    def move(self, eye: Eye, now: float) -> None:
        """A new camera; one that no picture can be drawn for is passed over. Any thread may call.

        The same camera again, as browsers send when they are resized, asks for nothing new.
        """
        if eye.is_sound and eye != self.asked.eye:
            number, still = self.asked.number + 1, now + STILL_SECONDS
            self.asked = replace(self.asked, number=number, eye=eye, still=still)

    def change(self, now: float, look: Look | None = None, side: int | None = None) -> None:
        """Something else is to be shown from where it is; the picture there is stays until then."""
        asked = self.asked
        self.asked = replace(
            asked,
            number=asked.number + 1,
            look=look or asked.look,
            side=side or asked.side,
            still=now,
        )

    def outdate(self) -> None:
        """The model has changed: the best picture is to be drawn again, without worse ones."""
        if self._has[1] is Level.FULL and self._has[0] == self.asked.number:
            self._has = (self.asked.number, Level.SMALL)

    def wants(self, now: float) -> Level:
        """The next picture it needs; NOTHING if it has the best, or stands still too shortly."""
        asked = self.asked
        if asked.eye is None:
            return Level.NOTHING
        number, level = self._has
        has = level if number == asked.number else Level.NOTHING
        if has is Level.NOTHING:
            return Level.MOVING
        if has is Level.FULL or now < asked.still:
            return Level.NOTHING
        return Level(has + 1)

    def got(self, number: int, level: Level, now: float) -> None:
        """A picture of what it asked for by this number was sent."""
        self.served = now
        if number >= self._has[0]:
            self._has = (number, level)


def size_of(
    asked: Asked, level: Level, speed: Speed, seconds: float, most: float = math.inf
) -> tuple[int, int]:
    """Width and height of a picture, pixels.

    Args:
        asked: By a browser with a camera.
        level: Of the picture.
        speed: Of drawing pictures of that level.
        seconds: That a moving picture may take.
        most: Seconds that the best one may take.
    """
    assert asked.eye is not None
    width, height = asked.eye.width, asked.eye.height
    longer, ratio = max(width, height), min(width, height) / max(width, height)
    best = min(asked.side, longer)
    if most < math.inf:
        best = min(best, max(_side(speed.rate * most, ratio), MOVING_SIDES[0]))
    side = _side(speed.rate * seconds, ratio)
    side = min(max(side, MOVING_SIDES[0]), MOVING_SIDES[1])
    if level is Level.SMALL:
        affordable = _side(speed.rate * SMALL_SECONDS, ratio)
        side = max(side, min(max(affordable, best // 4), best // 2))
    side = best if level is Level.FULL else min(side, best)
    return max(1, round(width * side / longer)), max(1, round(height * side / longer))


def _side(pixels: float, ratio: float) -> int:
    """Longer side of an image of so many pixels."""
    return int(math.sqrt(max(pixels, 1.0) / ratio))
