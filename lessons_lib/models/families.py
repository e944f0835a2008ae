"""Families of generators around one U-Net, each behind the ε contract (Wu & De la Torre 2023, Figure 7).

- `spread.OptimalSigma` (SN-DDPM, Bao et al. 2022): the same ε, and a σ that the network knows, of each pixel.
- `DenoisingGan` (Xiao et al. 2022): four steps, each told by a latent of its own what to draw.
- `Autoencoder` (diffusion autoencoder, Preechakul et al. 2022): told by one z_sem of the picture it is to be.

The last two are told more than the time. What tells them is `style`, a part of the code with the prior
N(0, I) beside the sampler's noises; `told(style)` is the `cond` that it comes to.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import _torchvision  # noqa: F401
from ..cards import OWN_WEIGHTS, no_load, read_json
from ..checks import check_input
from ..denoisers import Bottleneck, Denoiser
from ..devices import precise
from ..encoder import invert
from ..sampler import Sampler, final
from ..schedule import checked_alpha_bar
from ..streams import Seed, Streams
from .low_rank import adapt, merge
from .spread import OptimalSigma, SecondMoment
from .unet import UNet

# ---------------------------------------------------------------- told more than the time


class Told(Denoiser):
    """A U-Net of class embeddings that is told, in their place, what `embedding` makes of `cond`.

    style_shape: of what a code holds for it, N(0, I).
    """

    def __init__(self, unet: UNet, parts: nn.Module):
        self.unet, self.parts = unet, parts.eval().requires_grad_(False)
        self.bring_along(unet)
        self.labels = ()
        self.none = unet.embedding(0)  # (1, E): what it was told of labels while it learnt

    @property
    def device(self) -> torch.device:
        return self.unet.device

    @property
    def dtype(self) -> torch.dtype:
        return self.unet.dtype

    def to(self, *where):
        """Move or convert the networks, in place; returns self."""
        self.unet.to(*where)
        self.parts.to(*where)
        self.none = self.none.to(*where)
        return self

    def times(self, t: int | Tensor) -> int | Tensor:
        """The U-Net's own times."""
        return t

    def embedding(self, cond: Tensor, t: int | Tensor) -> Tensor:
        """What is added to the time's embedding, (B, E)."""
        raise NotImplementedError

    def told(self, style: Tensor) -> Tensor:
        """The `cond` of a code's style (B, *style_shape)."""
        raise NotImplementedError

    def style(self, images: Tensor, seed: Seed) -> Tensor:
        """A style (B, *style_shape) under which the images (B, *shape) are encoded."""
        raise NotImplementedError

    def __call__(self, x: Tensor, t: int | Tensor, cond: Tensor | None = None) -> Tensor:
        return self.decode(self.encode(x, t, cond))

    def encode(self, x: Tensor, t: int | Tensor, cond: Tensor | None = None) -> Bottleneck:
        """The pass up to h. Raises ValueError without a cond, and as `UNet.encode`."""
        check_input(self, x, t, cond)
        if cond is None:
            raise ValueError(
                "This model draws what its style says: give a code that has one, as draw and encode "
                f"return it, or cond=model.told(style), style (B, {', '.join(map(str, self.style_shape))})."
            )
        cond = cond.to(self.none).expand(len(x), *cond.shape[1:])
        return self.unet.encode(x, self.times(t), self.none + self.embedding(cond, t))

    def decode(self, b: Bottleneck, delta_h: Tensor | None = None) -> Tensor:
        """ε (B, *shape) from h on; `delta_h` is added to h in this pass only."""
        return self.unet.decode(b, delta_h)


# ---------------------------------------------------------------- denoising diffusion GAN


class Mapping(nn.Module):
    """From a latent (B, latent) to a time embedding's further part (B, embedding): PixelNorm and an MLP."""

    def __init__(self, latent: int, embedding: int, width: int = 256):
        super().__init__()
        self.config = {"latent": latent, "embedding": embedding, "width": width}
        self.net = nn.Sequential(
            nn.Linear(latent, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(),
            nn.Linear(width, embedding),
        )  # fmt: skip
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)

    def forward(self, latent: Tensor) -> Tensor:
        return self.net(latent * latent.square().mean(1, keepdim=True).add(1e-8).rsqrt())


class DenoisingGan(Told):
    """A denoising diffusion GAN (Xiao et al. 2022, §4): x_0 = G(x_t, t, latent), then the posterior's step.

    Its T is the number of its levels: `Sampler(model, steps=4, eta=1.0)` is the paper's sampler.
    style: (B, levels, latent), a latent for each step.
    times: those of the U-Net that are its levels, rising.
    """

    eta = 1.0

    def __init__(self, unet: UNet, parts: Mapping, times: tuple[int, ...]):
        super().__init__(unet, parts)
        self.levels = torch.tensor(times)
        self.alpha_bar = checked_alpha_bar(unet.alpha_bar[self.levels])
        self.style_shape = torch.Size((len(times), parts.config["latent"]))

    def times(self, t: int | Tensor) -> int | Tensor:
        if isinstance(t, int):
            return self.levels[t].item()
        return self.levels.to(t.device)[t]

    def embedding(self, cond: Tensor, t: int | Tensor) -> Tensor:
        t = torch.as_tensor(t, device=cond.device).expand(len(cond))
        return self.parts(cond[torch.arange(len(cond), device=cond.device), t])

    def told(self, style: Tensor) -> Tensor:
        return style

    def style(self, images: Tensor, seed: Seed) -> Tensor:
        """Drawn: the DPM-Encoder finds the noises that go with any latents."""
        shape = images.new_empty(0, *self.style_shape)
        return Streams(seed, len(images), of="style").normal(shape)


# ---------------------------------------------------------------- diffusion autoencoder


class Semantics(nn.Module):
    """What an autoencoder has besides its U-Net: encoder, what its U-Net is told, and a prior on z_sem.

    channels: of the encoder at 1/4, 1/8 and 1/16 of the pictures' side. width: of z_sem.
    """

    def __init__(
        self, side: int, embedding: int, channels=(32, 64, 128), width: int = 64,
        prior: int = 256, layers: int = 4,
    ):  # fmt: skip
        super().__init__()
        self.config = {
            "side": side, "embedding": embedding, "channels": list(channels), "width": width,
            "prior": prior, "layers": layers,
        }  # fmt: skip
        from diffusers.models.resnet import Downsample2D, ResnetBlock2D

        def block(inputs: int, outputs: int) -> nn.Module:
            return ResnetBlock2D(
                in_channels=inputs, out_channels=outputs, temb_channels=None, groups=8
            )

        a, b, c = channels
        self.first = nn.Conv2d(48, a, 3, padding=1)
        self.blocks = nn.ModuleList(
            [
                block(a, a),
                Downsample2D(a, True, b),
                block(b, b),
                Downsample2D(b, True, c),
                block(c, c),
            ]
        )
        self.last = nn.Linear(c * (side // 16) ** 2, width)
        self.tell = nn.Linear(width, embedding)
        self.prior = PriorNet(width, prior, layers)
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))

    def encode(self, images: Tensor) -> Tensor:
        """z_sem (B, width) of images (B, 3, side, side) in [-1, 1], of about unit variance in each number."""
        out = self.first(F.pixel_unshuffle(images.to(self.first.weight), 4))
        for block in self.blocks:
            out = block(out, None) if hasattr(block, "norm1") else block(out)
        return (self.last(F.silu(out).flatten(1)) - self.mean) / self.std

    def embedding(self, z_sem: Tensor) -> Tensor:
        """(B, embedding) of z_sem as `encode` returns it."""
        return self.tell(z_sem * self.std + self.mean)


class PriorNet(nn.Module):
    """The latent DPM's network: an MLP whose layers all see its input (Preechakul et al. 2022, §3.3)."""

    def __init__(self, width: int, hidden: int, layers: int):
        super().__init__()
        from diffusers.models.embeddings import TimestepEmbedding, Timesteps

        self.waves = Timesteps(64, True, 0)
        self.time = TimestepEmbedding(64, hidden)
        self.layers = nn.ModuleList(
            nn.Linear(width if i == 0 else hidden + width, hidden) for i in range(layers)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(layers))
        self.out = nn.Linear(hidden + width, width)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """ε (B, width) of x (B, width) at t (B,)."""
        temb, out = self.time(self.waves(t).to(x)), x
        for i, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            out = F.silu(norm(layer(out if i == 0 else torch.cat([out, x], 1)) * (1 + temb)))
        return self.out(torch.cat([out, x], 1))


def constant_alpha_bar(train_steps: int = 1000, beta: float = 0.008) -> Tensor:
    """ᾱ (T,) of a β that stays, as the latent DPM has it (Preechakul et al. 2022, §A)."""
    return torch.cumprod(torch.full((train_steps,), 1 - beta, dtype=torch.float64), 0)


class Prior(Denoiser):
    """The latent DPM of z_sem: a denoiser like any other, of vectors (width,)."""

    def __init__(self, net: PriorNet):
        self.net, self.alpha_bar = net, constant_alpha_bar()
        self.shape = torch.Size((net.out.out_features,))

    @property
    def device(self) -> torch.device:
        return self.net.out.weight.device

    def __call__(self, x: Tensor, t: int | Tensor, cond: Tensor | None = None) -> Tensor:
        times = torch.as_tensor(t, device=x.device).expand(len(x))
        return self.net(x.to(self.net.out.weight), times).to(x)


class Autoencoder(Told):
    """A diffusion autoencoder (Preechakul et al. 2022): z = z_sem ⊕ x_T, where z_sem says what the picture is
    and x_T what is left.

    style: (B, width), the latent DPM's own code; cond: z_sem (B, width).
    semantics(images): z_sem of pictures.
    """

    PRIOR_STEPS = 10  # of the latent DPM

    def __init__(self, unet: UNet, parts: Semantics):
        super().__init__(unet, parts)
        self.style_shape = torch.Size((parts.config["width"],))

    @property
    def prior(self) -> Sampler:
        """G of z_sem: from style to z_sem, and back by `invert`."""
        return Sampler(Prior(self.parts.prior), self.PRIOR_STEPS, eta=0.0)

    def semantics(self, images: Tensor) -> Tensor:
        """z_sem (B, width) of images (B, *shape) in [-1, 1]."""
        return self.parts.encode(images).to(images)

    def embedding(self, cond: Tensor, t: int | Tensor) -> Tensor:
        return self.parts.embedding(cond)

    def told(self, style: Tensor) -> Tensor:
        """z_sem of a style, by the latent DPM; gradients flow back."""
        return final(self.prior.walk(precise(style))).x_to.to(style)

    @torch.no_grad()
    def style(self, images: Tensor, seed: Seed) -> Tensor:
        """The style whose z_sem is the encoder's; the seed does not matter."""
        code, _ = invert(self.prior, precise(self.semantics(images)), refine=20)
        return code.x_T.to(images)


# ---------------------------------------------------------------- from disk

# What a card calls its family: the class, and that of its parts.
FAMILIES = {
    "sn": (OptimalSigma, SecondMoment),
    "gan": (DenoisingGan, Mapping),
    "autoencoder": (Autoencoder, Semantics),
}


def member(family: str, unet: UNet, folder: Path) -> Denoiser:
    """A family around a U-Net, by the `config.json` and weights that its recipe saved; the U-Net is changed.

    Raises CheckpointError, in one sentence, for files that are missing or do not fit.
    """
    from safetensors.torch import load_file

    config = read_json(folder / "config.json")
    try:
        build, parts = FAMILIES[family]
        parts, rank = parts(**config.pop("parts")), config.pop("rank")
        saved = {k: v.float() for k, v in load_file(folder / OWN_WEIGHTS).items()}
        parts.load_state_dict(_under("parts.", saved))
        if rank:
            found = adapt(unet.net, rank).load_state_dict(_under("net.", saved), strict=False)
            if found.unexpected_keys:
                raise ValueError(f"its network has no {found.unexpected_keys[0]}")
            merge(unet.net)
        return build(unet, parts, **config)
    except Exception as error:  # safetensors, torch and the classes raise many kinds
        raise no_load(folder, error) from None


def _under(start: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k[len(start) :]: v for k, v in tensors.items() if k.startswith(start)}
