"""THE optimisation loop: images, scenes and distillation are objectives of it.

Symbols: progress p in [0, 1] is the share of the budget (steps or seconds) that is spent; a group's
rate at p is rate * min(1, p / warm_up) * final^q * drop^k with q = max(0, p - hold) / (1 - hold)
and k the number of `drops` that p has reached.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from polyfield.devices import wait
from polyfield.errors import InputError
from polyfield.fields.base import Field
from polyfield.ranges import Count, Range, check
from polyfield.training.adam import Adam
from polyfield.training.kernels.adam import AdamNumbers
from polyfield.training.stopwatch import Stopwatch
from polyfield.training.team import current

GUARD = 50
"""Steps between looks at the parameters and copies of the last good state."""
TRIES = 3
"""Rewinds before giving up."""


@runtime_checkable
class Objective(Protocol):
    """What is minimised: a callable with state."""

    def __call__(self, step: int, progress: float) -> tuple[Tensor, dict[str, float]]:
        """Scalar loss and numbers to log; "samples" counts field evaluations with gradient.

        A loss without a graph says that its gradients are there already.
        """
        ...

    def state(self) -> dict[str, Tensor]:
        """What resuming needs."""
        ...

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` gave."""
        ...


@dataclass(frozen=True)
class FitConfig:
    """Budget, rates and schedule."""

    seconds: Annotated[float, Range(0, 1e8, above=True)] | None = None
    """Training time in seconds."""
    steps: Annotated[int, Range(1, 10**9)] | None = None
    """Training steps; excludes seconds."""
    rates: Annotated[Mapping[str, float], Range(0, 100), Count(0, 64)] = field(
        default_factory=lambda: {"table": 1e-2, "network": 1e-2}
    )
    """Adam's learning rate of each parameter group."""
    warm_up: Annotated[float, Range(0, 1)] = 0.0
    """Share of the budget in which rates rise from 0."""
    hold: Annotated[float, Range(0, 1)] = 0.0
    """Share of the budget before rates fall."""
    final: Annotated[float, Range(0, 100, above=True)] = 0.03
    """Rate at the end over the rate at the start; the fall is exponential."""
    drops: Annotated[tuple[float, ...], Range(0, 1), Count(0, 64)] = ()
    """Shares of the budget at which rates are multiplied by `drop`."""
    drop: Annotated[float, Range(0, 100)] = 0.1
    """What rates are multiplied by at each of `drops`."""
    beta1: Annotated[float, Range(0, 1, below=True)] = 0.9
    """Adam's first-moment decay."""
    beta2: Annotated[float, Range(0, 1, below=True)] = 0.99
    """Adam's second-moment decay."""
    eps: Annotated[float, Range(0, 1, above=True)] = 1e-15
    """Adam's epsilon."""
    decay: Annotated[float, Range(0, 100)] = 0.0
    """Decoupled weight decay of all groups but "table"."""

    def __post_init__(self) -> None:
        if self.seconds is not None and self.steps is not None:
            raise InputError("seconds or steps", "both", "give one of them")


@dataclass
class Progress:
    """Where a fit is."""

    step: int = 0
    """Steps done."""
    seconds: float = 0.0
    """Training time spent."""
    fraction: float = 0.0
    """Share of the budget spent."""
    loss: float = math.nan
    """Loss of the last step."""
    numbers: dict[str, float] = field(default_factory=dict)
    """What the objective logged."""
    samples: int = 0
    """Field evaluations with gradient so far."""
    rate_scale: float = 1.0
    """Halved each time training had to rewind."""
    rewinds: int = 0
    """Times training had to rewind."""


class FitError(RuntimeError):
    """Training stopped being finite, again and again."""


def nothing() -> None:
    """Do nothing: what is left to do when most fits have ended."""


class Fit:
    """One run of the loop. Train with `run`; `state` and `load_state` let it stop and go on."""

    def __init__(
        self,
        field: Field,
        objective: Objective,
        config: FitConfig,
        parts: Mapping[str, nn.Module] | None = None,
        finish: Callable[[], None] = nothing,
    ) -> None:
        """A fresh run; config must have a budget.

        Args:
            field: What learns.
            objective: What it learns from.
            config: Budget, and a rate for each group of the field and each part.
            parts: What learns beside the field, by name: each is a group of parameters.
            finish: Called when the budget is spent; its time counts.
        """
        check(config, "fit")
        assert (config.seconds is None) != (config.steps is None), "a budget"
        self.field, self.objective, self.config = field, objective, config
        self._finish = finish
        parts = parts or {}
        self.modules: dict[str, nn.Module] = {"field": field, **parts}
        self.device = field.domain.bounds.device
        self.team = current()
        self.progress = Progress()
        own = {name: list(part.parameters()) for name, part in parts.items()}
        groups = {name: params for name, params in {**field.groups(), **own}.items() if params}
        missing = [name for name in groups if name not in config.rates]
        if missing:
            raise InputError(
                f"a learning rate for each of {', '.join(groups)}",
                f"none for {', '.join(missing)}",
                "add it to fit.rates",
            )
        self.optimizer = Adam(groups, skip=("table",))
        self._good = self.state()

    def run(self, on_step: Callable[[Progress], None] | None = None) -> None:
        """Train until the budget is spent.

        `on_step` is called after each step, the clock stopped. Neither does time count in which the
        whole process was stopped.
        """
        with Stopwatch() as watch:
            while self.progress.fraction < 1:
                self.advance(watch)
                if on_step is not None:
                    on_step(self.progress)
        self.finish()

    def finish(self) -> None:
        """Do what is left when the budget is spent; its time counts."""
        with Stopwatch() as watch:
            began = watch.seconds()
            self._finish()
            self._count(watch, began)

    def advance(self, watch: Stopwatch) -> None:
        """One step of `run`: guarded, and counted in the budget."""
        began = watch.seconds()
        wrong = self.step()
        if wrong is None and self.progress.step % GUARD == 0:
            wrong = self._look()
        if wrong is not None:
            self._rewind(wrong)
        self._count(watch, began)
        if self.progress.fraction >= 1 and (wrong := self._look()):
            # What was not looked at since the last time may not be finite either.
            self._rewind(wrong)

    def warm_up(self) -> None:
        """Take a step, so that kernels are compiled and caches warm, and undo it."""
        before = {name: tensor.clone() for name, tensor in self.state().items()}
        self.step()
        self.load_state(before)
        wait(self.device)

    def meet(self) -> None:
        """Begin where the process that leads the team begins."""
        if self.team.size > 1:
            state = {name: tensor.clone() for name, tensor in self.state().items()}
            self.team.spread(list(state.values()))
            self.load_state(state)

    def parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """All that learns, by the names it has in `state`."""
        for part, module in self.modules.items():
            for name, parameter in module.named_parameters():
                yield f"{part}.{name}", parameter

    def state(self) -> dict[str, Tensor]:
        """Everything resuming needs, as copies-free tensors by name."""
        p = self.progress
        numbers = [p.step, p.seconds, p.samples, p.rate_scale, p.rewinds]
        return {
            "progress": torch.tensor(numbers, dtype=torch.float64),
            **{
                f"{part}.{name}": tensor
                for part, module in self.modules.items()
                for name, tensor in module.state_dict().items()
            },
            **{f"optimizer.{name}": t for name, t in self.optimizer.state().items()},
            **{f"objective.{name}": t for name, t in self.objective.state().items()},
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` gave."""

        def part(prefix: str) -> dict[str, Tensor]:
            return {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}

        step, seconds, samples, scale, rewinds = state["progress"].tolist()
        self.progress = Progress(
            int(step), seconds, samples=int(samples), rate_scale=scale, rewinds=int(rewinds)
        )
        self.progress.fraction = self._fraction()
        for name, module in self.modules.items():
            module.load_state_dict(part(f"{name}."))
        self.optimizer.load_state(part("optimizer."))
        self.objective.load_state(part("objective."))
        self._remember()

    def _count(self, watch: Stopwatch, began: float) -> None:
        """Add the time since `began` to that of training.

        A GPU may still be at work on the step. To wait for it each time would cost more than the
        time is worth: every GUARD steps `_look` does, and after the last one this does. In between,
        what is left of a step counts in the next one.
        """
        before = self.progress.seconds
        self.progress.seconds = self.team.agree(before + watch.seconds() - began)
        self.progress.fraction = self._fraction()
        if self.progress.fraction >= 1:
            wait(self.device)
            self.progress.seconds = self.team.agree(before + watch.seconds() - began)

    def _fraction(self) -> float:
        if self.config.steps is not None:
            return min(1.0, self.progress.step / self.config.steps)
        assert self.config.seconds is not None
        return min(1.0, self.progress.seconds / self.config.seconds)

    def step(self) -> str | None:
        """One step; what stopped being finite, if anything."""
        p = self.progress
        self.field.set_progress(p.fraction)
        loss, numbers = self.objective(p.step, p.fraction)
        value = self.team.totals(loss.item())[0]
        if not math.isfinite(value):
            for _, parameter in self.parameters():
                parameter.grad = None
            return "the loss"
        if loss.requires_grad:
            loss.backward()
        self.team.add_up([p for _, p in self.parameters() if p.requires_grad])
        self.optimizer.step(self._numbers(p.fraction))
        p.step += 1
        p.loss, p.numbers = value, numbers
        p.samples += int(numbers.get("samples", 0))
        return None

    def _numbers(self, fraction: float) -> dict[str, AdamNumbers]:
        c = self.config
        rise = min(1.0, (fraction + 1e-9) / c.warm_up) if c.warm_up > 0 else 1.0
        fall = c.final ** (max(0.0, fraction - c.hold) / (1 - c.hold)) if c.hold < 1 else 1.0
        fall *= c.drop ** sum(fraction >= at for at in c.drops)
        scale = rise * fall * self.progress.rate_scale
        return {
            name: AdamNumbers(
                rate * scale, c.beta1, c.beta2, c.eps, 0.0 if name == "table" else c.decay
            )
            for name, rate in c.rates.items()
        }

    def _look(self) -> str | None:
        """The first parameter that isn't finite; if all are, remember them."""
        for name, parameter in self.parameters():
            if not bool(parameter.detach().sum().isfinite()):
                return name
        self._remember()
        return None

    def _remember(self) -> None:
        self._good = {name: tensor.clone() for name, tensor in self.state().items()}

    def _rewind(self, wrong: str) -> None:
        """Back to the last good state at half the rate; give up after TRIES."""
        rewinds, scale, seconds = (
            self.progress.rewinds + 1,
            self.progress.rate_scale / 2,
            self.progress.seconds,
        )
        if rewinds > TRIES:
            raise FitError(
                f"expected finite training; got {wrong} not finite after {TRIES} rewinds; "
                "lower fit.rates or look for damaged images"
            )
        self.load_state({name: tensor.clone() for name, tensor in self._good.items()})
        self.progress.rewinds, self.progress.rate_scale, self.progress.seconds = (
            rewinds,
            scale,
            seconds,
        )
        self._good["progress"] = self.state()["progress"].clone()


def fit(
    field: Field,
    objective: Objective,
    config: FitConfig,
    on_step: Callable[[Progress], None] | None = None,
) -> Progress:
    """Train `field` on `objective` until the budget of `config` is spent."""
    loop = Fit(field, objective, config)
    loop.run(on_step)
    return loop.progress
