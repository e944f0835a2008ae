"""Train a pixel-space diffusion network on a world.

v-prediction (Salimans & Ho 2022, Appendix D) on `pixel_unshuffle`d images: the unshuffle only
permutes pixels, so the noise stays white and no equation changes, while the network works at half
the resolution with four times the channels. ε-prediction needs far longer: at t=999 an error in ε
is multiplied by sqrt(1-ᾱ)/sqrt(ᾱ) = 157 in the predicted image. Such a network may then grow a level at full
resolution around it (`Pixel.grown`), which draws what the half lacks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checkpoints import load
from ..models.unet import haar, linear_v
from ..schedule import linear_alpha_bar, noised
from ..worlds import WORLDS, Factor
from .loop import Recipe
from .pools import Pool, picks


@dataclass(frozen=True)
class Pixel(Recipe):
    """A UNet2DModel on the pictures of one world."""

    kind: str = "generator"
    compiled: bool = False  # on CPU it trains faster so
    world: str = ""
    size: int = 32
    unshuffle: int = 2
    channels: tuple[int, ...] = (64, 128, 192)
    attention: tuple[int, ...] = (1, 2)  # levels, counted from the finest
    groups: int = 8  # of the normalizations; each takes a group's mean away, so few of them: with
    # diffusers' 32 the net cannot see a shift of one channel, which leaves a dotted texture
    embedding: int | None = None  # width of the time's embedding; None is four times channels[0]
    focus: float = 0.0  # share of the training times at which details form (see `times`)
    # Standard deviations of the Haar bands, if the network sees those (see `UNet`).
    bands: tuple[float, ...] = ()
    label: str = ""  # factor whose choices, or two halves, are conditions 1, 2, …; 0 is none
    unlabelled: float = 0.5  # share of the batch trained without a condition
    views: tuple[str, ...] = ()  # checkpoints that are this network with label 1, 2, … fixed, each
    # named as the world that it draws

    def learns(self) -> tuple[str, ...]:
        return (self.world,)

    def network(self) -> nn.Module:
        """diffusers' UNet2DModel on (B, 3u², size/u, size/u)."""
        from diffusers.models.unets.unet_2d import UNet2DModel

        levels = range(len(self.channels))
        down = ["AttnDownBlock2D" if i in self.attention else "DownBlock2D" for i in levels]
        up = ["AttnUpBlock2D" if i in self.attention else "UpBlock2D" for i in reversed(levels)]
        return UNet2DModel(
            sample_size=self.size // self.unshuffle,
            in_channels=3 * self.unshuffle**2,
            out_channels=3 * self.unshuffle**2,
            layers_per_block=1,
            block_out_channels=self.channels,
            down_block_types=down,
            up_block_types=up,
            attention_head_dim=32,
            norm_num_groups=self.groups,
            time_embedding_dim=self.embedding,
            num_class_embeds=1 + self.labels if self.label else None,
        )

    @property
    def factor(self) -> Factor | None:
        """The factor that `label` names."""
        return WORLDS[self.world].factor(self.label)

    @property
    def labels(self) -> int:
        """How many conditions there are, besides none."""
        return len(self.factor.choices) or 2

    def data(self, pools: Path):
        """Batches (x, eps, t), with the labels (B,) if the recipe has any."""
        pool, factor = Pool(WORLDS[self.world], self.size, pools), self.factor

        def draw(seen: int, n: int, gen: torch.Generator) -> list[Tensor]:
            count = pool.grow(min(self.pool, seen + 1))
            x, _, factors = pool.take(picks(n, count, gen))
            x = F.pixel_unshuffle(x, self.unshuffle)
            x = haar(x) if self.bands else x
            batch = [x, torch.randn(x.shape, generator=gen), times(n, gen, self.focus)]
            if factor is None:
                return batch
            value = factors[self.label]
            kind = value if factor.choices else value > (factor.low + factor.high) / 2
            kind = 1 + kind.long()
            return [*batch, kind * (torch.rand(n, generator=gen) >= self.unlabelled)]

        return draw

    def loss(self, net: nn.Module, x: Tensor, eps: Tensor, t: Tensor, *label: Tensor) -> Tensor:
        x_t, v = velocity(x, eps, t)
        if self.bands:
            v = v - linear_v(self.bands, x_t, linear_alpha_bar().to(x)[t].view(-1, 1, 1, 1))
        return F.mse_loss(net(x_t, t, *label).sample.float(), v)

    def save(self, net: nn.Module, target: Path) -> None:
        """As diffusers saves, in fp16."""
        net.cpu().half().save_pretrained(target / "unet", safe_serialization=True)
        scheduler().save_pretrained(target / "scheduler")

    def weights(self, name: str) -> dict[str, Tensor]:
        net = load(name).net
        if self.bands and net.config.in_channels == 3:
            return widened(net.state_dict())
        one_less = len(net.down_blocks) + 1 == len(self.channels)
        return self.grown(net) if one_less else net.state_dict()

    def grown(self, small: nn.Module) -> dict[str, Tensor]:
        """What a network that sees this one's images unshuffled brings to this one, whose further level,
        the finest, lies around its own (as Karras et al. 2018 grow theirs): all that still fits.

        The times' embedding has half of its frequencies, so each counts twice.
        """
        own, brought = self.network().state_dict(), {}
        for name, value in small.state_dict().items():
            name = re.sub(r"^down_blocks\.(\d+)", lambda m: f"down_blocks.{int(m[1]) + 1}", name)
            if name == "time_embedding.linear_1.weight":
                value = 2 * value[:, ::2]
            if name in own and own[name].shape == value.shape:
                brought[name] = value
        return brought


def widened(small: dict[str, Tensor]) -> dict[str, Tensor]:
    """A network of pictures as one of the Haar bands of pictures twice as large: what it knows is the band of
    sums, which are such pictures, doubled; of the other bands it sees little, and puts out nothing yet."""
    first, last = small["conv_in.weight"], small["conv_out.weight"]  # (O, C, 3, 3), (C, O, 3, 3)
    sums = torch.tensor([1.0, 0.0, 0.0, 0.0])
    noise = torch.randn(len(first), 3, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    little = noise * (1 - sums).view(1, 1, 4, 1, 1) * first.std() / 2
    return small | {
        "conv_in.weight": (torch.einsum("ocij,s->ocsij", first, sums) + little).flatten(1, 2),
        "conv_out.weight": torch.einsum("coij,s->csoij", last, sums).flatten(0, 1),
        "conv_out.bias": torch.outer(small["conv_out.bias"], sums).flatten(),
    }


def times(n: int, gen: torch.Generator, focus: float = 0.0) -> Tensor:
    """Training times (n,): all equally likely, but for a share `focus` of them, whose noise is as Karras
    et al. (2022, Table 1) draw it, ln σ ~ N(-1.2, 1.2²) with σ² = (1-ᾱ)/ᾱ: where details form."""
    t = torch.randint(0, 1000, (n,), generator=gen)
    if not focus:
        return t
    log_sigma = (1 / linear_alpha_bar() - 1).log() / 2
    drawn = torch.randn(n, generator=gen, dtype=log_sigma.dtype) * 1.2 - 1.2
    near = torch.searchsorted(log_sigma, drawn).clamp_max(len(log_sigma) - 1)
    return torch.where(torch.rand(n, generator=gen) < focus, near, t)


def velocity(x: Tensor, eps: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """x_t and the target v = √ᾱ ε - √(1-ᾱ) x, both like x (Salimans & Ho 2022, eq. 30)."""
    a = linear_alpha_bar().to(x)[t].view(-1, *[1] * (x.ndim - 1))
    return noised(x, eps, a), a.sqrt() * eps - (1 - a).sqrt() * x


def scheduler(**more):
    """The schedule that is trained on and saved: linear β 1e-4…0.02 over 1,000 steps.

    more: what diffusers' own pipelines expect besides.
    """
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    return DDIMScheduler(1000, prediction_type="v_prediction", clip_sample=False, **more)
