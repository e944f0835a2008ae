"""The networks that CycleDiffusion's rivals bring along: CUT's generator, and EGSDE's classifier.

dog = translated(load_translator("cut-cats-dogs"), cat)
features = load_domains("domains").features      # for `egsde.egsde`
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checkpoints import load_network

# Of the normalizations. CUT's own, of each channel by itself, take away an image's colour: plain backgrounds
# then come out in any.
GROUPS = 4


class Block(nn.Module):
    """Two normalized convolutions beside the identity (He et al. 2016); (B, width, h, w) to the same."""

    def __init__(self, width: int):
        super().__init__()
        self.one, self.two = _conv(width, width), _conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.two(F.relu(self.one(x)))


def _conv(inputs: int, width: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, width, 3, stride, padding=1, padding_mode="reflect", bias=False),
        nn.GroupNorm(GROUPS, width),
    )


class TranslatorNet(nn.Module):
    """CUT's generator (Park et al. 2020): down by 4, residual blocks, up again; (B, 3, H, W) in [-1, 1].

    channels: at full, half and a quarter of the resolution. H and W are multiples of 4.
    """

    def __init__(self, channels=(48, 96, 128), blocks: int = 5):
        super().__init__()
        self.config = {"channels": list(channels), "blocks": blocks}
        a, b, c = channels
        self.down = nn.ModuleList([_conv(3, a), _conv(a, b, 2), _conv(b, c, 2)])
        self.middle = nn.ModuleList([Block(c) for _ in range(blocks)])
        self.up = nn.ModuleList([_conv(c, b), _conv(b, a)])
        self.out = nn.Conv2d(a, 3, 3, padding=1, padding_mode="reflect")

    def encode(self, x: Tensor) -> list[Tensor]:
        """Feature maps (B, C, h, w): after each level on the way down, amid the blocks and after them."""
        maps = []
        for layer in self.down:
            x = F.relu(layer(x))
            maps.append(x)
        for i, block in enumerate(self.middle):
            x = block(x)
            if i in (len(self.middle) // 2, len(self.middle) - 1):
                maps.append(x)
        return maps

    def decode(self, x: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [-1, 1] from the last of the maps, (B, C, H/4, W/4)."""
        for layer in self.up:
            x = F.relu(layer(F.interpolate(x, scale_factor=2.0)))
        return torch.tanh(self.out(x))

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [-1, 1] to such images."""
        return self.decode(self.encode(x)[-1])


def translated(net: TranslatorNet, x: Tensor, side: int = 32) -> Tensor:
    """Larger pictures x (B, 3, H, W) by a translator that learnt on pictures of `side` pixels: made small,
    translated, and enlarged again.

    The embedded translators are of 32 pixels. The same recipe at 64 broke the faces after 160,000 pictures.
    """
    small = F.interpolate(x.float(), (side, side), mode="area")
    return F.interpolate(net(small).float(), x.shape[2:], mode="bilinear", antialias=True).clamp(
        -1, 1
    )


class DomainNet(nn.Module):
    """A classifier of noisy images x_t, which knows t (Zhao et al. 2022): is it a cat, a dog, wild?

    domains: the worlds that it tells apart.
    """

    def __init__(self, domains=("cats", "dogs", "wild"), channels=(48, 96, 128)):
        super().__init__()
        self.config = {"domains": list(domains), "channels": list(channels)}
        self.domains = tuple(domains)
        inputs = (12, *channels[:-1])
        self.convs = nn.ModuleList(
            nn.Conv2d(i, o, 3, 1 + (n > 0), padding=1)
            for n, (i, o) in enumerate(zip(inputs, channels, strict=True))
        )
        self.times = nn.ModuleList(nn.Linear(64, width) for width in channels)
        self.norms = nn.ModuleList(nn.GroupNorm(8, width) for width in channels)
        self.mixing = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for width in channels)
        self.head = nn.Linear(channels[-1], len(domains))

    def features(self, x: Tensor, t: int | Tensor) -> Tensor:
        """Maps (B, C, H/8, W/8) of x_t (B, 3, H, W), all of the network but its last layer."""
        from diffusers.models.embeddings import get_timestep_embedding

        times = torch.as_tensor(t, device=x.device).expand(len(x))
        when = get_timestep_embedding(times, 64).to(self.head.weight)  # (B, 64)
        x = F.pixel_unshuffle(x.to(self.head.weight), 2)  # (B, 12, H/2, W/2)
        for conv, time, norm, mix in zip(
            self.convs, self.times, self.norms, self.mixing, strict=True
        ):
            x = F.silu(norm(conv(x) + time(when)[..., None, None]))
            x = x + F.silu(mix(x))
        return x

    def forward(self, x: Tensor, t: int | Tensor) -> Tensor:
        """Logits (B, domains) of x_t (B, 3, H, W) at a time t, or at (B,) of them."""
        return self.head(self.features(x, t).mean((2, 3)))


def load_translator(name: str | Path, device: str = "cpu") -> TranslatorNet:
    """CUT's generator in an embedded checkpoint or a folder: images (B, 3, H, W) to images.

    Raises CheckpointError for one that is missing, corrupt or of another kind.
    """
    return load_network(TranslatorNet, "translator", name, device)


def load_domains(name: str | Path = "domains", device: str = "cpu") -> DomainNet:
    """The classifier of noisy images in an embedded checkpoint or a folder; raises as above."""
    return load_network(DomainNet, "domains", name, device)
