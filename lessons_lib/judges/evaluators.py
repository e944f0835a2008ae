"""The networks that judge: `critic` reads a picture's causes, `clip` compares pictures with words.

critic = load_critic()
critic.read(images, "faces")["smile"]          # the factors, in the world's own units
clip = load_clip("clip")                       # also a hub id, "openai/clip-vit-base-patch32"
clip.image(images) @ clip.text(["a robot"]).T  # cosines
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..cards import checked, no_load, read_json
from ..checkpoints import find, load_network
from ..checks import check_levels
from ..devices import checked_device
from ..models.latent import check_words
from ..weights import network
from ..worlds import WORLDS, Factor, World

SIZE = 32  # what the critic looks at; other sizes are resized to it, averaging areas
KINDS = ("faces", "cats", "dogs", "wild", "scenes", "robots", "zombies", "paintings", "clowns")
HEADS = ("faces", "animals", "scenes")
KIND_FACTORS = ("species", "look")  # read from the kind of picture, not by a head


def head_of(world: World) -> str:
    """Which of the critic's heads reads this world. Raises ValueError for one that none has learnt."""
    names = {f.name for f in world.factors}
    for head in HEADS:
        if {f.name for f in readable_factors(WORLDS[head])} <= names:
            return head
    raise ValueError(f"The critic has not learnt the world {world.name!r}: use {', '.join(KINDS)}.")


def readable_factors(world: World) -> list[Factor]:
    """The factors that a head reads."""
    return [f for f in world.factors if f.name not in KIND_FACTORS]


def columns(world: World) -> list[tuple[Factor, slice]]:
    """Each readable factor with its place in the head's output: one number, or one a choice."""
    out, start = [], 0
    for f in readable_factors(world):
        width = len(f.choices) or 1
        out.append((f, slice(start, start + width)))
        start += width
    return out


class Judgement(NamedTuple):
    """What the critic's network puts out."""

    trunk: list[Tensor]  # feature maps at 16, 8 and 4 pixels
    features: Tensor  # (B, F)
    kind: Tensor  # (B, KINDS) logits
    factors: dict[str, Tensor]  # head -> (B, columns)
    identity: Tensor  # (B, E) unit vectors
    mask: dict[str, Tensor]  # head -> (B, classes, 32, 32) logits


class Residual(nn.Module):
    """Two normalized convolutions beside the identity (He et al. 2016); (B, channels, h, w) to the same."""

    def __init__(self, channels: int):
        super().__init__()
        self.one = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.two = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm_one, self.norm_two = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(self.norm_one(self.one(x)))
        return F.relu(x + self.norm_two(self.two(inner)))


def stage(inputs: int, channels: int, stride: int, blocks: int) -> nn.Sequential:
    """A convolution, `stride` times coarser, then residual blocks: (B, inputs, h, w) to (B, channels, …)."""
    down = nn.Conv2d(inputs, channels, 3, stride, padding=1, bias=False)
    rest = [Residual(channels) for _ in range(blocks)]
    return nn.Sequential(down, nn.BatchNorm2d(channels), nn.ReLU(), *rest)


class CriticNet(nn.Module):
    """One residual trunk for all worlds; heads for factors, kind, identity and mask.

    Images are (B, 3, 32, 32) in [-1, 1]. channels: of the trunk at 16, 8 and 4 pixels.
    """

    def __init__(self, channels=(64, 128, 192), features=256, identity=32):
        super().__init__()
        self.config = {"channels": list(channels), "features": features, "identity": identity}
        a, b, c = channels
        self.stages = nn.ModuleList([stage(12, a, 1, 1), stage(a, b, 2, 2), stage(b, c, 2, 2)])
        self.neck = nn.Linear(c * 16, features)  # of 4 × 4 places
        self.kind = nn.Linear(features, len(KINDS))
        self.identity = nn.Linear(features, identity)
        width = {head: columns(WORLDS[head])[-1][1].stop for head in HEADS}
        self.factors = nn.ModuleDict({head: nn.Linear(features, width[head]) for head in HEADS})
        self.merge = nn.Conv2d(a + b + c, 64, 1)
        self.mask = nn.ModuleDict(
            {h: nn.Conv2d(64, 4 * len(WORLDS[h].classes), 3, padding=1) for h in HEADS}
        )

    def forward(self, x: Tensor) -> Judgement:
        maps, out = [], F.pixel_unshuffle(x, 2)  # (B, 12, 16, 16)
        for part in self.stages:
            out = part(out)
            maps.append(out)  # (B, a, 16, 16), (B, b, 8, 8), (B, c, 4, 4)
        features = F.relu(self.neck(out.flatten(1)))
        same_size = [
            maps[0],
            *(F.interpolate(m, scale_factor=2**i) for i, m in ((1, maps[1]), (2, out))),
        ]
        merged = F.relu(self.merge(torch.cat(same_size, 1)))  # (B, 64, 16, 16)
        return Judgement(
            maps,
            features,
            self.kind(features),
            {name: head(features) for name, head in self.factors.items()},
            F.normalize(self.identity(features).float(), dim=1),
            {name: F.pixel_shuffle(head(merged), 2) for name, head in self.mask.items()},
        )


class Critic:
    """A trained CriticNet; images are (B, 3 or 1, H, W) in [-1, 1], of any size.

    Grey ones are seen in three equal channels, and all are resized to the 32 × 32 pixels of its network.
    All of its methods raise ValueError for others, and for a world that it has not learnt.
    """

    worlds = KINDS

    def __init__(self, net: CriticNet):
        self.net = net.eval().requires_grad_(False)
        self.channels, self.feature_size = net.config["channels"], net.config["features"]

    @property
    def device(self) -> torch.device:
        return self.net.neck.weight.device

    def __call__(self, x: Tensor) -> Judgement:
        """All that it says of images (B, 3 or 1, H, W). Raises ValueError for others."""
        return self.net(_at(x, SIZE).to(self.device, torch.float32))

    def read(self, x: Tensor, world: str) -> dict[str, Tensor]:
        """Each factor (B,) of the world, as it would be given to `render`.

        Choices are their numbers, yes-or-no factors probabilities, the others within their range.
        """
        target, judged = _learnt(world), self(x)
        values = {}
        for f, place in columns(WORLDS[head_of(target)]):
            out = judged.factors[head_of(target)][:, place]
            if f.choices:
                values[f.name] = out.argmax(1).float()
            elif f.binary is not None:
                values[f.name] = out[:, 0].sigmoid()
            else:
                values[f.name] = f.low + (out[:, 0].clamp(-1, 1) + 1) / 2 * (f.high - f.low)
        for f in target.factors:
            if f.name in KIND_FACTORS:
                values[f.name] = judged.kind[:, kinds_of(f.name)].argmax(1).float()
        return target.complete(values)

    def features(self, x: Tensor) -> Tensor:
        """(B, feature_size), what FID and KID compare."""
        return self(x).features

    def trunk(self, x: Tensor) -> list[Tensor]:
        """Feature maps (B, channels[i], 16 / 2^i, 16 / 2^i)."""
        return self(x).trunk

    def mask(self, x: Tensor, world: str) -> Tensor:
        """Class numbers (B, 32, 32), as `World.classes` names them."""
        return self(x).mask[head_of(_learnt(world))].argmax(1)

    def identity(self, x: Tensor) -> Tensor:
        """Unit vectors (B, E), near one another for one person's pictures (faces and looks)."""
        return self(x).identity

    def world(self, x: Tensor) -> Tensor:
        """Probabilities (B, len(worlds)) of the kinds of picture in `worlds`."""
        return self(x).kind.softmax(1)


def legible(x: Tensor, least: int) -> Tensor:
    """Pictures as a judge can read them, (B, 3, H, W): grey ones in three equal channels, and those below
    `least` pixels enlarged to least × least.

    x: (B, 3 or 1, H, W) in [-1, 1]; ValueError for others.
    """
    if not isinstance(x, Tensor) or x.ndim != 4 or x.shape[1] not in (1, 3) or 0 in x.shape:
        what = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise ValueError(
            f"x has shape {what}: give images (B, 3, H, W), or grey ones (B, 1, H, W), in [-1, 1]."
        )
    if not x.is_floating_point():
        raise ValueError(f"x is {x.dtype}: give floating-point images in [-1, 1].")
    if not x.detach().isfinite().all():
        raise ValueError("x has values that are not finite: give finite images in [-1, 1].")
    check_levels(x.detach(), "x")
    x = x.expand(-1, 3, -1, -1)
    return x if min(x.shape[-2:]) >= least else F.interpolate(x, (least, least), mode="bicubic")


def _at(x: Tensor, size: int) -> Tensor:
    x = legible(x, size)
    return x if x.shape[-2:] == (size, size) else F.interpolate(x, (size, size), mode="area")


def _learnt(world: str) -> World:
    if world not in WORLDS:
        raise ValueError(f"The critic has not learnt {world!r}: it knows {', '.join(WORLDS)}.")
    return WORLDS[world]


def kinds_of(factor: str) -> list[int]:
    """The places in KINDS of a kind factor's choices, in the choices' order."""
    names = {"species": KINDS[1:4], "look": KINDS[5:9]}[factor]
    return [KINDS.index(name) for name in names]


class Clip:
    """A transformers CLIPModel and its tokenizer: unit embeddings of pictures and of sentences.

    mean, std: of each channel, by which pixels in [0, 1] are scaled for the network.
    """

    def __init__(self, net, tokenizer, mean: Sequence[float], std: Sequence[float]):
        self.net, self.tokenizer = net.eval().requires_grad_(False), tokenizer
        self.size = net.config.vision_config.image_size
        self.mean, self.std = (torch.tensor(v).view(1, 3, 1, 1) for v in (mean, std))

    @property
    def device(self) -> torch.device:
        return self.net.logit_scale.device

    def image(self, x: Tensor) -> Tensor:
        """(B, E) unit vectors of images (B, 3 or 1, H, W) in [-1, 1]; gradients reach x. ValueError for
        others."""
        x = _at(x, self.size).to(self.device, torch.float32)
        pixels = ((x + 1) / 2 - self.mean.to(x)) / self.std.to(x)
        return F.normalize(self.net.get_image_features(pixel_values=pixels).pooler_output, dim=1)

    def text(self, sentences: Sequence[str]) -> Tensor:
        """(B, E) unit vectors; raises ValueError for no list of sentences, or words that it does not know."""
        if isinstance(sentences, str):
            raise ValueError(f"The sentences are {sentences!r}: give a list, [{sentences!r}].")
        tokens = tokenized(self.tokenizer, list(sentences)).to(self.device)
        return F.normalize(self.net.get_text_features(**tokens).pooler_output, dim=1)


def tokenized(tokenizer, sentences: list[str]):
    """Padded tokens. Raises ValueError for a sentence that is empty, too long or of unknown words."""
    if not sentences:
        raise ValueError("There are no sentences: give at least one.")
    for text in sentences:
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"The sentence {text!r} is empty: give a description in words.")
        pieces = tokenizer.tokenize(text)
        if len(pieces) > tokenizer.model_max_length - 2:
            raise ValueError(
                f"{text!r} has {len(pieces)} tokens: at most {tokenizer.model_max_length - 2} fit."
            )
    check_words(tokenizer, sentences)
    return tokenizer(sentences, padding=True, return_tensors="pt")


def load_critic(name: str | Path = "critic", device: str = "cpu") -> Critic:
    """The critic in an embedded checkpoint or a folder.

    Raises CheckpointError for one that is missing, corrupt, or of other worlds than these.
    """
    return Critic(load_network(CriticNet, "critic", name, device))


def load_clip(name: str | Path = "clip", device: str = "cpu") -> Clip:
    """The encoder of pictures and words in an embedded checkpoint, a folder or a hub id.

    Raises CheckpointError for one that is missing or corrupt.
    """
    where, folder = checked_device(device), find(name)
    checked(folder, "clip")
    net, said = network(folder, "CLIPModel"), read_json(folder / "preprocessor_config.json")
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        return Clip(net.to(where), tokenizer, said["image_mean"], said["image_std"])
    except Exception as error:  # transformers raises many kinds
        raise no_load(folder, error) from None
