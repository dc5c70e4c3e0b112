"""`polyfield fit KIND` and `polyfield.fit`: data in, a model out."""

from __future__ import annotations

import dataclasses
import os
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, make_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import tyro

from polyfield.apps import config_cli
from polyfield.apps.choices import (
    DEFAULT_PRESET,
    Seconds,
    Seed,
    Steps,
    budgeted,
    changed,
    check_seed,
    configured,
    default_out,
    kind_named,
    preset_of,
)
from polyfield.apps.compiling.ahead import compiling_ahead
from polyfield.devices import resolve
from polyfield.errors import InputError
from polyfield.machine import use_threads
from polyfield.ranges import Range
from polyfield.renderers.model import Model
from polyfield.renderers.radiance_model import RadianceModel
from polyfield.renderers.signal_model import SignalModel
from polyfield.training.fit import FRESH, RunOptions, RunSpec
from polyfield.training.fit import fit as train
from polyfield.training.run import Run
from polyfield.training.task import TREES, Task
from polyfield.training.team import device_of, joined
from polyfield.training.watchers.console import Reporter

Source = str | os.PathLike[str] | np.ndarray
"""Data: a path, "demo", or an array where the kind takes one."""


def fit(
    kind: str,
    data: Source,
    *,
    preset: str = DEFAULT_PRESET,
    task: Task[Any, Any] | None = None,
    field: Any = None,
    changes: Mapping[str, Any] | None = None,
    seconds: float | None = None,
    steps: int | None = None,
    out: str | os.PathLike[str] | None = None,
    seed: int = 0,
    threads: int | None = None,
    device: str = "auto",
    options: RunOptions = FRESH,
    view: bool | int = False,
    reporter: Reporter | None = None,
) -> Model:
    """Fit a field to data.

    Args:
        kind: Of the data: scene, image ...
        data: A path, "demo", or what the kind takes in memory.
        preset: Architecture and numbers.
        task: The same as an object, made by hand; `preset` is then its name in reports.
        field: Another field config in place of the preset's.
        changes: Values by dotted names, as the flags have them: {"read.downscale": 2}.
        seconds: Training time; 60 where neither this nor `steps` is given.
        steps: Training steps, instead of `seconds`.
        out: A new folder for the run; None writes and measures nothing.
        seed: Of everything random.
        threads: CPU threads; None for PyTorch's own choice.
        device: auto for a GPU where there is one; cpu, cuda or cuda:N.
        options: Resume, overwrite, time between checkpoints.
        view: Show training in the browser, and the model after it until Ctrl-C: True, or the port
            to listen on. No number depends on it.
        reporter: What is printed; None prints warnings alone.

    Returns:
        The trained model, on that device: `.field`, `.bounds`, `.render(...)`.

    Raises:
        InputError: the data, the folder, the device or a value can't be used.
    """
    check_seed(seed)
    if not options.checkpoint_every > 0:
        got = f"{options.checkpoint_every:g}"
        raise InputError("checkpoint-every above 0", got, "give for instance 30")
    found = configured(kind_named(kind), preset) if task is None else task
    if field is not None:
        found = replace(found, field=field)  # type: ignore[type-var]
    found = budgeted(changed(found, changes) if changes else found, seconds, steps)
    threads, place = use_threads(threads), resolve(device_of(device))
    spec = RunSpec(data, preset, seed, threads, place)
    run = None if out is None else Run(Path(out).expanduser())
    with joined(place) as team, compiling_ahead(found, threads, place) as compiled:
        if not team.leads:
            run, reporter, view = None, Reporter(mute=True), False
        options = replace(options, compiled=compiled)
        if view is False:
            return cast(Model, train(found, spec, run, reporter or Reporter(quiet=True), options))
        # Only here: a fit that nobody looks at needs nothing of the viewer.
        from polyfield.apps.view import fit_in_view

        port = None if view is True else view
        return fit_in_view(found, spec, run, reporter or Reporter(), options, port)


def fit_scene(
    data: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    preset: str = DEFAULT_PRESET,
    seconds: float | None = None,
    steps: int | None = None,
    bounds: tuple[float, float, float, float, float, float] | None = None,
    background: str = "random",
    downscale: int = 1,
    test_every: int = 8,
    seed: int = 0,
    device: str = "auto",
) -> RadianceModel:
    """Train a radiance field from posed images; what is not here, `fit` can.

    Args:
        data: Folder of a capture, or "demo".
        out: A new folder for the run; None writes and measures nothing.
        preset: Architecture and numbers.
        seconds: Training time; 60 where neither this nor `steps` is given.
        steps: Training steps, instead of `seconds`.
        bounds: Box of the scene, xmin ymin zmin xmax ymax zmax in the data's frame.
        background: white, black, random, or R,G,B.
        downscale: Shrink images by this whole factor.
        test_every: Every n-th frame is kept for the test where the data has no split.
        seed: Of everything random.
        device: auto for a GPU where there is one; cpu, cuda or cuda:N.

    Returns:
        The trained model, on that device: `.field`, `.bounds`, `.render(camera)`.

    Raises:
        InputError: the data, the folder, the device or a value can't be used.
    """
    read = {"downscale": downscale, "test_every": test_every, "bounds": bounds}
    changes = {**{f"read.{name}": value for name, value in read.items()}, "background": background}
    model = fit(
        "scene", data, out=out, preset=preset, seconds=seconds, steps=steps, changes=changes,
        seed=seed, device=device,
    )  # fmt: skip
    return cast(RadianceModel, model)


def fit_image(
    image: Source,
    *,
    out: str | os.PathLike[str] | None = None,
    preset: str = DEFAULT_PRESET,
    seconds: float | None = None,
    steps: int | None = None,
    holdout: str = "0",
    background: str = "white",
    downscale: int = 1,
    seed: int = 0,
    device: str = "auto",
) -> SignalModel:
    """Train a field to be an image; what is not here, `fit` can.

    Args:
        image: A file, "demo", or an array [h, w] or [h, w, 1-4] of uint8, uint16 or float32.
        out: A new folder for the run; None writes and measures nothing.
        preset: Architecture and numbers.
        seconds: Training time; 60 where neither this nor `steps` is given.
        steps: Training steps, instead of `seconds`.
        holdout: Share of the pixels kept from training, or lattice.
        background: What images with alpha are measured on: white, black or R,G,B.
        downscale: Shrink the image by this whole factor.
        seed: Of everything random.
        device: auto for a GPU where there is one; cpu, cuda or cuda:N.

    Returns:
        The trained model, on that device: `.field`, `.bounds`, `.render(width, height)`.

    Raises:
        InputError: the image, the folder, the device or a value can't be used.
    """
    changes = {"read.downscale": downscale, "read.holdout": holdout, "background": background}
    model = fit(
        "image", image, out=out, preset=preset, seconds=seconds, steps=steps, changes=changes,
        seed=seed, device=device,
    )  # fmt: skip
    return cast(SignalModel, model)


@dataclass(frozen=True)
class FitFlags:
    """The flags of every fit."""

    out: Annotated[Path | None, tyro.conf.arg(metavar="RUN")] = None
    """Folder of the run; must be new, or give --resume or --overwrite. Default runs/NAME-PRESET."""
    seconds: Seconds | None = None
    """Training time; compiling, checkpoints, evaluation and images don't count. Default 60."""
    steps: Steps | None = None
    """Number of training steps, instead of --seconds."""
    preset: str = DEFAULT_PRESET
    """Architecture and numbers to start from, see `polyfield info`; else FILE's, else hash."""
    config: Annotated[Path | None, tyro.conf.arg(metavar="FILE.yaml")] = None
    """Changes to the preset, read before the flags; a run's config.yaml will do."""
    seed: Seed = 0
    """Seed of everything random."""
    threads: int | None = None
    """CPU threads; default as PyTorch chooses, one per core."""
    device: Annotated[str, tyro.conf.arg(metavar="auto|cpu|cuda[:N]")] = "auto"
    """Where to compute; auto is an NVIDIA GPU where there is one. A run may go on elsewhere."""
    resume: bool = False
    """Go on with RUN where it stopped; begin it where there is none."""
    overwrite: bool = False
    """Begin anew, whatever run is in RUN."""
    checkpoint_every: Annotated[
        float, tyro.conf.arg(metavar="SECONDS"), Range(0, 1e8, above=True)
    ] = 30.0
    """Wall time between two checkpoints."""
    view: bool = False
    """Show training in the browser, and the model after it until Ctrl-C; no number depends on it.
    """
    port: Annotated[int | None, Range(1, 65535)] = None
    """Where --view listens, for this machine alone; default the next free one from 8080 on."""
    quiet: bool = False
    """Print nothing but warnings and errors."""


def main(kind: str, arguments: Sequence[str]) -> None:
    """The command line of `fit KIND`: preset, then --config, then flags."""
    preset, file = (config_cli.value_of(name, arguments) for name in ("--preset", "--config"))
    preset = preset or (preset_of(Path(file)) if file else DEFAULT_PRESET)
    base = configured(kind_named(kind), preset, Path(file) if file else None)
    flags, task = read_task(FitFlags, base, arguments, f"fit {kind}")
    own: FitFlags = flags.own
    if own.port is not None and not own.view:
        raise InputError("--view with --port", str(own.port), "add --view, or drop --port")
    out = own.out or default_out(flags.data, preset)
    with Reporter(own.quiet) as reporter:
        fit(
            kind,
            flags.data,
            preset=preset,
            task=task,
            seconds=own.seconds,
            steps=own.steps,
            out=out,
            seed=own.seed,
            threads=own.threads,
            device=own.device,
            options=RunOptions(own.resume, own.overwrite, own.checkpoint_every),
            view=own.port or own.view,
            reporter=reporter,
        )


def read_task(
    own: type, base: Task[Any, Any], arguments: Sequence[str], verb: str, trees: bool = True
) -> tuple[Any, Task[Any, Any]]:
    """Read the flags of a verb and those of a task.

    Args:
        own: A dataclass of the verb's flags.
        base: The task as preset and file have it.
        arguments: The words after the verb.
        verb: As typed.
        trees: Whether the dotted flags of the task's trees are there too.

    Returns:
        An object with `data` and `own`, and the task with the changes made.

    Raises:
        InputError: an unknown flag, or a bad value.
    """
    kind = type(base)
    word, help_text = kind.source
    data = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar=word, help=help_text)]
    hints = _hints(kind)
    plain = [name for name in hints if name not in TREES]
    fields: list[Any] = [("data", data), ("own", own, dataclasses.field(default_factory=own))]
    fields += [(name, hints[name], _fixed(getattr(base, name))) for name in plain]
    command = make_dataclass("Flags", fields, namespace={"__doc__": kind.__doc__}, frozen=True)
    changeable = {name: getattr(base, name) for name in TREES if name in hints} if trees else {}
    given: tuple[Any, dict[str, Any]]
    given = config_cli.parse_with_trees(command, changeable, arguments, verb)
    flags, found = given
    values = {name: getattr(flags, name) for name in plain}
    task: Task[Any, Any] = replace(base, **found, **values)  # type: ignore[type-var]
    return flags, task


def _hints(kind: type) -> dict[str, Any]:
    """Annotations of a task's own fields, by name."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return {f.name: hints[f.name] for f in dataclasses.fields(kind)}


def _fixed(value: Any) -> Any:
    """A dataclass field with this default."""
    return dataclasses.field(default_factory=lambda: value)
