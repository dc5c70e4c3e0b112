"""Questions to a slow teacher that come back with the answers it gave.

Not of any paper. A step asks the teacher about a new batch; where the teacher's part of a step is
much longer than the student's, only each `times`th step does, and the others take one of the last
KEPT batches again. Released PVD asks at every step, KiloNeRF's asks before training, once.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from polyfield.fields.base import RadianceField

KEPT = 16
"""Batches that can come back."""
MOST = 8
"""Most times that an answer is used, on average."""
TRAINED = 3
"""A training step of a network costs so many times its evaluation."""
REST = 50_000
"""What a point costs beside dense networks, in values of such: grids, banks, compositing."""

Batch = dict[str, Tensor]
"""Tensors by name; the replay doesn't know what they are."""


def times_used(teacher: RadianceField, student: RadianceField) -> int:
    """How often an answer is to be used, by the values of dense networks: the same everywhere."""
    asked, taught = (
        sum(p.numel() for p in field.groups().get("network", [])) for field in (teacher, student)
    )
    return min(max(round(asked / (TRAINED * taught + REST)), 1), MOST)


class TeacherCache:
    """The last batches, and whose turn it is."""

    def __init__(self, times: int) -> None:
        """Nothing is kept if `times` is 1."""
        self.times, self.turn = times, 0
        self.batches: list[Batch] = []

    def draw(self, generator: torch.Generator) -> Batch | None:
        """A batch of before, or None if a new one is due; then `keep` it."""
        self.turn += 1
        if (self.turn - 1) % self.times == 0:
            return None
        return self.batches[int(torch.randint(len(self.batches), (), generator=generator))]

    def keep(self, batch: Batch) -> None:
        """Have a batch come back; the oldest of many goes."""
        if self.times > 1:
            self.batches = [*self.batches, batch][-KEPT:]

    def state(self) -> dict[str, Tensor]:
        """What resuming needs; names begin with "replay."."""
        kept = {
            f"replay.{number}.{name}": tensor
            for number, batch in enumerate(self.batches)
            for name, tensor in batch.items()
        }
        return {"replay.turn": torch.tensor(self.turn), **kept}

    def load_state(self, state: Mapping[str, Tensor], device: torch.device) -> None:
        """Take over what `state` gave, among other tensors."""
        self.turn = int(state["replay.turn"])
        kept = [key.split(".", 2) for key in state if key.startswith("replay.")]
        kept = [parts for parts in kept if len(parts) == 3]
        self.batches = [{} for _ in {number for _, number, _ in kept}]
        for _, number, name in kept:
            self.batches[int(number)][name] = state[f"replay.{number}.{name}"].to(device)
