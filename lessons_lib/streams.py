"""Random numbers of which each image of a batch has a stream of its own, so that its company changes nothing.

An image's stream is told by the seed and its place in the batch: the first of four draws what it draws alone.
By a seed for each image, `[7, 7, 9]`, any image draws what it draws alone with that seed.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .checks import checked_seed

# How seeds draw; tables that take long say under which number they were computed. 1: a batch drew from one
# stream, so that an image's noise depended on its company.
VERSION = 2
Seed = int | Sequence[int]  # one for all images of a batch, or one for each


class Streams:
    """Streams of `n` images, by one seed for all or one for each.

    of: what is drawn, where that has to be independent of other draws with the same seed.
    Numbers are drawn on the CPU in float64: the same on every device and in every precision.
    Raises ValueError for what is no seed, or not as many as images.
    """

    def __init__(self, seed: Seed, n: int, of: str = ""):
        self.generators = [torch.Generator().manual_seed(s) for s in seeds(seed, n, of)]

    def normal(self, like: Tensor) -> Tensor:
        """N(0, I), (n, *rest), in the dtype and on the device of like (…, *rest)."""
        return self._drawn(torch.randn, like.shape[1:]).to(like)

    def uniform(self, *shape: int) -> Tensor:
        """Evenly in [0, 1), (n, *shape) in float64."""
        return self._drawn(torch.rand, shape)

    def _drawn(self, draw, shape: Sequence[int]) -> Tensor:
        each = [draw(tuple(shape), generator=g, dtype=torch.float64) for g in self.generators]
        return torch.stack(each)


def seeds(seed: Seed, n: int, of: str = "") -> list[int]:
    """The seed of each of `n` images' streams; the first one's is the seed itself.

    Raises ValueError as `Streams`.
    """
    if isinstance(seed, (list, tuple)):
        if len(seed) != n:
            raise ValueError(f"There are {len(seed)} seeds for {n} images: give one, or one each.")
        each = [checked_seed(s) for s in seed]
    else:
        each = [checked_seed(seed), *(_mixed(seed, place) for place in range(1, n))][:n]
    return [_mixed(s, zlib.crc32(of.encode())) for s in each] if of else each


def computed_under(version: int) -> str:
    """What a table says of the `VERSION` that it was computed under; nothing if it is today's."""
    if version == VERSION:
        return ""
    return (
        "This table was computed when a batch drew from one stream: the same settings give other samples "
        "today. Its command computes it anew."
    )


def _mixed(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
