"""The linear layer against torch's own, derivatives of derivatives included."""

import pytest
import torch

from polyfield.backends import dispatch
from polyfield.fields.networks.linear import Linear


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("sizes", [(3, 5), (40, 33), (256, 256)])
def test_values_and_gradients(sizes: tuple[int, int], bias: bool) -> None:
    torch.manual_seed(0)
    ours = Linear(*sizes, bias=bias)
    theirs = torch.nn.Linear(*sizes, bias=bias)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 35, sizes[0], requires_grad=True)
    cotangent = torch.randn(2, 35, sizes[1])
    found, wanted = ours(x), theirs(x)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    for own, other in zip(
        torch.autograd.grad(found, [x, *ours.parameters()], cotangent),
        torch.autograd.grad(wanted, [x, *theirs.parameters()], cotangent),
        strict=True,
    ):
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-4)


def test_a_loss_on_the_slope() -> None:
    """Two layers with a sine between them: the gradient of the squared slope."""
    torch.manual_seed(0)
    one, two = Linear(3, 16), Linear(16, 1)
    x = torch.randn(50, 3, requires_grad=True)

    def slope_loss() -> list[torch.Tensor]:
        y = two(one(x).sin())
        (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        return list(torch.autograd.grad(slope.square().sum(), [x, *one.parameters(), two.weight]))

    found = slope_loss()
    with dispatch.force("reference"):
        wanted = slope_loss()
    for own, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-3, atol=1e-5)
