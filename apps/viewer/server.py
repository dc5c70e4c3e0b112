"""The server that browsers open, and the window of one browser, as the rest sees them."""

from __future__ import annotations

import contextlib
import errno
import getpass
import io
import logging
import os
import socket
import warnings
from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np

from polyfield import extras
from polyfield.apps.viewer.frames import Eye, Quaternion, Three
from polyfield.errors import InputError
from polyfield.quiet import quiet_log

HOST = "127.0.0.1"
"""This machine alone: whoever reaches the port can see the run and write into its folder."""
FIRST_PORT = 8080
"""The first one tried where none is asked for."""


@runtime_checkable
class Window(Protocol):
    """What is sent to one browser."""

    def show(self, image: np.ndarray, quality: int | None) -> None:
        """A picture, uint8 [h w 3], over the whole of its canvas.

        Args:
            image: The picture.
            quality: JPEG's; None for PNG, without loss.
        """

    def move(self, wxyz: Quaternion, position: Three, fov: float, target: Three) -> None:
        """Take its camera there; `target` is what it turns around, before it."""

    def tell(self, text: str) -> None:
        """A line that goes away by itself."""

    def send(self, name: str, content: bytes) -> None:
        """A file to keep."""


class BrowserWindow:
    """A `Window` on a client of viser."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def show(self, image: np.ndarray, quality: int | None) -> None:
        """At once, not with the next bundle of messages."""
        kind = "png" if quality is None else "jpeg"
        with sending():
            self.client.scene.set_background_image(image, format=kind, jpeg_quality=quality)
            self.client.flush()

    def move(self, wxyz: Quaternion, position: Three, fov: float, target: Three) -> None:
        """All at once; the way up stays as it was as far as it can."""
        camera = self.client.camera
        with sending(), self.client.atomic():
            camera.wxyz = np.array(wxyz)
            camera.position = np.array(position)
            camera.look_at = np.array(target)
            camera.fov = fov
        self.client.flush()

    def tell(self, text: str) -> None:
        """At the upper left."""
        with sending():
            self.client.add_notification("polyfield", text, auto_close_seconds=8.0)

    def send(self, name: str, content: bytes) -> None:
        """As a download."""
        with sending():
            self.client.send_file_download(name, content)


@contextlib.contextmanager
def sending() -> Iterator[None]:
    """A browser may go at any time: that it never gets what is sent is no news."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Queued a .* on a closed connection", UserWarning)
        yield


def eye_of(camera: Any) -> Eye:
    """What viser knows of a client's camera."""
    w, x, y, z = (float(value) for value in camera.wxyz)
    px, py, pz = (float(value) for value in camera.position)
    return Eye(
        (w, x, y, z), (px, py, pz), float(camera.fov), camera.image_width, camera.image_height
    )


class Server:
    """viser's server on HOST. Its own thread serves files and messages, and computes nothing.

    Args:
        port: The one to listen on; None for the first free one from FIRST_PORT on.
        label: Title of the window.

    Raises:
        MissingBackend: viser isn't installed.
        InputError: the port is taken, or can't be had.
    """

    def __init__(self, port: int | None, label: str) -> None:
        viser = extras.load("viser", "viser 1.1 or newer", "the viewer", "viewer")
        if port is not None:
            _check_free(port)
        self._held = contextlib.ExitStack()
        # Somebody who connects and says nothing, or something else, is no news.
        self._held.enter_context(quiet_log("websockets.server", logging.CRITICAL))
        with _silent():
            self.viser: Any = viser.ViserServer(HOST, port or FIRST_PORT, label, verbose=False)
        self.port: int = self.viser.get_port()
        if port is not None and self.port != port:
            self.close()
            raise _taken(port, "taken")
        self.viser.gui.configure_theme(show_logo=False, show_share_button=False)

    @property
    def address(self) -> str:
        """What to open."""
        return f"http://{HOST}:{self.port}"

    @property
    def ssh_line(self) -> str:
        """What to type on one's own machine where this one is another."""
        user, host = "USER", socket.gethostname() or "HOST"
        with contextlib.suppress(OSError, KeyError, ImportError):  # nobody knows who we are
            user = getpass.getuser()
        return f"ssh -L {self.port}:{HOST}:{self.port} {user}@{host}"

    def close(self) -> None:
        """Stop; all windows lose their connection."""
        with _silent():
            self.viser.stop()
        self._held.close()


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Drop what viser prints of its start and end: the address is told by a line of ours."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def _check_free(port: int) -> None:
    """Raise unless the port can be had; viser would quietly take the next one.

    Raises:
        InputError: it can't.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if os.name != "nt":  # a port that was closed a moment ago is free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            is_taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
            raise _taken(port, "taken" if is_taken else str(error)) from None


def _taken(port: int, why: str) -> InputError:
    return InputError(
        "a free port for --port", f"{port} ({why})", "leave out --port for the next free one"
    )
