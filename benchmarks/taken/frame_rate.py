"""Frames of a page in software against what its reads of textures cost in the same browser.

A page can't be faster than its reads. Three are timed alone, by a shader that does little else:
a trilinear one of R8 (density), one of RGBA8 (colour), a texel of RGBA8 (where a block lies). How
many of each a frame takes is counted by the page's own shader, changed to write counts for colours.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from polyfield.scenes.cameras import Camera
from taken.browser import PATIENCE, Opened, chromium, opened
from taken.evidence import Evidence, Found, emptied, middle
from taken.page_reader import contents
from taken.pages import page_of, views

SHARE, FLUENT = 0.60, 12.0
"""Of what reads allow, and frames a second while it moves."""
OPENING, SWIFT = 3.0, 1.0
"""Seconds to the first picture."""
SIDE, TURNS, IN_A_ROW, MOVING_SECONDS = 400, 5, 4, 6.0
READS = (8, 24)
"""Of a pixel, of the two shaders whose difference is what a read costs."""
FIRST = """
const first = setInterval(() => {
  if (window.polyfield && window.polyfield.frames > 0) {
    window.firstPicture = performance.now();
    clearInterval(first);
  }
}, 2);
"""
COUNTED = {
    "density": ("textureLod(density, texel, 0.0)", 1.0),
    "colors": ("textureLod(colors, texel, 0.0)", 3.0),
    "places": ("texelFetch(place, block, 0)", 1.0),
}
"""What is counted: where it is read, and how many reads that stands for."""


def rows(evidence: Evidence) -> Iterator[tuple[str, Callable[[], Found]]]:
    """Names and what measures them."""
    yield "frames of a page", partial(frames, evidence)
    yield "opening a page", partial(opening, evidence)


def frames(evidence: Evidence) -> Found:
    """At full quality, and while it is dragged."""
    path, folder = page_of(evidence, "lego"), emptied(evidence.out / "counting")
    cameras = views(evidence.teacher("lego"), TURNS, SIDE)
    with chromium() as browser:
        counts = {}
        for name, (read, number) in COUNTED.items():
            changed = counting(path.read_text(), read)
            (folder / f"{name}.html").write_text(changed)
            with opened(browser, folder / f"{name}.html", size=(SIDE, SIDE)) as page:
                # Low and high byte of what each ray counted.
                bytes_ = [page.drawn(camera)[..., :2].astype(np.int64) for camera in cameras]
            sums = [int((b[..., 0] + 256 * b[..., 1]).sum()) for b in bytes_]
            counts[name] = number * float(np.mean(sums))
        # A machine that changes its pace is asked for both in turns.
        frame, allowed, costs = [], [], []
        for _ in range(TURNS):
            with opened(browser, path, size=(SIDE, SIDE)) as page:
                frame.append(float(np.mean([_seconds(page, camera) for camera in cameras])))
            costs.append(_costs(browser, contents(path)[0]["atlas"]))
            allowed.append(sum(counts[name] * costs[-1][name] for name in COUNTED))
        with opened(browser, path, size=(SIDE, SIDE)) as page:
            moving = _moving(page)
    shares = [reads / seconds for reads, seconds in zip(allowed, frame, strict=True)]
    reads = {name: 1e9 * middle([cost[name] for cost in costs]) for name in COUNTED}
    return {
        "frames_per_second": 1 / middle(frame),
        "reads_allow": 1 / middle(allowed),
        "share": middle(shares),
        "shares": shares,
        "reads_of_a_ray": {name: count / SIDE**2 for name, count in counts.items()},
        "nanoseconds_of_a_read": reads,
        "moving_per_second": moving["per_second"],
        "moving_scale": moving["scale"],
        "must": middle(shares) >= SHARE and moving["per_second"] >= FLUENT,
    }


def counting(text: str, read: str) -> str:
    """The text of a page whose shader writes how often a ray came to a read.

    The read is in the march or in `harmonics`, which the page puts where the march has its line
    //SHADING: what is declared before that line is seen by both.

    Raises:
        ValueError: the shader has no such line any more.
    """
    begin, end = "\n//SHADING\n", r"pixel = vec4\(linear[^;]*;"
    if text.count(begin) != 1 or text.count(read) != 1 or len(re.findall(end, text)) != 1:
        raise ValueError(f"the march has changed: no single {read}")
    line = next(line for line in text.splitlines() if read in line)
    text = text.replace(line, f"counted += 1.0;\n{line}").replace(
        begin, f"\nfloat counted = 0.0;{begin}"
    )
    return re.sub(end, "pixel = vec4(mod(counted, 256.0) / 255.0, floor(counted / 256.0) / 255.0, "
                  "color.r + light > 9.0 ? 1.0 : 0.0, 1.0);", text)  # fmt: skip


def opening(evidence: Evidence) -> Found:
    """From the address to the first picture, in the browser's own clock."""
    path, found = page_of(evidence, "lego"), {}
    with chromium() as browser:
        for size in ((SIDE, SIDE), (1280, 800)):
            seconds = []
            for _ in range(TURNS):
                with opened(browser, path, size=size, before=FIRST) as page:
                    page.page.wait_for_function("window.firstPicture > 0", timeout=PATIENCE)
                    seconds.append(page.page.evaluate("firstPicture") / 1000)
            found[f"seconds_{size[0]}x{size[1]}"] = middle(seconds)
    seconds = found[f"seconds_{SIDE}x{SIDE}"]
    megabytes = path.stat().st_size / 1e6
    return {**found, "megabytes": megabytes, "must": seconds <= OPENING, "strive": seconds <= SWIFT}


def _seconds(page: Opened, camera: Camera) -> float:
    """Of a whole frame of several in a row, reading them back included.

    A frame alone would share the processor with the browser, which still shows what the page drew
    of itself before.
    """
    c = camera
    numbers = [c.pose.flatten().tolist(), c.width, c.height, c.fl_x, c.fl_y, c.cx, c.cy]
    script = """([a, count]) => {
      polyfield.render(...a);
      const began = performance.now();
      for (let i = 0; i < count; i++) polyfield.render(...a);
      return (performance.now() - began) / count;
    }"""
    return float(page.page.evaluate(script, [numbers, IN_A_ROW])) / 1000


def _moving(page: Opened) -> dict[str, float]:
    """Frames a second while it is dragged in a circle, and how large they are at the end."""
    mouse, half = page.page.mouse, SIDE / 2
    mouse.move(half, half)
    mouse.down()
    count, seconds = 0, 1.0
    for _ in range(2):  # the first round finds the scale
        before, at = page.page.evaluate("polyfield.frames"), time.perf_counter()
        while time.perf_counter() - at < MOVING_SECONDS:
            angle = 3 * (time.perf_counter() - at)
            mouse.move(half + 80 * np.cos(angle), half + 40 * np.sin(angle))
        seconds = time.perf_counter() - at
        count = page.page.evaluate("polyfield.frames") - before
    scale = page.page.evaluate("polyfield.scale")
    mouse.up()
    return {"per_second": count / seconds, "scale": scale}


def _costs(browser: Any, atlas: list[int]) -> dict[str, float]:
    """Seconds of one read of each kind, of textures as large as the page's."""
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto(Path(__file__).with_name("reads.html").as_uri())
    costs = {}
    for name, channels in (("density", 1), ("colors", 4), ("places", 4)):
        given = {"atlas": atlas, "channels": channels, "fetch": name == "places",
                 "side": SIDE, "reads": READS, "turns": 3 * TURNS}  # fmt: skip
        costs[name] = float(page.evaluate("(a) => costOf(a)", given))
    context.close()
    return costs
