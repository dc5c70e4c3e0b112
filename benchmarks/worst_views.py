"""Students view by view: against the photographs and against their teacher, the worst tenth apart.

python benchmarks/worst_views.py DATA TEACHER_RUN STUDENT_RUN ...

The worst tenth is each student's own. Views that the teacher itself gets wrong are the worst
against the photographs whatever the student does, so the two tenths are of different views.
STUDENT_RUN/views.json keeps what was measured; distil.py gathers it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor

from polyfield.apps.runs import Run, load
from polyfield.encodings.files import read_json, write_json
from polyfield.renderers.metrics import psnr
from polyfield.renderers.model import RadianceModel
from polyfield.scenes import open_capture
from polyfield.scenes.base import ReadOptions, Scene

SHARE = 10
KINDS = ("photographs", "teacher")


def model_of(path: Path) -> RadianceModel:
    """The field of a run."""
    model = load(path)
    assert isinstance(model, RadianceModel)
    return model


def pictures(model: RadianceModel, scene: Scene) -> list[Tensor]:
    """Every view of a split."""
    return [model.render_rays(scene.view(i)[0]).color.clamp(0, 1) for i in range(len(scene))]


def tenth(scores: list[float]) -> dict[str, float]:
    """Mean of all scores, and of the worst tenth of them."""
    worst = sorted(scores)[: max(1, len(scores) // SHARE)]
    return {"mean": sum(scores) / len(scores), "worst_tenth": sum(worst) / len(worst)}


def measure(run: Path, scene: Scene, theirs: list[Tensor]) -> None:
    """Write views.json: PSNR against each photograph and against the teacher's picture of it."""
    model, views = model_of(run), {}
    for index, (ours, other) in enumerate(zip(pictures(model, scene), theirs, strict=True)):
        rgba = scene.view(index)[1]
        target = rgba[..., :3] * rgba[..., 3:] + model.background * (1 - rgba[..., 3:])
        scores = (psnr(ours, target.clamp(0, 1)), psnr(ours, other))
        views[scene.view_name(index)] = dict(zip(KINDS, scores, strict=True))
    found = {kind: tenth([view[kind] for view in views.values()]) for kind in KINDS}
    write_json(run / "views.json", {**found, "per_view": views})


@torch.no_grad()
def main(data: str, teacher: Path, students: list[Path]) -> None:
    """Print the table."""
    scene = open_capture(data, ReadOptions()).scene("test")
    missing = [run for run in students if not (run / "views.json").is_file()]
    theirs = pictures(model_of(teacher), scene) if missing else []
    print("| student | seconds | photographs | worst tenth | teacher | worst tenth |")
    print("|---|---:|---:|---:|---:|---:|")
    for run in students:
        if run in missing:
            measure(run, scene, theirs)
        found = read_json(run / "views.json")
        cells = [f"{Run(run).metrics()['seconds_training']:.0f}"]
        cells += [f"{found[kind][key]:.2f}" for kind in KINDS for key in ("mean", "worst_tenth")]
        print(f"| {run.name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(sys.argv[1], Path(sys.argv[2]), [Path(word) for word in sys.argv[3:]])
