"""What test_team.py has torchrun start: a few steps of a fit, and the gradient of the next one.

torchrun --nproc-per-node 2 tests/training/team_steps.py KIND FILE
"""

import sys

import torch

from polyfield.apps.choices import budgeted, changed, configured, kind_named
from polyfield.devices import CPU
from polyfield.training.loop import Fit
from polyfield.training.team import joined

SMALL = {
    "image": {"read.downscale": 4, "objective.batch": 1000, "objective.loss": "huber"},
    "scene": {"read.downscale": 10, "objective.samples": 2048, "objective.distortion": 0.01},
}


def main(kind: str, file: str) -> None:
    """Write numbers and gradients."""
    torch.set_num_threads(1)
    with joined(CPU) as team:
        task = changed(budgeted(configured(kind_named(kind), "hash"), None, 5), SMALL[kind])
        data = task.open("demo")
        # Each process begins elsewhere, until they meet.
        torch.manual_seed(team.rank)
        model = task.model(data)
        training = task.training(model, data, 0)
        loop = Fit(
            training.field, training.objective, training.fit, training.parts, training.finish
        )
        loop.meet()
        for _ in range(3):
            assert loop.step() is None
        loss, numbers = loop.objective(3, 0.5)
        loss.backward()
        loop.team.add_up([p for _, p in loop.parameters()])
        if team.leads:
            torch.save({"grads": [p.grad for _, p in loop.parameters()], "numbers": numbers}, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
