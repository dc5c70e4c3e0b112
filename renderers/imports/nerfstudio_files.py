"""The files of a training of nerfstudio: where they lie and what its config.yml says.

A training leaves config.yml, dataparser_transforms.json and nerfstudio_models/step-NNNNNNNNN.ckpt
in one folder. config.yml names classes of Python by tags; here those are plain keys and words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from polyfield.errors import InputError, shown
from polyfield.files import YAML_BYTES, read_text
from polyfield.renderers.imports.snapshot import Tree
from polyfield.renderers.imports.torch_zip import START
from polyfield.yaml_text import parse_yaml

CONFIG = "config.yml"
SAVED, YAML = (".ckpt", ".pt", ".pth"), (".yml", ".yaml")
"""How names of what torch saved, and of a config, end."""
_STEP = re.compile(r"step-(\d{1,18})\.ckpt$")
_TAG = b"!!python"
_COPY = "copy the whole folder of the training"


@dataclass(frozen=True)
class Training:
    """A training's files."""

    config: Path
    """Its config.yml."""
    checkpoint: Path
    """The one asked for, or the latest."""


def looks_like_one(path: Path, start: bytes) -> bool:
    """Whether a path is a training's folder, its config.yml or a checkpoint.

    Args:
        path: anything.
        start: its first bytes; none of a folder.
    """
    if path.is_dir():
        return (path / CONFIG).is_file() or bool(_checkpoints(path))
    if path.suffix in YAML:
        return start.startswith(_TAG)
    return path.suffix in SAVED and start.startswith(START)


def training_at(path: Path) -> Training:
    """The files beside one of them.

    Args:
        path: the folder, its config.yml, a checkpoint, or the folder of the checkpoints.

    Raises:
        InputError: config.yml or the checkpoint is missing.
    """
    is_file = not path.is_dir()
    chosen = path if is_file and path.suffix not in YAML else None
    folder = path.parent if is_file else path
    found = [f for f in (folder, folder.parent) if (f / CONFIG).is_file()]
    config = path if is_file and chosen is None else next((f / CONFIG for f in found), None)
    if config is None:
        raise InputError(
            f"nerfstudio's {CONFIG} beside {shown(path)} or one folder above", "none", _COPY
        )
    if chosen is None:
        places = (folder, folder / "nerfstudio_models", config.parent / "nerfstudio_models")
        steps = [step for place in places for step in _checkpoints(place)]
        if not steps:
            raise InputError(
                f"a checkpoint nerfstudio_models/step-NNNNNNNNN.ckpt in {shown(folder)}",
                "none",
                _COPY,
            )
        chosen = max(steps)[1]
    return Training(config, chosen)


def _checkpoints(folder: Path) -> list[tuple[int, Path]]:
    if not folder.is_dir():
        return []
    found = ((_STEP.search(path.name), path) for path in sorted(folder.iterdir()))
    return [(int(match[1]), path) for match, path in found if match]


def read_config(path: Path) -> Tree:
    """What a config.yml says.

    Raises:
        InputError: no such file, no YAML, or not of nerfstudio.
    """
    tree = parse_yaml(read_text(path, "a config.yml of nerfstudio", YAML_BYTES), str(path), True)
    if not isinstance(tree, dict) or not isinstance(tree.get("pipeline"), dict):
        raise InputError(f"a config.yml of nerfstudio at {shown(path)}", "another", _COPY)
    return Tree(tree, path.name)
