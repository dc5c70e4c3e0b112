"""Captures on disk: one file a format."""
