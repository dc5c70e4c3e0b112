"""Values of a field against the values of a signal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from polyfield.devices import move
from polyfield.errors import InputError
from polyfield.fields.base import SignalField
from polyfield.ranges import Range, check
from polyfield.scenes.base import Signal
from polyfield.training.objectives.residuals import LossName, loss_of
from polyfield.training.team import current


@dataclass(frozen=True)
class Regression:
    """Values of a field against the values of a signal."""

    batch: Annotated[int, Range(0, 1 << 22)] = 16384
    """Samples a step; 0 takes all of them."""
    loss: LossName = "mse"
    """Of the difference in value."""

    def build(
        self, signal: Signal, field: SignalField, seed: int, kept: Tensor | None = None
    ) -> RegressionObjective:
        """The objective; `kept` are the numbers of the samples to learn from, all if None."""
        check(self)
        return RegressionObjective(self, signal, field, seed, kept)

    def resized(self, batch: int | None) -> Regression:
        """The same with another batch; None takes all samples."""
        return replace(self, batch=0 if batch is None else batch)


WHOLE, SLICE = 1 << 14, 1 << 13
"""Batches of more than WHOLE pixels add up gradients in slices: activations then stay in caches."""
ROOM = 1 << 18
"""Both on a GPU: there only the memory counts."""


class RegressionObjective:
    """Walks through all samples in random order, again and again.

    Where a step takes the whole signal and the field would rather have a grid, it gets one.
    """

    def __init__(
        self,
        config: Regression,
        signal: Signal,
        field: SignalField,
        seed: int,
        kept: Tensor | None = None,
    ) -> None:
        team = current()
        if team.size > 1 and (field.takes_errors or field.prefers_grid):
            raise InputError(
                "one process for a field that learns from all errors, or on a grid",
                f"{team.size}",
                "start it without torchrun",
            )
        self.config, self.signal, self.field, self.team = config, signal, field, team
        self.x, self.value = signal.all()
        weight = signal.detail(kept) if field.takes_points else None
        if kept is not None:
            kept = move(kept, self.x.device)
            self.x, self.value = self.x[kept], self.value[kept]
            weight = None if weight is None else weight[kept]
        if weight is not None:
            field.init_from_points(self.x, weight)
        self.batch = min(config.batch or len(self.x), len(self.x))
        on_cpu = self.x.device.type == "cpu"
        self.whole, self.slice = (WHOLE, SLICE) if on_cpu else (ROOM, ROOM)
        self.axes: list[Tensor] | None = None
        self.kept = kept
        if field.prefers_grid and self.batch == len(self.x):
            self.axes = signal.axes()
        self.generator = torch.Generator().manual_seed(seed)
        self.position = 0
        self._shuffle()

    def _shuffle(self) -> None:
        """A new order, sorted within each batch: neighbours share entries of a grid, and so caches.

        The generator's state before it is what resuming needs.
        """
        self.before = self.generator.get_state()
        order = torch.randperm(len(self.x), generator=self.generator).numpy()
        # The batch of each sample, then samples by batch: a radix sort, where numbers are short.
        number = np.arange(len(order)) // self.batch
        of = np.empty(len(order), np.uint16 if number[-1] < 1 << 16 else np.int64)
        of[order] = number
        self.order = move(torch.from_numpy(of.argsort(kind="stable")), self.x.device)

    def __call__(self, step: int, progress: float) -> tuple[Tensor, dict[str, float]]:
        """Loss of the next samples."""
        if self.axes is not None:
            # Samples are counted with the first coordinate running fastest.
            grid = self.field.on_grid(self.axes)
            values = grid.permute(*reversed(range(len(self.axes))), -1).flatten(0, -2)
            values = values if self.kept is None else values.index_select(0, self.kept)
            return self._judge(self.x, values - self.value)
        batch = self.batch
        if self.position + batch > len(self.x):
            self._shuffle()
            self.position = 0
        pick = self.order[self.position : self.position + batch]
        self.position += batch
        pick = pick[self.team.share(batch)]
        if batch <= self.whole:
            x = self.x.index_select(0, pick)
            loss, numbers = self._judge(x, self.field(x) - self.value.index_select(0, pick))
            if self.team.size == 1:
                return loss, numbers
            share = len(x) / batch
            return loss * share, self._numbers(*self.team.totals(numbers["mse"] * share, len(x)))
        total, square = 0.0, 0.0
        for part in pick.split(self.slice):
            x, share = self.x.index_select(0, part), len(part) / batch
            residual = self.field(x) - self.value.index_select(0, part)
            loss, numbers = self._judge(x, residual)
            (loss * share).backward()
            total, square = total + loss.item() * share, square + numbers["mse"] * share
        return torch.tensor(total), self._numbers(*self.team.totals(square, len(pick)))

    def _judge(self, x: Tensor, residual: Tensor) -> tuple[Tensor, dict[str, float]]:
        if self.field.takes_errors:
            self.field.update_error(x, residual.detach().square().mean(-1))
        loss, mse = loss_of(self.config.loss, residual)
        return loss, self._numbers(mse, len(x))

    @staticmethod
    def _numbers(mse: float, samples: float) -> dict[str, float]:
        return {"mse": mse, "samples": float(samples)}

    def state(self) -> dict[str, Tensor]:
        """Position in the current order, and the generator before it was drawn."""
        return {"position": torch.tensor(self.position), "generator": self.before}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` gave."""
        self.generator.set_state(state["generator"])
        self._shuffle()
        self.position = int(state["position"])
        if not 0 <= self.position <= len(self.x):
            raise ValueError(f"position {self.position} of {len(self.x)}")
