"""The kind `scene`: posed images, from their folder to a score. Presets are in scene_presets.py."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, cast

import torch
import tyro

from polyfield.apps.tasks.scene_drawing import SceneDrawing, check_out, draw_scene
from polyfield.apps.tasks.scene_presets import BY_CELLS, larger_preset, scene_presets
from polyfield.apps.tasks.scene_scores import (
    captured_pixels,
    enough_views,
    held_out,
    measure_scene,
    scene_fidelity,
    teacher_pixels,
)
from polyfield.apps.tasks.signals import then_data
from polyfield.config import to_tree
from polyfield.errors import InputError
from polyfield.files import write_whole
from polyfield.renderers.appearance import APPEARANCES
from polyfield.renderers.corrections import RATES, Corrections
from polyfield.renderers.occupancy import OccupancyGrid
from polyfield.renderers.pose_refinement import PoseRefinement
from polyfield.renderers.radiance_model import (
    RadianceModel,
    SceneInfo,
    TaggedRadiance,
    TaggedSampler,
)
from polyfield.renderers.sky import Sky
from polyfield.renderers.stages.space import Space
from polyfield.scenes.background import (
    estimate_background,
    training_background,
    viewing_background,
)
from polyfield.scenes.base import Capture, ReadOptions
from polyfield.scenes.base import Scene as Views
from polyfield.scenes.camera_files import (
    fingerprint,
    read_cameras,
    read_names,
    write_cameras,
    write_capture,
)
from polyfield.scenes.cameras import Cameras
from polyfield.scenes.captures import format_named, open_capture
from polyfield.scenes.doctor.examine import glance, suspicions
from polyfield.scenes.poses import random_cameras
from polyfield.training.distillation.methods import KiloNerf, Pvd, PvdActive
from polyfield.training.distillation.radiance import radiance_lesson, radiance_student
from polyfield.training.loop import FitConfig
from polyfield.training.objectives.photometric import Behind, Photometric
from polyfield.training.run import Run
from polyfield.training.scores import PSNR, Metric, psnr, psnr_of
from polyfield.training.task import Fidelity, Measured, Task, Teacher, Training
from polyfield.training.watchers.console import Reporter

PROBE_POSES = 64
"""New poses a student's curve is measured from where there are no images."""


@dataclass(frozen=True)
class SceneData:
    """A capture, and what is trained on where it was opened for that."""

    capture: Capture
    views: Views | None
    """Training images; None where only a measure is wanted."""
    summary: str
    notes: Sequence[str]
    background: tuple[float, float, float] | None
    """Guessed from the borders of opaque images; None where it was not."""

    @property
    def warnings(self) -> Sequence[str]:
        """What is wrong with the capture: by its cameras, before training by some images too."""
        seen = () if self.views is None else glance(self.capture)
        return [*self.capture.warnings, *suspicions(self.capture), *seen]

    @property
    def fingerprint(self) -> str:
        """Of poses, lenses and pixels."""
        return "" if self.views is None else fingerprint(self.capture, self.views)


@dataclass(frozen=True)
class Scene(Task[SceneData, RadianceModel]):
    """Train a radiance field from posed images, then measure it on views it never saw."""

    kind: ClassVar[str] = "scene"
    metric: ClassVar[Metric] = PSNR
    source: ClassVar[tuple[str, str]] = (
        "DATA",
        "A capture: a folder or file of any form in docs/formats.md; or demo, a built-in scene.",
    )

    field: TaggedRadiance
    """The radiance field."""
    sampler: TaggedSampler = dataclasses.field(default_factory=OccupancyGrid)
    """Where along a ray the field is asked."""
    objective: Photometric = dataclasses.field(default_factory=Photometric)
    """What is minimised."""
    fit: FitConfig = dataclasses.field(default_factory=FitConfig)
    """Budget, rates and schedule."""
    read: ReadOptions = dataclasses.field(default_factory=ReadOptions)
    """How the capture is read."""
    background: Annotated[
        str,
        tyro.conf.arg(
            help="white, black, R,G,B, or random: a new one for each training ray, "
            "measured on white."
        ),
    ] = "random"

    format: Annotated[
        str | None,
        tyro.conf.arg(metavar="NAME", help="Format of the capture; found by itself by default."),
    ] = None

    sky: bool = False
    """Learn a colour for every direction, behind a scene without end."""
    appearance: Literal["same", "exposure", "affine"] = "same"
    """What may differ between images: nothing, gains of the channels, or an affine map."""
    refine_poses: bool = False
    """Learn a small motion of each training camera."""
    all_views: bool = False
    """Measure all held-out views at the end; else some of them, where they have many pixels."""

    def __post_init__(self) -> None:
        viewing_background(self.background)
        if self.format is not None:
            format_named(self.format)

    @classmethod
    def presets(cls) -> Mapping[str, Scene]:
        """Named starting points."""
        return {
            name: cls(p.field, p.sampler, p.objective, p.fit) for name, p in scene_presets().items()
        }

    def tree(self) -> dict[str, Any]:
        """What config.yaml says."""
        return dict(to_tree(self))

    def open(self, source: str | os.PathLike[str], training: bool = True) -> SceneData:
        """Parse a capture, and read its training images where they are trained on."""
        named = None if self.format is None else format_named(self.format)
        capture = open_capture(source, self.read, named)
        if not training:
            return SceneData(capture, None, capture.name, (), None)
        for split in capture.splits:
            capture.cameras(split)  # A lens that can't be undone is told before a run is begun.
        views, notes = capture.scene("train"), []
        if "test" in capture.splits:
            capture.check_pixels("test")
        opaque = not views.has_alpha and not capture.unbounded
        found = estimate_background(views) if opaque and self.background == "random" else None
        if found is not None:
            color = ",".join(f"{value:.3g}" for value in found)
            notes.append(f"images without alpha: background {color}, the colour of their borders")
        if views.pixel_file is not None:
            notes.append(f"pixels are in {views.pixel_file}, for later runs too")
        larger = larger_preset(self.field, views.cameras.size)
        if larger is not None:
            notes.append(larger)
        summary = f"{capture.name}: {len(views)} training views{_masked(views)}, {capture.layout}"
        return SceneData(capture, views, summary, notes, found)

    def model(self, data: SceneData) -> RadianceModel:
        """A model in the capture's frame."""
        capture = data.capture
        behind = data.background or viewing_background(self.background)
        images = len(capture.names("train"))
        info = SceneInfo(
            capture.bounds, capture.unbounded, capture.color_space, behind, capture.frame, images
        )
        model = RadianceModel(self.field, self.sampler, info, self._corrections(data))
        if model.corrections.poses is not None:
            model.corrections.poses.stand_at(capture.cameras("train"), capture.bounds)
        return model

    def stand_in(self) -> RadianceModel:
        """A model of the unit cube."""
        cube = torch.stack([torch.zeros(3), torch.ones(3)])
        info = SceneInfo(cube, False, "srgb", (0.0, 0.0, 0.0))
        return RadianceModel(self.field, self.sampler, info)

    def _corrections(self, data: SceneData) -> Corrections:
        """What is learned beside the field.

        Raises:
            InputError: a sky for a scene that has an end.
        """
        if self.sky and not data.capture.unbounded:
            raise InputError(
                "a scene without end for --sky",
                f"{data.capture.name}, which has bounds",
                "leave out --sky; a bounded scene has a --background",
            )
        return Corrections(
            Sky() if self.sky else None,
            APPEARANCES.get(self.appearance),
            PoseRefinement() if self.refine_poses else None,
        )

    def training(self, model: RadianceModel, data: SceneData, seed: int) -> Training:
        """Rendered colour against the training images."""
        background = training_background(self.background)
        if data.background is not None:
            background = torch.tensor(data.background)
        behind = Behind(background, carve=data.background is not None)
        return self._photometric(model, data, behind, seed)

    def _photometric(
        self,
        model: RadianceModel,
        data: SceneData,
        behind: Behind,
        seed: int,
        keep_grid: bool = False,
    ) -> Training:
        assert data.views is not None, "opened for training"
        views = data.views.to(model.device)
        objective = self.objective.build(views, model, behind, seed, keep_grid)
        parts = model.corrections.parts()
        rates = {**{name: RATES[name] for name in parts}, **self.fit.rates}
        fit = replace(self.fit, rates=rates)
        if keep_grid:
            return Training(model.field, objective, fit, parts)
        sampler, density = model.renderer.sampler, model.field.density
        return Training(model.field, objective, fit, parts, lambda: sampler.settle(density))

    def score(self, data: SceneData, numbers: Mapping[str, float]) -> float | None:
        """PSNR of a batch."""
        return psnr_of(numbers["mse"]) if "mse" in numbers else None

    def measure(
        self,
        model: RadianceModel,
        data: SceneData,
        split: str,
        reporter: Reporter,
        most: int | None = None,
    ) -> Measured:
        """Compare with the views of a split."""
        capture = self._in_frame(data, model).capture
        return measure_scene(model, capture, split, reporter, most)

    def most_measured(self, data: SceneData) -> int | None:
        """As many as say how good it is: to draw all may take longer than training."""
        return None if self.all_views else enough_views(data.capture)

    def _in_frame(self, data: SceneData, model: RadianceModel) -> SceneData:
        """The data with its coordinates in the model's frame."""
        if data.capture.frame == model.frame:
            return data
        capture = data.capture.in_frame(model.frame)
        return replace(
            data, capture=capture, views=None if data.views is None else capture.scene("train")
        )

    def reopen(self, source: str | os.PathLike[str], run: Run) -> SceneData:
        """A capture with its views in the splits that the run had them in."""
        data = self.open(source, training=False)
        if os.fspath(source) != run.config()["data"]:
            return data
        names = read_names(run.file("cameras.json"))
        return replace(data, capture=data.capture.regrouped(names)) if names else data

    def write_inputs(self, data: SceneData, run: Run) -> None:
        """Cameras, in the user's frame."""
        write_capture(run.file("cameras.json"), data.capture)

    def write_outputs(
        self, model: RadianceModel, data: SceneData, run: Run, measured: Measured
    ) -> None:
        """Where the training cameras are by now, if they moved."""
        if model.corrections.poses is None:
            return
        given = data.capture.cameras("train")
        poses = model.corrections.poses.poses(given.poses.to(model.device))
        moved = replace(given, poses=poses.cpu())
        names = {"train": data.capture.names("train")}
        file = run.file("cameras_refined.json")
        write_cameras(file, {"train": moved}, names, data.capture.bounds)

    # Distillation.

    @classmethod
    def methods(cls) -> Mapping[str, type]:
        """Along rays, or at points of cells first."""
        return {m.name: m for m in (Pvd, PvdActive, KiloNerf)}

    @classmethod
    def method_of(cls, preset: str) -> Pvd | KiloNerf:
        """KiloNeRF's own way for its bank."""
        return KiloNerf() if preset in BY_CELLS else Pvd()

    def student(self, teacher: Teacher, method: Pvd | PvdActive | KiloNerf) -> RadianceModel:
        """A student in the teacher's world."""
        theirs = cast(RadianceModel, teacher.model)
        whole = not isinstance(method, KiloNerf)
        return radiance_student(self.field, self.sampler, theirs, whole, method.inherit)

    def lesson(
        self,
        model: RadianceModel,
        teacher: Teacher,
        method: Pvd | PvdActive | KiloNerf,
        seed: int,
        finetune: SceneData | None,
    ) -> Training:
        """Along the teacher's rays, then images where they are given."""
        theirs = cast(RadianceModel, teacher.model)
        cameras, samples = _cameras(teacher), self.objective.samples
        first = radiance_lesson(model, theirs, method, cameras, seed, samples, self.fit)
        if finetune is None:
            return first
        finetune = self._in_frame(finetune, model)
        if finetune.capture.color_space != theirs.color_space:
            raise InputError(
                f"{theirs.color_space} images for --finetune, as the teacher's",
                f"{finetune.capture.color_space} ones in {finetune.capture.path}",
                "give those that the teacher was fitted to",
            )
        assert finetune.views is not None
        background = training_background(self.background)
        if not finetune.views.has_alpha and not theirs.info.unbounded:
            background = theirs.background
        then = self._photometric(model, finetune, Behind(background), seed, keep_grid=True)
        objective, fit = then_data(first.objective, then.objective, first.fit)
        return replace(first, objective=objective, fit=fit)

    def score_against(self, teacher: Teacher, numbers: Mapping[str, float]) -> float | None:
        """PSNR of a batch."""
        return psnr_of(numbers["mse"]) if "mse" in numbers else None

    def inherit_inputs(self, teacher: Teacher, run: Run) -> None:
        """The cameras are the teacher's."""
        source = teacher.run.file("cameras.json")
        write_whole(run.file("cameras.json"), lambda path: shutil.copyfile(source, path))

    def fidelity(self, model: RadianceModel, teacher: Teacher) -> Fidelity:
        """Compare from new poses."""
        return scene_fidelity(model, cast(RadianceModel, teacher.model), _cameras(teacher))

    def probe(
        self, model: RadianceModel, data: SceneData | None, teacher: Teacher | None
    ) -> Callable[[], float]:
        """PSNR on fixed pixels of held-out images, else of what the teacher sees."""
        try:
            views = None if data is None else held_out(self._in_frame(data, model).capture)
        except InputError:
            views = None
        if views is not None:
            behind = model.background if teacher is None else _background(teacher)
            rays, color = captured_pixels(views, behind)
        else:
            assert teacher is not None, "data or a teacher"
            unseen = random_cameras(
                _cameras(teacher), PROBE_POSES, torch.Generator().manual_seed(1)
            )
            rays, color = teacher_pixels(cast(RadianceModel, teacher.model), unseen)
        return lambda: psnr(model.render_rays(rays).color.clamp(0, 1), color)

    # Drawing.

    def stage(self, model: RadianceModel, run: Run | None) -> Space:
        """Colour, depth, opacity and normals in space, before the training cameras."""
        file = None if run is None else run.file("cameras.json")
        known = read_cameras(file) if file is not None and file.is_file() else {}
        return Space(model, known.get("train", ()))

    @classmethod
    def drawing(cls) -> type:
        """Path, size, what is shown."""
        return SceneDrawing

    def check_out(self, options: SceneDrawing, out: Path, overwrite: bool) -> None:
        """A film, or a folder of frames."""
        check_out(options, out, overwrite)

    def draw(
        self,
        model: RadianceModel,
        run: Run,
        options: SceneDrawing,
        out: Path,
        reporter: Reporter,
    ) -> str:
        """Frames along a camera path."""
        if options.what != "truth":
            return draw_scene(model, run, options, out, reporter)
        capture = self.open(options.data or str(run.config()["data"]), training=False).capture
        names = read_names(run.file("cameras.json"))
        capture = capture.regrouped(names) if names else capture
        return draw_scene(model, run, options, out, reporter, capture)


def _cameras(teacher: Teacher) -> Cameras:
    """What the teacher was trained from.

    Raises:
        InputError: its run has no training cameras.
    """
    views = read_cameras(teacher.run.file("cameras.json"))
    if not views.get("train"):
        raise InputError("a teacher with training cameras", "none", "fit it again")
    return Cameras.stack(views["train"], frame=cast(RadianceModel, teacher.model).frame)


def _masked(views: Views) -> str:
    """How much masks take away, for the summary."""
    if views.ignored is None:
        return ""
    masked = views.ignored > 0
    pixels = views.cameras.size.cpu().prod(1)[masked].sum()
    share = float(views.ignored.sum() / pixels)
    return f" ({int(masked.sum())} with masks, which ignore {share:.1%} of their pixels)"


def _background(teacher: Teacher) -> torch.Tensor:
    return cast(RadianceModel, teacher.model).background
