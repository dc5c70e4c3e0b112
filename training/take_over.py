"""A checkpoint into a loop that was built anew: all of it, or one line on what does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from polyfield.errors import InputError
from polyfield.training.loop import Fit

_GROWING = "objective."
"""Tensors of an objective may grow as it trains; the shapes of all others the loop decides."""


def take_over(loop: Fit, state: Mapping[str, Tensor], meta: Mapping[str, Any], place: Path) -> None:
    """Load a checkpoint.

    Args:
        loop: Built anew, of the same configs and data.
        state: The checkpoint's tensors.
        meta: Its description, whose numbers are of the right kinds.
        place: The run's folder, for messages.

    Raises:
        InputError: a tensor is not of this loop, or has values that training can't have left.
    """
    wrong = _unfit(loop, state, meta)
    try:
        if not wrong:
            loop.load_state(state)
            return
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        wrong = [" ".join(str(error).split())[:60]]
    raise InputError(
        f"the checkpoint of this run in {place}",
        f"one whose {wrong[0]} does not fit",
        "begin anew with --overwrite",
    )


def _unfit(loop: Fit, state: Mapping[str, Tensor], meta: Mapping[str, Any]) -> list[str]:
    """Names of the tensors that can't be those of this loop."""
    own = loop.state()
    wrong = [
        name
        for name, tensor in own.items()
        if name not in state
        or (not name.startswith(_GROWING) and state[name].shape != tensor.shape)
        or state[name].dtype != tensor.dtype
    ]
    wrong += [name for name in state if not name.startswith(_GROWING) and name not in own]
    if wrong:
        return wrong
    step, seconds, samples, scale, rewinds = state["progress"].tolist()
    facts = (meta["step"], meta["samples"]) == (step, samples)
    if not (facts and seconds >= 0 and 0 < scale <= 1 and rewinds >= 0):
        return ["progress"]
    finite = {"progress", *(name for name, _ in loop.parameters())}
    finite |= {name for name in own if name.startswith("optimizer.")}
    wrong = [name for name in finite if not bool(state[name].isfinite().all())]
    # A grid of occupancy is infinite where nobody has looked.
    wrong += [name for name, tensor in state.items() if bool(tensor.isnan().any())]
    # Counts of an objective: rays, places in an order ...
    whole = (n for n, t in state.items() if n.startswith(_GROWING) and t.dtype == torch.int64)
    wrong += [n for n in whole if state[n].numel() and not 0 <= int(state[n].min())]
    # Where a field lies in the world is the data's, not learned.
    boxes = [name for name in own if name.endswith("domain.bounds")]
    wrong += [name for name in boxes if not state[name].equal(own[name].to(state[name].device))]
    return wrong
