"""The kind `image`, from its file to its score. Presets are in image_presets.py."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import tyro
from torch import Tensor

from polyfield.apps.tasks.image_presets import image_presets
from polyfield.apps.tasks.image_scores import measure_image, shown
from polyfield.apps.tasks.signals import (
    check_file,
    signal_lesson,
    signal_probe,
    signal_student,
    timed,
    whole,
)
from polyfield.config import from_tree, to_tree
from polyfield.errors import InputError
from polyfield.ranges import Range
from polyfield.renderers.films import film_of
from polyfield.renderers.signal_model import SignalInfo, SignalModel, TaggedSignal
from polyfield.renderers.stages.sheet import SignalSheet
from polyfield.scenes import open_image
from polyfield.scenes.background import viewing_background
from polyfield.scenes.base import ColorSpace, ReadOptions
from polyfield.scenes.color import from_float
from polyfield.scenes.holdout import check_holdout, kept_pixels
from polyfield.scenes.images import can_hold, write_image
from polyfield.scenes.signals.image import ImageSignal
from polyfield.scenes.viewpoints import parse_size
from polyfield.training.distillation.methods import Values
from polyfield.training.figures import to_bytes
from polyfield.training.loop import FitConfig
from polyfield.training.objectives.regression import Regression
from polyfield.training.run import Run
from polyfield.training.scores import PSNR, Metric, psnr, psnr_of
from polyfield.training.task import Fidelity, Measured, Task, Teacher, Training
from polyfield.training.watchers.console import Reporter


@dataclass(frozen=True)
class ImageRead:
    """What a user chooses about reading an image."""

    downscale: Annotated[int, Range(1, 65536)] = 1
    """Shrink the image by this whole factor."""
    holdout: str = "0"
    """Share of the pixels kept from training, or lattice: 3 pixels of each 2x2."""

    def __post_init__(self) -> None:
        check_holdout(self.holdout)
        ReadOptions(self.downscale)


@dataclass(frozen=True)
class ImageData:
    """An image, and which of its pixels may be learned from."""

    image: ImageSignal
    """All of it."""
    kept: Tensor | None
    """Numbers of the pixels to learn from; None for all."""
    source: str
    """Its path, or what else it is."""
    summary: str
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()

    @property
    def fingerprint(self) -> str:
        """Of the pixels."""
        pixels = self.image.pixels.contiguous().numpy().tobytes()
        return hashlib.sha256(pixels).hexdigest()[:16]


@dataclass(frozen=True)
class ImageDrawing:
    """Options of `render` for an image."""

    size: Annotated[str | None, tyro.conf.arg(metavar="WxH")] = None
    """Size in pixels; default its own."""

    def __post_init__(self) -> None:
        _size(self.size)


@dataclass(frozen=True)
class Image(Task[ImageData, SignalModel]):
    """Train a field to be an image, then measure it."""

    kind: ClassVar[str] = "image"
    metric: ClassVar[Metric] = PSNR
    source: ClassVar[tuple[str, str]] = (
        "FILE",
        "PNG, JPEG or EXR, or demo: a built-in image.",
    )

    field: TaggedSignal
    """The field."""
    objective: Regression = dataclasses.field(default_factory=Regression)
    """What is minimised."""
    fit: FitConfig = dataclasses.field(default_factory=FitConfig)
    """Budget, rates and schedule."""
    read: ImageRead = dataclasses.field(default_factory=ImageRead)
    """How the file is read."""
    background: Annotated[
        str,
        tyro.conf.arg(help="What images with alpha are measured on: white, black or R,G,B."),
    ] = "white"

    def __post_init__(self) -> None:
        viewing_background(self.background)

    @classmethod
    def presets(cls) -> Mapping[str, Image]:
        """Named starting points."""
        return {n: cls(p.field, p.objective, p.fit) for n, p in image_presets().items()}

    def tree(self) -> dict[str, Any]:
        """What config.yaml says."""
        return dict(to_tree(self))

    def open(self, source: str | os.PathLike[str] | np.ndarray, training: bool = True) -> ImageData:
        """Read an image: a file, "demo", or an array [h, w] or [h, w, 1-4]."""
        image = open_image(source, ReadOptions(self.read.downscale))
        height, width, channels = image.pixels.shape
        name = "array" if isinstance(source, np.ndarray) else os.fspath(source)
        summary = f"{image.name}: {width}x{height}, {channels} channels of {image.dtype.name}"
        return ImageData(image, kept_pixels(width, height, self.read.holdout), name, summary)

    def model(self, data: ImageData) -> SignalModel:
        """A field over the image's pixels."""
        height, width, channels = data.image.pixels.shape
        about = {"color_space": data.image.color_space}
        size = (width, height)
        info = SignalInfo(self.kind, size, (float(width), float(height)), channels, about)
        return SignalModel(self.field, info)

    def stand_in(self) -> SignalModel:
        """A model of a few pixels."""
        about = {"color_space": "srgb"}
        return SignalModel(self.field, SignalInfo(self.kind, (16, 16), (16.0, 16.0), 3, about))

    def training(self, model: SignalModel, data: ImageData, seed: int) -> Training:
        """Regression of its pixels."""
        pixels = data.image.to(model.device)
        objective = self.objective.build(pixels, model.field, seed, data.kept)
        return Training(model.field, objective, self.fit)

    def score(self, data: ImageData, numbers: Mapping[str, float]) -> float | None:
        """PSNR of a batch."""
        return psnr_of(numbers["mse"]) if "mse" in numbers else None

    def measure(
        self,
        model: SignalModel,
        data: ImageData,
        split: str,
        reporter: Reporter,
        most: int | None = None,
    ) -> Measured:
        """Compare with all of the image."""
        whole(split, "an image")
        image = data.image
        if (image.width, image.height) != model.info.shape or image.channels != model.info.channels:
            raise InputError(
                f"an image of {model.info.shape[0]}x{model.info.shape[1]} and "
                f"{model.info.channels} channels, as the model has",
                f"{image.width}x{image.height} and {image.channels} in {data.source}",
                "give the image of the fit, read in the same way",
            )
        prediction = model.render(image.width, image.height)
        return measure_image(prediction, image, viewing_background(self.background), data.kept)

    def write_inputs(self, data: ImageData, run: Run) -> None:
        """Nothing: an image has no cameras."""

    def write_outputs(
        self, model: SignalModel, data: ImageData, run: Run, measured: Measured
    ) -> None:
        """The prediction in the image's own type."""
        assert measured.prediction is not None
        pixels = from_float(measured.prediction.numpy(), data.image.dtype)
        write_image(run.file(f"prediction{_ending(data)}"), pixels)

    def reopen(self, source: str | os.PathLike[str] | np.ndarray, run: Run) -> ImageData:
        """The same: what is held out depends on the size alone."""
        return self.open(source, training=False)

    # Distillation.

    @classmethod
    def methods(cls) -> Mapping[str, type]:
        """By values alone."""
        return {Values.name: Values}

    @classmethod
    def method_of(cls, preset: str) -> Values:
        """The same for all."""
        return Values()

    def student(self, teacher: Teacher, method: Values) -> SignalModel:
        """A student over the same pixels."""
        return signal_student(self.field, teacher)

    def lesson(
        self,
        model: SignalModel,
        teacher: Teacher,
        method: Values,
        seed: int,
        finetune: ImageData | None,
    ) -> Training:
        """Values anywhere between the pixels too."""
        after = None if finetune is None else self.training(model, finetune, seed).objective
        batch = self.objective.batch
        return signal_lesson(model, teacher, method, seed, batch, self.fit, after)

    def score_against(self, teacher: Teacher, numbers: Mapping[str, float]) -> float | None:
        """PSNR of a batch."""
        return psnr_of(numbers["mse"]) if "mse" in numbers else None

    def inherit_inputs(self, teacher: Teacher, run: Run) -> None:
        """Nothing: an image has no cameras."""

    def fidelity(self, model: SignalModel, teacher: Teacher) -> Fidelity:
        """Compare the whole images."""
        theirs: Any = teacher.model
        (ours, seconds), (truth, seconds_teacher) = timed(model), timed(theirs)
        # The teacher's image, stored as images of its colour space are.
        kind = np.dtype(np.uint8 if _space(model) == "srgb" else np.float32)
        seen = ImageSignal("teacher", from_float(truth.numpy(), kind))
        near = measure_image(ours, seen, viewing_background(self.background))
        return Fidelity(near.scores, near.examples, seconds, seconds_teacher)

    def probe(
        self, model: SignalModel, data: ImageData | None, teacher: Teacher | None
    ) -> Callable[[], float]:
        """PSNR on fixed pixels, after the sRGB curve."""
        width, height = model.info.shape
        if data is not None and data.image.pixels.shape == (height, width, model.info.channels):
            target = data.image.pixels
        else:
            assert teacher is not None, "data or a teacher"
            theirs: Any = teacher.model
            target = theirs.render()
        space = _space(model)
        return signal_probe(
            model, target, lambda found, wanted: psnr(shown(found, space), shown(wanted, space))
        )

    # Drawing.

    def stage(self, model: SignalModel, run: Run | None) -> SignalSheet:
        """The image, asked for every pixel of the screen."""
        return SignalSheet(model, _space(model) == "linear")

    @classmethod
    def drawing(cls) -> type:
        """Its size."""
        return ImageDrawing

    def check_out(self, options: ImageDrawing, out: Path, overwrite: bool) -> None:
        """A PNG, or a folder for one."""
        if out.suffix.lower() == ".png" and not out.is_dir():
            check_file(out, (".png",), overwrite)
        else:
            film_of(out).check(out, overwrite)

    def draw(
        self,
        model: SignalModel,
        run: Run,
        options: ImageDrawing,
        out: Path,
        reporter: Reporter,
    ) -> str:
        """The image at a size, as a PNG; alpha is kept."""
        pixels = model.render(*(_size(options.size) or model.info.shape))
        colors = 1 if pixels.shape[-1] < 3 else 3
        image = to_bytes(pixels[..., :colors], _space(model) == "linear")
        if pixels.shape[-1] in (2, 4):
            alpha = from_float(pixels[..., -1:].numpy(), np.uint8)
            image = np.concatenate([image, alpha], -1)
        if out.suffix.lower() == ".png" and not out.is_dir():
            out.parent.mkdir(parents=True, exist_ok=True)
            write_image(out, image)
        else:
            film_of(out).write(iter([image]), out)
        return f"1 image in {out}"


def _size(text: str | None) -> tuple[int, int] | None:
    return None if text is None else parse_size(text)


def _space(model: SignalModel) -> str:
    """Of the colours.

    Raises:
        InputError: of a damaged file: there is none of that name.
    """
    found: str = from_tree(ColorSpace, model.info.about.get("color_space"), "about.color_space")
    return found


def _ending(data: ImageData) -> str:
    """The image's own ending where it can hold the values, else one that can."""
    own = Path(data.source).suffix.lower()
    if can_hold(own, data.image.dtype, data.image.channels):
        return own
    return ".exr" if data.image.dtype.kind == "f" else ".png"
