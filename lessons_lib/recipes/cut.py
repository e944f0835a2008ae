"""Train what CycleDiffusion's rivals need: CUT's translators, and EGSDE's classifier of noisy pictures.

CUT (Park et al. 2020): a generator from one world to another that a discriminator cannot tell from the
other world's pictures, and in whose features each place of the output is nearer to the same place of the
input than to any other (PatchNCE).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from ..cards import save_network
from ..methods.translators import GROUPS, DomainNet, TranslatorNet, load_domains, load_translator
from ..schedule import linear_alpha_bar, noised
from ..worlds import WORLDS
from .loop import Recipe
from .pixel import times
from .pools import Pool, picks

PLACES = 64  # of each map that are compared, in each image


class Rivals(nn.Module):
    """The generator, and the two networks that teach it: only the generator is kept."""

    def __init__(self, generator: TranslatorNet, width: int = 64, embedding: int = 64):
        super().__init__()
        self.generator = generator
        with torch.no_grad():
            found = [m.shape[1] for m in generator.encode(torch.zeros(1, 3, 16, 16))]
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(c, embedding), nn.ReLU(), nn.Linear(embedding, embedding))
            for c in found
        )
        self.discriminator = nn.Sequential(  # of patches of 22 pixels (Isola et al. 2017)
            nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False), nn.GroupNorm(GROUPS, 2 * width),
            nn.LeakyReLU(0.2), nn.Conv2d(2 * width, 1, 4, 1, 1),
        )  # fmt: skip

    def forward(self, x: Tensor, y: Tensor, places: Tensor) -> tuple[Tensor, ...]:
        """(discriminator's loss, generator's against it, PatchNCE, |G(y) - y|) of source x, target y.

        x, y: (B, 3, H, W) in [-1, 1]; places: as of `patch_nce`.
        The discriminator learns from detached pictures, and the generator from a discriminator whose
        weights are detached, so one optimizer takes both their steps.
        """
        both = torch.cat([x, y])
        maps = self.generator.encode(both)
        made = self.generator.decode(maps[-1])
        fake = made[: len(x)]
        real, seen = self.discriminator(torch.cat([y, fake.detach()])).chunk(2)
        against = ((real - 1).square().mean() + seen.square().mean()) / 2
        frozen = {k: v.detach() for k, v in self.discriminator.named_parameters()}
        fooled = (functional_call(self.discriminator, frozen, (fake,)) - 1).square().mean()
        pairs = zip(self.heads, self.generator.encode(made), maps, strict=True)
        kept = torch.stack([patch_nce(head, a, b, places) for head, a, b in pairs]).mean()
        return against, fooled, kept, (made[len(x) :] - y).abs().mean()


def patch_nce(
    head: nn.Module, made: Tensor, source: Tensor, places: Tensor, temperature: float = 0.07
) -> Tensor:
    """Cross-entropy of finding a place's features in the source's, among `places` of the same image.

    temperature: by default CUT's.
    made, source: (B, C, h, w); places: (P,) in [0, 1). Gradients reach `made` alone, but both by the head.
    """
    wanted = (places * made[0, 0].numel()).long().unique()
    one, two = (
        F.normalize(head(m.flatten(2)[..., wanted].transpose(1, 2)).float(), dim=2)
        for m in (made, source.detach())
    )
    logits = one @ two.transpose(1, 2) / temperature  # (B, P, P)
    target = torch.arange(len(wanted), device=made.device).expand(len(made), -1)
    return F.cross_entropy(logits.flatten(0, 1), target.flatten())


@dataclass(frozen=True)
class Cut(Recipe):
    """A TranslatorNet from the pictures of one world to those of another."""

    kind: str = "translator"
    source: str = "cats"
    target: str = "dogs"
    size: int = 32  # see `translators.translated`
    channels: tuple[int, ...] = (32, 64, 96)
    blocks: int = 4
    pool: int = 32_768
    batch: int = 16  # two networks that chase each other need many steps, not many pictures a step
    learning_rate: float = 2e-4  # with beta1 as in CUT's public code
    beta1: float = 0.5
    nce: float = 1.0  # weight of PatchNCE, over the source and, as identity, over the target
    # Of |G(y) - y|, CycleGAN's, which CUT does not have: PatchNCE compares places of one image, so that by
    # itself it lets all backgrounds come out in one colour. As heavy as CycleGAN's: half of its λ = 10.
    identity: float = 5.0
    compiled: bool = False

    def learns(self) -> tuple[str, ...]:
        return (self.source, self.target)

    def network(self) -> nn.Module:
        return Rivals(TranslatorNet(self.channels, self.blocks))

    def data(self, pools: Path):
        """Batches (x, y, places): source and target (B/2, 3, S, S) each, and (PLACES,)."""
        sources = [Pool(WORLDS[name], self.size, pools) for name in (self.source, self.target)]

        def draw(seen: int, n: int, gen: torch.Generator) -> list[Tensor]:
            count = min(pool.grow(min(self.pool, seen // 2 + 1)) for pool in sources)
            pictures = [pool.take(picks(n // 2, count, gen))[0] for pool in sources]
            return [*pictures, torch.rand(PLACES, generator=gen)]

        return draw

    def loss(self, net: nn.Module, x: Tensor, y: Tensor, places: Tensor) -> Tensor:
        """The weighted sum of what `Rivals` puts out, for a batch as `data` gives it."""
        against, fooled, kept, changed = net(x, y, places)
        return against + fooled + self.nce * kept + self.identity * changed

    def save(self, net: nn.Module, target: Path) -> None:
        save_network(net.generator, target)

    def weights(self, name: str) -> dict[str, Tensor]:
        """The named generator's, with teachers that are new."""
        net = self.network()
        net.generator.load_state_dict(load_translator(name).state_dict())
        return net.state_dict()


@dataclass(frozen=True)
class Domains(Recipe):
    """A DomainNet of these worlds' pictures at every noise level."""

    kind: str = "domains"
    domains: tuple[str, ...] = ("cats", "dogs", "wild")
    size: int = 64
    channels: tuple[int, ...] = (48, 96, 128)

    def learns(self) -> tuple[str, ...]:
        return self.domains

    def network(self) -> nn.Module:
        return DomainNet(self.domains, self.channels)

    def data(self, pools: Path):
        """Batches (x_t (B, 3, S, S), t (B,), which world (B,))."""
        sources = [Pool(WORLDS[name], self.size, pools) for name in self.domains]
        each = torch.arange(len(sources))

        def draw(seen: int, n: int, gen: torch.Generator) -> list[Tensor]:
            n = n // len(sources)
            count = min(p.grow(min(self.pool, seen // len(sources) + 1)) for p in sources)
            x = torch.cat([pool.take(picks(n, count, gen))[0] for pool in sources])
            t = times(len(x), gen)
            a = linear_alpha_bar().float()[t].view(-1, 1, 1, 1)
            return [noised(x, torch.randn(x.shape, generator=gen), a), t, each.repeat_interleave(n)]

        return draw

    def loss(self, net: nn.Module, x_t: Tensor, t: Tensor, domain: Tensor) -> Tensor:
        """Cross-entropy of the world, for a batch as `data` gives it."""
        return F.cross_entropy(net(x_t, t).float(), domain)

    def save(self, net: nn.Module, target: Path) -> None:
        save_network(net, target)

    def weights(self, name: str) -> dict[str, Tensor]:
        return load_domains(name).state_dict()
