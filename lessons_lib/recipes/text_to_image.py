"""Train a small latent text-to-image model in Stable Diffusion's layout (Rombach et al. 2022): first
`codec`, the AutoencoderKL, then `t2i`, the UNet2DConditionModel with its text encoder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import _torchvision  # noqa: F401
from ..cards import digest
from ..models.latent import Codec
from ..paths import BUILD, EMBEDDED, whole
from ..worlds import WORLDS
from . import text
from .loop import Recipe
from .pixel import scheduler, times, velocity
from .pools import Pool, chunk, picks

SEEN = ("animals", "faces", "scenes")
JOINT = r"(, (?:and |with )?| and | with )"  # what lies between two clauses
SUBJECT = r"\b(cat|dog|fox|face|person)\b"
LEFT_OUT = (  # pattern, what stands there instead, chance
    (r" (?:on|at|to) the (?:left|right)\b(?: of the lake)?| in the middle\b", "", 0.5),  # places
    (r"\b(?:red|blue|yellow|white) (?=house|cottage|tent|windmill|(?:sailing )?boat)", "", 0.25),
    (r", (?=in |on |at |under |against |before )", " ", 0.5),
)
SIZE = 64  # pixels of the pictures, of which the latents are 16 wide


class Autoencoder(nn.Module):
    """An AutoencoderKL whose forward pass gives what its loss needs."""

    def __init__(self, vae: nn.Module):
        super().__init__()
        self.vae = vae

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(reconstruction of a sampled latent (B, 3, H, W), its mean, its log-variance (B, 4, H/4, W/4))."""
        found = self.vae.encode(x).latent_dist
        return self.vae.decode(found.mean + found.std * noise).sample, found.mean, found.logvar


@dataclass(frozen=True)
class Codecs(Recipe):
    """An AutoencoderKL of 64-pixel pictures of the worlds; latents are (4, 16, 16)."""

    kind: str = "codec"
    channels: tuple[int, ...] = (32, 64, 64)
    crop: int = 32  # pixels; the network is convolutional, so crops teach what whole pictures do
    kl: float = 1e-5  # weight of the divergence from N(0, I), per latent number

    def learns(self) -> tuple[str, ...]:
        return SEEN

    def network(self) -> nn.Module:
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

        levels = len(self.channels)
        vae = AutoencoderKL(
            block_out_channels=self.channels,
            down_block_types=["DownEncoderBlock2D"] * levels,
            up_block_types=["UpDecoderBlock2D"] * levels,
            latent_channels=4,
            mid_block_add_attention=False,
            norm_num_groups=4,
            sample_size=SIZE,
        )
        # A narrow posterior to begin with: from std 1 the decoder learns to ignore the latents.
        nn.init.constant_(vae.quant_conv.bias[4:], -6.0)
        return Autoencoder(vae)

    def data(self, pools: Path):
        """Batches (x (B, 3, crop, crop) in [-1, 1], noise of the latents (B, 4, crop/4, crop/4))."""
        sources = [Pool(WORLDS[name], SIZE, pools) for name in SEEN]

        def draw(seen: int, n: int, gen: torch.Generator) -> list[Tensor]:
            count = min(p.grow(min(self.pool, seen // len(SEEN) + 1)) for p in sources)
            x = torch.cat([p.take(picks(n // len(SEEN), count, gen))[0] for p in sources])
            top, left = torch.randint(0, SIZE - self.crop + 1, (2,), generator=gen).tolist()
            side = self.crop // 2 ** (len(self.channels) - 1)
            noise = torch.randn(len(x), 4, side, side, generator=gen)
            return [x[..., top : top + self.crop, left : left + self.crop].contiguous(), noise]

        return draw

    def loss(self, net: nn.Module, x: Tensor, noise: Tensor) -> Tensor:
        """L1 of pixels and of their differences, which keeps edges, and the divergence from N(0, I)."""
        y, mean, logvar = net(x, noise)
        y, mean, logvar = y.float(), mean.float(), logvar.float()
        edges = sum(F.l1_loss(y.diff(dim=d), x.diff(dim=d)) for d in (2, 3))
        divergence = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
        return F.l1_loss(y, x) + edges + self.kl * divergence

    def save(self, net: nn.Module, target: Path) -> None:
        """vae/ as diffusers saves it, its scaling factor 1 over the latents' deviation."""
        vae = net.cpu().float().vae.eval()
        x = torch.cat([WORLDS[name].sample(64, 0, SIZE).image for name in SEEN])
        with torch.no_grad():
            deviation = vae.encode(x).latent_dist.mean.std().item()
        vae.register_to_config(scaling_factor=1 / deviation)
        vae.half().save_pretrained(target / "vae", safe_serialization=True)

    def weights(self, name: str) -> dict[str, Tensor]:
        return Autoencoder(_vae(Path(name))).state_dict()


def _vae(folder: Path):
    """The trained AutoencoderKL: of the run in `folder`, else the embedded t2i's."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    home = folder if (folder / "vae").is_dir() else EMBEDDED / "t2i"
    vae = AutoencoderKL.from_pretrained(home / "vae", torch_dtype=torch.float32)
    # Otherwise the name of the folder that it was read from, on this machine, is saved with it.
    vae.register_to_config(_name_or_path="codec")
    return vae


class Painter(nn.Module):
    """The networks that are trained together: the text encoder and the U-Net that listens to it."""

    def __init__(self, unet: nn.Module, text_encoder: nn.Module):
        super().__init__()
        self.unet, self.text_encoder = unet, text_encoder

    def forward(self, z_t: Tensor, t: Tensor, ids: Tensor) -> Tensor:
        """What the U-Net says, v (B, 4, h, w), of latents (B, 4, h, w) with token numbers (B, LENGTH)."""
        return self.unet(z_t, t, self.text_encoder(ids).last_hidden_state).sample


@dataclass(frozen=True)
class TextToImage(Recipe):
    """A UNet2DConditionModel with its own CLIPTextModel, on latents of all worlds."""

    kind: str = "generator"
    channels: tuple[int, ...] = (64, 128, 128)
    attention: tuple[int, ...] = (1, 2)
    text_width: int = 128
    text_layers: int = 2
    unsaid: float = 0.1  # share of captions left out, for classifier-free guidance
    shortened: float = 0.5  # share of captions that leave things out, as people's prompts do
    unet_learns: bool = True  # or the text encoder alone

    def learns(self) -> tuple[str, ...]:
        return SEEN

    def network(self) -> nn.Module:
        from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
        from transformers import CLIPTextConfig, CLIPTextModel

        levels = range(len(self.channels))
        down = ["CrossAttnDownBlock2D" if i in self.attention else "DownBlock2D" for i in levels]
        up = ["CrossAttnUpBlock2D" if i in self.attention else "UpBlock2D" for i in levels]
        unet = UNet2DConditionModel(
            sample_size=SIZE // 4,
            layers_per_block=1,
            norm_num_groups=8,
            block_out_channels=self.channels,
            down_block_types=down,
            up_block_types=up[::-1],
            cross_attention_dim=self.text_width,
            attention_head_dim=[c // 32 for c in self.channels],  # the number of heads
        )
        tool = text.tokenizer(SEEN)
        config = CLIPTextConfig(
            vocab_size=len(tool),
            hidden_size=self.text_width,
            intermediate_size=4 * self.text_width,
            num_hidden_layers=self.text_layers,
            num_attention_heads=self.text_width // 32,
            max_position_embeddings=text.LENGTH,
            **{f"{k}_token_id": getattr(tool, f"{k}_token_id") for k in ("bos", "eos", "pad")},
        )
        return Painter(unet.requires_grad_(self.unet_learns), CLIPTextModel(config))

    def data(self, pools: Path):
        """Batches (latents, eps (B, 4, 16, 16) each, t (B,), input_ids (B, LENGTH))."""
        tool, sources = text.tokenizer(SEEN), [Latents(name, pools) for name in SEEN]

        def draw(seen: int, n: int, gen: torch.Generator) -> list[Tensor]:
            latents, captions = [], []
            for source in sources:
                count = source.grow(min(self.pool, seen // len(SEEN) + 1))
                z, factors = source.take(picks(n // len(SEEN), count, gen))
                latents.append(z)
                captions += source.world.captions(factors, seed=seen + self.seed)
            z = torch.cat(latents)
            ids, _ = text.tokens(tool, [self.said(caption, gen) for caption in captions])
            return [z, torch.randn(z.shape, generator=gen), times(len(z), gen), ids]

        return draw

    def said(self, caption: str, gen: torch.Generator) -> str:
        """What the network is told of a picture: its caption, a part of it, or nothing."""
        chance = torch.rand((), generator=gen).item()
        if chance < self.unsaid:
            return ""
        return shorter(caption, gen) if chance < self.unsaid + self.shortened else caption

    def loss(self, net: nn.Module, z: Tensor, eps: Tensor, t: Tensor, ids: Tensor) -> Tensor:
        """Mean squared error of v, for a batch as `data` gives it."""
        z_t, v = velocity(z, eps, t)
        return F.mse_loss(net(z_t, t, ids).float(), v)

    def save(self, net: nn.Module, target: Path) -> None:
        """As diffusers' StableDiffusionPipeline saves itself, in fp16 but for the text encoder:
        transformers loads what is saved, diffusers float32, and the two must agree."""
        from diffusers import StableDiffusionPipeline

        net, vae = net.cpu(), _vae(codec_folder())
        pipeline = StableDiffusionPipeline(
            vae=vae.half(),
            text_encoder=net.text_encoder.float(),
            tokenizer=text.tokenizer(SEEN),
            unet=net.unet.half(),
            scheduler=scheduler(steps_offset=1),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        pipeline.save_pretrained(target, safe_serialization=True)

    def weights(self, name: str) -> dict[str, Tensor]:
        from ..checkpoints import load

        model = load(name)
        return Painter(model.net, model.prompts.net).state_dict()


def shorter(caption: str, gen: torch.Generator) -> str:
    """Some of a caption's clauses in their order, at times without places, or colours of objects.

    The clause that says whose picture it is stays: 'a cat with brown fur, on green' may become
    'a cat'. A scene's things are all equal: 'a red house on the left and a cow, in winter' may
    become 'a red house in winter'.
    """
    parts = re.split(JOINT, caption)
    clauses, joints = parts[::2], parts[1::2]
    count = torch.randint(1, len(clauses) + 1, (), generator=gen).item()
    keep = set(torch.randperm(len(clauses), generator=gen)[:count].tolist())
    keep |= {i for i, clause in enumerate(clauses) if re.search(SUBJECT, clause)}
    first, *rest = sorted(keep)
    told = clauses[first] + "".join(joints[i - 1] + clauses[i] for i in rest)
    for pattern, instead, chance in LEFT_OUT:
        if torch.rand((), generator=gen).item() < chance:
            told = re.sub(pattern, instead, told)
    return told


def codec_folder() -> Path:
    """Where `python -m lessons_lib.recipes codec` leaves the AutoencoderKL."""
    return BUILD / "recipes" / "codec" / "trained"


class Latents:
    """A world's pool, seen through the codec; encoded once and kept on disk."""

    def __init__(self, name: str, pools: Path):
        self.world, self.pools, self.parts = WORLDS[name], pools, []
        self.codec = Codec(_vae(codec_folder()))
        home = codec_folder() if codec_folder().is_dir() else EMBEDDED / "t2i"
        self.version = digest(home / "vae" / "diffusion_pytorch_model.safetensors")[:12]

    def grow(self, count: int) -> int:
        """At least `count` latents; returns how many there are."""
        while sum(len(z) for z, _ in self.parts) < count:
            index = len(self.parts)
            kept = chunk(self.world, SIZE, index, self.pools)
            name = f"{self.world.name}-latents-{self.world.version}-{self.version}-{index}.pt"
            path = self.pools / name
            if not path.exists():
                z = [self.codec.encode(x.float() / 127.5 - 1) for x in kept["pixels"].split(32)]
                with whole(path) as part:
                    torch.save(torch.cat(z).half(), part)
            self.parts.append((torch.load(path, weights_only=True), kept["factors"]))
        return sum(len(z) for z, _ in self.parts)

    def take(self, places: list[int]) -> tuple[Tensor, dict[str, Tensor]]:
        """Latents (B, 4, h, w) and factors, each (B,)."""
        each = len(self.parts[0][0])
        z, values = (
            torch.stack([self.parts[i // each][k][i % each] for i in places]) for k in (0, 1)
        )
        return z.float(), {f.name: values[:, i] for i, f in enumerate(self.world.factors)}
