"""Which pairs of images are matched: all, or neighbours in order and those that look alike.

No vocabulary is loaded: the words of the second way are clusters of the images' own descriptors.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float

ALL = 120
"""Images up to which every pair is matched."""
NEIGHBOURS = 10
"""Images before and after, in the order of names or frames ..."""
JUMPS = (16, 32, 64)
"""... and some further on."""
ALIKE = 20
"""Images that look most like each."""
WORDS = 48
"""Clusters of descriptors."""
SAMPLES = 20_000
"""Descriptors that clusters are made from."""
ROUNDS = 8
"""Of k-means."""

Pair = tuple[int, int]
Descriptors = Float[np.ndarray, "_n 128"]


def choose_pairs(
    count: int,
    how: Literal["auto", "all", "near"],
    descriptors: Callable[[int], Descriptors],
) -> list[Pair]:
    """Pairs of image numbers, each once, the lower first.

    Args:
        count: images.
        how: as `Sfm.matching`.
        descriptors: those of an image; read where pairs are chosen by them.
    """
    if how == "all" or (how == "auto" and count <= ALL):
        return list(itertools.combinations(range(count), 2))
    steps = (*range(1, NEIGHBOURS + 1), *JUMPS)
    found = {(i, i + step) for step in steps for i in range(count - step)}
    likeness = _likeness([_of_words(descriptors(i)) for i in range(count)])
    for i, row in enumerate(likeness):
        row[i] = -np.inf
        for j in np.argsort(-row)[:ALIKE].tolist():
            found.add((min(i, j), max(i, j)))
    return sorted(found)


def _of_words(found: Descriptors) -> Descriptors:
    """At most 2000 descriptors, the first, which COLMAP sorts by scale: the largest."""
    return np.asarray(found[:2000], np.float32)


def _likeness(images: Sequence[Descriptors]) -> Float[np.ndarray, "n n"]:
    """How alike images are, -1 to 1: cosines of their VLAD vectors.

    Source: Jegou et al. 2010, "Aggregating local descriptors into a compact image representation";
    the signed square root after Arandjelovic and Zisserman 2013.
    """
    words = _clusters(np.concatenate(images))
    vectors = np.stack([_vlad(image, words) for image in images])
    return vectors @ vectors.T


def _clusters(every: Descriptors) -> Float[np.ndarray, "k 128"]:
    """Centres by k-means from descriptors drawn at random, the same in every run."""
    generator = np.random.default_rng(0)
    if not len(every):
        return np.zeros((1, 128), np.float32)
    sample = every[generator.permutation(len(every))[:SAMPLES]]
    centers = sample[:WORDS].copy()
    for _ in range(ROUNDS):
        nearest = _nearest(sample, centers)
        for word in range(len(centers)):
            members = sample[nearest == word]
            if len(members):
                centers[word] = members.mean(0)
    return centers


def _nearest(points: Descriptors, centers: Float[np.ndarray, "k 128"]) -> np.ndarray:
    return np.asarray((centers**2).sum(1) - 2 * points @ centers.T).argmin(1)


def _vlad(found: Descriptors, words: Float[np.ndarray, "k 128"]) -> Float[np.ndarray, " m"]:
    """Sums of what descriptors differ from their word by, of length 1; 0 without descriptors."""
    sums = np.zeros_like(words)
    if len(found):
        nearest = _nearest(found, words)
        np.add.at(sums, nearest, found - words[nearest])
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    sums = np.divide(sums, lengths, out=np.zeros_like(sums), where=lengths > 0)
    vector = (np.sign(sums) * np.sqrt(np.abs(sums))).ravel()
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 else vector
