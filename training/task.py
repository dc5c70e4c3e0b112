"""The seam between kinds of data and verbs: what a kind is, from file to score.

A task is a frozen dataclass. It *is* the flags, the YAML and what config.yaml keeps; the verbs ask
it and know no kind. The kinds are files of apps/tasks/.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

from torch import Tensor, nn

from polyfield.config import from_tree, to_tree
from polyfield.errors import InputError
from polyfield.fields.base import Field
from polyfield.renderers.model import Model
from polyfield.renderers.stages.base import Stage
from polyfield.training.figures import Pair
from polyfield.training.loop import FitConfig, Objective, Progress, nothing
from polyfield.training.run import Run
from polyfield.training.scores import Metric
from polyfield.training.watchers.console import Reporter

TREES = ("field", "sampler", "objective", "fit")
"""Fields of a task that are trees of configs: dotted flags. All others are flags of their own."""


@runtime_checkable
class Data(Protocol):
    """What a task opens: parsed and checked."""

    @property
    def summary(self) -> str:
        """What it is, for the line that a fit begins with."""

    @property
    def notes(self) -> Sequence[str]:
        """What was guessed of it, a line each."""

    @property
    def warnings(self) -> Sequence[str]:
        """What is wrong with it, a line each."""

    @property
    def fingerprint(self) -> str:
        """Changes with the data that is trained on; empty where it was not opened for that."""


@dataclass(frozen=True)
class Measured:
    """What an evaluation found."""

    scores: dict[str, float]
    """By name; those a kind has for its headline, held out and fitted, and more."""
    facts: dict[str, Any]
    """Split, views, background ... whatever else metrics.json says."""
    examples: list[Pair]
    """A few targets and predictions, as images, for the preview."""
    line: str
    """The result in one line."""
    linear: bool = False
    """Whether the examples are linear light."""
    prediction: Tensor | None = None
    """All of what was predicted, where it is one thing."""

    @property
    def metrics(self) -> dict[str, Any]:
        """The keys of metrics.json."""
        return {**self.scores, **self.facts, "scores": list(self.scores)}


@dataclass(frozen=True)
class Training:
    """What the loop needs."""

    field: Field
    """What learns."""
    objective: Objective
    """What it learns from."""
    fit: FitConfig
    """How long, and at which rates."""
    parts: Mapping[str, nn.Module] = dataclasses.field(default_factory=dict)
    """What learns beside the field: a sky, colours of single images, poses."""
    finish: Callable[[], None] = nothing
    """What is left to do when training has ended."""


@dataclass(frozen=True)
class Fidelity:
    """How near a student is to its teacher."""

    scores: dict[str, float]
    """The headline and others, with the teacher as the truth."""
    examples: list[Pair]
    """Teacher beside student."""
    seconds_student: float
    """Of drawing what was compared once: a frame, a whole signal."""
    seconds_teacher: float
    """The same of the teacher."""


@runtime_checkable
class Method(Protocol):
    """How a student learns; the union is in training/distillation/methods.py."""

    @property
    def loss(self) -> str:
        """Form of the residuals."""


@dataclass(frozen=True)
class Teacher:
    """A trained model whose data may be gone."""

    run: Run
    """Its folder."""
    model: Model
    """On the student's device, gradients off."""


@runtime_checkable
class Watcher(Protocol):
    """Called after each step, the clock stopped. Never changes a number."""

    def watch(self, progress: Progress) -> None:
        """Look at where training is."""


@runtime_checkable
class Holding(Protocol):
    """A watcher that can have training wait between two steps."""

    def holds(self) -> bool:
        """Whether training waits. Asked again until it doesn't, or the user stops all."""


DataT = TypeVar("DataT", bound=Data)
ModelT = TypeVar("ModelT", bound=Model)


class Learner(ABC, Generic[DataT, ModelT]):
    """What `fit` trains: a kind's task, or a student of a teacher."""

    @property
    @abstractmethod
    def kind(self) -> str:
        """Name of the kind: on the command line, in config.yaml, model files and tables."""

    @property
    @abstractmethod
    def metric(self) -> Metric:
        """The headline score: tables, curves and logs show it."""

    @abstractmethod
    def tree(self) -> dict[str, Any]:
        """What config.yaml says of it."""

    @abstractmethod
    def completed(self, tree: dict[str, Any]) -> dict[str, Any]:
        """A config.yaml of an older version with what it did not know yet: the defaults."""

    @abstractmethod
    def open(self, source: Any, training: bool = True) -> DataT:
        """Parse and check data.

        Args:
            source: A path, "demo", or what Python users have in memory.
            training: Whether to read what is trained on, too.

        Raises:
            InputError: it is not there or not as it should be.
        """

    @abstractmethod
    def model(self, data: DataT) -> ModelT:
        """A model with its first parameters, of the seed that torch has; built on the CPU."""

    @abstractmethod
    def training(self, model: ModelT, data: DataT, seed: int) -> Training:
        """What the loop needs; the model lies on its device by now."""

    @abstractmethod
    def score(self, data: DataT, numbers: Mapping[str, float]) -> float | None:
        """The headline score of a batch, of what the objective logged; None if it can't be told."""

    @abstractmethod
    def measure(
        self, model: ModelT, data: DataT, split: str, reporter: Reporter, most: int | None = None
    ) -> Measured:
        """Compare a model with a part of the data.

        Args:
            model: Trained.
            data: Opened, for training or not.
            split: "test", or another that the data has.
            reporter: Told how far it is.
            most: At most so many views or parts, evenly spread; None for all.

        Raises:
            InputError: the data has no such split.
        """

    def most_measured(self, data: DataT) -> int | None:
        """How many views or parts of the test split a fit measures at its end; None for all."""
        return None

    @abstractmethod
    def write_inputs(self, data: DataT, run: Run) -> None:
        """Write what is known before training, beside config.yaml."""

    @abstractmethod
    def write_outputs(self, model: ModelT, data: DataT, run: Run, measured: Measured) -> None:
        """Write what the kind itself is written as."""


class Task(Learner[DataT, ModelT]):
    """A kind of data: a frozen dataclass with `field`, `objective`, `fit`, `read`."""

    source: ClassVar[tuple[str, str]]
    """What DATA is on the command line: its word, and what it may be."""
    field: Any
    objective: Any
    fit: FitConfig

    def completed(self, tree: dict[str, Any]) -> dict[str, Any]:
        """The same with the defaults of new options; those of reading are compared by name."""
        names = {field.name for field in dataclasses.fields(self)} - {"read"}  # type: ignore[arg-type]
        known = {key: value for key, value in tree.items() if key in names}
        whole = to_tree(from_tree(type(self), known, "config.yaml"))
        return {**tree, **{key: whole[key] for key in names}}

    @classmethod
    @abstractmethod
    def presets(cls) -> Mapping[str, Task[DataT, ModelT]]:
        """Named starting points."""

    @abstractmethod
    def stand_in(self) -> ModelT:
        """A model of made-up data: what is compiled for it is what a real one needs."""

    @abstractmethod
    def reopen(self, source: Any, run: Run) -> DataT:
        """Data to measure a run on: what was held out then is held out now."""

    @classmethod
    @abstractmethod
    def methods(cls) -> Mapping[str, type]:
        """The ways a student of this kind can learn, by name."""

    @classmethod
    @abstractmethod
    def method_of(cls, preset: str) -> Method:
        """How a student of this preset learns unless told otherwise."""

    @abstractmethod
    def student(self, teacher: Teacher, method: Any) -> ModelT:
        """A student in the teacher's frame, with what it inherits; on the teacher's device."""

    @abstractmethod
    def lesson(
        self, model: ModelT, teacher: Teacher, method: Any, seed: int, finetune: DataT | None
    ) -> Training:
        """What the loop of a student needs."""

    @abstractmethod
    def score_against(self, teacher: Teacher, numbers: Mapping[str, float]) -> float | None:
        """The headline score of a batch with the teacher as the truth."""

    @abstractmethod
    def inherit_inputs(self, teacher: Teacher, run: Run) -> None:
        """Write into a student's run what the teacher's knows of the data."""

    @abstractmethod
    def fidelity(self, model: ModelT, teacher: Teacher) -> Fidelity:
        """Compare a student with its teacher; no data needed."""

    @abstractmethod
    def probe(
        self, model: ModelT, data: DataT | None, teacher: Teacher | None
    ) -> Callable[[], float]:
        """The headline score of a model as it is now on a fixed small part of the data.

        Where there is no data, the teacher is the truth.
        """

    def stage(self, model: ModelT, run: Run | None) -> Stage:
        """A model as the browser viewer shows it; it may go on learning meanwhile.

        Args:
            model: Of this kind.
            run: Its folder, which says what the data was seen from; None where there is none.

        Raises:
            InputError: this kind has no view.
        """
        hint = "`polyfield render` draws it into a file"
        raise InputError("a run of a kind that can be viewed", self.kind, hint)

    @classmethod
    @abstractmethod
    def drawing(cls) -> type:
        """The options of `render`: a frozen dataclass whose fields are the flags."""

    @abstractmethod
    def check_out(self, options: Any, out: Path, overwrite: bool) -> None:
        """Raise unless a drawing can be written there.

        Raises:
            InputError: `out` is taken and not to be overwritten, or is of another form.
        """

    @abstractmethod
    def draw(self, model: ModelT, run: Run, options: Any, out: Path, reporter: Reporter) -> str:
        """Draw a run into a file or a folder that is free; says what was written."""
