"""A capture larger than memory: 600 images of 4 megapixels, fitted with --memory 1GB.

    python benchmarks/large_capture.py --out /tmp/large --images 600 --side 2000 --memory 1GB

Makes the capture (one texture, moved and tinted for each view; nothing to be learned), fits it
twice (the second run finds the pixels' file), tells the peaks of memory of each and removes all.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from polyfield.scenes.demo.capture import look_at

PEAKS = ("VmHWM", "RssAnon", "RssFile")


def make(folder: Path, images: int, side: int) -> None:
    """Write the capture."""
    (folder / "images").mkdir(parents=True)
    generator = np.random.default_rng(0)
    texture = np.zeros((side, side, 3), np.float32)
    for cells in (7, 29, 113):  # smooth enough for a small JPEG, with detail of several sizes
        coarse = generator.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        texture += np.asarray(
            Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
        )
    texture = (texture / 3).astype(np.uint8)
    frames = []
    for i in range(images):
        moved = np.roll(texture, (37 * i, 61 * i), (0, 1))
        tint = np.array([i % 7, i % 5, i % 3], np.uint8) * 8
        name = f"images/{i:04d}.jpg"
        Image.fromarray(moved // 2 + tint).save(folder / name, quality=80)
        pose = look_at(2.4 * i, math.asin(0.9 * (i + 0.5) / images), 4.0)
        frames.append({"file_path": name, "transform_matrix": pose.tolist()})
    lens = {"fl_x": 1.3 * side, "w": side, "h": side}
    (folder / "transforms.json").write_text(json.dumps({**lens, "frames": frames}))


def run(words: list[str], environment: dict[str, str]) -> dict[str, float]:
    """Run polyfield; the largest of each of `PEAKS`, in MB, and the seconds it took."""
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-P", "-m", "polyfield", *words], env=environment)
    peaks = dict.fromkeys(PEAKS, 0.0)
    while process.poll() is None:
        try:
            text = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            break
        for line in text.splitlines():
            key, _, value = line.partition(":")
            if key in peaks:
                peaks[key] = max(peaks[key], int(value.split()[0]) / 1000)
        time.sleep(0.05)
    if process.wait():
        raise SystemExit(process.returncode)
    return {**peaks, "seconds": time.monotonic() - began}


def main() -> None:
    """Make, fit twice, tell, remove."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--side", type=int, default=2000)
    parser.add_argument("--memory", default="1GB")
    parser.add_argument("--steps", default="200")
    given = parser.parse_args()
    need = 3 * given.images * given.side**2 * 1.3
    given.out.mkdir(parents=True)
    if shutil.disk_usage(given.out).free < need:
        raise SystemExit(f"{need / 1e9:.1f} GB of disk are needed at {given.out}")
    try:
        make(given.out / "data", given.images, given.side)
        environment = {**os.environ, "POLYFIELD_CACHE": str(given.out / "cache")}
        words = ["fit", "scene", str(given.out / "data"), "--memory", given.memory]
        words += ["--steps", given.steps, "--test-every", str(given.images // 2), "--threads", "2"]
        for name in ("first", "second"):
            found = run([*words, "--out", str(given.out / name)], environment)
            found["file_GB"] = sum(f.stat().st_size for f in (given.out / "cache").iterdir()) / 1e9
            print(name, json.dumps({key: round(value, 1) for key, value in found.items()}))
    finally:
        shutil.rmtree(given.out)


if __name__ == "__main__":
    main()
