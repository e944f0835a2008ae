"""Vectorised, antialiased drawing: signed distances in, blended layers out.

Coordinates: x to the right and y downwards, both in [-1, 1], whatever the image size.
A parameter of shape (B, 1, 1) against a grid of shape (H, W) or (B, H, W) gives (B, H, W).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SUPERSAMPLE = 2  # each pixel averages SUPERSAMPLE² antialiased samples


def grid(size: int, device: torch.device | str) -> tuple[Tensor, Tensor]:
    """Pixel-centre coordinates x and y, each (size, size), in (-1, 1)."""
    axis = (torch.arange(size, device=device, dtype=torch.float32) + 0.5) * (2 / size) - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return x, y


def superellipse(x: Tensor, y: Tensor, a, b, p=2.0) -> Tensor:
    """Approximate signed distance (negative inside) to |x/a|^p + |y/b|^p = 1."""
    if isinstance(p, float) and p == 2:
        u, v = x / a, y / b
        f = torch.sqrt(u * u + v * v)
        return f * (f - 1) / torch.sqrt((u / a) ** 2 + (v / b) ** 2).clamp_min(1e-6)
    u, v = (x.abs() / a).clamp_min(1e-6), (y.abs() / b).clamp_min(1e-6)
    f = (u**p + v**p) ** (1 / p)
    slope = f ** (1 - p) * torch.sqrt((u ** (p - 1) / a) ** 2 + (v ** (p - 1) / b) ** 2)
    return (f - 1) / slope.clamp_min(1e-6)


def segment(x: Tensor, y: Tensor, x0, y0, x1, y1, radius) -> Tensor:
    """Signed distance to the capsule of this radius around the segment (x0, y0)-(x1, y1)."""
    dx, dy = x1 - x0, y1 - y0
    along = ((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy + 1e-9)
    along = along.clamp(0, 1)
    return torch.sqrt((x - x0 - along * dx) ** 2 + (y - y0 - along * dy) ** 2 + 1e-9) - radius


def union(*distances: Tensor) -> Tensor:
    """Signed distance to the union of shapes."""
    out = distances[0]
    for d in distances[1:]:
        out = torch.minimum(out, d)
    return out


def inside(*distances: Tensor) -> Tensor:
    """Signed distance to the intersection of shapes."""
    return -union(*(-d for d in distances))


def rotate(x: Tensor, y: Tensor, angle) -> tuple[Tensor, Tensor]:
    """Coordinates turned by `angle` radians (clockwise on screen, since y points down)."""
    c, s = torch.cos(angle), torch.sin(angle)
    return c * x + s * y, c * y - s * x


def constant(r: int, g: int, b: int, like: Tensor) -> Tensor:
    """One 8-bit colour as (1, 3, 1, 1) in [0, 1]."""
    return torch.tensor([r, g, b], dtype=torch.float32, device=like.device).view(1, 3, 1, 1) / 255


def palette(value: Tensor, colours: list[tuple[int, int, int]]) -> Tensor:
    """Colours (B, 3, 1, 1) in [0, 1] at `value` (B,) in [0, 1] along a list of 8-bit colours."""
    table = torch.tensor(colours, dtype=torch.float32, device=value.device) / 255
    place = value.clamp(0, 1) * (len(colours) - 1)
    low = place.floor().long().clamp_max(len(colours) - 2)
    mix = (place - low).unsqueeze(-1)
    return (table[low] * (1 - mix) + table[low + 1] * mix)[..., None, None]


class Canvas:
    """Layers painted back to front, with the class of each layer kept for the mask."""

    def __init__(self, batch: int, size: int, classes: int, device: torch.device | str):
        fine = size * SUPERSAMPLE
        self.x, self.y = grid(fine, device)
        self.pixel = 2 / fine
        self.rgb = torch.zeros(batch, 3, fine, fine, device=device)
        self.cover = torch.zeros(batch, classes, size, size, device=device)

    def coverage(self, distance: Tensor, blur: float = 1.0) -> Tensor:
        """Share of each fine pixel inside the shape, (B, H, W); `blur` widens the edge, in pixels."""
        return (0.5 - distance / (self.pixel * blur)).clamp(0, 1)

    def soft(self, distance: Tensor, width) -> Tensor:
        """A smooth fall from 1 to 0 over `width` units beyond the shape's edge, size-independent."""
        s = (1 - distance / width).clamp(0, 1)
        return s * s * (3 - 2 * s)

    def paint(self, alpha: Tensor, colour: Tensor, label: int | None = None, opacity=1.0) -> None:
        """Blend `colour` (B, 3, 1, 1) or (B, 3, H, W) over the canvas with `alpha` (B, H, W)."""
        alpha = (alpha * opacity).expand(self.rgb.shape[0], *self.rgb.shape[-2:])
        self.rgb = torch.lerp(self.rgb, colour.expand_as(self.rgb), alpha[:, None])
        if label is not None:
            cover = F.avg_pool2d(alpha[:, None], SUPERSAMPLE)
            self.cover = self.cover * (1 - cover)
            self.cover[:, label : label + 1] += cover

    def image(self) -> Tensor:
        """The picture, (B, 3, size, size) in [-1, 1]."""
        return F.avg_pool2d(self.rgb, SUPERSAMPLE).clamp(0, 1) * 2 - 1

    def mask(self) -> Tensor:
        """The class that covers most of each pixel, (B, size, size), int64."""
        return self.cover.argmax(1)
