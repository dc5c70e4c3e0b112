"""The two interfaces of a field.

A signal (values at points) and radiance (density, and colour by direction).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int32, UInt8
from torch import Tensor, nn

from polyfield.devices import uniform
from polyfield.encodings.domain import Domain
from polyfield.encodings.shader_pass import Passes
from polyfield.fields.probe import GridDensity, Probe


@dataclass(frozen=True)
class Size:
    """How many values a field holds."""

    trainable: int
    stored: int


class Network(nn.Module, ABC):
    """Features -> values or features.

    What a field puts behind an encoding. Subclasses are final, one a file, built by their config's
    `build(in_dim, out_dim)`.
    """

    in_dim: int
    out_dim: int

    @abstractmethod
    def forward(self, x: Float[Tensor, "*n i"]) -> Float[Tensor, "*n o"]:
        """Outputs for features x; the last layer has no activation."""

    def perceptron(self) -> tuple[Float[Tensor, "p"], list[int], bool] | None:
        """Weights, widths and whether there are biases, where it is what kernels/mlp.py is."""
        return None

    def passes(self) -> Passes | None:
        """The same in a fragment shader; None where no shader is written."""
        return None


NOTHING = -30.0
"""Log-density per box length of places with nothing in them: finite, as losses want it."""


@dataclass
class RadianceSample:
    """What a radiance field says of points seen from directions."""

    density: Float[Tensor, "*n"]
    """>= 0, per world unit."""
    rgb: Float[Tensor, "*n 3"]
    """Of a point that is seen alone; in the colour space of the scene."""
    log_density: Float[Tensor, "*n"]
    """As of `geometry`: per `domain.length`."""
    feature: Float[Tensor, "*n k"] | None = None
    """As of `geometry`."""
    deferred: Float[Tensor, "*n c"] | None = None
    """What is composited in place of `rgb`, where a field shades rays and not points."""

    @property
    def composited(self) -> Float[Tensor, "*n c"]:
        """What a renderer blends, for `RadianceField.shade`."""
        return self.rgb if self.deferred is None else self.deferred


@dataclass(frozen=True)
class StoredBytes:
    """A field as blocks of bytes at the vertices of a grid, as textures have them."""

    slot: Int32[Tensor, "B B B"]
    """Number of each block, -1 where nothing is stored."""
    values: UInt8[Tensor, "blocks s s s c"]
    """Log-density, then what colours are made of; x is the slowest axis."""
    logs: tuple[float, float]
    """Log-density per box length of 0 and of 255."""
    spans: tuple[float, float, float, float]
    """What colours are made of is -span for 0 and span for 255: of each channel of a texture."""
    network: tuple[Float[Tensor, "_o _i"], ...] = ()
    """Layers that shade a ray, each [outputs, inputs + 1], biases last; () for harmonics of red,
    green and blue in `values`."""


class Field(nn.Module, ABC):
    """What both kinds of field share.

    Abstract; the kinds below are abstract too, architectures are final.
    """

    domain: Domain
    takes_errors = False
    """Whether `update_error` does anything: errors are worked out only then."""
    takes_points = False
    """Whether `init_from_points` does anything."""

    @abstractmethod
    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Parameters by group ("table", "network", ...); FitConfig has a learning rate for each."""

    def intermediate_features(self, x: Float[Tensor, "n d"]) -> tuple[Tensor, ...]:
        """Intermediate features [n, k] at world points, shallow ones first: for auxiliary heads."""
        return ()

    def set_progress(self, t: float) -> None:  # noqa: B027
        """Told the progress of training, t in [0,1], before each step."""

    def update_error(self, x: Float[Tensor, "n d"], error: Float[Tensor, "n"]) -> None:  # noqa: B027
        """Told the error of each sample after a step."""

    def init_from_points(self, x: Float[Tensor, "n d"], weight: Float[Tensor, "n"]) -> None:  # noqa: B027
        """Told once where the detail is: world points and how much each matters, >= 0."""

    def size(self) -> Size:
        """Trainable and stored values."""
        trainable = sum(p.numel() for p in self.parameters() if p.requires_grad)
        return Size(trainable, sum(t.numel() for t in self.state_dict().values()))


class SignalField(Field):
    """Values at points, for example the colours of an image."""

    out_dim: int
    prefers_grid = False
    """Whether `on_grid` costs much less than as many scattered points."""

    @abstractmethod
    def forward(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n c"]:
        """Values at world coordinates."""

    def on_grid(self, axes: Sequence[Float[Tensor, "_m"]]) -> Float[Tensor, "*m c"]:
        """Values on the product of axes: result [len(axes[0]), ..., len(axes[-1]), c]."""
        return self(torch.stack(torch.meshgrid(*axes, indexing="ij"), -1))

    def passes(self) -> Passes | None:
        """The same in a fragment shader, from two coordinates in the unit square of the domain on.

        None where no shader is written.
        """
        return None


class RadianceField(Field):
    """Density at points and colour by direction."""

    shades_rays = False
    """Whether samples have `deferred` values, of which `shade` makes colours."""

    def density(self, x: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n"]:
        """Density per world unit: the cheap query, for samplers."""
        return self.geometry(x)[0].exp() / self.domain.length

    def grid_density(self) -> GridDensity | None:
        """The same as a grid and a perceptron, if it is nothing else."""
        return None

    def probe(self) -> Probe:
        """The density as samplers ask for it along rays."""
        return Probe(self.density, self.grid_density())

    @abstractmethod
    def geometry(self, x: Float[Tensor, "*n 3"]) -> tuple[Tensor, Tensor | None]:
        """Log-density per `domain.length` [*n]; the feature of colour [*n, k] or None."""

    @abstractmethod
    def forward(
        self, x: Float[Tensor, "*n 3"], directions: Float[Tensor, "*n 3"]
    ) -> RadianceSample:
        """Density and colour at world points x seen along unit directions."""

    def shade(
        self,
        seen: Float[Tensor, "r c"],
        opacity: Float[Tensor, "r"],
        directions: Float[Tensor, "r 3"],
    ) -> Float[Tensor, "r 3"]:
        """Colours of rays in front of nothing.

        Args:
            seen: sums of `RadianceSample.composited` along each ray, times the weights of samples.
            opacity: the sums of those weights.
            directions: of the rays, unit vectors.
        """
        return seen

    def bake(
        self,
        teacher: RadianceField,
        is_occupied: Callable[[Float[Tensor, "n 3"]], Bool[Tensor, " n"]],
    ) -> Float[Tensor, "B B B"] | None:
        """Take over what a teacher says, if this field can without training.

        Returns:
            Densities of cells, for a sampler; None where nothing was taken over.
        """
        return None

    def stored_bytes(self) -> StoredBytes | None:
        """What a page draws; None of a field that has to be baked first."""
        return None

    def draw_points(self, n: int, generator: torch.Generator) -> Float[Tensor, "n 3"]:
        """Points to learn the field from: uniform in the unit cube of the domain."""
        return self.domain.inverse(uniform((n, 3), generator, self.domain.bounds.device))
