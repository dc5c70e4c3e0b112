"""`polyfield distill` and `polyfield.distill`: any trained model into any other architecture."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Annotated, Any, cast

import tyro

from polyfield.apps import config_cli
from polyfield.apps.choices import (
    Seconds,
    Seed,
    Steps,
    budgeted,
    check_seed,
    configured,
    kind_named,
    reading,
    task_of,
)
from polyfield.apps.distill_matrix import matrix
from polyfield.apps.distill_scratch import scratch
from polyfield.apps.reports.distill_report import baseline_of, report_on
from polyfield.devices import resolve
from polyfield.errors import InputError
from polyfield.machine import use_threads
from polyfield.renderers.model import Model
from polyfield.training.distillation.distilled import Distilled
from polyfield.training.distillation.methods import (
    METHODS,
    DistillConfig,
    MethodConfig,
    as_method,
    method_named,
)
from polyfield.training.fit import DEMO, FRESH, RunOptions, RunSpec, fit
from polyfield.training.run import Run
from polyfield.training.watchers.console import Reporter
from polyfield.training.watchers.probe import LOOKS, ProbeCurve, curve_of


def distill(
    run: str | os.PathLike[str],
    to: str,
    out: str | os.PathLike[str],
    *,
    seconds: float | None = None,
    steps: int | None = None,
    method: str | MethodConfig | None = None,
    finetune: str | os.PathLike[str] | None = None,
    baseline: bool = False,
    looks: int = LOOKS,
    seed: int = 0,
    threads: int | None = None,
    device: str = "auto",
    options: RunOptions = FRESH,
    reporter: Reporter | None = None,
) -> Model:
    """Turn a trained run into a model of another architecture.

    Args:
        run: The teacher's folder.
        to: The student's preset.
        out: A new folder for the student's run.
        seconds: Training time; 60 where neither this nor `steps` is given.
        steps: Training steps, instead of `seconds`.
        method: A name such as pvd-al, or a method with its options; None for what suits the preset.
        finetune: Data for as much training again, when the student has learned.
        baseline: Whether to train the same student from the data too, for the report.
        looks: Points of the curve; 0 for none.
        seed: Of everything random.
        threads: CPU threads; None for PyTorch's own choice.
        device: auto for a GPU where there is one; cpu, cuda or cuda:N.
        options: Resume or overwrite.
        reporter: What is printed; None prints warnings alone.

    Returns:
        The student, on that device.

    Raises:
        InputError: the teacher, the folder, the device or a value can't be used.
    """
    reporter = reporter or Reporter(quiet=True)
    check_seed(seed)
    place = resolve(device)
    teacher, student = Run(Path(run)), Run(Path(out).expanduser())
    config, theirs = teacher.config(), task_of(teacher)
    # The report needs them when all is trained: what they can't be is told now.
    for one in (teacher,) if options.overwrite else (teacher, student):
        one.metrics()
        baseline_of(one, theirs.metric)
        curve_of(one)
    if student.path.resolve() == teacher.path.resolve():
        raise InputError("a folder of its own for the student", "the teacher's", "change --out")
    kind = type(theirs)
    task = budgeted(configured(kind, to), seconds, steps)
    # Data is read as the teacher read it.
    task = dataclasses.replace(task, **reading(theirs))  # type: ignore[type-var]
    how = as_method(method, cast(MethodConfig, kind.method_of(to)))
    if how.name not in kind.methods():
        raise InputError(
            f"a method for {theirs.kind}: {', '.join(kind.methods())}", how.name, "pick one of them"
        )
    tuned = None if finetune is None else os.fspath(finetune)
    tuned = tuned if tuned in (None, DEMO) else os.path.abspath(tuned)
    learner: Any = Distilled(
        task, DistillConfig(os.path.abspath(teacher.path), how, tuned), to, place
    )
    spec = RunSpec(config["data"], to, seed, use_threads(threads), place)
    if baseline:
        task.open(spec.source)
    model = fit(
        learner,
        spec,
        student,
        reporter,
        options,
        lambda made, data: (
            [ProbeCurve(student, learner.metric, learner.probe(made, data), looks)] if looks else []
        ),
    )
    found = scratch(task, spec, student, reporter, options) if baseline else None
    reporter.say(report_on(student, teacher, task.metric, place, found))
    return cast(Model, model)


@dataclass(frozen=True)
class DistillFlags:
    """Turn a trained model into one of another architecture, without its data."""

    run: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")] = None
    """Folder of the teacher's run; none with --matrix."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="RUN2|DIR")] = None
    """Folder of the student's run, or of the matrix."""
    to: Annotated[str | None, tyro.conf.arg(metavar="PRESET")] = None
    """The student's architecture; `polyfield info` lists them."""
    seconds: Seconds | None = None
    """Training time of the student. Default 60."""
    steps: Steps | None = None
    """Number of its training steps, instead of --seconds."""
    method: Annotated[str | None, tyro.conf.arg(metavar="pvd|pvd-al|kilonerf|values")] = None
    """How it learns; the other flags are those of the method. Default: for PRESET."""
    finetune: Annotated[str | None, tyro.conf.arg(metavar="DATA")] = None
    """Data for as much training again, when the student has learned."""
    baseline: bool = False
    """Also train the same student from the data, for the same time and the same steps."""
    matrix: Annotated[str | None, tyro.conf.arg(metavar="DATA")] = None
    """Every preset into every other on this data; finished pairs in DIR are kept."""
    kind: str = "scene"
    """Kind of the data of --matrix."""
    presets: str | None = None
    """Presets of the matrix, with commas between; default all."""
    seed: Seed = 0
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


_ONE_STUDENT = ("finetune", "baseline", "overwrite", "method")
_MATRIX = ("presets", "kind")
_OLD_WORDS = {"--no-lend": "--all-samples"}
"""Flags of the first edition."""


def main(arguments: Sequence[str]) -> None:
    """The command line."""
    words = [_OLD_WORDS.get(word, word) for word in arguments]
    method = _method(words)
    fields: list[Any] = [("own", DistillFlags, dataclasses.field(default_factory=DistillFlags))]
    fields.append(("how", method, dataclasses.field(default_factory=method)))
    command: Any = make_dataclass("Flags", fields, namespace={"__doc__": DistillFlags.__doc__})
    config_cli.refuse_foreign(words, "--method", method, METHODS)
    given = config_cli.parse(command, words, "distill")
    own: DistillFlags = given.own
    if own.out is None:
        raise InputError("--out", "none", "name a folder for the student")
    with Reporter(own.quiet) as reporter:
        options = RunOptions(own.resume, own.overwrite)
        if own.matrix is not None:
            if own.run is not None or own.to is not None:
                raise InputError("--matrix without RUN and --to", "both", "drop one of them")
            _refuse(own, _ONE_STUDENT, "no such flag with --matrix")
            _refuse_method(given.how, "no such flag with --matrix")
            budget = (own.seconds, own.steps)
            check_seed(own.seed)
            spec = RunSpec(own.matrix, "", own.seed, use_threads(own.threads), resolve(own.device))

            def pair(teacher: Path, to: str, out: Path) -> object:
                return distill(
                    teacher,
                    to,
                    out,
                    seconds=own.seconds,
                    steps=own.steps,
                    looks=0,
                    seed=own.seed,
                    threads=own.threads,
                    device=own.device,
                    options=RunOptions(resume=True),
                    reporter=reporter,
                )

            kind = kind_named(own.kind)
            matrix(kind, spec, own.presets, budget, own.out, reporter, pair)
            return
        if own.run is None or own.to is None:
            raise InputError(
                "RUN and --to PRESET, or --matrix DATA",
                "neither" if own.run is None else "no --to",
                "for instance polyfield distill runs/a --to mlp --out runs/b",
            )
        _refuse(own, _MATRIX, "--matrix for it")
        distill(
            own.run,
            own.to,
            own.out,
            seconds=own.seconds,
            steps=own.steps,
            method=given.how,
            finetune=own.finetune,
            baseline=own.baseline,
            seed=own.seed,
            threads=own.threads,
            device=own.device,
            options=options,
            reporter=reporter,
        )


def _method(words: Sequence[str]) -> type:
    """The method whose options are flags: the one named, else what suits teacher and preset."""
    named = config_cli.value_of("--method", words)
    if named is not None:
        return method_named(named)
    to = config_cli.value_of("--to", words) or ""
    for word in words:
        run = Run(Path(word))
        if not word.startswith("-") and run.is_there:
            return type(kind_named(run.config()["kind"]).method_of(to))
    return type(kind_named("scene").method_of(to))


def _refuse(given: DistillFlags, names: Sequence[str], wanted: str) -> None:
    """No flag may be given that would change nothing.

    Raises:
        InputError: one of these was.
    """
    default = DistillFlags()
    for name in names:
        if getattr(given, name) != getattr(default, name):
            raise InputError(wanted, f"--{name.replace('_', '-')}", "drop it")


def _refuse_method(how: Any, wanted: str) -> None:
    """The same for the options of a method.

    Raises:
        InputError: one differs from its default.
    """
    for field in dataclasses.fields(how):
        value = getattr(how, field.name)
        if value != field.default:
            flag = f"--no-{field.name}" if value is False else f"--{field.name}"
            raise InputError(wanted, flag.replace("_", "-"), "drop it")
