"""What every page has around what it draws: one HTML file with its data, shaders and scripts."""

from __future__ import annotations

import base64
import html
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from polyfield.errors import InputError
from polyfield.memory import as_size

FORMAT = 1
"""Of the header and the bytes behind it."""
LARGEST = 64_000_000
"""Bytes of a page that some browsers no longer open."""


@dataclass(frozen=True)
class Parts:
    """Files of `page/` that one kind of page is put together from."""

    keys: str
    """HTML: what the keys and gestures do."""
    hint: str
    """What one does first, for those who hear the page."""
    scripts: Sequence[str]
    """JavaScript, in order, behind common.js and gestures.js."""
    shaders: Sequence[str] = ()
    """GLSL; each is an element whose id is the file's stem."""


def shell(
    title: str, header: Mapping[str, Any], data: Mapping[str, bytes], parts: Parts, note: str = ""
) -> bytes:
    """The page.

    Args:
        title: of the tab and the bar; any text.
        header: what the scripts read, JSON.
        data: bytes by name, in the order in which they lie in the page.
        parts: what it is put together from.
        note: a sentence beside the title, for what one has to know of what one sees.
    """
    whole = {
        "format": FORMAT,
        "parts": [[name, len(content)] for name, content in data.items()],
        **header,
    }
    shaders = "\n".join(
        f'<script type="text/plain" id="{name.partition(".")[0]}">{_read(name)}</script>'
        for name in parts.shaders
    )
    pieces = {
        "TITLE": html.escape(title),
        "NOTE": html.escape(note),
        "HINT": html.escape(parts.hint),
        "STYLE": _read("page.css"),
        "KEYS": _read(parts.keys),
        "HEADER": json.dumps(whole).replace("<", "\\u003c"),
        "SHADERS": shaders,
        "SCRIPT": "".join(_read(name) for name in ("common.js", "gestures.js", *parts.scripts)),
        "DATA": base64.b64encode(zlib.compress(b"".join(data.values()), 9)).decode(),
    }
    # At once: what is put in is not searched again.
    return re.sub(r"\$([A-Z]+)", lambda found: pieces[found[1]], _read("page.html")).encode()


def check_size(content: bytes, advice: str) -> None:
    """Raise of a page that some browsers wouldn't open.

    Raises:
        InputError: it is larger than `LARGEST`; with the advice.
    """
    if len(content) > LARGEST:
        raise InputError(f"a page of at most {as_size(LARGEST)}", as_size(len(content)), advice)


def _read(name: str) -> str:
    """A file of the page, as it is installed."""
    return (resources.files("polyfield.renderers.exports") / "page" / name).read_text("utf-8")
