"""A stage in browsers: panels, frusta and pictures on the server, moved on by whoever ticks."""

from __future__ import annotations

import io
import itertools
import math
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from polyfield.apps.viewer.curve import Curve
from polyfield.apps.viewer.engine import Engine
from polyfield.apps.viewer.frames import Eye
from polyfield.apps.viewer.inbox import Inbox
from polyfield.apps.viewer.moves import WIDEST, go_to, target_of, whole_on
from polyfield.apps.viewer.panels import Control, RunPanel, show_panel
from polyfield.apps.viewer.path_panel import PathPanel
from polyfield.apps.viewer.screen import MOVING_RATE, Level
from polyfield.apps.viewer.server import BrowserWindow, Server, eye_of, sending
from polyfield.renderers.stages.base import Stage
from polyfield.scenes.cameras import Camera
from polyfield.scenes.images import write_image
from polyfield.scenes.viewpoints import moved

MAX_SIDE = 1200
"""Longer side of the best pictures, pixels, where nothing else is asked for."""
MOST_VIEWS = 100
"""Frusta of training views: thousands of them choke browsers."""
SAY_SECONDS = 0.5
"""Time between two updates of the panel."""
VIEW_COLOR = (40, 40, 40)
VIEW_SCALE = 0.25
"""Of frusta, lengths of the browser's frame."""


@dataclass(frozen=True)
class Place:
    """Where the run lies."""

    folder: Path | None = None
    """Of the run, for snapshots and camera paths; None where nothing is kept."""
    data: Path | None = None
    """Its data, for camera paths of other programs; it needn't be there."""


class Viewer:
    """What browsers see of a stage.

    The server's thread stores what browsers ask; all else is done by `tick`, so that a picture and
    a training step are never computed at once.

    Args:
        server: Open.
        stage: What is shown.
        curve: Of the run.
        place: Where it lies.
        control: What browsers choose about training; None for a run that isn't training.
        side: Longest side of the best pictures, pixels.
    """

    def __init__(
        self,
        server: Server,
        stage: Stage,
        curve: Curve,
        place: Place,
        control: Control | None = None,
        side: int = MAX_SIDE,
    ) -> None:
        share = 1.0 if control is None else 0.5
        self.engine = Engine(stage, side, share / MOVING_RATE)
        self.inbox = Inbox()
        self._server, self._place = server, place
        self._said = 0.0
        viser = server.viser
        viser.scene.set_up_direction(stage.up)
        self._begin_at(stage.start, stage)
        tabs = viser.gui.add_tab_group()
        self._tab = tabs.add_tab("Show")
        with tabs.add_tab("Run"):
            self.run = RunPanel(viser.gui, stage, curve, self.inbox, self._snapshot, control)
        with tabs.add_tab("Path"):
            paths = None if place.folder is None else place.folder / "paths"
            self._path = PathPanel(viser, self.engine, self.inbox, paths, place.data)
        self._add_views()
        viser.on_client_connect(self.inbox.later(self._connected))
        viser.on_client_disconnect(self.inbox.later(self._disconnected))

    def tick(self) -> bool:
        """Do what was asked and draw a part of a picture; whether there was anything to do."""
        busy = self.listen()
        return self.engine.step() or busy

    def listen(self) -> bool:
        """Do what was asked but draw; whether there was anything."""
        busy = self.inbox.empty()
        return self._path.tick() or busy

    def say(self, text: str) -> None:
        """Show a line about the run, and what was drawn last, when it is time for that."""
        now = time.monotonic()
        if self.engine.seats and now - self._said >= SAY_SECONDS:
            self._said = now
            level, (width, height), seconds = self.engine.last
            if level is not Level.NOTHING:
                rate = self.engine.speeds[level].rate / 1e3
                text += f"\n\n{width}x{height} in {seconds:.2f} s, {rate:,.0f} k pixels/s"
            self.run.say(text)

    def _begin_at(self, camera: Camera, stage: Stage) -> None:
        """Where new browsers look from."""
        eye, first = self.engine.frame.eye(camera), self._server.viser.initial_camera
        first.position, first.look_at = eye.position, target_of(eye)
        first.fov = min(max(eye.fov, math.radians(5)), WIDEST)
        # What is drawn over the picture and nearer than a frustum is long isn't drawn: who stands
        # where a training camera did sees past its frustum.
        eyes = [self.engine.frame.eye(moved(view, view.pose)) for view in stage.views]
        first.near = 1.3 * max(map(_length, eyes), default=VIEW_SCALE)

    def _add_views(self) -> None:
        """Frusta of training views, which take the browser of a click to them."""
        views = self.engine.stage.views
        count = min(len(views), MOST_VIEWS)
        scene = self._server.viser.scene
        self._views = scene.add_frame("/views", show_axes=False)
        for i in range(count):
            view = views[i * len(views) // count]
            seen = moved(view, view.pose)
            eye = self.engine.frame.eye(seen)
            handle = scene.add_camera_frustum(
                f"/views/{i}", eye.fov, seen.width / seen.height, scale=VIEW_SCALE,
                color=VIEW_COLOR, wxyz=eye.wxyz, position=eye.position, cast_shadow=False,
                receive_shadow=False, variant="filled",
            )  # fmt: skip
            handle.on_click(self.inbox.later(partial(self._go, view)))
        if count:
            with self._tab:
                shown = self._server.viser.gui.add_checkbox("Training views", True)
            shown.on_update(self.inbox.later(lambda event: self._show_views(event.target.value)))

    def _show_views(self, visible: bool) -> None:
        self._views.visible = visible

    def _go(self, camera: Camera, event: Any) -> None:
        seat = self.engine.seats.get(event.client_id)
        if seat is not None:
            go_to(seat.window, self.engine.frame, camera, seat.screen.asked.eye)

    def _connected(self, client: Any) -> None:
        """A browser has come: its panel, and whatever its camera does from now on."""
        window, eye = BrowserWindow(client), eye_of(client.camera)
        screen = self.engine.connect(client.client_id, window)
        screen.move(eye, time.monotonic())

        async def store(camera: Any) -> None:
            screen.move(eye_of(camera), time.monotonic())

        client.camera.on_update(store)
        start = self.engine.frame.eye(self.engine.stage.start)
        # Who comes back after a while stays where he was; the canvas of a hidden tab has no size.
        if eye.is_sound and _is_there(eye, start):
            wide = whole_on(start, eye)
            if wide.fov > start.fov:
                window.move(eye.wxyz, eye.position, wide.fov, target_of(eye))
        with sending(), self._tab:
            show_panel(client.gui, self.engine.stage, screen, self.inbox)
        self._said = 0.0

    def _disconnected(self, client: Any) -> None:
        self.engine.disconnect(client.client_id)

    def _snapshot(self, event: Any) -> None:
        """What a browser sees, at its best size, into the run's folder, else into the browser."""
        seat = self.engine.seats.get(event.client_id)
        if seat is None or (eye := seat.screen.asked.eye) is None:
            return
        asked = seat.screen.asked
        image = self.engine.whole(eye, asked.look, asked.side)
        if self._place.folder is not None:
            try:
                seat.window.tell(f"written: {_write_snapshot(self._place.folder, image)}")
                return
            except OSError as error:
                seat.window.tell(str(error))
        packed = io.BytesIO()
        Image.fromarray(image).save(packed, "PNG")
        seat.window.send("snapshot.png", packed.getvalue())


def _is_there(eye: Eye, start: Eye) -> bool:
    """Whether a browser is where new ones begin."""
    return math.dist(eye.position, start.position) < 1e-3 and abs(eye.fov - start.fov) < 1e-3


def _length(eye: Eye) -> float:
    """How far the frustum of a camera reaches: viser draws them all of one volume."""
    half = math.tan(eye.fov / 2)
    return VIEW_SCALE / (half * half * eye.width / eye.height / 3) ** (1 / 3)


def _write_snapshot(folder: Path, image: np.ndarray) -> Path:
    """The first free name in the folder's snapshots/.

    Raises:
        WriteError: the system doesn't let it.
    """
    place = folder / "snapshots"
    place.mkdir(parents=True, exist_ok=True)
    names = (place / f"{i:05d}.png" for i in itertools.count())
    path = next(name for name in names if not name.exists())
    write_image(path, image)
    return path
