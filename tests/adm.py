"""The U-Net of ADM (Dhariwal & Nichol 2021, §3 and §C), written from its published architecture to compare.

Names of modules are those of the authors' files. Improved DDPM and P2-weighted models are of it too.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn


def times(t, width):
    """Cosines, then sines (B, width) of t (B,), from wavelength 2π to 10,000 times that."""
    half = width // 2
    waves = torch.exp(-math.log(10000) * torch.arange(half, dtype=torch.float32) / half)
    turned = t[:, None].float() * waves
    return torch.cat([turned.cos(), turned.sin()], 1)


class Residual(nn.Module):
    def __init__(self, inputs, outputs, emb, scale_shift, way=None):
        super().__init__()
        self.scale_shift, self.way = scale_shift, way
        self.in_layers = nn.Sequential(
            nn.GroupNorm(32, inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(emb, outputs * (1 + scale_shift)))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(32, outputs),
            nn.SiLU(),
            nn.Dropout(0.1),
            nn.Conv2d(outputs, outputs, 3, padding=1),
        )
        self.skip_connection = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def sized(self, x):
        if self.way == "down":
            return F.avg_pool2d(x, 2)
        return F.interpolate(x, scale_factor=2, mode="nearest") if self.way == "up" else x

    def forward(self, x, emb):
        norm, silu, conv = self.in_layers
        h = conv(self.sized(silu(norm(x))))
        told = self.emb_layers(emb)[:, :, None, None]
        if self.scale_shift:
            scale, move = told.chunk(2, 1)
            h = self.out_layers[1:](self.out_layers[0](h) * (1 + scale) + move)
        else:
            h = self.out_layers(h + told)
        return self.skip_connection(self.sized(x)) + h


class Attention(nn.Module):
    def __init__(self, channels, head, new_order):
        super().__init__()
        self.head, self.new_order = head, new_order
        self.norm = nn.GroupNorm(32, channels)
        self.qkv, self.proj_out = (
            nn.Conv1d(channels, 3 * channels, 1),
            nn.Conv1d(channels, channels, 1),
        )

    def forward(self, x):
        b, c, *sides = x.shape
        flat = x.flatten(2)
        qkv = self.qkv(self.norm(flat))
        if self.new_order:  # (3, heads, head) channels
            q, k, v = qkv.view(b, 3, -1, self.head, flat.shape[2]).unbind(1)
        else:  # (heads, 3, head)
            q, k, v = qkv.view(b, -1, 3, self.head, flat.shape[2]).unbind(2)
        weight = torch.softmax(torch.einsum("bnct,bncs->bnts", q, k) / math.sqrt(self.head), -1)
        out = torch.einsum("bnts,bncs->bnct", weight, v).reshape(b, c, -1)
        return (flat + self.proj_out(out)).view(b, c, *sides)


class Down(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x):
        return self.op(x)


class Up(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


class ADM(nn.Module):
    """attention: at which reductions of the side. updown: halve and double within residual blocks."""

    def __init__(
        self, width=32, mult=(1, 2, 2), layers=2, attention=(4,), head=16, learn_sigma=True, updown=True,
        scale_shift=True, new_order=False, classes=None,
    ):  # fmt: skip
        super().__init__()
        emb, self.width = 4 * width, width
        self.time_embed = nn.Sequential(nn.Linear(width, emb), nn.SiLU(), nn.Linear(emb, emb))
        self.label_emb = nn.Embedding(classes, emb) if classes else None

        def block(inputs, outputs, side, *more):
            parts = [Residual(inputs, outputs, emb, scale_shift)]
            parts += [Attention(outputs, head, new_order)] if side in attention else []
            return nn.ModuleList([*parts, *more])

        def resized(channels, way):
            if updown:
                return Residual(channels, channels, emb, scale_shift, way)
            return Down(channels) if way == "down" else Up(channels)

        channels, side = mult[0] * width, 1
        self.input_blocks = nn.ModuleList([nn.ModuleList([nn.Conv2d(3, channels, 3, padding=1)])])
        kept = [channels]
        for level, m in enumerate(mult):
            for _ in range(layers):
                self.input_blocks.append(block(channels, m * width, side))
                channels = m * width
                kept.append(channels)
            if level < len(mult) - 1:
                self.input_blocks.append(nn.ModuleList([resized(channels, "down")]))
                kept.append(channels)
                side *= 2
        ends = [Residual(channels, channels, emb, scale_shift) for _ in range(2)]
        self.middle_block = nn.ModuleList([ends[0], Attention(channels, head, new_order), ends[1]])
        self.output_blocks = nn.ModuleList()
        for level, m in reversed(list(enumerate(mult))):
            for i in range(layers + 1):
                more = [resized(m * width, "up")] if level and i == layers else []
                self.output_blocks.append(block(channels + kept.pop(), m * width, side, *more))
                channels = m * width
            side //= 2
        self.out = nn.Sequential(
            nn.GroupNorm(32, channels),
            nn.SiLU(),
            nn.Conv2d(channels, 6 if learn_sigma else 3, 3, padding=1),
        )

    def forward(self, x, t, label=None):
        emb = self.time_embed(times(t, self.width))
        emb = emb if label is None else emb + self.label_emb(label)

        def through(block, x):
            for part in block:
                x = part(x, emb) if isinstance(part, Residual) else part(x)
            return x

        kept = []
        for one in self.input_blocks:
            x = through(one, x)
            kept.append(x)
        x = through(self.middle_block, x)
        for one in self.output_blocks:
            x = through(one, torch.cat([x, kept.pop()], 1))
        return self.out(x)


def random_adm(seed=0, **config):
    """One with random weights, none of them 0 as at the beginning of a training."""
    torch.manual_seed(seed)
    net = ADM(**config).eval().requires_grad_(False)
    for p in net.parameters():
        p.add_(0.02 * torch.randn_like(p))
    return net
