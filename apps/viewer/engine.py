"""Which picture is drawn next, for which browser. Knows no server; whoever calls `step` draws."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from polyfield.apps.viewer.frames import Eye, Frame
from polyfield.apps.viewer.picture import Drawing, Job
from polyfield.apps.viewer.screen import MOVING_RATE, QUALITY, Level, Screen, Speed, size_of
from polyfield.apps.viewer.server import Window
from polyfield.renderers.stages.base import Look, Stage


@dataclass
class Seat:
    """A browser, and the picture that is being drawn for it."""

    window: Window
    screen: Screen
    drawing: Drawing | None = None


class Engine:
    """Draws a stage for its browsers, a part of a picture at a time.

    Moving browsers come first, then those that have waited longest.

    Args:
        stage: What is drawn.
        side: Longest side of a picture at first, pixels.
        moving_seconds: That a moving picture may take.
        clock: Seconds.
    """

    def __init__(
        self,
        stage: Stage,
        side: int,
        moving_seconds: float = 1 / MOVING_RATE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stage, self.frame = stage, Frame.of_box(stage.bounds)
        self.speeds = {level: Speed() for level in Level}
        """Of pictures of each level."""
        self.seats: dict[int, Seat] = {}
        """The browsers, by viser's numbers."""
        self.last: tuple[Level, tuple[int, int], float] = (Level.NOTHING, (0, 0), 0.0)
        """Level, size and seconds of the last picture that was sent."""
        self.most_seconds = math.inf
        """That the best pictures may take; they are smaller where they would take longer."""
        self.sent = 0
        """Pictures sent so far."""
        self._side, self._moving_seconds, self._clock = side, moving_seconds, clock
        self._began: dict[int, float] = {}

    def connect(self, number: int, window: Window) -> Screen:
        """A browser has come; what it asks for is told to its screen."""
        low = 0.0 if self.stage.slider is None else self.stage.slider.low
        screen = Screen(Look(self.stage.shows[0], at=low), self._side, self._clock())
        self.seats[number] = Seat(window, screen)
        return screen

    def disconnect(self, number: int) -> None:
        """It has gone; the picture that is being drawn for it is left."""
        self.seats.pop(number, None)
        self._began.pop(number, None)

    def changed(self, again: bool) -> None:
        """The model has changed: pictures begun are left, none is of two models.

        Args:
            again: Whether the best pictures that browsers have are drawn again.
        """
        self.stage.refresh()
        for seat in self.seats.values():
            seat.drawing = None
            if again:
                seat.screen.outdate()

    def next_level(self) -> Level:
        """Of the most urgent picture; NOTHING where none is wanted."""
        found = self._next(Level.FULL)
        return Level.NOTHING if found is None else self.seats[found].screen.wants(self._clock())

    def step(self, most: Level = Level.FULL) -> bool:
        """Draw one part of the most urgent picture; whether there was anything to do.

        Args:
            most: No better pictures than this are drawn.
        """
        number = self._next(most)
        if number is None:
            return False
        seat, now = self.seats[number], self._clock()
        level = seat.screen.wants(now)
        drawing = seat.drawing
        # Whoever asks for something else wants a moving picture first, so that a better one is left
        # here. A moving one isn't, or who never stands still would never see any: it is small.
        if drawing is None or drawing.job.level is not level:
            asked = seat.screen.asked
            speed = self.speeds[level]
            size = size_of(asked, level, speed, self._moving_seconds, self.most_seconds)
            drawing = Drawing(self.stage, self.frame, Job(asked, level, size), speed)
            seat.drawing, self._began[number] = drawing, now
        image = drawing.go_on()
        if image is not None:
            seat.drawing = None
            for other in Level:  # what isn't known yet is guessed from the next smaller pictures
                if other > level and not self.speeds[other].known:
                    self.speeds[other].rate = self.speeds[level].rate
            seat.window.show(image, QUALITY[level])
            now = self._clock()
            seat.screen.got(drawing.job.asked.number, level, now)
            self.last = (level, drawing.job.size, now - self._began.pop(number, now))
            self.sent += 1
        return True

    def whole(self, eye: Eye, look: Look, side: int) -> np.ndarray:
        """A picture at full size, uint8 [h w 3], drawn at once: a snapshot."""
        screen = Screen(look, side, self._clock())
        screen.move(eye, self._clock())
        speed = self.speeds[Level.FULL]
        job = Job(screen.asked, Level.FULL, size_of(screen.asked, Level.FULL, speed, 0.0))
        drawing = Drawing(self.stage, self.frame, job, speed)
        while (image := drawing.go_on()) is None:
            pass
        return image

    def _next(self, most: Level) -> int | None:
        """The browser whose picture is the most urgent."""
        now, best, found = self._clock(), None, None
        for number, seat in self.seats.items():
            level = seat.screen.wants(now)
            urgency = (level, seat.screen.served)
            if Level.NOTHING < level <= most and (best is None or urgency < best):
                best, found = urgency, number
        return found
