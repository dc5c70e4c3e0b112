"""What a run saves and a user loads: a field and all that is needed to render it, in one file.

The file is safetensors. Its metadata is JSON: the kind of data, the layout of the model, config
tree, bounds, colour space ... Nothing in it can run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from polyfield.allocation import within_memory
from polyfield.errors import InputError, MissingBackend
from polyfield.renderers.model import Model
from polyfield.renderers.radiance_meta import radiance_of
from polyfield.renderers.signal_model import signal_of
from polyfield.tensors import load_tensors, save_tensors


def save_model(path: Path, model: Model, extra: Mapping[str, Any] | None = None) -> None:
    """Write the model file, whole or not at all; `extra` joins the metadata."""
    save_tensors(path, model.state_dict(), {**model.describe(), **(extra or {})})


_LAYOUTS: dict[str, Callable[[dict[str, Any]], Model]] = {
    "radiance": radiance_of,
    "signal": signal_of,
}


def load_model(path: Path) -> Model:
    """Read a model file, onto the CPU.

    Raises:
        InputError: no such file, truncated, foreign, newer, or its parts don't fit together.
    """
    tensors, meta = load_tensors(path)
    try:
        # In files of the first edition the layout was called the kind.
        build = _LAYOUTS[meta.get("model", meta["kind"])]
        with within_memory("the model"):
            model = build(meta)
        boxes = {n: b.clone() for n, b in model.named_buffers() if n.endswith("domain.bounds")}
        model.load_state_dict(tensors)
        wrong = [n for n, p in model.named_parameters() if not bool(p.isfinite().all())]
        # A grid of occupancy is infinite where nobody has looked.
        wrong += [n for n, b in model.named_buffers() if bool(b.isnan().any())]
        if wrong:
            raise ValueError(f"{wrong[0]} is not finite")
        moved = [n for n, b in model.named_buffers() if n in boxes and not b.equal(boxes[n])]
        if moved:
            raise ValueError(f"{moved[0]} is not the box of its metadata")
    except MissingBackend:
        raise
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            "a whole polyfield model",
            f"{path}, whose parts don't fit ({' '.join(str(error).split())[:80]})",
            "train it again, or use the version of polyfield that wrote it",
        ) from None
    return model.eval()
