"""SN-DDPM (Bao et al. 2022): a U-Net whose σ of each step and pixel is its own, by a head on its features."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import _torchvision  # noqa: F401
from ..denoisers import Bottleneck, Denoiser, Predicted, signal
from ..devices import precision
from .unet import UNet


class SecondMoment(nn.Module):
    """E[(v - v_θ)²] of each pixel, from what a U-Net's last convolution sees and the time's embedding.

    The residual's second moment (Bao et al. 2022's NPR-DDPM) and not v's own: never negative, and right for
    an imperfect mean. Its logarithm is what the network puts out.
    """

    def __init__(self, channels: int, embedding: int, out: int, groups: int = 8):
        super().__init__()
        self.config = {"channels": channels, "embedding": embedding, "out": out, "groups": groups}
        from diffusers.models.resnet import ResnetBlock2D

        self.block = ResnetBlock2D(
            in_channels=channels, out_channels=channels, temb_channels=embedding, groups=groups
        )
        self.norm = nn.GroupNorm(groups, channels)
        self.out = nn.Conv2d(channels, out, 3, padding=1)
        nn.init.normal_(self.out.weight, std=1e-3)
        nn.init.constant_(self.out.bias, math.log(0.01))

    def forward(self, features: Tensor, temb: Tensor) -> Tensor:
        """log r, (B, out, h, w), of features (B, channels, h, w) and temb (B, embedding)."""
        return self.out(F.silu(self.norm(self.block(features, temb)))).float().clamp(-14, 3)


NEARLY = 0.999  # ᾱ of the first noise levels
LAST = 4 / 255 * (math.pi / 2) ** 0.5


class Optimal(NamedTuple):
    """The σ that is best for a step (Bao et al. 2022, Theorem 3), of DDIM's family of any η:

        σ² = λ² + (√ᾱ' - √((1-ᾱ'-λ²) ᾱ/(1-ᾱ)))² Cov[x_0 | x_t],  λ = σ_t(η) of the schedule.

    r: (B, *shape), E[(v - v_θ)²]; Cov[x_0 | x_t] = (1-ᾱ) r, in [0, 1] for pictures in [-1, 1]. Of a step to
        the first noise levels σ is at most `LAST`, as in the paper: what it adds there is seen.
    """

    r: Tensor

    def __call__(self, a: float | Tensor, a_to: float | Tensor, eta: float) -> Tensor:
        kind = {"dtype": precision(self.r.device), "device": self.r.device}
        a, a_to = (torch.as_tensor(v, **kind) for v in (a, a_to))
        least = eta**2 * (1 - a_to) / (1 - a) * (1 - a / a_to)
        reach = a_to.sqrt() - ((1 - a_to - least).clamp_min(0) * a / (1 - a)).sqrt()
        spread = ((1 - a).to(self.r) * self.r).clamp(0, 1)
        sigma = (least.to(self.r) + reach.square().to(self.r) * spread).sqrt()
        return torch.where(a_to > NEARLY, sigma.clamp_max(LAST), sigma)


class OptimalSigma(Denoiser):
    """A U-Net with a head that knows how wrong it is: σ of each step and pixel is its own.

    unet: which predicts v. head: on its last features.
    """

    eta = 1.0

    def __init__(self, unet: UNet, head: SecondMoment):
        self.unet, self.head = unet, head.eval().requires_grad_(False)
        self.bring_along(unet)

    @property
    def device(self) -> torch.device:
        return self.unet.device

    @property
    def dtype(self) -> torch.dtype:
        return self.unet.dtype

    def to(self, *where) -> OptimalSigma:
        """Move or convert the networks, in place; returns self."""
        self.unet.to(*where)
        self.head.to(*where)
        return self

    def __call__(self, x: Tensor, t: int | Tensor, cond: Tensor | None = None) -> Tensor:
        return self.unet(x, t, cond)

    def encode(self, x: Tensor, t: int | Tensor, cond: Tensor | None = None) -> Bottleneck:
        """The pass up to h. Raises as `UNet.encode`."""
        return self.unet.encode(x, t, cond)

    def decode(self, b: Bottleneck, delta_h: Tensor | None = None) -> Tensor:
        """ε (B, *shape) from h on; `delta_h` is added to h in this pass only."""
        return self.unet.decode(b, delta_h)

    def predict(self, x: Tensor, t: int | Tensor, cond: Tensor | None = None) -> Predicted:
        """ε, h, and σ as `Optimal`."""
        b = self.unet.encode(x, t, cond)
        features = self.unet.features(b)
        eps = self.unet.to_eps(self.unet.said_of(features, b), x, signal(self, x, t))
        return Predicted(eps, b.h, Optimal(self.second_moment(features, b).to(eps)))

    def second_moment(self, features: Tensor, b: Bottleneck) -> Tensor:
        """E[(v - v_θ)²], (B, *shape)."""
        seen = (v.to(self.head.out.weight) for v in (features, b.temb))
        return F.pixel_shuffle(self.head(*seen), self.unet.unshuffle).exp()
