"""Polyfield as a method of nerfbaselines: its Method protocol, of nerfbaselines 1.2.12.

It needs nothing of nerfbaselines: the protocol is a form. Training is the loop of `polyfield fit
scene` step by step, with the same numbers; its checkpoint is our model file and our state of
training, so `polyfield.load(CHECKPOINT/model.safetensors)` renders it too.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from polyfield.apps.integrations.nerfbaselines_data import MODELS, camera_of, write_capture
from polyfield.apps.tasks.scene import Scene
from polyfield.config import nearest
from polyfield.devices import resolve
from polyfield.errors import InputError, shown
from polyfield.files import check_file, read_json, write_json
from polyfield.renderers.model_files import load_model, save_model
from polyfield.renderers.radiance_model import RadianceModel
from polyfield.tensors import load_tensors, save_tensors
from polyfield.training.loop import Fit
from polyfield.training.stopwatch import Stopwatch

MODEL, STATE, ABOUT = "model.safetensors", "state.safetensors", "polyfield.json"
DEFAULTS: dict[str, Any] = {"preset": "hash", "iterations": 5000, "seed": 0, "device": "auto"}
"""What `--set NAME=VALUE` changes."""
TRAINING = "training"
"""The kind of a state."""
AGAIN = "give a folder that save wrote, whole"


class PolyfieldMethod:
    """A radiance field that is trained step by step.

    Args:
        checkpoint: a folder that `save` wrote; None to begin.
        train_dataset: nerfbaselines' data set with its images; None to render alone.
        config_overrides: of `DEFAULTS`.

    Raises:
        InputError: an unknown option, a data set that can't be read, a checkpoint that isn't one.
    """

    def __init__(
        self,
        *,
        checkpoint: str | None = None,
        train_dataset: Any = None,
        config_overrides: dict[str, Any] | None = None,
    ) -> None:
        self.checkpoint, self.step, self.loaded = checkpoint, 0, None
        about: dict[str, Any] = {"hparams": {}}
        if checkpoint is not None:
            about = _about(Path(checkpoint) / ABOUT)
            self.step = self.loaded = about["step"]
        self.hparams = _options({**about["hparams"], **(config_overrides or {})})
        self.device = resolve(str(self.hparams["device"]))
        self._loop: Fit | None = None
        if train_dataset is not None:
            self._loop = self._begin(train_dataset)
        elif checkpoint is None:
            raise InputError("a train_dataset or a checkpoint", "neither", "give one")
        else:
            model = load_model(Path(checkpoint) / MODEL)
            if model.kind != Scene.kind:
                raise InputError(f"a {Scene.kind} in {checkpoint}", model.kind, "give another")
            self.model = cast(RadianceModel, model).to(self.device).eval()

    def _begin(self, dataset: Any) -> Fit:
        """The loop at its first step, or where the checkpoint stopped."""
        presets = Scene.presets()
        name = str(self.hparams["preset"])
        if name not in presets:
            raise InputError(
                f"a preset: {', '.join(presets)}", repr(name), nearest(name, presets, "pick one")
            )
        task = presets[name]
        fit = replace(task.fit, seconds=None, steps=int(self.hparams["iterations"]))
        behind = dataset.get("metadata", {}).get("background_color")
        background = task.background
        if behind is not None and not np.all(np.asarray(behind) == 255):
            background = ",".join(f"{value / 255:.9g}" for value in np.asarray(behind).tolist())
        task = replace(task, fit=fit, background=background)
        seed = int(self.hparams["seed"])
        with tempfile.TemporaryDirectory(prefix="polyfield-") as folder:
            write_capture(Path(folder), dataset)
            data = task.open(folder)
            torch.manual_seed(seed)
            self.model = task.model(data).to(self.device)
            training = task.training(self.model, data, seed)
        loop = Fit(
            training.field, training.objective, training.fit, training.parts, training.finish
        )
        if self.checkpoint is not None:
            path = Path(self.checkpoint) / STATE
            state, meta = load_tensors(path, str(self.device))
            if meta.get("kind") != TRAINING:
                raise InputError(
                    f"a state of training at {shown(path)}",
                    f"kind {str(meta.get('kind'))[:40]!r}",
                    AGAIN,
                )
            try:
                loop.load_state(state)
            except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
                raise InputError(
                    f"the state of this training at {shown(path)}",
                    f"one that does not fit: {' '.join(str(error).split())[:60]}",
                    AGAIN,
                ) from None
        return loop

    @classmethod
    def get_method_info(cls) -> dict[str, Any]:
        """What it needs and gives."""
        return {
            "method_id": "polyfield",
            "required_features": frozenset(("color",)),
            "supported_camera_models": frozenset(MODELS),
            "supported_outputs": ("color", "depth", "accumulation"),
            "can_resume_training": True,
        }

    def get_info(self) -> dict[str, Any]:
        """The same, and how far it is."""
        return {
            **self.get_method_info(),
            "num_iterations": int(self.hparams["iterations"]),
            "loaded_step": self.loaded,
            "loaded_checkpoint": self.checkpoint,
            "hparams": self.hparams,
        }

    def train_iteration(self, step: int) -> dict[str, float]:
        """One step of training; the last one finishes it, as a fit does.

        Raises:
            FitError: training did not stay finite.
        """
        assert self._loop is not None, "made with a train_dataset"
        with Stopwatch() as watch:
            self._loop.advance(watch)
        if self._loop.progress.fraction >= 1:
            self._loop.finish()
        self.step = step + 1
        numbers = self._loop.progress.numbers
        loss = self._loop.progress.loss
        return {"loss": loss, "mse": numbers.get("mse", loss)}

    @torch.no_grad()
    def render(self, camera: Any, *, options: dict[str, Any] | None = None) -> dict[str, Any]:
        """What one of nerfbaselines' cameras sees: color [h, w, 3] in [0,1], depth, accumulation.

        Depth is in the data's units, along the ray.
        """
        was = self.model.training
        seen = self.model.eval().render(camera_of(camera))
        self.model.train(was)
        return {
            "color": seen.color.clamp(0, 1).numpy(),
            "depth": seen.depth.numpy(),
            "accumulation": seen.opacity.numpy(),
        }

    def save(self, path: str) -> None:
        """Write the model, what resuming needs, and the options.

        Raises:
            InputError: the checkpoint that is copied has no state of training.
        """
        folder = Path(path)
        if self._loop is None and self.checkpoint is not None:
            check_file(Path(self.checkpoint) / STATE, "the checkpoint's state of training")
        folder.mkdir(parents=True, exist_ok=True)
        save_model(folder / MODEL, self.model)
        if self._loop is not None:
            save_tensors(folder / STATE, self._loop.state(), {"kind": TRAINING})
        elif self.checkpoint is not None and Path(self.checkpoint).resolve() != folder.resolve():
            shutil.copyfile(Path(self.checkpoint) / STATE, folder / STATE)
        write_json(folder / ABOUT, {"step": self.step, "hparams": self.hparams})

    def get_train_embedding(self, index: int) -> None:
        """None: nothing is learned of single images."""
        return None

    def optimize_embedding(self, dataset: Any, *, embedding: Any = None) -> Any:
        """Not there: nothing is learned of single images."""
        raise NotImplementedError("nothing is learned of single images")


def _about(path: Path) -> dict[str, Any]:
    """What `save` wrote of a checkpoint: its step, and its options.

    Raises:
        InputError: no such file, or one that says something else.
    """
    found = read_json(path)
    if not isinstance(found, dict):
        raise InputError(f"an object in {shown(path)}", f"a {type(found).__name__}", AGAIN)
    for key, kind, what in (("step", int, "a step of 0 or more"), ("hparams", dict, "options")):
        value = found.get(key)
        if type(value) is not kind or (isinstance(value, int) and value < 0):
            got = repr(value)[:40] if key in found else "none"
            raise InputError(f'{what} for "{key}" in {shown(path)}', got, AGAIN)
    return found


def _options(given: dict[str, Any]) -> dict[str, Any]:
    """The options, of the types of `DEFAULTS`.

    Raises:
        InputError: an unknown one, or a value of another type.
    """
    found = dict(DEFAULTS)
    for name, value in given.items():
        if name not in DEFAULTS:
            raise InputError(
                f"--set with one of {', '.join(DEFAULTS)}",
                repr(name),
                nearest(name, DEFAULTS, "pick one"),
            )
        try:
            found[name] = type(DEFAULTS[name])(value)
        except (TypeError, ValueError):
            raise InputError(f"a whole number for {name}", repr(value), "change it") from None
    if found["iterations"] < 1:
        raise InputError("iterations of 1 or more", str(found["iterations"]), "raise it")
    return found
