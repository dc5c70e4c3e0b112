"""What the kinds that are signals share: students, probes, fine-tuning."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.errors import InputError
from polyfield.fields import SignalFieldConfig
from polyfield.renderers.signal_model import SignalModel
from polyfield.training.distillation.methods import Values
from polyfield.training.distillation.values import SignalDistillation
from polyfield.training.loop import FitConfig, Objective
from polyfield.training.objectives.staged import Staged
from polyfield.training.task import Teacher, Training

PROBED = 1 << 15
"""Fixed random samples a curve is measured on."""
TURNS = 3
"""How often a whole signal is drawn to time it."""


def signal_student(field: SignalFieldConfig, teacher: Teacher) -> SignalModel:
    """A student over the teacher's samples, on its device."""
    theirs: Any = teacher.model
    return SignalModel(field, theirs.info).to(theirs.device)


def signal_lesson(
    model: SignalModel,
    teacher: Teacher,
    method: Values,
    seed: int,
    batch: int,
    fit: FitConfig,
    finetune: Objective | None,
) -> Training:
    """Values of the teacher at random points, then the data where it is given.

    Args:
        model: The student.
        teacher: Whom it learns from.
        method: Form of the difference, weight of slopes.
        seed: Of the points.
        batch: Points a step; 0 for as many as the signal has samples.
        fit: Budget and rates.
        finetune: On the data.
    """
    theirs: Any = teacher.model
    config = SignalDistillation(batch or math.prod(model.info.shape), method.loss, method.slopes)
    objective: Objective = config.build(theirs.field, model.field, seed)
    if finetune is not None:
        objective, fit = then_data(objective, finetune, fit)
    return Training(model.field, objective, fit)


def then_data(first: Objective, second: Objective, fit: FitConfig) -> tuple[Objective, FitConfig]:
    """One objective, then as much training again of another."""
    twice = replace(
        fit,
        seconds=None if fit.seconds is None else 2 * fit.seconds,
        steps=None if fit.steps is None else 2 * fit.steps,
    )
    return Staged([(0.5, first), (1.0, second)]), twice


def signal_probe(
    model: SignalModel,
    target: Float[Tensor, "... c"],
    score: Callable[[Float[Tensor, "n c"], Float[Tensor, "n c"]], float],
) -> Callable[[], float]:
    """A score on fixed samples of a signal of the model's size, its last coordinate first."""
    shape = model.info.shape
    generator = torch.Generator().manual_seed(0)
    pick = torch.randperm(math.prod(shape), generator=generator)[:PROBED].sort()[0]
    columns, rest = [], pick
    for n, extent in zip(shape, model.info.extent, strict=True):
        columns.append((rest % n + 0.5) * (extent / n))
        rest = torch.div(rest, n, rounding_mode="floor")
    x = torch.stack(columns, -1).float().to(model.device)
    wanted = target.reshape(-1, model.info.channels)[pick]

    @torch.no_grad()
    def probe() -> float:
        return score(model.field(x).cpu(), wanted)

    return probe


def timed(model: SignalModel) -> tuple[Float[Tensor, "... c"], float]:
    """The whole signal of a model, and the seconds it takes."""
    times = []
    for _ in range(TURNS):
        began = time.perf_counter()
        found = model.render()
        times.append(time.perf_counter() - began)
    return found, median(times)


def check_file(out: Path, endings: Sequence[str], overwrite: bool) -> None:
    """Raise unless a file can be written there.

    Raises:
        InputError: another ending, or a file that is there and not to be overwritten.
    """
    if out.suffix.lower() not in endings:
        raise InputError(f"--out FILE with {' or '.join(endings)}", out.name, "change the ending")
    if out.is_dir() or (out.exists() and not overwrite):
        hint = "choose another" if out.is_dir() else "add --overwrite or choose another"
        raise InputError("a new file for --out", f"{out}, which is there", hint)


def whole(split: str, kind: str) -> None:
    """Raise unless a split is one of a signal, which has no parts.

    Raises:
        InputError: another split.
    """
    if split not in ("test", "all"):
        raise InputError(f"no --split for {kind}", split, "leave it out")
