"""Sampling by networks of density that say where along a ray the light ends."""
