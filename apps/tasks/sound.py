"""The kind `sound`, from its file to its score."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import tyro
from jaxtyping import Float
from torch import Tensor

from polyfield.apps.tasks.signals import (
    check_file,
    signal_lesson,
    signal_probe,
    signal_student,
    timed,
    whole,
)
from polyfield.apps.tasks.sound_sheet import DECADES, SoundSheet
from polyfield.config import from_tree, to_tree
from polyfield.encodings.dense_grid import DenseGrid
from polyfield.encodings.hash_grid import HashGrid
from polyfield.encodings.identity import Identity
from polyfield.errors import InputError
from polyfield.fields.coordinate import Coordinate
from polyfield.fields.networks.siren import Siren
from polyfield.fields.networks.spder import Spder
from polyfield.ranges import Range
from polyfield.renderers.signal_model import SignalInfo, SignalModel, TaggedSignal
from polyfield.scenes.holdout import check_holdout, kept_pixels
from polyfield.scenes.signals.sound import (
    ENDINGS,
    SoundFormat,
    open_sound,
    write_sound,
)
from polyfield.scenes.signals.sound import (
    Sound as Samples,
)
from polyfield.training.distillation.methods import Values
from polyfield.training.figures import Pair
from polyfield.training.loop import FitConfig
from polyfield.training.objectives.regression import Regression
from polyfield.training.run import Run
from polyfield.training.scores import SNR, Metric, log_spectrum, lsd, snr, snr_of
from polyfield.training.task import Fidelity, Measured, Task, Teacher, Training
from polyfield.training.watchers.console import Reporter

EXACT = 1 << 21
"""Samples whose times float32 still tells apart by an eighth of a sample."""


@dataclass(frozen=True)
class SoundRead:
    """What a user chooses about reading a sound."""

    begin: Annotated[float, tyro.conf.arg(metavar="SECONDS"), Range(0, 1e7)] = 0.0
    """Where to begin."""
    length: Annotated[float | None, tyro.conf.arg(metavar="SECONDS"), Range(0, 1e7, above=True)] = (
        None
    )
    """How much to read; default all."""
    holdout: str = "0"
    """Share of the samples kept from training, or lattice: every second one."""

    def __post_init__(self) -> None:
        check_holdout(self.holdout)


@dataclass(frozen=True)
class SoundData:
    """A sound, and which of its samples may be learned from."""

    sound: Samples
    """All of it."""
    kept: Tensor | None
    """Numbers of the samples to learn from; None for all."""
    summary: str
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()

    @property
    def fingerprint(self) -> str:
        """Of the samples."""
        return hashlib.sha256(self.sound.samples.numpy().tobytes()).hexdigest()[:16]

    @property
    def power(self) -> float:
        """Mean square of the values that are learned, over the scale."""
        return float((self.sound.samples / self.sound.scale).square().mean())


@dataclass(frozen=True)
class SoundDrawing:
    """Options of `render` for a sound."""

    rate: Annotated[int | None, tyro.conf.arg(metavar="HZ"), Range(1, 768000)] = None
    """Samples a second; default its own."""


@dataclass(frozen=True)
class Sound(Task[SoundData, SignalModel]):
    """Train a field to be a sound, then measure it."""

    kind: ClassVar[str] = "sound"
    metric: ClassVar[Metric] = SNR
    source: ClassVar[tuple[str, str]] = ("FILE", "WAV or FLAC, or demo: a built-in sound.")

    field: TaggedSignal
    """The field."""
    objective: Regression = dataclasses.field(default_factory=Regression)
    """What is minimised."""
    fit: FitConfig = dataclasses.field(default_factory=FitConfig)
    """Budget, rates and schedule."""
    read: SoundRead = dataclasses.field(default_factory=SoundRead)
    """How the file is read."""
    tone: Annotated[
        float | None,
        Range(0, 1e6, above=True),
        tyro.conf.arg(
            metavar="RAD/S",
            help="First frequency of a sine network for each second of sound: the longer the "
            "sound, the higher it has to be. Default as the network has it.",
        ),
    ] = None

    @classmethod
    def presets(cls) -> Mapping[str, Sound]:
        """Grids of one dimension, and networks of sines."""
        return {name: preset() for name, preset in _PRESETS.items()}

    def tree(self) -> dict[str, Any]:
        """What config.yaml says."""
        return dict(to_tree(self))

    def open(self, source: str | os.PathLike[str], training: bool = True) -> SoundData:
        """Read a sound: a file, or "demo"."""
        sound = open_sound(source, self.read.begin, self.read.length)
        count, stored = len(sound.samples), sound.stored
        summary = (
            f"{sound.name}: {count} samples, {sound.duration:.2f} s at {stored.rate} Hz, "
            f"{sound.channels} channel{'s' if sound.channels > 1 else ''} of {stored.subtype}"
        )
        warnings = []
        if not sound.samples.any():
            warnings.append("the sound is silent: there is nothing to learn")
        if count > EXACT:
            warnings.append(
                f"{count} samples: times in float32 tell {EXACT} apart well; "
                "fit parts with --begin and --length"
            )
        kept = kept_pixels(count, 1, self.read.holdout)
        return SoundData(sound, kept, summary, warnings=warnings)

    def model(self, data: SoundData) -> SignalModel:
        """A field over the sound's seconds."""
        sound = data.sound
        about = {**dataclasses.asdict(sound.stored), "power": data.power}
        info = SignalInfo(
            self.kind,
            (len(sound.samples),),
            (sound.duration,),
            sound.channels,
            about,
            sound.scale,
        )
        return SignalModel(self._field(sound.duration), info)

    def stand_in(self) -> SignalModel:
        """A model of a moment's silence."""
        return SignalModel(self._field(1.0), SignalInfo(self.kind, (64,), (1.0,), 1, {}))

    def _field(self, seconds: float) -> Any:
        """The field, its first frequency as high as the sound is long."""
        if self.tone is None:
            return self.field
        tree = to_tree(self.field, TaggedSignal)
        (network,) = tree["Coordinate"]["network"].values() if "Coordinate" in tree else [{}]
        if "first_frequency" not in network:
            raise InputError(
                "a network of sines for --tone", "one without a first frequency", "drop --tone"
            )
        network["first_frequency"] = self.tone * seconds / 2
        return from_tree(TaggedSignal, tree)

    def training(self, model: SignalModel, data: SoundData, seed: int) -> Training:
        """Regression of its samples."""
        samples = data.sound.to(model.device)
        objective = self.objective.build(samples, model.field, seed, data.kept)
        return Training(model.field, objective, self.fit)

    def score(self, data: SoundData, numbers: Mapping[str, float]) -> float | None:
        """SNR of a batch."""
        return snr_of(numbers["mse"], data.power) if "mse" in numbers else None

    def measure(
        self,
        model: SignalModel,
        data: SoundData,
        split: str,
        reporter: Reporter,
        most: int | None = None,
    ) -> Measured:
        """Compare with all of the sound."""
        whole(split, "a sound")
        sound, info = data.sound, model.info
        if (len(sound.samples),) != info.shape or sound.channels != info.channels:
            raise InputError(
                f"a sound of {info.shape[0]} samples and {info.channels} channels, as the model's",
                f"{len(sound.samples)} and {sound.channels} in {sound.name}",
                "give the sound of the fit, read in the same way",
            )
        return measure_sound(model.render(), sound.samples, sound.name, data.kept)

    def write_inputs(self, data: SoundData, run: Run) -> None:
        """Nothing more than what the model keeps."""

    def write_outputs(
        self, model: SignalModel, data: SoundData, run: Run, measured: Measured
    ) -> None:
        """The prediction in the sound's own format."""
        assert measured.prediction is not None
        stored = _stored(model)
        ending = next(e for e, container in ENDINGS.items() if container == stored.container)
        write_sound(run.file(f"prediction{ending}"), measured.prediction, stored)

    def reopen(self, source: str | os.PathLike[str], run: Run) -> SoundData:
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
        """A student over the same seconds."""
        theirs: Any = teacher.model
        _kept(theirs)
        return signal_student(self._field(theirs.info.extent[0]), teacher)

    def lesson(
        self,
        model: SignalModel,
        teacher: Teacher,
        method: Values,
        seed: int,
        finetune: SoundData | None,
    ) -> Training:
        """Values anywhere between the samples too."""
        after = None if finetune is None else self.training(model, finetune, seed).objective
        batch = self.objective.batch
        return signal_lesson(model, teacher, method, seed, batch, self.fit, after)

    def score_against(self, teacher: Teacher, numbers: Mapping[str, float]) -> float | None:
        """SNR of a batch."""
        theirs: Any = teacher.model
        return snr_of(numbers["mse"], _kept(theirs).power) if "mse" in numbers else None

    def inherit_inputs(self, teacher: Teacher, run: Run) -> None:
        """Nothing more than what the model keeps."""

    def fidelity(self, model: SignalModel, teacher: Teacher) -> Fidelity:
        """Compare the whole sounds."""
        theirs: Any = teacher.model
        (ours, seconds), (truth, seconds_teacher) = timed(model), timed(theirs)
        near = measure_sound(ours, truth, "teacher")
        return Fidelity(near.scores, near.examples, seconds, seconds_teacher)

    def probe(
        self, model: SignalModel, data: SoundData | None, teacher: Teacher | None
    ) -> Callable[[], float]:
        """SNR on fixed samples."""
        if data is not None and (len(data.sound.samples),) == model.info.shape:
            target = data.sound.samples
        else:
            assert teacher is not None, "data or a teacher"
            theirs: Any = teacher.model
            target = theirs.render()
        scale = model.info.scale
        return signal_probe(model, target, lambda found, wanted: snr(found * scale, wanted))

    # Drawing.

    def stage(self, model: SignalModel, run: Run | None) -> SoundSheet:
        """Waveform and spectrogram, and a player."""
        return SoundSheet(model, _stored(model).rate)

    @classmethod
    def drawing(cls) -> type:
        """Its rate."""
        return SoundDrawing

    def check_out(self, options: SoundDrawing, out: Path, overwrite: bool) -> None:
        """WAV or FLAC."""
        check_file(out, tuple(ENDINGS), overwrite)

    def draw(
        self,
        model: SignalModel,
        run: Run,
        options: SoundDrawing,
        out: Path,
        reporter: Reporter,
    ) -> str:
        """The sound at a rate, as WAV or FLAC."""
        stored = _stored(model)
        rate = options.rate or stored.rate
        count = max(1, round(model.info.extent[0] * rate))
        out.parent.mkdir(parents=True, exist_ok=True)
        clipped = write_sound(out, model.render(count), dataclasses.replace(stored, rate=rate))
        lost = f", {clipped} values clipped" if clipped else ""
        return f"{count / rate:.2f} s at {rate} Hz in {out}{lost}"


def measure_sound(
    prediction: Float[Tensor, "n c"],
    target: Float[Tensor, "n c"],
    name: str,
    kept: Tensor | None = None,
) -> Measured:
    """SNR and log-spectral distance on the file's own scale, with spectrograms to look at.

    Args:
        prediction: What the model says.
        target: What it should.
        name: Of the sound.
        kept: Numbers of the samples it was trained on, where some were held out.
    """
    scores: dict[str, float] = {}
    words = ""
    if kept is not None:
        held = target.new_ones(len(target)).bool()
        held[kept] = False
        scores["snr_fitted"] = snr(prediction[~held], target[~held])
        scores["snr_heldout"] = snr(prediction[held], target[held])
        words = f", held out {scores['snr_heldout']:.2f} dB, fitted {scores['snr_fitted']:.2f} dB"
    headline = {"snr": snr(prediction, target), "lsd": lsd(prediction, target)}
    clipped = int((prediction.abs() > 1).sum())
    facts = {
        "split": "all",
        "views": 1,
        "frames_skipped": 0,
        "values_beyond_full_scale": clipped,
        "per_view": [{"name": name, **headline}],
    }
    spectra = [log_spectrum(one) for one in (target, prediction)]
    top = float(spectra[0].max())
    images = [((s.flip(0) - top) / DECADES + 1).clamp(0, 1).float()[..., None] for s in spectra]
    caption = SNR.text(headline["snr"])
    line = f"SNR {caption}{words}, LSD {headline['lsd']:.3f}"
    pair = Pair(images[0], images[1], caption)
    return Measured({**scores, **headline}, facts, [pair], line, prediction=prediction)


@dataclass(frozen=True)
class _Kept:
    """What a model keeps of its sound."""

    rate: Annotated[int, Range(1, 1 << 31)]
    """Samples a second."""
    container: str
    subtype: str
    power: Annotated[float, Range(0, 1e30)]
    """Mean square of the samples."""


def _kept(model: SignalModel) -> _Kept:
    """What a model keeps of its sound.

    Raises:
        InputError: of a damaged file: something is missing, or is not of its kind.
    """
    found: _Kept = from_tree(_Kept, dict(model.info.about), "about")
    return found


def _stored(model: SignalModel) -> SoundFormat:
    kept = _kept(model)
    return SoundFormat(kept.rate, kept.container, kept.subtype)


def _hash() -> Sound:
    """A grid of one dimension in place of an image's two; 100 thousand values.

    On Bach's 308 thousand samples 3000 steps give 33 dB; twice the values gave 40.
    """
    grid = HashGrid(
        levels=9, features=2, log2_size=13, base_resolution=400, finest_resolution=150000
    )
    fit = FitConfig(hold=0.3, final=0.01)
    return Sound(Coordinate(grid), Regression(batch=16384), fit)


def _dense() -> Sound:
    """The same without hashing, and so with a coarser finest grid; 91 thousand values."""
    grid = DenseGrid(levels=8, features=2, base_resolution=256, finest_resolution=20000)
    fit = FitConfig(hold=0.3, final=0.01)
    return Sound(Coordinate(grid), Regression(batch=16384), fit)


def _sines(network: Siren | Spder, rate: float, tone: float | None = None) -> Sound:
    """A network on seconds in [-1,1].

    SIREN's first frequency scales with the duration: its 3000 for Bach's 7 s are 860 rad/s, with
    steps on all samples. Small batches and many steps come further in the same time, and further
    still at three times that frequency (32 in place of 24 dB after 400 steps on 1.4 s). SPDER's
    features grow with the root of theirs: 200 does well, 600 learns nothing, whatever the duration.
    """
    fit = FitConfig(rates={"network": rate}, final=0.1, beta2=0.999, eps=1e-8)
    field = Coordinate(Identity(centered=True), network)
    return Sound(field, Regression(batch=8192), fit, tone=tone)


_PRESETS: dict[str, Callable[[], Sound]] = {
    "hash": _hash,
    "dense": _dense,
    "siren": lambda: _sines(Siren(), 5e-4, 2580.0),
    "spder": lambda: _sines(Spder(first_frequency=250.0), 1e-4),
}
