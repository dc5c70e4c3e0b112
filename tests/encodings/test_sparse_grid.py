"""Blocks of bytes: the kernel against the reference, and both against a dense grid."""

import pytest
import torch

from polyfield.backends import dispatch
from polyfield.encodings.kernels.sparse_grid import rounded, shared_vertices, sparse_grid

CELLS, CHANNELS = 3, 5


def grid(seed=0, stored=5, blocks=4):
    generator = torch.Generator().manual_seed(seed)
    slot = torch.full((blocks**3,), -1, dtype=torch.int32)
    slot[torch.randperm(blocks**3, generator=generator)[:stored]] = torch.arange(stored).int()
    slot = slot.view(blocks, blocks, blocks)
    vertex, rows = shared_vertices(slot, CELLS)
    table = torch.rand(rows * CHANNELS, generator=generator) * 1.2 - 0.1  # some beyond 0 and 1
    return slot, vertex, table


def points(n=400, seed=1):
    x = torch.rand(n, 3, generator=torch.Generator().manual_seed(seed))
    x[:8] = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)
    return torch.cat([x, torch.tensor([[-0.5, 0.5, 1.5], [torch.nan, 0.5, 0.5]])])


@pytest.mark.parametrize("stored", [0, 1, 5, 64])
def test_the_kernel_says_what_the_reference_says(stored):
    slot, vertex, table = grid(stored=stored)
    x = points()
    weight = torch.randn(len(x), CHANNELS, generator=torch.Generator().manual_seed(2))
    found = []
    for backend in ("reference", "auto"):
        own = table.clone().requires_grad_()
        with dispatch.force(backend):
            y = sparse_grid(x, own, slot, vertex, CELLS, CHANNELS)
            (sparse_grid(x[:-1], own, slot, vertex, CELLS, CHANNELS) * weight[:-1]).sum().backward()
        found.append((y.detach(), own.grad))
    torch.testing.assert_close(*(f[0] for f in found), atol=1e-6, rtol=1e-5, equal_nan=True)
    torch.testing.assert_close(*(f[1] for f in found), atol=1e-5, rtol=1e-5)
    assert found[1][0][-1].isnan().all() and found[1][0][:-1].isfinite().all()


def test_a_grid_that_is_stored_whole_is_a_dense_one():
    blocks, n = 2, CELLS
    vertices = torch.rand(blocks * n + 1, blocks * n + 1, blocks * n + 1, 1)
    corner = torch.cartesian_prod(*[torch.arange(blocks)] * 3)
    parts = [
        vertices[i * n : (i + 1) * n + 1, j * n : (j + 1) * n + 1, k * n : (k + 1) * n + 1]
        for i, j, k in corner.tolist()
    ]
    slot = torch.arange(blocks**3, dtype=torch.int32).view(blocks, blocks, blocks)
    vertex, rows = shared_vertices(slot, n)
    assert rows == vertices.numel()
    table = torch.empty(rows)
    table[vertex.long()] = torch.cat([part.reshape(-1) for part in parts])
    x = points()[:-1]
    found = sparse_grid(x, table, slot, vertex, n, 1)[:, 0]
    volume = rounded(vertices)[..., 0].permute(2, 1, 0)[None, None]  # z y x
    wanted = torch.nn.functional.grid_sample(
        volume, x.clamp(0, 1)[None, None, None] * 2 - 1, align_corners=True
    )
    torch.testing.assert_close(found, wanted[0, 0, 0, 0], atol=1e-6, rtol=1e-5)


def test_blocks_share_the_vertices_between_them():
    slot = torch.full((3, 3, 3), -1, dtype=torch.int32)
    slot[0, 0, 0], slot[2, 0, 0] = 1, 0
    vertex, rows = shared_vertices(slot, 2)
    assert rows == 54 and torch.equal(vertex, torch.arange(54).int())  # no neighbours
    slot[1, 0, 0] = 2
    vertex, rows = shared_vertices(slot, 2)
    assert rows == 54 + 27 - 18
    last, first, middle = vertex.view(3, 3, 9)
    assert torch.equal(middle[0], first[2]) and torch.equal(middle[2], last[0])
    assert len(vertex.unique()) == rows == int(vertex.max()) + 1


def test_values_are_bytes_and_gradients_pass():
    p = torch.tensor([-0.2, 0.0, 0.3, 0.5, 1.0, 1.7], requires_grad=True)
    q = rounded(p)
    torch.testing.assert_close(q * 255, (q * 255).round(), atol=1e-4, rtol=0)
    assert q.min() >= 0 and q.max() <= 1
    q.sum().backward()
    assert torch.equal(p.grad, torch.ones(6))


def test_threads_change_no_bit():
    slot, vertex, table = grid(stored=64)
    x = points(5000)[:-1]
    found = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            own = table.clone().requires_grad_()
            sparse_grid(x, own, slot, vertex, CELLS, CHANNELS).square().sum().backward()
            found.append(own.grad)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)
