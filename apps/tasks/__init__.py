"""The kinds of data, one file each. `KINDS` is THE list; the command line reads only names."""

from __future__ import annotations

from importlib import import_module
from typing import Any

KINDS: dict[str, tuple[str, str]] = {
    "scene": ("polyfield.apps.tasks.scene:Scene", "a scene, from posed images"),
    "image": ("polyfield.apps.tasks.image:Image", "an image"),
    "sound": ("polyfield.apps.tasks.sound:Sound", "a sound"),
}
"""Name -> (module:class, what it is in words)."""


def task_class(kind: str) -> Any:
    """The class of a kind.

    Raises:
        KeyError: there is no such kind.
    """
    module, _, name = KINDS[kind][0].partition(":")
    return getattr(import_module(module), name)
