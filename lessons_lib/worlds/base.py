"""What every world is: named factors, a renderer, masks and captions."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from numbers import Integral

import torch
from torch import Tensor

from .draw import Canvas
from .version import fingerprint

SLACK = 0.01  # of a factor's range, beyond it: for rounding, and a descent's steps
AT_ONCE = 32  # pictures drawn together: more would not fit the processor's cache, and be slower


@dataclass(frozen=True)
class Factor:
    """One cause of a picture: its range, and how it is drawn at random.

    Uniform in [low, high]; with `zero`, that share of the draws is 0; with `binary`, the draw is
    1 with that probability, else 0; with `choices`, one of their numbers, 0 to len(choices) - 1.
    With `when`, it shows only where another factor, named first, has one of these choices' numbers.
    """

    name: str
    group: str
    low: float
    high: float
    meaning: str
    zero: float = 0.0
    binary: float | None = None
    choices: tuple[str, ...] = ()
    when: tuple[str, tuple[int, ...]] | None = None

    @classmethod
    def choice(cls, name: str, group: str, choices: tuple[str, ...], when=None) -> Factor:
        """A factor that is one of several kinds, all equally likely."""
        meaning = ", ".join(choices)
        return cls(name, group, 0, len(choices) - 1, meaning, choices=choices, when=when)

    def draw(self, u: Tensor) -> Tensor:
        """Values (n,) from uniform numbers `u` (n,) in [0, 1)."""
        if self.choices:
            return (u * len(self.choices)).floor()
        if self.binary is not None:
            return (u < self.binary).float()
        spread = ((u - self.zero) / (1 - self.zero)).clamp(0, 1)
        return torch.where(u < self.zero, 0.0, self.low + spread * (self.high - self.low))


@dataclass(frozen=True)
class Batch:
    """Pictures and what caused them.

    image (B, 3, H, W) in [-1, 1]; mask (B, H, W) of class numbers; factors name -> (B,);
    caption, a list of B strings.
    """

    image: Tensor
    mask: Tensor
    factors: dict[str, Tensor]
    caption: list[str]


@dataclass(frozen=True)
class World:
    """A procedural image distribution with known factors.

    draw: paints (B,) factors at a size on a Canvas, back to front.
    describe: one caption of one picture's factors, its wording picked by the random generator.
    fixed: factors that are the same in every picture of this world.
    """

    name: str
    factors: tuple[Factor, ...]
    classes: tuple[str, ...]
    draw: Callable[[dict[str, Tensor], int], Canvas]
    describe: Callable[[dict[str, float], random.Random], str]
    fixed: dict[str, float] = field(default_factory=dict)

    def where(self, name: str, **fixed: float) -> World:
        """The part of this world in which these factors are fixed; the others are drawn as before,
        so that a seed's pictures in two parts are each other's counterparts."""
        self._known(fixed)
        return replace(self, name=name, fixed=self.fixed | fixed)

    def factor(self, name: str) -> Factor | None:
        """The factor of this name, or None."""
        return next((f for f in self.factors if f.name == name), None)

    @property
    def version(self) -> str:
        """A hash of what the pictures depend on, the drawing code and the factors' ranges: what a
        checkpoint learnt. Captions and comments do not count."""
        ranges = [
            (f.name, float(f.low), float(f.high), f.zero, f.binary, len(f.choices))
            for f in self.factors
        ]
        return fingerprint(sys.modules[self.draw.__module__], repr(ranges))

    def sample_factors(self, n: int, seed: int, device: str = "cpu") -> dict[str, Tensor]:
        """`n` independent draws of every factor; the first k of n are those of k.

        Raises ValueError for an n below 1, or a seed that is no whole number from 0.
        """
        if not isinstance(n, Integral) or isinstance(n, bool) or n < 1:
            raise ValueError(f"n is {n!r}: give a whole number of images, at least 1.")
        if not isinstance(seed, Integral) or isinstance(seed, bool) or seed < 0:
            raise ValueError(f"seed is {seed!r}: give a whole number from 0.")
        u = torch.rand(n, len(self.factors), generator=torch.Generator().manual_seed(seed))
        drawn = {f.name: f.draw(u[:, i]).to(device) for i, f in enumerate(self.factors)}
        return self.complete(drawn)

    def sample(self, n: int, seed: int, size: int = 64, device: str = "cpu") -> Batch:
        """`n` random pictures with factors, masks and captions.

        seed: below 1,000,000 for held-out pictures, which no recipe has trained on.
        """
        factors = self.sample_factors(n, seed, device)
        return Batch(*self.paint(factors, size), factors, self.captions(factors, seed))

    def render(self, factors: Mapping[str, Tensor | float], size: int = 64) -> Tensor:
        """The pictures (B, 3, size, size) of these factors; a number stands for the whole batch.

        Raises ValueError for a factor that this world does not have, one that is missing, or one
        that is not finite or out of its range.
        """
        return self.paint(factors, size)[0]

    def mask(self, factors: Mapping[str, Tensor | float], size: int = 64) -> Tensor:
        """The masks (B, size, size) of these factors; see `classes` for the numbers' names."""
        return self.paint(factors, size)[1]

    def paint(self, factors: Mapping[str, Tensor | float], size: int = 64) -> tuple[Tensor, Tensor]:
        """Pictures (B, 3, size, size) and masks (B, size, size) of these factors, as `render`."""
        factors, size = self.complete(factors), _checked_size(size)
        batch = len(next(iter(factors.values())))
        images, masks = [], []
        for i in range(0, batch, AT_ONCE):
            canvas = self.draw({k: v[i : i + AT_ONCE] for k, v in factors.items()}, size)
            images.append(canvas.image())
            masks.append(canvas.mask())
        return torch.cat(images), torch.cat(masks)

    def visible(self, factors: Mapping[str, Tensor | float]) -> dict[str, Tensor]:
        """Where each factor shows, name -> (B,) bool: a boat's colour, only where there is a boat.

        A number between two choices is drawn as a blend, and shows what either of them shows.
        """
        factors = self.complete(factors)
        inner = {f.name: factors[f.name].clamp(f.low, f.high) for f in self.factors}
        shown = {name: torch.ones_like(value, dtype=torch.bool) for name, value in inner.items()}
        for f in self.factors:
            if f.when:
                name, kinds = f.when
                shown[f.name] = torch.stack([(inner[name] - k).abs() < 1 for k in kinds]).any(0)
        return shown

    def captions(self, factors: Mapping[str, Tensor | float], seed: int = 0) -> list[str]:
        """One sentence for each picture of `factors`; another seed picks other words."""
        columns = {name: v.tolist() for name, v in self.complete(factors).items()}
        rows = zip(*columns.values(), strict=True)
        return [
            self.describe(dict(zip(columns, row, strict=True)), random.Random(f"{seed}-{i}"))
            for i, row in enumerate(rows)
        ]

    def complete(self, factors: Mapping[str, Tensor | float]) -> dict[str, Tensor]:
        """`factors` checked, as (B,) float tensors on one device, in this world's order.

        Raises ValueError for names, shapes or values that this world does not have.
        """
        factors = {**factors, **self.fixed}
        self._known(factors)
        missing = [f.name for f in self.factors if f.name not in factors]
        if missing:
            raise ValueError(
                f"Factors of {self.name}: missing {len(missing)} ({', '.join(missing)}); "
                f"`{self.name}.sample_factors` gives all."
            )
        tensors = {
            f.name: torch.as_tensor(factors[f.name], dtype=torch.float32) for f in self.factors
        }
        for name, value in tensors.items():
            if not value.isfinite().all():
                raise ValueError(
                    f"Factor {name} of {self.name} is not finite; give finite numbers."
                )
        for f in self.factors:
            slack = SLACK * (f.high - f.low)
            beyond = (tensors[f.name] < f.low - slack) | (tensors[f.name] > f.high + slack)
            if beyond.any():
                value = tensors[f.name][beyond].flatten()[0].item()
                raise ValueError(
                    f"Factor {f.name} of {self.name} is {value:.4g}: give numbers from {f.low:g} to "
                    f"{f.high:g}."
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

    def _known(self, factors: Mapping) -> None:
        names = [f.name for f in self.factors]
        unknown = set(factors) - set(names)
        if unknown:
            raise ValueError(
                f"Factors of {self.name}: unknown {sorted(unknown)}; they are {', '.join(names)}."
            )


def _checked_size(size: int) -> int:
    if not isinstance(size, Integral) or not 8 <= size <= 2048:
        raise ValueError(f"size is {size!r}: pictures are 8 to 2048 pixels wide, a whole number.")
    return size
