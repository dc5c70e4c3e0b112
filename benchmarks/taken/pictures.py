"""Pages of images: what the browser draws against what Python does."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import polyfield
from polyfield.apps.tasks.image_presets import image_presets
from taken.browser import chromium, opened
from taken.evidence import Evidence, Found, decibels
from taken.page_reader import contents

COMPUTED = ("hash", "dense", "siren", "mlp")
"""Presets whose field is to be computed in the browser; others come as tiles."""
LIKE = 45.0
"""dB."""
STEPS, DOWNSCALE = 100, 4


def rows(evidence: Evidence) -> Iterator[tuple[str, Callable[[], Found]]]:
    """Names and what measures them."""
    for preset in image_presets():
        yield f"picture {preset}", partial(picture, evidence, preset)


def picture(evidence: Evidence, preset: str) -> Found:
    """A short fit, its page, and all of its pixels in the browser."""
    run = fitted(evidence, preset)
    try:
        path, seconds = evidence.exported(run, "web", f"picture-{preset}.html")
    except subprocess.CalledProcessError as error:
        return {"exports": False, "code": error.returncode, "must": False}
    header = contents(path)[0]
    computed = "passes" in header
    model = polyfield.load(run)
    width, height = model.info.shape
    wanted = model.render()[..., :3].clamp(0, 1).numpy()
    with chromium() as browser, opened(browser, path) as page:
        if computed:
            pixels = page.bytes_of("polyfield.render(...a)", [0, 0, width, height, width, height])
        else:
            pixels = page.bytes_of("polyfield.level(a)", header["levels"].index([width, height]))
        external = page.external
    score = decibels(pixels.reshape(height, width, 4)[..., :3] / 255, wanted)
    return {
        "db": score,
        "computed_in_browser": computed,
        "megabytes": path.stat().st_size / 1e6,
        "external": external,
        "seconds": seconds,
        "must": score >= LIKE and not external and (computed or preset not in COMPUTED),
    }


def fitted(evidence: Evidence, preset: str) -> Path:
    """A short fit of a photograph at a quarter of its size."""
    photo = evidence.data / "image" / "kodak" / "kodim07.png"
    flags = ["--preset", preset, "--downscale", DOWNSCALE, "--steps", STEPS]
    return evidence.fitted("image", f"picture-{preset}", str(photo), *flags)
