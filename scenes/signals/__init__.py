"""Signals on disk: one file a kind."""
