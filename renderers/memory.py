"""Rows that come back: what took long to find out is used more than once."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.encodings.devices import move


class Memory:
    """The last `capacity` rows stored, in a ring."""

    def __init__(self, capacity: int, width: int, device: torch.device) -> None:
        """An empty memory of rows of so many values."""
        self.rows = torch.zeros(capacity, width, device=device)
        self.stored = 0

    def __len__(self) -> int:
        """Rows there are."""
        return min(self.stored, len(self.rows))

    def draw(self, n: int, generator: torch.Generator) -> Float[Tensor, "n k"]:
        """So many of the rows, some perhaps twice; none if there are none yet."""
        if not len(self):
            return self.rows[:0]
        drawn = torch.randint(len(self), (n,), generator=generator)
        return self.rows[move(drawn, self.rows.device)]

    def store(self, rows: Float[Tensor, "n k"]) -> None:
        """Keep rows in place of the oldest."""
        rows = rows[-len(self.rows) :]
        place = torch.arange(self.stored, self.stored + len(rows), device=rows.device)
        self.rows[place % len(self.rows)] = rows
        self.stored += len(rows)

    def state(self) -> dict[str, Tensor]:
        """What resuming needs."""
        return {"rows": self.rows[: len(self)], "stored": torch.tensor(self.stored)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` gave."""
        self.stored = int(state["stored"])
        self.rows[: len(self)] = state["rows"].to(self.rows.device)
