"""The panel of a camera path: key frames, the spline through them, preview, load and save."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from polyfield.apps.viewer.engine import Engine
from polyfield.apps.viewer.inbox import Inbox
from polyfield.apps.viewer.keyframes import (
    FORMS,
    file_in,
    flight,
    frames_of,
    load_path,
    save_path,
    sized,
)
from polyfield.apps.viewer.moves import go_to
from polyfield.errors import InputError
from polyfield.scenes.cameras import Camera
from polyfield.scenes.path_formats import Source
from polyfield.scenes.viewpoints import parse_size

KEY_COLOR = (220, 60, 60)
SPLINE_COLOR = (220, 140, 60)
DRAWN = 24
"""Points of the drawn spline between two key frames."""
MOST = 200
"""Key frames."""
NONE = "none yet"


class PathPanel:
    """Key frames of all browsers together, in the user's frame.

    Args:
        viser: The server.
        engine: With the stage and its browsers.
        inbox: Where clicks go.
        folder: Where paths are saved and loaded; None has them sent and taken no files.
        data: The run's data; it needn't be there.
    """

    def __init__(
        self, viser: Any, engine: Engine, inbox: Inbox, folder: Path | None, data: Path | None
    ) -> None:
        self._viser, self._engine, self._folder, self._data = viser, engine, folder, data
        self.keys: list[Camera] = []
        self._drawn: list[Any] = []
        self._playing: tuple[int, list[Camera], float, float] | None = None
        self._at = -1
        gui, start = viser.gui, engine.stage.start

        def button(label: str, act: Any) -> Any:
            found = gui.add_button(label)
            found.on_click(inbox.later(self._told(act)))
            return found

        button("Add key frame", self._add)
        self._list = gui.add_dropdown("Key frame", (NONE,))
        button("Go there", self._go)
        button("Put it here", self._replace)
        button("Delete", self._delete)
        button("Delete all", self._clear)
        self._size = gui.add_text("Size", f"{start.width}x{start.height}")
        self._seconds = gui.add_number("Seconds", 4.0, min=0.1, max=3600.0, step=0.1)
        self._fps = gui.add_number("Frames per second", 30.0, min=1.0, max=240.0, step=1.0)
        self._play = button("Preview", self._preview)
        self._name = gui.add_text("File", "path")
        self._form = gui.add_dropdown("Form", tuple(FORMS))
        if folder is not None:
            button("Save", self._save)
            button("Load", self._load)

    def tick(self) -> bool:
        """Move on with a preview; whether there is one."""
        if self._playing is None:
            return False
        number, views, fps, began = self._playing
        at = int((time.monotonic() - began) * fps)
        seat = self._engine.seats.get(number)
        if seat is None or at >= len(views):
            self._stop()
        elif at != self._at:
            self._at = at
            go_to(seat.window, self._engine.frame, views[at], seat.screen.asked.eye)
        return True

    # What is asked for by a click; each is told of a mistake in its own window.

    def _told(self, act: Any) -> Any:
        def acting(event: Any) -> None:
            seat = self._engine.seats.get(event.client_id)
            if seat is None:
                return
            try:
                act(event.client_id)
            except (InputError, OSError) as error:
                seat.window.tell(str(error))

        return acting

    def _here(self, number: int) -> Camera:
        """What a browser sees, as a key frame."""
        eye = self._engine.seats[number].screen.asked.eye
        assert eye is not None, "browsers are seated with a camera"
        return self._sized([self._engine.frame.camera(eye)])[0]

    def _sized(self, cameras: list[Camera]) -> list[Camera]:
        return [sized(camera, parse_size(self._size.value)) for camera in cameras]

    def _chosen(self) -> int:
        """The number of the key frame in the list.

        Raises:
            InputError: there is none.
        """
        if not self.keys or self._list.value == NONE:
            raise InputError("a key frame", "none", "add one first")
        return min(int(self._list.value) - 1, len(self.keys) - 1)

    def _add(self, number: int) -> None:
        if len(self.keys) >= MOST:
            raise InputError(f"at most {MOST} key frames", "one more", "delete one first")
        self.keys.append(self._here(number))
        self._show(len(self.keys) - 1)

    def _go(self, number: int) -> None:
        key, seat = self.keys[self._chosen()], self._engine.seats[number]
        go_to(seat.window, self._engine.frame, key, seat.screen.asked.eye)

    def _replace(self, number: int) -> None:
        chosen = self._chosen()
        self.keys[chosen] = self._here(number)
        self._show(chosen)

    def _delete(self, number: int) -> None:
        chosen = self._chosen()
        del self.keys[chosen]
        self._show(chosen)

    def _clear(self, number: int) -> None:
        self.keys.clear()
        self._show(0)

    def _preview(self, number: int) -> None:
        if self._playing is not None:
            self._stop()
            return
        if not self.keys:
            raise InputError("key frames to fly through", "none", "add some first")
        views = flight(self._sized(self.keys), self._frames)
        self._playing, self._at = (number, views, float(self._fps.value), time.monotonic()), -1
        self._play.label = "Stop"

    def _stop(self) -> None:
        self._playing = None
        self._play.label = "Preview"

    @property
    def _frames(self) -> int:
        return frames_of(float(self._seconds.value), float(self._fps.value))

    def _file(self) -> Path:
        assert self._folder is not None
        return file_in(self._folder, self._name.value)

    def _save(self, number: int) -> None:
        file, keys = self._file(), self._sized(self.keys)
        source = Source(file, self._engine.stage.start, data=self._data)
        if not keys:
            raise InputError("key frames to save", "none", "add some first")
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = save_path(keys, self._frames, float(self._fps.value), self._form.value, source)
        for line in (f"saved in {file}: polyfield render RUN --path {file}", *lines):
            self._engine.seats[number].window.tell(line)

    def _load(self, number: int) -> None:
        file = self._file()
        keys, path = load_path(Source(file, self._engine.stage.start, data=self._data))
        self.keys = keys[:MOST]
        self._size.value = f"{keys[0].width}x{keys[0].height}"
        if path.fps:
            self._fps.value = float(path.fps)
        self._seconds.value = max(0.1, len(path.cameras) / float(self._fps.value))
        self._show(0)
        for line in (f"{len(self.keys)} key frames of {file}", *path.warnings):
            self._engine.seats[number].window.tell(line)

    def _show(self, chosen: int) -> None:
        """The list, the key frames and the spline, as they are now."""
        names = tuple(str(i + 1) for i in range(len(self.keys))) or (NONE,)
        self._list.options = names
        self._list.value = names[min(chosen, len(names) - 1)]
        for handle in self._drawn:
            handle.remove()
        scene, frame = self._viser.scene, self._engine.frame
        self._drawn = []
        for index, key in enumerate(self.keys):
            eye = frame.eye(key)
            handle = scene.add_camera_frustum(
                f"/path/{index}", eye.fov, key.width / key.height, scale=0.3, color=KEY_COLOR,
                wxyz=eye.wxyz, position=eye.position, cast_shadow=False, receive_shadow=False,
            )  # fmt: skip
            self._drawn.append(handle)
        if len(self.keys) > 1:
            views = flight(self._sized(self.keys), DRAWN * (len(self.keys) - 1) + 1)
            points = frame.points(torch.stack([view.pose[:3, 3] for view in views]))
            lines = np.stack([points[:-1], points[1:]], 1)
            self._drawn.append(
                scene.add_line_segments("/path/spline", lines, np.array(SPLINE_COLOR))
            )
