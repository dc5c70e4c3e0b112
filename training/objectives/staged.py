"""One objective after another, in one run of the loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from polyfield.training.loop import Objective


class Staged:
    """Each objective has its share of the budget, and sees its own progress from 0 to 1."""

    def __init__(self, parts: Sequence[tuple[float, Objective]]) -> None:
        """Parts are (progress at which it ends, objective); the last ends at 1."""
        ends = [end for end, _ in parts]
        assert ends == sorted(ends) and ends[-1] == 1
        self.parts = list(parts)

    def __call__(self, step: int, progress: float) -> tuple[Tensor, dict[str, float]]:
        """The loss of whichever is at work."""
        begin = 0.0
        for end, objective in self.parts[:-1]:
            if progress < end:
                return objective(step, (progress - begin) / (end - begin))
            begin = end
        return self.parts[-1][1](step, (progress - begin) / (1 - begin))

    def state(self) -> dict[str, Tensor]:
        """The state of every part, each under its number."""
        return {
            f"{number}.{name}": tensor
            for number, (_, objective) in enumerate(self.parts)
            for name, tensor in objective.state().items()
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` gave."""
        for number, (_, objective) in enumerate(self.parts):
            prefix = f"{number}."
            objective.load_state(
                {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}
            )
