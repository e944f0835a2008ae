"""Train a small CLIP (Radford et al. 2021) on the pictures and captions of all worlds, the unseen
looks of faces included."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from .. import _torchvision  # noqa: F401
from ..evaluators import SIZE, load_clip
from ..worlds import WORLDS
from . import text
from .critic import NOISE
from .loop import Recipe
from .pools import Pool, picks

SEEN = ("animals", "faces", "looks", "scenes")


@dataclass(frozen=True)
class Clips(Recipe):
    """A transformers CLIPModel; a batch holds a quarter of each world."""

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
        """Batches (pixels in [-1, 1], input_ids, attention_mask)."""
        tool = text.tokenizer(SEEN)
        sources = [Pool(WORLDS[name], SIZE, pools) for name in SEEN]

        def draw(seen: int, n: int, gen: torch.Generator) -> list[Tensor]:
            images, captions = [], []
            for pool in sources:
                count = pool.grow(min(self.pool, seen // len(SEEN) + 1))
                x, _, factors = pool.take(picks(n // len(SEEN), count, gen))
                images.append(x)
                captions += pool.world.captions(factors, seed=seen + self.seed)
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
        (target / "preprocessor_config.json").write_text(json.dumps(said, indent=1) + "\n")

    def weights(self, name: str) -> dict[str, Tensor]:
        return load_clip(name).net.state_dict()
