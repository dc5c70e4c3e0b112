"""A field as its renderer sees it is empty where nothing is sampled, and itself elsewhere."""

import torch

from polyfield.encodings.domain import Box
from polyfield.fields.base import NOTHING
from polyfield.fields.voxels import Voxels
from polyfield.renderers.seen_field import SeenField


def test_nothing_is_where_nothing_is_sampled() -> None:
    field = Voxels(cells=8, levels=1, density=3.0).build(Box(torch.tensor([[-1.0] * 3, [1.0] * 3])))
    seen = SeenField(field, lambda x: x[:, 0] > 0)
    x = torch.rand(40, 3) * 2 - 1
    directions = torch.nn.functional.normalize(torch.randn(40, 3), dim=1)
    there, one, other = x[:, 0] > 0, seen(x, directions), field(x, directions)
    assert torch.equal(one.rgb, other.rgb)
    assert torch.equal(one.density[there], other.density[there])
    assert (one.density[~there] == 0).all() and (one.log_density[~there] == NOTHING).all()
    torch.testing.assert_close(seen.density(x)[there], field.density(x)[there])
    assert float(seen.density(x)[~there].detach().max()) < 1e-12
    assert list(seen.parameters()) == [] and seen.groups() == {}
