"""Train a small CLIP (Radford et al. 2021) on pictures and captions of all worlds, unseen looks included."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from .. import _torchvision  # noqa: F401
from ..judges.evaluators import SIZE, load_clip
from ..paths import TRAIN_SEEDS, write_whole
from ..worlds import WORLDS, Factor, World
from . import text
from .critic import NOISE
from .loop import Recipe
from .pools import CHUNK, Factors, Pool, drawn, picks

SEEN = ("animals", "faces", "looks", "scenes")
# What tells twins apart: captions say it, but in a batch of strangers hair and background say enough.
TOLD = ("smile", "smile", "brows", "age", "beard", "glasses", "skin", "mouth_open")


def across(factor: Factor, value: Tensor, gen: torch.Generator) -> Tensor:
    """Values (B,) on the other side of the factor's middle, 30 % to all of the way to its end."""
    middle, away = (factor.low + factor.high) / 2, 0.3 + 0.7 * torch.rand(len(value), generator=gen)
    side = torch.where(value < middle, 1.0, -1.0)
    return middle + side * away * (factor.high - factor.low) / 2


def twins(world: World, index: int) -> Factors:
    """The factors (CHUNK,) of chunk `index` once more, one factor of each moved across its range."""
    factors, gen = drawn(world, index), torch.Generator().manual_seed(TRAIN_SEEDS + index)
    which = torch.randint(len(TOLD), (CHUNK,), generator=gen).tolist()
    for f in world.factors:
        if f.name in TOLD:
            one = torch.tensor([TOLD[i] == f.name for i in which])
            factors[f.name] = torch.where(one, across(f, factors[f.name], gen), factors[f.name])
    return factors


@dataclass(frozen=True)
class Clips(Recipe):
    """A transformers CLIPModel; a batch holds a quarter of each world, and every face has its twin."""

    kind: str = "clip"
    patch: int = 4
    width: int = 128
    layers: int = 4
    text_width: int = 128
    text_layers: int = 2
    embedding: int = 96

    def network(self) -> nn.Module:
        from transformers import CLIPConfig, CLIPModel

        tool = text.tokenizer(SEEN)
        ends = {k: getattr(tool, f"{k}_token_id") for k in ("bos", "eos", "pad")}
        vision = {"image_size": SIZE, "patch_size": self.patch}
        words = {"vocab_size": len(tool), "max_position_embeddings": text.LENGTH}
        words |= {f"{k}_token_id": v for k, v in ends.items()}
        for part, width, layers in (
            (vision, self.width, self.layers),
            (words, self.text_width, self.text_layers),
        ):
            part |= {"hidden_size": width, "intermediate_size": 4 * width}
            part |= {"num_hidden_layers": layers, "num_attention_heads": width // 32}
        return CLIPModel(
            CLIPConfig(text_config=words, vision_config=vision, projection_dim=self.embedding)
        )

    def data(self, pools: Path):
        """Batches (pixels (B, 3, 32, 32) in [-1, 1], input_ids, attention_mask (B, LENGTH) each)."""
        tool = text.tokenizer(SEEN)
        sources = [[Pool(WORLDS[name], SIZE, pools)] for name in SEEN]
        for name in ("faces", "looks"):
            sources[SEEN.index(name)].append(Pool(WORLDS[name], SIZE, pools, twins))

        def draw(seen: int, n: int, gen: torch.Generator) -> list[Tensor]:
            images, captions = [], []
            for same in sources:
                count = min(p.grow(min(self.pool, seen // len(SEEN) + 1)) for p in same)
                places = picks(n // len(SEEN) // len(same), count, gen)
                for i, pool in enumerate(same):
                    x, _, factors = pool.take(places)
                    images.append(x)
                    captions += pool.world.captions(factors, seed=2 * seen + i + self.seed)
            x = torch.cat(images)
            x = x + NOISE * torch.rand(len(x), 1, 1, 1, generator=gen) * torch.randn(
                x.shape, generator=gen
            )
            return [x, *text.tokens(tool, captions)]

        return draw

    def loss(self, net: nn.Module, x: Tensor, ids: Tensor, attention: Tensor) -> Tensor:
        """The symmetric contrastive loss (Radford et al. 2021, Figure 3)."""
        return net(ids, x, attention, return_loss=True).loss

    def save(self, net: nn.Module, target: Path) -> None:
        """As transformers saves, in fp16, with the tokenizer and the pixels' mean and deviation."""
        net.cpu().half().save_pretrained(target)
        text.tokenizer(SEEN).save_pretrained(target)
        said = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
        said |= {"image_processor_type": "CLIPImageProcessor"}
        said |= {"size": {"shortest_edge": SIZE}, "crop_size": {"height": SIZE, "width": SIZE}}
        write_whole(target / "preprocessor_config.json", json.dumps(said, indent=1) + "\n")

    def weights(self, name: str) -> dict[str, Tensor]:
        return load_clip(name).net.state_dict()
