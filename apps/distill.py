"""`polyfield distill` and `polyfield.distill`: any trained model into any other architecture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal, cast

import torch
import tyro

from polyfield.apps import config_cli
from polyfield.apps.distill_matrix import matrix
from polyfield.apps.distill_runs import distill_image, distill_scene
from polyfield.apps.distill_scene import Lesson, Method
from polyfield.apps.distill_teacher import asked_of
from polyfield.apps.fitting import check_seed, configured, with_budget
from polyfield.apps.image_presets import image_presets
from polyfield.apps.jobs import DEMO, Asked, Way
from polyfield.apps.scene_presets import method_of, scene_presets
from polyfield.devices import resolve
from polyfield.errors import InputError
from polyfield.machine import use_threads
from polyfield.renderers.model import RadianceModel, SignalModel
from polyfield.training.console import Reporter
from polyfield.training.distillation.pvd import LEVELS, Level
from polyfield.training.run import Run


@dataclass(frozen=True)
class Flags:
    """Turn a trained model into one of another architecture, without the photographs."""

    run: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")] = None
    """Folder of the teacher's run; none with --matrix."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="RUN2|DIR")] = None
    """Folder of the student's run, or of the matrix."""
    to: Annotated[str | None, tyro.conf.arg(metavar="PRESET")] = None
    """The student's architecture; `polyfield info` lists them."""
    seconds: float | None = None
    """Training time of the student. Default 60."""
    steps: int | None = None
    """Number of its training steps, instead of --seconds."""
    method: Annotated[str | None, tyro.conf.arg(metavar="pvd|pvd-al|kilonerf")] = None
    """Along rays of random poses, with hard examples, or in cells first. Default: for PRESET."""
    al: Annotated[str | None, tyro.conf.arg(metavar="poses,rays,points")] = None
    """Levels of pvd-al. Default all."""
    heads: bool = False
    """Give the student auxiliary heads while it learns."""
    loss: Literal["norm", "mse"] = "norm"
    """Size of a difference: its norm, as released, or its mean square."""
    no_clamp: bool = False
    """Do not clamp log-densities."""
    no_stages: bool = False
    """All terms from the beginning; with kilonerf points of cells to the end, no rays."""
    no_inherit: bool = False
    """Copy neither grid nor heads: the grid is made anew of the teacher's density."""
    no_lend: bool = False
    """Ask the student at every sample, also where the teacher says that little is to be seen."""
    finetune: Annotated[str | None, tyro.conf.arg(metavar="DATA")] = None
    """Photographs for as much training again, when the student has learned."""
    baseline: bool = False
    """Also train the same student from the photographs, for the same time and the same steps."""
    matrix: Annotated[str | None, tyro.conf.arg(metavar="DATA")] = None
    """Every preset into every other on this scene; finished pairs in DIR are kept."""
    presets: str | None = None
    """Presets of the matrix, with commas between; default all."""
    seed: int = 0
    """Seed of everything random."""
    threads: int | None = None
    """CPU threads; default as PyTorch chooses, one per core."""
    device: Annotated[str, tyro.conf.arg(metavar="auto|cpu|cuda[:N]")] = "auto"
    """Where to compute; auto is an NVIDIA GPU where there is one. A run may go on elsewhere."""
    resume: bool = False
    """Go on with RUN2 where it stopped."""
    overwrite: bool = False
    """Begin anew, whatever run is in RUN2."""
    quiet: bool = False
    """Print nothing but warnings and errors."""


def main(arguments: Sequence[str]) -> None:
    """The command line."""
    given = config_cli.parse(Flags, arguments, "distill")
    if given.out is None:
        raise InputError("--out", "none", "name a folder for the student")
    check_seed(given.seed)
    threads, device = use_threads(given.threads), resolve(given.device)
    with Reporter(given.quiet) as reporter:
        if given.matrix is not None:
            if given.run is not None or given.to is not None:
                raise InputError("--matrix without RUN and --to", "both", "drop one of them")
            _refuse(given, (*LESSON, "overwrite"), "no such flag with --matrix")
            budget = (given.seconds, given.steps)
            base = Asked(given.matrix, seed=given.seed, threads=threads, device=device)
            matrix(base, given.presets, budget, given.out, reporter)
            return
        if given.run is None or given.to is None:
            raise InputError(
                "RUN and --to PRESET, or --matrix DATA",
                "neither" if given.run is None else "no --to",
                "for instance polyfield distill runs/a --to mlp --out runs/b",
            )
        _refuse(given, ("presets",), "--matrix for it")
        way = Way(given.resume, given.overwrite)
        run = Run(given.out)
        lesson = Lesson(
            os.path.abspath(given.run),
            cast(Method, given.method or "pvd"),
            _levels(given),
            given.heads,
            given.loss,
            not given.no_clamp,
            not given.no_stages,
            not given.no_inherit,
            not given.no_lend,
            given.finetune if given.finetune in (None, DEMO) else os.path.abspath(given.finetune),
        )
        budget = (given.seconds, given.steps)
        _distill(lesson, given, budget, run, (threads, device), reporter, way)


LESSON = (
    "method", "al", "heads", "loss", "no_clamp", "no_stages", "no_inherit", "no_lend", "finetune",
    "baseline",
)  # fmt: skip
"""Flags of one student."""


def _refuse(given: Flags, names: Sequence[str], wanted: str, fine: Sequence[str] = ()) -> None:
    """No flag may be given that would change nothing.

    Raises:
        InputError: one of these was, and is not among the fine ones.
    """
    default = Flags()
    for name in names:
        if name not in fine and getattr(given, name) != getattr(default, name):
            raise InputError(wanted, f"--{name.replace('_', '-')}", "drop it")


def _levels(given: Flags) -> tuple[Level, ...]:
    if given.method not in (None, "pvd", "pvd-al", "kilonerf"):
        raise InputError("--method pvd, pvd-al or kilonerf", repr(given.method), "pick one of them")
    if given.method != "pvd-al":
        _refuse(given, ("al",), "--method pvd-al for it")
        return ()
    if given.al is None:
        return LEVELS
    names = tuple(name.strip() for name in given.al.split(",") if name.strip())
    if not names or any(name not in LEVELS for name in names):
        raise InputError(f"--al with some of {','.join(LEVELS)}", repr(given.al), "change it")
    return cast(tuple[Level, ...], names)


def _distill(
    lesson: Lesson,
    given: Flags,
    budget: tuple[float | None, int | None],
    run: Run,
    machine: tuple[int, torch.device],
    reporter: Reporter,
    way: Way,
) -> RadianceModel | SignalModel:
    """One student, of a picture or of a scene; `machine` is the threads and the device."""
    teacher = Run(Path(lesson.teacher))
    config = teacher.config()
    assert given.to is not None
    asked = asked_of(teacher, given.to, given.seed, *machine)
    if run.path.resolve() == teacher.path.resolve():
        raise InputError("a folder of its own for the student", "the teacher's", "change --out")
    if config["kind"] == "image":
        _refuse(given, LESSON, "a teacher of a scene for it", ("loss",))
        picture = configured(image_presets(), given.to)
        picture = replace(picture, fit=with_budget(picture.fit, *budget))
        return distill_image(lesson, asked, picture, run, reporter, way)
    scene = configured(scene_presets(), given.to)
    scene = replace(scene, fit=with_budget(scene.fit, *budget))
    if given.method is None:
        lesson = replace(lesson, method=method_of(given.to))
    if lesson.method == "kilonerf":
        _refuse(given, ("heads",), "--method pvd or pvd-al for it")
    return distill_scene(lesson, asked, scene, run, reporter, way, given.baseline)


def distill(
    run: str | os.PathLike[str],
    to: str,
    out: str | os.PathLike[str],
    *,
    seconds: float | None = None,
    steps: int | None = None,
    method: Method | None = None,
    seed: int = 0,
    device: str = "auto",
) -> RadianceModel | SignalModel:
    """Turn a trained run into a model of another architecture.

    Args:
        run: The teacher's folder.
        to: The student's preset.
        out: A new folder for the student's run.
        seconds: Training time; 60 where neither this nor `steps` is given.
        steps: Training steps, instead of `seconds`.
        method: pvd, pvd-al or kilonerf; None for what suits the preset.
        seed: Of everything random.
        device: auto for a GPU where there is one; cpu, cuda or cuda:N.

    Returns:
        The student, on that device.

    Raises:
        InputError: the teacher, the folder, the device or a value can't be used.
    """
    check_seed(seed)
    given = Flags(run=Path(run), out=Path(out), to=to, method=method, seed=seed)
    lesson = Lesson(os.path.abspath(run), method or "pvd", _levels(given))
    machine = use_threads(None), resolve(device)
    budget = (seconds, steps)
    return _distill(lesson, given, budget, Run(Path(out)), machine, Reporter(quiet=True), Way())
