"""Cases that once showed a fault, each small and made by code: every hunt begins with them."""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path

from case import Case, Fifo, Files, Folder, Link
from models import filled
from seeds import IMAGE, ONE, Seeds

MODEL = "model.safetensors"


def cases(seeds: Seeds) -> list[Case]:
    """All of them."""
    fit = ("fit", "image", "x.png", *IMAGE, *ONE, "--out", "o")
    places = (Fifo(), Folder(), b"", *map(Link, ("/dev/zero", "/proc/self/mem", "nowhere")))
    found = [Case("corpus", fit, {"x.png": entry}) for entry in places]
    scene, image = seeds.runs["scene"], seeds.runs["image"]
    resume = (*seeds.commands["image"], "--resume")
    student = ("distill", "run", "--to", "hash", "--out", "o", *ONE)
    model, state, metrics = (f"run/{n}" for n in (MODEL, "state.safetensors", "metrics.json"))
    endless = struct.pack("<f", float("nan"))

    def case(files: Files, change: Files, *words: str) -> None:
        found.append(Case("corpus", words, {**files, **change}))

    for name in (metrics, "run/config.yaml", "run/cameras.json"):
        for content in (b"", b"[]", b"{", b"{}", Folder(), Fifo()):
            case(scene, {name: content}, *student)
            case(scene, {name: content}, "info", "run")
    case(scene, {metrics: b'{"parameters": "%s%n"}'}, *student)
    case(scene, {metrics: b'{"x": [{"a": 1}], "y": "\\u001b[2J"}'}, "info", "run")
    case(scene, {model: image[model]}, "evaluate", "run")
    case(image, {model: Folder()}, *seeds.commands["image"], "--overwrite")
    case(image, {"run/.part-x.json": Folder()}, *resume)
    half = {name: entry for name, entry in image.items() if name != metrics}
    for name in ("field.domain.bounds", "progress"):
        case(half, {state: filled(image[state], name, endless)}, *resume)
    case(image, {model: filled(image[model], "field.domain.bounds", endless)}, *student)
    return found


def read_back(folder: Path) -> Files:
    """The files of a case that was saved."""
    files: Files = {}
    for path in sorted(folder.rglob("*")):
        name, mode = str(path.relative_to(folder)), path.lstat().st_mode
        if stat.S_ISLNK(mode):
            files[name] = Link(os.readlink(path))
        elif stat.S_ISFIFO(mode):
            files[name] = Fifo()
        elif stat.S_ISREG(mode):
            files[name] = path.read_bytes()
        elif not any(path.iterdir()):
            files[name] = Folder()
    return files
