"""The panels: what one browser is shown, and what all of them share of the run."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from polyfield.apps.viewer.curve import Curve, plot
from polyfield.apps.viewer.inbox import Inbox
from polyfield.apps.viewer.screen import Screen
from polyfield.renderers.stages.base import Stage

SIDES = (200, 2400)
"""Of the slider of the best picture's longer side, pixels."""
SHARE = 0.25
"""Of the time while training that pictures for browsers that stand still may take."""


def show_panel(gui: Any, stage: Stage, screen: Screen, inbox: Inbox) -> None:
    """What one browser is shown: its own panel, in the container that is open."""

    def change(**values: Any) -> None:
        screen.change(time.monotonic(), look=replace(screen.asked.look, **values))

    if len(stage.shows) > 1:
        shown = gui.add_dropdown("Show", stage.shows)
        shown.on_update(inbox.later(lambda event: change(what=event.target.value)))
    if stage.slider is not None:
        low, high = stage.slider.low, stage.slider.high
        at = gui.add_slider(stage.slider.label, low, high, (high - low) / 500, low)
        at.on_update(inbox.later(lambda event: change(at=float(event.target.value))))
    side = gui.add_slider(
        "Best side / pixels", *SIDES, 50, min(max(screen.asked.side, SIDES[0]), SIDES[1])
    )
    side.on_update(
        inbox.later(lambda event: screen.change(time.monotonic(), side=int(event.target.value)))
    )
    if stage.can_crop:
        _crop_box(gui, stage, inbox, change)


def _crop_box(gui: Any, stage: Stage, inbox: Inbox, change: Callable[..., None]) -> None:
    """Two corners in the user's units; nothing is cut while they are those of the whole box."""
    low, high = stage.bounds.tolist()
    with gui.add_folder("Crop box", expand_by_default=False):
        sliders = [
            gui.add_multi_slider(axis, a, b, (b - a) / 200, (a, b))
            for axis, a, b in zip("xyz", low, high, strict=True)
        ]
        whole = gui.add_button("Whole scene")

    def cut(event: Any) -> None:
        pairs = [slider.value for slider in sliders]
        corners = tuple(float(a) for a, _ in pairs), tuple(float(b) for _, b in pairs)
        is_whole = all(a <= x and y <= b for (a, b), x, y in zip(pairs, low, high, strict=True))
        change(crop=None if is_whole else corners)

    def reset(event: Any) -> None:
        for slider, a, b in zip(sliders, low, high, strict=True):
            slider.value = (a, b)
        change(crop=None)

    for slider in sliders:
        slider.on_update(inbox.later(cut))
    whole.on_click(inbox.later(reset))


@dataclass
class Control:
    """What browsers choose about training."""

    paused: bool = False
    share: float = SHARE
    """Of the time, for pictures of browsers that stand still."""


class RunPanel:
    """The run, the same in all browsers: where it is, its curve, pause, snapshot, sound.

    Args:
        gui: The server's.
        stage: For its sound.
        curve: What is plotted.
        inbox: Where clicks go.
        snapshot: Makes one, for the browser of a click.
        control: Where the choices go; None for a run that isn't training.
    """

    def __init__(
        self,
        gui: Any,
        stage: Stage,
        curve: Curve,
        inbox: Inbox,
        snapshot: Callable[[Any], None],
        control: Control | None,
    ) -> None:
        self._curve, self._control, self._stage = curve, control, stage
        self._shown = 0
        self._text = gui.add_markdown("")
        self._plot = plot(gui, curve)
        if control is not None:
            self._pause = gui.add_button("Pause training")
            self._pause.on_click(inbox.later(lambda event: self.pause(not control.paused)))
            share = gui.add_slider("Share of the time for pictures", 0.05, 0.95, 0.05, SHARE)
            share.on_update(inbox.later(lambda event: self._divide(float(event.target.value))))
        gui.add_button("Snapshot").on_click(inbox.later(snapshot))
        self._player: Any = None
        if stage.sound() is not None:
            self._player = gui.add_html(_audio(stage.sound()))
            gui.add_button("Load the sound anew").on_click(inbox.later(self._sing))

    def pause(self, paused: bool) -> None:
        """Stop training, or let it go on."""
        assert self._control is not None
        self._control.paused = paused
        self._pause.label = "Go on training" if paused else "Pause training"

    def say(self, text: str) -> None:
        """Where the run is; and the curve, where it has grown."""
        self._text.content = text
        if len(self._curve.rows) != self._shown:
            self._shown = len(self._curve.rows)
            self._plot.data = self._curve.data

    def _divide(self, share: float) -> None:
        assert self._control is not None
        self._control.share = min(max(share, 0.05), 0.95)

    def _sing(self, event: Any) -> None:
        self._player.content = _audio(self._stage.sound())


def _audio(wav: bytes | None) -> str:
    """A player with the sound in it."""
    text = base64.b64encode(wav or b"").decode("ascii")
    return f'<audio controls style="width:100%" src="data:audio/wav;base64,{text}"></audio>'
