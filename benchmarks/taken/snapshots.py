"""Snapshots of instant-ngp, imported, against their own weights by a plain reference.

No file of the program itself is at hand that may be kept beside these rows: the snapshots are
written by hand as it writes them, and evaluated corner by corner (tests/renderers/imports).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch

import polyfield
from polyfield.renderers.imports.models import read_model
from taken.evidence import Evidence, Found, emptied, of_tests

CLOSE, POINTS = 1e-5, 4000
CUBES = (1, 4)
"""Unit cubes along an edge of the scenes."""


def rows(evidence: Evidence) -> Iterator[tuple[str, Callable[[], Found]]]:
    """Names and what measures them."""
    for cubes in CUBES:
        yield f"snapshot of a scene of {cubes} cubes", partial(scene, evidence, cubes)
    yield "snapshot of an image", partial(image, evidence)


def scene(evidence: Evidence, cubes: int) -> Found:
    """Density and colour of the run that the import made."""
    hand, folder = of_tests("renderers/imports/hand_written.py"), evidence.out / "snapshots"
    name, tree = f"scene-{cubes}", hand.scene_tree(cubes)
    emptied(folder / name)
    file = hand.write(folder / name / "base.ingp", tree)
    evidence.call("import", file, "--out", folder / name / "run", "--quiet", threaded=False)
    model = polyfield.load(folder / name / "run")
    params = np.frombuffer(tree["snapshot"]["params_binary"], "<f2")
    generator = np.random.default_rng(1)
    low, high = model.bounds.double().numpy()
    directions = generator.normal(size=(POINTS, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    points = low + generator.random((POINTS, 3)) * (high - low)
    # At the very float32 places of the field: a last bit is much of a cell of 1/8192.
    unit = model.field.domain(model.frame.normalised(torch.from_numpy(points)).float())
    place = unit.numpy()[:, [1, 2, 0]]
    off = float(np.abs(place - hand.place_of(points, cubes)).max())
    density, rgb = hand.seen(place, directions, params, cubes)
    with torch.no_grad():
        said = model.ask(torch.from_numpy(points), torch.from_numpy(directions).float())
    errors = {"density": _worst(said.density, density), "rgb": _worst(said.rgb, rgb)}
    return {**errors, "places": off, "must": max(errors.values()) <= CLOSE and off < 1e-6}


def image(evidence: Evidence) -> Found:
    """Values of an image."""
    hand = of_tests("renderers/imports/hand_written.py")
    file = hand.write(
        emptied(evidence.out / "snapshots" / "image") / "image.ingp", hand.image_tree()
    )
    model = read_model(file, hand.SIZE).model
    params = np.frombuffer(hand.image_tree()["snapshot"]["params_binary"], "<f2").astype(float)
    place = np.random.default_rng(2).random((POINTS, 2)).astype(np.float32)
    x = torch.from_numpy(place) * model.bounds[1]
    begin = 32 * hand.WIDTH + hand.WIDTH**2 + hand.WIDTH * 16
    features = hand.grid_of(
        model.field.domain(x).numpy(), params[begin:], hand.image_growth(), **hand.IMAGE
    )
    wanted, _ = hand.network_of(features, params[:begin], [32, hand.WIDTH, hand.WIDTH, 3])
    with torch.no_grad():
        error = _worst(model.field(x), wanted)
    return {"values": error, "must": error <= CLOSE}


def _worst(found: torch.Tensor, wanted: np.ndarray) -> float:
    """The largest error, relative where values are above 1."""
    return float((np.abs(found.numpy() - wanted) / np.maximum(1, np.abs(wanted))).max())
