"""The images that a file names, on disk: other endings, other spellings, other machines."""

from __future__ import annotations

import difflib
import os
import re
import unicodedata
from pathlib import Path
from urllib.parse import unquote

from polyfield.errors import InputError
from polyfield.scenes.images import EXTENSIONS

ENDINGS = tuple(
    dict.fromkeys(
        [*(e.lower() for e in EXTENSIONS), *".webp .tif .tiff .bmp .avif .heic .heif".split()]
    )
)
"""Endings tried, in this order and in any case, for an image named without one."""
DRIVE = re.compile(r"[A-Za-z]:/")


class Pictures:
    """Finds the images that a file names.

    A name is looked for as it is, then with another case of letters, another Unicode form of its
    accents, its percent codes read, and with an ending where it has none. A path of another machine
    (`D:/...`, `/home/...`) is looked for by its last parts.
    """

    def __init__(self, folder: Path, allow_outside: bool) -> None:
        """Look below a folder.

        Args:
            folder: that of the file that names the images.
            allow_outside: also open what lies elsewhere: absolute paths, `..`, links.
        """
        self._folder = folder
        self._root = os.path.realpath(folder)
        self._allow_outside = allow_outside
        self._listings: dict[str, dict[str, list[str]]] = {}
        self.moved: list[str] = []
        """Names of other machines that were found by their last parts."""

    def find(self, name: str, where: str) -> Path | None:
        """The image of that name; None where there is none.

        Args:
            name: as the file has it, with forward slashes.
            where: the frame, for messages.

        Raises:
            InputError: it is outside the folder, and that isn't allowed.
        """
        foreign = os.path.isabs(name) or DRIVE.match(name) is not None
        found = None if DRIVE.match(name) else self._look(name)
        if found is not None and (self._allow_outside or self._is_inside(found)):
            return found
        if foreign:
            parts = [part for part in DRIVE.sub("", name).split("/") if part]
            for first in range(1, len(parts)):
                moved = self._look("/".join(parts[first:]))
                if moved is not None and self._is_inside(moved):
                    self.moved.append(name)
                    return moved
        if found is None:
            return None
        raise InputError(
            f"images below {self._folder}",
            f"{os.path.realpath(found)} for {where}",
            "give --allow-outside if that is meant, or copy the images into the folder",
        )

    def near(self, name: str) -> str:
        """The name on disk that is most like a missing one, with its numbers; "" where none is."""
        folder, _, last = name.rpartition("/")
        place = self._walk(folder)
        if place is None:
            return ""
        numbers = re.findall(r"\d+", last)
        names = [entry for entries in self._listing(place).values() for entry in entries]
        names = [entry for entry in names if re.findall(r"\d+", entry) == numbers]
        stem = _form(os.path.splitext(last)[0])
        same = [entry for entry in names if _form(os.path.splitext(entry)[0]) == stem]
        match = same or difflib.get_close_matches(last, names, n=1, cutoff=0.75)
        return f"{folder}/{match[0]}" if match and folder else "".join(match[:1])

    def _is_inside(self, path: Path) -> bool:
        real = os.path.realpath(path)
        return real == self._root or real.startswith(self._root.rstrip(os.sep) + os.sep)

    def _look(self, name: str) -> Path | None:
        """The file of a name, however it is spelt."""
        given = str(self._folder / name)
        if os.path.isfile(given):
            return Path(given)
        plain = unquote(name)
        for spelt in dict.fromkeys([name, plain]):
            folder, _, last = spelt.rpartition("/")
            place = self._walk(folder or ("/" if spelt.startswith("/") else ""))
            if place is None:
                continue
            listing = self._listing(place)
            endings = [""] if last.lower().endswith(ENDINGS) else ["", *ENDINGS]
            for ending in endings:
                entry = _pick(listing.get(_form(last + ending), []), last + ending)
                path = os.path.join(place, entry) if entry is not None else ""
                if entry is not None and os.path.isfile(path):
                    return Path(path)
        return None

    def _walk(self, folder: str) -> str | None:
        """The directory of a name, however it is spelt."""
        exact = str(self._folder / folder)
        if os.path.isdir(exact):
            return exact
        if os.path.isabs(folder):
            return None
        place = str(self._folder)
        for part in folder.split("/"):
            if part in ("", "."):
                continue
            step = os.path.join(place, part)
            if part != ".." and not os.path.isdir(step):
                entry = _pick(self._listing(place).get(_form(part), []), part)
                if entry is None:
                    return None
                step = os.path.join(place, entry)
            place = step
        return place if os.path.isdir(place) else None

    def _listing(self, folder: str) -> dict[str, list[str]]:
        """What is in a directory, by the form that all spellings of a name share."""
        if folder not in self._listings:
            listing: dict[str, list[str]] = {}
            try:
                entries = sorted(os.listdir(folder))
            except (OSError, ValueError):
                entries = []
            for entry in entries:
                listing.setdefault(_form(entry), []).append(entry)
            self._listings[folder] = listing
        return self._listings[folder]


def check_companions(image: Path, where: str) -> None:
    """Files beside an image that instant-ngp reads with it, and which we don't have.

    Raises:
        InputError: there is one.
    """
    for name, expected, hint in (
        (
            f"{image.name}.alpha{image.suffix}",
            "images with their own straight alpha",
            "put the alpha into the images (RGBA), or move it away",
        ),
        (
            f"rays_{image.stem}.dat",
            "pixels whose rays follow from the lens",
            "undistort the images, or move the file away",
        ),
    ):
        if os.path.isfile(image.with_name(name)):
            raise InputError(f"{expected}, in {where}", name, hint)


def _form(name: str) -> str:
    """What all spellings of a name have in common: its letters, without case and Unicode form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _pick(entries: list[str], name: str) -> str | None:
    """The one entry that is meant; None where several differ from the name in case only."""
    if len(entries) == 1:
        return entries[0]
    same = [
        e for e in entries if unicodedata.normalize("NFC", e) == unicodedata.normalize("NFC", name)
    ]
    return same[0] if len(same) == 1 else None
