"""Pages as tests read them, and as a browser draws them."""

import base64
import contextlib
import importlib.util
import json
import os
import re
import shutil
import zlib

import numpy as np
import pytest

FLAGS = [
    "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip


def contents(path):
    """The header of a page and its bytes by name."""
    text = path.read_text()
    header = json.loads(re.search(r'id="header">(.*?)</script>', text, re.DOTALL)[1])
    data = re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1]
    whole, parts, at = zlib.decompress(base64.b64decode(data)), {}, 0
    for name, length in header["parts"]:
        parts[name] = np.frombuffer(whole, np.uint8, length, at)
        at += length
    assert at == len(whole)
    return header, parts


@contextlib.contextmanager
def chromium():
    """Chromium with WebGL in software; without it tests are skipped."""
    binary = shutil.which("chromium") or shutil.which("chromium-browser")
    if binary is None or importlib.util.find_spec("playwright") is None:
        reason = "needs Debian's chromium and Python's playwright"
        if os.environ.get("POLYFIELD_BROWSER") == "required":
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        found = play.chromium.launch(executable_path=binary, args=FLAGS)
        yield found
        found.close()


def opened(browser, path, width=320, height=240, **options):
    """The page, drawn or with its sentence; nothing may be asked of the network."""
    viewport = {"width": width, "height": height}
    context = browser.new_context(viewport=viewport, offline=True, **options)
    page = context.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_function(
        "window.polyfield && (polyfield.ready || polyfield.error)", timeout=90000
    )
    assert all(url.startswith(("file:", "blob:")) for url in asked), asked
    return page
