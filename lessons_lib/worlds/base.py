"""What every world is: named factors, a renderer, masks and captions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral

import torch
from torch import Tensor

from .draw import Canvas

TRAIN_SEEDS = 1_000_000  # recipes draw with seeds from here upwards; every seed below is held out


@dataclass(frozen=True)
class Factor:
    """One cause of a picture: its range, and how it is drawn at random.

    Uniform in [low, high]; with `zero`, that share of the draws is 0; with `binary`, the draw is
    1 with that probability, else 0.
    """

    name: str
    group: str
    low: float
    high: float
    meaning: str
    zero: float = 0.0
    binary: float | None = None

    def draw(self, u: Tensor) -> Tensor:
        """Values (n,) from uniform numbers `u` (n,) in [0, 1)."""
        if self.binary is not None:
            return (u < self.binary).float()
        spread = ((u - self.zero) / (1 - self.zero)).clamp(0, 1)
        return torch.where(u < self.zero, 0.0, self.low + spread * (self.high - self.low))


@dataclass(frozen=True)
class Batch:
    """Pictures and what caused them.

    image (B, 3, H, W) in [-1, 1]; factors name -> (B,); mask (B, H, W) of class numbers;
    caption, a list of B strings.
    """

    image: Tensor
    factors: dict[str, Tensor]
    mask: Tensor
    caption: list[str]


@dataclass(frozen=True)
class World:
    """A procedural image distribution with known factors."""

    name: str
    factors: tuple[Factor, ...]
    classes: tuple[str, ...]
    draw: Callable[[dict[str, Tensor], int], Canvas]
    describe: Callable[[dict[str, float]], str]

    def sample_factors(self, n: int, seed: int, device: str = "cpu") -> dict[str, Tensor]:
        """`n` independent draws of every factor; the first k of n are those of k."""
        if not isinstance(n, Integral) or isinstance(n, bool) or n < 1:
            raise ValueError(f"n is {n!r}: give a whole number of images, at least 1.")
        if not isinstance(seed, Integral) or isinstance(seed, bool) or seed < 0:
            raise ValueError(f"seed is {seed!r}: give a whole number from 0.")
        u = torch.rand(n, len(self.factors), generator=torch.Generator().manual_seed(seed))
        return {f.name: f.draw(u[:, i]).to(device) for i, f in enumerate(self.factors)}

    def sample(self, n: int, seed: int, size: int = 64, device: str = "cpu") -> Batch:
        """`n` random pictures with factors, masks and captions.

        seed: below 1,000,000 for held-out pictures, which no recipe has trained on.
        """
        factors = self.sample_factors(n, seed, device)
        canvas = self.draw(factors, _checked_size(size))
        return Batch(canvas.image(), factors, canvas.mask(), self.captions(factors))

    def render(self, factors: Mapping[str, Tensor | float], size: int = 64) -> Tensor:
        """The pictures (B, 3, size, size) of these factors; a number stands for the whole batch.

        Raises ValueError for a factor that this world does not have, one that is missing, or one
        that is not finite. Values beyond a factor's range are drawn as they are, to extrapolate.
        """
        return self.draw(self.complete(factors), _checked_size(size)).image()

    def mask(self, factors: Mapping[str, Tensor | float], size: int = 64) -> Tensor:
        """The masks (B, size, size) of these factors; see `classes` for the numbers' names."""
        return self.draw(self.complete(factors), _checked_size(size)).mask()

    def captions(self, factors: Mapping[str, Tensor | float]) -> list[str]:
        """One sentence for each face of `factors`."""
        columns = {name: v.tolist() for name, v in self.complete(factors).items()}
        rows = zip(*columns.values(), strict=True)
        return [self.describe(dict(zip(columns, row, strict=True))) for row in rows]

    def complete(self, factors: Mapping[str, Tensor | float]) -> dict[str, Tensor]:
        """`factors` checked, as (B,) float tensors on one device, in this world's order."""
        names = [f.name for f in self.factors]
        unknown, missing = set(factors) - set(names), set(names) - set(factors)
        if unknown or missing:
            wrong = (
                f"unknown {sorted(unknown)}; they" if unknown else f"missing {len(missing)}; all"
            )
            raise ValueError(f"Factors of {self.name}: {wrong} are {', '.join(names)}.")
        tensors = {n: torch.as_tensor(factors[n], dtype=torch.float32) for n in names}
        for name, value in tensors.items():
            if not value.isfinite().all():
                raise ValueError(
                    f"Factor {name} of {self.name} is not finite; give finite numbers."
                )
        sizes = {t.numel() for t in tensors.values()} - {1}
        if len(sizes) > 1 or 0 in sizes:
            raise ValueError(
                f"Factors of {self.name} are for {sorted(sizes)} images: give each one number, or one "
                "for each image."
            )
        batch = max(sizes, default=1)
        device = max(tensors.values(), key=lambda t: t.numel()).device
        return {n: t.to(device).reshape(-1).expand(batch) for n, t in tensors.items()}


def _checked_size(size: int) -> int:
    if not isinstance(size, Integral) or not 8 <= size <= 2048:
        raise ValueError(f"size is {size!r}: pictures are 8 to 2048 pixels wide, a whole number.")
    return size
