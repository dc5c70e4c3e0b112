"""A browser of the viewer without a browser: viser's messages over a plain websocket.

Chromium takes a core for itself; this takes next to nothing, so that what is measured is the
viewer. Pictures are kept as they come, with the time at which they came, and decoded when asked.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import viser
import zstandard
from PIL import Image
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from polyfield.apps.viewer.frames import Eye

MOVING_TABLE = 16
"""First entry of JPEG's luminance table at quality 50: so are the pictures of who moves."""


@dataclass(frozen=True)
class Picture:
    """One that came."""

    when: float
    """Seconds of `time.perf_counter`."""
    encoded: bytes

    @property
    def table(self) -> int | None:
        """What tells its quality, read from the header alone; None where nothing was lost."""
        tables: dict[int, Any] | None
        tables = vars(Image.open(io.BytesIO(self.encoded))).get("quantization")
        return None if tables is None else int(tables[0][0])

    @property
    def is_moving(self) -> bool:
        """Whether it is a first, small picture of a camera."""
        return self.table == MOVING_TABLE

    @property
    def is_best(self) -> bool:
        """Whether it is one of full size."""
        return self.table is None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return Image.open(io.BytesIO(self.encoded)).size

    @property
    def pixels(self) -> np.ndarray:
        """Uint8 [h w 3]."""
        return np.asarray(Image.open(io.BytesIO(self.encoded)))


class Client:
    """One connection, read by a thread of its own until `close`.

    Args:
        port: Of the viewer, on this machine.
    """

    def __init__(self, port: int) -> None:
        protocol: Any = [f"viser-v{viser.__version__}"]
        self._socket = connect(
            f"ws://127.0.0.1:{port}", subprotocols=protocol, compression=None, max_size=None
        )
        self.pictures: list[Picture] = []
        self.messages: list[dict[str, Any]] = []
        """All others."""
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, kind: str, **values: Any) -> None:
        """A message of viser's."""
        self._socket.send(msgspec.msgpack.encode({"type": kind, **values}))

    def look(self, eye: Eye) -> float:
        """Say where the camera is; when that was."""
        now = time.perf_counter()
        self.send(
            "ViewerCameraMessage", wxyz=list(eye.wxyz), position=list(eye.position), fov=eye.fov,
            near=0.01, far=1000.0, image_height=eye.height, image_width=eye.width,
            look_at=[0.0, 0.0, 0.0], up_direction=[0.0, 0.0, 1.0],
        )  # fmt: skip
        return now

    def wait(self, wanted: Callable[[Picture], bool], since: int, seconds: float) -> Picture:
        """The first of the pictures from number `since` on that is as wanted.

        Raises:
            TimeoutError: none came in so many seconds, or the viewer has gone.
        """
        deadline, at = time.perf_counter() + seconds, since
        with self._news:
            while True:
                for picture in self.pictures[at:]:
                    if wanted(picture):
                        return picture
                at = len(self.pictures)
                left = deadline - time.perf_counter()
                if left <= 0 or not self._reader.is_alive():
                    raise TimeoutError(f"no picture in {seconds:g} s")
                self._news.wait(min(left, 1.0))

    def close(self) -> None:
        """Go away."""
        self._socket.close()
        self._reader.join(10)

    def _read(self) -> None:
        unpack = zstandard.ZstdDecompressor().decompress
        while True:
            try:
                packed = self._socket.recv()
            except ConnectionClosed:
                return
            when = time.perf_counter()
            assert isinstance(packed, bytes)
            # A header of 16 bytes, whose second half is the length of the packed messages; what
            # is longer, such as the bytes of a JPEG, may lie behind them.
            length = int.from_bytes(packed[8:16], "little")
            content = msgspec.msgpack.decode(unpack(packed[16 : 16 + length]))
            with self._news:
                for message in content["messages"]:
                    if message["type"] != "BackgroundImageMessage":
                        self.messages.append(message)
                    elif message["rgb_data"]:
                        self.pictures.append(Picture(when, message["rgb_data"]))
                self._news.notify_all()
