"""Kernels of the optimiser."""
