"""Train guidance's families around a network that is there: each adds a million numbers or fewer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.func import functional_call
from tqdm import tqdm

from ..cards import OWN_WEIGHTS, save_tensors
from ..checkpoints import find, load
from ..models.families import Mapping, Semantics, constant_alpha_bar
from ..models.low_rank import adapt, cut, fitted, learnt
from ..models.spread import SecondMoment
from ..models.unet import UNet
from ..paths import BUILD, write_whole
from ..schedule import linear_alpha_bar, mean_coefficients, noised, sigma
from ..worlds import WORLDS
from .loop import Recipe
from .pixel import times, velocity
from .pools import Pool, picks


@dataclass(frozen=True)
class Family(Recipe):
    """A network around another one's U-Net. What it adds is saved, and the other one's name."""

    kind: str = "generator"
    compiled: bool = False
    family: str = ""  # one of `models.families.FAMILIES`
    network_name: str = "faces"
    world: str = "faces"
    size: int = 64
    rank: int = 16  # of the additions to the U-Net's weights, while they are learnt
    kept: int = 8  # of those that are saved
    pool: int = 32_768
    focus: float = 0.0  # as of `pixel.times`

    def learns(self) -> tuple[str, ...]:
        return (self.world,)

    def pictures(self, pools: Path):
        """A function of (pictures seen, pictures wanted, generator) that gives pictures (B, 3, S, S)."""
        pool = Pool(WORLDS[self.world], self.size, pools)

        def draw(seen: int, n: int, gen: torch.Generator) -> Tensor:
            return pool.take(picks(n, pool.grow(min(self.pool, seen + 1)), gen))[0]

        return draw

    def data(self, pools: Path):
        """Batches (x, ε, t)."""
        pictures = self.pictures(pools)

        def draw(seen: int, n: int, gen: torch.Generator) -> list[Tensor]:
            x = pictures(seen, n, gen)
            return [x, torch.randn(x.shape, generator=gen), times(n, gen, self.focus)]

        return draw

    def config(self) -> dict:
        """What the family's class takes besides the U-Net and the parts."""
        return {}

    def save(self, net: nn.Module, target: Path) -> None:
        """`config.json` and, in half precision, what is added to the U-Net (net.*) and the parts."""
        target.mkdir(parents=True, exist_ok=True)
        said = {"rank": self.kept if self.rank else 0, "parts": net.parts.config} | self.config()
        write_whole(target / "config.json", json.dumps(said) + "\n")
        kept = {f"parts.{k}": v for k, v in net.parts.state_dict().items()}
        if self.rank:
            kept |= {f"net.{k}": v for k, v in cut(learnt(net.net), self.kept).items()}
        save_tensors(kept, target)

    def weights(self, name: str) -> dict[str, Tensor]:
        """The named family's, and what of the network it does not hold (a GAN's heads) as it is at first."""
        net = self.network()
        saved = {k: v.float() for k, v in load_file(find(name) / OWN_WEIGHTS).items()}
        for part in ("parts", "net")[: 2 if self.rank else 1]:
            own = {k[len(part) + 1 :]: v for k, v in saved.items() if k.startswith(part + ".")}
            at = getattr(net, part)
            at.load_state_dict(fitted(own, at.state_dict()), strict=part == "parts")
        return net.state_dict()


# ---------------------------------------------------------------- SN-DDPM


class Residual(nn.Module):
    """A frozen U-Net and the head that learns how wrong it is."""

    def __init__(self, unet: UNet):
        super().__init__()
        self.unet = [unet]  # in a list, so that its weights are not this module's
        width = unet.net.time_embedding.linear_2.out_features
        self.head = SecondMoment(unet.net.config.block_out_channels[0], width, unet.channels)

    @property
    def parts(self) -> nn.Module:
        return self.head

    def forward(self, x_t: Tensor, v: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """log r and (v - v_θ)², both (B, C·u², S/u, S/u), of pictures x_t with target v (B, 3, S, S)."""
        unet = self.unet[0]
        with torch.no_grad():
            b = unet.encode(x_t, t)
            features = unet.features(b)
            wrong = (v - unet.said_of(features, b)).square()
        # Contiguous, as torch 2.13's GroupNorm crashes where it learns from channels-last constants.
        return self.head(features.contiguous(), b.temb), F.pixel_unshuffle(wrong, unet.unshuffle)


@dataclass(frozen=True)
class SecondMoments(Family):
    """The head of SN-DDPM. The loss -log N(v; v_θ, r) has the same best r as the paper's squared error of r,
    E[(v - v_θ)²], but counts errors by their ratio: r goes over four orders of magnitude."""

    family: str = "sn"
    rank: int = 0  # the U-Net stays

    def network(self) -> nn.Module:
        return Residual(load(self.network_name))

    def loss(self, net: nn.Module, x: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        log_r, wrong = net(*velocity(x, eps, t), t)
        return ((wrong.float() * (-log_r).exp() + log_r) / 2).mean()


# ---------------------------------------------------------------- diffusion autoencoder


class Told(nn.Module):
    """A U-Net that learns by additions, and the semantics that tell it."""

    def __init__(self, unet: UNet, rank: int, side: int):
        super().__init__()
        self.semantics = Semantics(side, unet.net.class_embedding.embedding_dim)
        self.semantics.prior.requires_grad_(False)
        self.net = adapt(unet.net, rank)
        self.unet = [unet]
        self.register_buffer("none", unet.embedding(0).detach().clone())

    @property
    def parts(self) -> nn.Module:
        return self.semantics

    def forward(self, x: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """v (B, 3, S, S) of pictures x (B, 3, S, S) noised to x_t at t (B,)."""
        unet = self.unet[0]
        told = self.none + self.semantics.embedding(self.semantics.encode(x))
        return unet.said(unet.encode(x_t, t, told))


@dataclass(frozen=True)
class Autoencoders(Family):
    """A diffusion autoencoder: the encoder learns with the U-Net, by the plain loss; when it is saved, a
    prior of z_sem is fitted to the pictures that are there."""

    family: str = "autoencoder"
    prior_steps: int = 12_000
    prior_rate: float = 1e-3

    def network(self) -> nn.Module:
        return Told(load(self.network_name), self.rank, self.size)

    def loss(self, net: nn.Module, x: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        x_t, v = velocity(x, eps, t)
        return F.mse_loss(net(x, x_t, t).float(), v)

    def save(self, net: nn.Module, target: Path) -> None:
        fit_prior(net.semantics, self.pictures(BUILD / "recipes" / "pools"), self)
        super().save(net, target)


def fit_prior(semantics: Semantics, pictures, recipe: Autoencoders) -> None:
    """Normalise z_sem and fit its latent DPM, in place (Preechakul et al. 2022, §3.3: L1, constant β)."""
    from diffusers.training_utils import EMAModel

    semantics.eval()
    semantics.mean.zero_(), semantics.std.fill_(1.0)
    every = range(0, recipe.pool, 256)
    gen = torch.Generator().manual_seed(recipe.seed)
    with torch.no_grad():
        z = torch.cat([semantics.encode(pictures(recipe.pool, 256, gen)) for _ in every])
    semantics.mean.copy_(z.mean(0)), semantics.std.copy_(z.std(0))
    z, a = (z - z.mean(0)) / z.std(0), constant_alpha_bar().float()
    prior = semantics.prior.requires_grad_(True).train()
    prior.apply(lambda m: m.reset_parameters() if hasattr(m, "reset_parameters") else None)
    ema = EMAModel(prior.parameters(), decay=0.999, use_ema_warmup=True, power=0.75)
    optimizer = torch.optim.AdamW(prior.parameters(), recipe.prior_rate, weight_decay=0.01)
    for step in tqdm(range(recipe.prior_steps), f"{recipe.name}'s prior", mininterval=10):
        optimizer.param_groups[0]["lr"] = recipe.prior_rate * (1 - step / recipe.prior_steps)
        some = z[torch.randint(0, len(z), (256,), generator=gen)]
        t, eps = (
            torch.randint(0, len(a), (256,), generator=gen),
            torch.randn(some.shape, generator=gen),
        )
        F.l1_loss(prior(noised(some, eps, a[t][:, None]), t), eps).backward()
        optimizer.step(), optimizer.zero_grad()
        ema.step(prior.parameters())
    ema.copy_to(prior.parameters())
    prior.requires_grad_(False).eval()


# ---------------------------------------------------------------- denoising diffusion GAN


NEAR = 0.05  # step of the heads' slope, in deviations of the features


class Heads(nn.Module):
    """A discriminator on a frozen U-Net's features of x_t' and of x_t: a map of logits at each of its levels.

    widths: the features' channels. The last level also sees how much a group of four pictures differs
    (Karras et al. 2018's minibatch standard deviation).
    """

    GROUP = 4

    def __init__(self, widths: list[int], levels: int, hidden: int = 64):
        super().__init__()
        extra = [0] * (len(widths) - 1) + [1]
        self.first = nn.ModuleList(
            nn.Sequential(nn.GroupNorm(8, 2 * w), nn.Conv2d(2 * w, hidden, 1)) for w in widths
        )
        self.level = nn.ModuleList(nn.Embedding(levels, hidden) for _ in widths)
        self.rest = nn.ModuleList(
            nn.Sequential(
                nn.LeakyReLU(0.2), nn.Conv2d(hidden + more, hidden, 3, 2, padding=1),
                nn.LeakyReLU(0.2), nn.Conv2d(hidden, 1, 1),
            )
            for more in extra
        )  # fmt: skip

    def forward(self, to: list[Tensor], at: list[Tensor], level: Tensor) -> Tensor:
        """Logits (B, places of all levels), of features of x_t' and x_t (B, C, h, w); level: (B,)."""
        out = []
        for i, rest in enumerate(self.rest):
            inner = self.first[i](torch.cat([to[i], at[i]], 1).float().contiguous())  # as above
            inner = inner + self.level[i](level)[:, :, None, None]
            if i + 1 == len(self.rest):
                groups = inner.unflatten(0, (-1, self.GROUP))  # (B/4, 4, hidden, h, w)
                differ = (groups.var(1, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
                differ = differ.repeat_interleave(self.GROUP)[:, None, None, None]
                inner = torch.cat([inner, differ.expand(-1, 1, *inner.shape[2:])], 1)
            out.append(rest(inner).flatten(1))
        return torch.cat(out, 1)


class Adversaries(nn.Module):
    """The generator, a U-Net that learns by additions and its mapping; and the heads that it has to fool."""

    def __init__(self, unet: UNet, teacher: UNet, rank: int, levels: tuple[int, ...], latent: int):
        super().__init__()
        config = unet.net.config
        self.mapping = Mapping(latent, unet.net.class_embedding.embedding_dim)
        self.net = adapt(unet.net, rank)
        widths = [*config.block_out_channels, config.block_out_channels[-1]]
        self.heads = Heads(widths, len(levels))
        self.unet, self.teacher = [unet], [teacher]
        self.register_buffer("none", unet.embedding(0).detach().clone())
        self.register_buffer("times", torch.tensor(levels))
        a = linear_alpha_bar()[list(levels)]
        a_to = torch.cat([torch.ones(1, dtype=a.dtype), a[:-1]])
        self.register_buffer("ends", torch.stack([a, a_to, sigma(a, a_to, 1.0)]))

    @property
    def parts(self) -> nn.Module:
        return self.mapping

    def forward(self, x, noises, level, latent) -> tuple[Tensor, Tensor, Tensor]:
        """(the heads' loss, the generator's, the heads' squared slope on real pictures).

        The slope stands for the paper's R1, found by a small step and not by a second backward pass
        (Lin et al. 2025, §3.3), of the features.

        x: (B, 3, S, S). noises: (3, B, 3, S, S), of x_t', x_t and the posterior. level: (B,), in groups of
        four. latent: (B, latent). The heads learn from detached features, and the generator from heads whose
        weights are detached, so one optimizer takes both their steps.
        """
        a, a_to, spread = (v.to(x)[level].view(-1, 1, 1, 1) for v in self.ends)
        real = noised(x, noises[0], a_to)
        x_t = noised(real, noises[1], a / a_to)
        c_x, c_P = mean_coefficients(a.double(), a_to.double(), spread.double())
        fake = c_x.to(x) * x_t + c_P.to(x) * self.image(x_t, level, latent, a) + spread * noises[2]
        with torch.no_grad():
            at, of_real = self.features(x_t, level), self.features(real, level - 1)
        of_fake = self.features(fake, level - 1)
        said = self.heads(of_real, at, level)
        some = 2 * Heads.GROUP  # pictures
        near = [f[:some] + NEAR * f.std() * torch.randn_like(f[:some]) for f in of_real]
        nearly = self.heads(near, [f[:some] for f in at], level[:some])
        steep = (nearly - said[:some]).square().mean() / NEAR**2
        seen = self.heads([f.detach() for f in of_fake], at, level)
        against = F.softplus(-said).mean() + F.softplus(seen).mean()
        frozen = {k: v.detach() for k, v in self.heads.named_parameters()}
        fooled = F.softplus(-functional_call(self.heads, frozen, (of_fake, at, level))).mean()
        return against, fooled, steep

    def image(self, x_t: Tensor, level: Tensor, latent: Tensor, a: Tensor) -> Tensor:
        """The generator's x_0."""
        unet = self.unet[0]
        v = unet.said(unet.encode(x_t, self.times[level], self.none + self.mapping(latent)))
        return a.sqrt() * x_t - (1 - a).sqrt() * v

    def features(self, x: Tensor, level: Tensor) -> list[Tensor]:
        """The frozen U-Net's, on its way down and at its middle; level -1 is the clean picture."""
        t = torch.where(level >= 0, self.times[level.clamp_min(0)], 0)
        b = self.teacher[0].encode(x, t)
        return [*b.skips[1::2], b.h]


@dataclass(frozen=True)
class DenoisingGans(Family):
    """A denoising diffusion GAN that begins as the network in four steps."""

    family: str = "gan"
    batch: int = 32
    beta1: float = 0.5
    levels: tuple[int, ...] = (249, 499, 749, 999)
    latent: int = 100
    slope: float = 0.001  # weight of the heads' slope

    def config(self) -> dict:
        return {"times": self.levels}

    def network(self) -> nn.Module:
        unets = load(self.network_name), load(self.network_name)
        return Adversaries(*unets, self.rank, self.levels, self.latent)

    def data(self, pools: Path):
        """Batches (x, noises, level, latent), as `Adversaries` takes them."""
        pictures = self.pictures(pools)

        def draw(seen: int, n: int, gen: torch.Generator) -> list[Tensor]:
            x = pictures(seen, n, gen)
            level = torch.randint(0, len(self.levels), (n // Heads.GROUP,), generator=gen)
            latent = torch.randn(n, self.latent, generator=gen)
            noises = torch.randn((3, *x.shape), generator=gen)
            return [x, noises, level.repeat_interleave(Heads.GROUP), latent]

        return draw

    def loss(self, net: nn.Module, *batch: Tensor) -> Tensor:
        against, fooled, steep = net(*batch)
        return against + fooled + self.slope * steep
