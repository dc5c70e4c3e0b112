"""Rays and a field -> pixels: samplers, compositing, objectives, and the models a run saves."""
