"""Pixel values: exact round trips, the sRGB curve, block means."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polyfield.scenes.color import (
    block_mean,
    from_float,
    linear_from_srgb,
    srgb_from_linear,
    straight,
    to_float,
)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_integer_value_survives_as_float(dtype):
    values = np.arange(np.iinfo(dtype).max + 1).astype(dtype)
    assert np.array_equal(from_float(to_float(values), dtype), values)


def test_integers_are_clipped_and_rounded():
    values = np.array([-1.0, 0.0, 0.5, 1.0, 7.0], np.float32)
    assert from_float(values, np.uint8).tolist() == [0, 0, 128, 255, 255]


def test_floats_keep_what_exceeds_one():
    values = np.array([-0.5, 12.0], np.float32)
    assert np.array_equal(from_float(to_float(values), np.float32), values)
    assert from_float(values, np.float16).dtype == np.float16


def test_srgb_known_values():
    linear = torch.tensor([0.0, 0.0031308, 0.214041, 0.5, 1.0])
    expected = torch.tensor([0.0, 0.04045, 0.5, 0.735357, 1.0])
    torch.testing.assert_close(srgb_from_linear(linear), expected, atol=2e-6, rtol=0)


@given(st.floats(-2, 20))
def test_srgb_and_back(value):
    linear = torch.tensor([value], dtype=torch.float64)
    torch.testing.assert_close(linear_from_srgb(srgb_from_linear(linear)), linear)


def test_srgb_gradient_is_finite_at_and_below_zero():
    linear = torch.tensor([-1.0, 0.0, 1e-9, 0.5], requires_grad=True)
    srgb_from_linear(linear).sum().backward()
    assert linear.grad is not None and linear.grad.isfinite().all()
    assert linear.grad[1] == pytest.approx(12.92)


def test_block_mean_is_the_mean_and_crops():
    array = np.arange(5 * 7, dtype=np.uint8).reshape(5, 7, 1)
    small = block_mean(array, 2)
    assert small.shape == (2, 3, 1)
    assert small[1, 2, 0] == np.rint(array[2:4, 4:6].mean())


def test_block_mean_weighs_colour_by_alpha():
    array = np.zeros((2, 2, 4), np.uint8)
    array[0, 0] = (200, 100, 0, 255)
    array[0, 1] = (0, 0, 250, 0)  # a hidden colour must not leak
    assert block_mean(array, 2)[0, 0].tolist() == [200, 100, 0, 64]
    array[0, 0, 3] = 0
    assert block_mean(array, 2)[0, 0].tolist() == [0, 0, 0, 0]


def test_block_mean_of_associated_floats_is_plain():
    array = np.array([[[1.0, 0.5], [0.0, 0.0]], [[0.0, 0.0], [3.0, 1.0]]], np.float32)
    assert block_mean(array, 2, associated=True)[0, 0].tolist() == [1.0, 0.375]


@given(st.integers(0, 255), st.integers(1, 255), st.integers(1, 4))
def test_block_mean_keeps_a_constant(color, alpha, factor):
    array = np.full((4, 4, 4), color, np.uint8)
    array[..., 3] = alpha
    small = block_mean(array, factor)
    assert (small[..., :3] == color).all() and (small[..., 3] == alpha).all()


def test_straight_divides_by_alpha():
    array = np.array([[[0.25, 0.5], [0.3, 0.0]]], np.float32)
    assert straight(array)[0].tolist() == [[0.5, 0.5], [0.0, 0.0]]
