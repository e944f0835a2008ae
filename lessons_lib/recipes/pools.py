"""Pictures to train on: drawn once, kept on disk, and picked from at random."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from ..paths import TRAIN_SEEDS, whole
from ..worlds import World

CHUNK = 8192  # pictures drawn, kept and added to a pool at a time
Factors = dict[str, Tensor]


def drawn(world: World, index: int) -> Factors:
    """The factors of a pool's chunk `index`, each (CHUNK,)."""
    return world.sample_factors(CHUNK, TRAIN_SEEDS + index)


def chunk(world: World, size: int, index: int, folder: Path, factors=drawn) -> dict[str, Tensor]:
    """pixels (CHUNK, 3, size, size) uint8, mask (CHUNK, size, size) uint8, factors (CHUNK, F).

    Drawn once and kept in `folder`, under the version of the world's renderer.
    """
    name = f"{world.name}-{factors.__name__}-{size}-{world.version}-{index}.pt"
    path = folder / name
    if not path.exists():
        values = world.complete(factors(world, index))
        image, mask = world.paint(values, size)
        pixels = ((image + 1) * 127.5).round().byte()
        folder.mkdir(parents=True, exist_ok=True)
        kept = {
            "pixels": pixels,
            "mask": mask.byte(),
            "factors": torch.stack([*values.values()], 1),
        }
        with whole(path) as part:
            torch.save(kept, part)
    return torch.load(path, weights_only=True)


@dataclass
class Pool:
    """Chunks of one world; a run begins with the first and draws the others as it goes on."""

    world: World
    size: int
    folder: Path
    factors: Callable[[World, int], Factors] = drawn
    chunks: list[dict[str, Tensor]] = field(default_factory=list)

    def grow(self, count: int) -> int:
        """At least `count` pictures; returns how many there are."""
        while len(self.chunks) * CHUNK < count:
            index = len(self.chunks)
            self.chunks.append(chunk(self.world, self.size, index, self.folder, self.factors))
        return len(self.chunks) * CHUNK

    def take(self, picks: list[int]) -> tuple[Tensor, Tensor, Factors]:
        """image (B, 3, H, W) in [-1, 1], mask (B, H, W) int64 and factors of these pictures."""
        pixels, mask, values = (
            torch.stack([self.chunks[i // CHUNK][key][i % CHUNK] for i in picks])
            for key in ("pixels", "mask", "factors")
        )
        factors = {f.name: values[:, i] for i, f in enumerate(self.world.factors)}
        return pixels.float() / 127.5 - 1, mask.long(), factors


def picks(n: int, count: int, gen: torch.Generator) -> list[int]:
    """`n` of `count` places, with repetition."""
    return torch.randint(0, count, (n,), generator=gen).tolist()
