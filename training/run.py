"""The folder of a run: what lies in it, when it may be written, and how it goes on.

`config.yaml` what was asked; `model.safetensors` the model; `state.safetensors` one checkpoint;
`cameras.json` poses and lenses, `cameras_refined.json` where training moved them; `metrics.json`
what was measured, written last; `log/` TensorBoard; `preview.png`, `curve.png`, and for images
`prediction.*`; a distilled run has its `report.*`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from polyfield.devices import resolve
from polyfield.errors import InputError, WriteError, folder_refused
from polyfield.files import TEMPORARY, one_line, read_json, read_yaml, write_json, write_yaml
from polyfield.machine import peak_memory, versions
from polyfield.renderers.model import Model
from polyfield.renderers.model_files import load_model
from polyfield.tensors import load_meta, load_tensors, save_tensors
from polyfield.training.lock import NAME as LOCK
from polyfield.training.lock import WANTED
from polyfield.training.run_files import checked_config, checked_metrics, checked_state

Plan = Literal["fresh", "resume", "finished"]

_FILES = (
    "model.safetensors", "state.safetensors", "cameras.json", "metrics.json",
    "cameras_refined.json", "preview.png", "curve.png", "curve.json",
    "report.md", "report.json", "report.png",
)  # fmt: skip
# What may differ between a run and the command that resumes it.
_FREE = ("polyfield", "preset", "threads", "fingerprint", "read.memory", "all_views")


@dataclass(frozen=True)
class Run:
    """A folder of a run, by its path."""

    path: Path

    def file(self, name: str) -> Path:
        """The path of one of its files."""
        return self.path / name

    @property
    def is_there(self) -> bool:
        """Whether the folder holds a run, begun or finished."""
        with contextlib.suppress(OSError):  # a name that is too long, a folder not to be read
            return self.file("config.yaml").is_file()
        return False

    def config(self) -> dict[str, Any]:
        """What was asked for.

        Raises:
            InputError: there is no run, or its config.yaml is damaged.
        """
        if not self.is_there:
            raise InputError(
                "a RUN folder with config.yaml", f"{self.path}", "give the --out of a fit"
            )
        file = self.file("config.yaml")
        return checked_config(file, read_yaml(file))

    def metrics(self) -> dict[str, Any]:
        """What was measured so far; empty before the first measurement.

        Raises:
            InputError: metrics.json is of another shape.
        """
        path = self.file("metrics.json")
        return checked_metrics(path, read_json(path)) if path.is_file() else {}

    def state_meta(self) -> dict[str, Any]:
        """Where the checkpoint stands: step, seconds, samples, spent, history; empty if none.

        Raises:
            InputError: it is no checkpoint, or says what can't be.
        """
        path = self.file("state.safetensors")
        return checked_state(path, load_meta(path)) if path.is_file() else {}

    def save_state(self, state: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Write the checkpoint."""
        save_tensors(self.file("state.safetensors"), state, {"kind": "state", **meta})

    def load_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Read the checkpoint.

        Raises:
            InputError: it is no checkpoint, or says what can't be.
        """
        path = self.file("state.safetensors")
        tensors, meta = load_tensors(path)
        return tensors, checked_state(path, meta)

    def make(self) -> None:
        """Make the folder.

        Raises:
            InputError: the folder can't be made.
            WriteError: its disk is full or fails.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise folder_refused(self.path, error, WANTED) from None

    def begin(self, config: Mapping[str, Any]) -> None:
        """Make the folder, clear what an older run left in it, and write config.yaml.

        Raises:
            InputError: the folder can't be made or written.
            WriteError: its disk is full or fails.
        """
        self.make()
        try:
            self._clear()
            # Last, so that a run cut short here still shows which one it was.
            write_yaml(self.file("config.yaml"), dict(config))
        except WriteError:
            raise
        except OSError as error:
            raise folder_refused(self.path, error, WANTED) from None

    def tidy(self) -> None:
        """Remove what a killed process left half written."""
        for path in self.path.glob(f"{TEMPORARY}*"):
            if not path.is_dir():
                path.unlink()

    def _clear(self) -> None:
        """Remove a run's files but its config, and nothing a user may have put beside them."""
        for name in _FILES:
            self.file(name).unlink(missing_ok=True)
        for path in self.path.glob("prediction.*"):
            path.unlink()
        self.tidy()
        if self.file("log").is_dir():  # opening a pipe of that name would wait for ever
            shutil.rmtree(self.file("log"), ignore_errors=True)


def plan(
    run: Run,
    config: Mapping[str, Any],
    resume: bool,
    overwrite: bool,
    completed: Callable[[dict[str, Any]], dict[str, Any]] = dict,
) -> Plan:
    """Whether to begin, to go on, or that there is nothing left to do. Writes nothing.

    Args:
        run: Where to.
        config: What is asked for now.
        resume: Go on with a run of the same config; begin where there is none.
        overwrite: Begin anew, whatever run was there.
        completed: Adds to an older version's config what it did not know yet.

    Raises:
        InputError: the folder is taken, or a run of another config is to be resumed.
    """
    if resume and overwrite:
        raise InputError("--resume or --overwrite", "both", "drop one of them")
    try:
        run.path.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise InputError(
            "a folder for --out", f"{run.path}: {one_line(error)}", "choose another --out"
        ) from None
    if run.path.exists() and not run.path.is_dir():
        raise InputError("a folder for --out", f"the file {run.path}", "choose another --out")
    _check_writable(run.path)
    rest = (TEMPORARY, LOCK)
    if not run.path.exists() or all(p.name.startswith(rest) for p in run.path.iterdir()):
        return "fresh"
    if not run.is_there:
        raise InputError(
            "--out to be new, empty or a run",
            f"{run.path} with other files",
            "choose another --out",
        )
    _check_files(run)
    if overwrite:
        return "fresh"
    if not resume:
        raise InputError(
            "a new folder for --out",
            f"{run.path}, which holds a run",
            "add --resume or --overwrite, or choose another --out",
        )
    changes = _changes(completed(run.config()), config)
    if changes:
        raise InputError(
            f"the command that began {run.path}",
            "; ".join(changes[:3]),
            "give the old value, or --overwrite, or another --out",
        )
    meta = run.state_meta()
    if not meta:
        return "fresh"
    done = meta.get("spent") and run.metrics().get("steps") == meta["step"]
    return "finished" if done else "resume"


def check_fingerprint(run: Run, fingerprint: str) -> None:
    """Raise unless the data is what the run began with.

    Raises:
        InputError: other pixels or cameras.
    """
    if run.config().get("fingerprint") != fingerprint:
        raise InputError(
            f"the data that {run.path} began with",
            "other pixels or cameras under the same path, or a run that another version began",
            "give --overwrite or another --out",
        )


def model_fingerprint(run: Run) -> str:
    """What a run's model is recognised by: a digest of its file."""
    return hashlib.sha256(run.file("model.safetensors").read_bytes()).hexdigest()[:16]


def load(path: str | os.PathLike[str], device: str = "cpu") -> Model:
    """Load a trained model.

    Args:
        path: A RUN folder, or a model.safetensors alone.
        device: Where the model goes: auto, cpu, cuda or cuda:N. What it is asked must lie there;
            what it renders is on the CPU.

    Returns:
        A model with `.field`, `.bounds` and `.render`.

    Raises:
        InputError: no model there, a file that is damaged, foreign or newer, or no such device.
    """
    place = Path(path)
    file = place / "model.safetensors" if place.is_dir() else place
    if not file.is_file():
        raise InputError(
            "a RUN folder with model.safetensors, or that file",
            f"{path}",
            "check the path, or fit a model first",
        )
    model = load_model(file)
    # What is read onto the CPU may go on to a GPU: that much is possible with every backend.
    return model if device == "cpu" else model.to(resolve(device))


def load_as(run: Run, kind: str, device: torch.device) -> Any:
    """The model of a run, which must be of the kind that its config.yaml says.

    Raises:
        InputError: as `load`, or it is of another kind.
    """
    model = load(run.path)
    if model.kind != kind:
        raise InputError(
            f"the model of kind {kind} that {run.path} was fitted to",
            f"one of kind {model.kind}",
            "copy its model.safetensors again, or fit anew with --overwrite",
        )
    return model.to(device)


def update_metrics(run: Run, found: Mapping[str, Any]) -> dict[str, Any]:
    """Write metrics.json: what it held, with what was found now."""
    metrics = {**run.metrics(), **found}
    write_json(run.file("metrics.json"), metrics)
    return metrics


def facts(run: Run, model: nn.Module) -> dict[str, Any]:
    """What metrics.json says beside the quality: effort, size, versions.

    Args:
        run: With a checkpoint.
        model: Its model, as saved.
    """
    meta, config = run.state_meta(), run.config()
    seconds, samples = meta.get("seconds", 0.0), meta.get("samples", 0)
    return {
        "seconds_training": seconds,
        "steps": meta.get("step", 0),
        "samples": samples,
        "samples_per_second": samples / seconds if seconds else None,
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "model_bytes": run.file("model.safetensors").stat().st_size,
        "peak_memory_bytes": peak_memory(),
        "seed": config["seed"],
        "threads": config["threads"],
        "device": meta.get("device", "cpu"),
        "versions": versions(),
    }


def _check_files(run: Run) -> None:
    """Raise if a folder, a pipe ... stands where a file of the run is to be written."""
    for name in (*_FILES, *(path.name for path in run.path.glob("prediction.*"))):
        path = run.file(name)
        if path.exists() and not path.is_file():
            raise InputError(
                f"{path} to be a file or absent",
                "a folder" if path.is_dir() else "another thing",
                "move it away, or choose another --out",
            )
    log = run.file("log")
    if log.exists() and not log.is_dir():
        raise InputError(
            f"{log} to be a folder or absent", "a file", "move it away, or choose another --out"
        )


def _check_writable(path: Path) -> None:
    """Raise if the folder, or the nearest one above it that exists, can't be written."""
    folder = path
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(WANTED, f"{folder}, which can't be", "choose another --out")


def _changes(old: Mapping[str, Any], new: Mapping[str, Any], where: str = "") -> list[str]:
    """Where two config trees differ, as "seed 1 instead of 0"."""
    found = []
    for key in dict.fromkeys((*old, *new)):
        name = f"{where}.{key}" if where else str(key)
        before, now = old.get(key), new.get(key)
        # An option of reading that one of the two does not know yet, or any more, is no change.
        unknown = where == "read" and not (key in old and key in new)
        if before == now or name in _FREE or unknown:
            continue
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            found += _changes(before, now, name)
        else:
            found.append(f"{name} {now} instead of {before}")
    return found
