"""Students view by view: against the images and against their teacher, the worst tenth apart.

python benchmarks/worst_views.py DATA TEACHER_RUN STUDENT_RUN ...

The worst tenth is each student's own. Views that the teacher itself gets wrong are the worst
against the images whatever the student does, so the two tenths are of different views.
STUDENT_RUN/views.json keeps what was measured; distil.py gathers it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor

from polyfield.apps.choices import task_of
from polyfield.apps.reports.distill_report import worst_tenth
from polyfield.apps.tasks.scene_scores import compared
from polyfield.files import read_json, write_json
from polyfield.renderers.radiance_model import RadianceModel
from polyfield.scenes import open_capture
from polyfield.scenes.base import Scene
from polyfield.training.run import Run, load
from polyfield.training.scores import psnr

KINDS = ("images", "teacher")


def model_of(path: Path) -> RadianceModel:
    """The field of a run."""
    model = load(path)
    assert isinstance(model, RadianceModel)
    return model


def measure(run: Path, scene: Scene, theirs: list[Tensor]) -> None:
    """Write views.json: PSNR against each image and against the teacher's image of it."""
    model, views = model_of(run), {}
    for index, other in enumerate(theirs):
        ours, photograph = compared(model, scene, index)
        both = (psnr(ours, photograph), psnr(ours, other))
        views[scene.view_name(index)] = dict(zip(KINDS, both, strict=True))
    found = {}
    for kind in KINDS:
        scores = [view[kind] for view in views.values()]
        found[kind] = {"mean": sum(scores) / len(scores), "worst_tenth": worst_tenth(scores)}
    write_json(run / "views.json", {**found, "per_view": views})


@torch.no_grad()
def main(data: str, teacher: Path, students: list[Path]) -> None:
    """Print the table."""
    scene = open_capture(data, task_of(Run(teacher)).read).scene("test")
    missing = [run for run in students if not (run / "views.json").is_file()]
    theirs: list[Tensor] = []
    if missing:
        model = model_of(teacher)
        theirs = [compared(model, scene, index)[0] for index in range(len(scene))]
    print("| student | seconds | images | worst tenth | teacher | worst tenth |")
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
