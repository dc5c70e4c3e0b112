"""Polyfield under other people's names: what their programs call."""
