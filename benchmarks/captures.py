"""Every claim about captures: verdicts, fits, poses from photographs, what corrections are worth.

python benchmarks/captures.py DATA OUT [--before POLYFIELD] [--threads 2] [--only WORD ...] [--list]

DATA holds nerf/fox, nerf_synthetic/lego, llff/fern and so on. A row is kept in OUT/rows.json as it
ends, and skipped when it is there. Budgets are steps, so that rows mean the same on any machine.
`--before` is the `polyfield` of an older version, for the rows that compare with it. Two of these
at once, with `--threads 1`, an OUT each and `--only`, are done sooner than one after the other.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jitter
import kept_rows
import moved
import numpy as np

from polyfield.scenes import open_capture
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.camera_json import camera_object
from polyfield.scenes.images import write_image

CAPTURES = {
    "fox": "nerf/fox",
    "lego": "nerf_synthetic/lego",
    "bike": "nerf_blender_other/bike",
    "fern": "llff/fern",
    "carton": "llff/carton",
    "nsvf": "nsvf/lego",
    "statue": "colmap/statue_undistorted",
    "rooftop": "nerfstudio/rooftop",
}
STEPS, SHORT, HALF, DEMO = 5000, 2000, 3000, 500
"""Of a fit, of an ablation, of the two copies of lego, of the built-in scene in other frames."""
UNBOUNDED = ("fox", "fern", "carton", "statue", "rooftop")
SHUFFLED = ("fern", "carton", "statue")
COMPARED = ("fox", "rooftop")
PLAIN = ["--objective.distortion", "0"]
CORRECTIONS = {
    "none": PLAIN,
    "exposure": [*PLAIN, "--appearance", "exposure"],
    "affine": [*PLAIN, "--appearance", "affine"],
    "poses": [*PLAIN, "--refine-poses"],
    "sky": [*PLAIN, "--sky"],
    "distortion": ["--objective.distortion", "0.01"],
    "near": [*PLAIN, "--objective.near", "0.01"],
}
OURS = str(Path(sys.executable).with_name("polyfield"))


class Evidence:
    """The rows, and where they are kept."""

    def __init__(self, data: Path, out: Path, before: str | None, threads: int) -> None:
        self.data, self.out, self.before = data, out, before
        self.threads = ["--threads", str(threads)]
        out.mkdir(parents=True, exist_ok=True)

    def place(self, name: str) -> Path:
        """A capture."""
        return self.data / CAPTURES[name]

    def fit(self, name: str, data: Path, flags: list[str], command: str = "") -> dict[str, Any]:
        """A scene fitted; its scores on held-out views."""
        run = self.out / "runs" / name
        shutil.rmtree(run, ignore_errors=True)
        words = [
            command or OURS,
            "fit",
            "scene",
            str(data),
            "--out",
            str(run),
            "--quiet",
            *self.threads,
            *([] if command else ["--all-views"]),  # An older version measures all.
            *flags,
        ]
        subprocess.run(words, check=True)
        found = json.loads((run / "metrics.json").read_text())
        keys = ("psnr", "ssim", "views", "steps", "seconds_training")
        return {key: found[key] for key in keys}

    def rows(self) -> Iterator[kept_rows.Row]:
        """Names of all rows, and what measures them."""
        steps, short = ["--steps", str(STEPS)], ["--steps", str(SHORT)]
        for name in CAPTURES:
            yield f"check {name}", partial(self.verdict, name)
        for name in CAPTURES:
            yield f"fit {name}", partial(self.fit, name, self.place(name), steps)
        for name in UNBOUNDED:
            there = self.place(name)
            yield f"plain {name}", partial(self.fit, f"plain-{name}", there, [*steps, *PLAIN])
        for name in SHUFFLED:
            yield f"shuffled {name}", partial(self.shuffled, name)
        for name in COMPARED if self.before is not None else ():
            there = self.place(name)
            yield f"before {name}", partial(self.fit, f"before-{name}", there, steps, self.before)
        yield "half nsvf", partial(self.half, "nsvf", [])
        yield "half lego", partial(self.half, "lego", ["--downscale", "2"])
        yield "process carton", partial(self.process, "carton", [])
        yield "process statue", partial(self.process, "statue", [])
        known = ["--intrinsics", str(self.place("statue") / "sparse")]
        yield "process statue, intrinsics given", partial(self.process, "statue", known)
        for name in COMPARED:
            for what, flags in CORRECTIONS.items():
                there, run = self.place(name), f"{name}-{what}"
                yield f"{name} with {what}", partial(self.fit, run, there, [*short, *flags])
        for name in moved.MOVES:
            yield f"demo {name}", partial(self.moved, name)
        yield "jitter lego", self.jitter
        yield "large", self.large

    def verdict(self, name: str) -> dict[str, Any]:
        """What the doctor says."""
        began = time.monotonic()
        words = [OURS, "check", str(self.place(name)), "--json", *self.threads]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        rows = json.loads(done.stdout)["rows"]
        told = {row["name"]: row["verdict"] for row in rows if row["verdict"] != "ok"}
        return {"code": done.returncode, "told": told, "seconds": time.monotonic() - began}

    def shuffled(self, name: str) -> dict[str, Any]:
        """The same capture with its poses dealt out anew."""
        folder = self.out / "shuffled" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        capture = open_capture(self.place(name), ReadOptions())
        views = [(split, i) for split in capture.splits for i in range(len(capture.names(split)))]
        poses = [capture.cameras(split)[i].pose.tolist() for split, i in views]
        order = np.random.default_rng(0).permutation(len(views)).tolist()
        frames: list[dict[str, Any]] = []
        named: dict[str, list[str]] = {}
        for (split, i), other in zip(views, order, strict=True):
            file = f"{split}_{i:03d}.png"
            write_image(folder / file, capture.pixels(split, i))
            frame = {**camera_object(capture.cameras(split)[i]), "file_path": file}
            frames.append({**frame, "transform_matrix": poses[other]})
            named.setdefault(f"{split}_filenames", []).append(file)
        (folder / "transforms.json").write_text(json.dumps({**named, "frames": frames}))
        return self.fit(f"shuffled-{name}", folder, ["--steps", str(STEPS), *PLAIN])

    def half(self, name: str, flags: list[str]) -> dict[str, Any]:
        """Lego at 100x100 in two formats."""
        steps = ["--steps", str(HALF), "--background", "white"]
        return self.fit(f"half-{name}", self.place(name), [*steps, *flags])

    def process(self, name: str, flags: list[str]) -> dict[str, Any]:
        """Photographs alone -> poses, against the known ones."""
        photos, out = self.out / "photos" / name, self.out / "processed" / name
        shutil.rmtree(photos, ignore_errors=True)
        shutil.copytree(self.place(name) / "images", photos)
        began = time.monotonic()
        words = [OURS, "process", str(photos), "--out", str(out), "--overwrite", "--quiet"]
        subprocess.run([*words, *self.threads, *flags], check=True)
        seconds = time.monotonic() - began
        report = json.loads((out / "process.json").read_text())
        frames = json.loads((out / "transforms.json").read_text())["frames"]
        found = {Path(f["file_path"]).stem: np.array(f["transform_matrix"]) for f in frames}
        truth = {}
        capture = open_capture(self.place(name), ReadOptions())
        for split in capture.splits:
            for i, view in enumerate(capture.names(split)):
                truth[Path(view).stem] = capture.cameras(split)[i].pose.numpy()
        both = sorted(found.keys() & truth.keys())
        ours, theirs = (np.stack([p[n][:3, 3] for n in both]) for p in (found, truth))
        scale, rotation, shift = jitter.similarity(ours, theirs)
        moved = scale * ours @ rotation.T + shift
        size = float(np.linalg.norm(theirs.max(0) - theirs.min(0)))
        error = np.linalg.norm(moved - theirs, axis=1) / size
        return {
            "images": len(truth),
            "registered": len(found),
            "median_error": float(np.median(error)),
            "largest_error": float(error.max()),
            "reprojection": report.get("reprojection_error"),
            "seconds": seconds,
        }

    def moved(self, name: str) -> dict[str, Any]:
        """The built-in scene in another frame."""
        place = self.out / "moved" / name
        shutil.rmtree(place, ignore_errors=True)
        run = f"demo-{name.replace(' ', '-')}"
        return self.fit(run, moved.write(place, name), ["--steps", str(DEMO)])

    def jitter(self) -> dict[str, Any]:
        """What wrong poses cost, and what refining them wins back."""
        return dict(
            jitter.measure(self.place("lego"), self.out / "jitter", SHORT, 0, int(self.threads[1]))
        )

    def large(self) -> dict[str, Any]:
        """600 images of 4 megapixels in 1 GB."""
        script = Path(__file__).with_name("large_capture.py")
        words = [sys.executable, "-P", str(script), "--out", str(self.out / "large")]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        return {"lines": done.stdout.splitlines()}


def main() -> None:
    """The command line."""
    ask = kept_rows.parser(__doc__)
    ask.add_argument("--threads", type=int, default=2)
    ask.add_argument("--before", help="the polyfield of an older version")
    given = ask.parse_args()
    evidence = Evidence(given.data.absolute(), given.out.absolute(), given.before, given.threads)
    kept_rows.measure(evidence.rows(), given)


if __name__ == "__main__":
    main()
