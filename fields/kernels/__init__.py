"""Kernels of the fields: one op a file, a plain-torch reference beside each fast version."""
