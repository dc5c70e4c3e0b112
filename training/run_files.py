"""What the files of a run may say: each is looked through before anything of it is believed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polyfield.config import from_tree
from polyfield.errors import InputError

_CONFIG = {"kind": str, "data": str, "preset": str, "seed": int, "threads": int}
"""What config.yaml says besides the task."""
_WHOLE = ("steps", "samples", "parameters", "model_bytes")
_NUMBERS = ("seconds_training", "samples_per_second")
_PAIRS = ("_student", "_teacher", "_student_vs_teacher")
"""How names of scores and times end in the metrics of a distilled run."""


def checked_config(path: Path, tree: object) -> dict[str, Any]:
    """A run's config.yaml, its task not yet read.

    Args:
        path: The file, for messages.
        tree: As parsed; one of the first edition comes back as it would be written now.

    Raises:
        InputError: facts are missing, or of another type.
    """
    if not isinstance(tree, dict):
        raise InputError(f"a run's config.yaml in {path.parent}", "another file", "fit it again")
    for key, kind in _CONFIG.items():
        if type(tree.get(key)) is not kind:
            got = repr(tree[key])[:60] if key in tree else "none"
            what = "a whole number" if kind is int else "a word"
            raise InputError(f"{what} for {key} in {path}", got, "fit it again")
    return upgraded(tree)


def checked_metrics(path: Path, tree: object) -> dict[str, Any]:
    """A run's metrics.json: numbers or null where we go on with them.

    Raises:
        InputError: it is of another shape, or a value is of another type.
    """
    if not isinstance(tree, dict):
        raise InputError(f"names with values in {path}", "another file", "evaluate the run again")
    where, found = str(path), dict(tree)
    views = found.get("per_view", [])
    scores = from_tree(tuple[str, ...], found.get("scores", []), f"scores of {where}")
    for key, value in found.items():
        if key in _WHOLE:
            found[key] = from_tree(int | None, value, f"{key} of {where}")
        elif key in _NUMBERS or key in scores or key.endswith(_PAIRS):
            found[key] = from_tree(float | None, value, f"{key} of {where}")
    views = from_tree(tuple[Mapping[str, Any], ...], views, f"per_view of {where}")
    for view in views:
        for name in scores:
            from_tree(float | None, view.get(name), f"per_view {name} of {where}")
    return found


def checked_rows(path: Path, tree: object) -> list[dict[str, float]]:
    """A run's curve.json: rows of numbers; those with a null are left out.

    Raises:
        InputError: it is of another shape, or a value is of another type.
    """
    rows = tree.get("rows") if isinstance(tree, dict) else None
    found = from_tree(tuple[Mapping[str, float | None], ...], rows, f"rows of {path}")
    for row in found:
        if not {"seconds", "progress"} <= row.keys():
            raise InputError(f"seconds and progress in each row of {path}", "none", "delete it")
    return [dict(row) for row in found if None not in row.values()]


def checked_state(path: Path, meta: dict[str, Any]) -> dict[str, Any]:
    """The description of a checkpoint.

    Raises:
        InputError: it is none, or says what can't be.
    """

    def number(value: Any, whole: bool) -> bool:
        kinds = (int,) if whole else (int, float)
        is_one = isinstance(value, kinds) and not isinstance(value, bool)
        return is_one and math.isfinite(value) and value >= 0

    def row(values: Any) -> bool:
        # The loss and the score of a row may be NaN, never a word.
        return (
            isinstance(values, list)
            and len(values) == 3
            and number(values[0], False)
            and all(type(value) in (int, float) for value in values)
        )

    history = meta.get("history")
    wrong = [
        name
        for name, good in (
            ("kind", meta.get("kind") == "state"),
            ("step", number(meta.get("step"), True)),
            ("samples", number(meta.get("samples"), True)),
            ("seconds", number(meta.get("seconds"), False)),
            ("spent", isinstance(meta.get("spent"), bool)),
            ("history", isinstance(history, list) and all(map(row, history))),
        )
        if not good
    ]
    if wrong:
        raise InputError(
            f"a checkpoint with its {', '.join(wrong)} in {path}",
            "another file" if "kind" in wrong else "a damaged one",
            "begin anew with --overwrite",
        )
    return meta


def upgraded(tree: dict[str, Any]) -> dict[str, Any]:
    """A config.yaml of the first edition as it would be written now."""
    old = tree.get("distilled")
    if not isinstance(old, dict) or isinstance(old.get("method"), dict) or "loss" not in old:
        return tree
    keep = {key: old[key] for key in ("clamp", "stages", "inherit", "heads") if key in old}
    method = {"loss": old["loss"], **keep, "all_samples": not old.get("lend", True)}
    match old.get("method"):
        case "pvd-al":
            levels = old.get("levels")
            levels = levels if isinstance(levels, list) else []
            named = {"PvdActive": {**method, "al": ",".join(map(str, levels))}}
        case "kilonerf":
            method.pop("heads", None)
            named = {"KiloNerf": method}
        case "pvd":
            named = {"Pvd": method}
        case _:
            named = {"Values": {"loss": old["loss"], "slopes": 0.0}}
    new = {"teacher": old.get("teacher"), "method": named, "finetune": old.get("finetune")}
    return {**tree, "distilled": new}
