"""Debian's Chromium with WebGL in software, and what a page draws in it."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

from polyfield.scenes.cameras import Camera

FLAGS = [
    "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip
PATIENCE = 300_000
"""Milliseconds."""


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser.

    Raises:
        RuntimeError: there is none.
    """
    binary = shutil.which("chromium") or shutil.which("chromium-browser")
    if binary is None:
        raise RuntimeError("expected Chromium; got none; on Debian: apt install chromium")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=binary, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


class Opened:
    """A page of an export, opened from disk with the network off.

    Args:
        browser: Of `chromium`.
        path: The file.
        size: Of the window, pixels.
        before: A script that runs before the page's own.
    """

    def __init__(
        self, browser: Any, path: Path, size: tuple[int, int] = (400, 400), before: str = ""
    ) -> None:
        width, height = size
        self._context = browser.new_context(
            viewport={"width": width, "height": height}, offline=True
        )
        self.page = self._context.new_page()
        self.asked: list[str] = []
        """Addresses that it asked for, itself included."""
        self.page.on("request", lambda request: self.asked.append(request.url))
        if before:
            self.page.add_init_script(before)
        self.page.goto(path.as_uri())
        ready = "window.polyfield && (polyfield.ready || polyfield.error)"
        self.page.wait_for_function(ready, timeout=PATIENCE)
        error = self.page.evaluate("polyfield.error")
        if error:
            raise RuntimeError(f"{path.name}: {error}")

    @property
    def external(self) -> list[str]:
        """What it asked for that isn't in it."""
        return [url for url in self.asked[1:] if not url.startswith(("blob:", "data:"))]

    def drawn(self, camera: Camera) -> np.ndarray:
        """What it draws for a pinhole of the data's frame: uint8 [h w 4]."""
        c = camera
        numbers = [c.pose.flatten().tolist(), c.width, c.height, c.fl_x, c.fl_y, c.cx, c.cy]
        return self.bytes_of("polyfield.render(...a)", numbers).reshape(c.height, c.width, 4)

    def bytes_of(self, expression: str, argument: Any) -> np.ndarray:
        """Bytes that an expression of `a` gives or promises; as text, the fastest way."""
        script = f"""async (a) => {{
          const found = await {expression};
          let text = '';
          for (let i = 0; i < found.length; i += 32768) {{
            text += String.fromCharCode(...found.subarray(i, i + 32768));
          }}
          return btoa(text);
        }}"""
        packed = self.page.evaluate(script, argument)
        return np.frombuffer(base64.b64decode(packed), np.uint8)

    def close(self) -> None:
        """Close it."""
        self._context.close()


@contextmanager
def opened(browser: Any, path: Path, **options: Any) -> Iterator[Opened]:
    """A page, closed at the end."""
    found = Opened(browser, path, **options)
    try:
        yield found
    finally:
        found.close()
