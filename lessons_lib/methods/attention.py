"""Cross-attention control (Hertz et al. 2023, 'Prompt-to-Prompt'): the source's maps for the target's words.

In a text-conditioned U-Net each place looks at the tokens by a map, softmax(QKᵀ/√d), (places, tokens).
Where a word is drawn is in its map; so an edit of the words that should leave the layout alone takes
the maps of the pass with the source's text:

    maps = refine_words(model.prompts, ["a house"], ["a red house"])
    source, target = controlled(*text_samplers(model), maps, until=300)
    x = cycle_diffusion(x, source, target, cond=…, target_cond=…)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..denoisers import Denoiser, Guided
from ..models.latent import Prompts
from ..models.unet import UNet
from ..sampler import Sampler


@dataclass(frozen=True)
class WordMaps:
    """Which maps the target's tokens get: weight · (own · M_target + (1 - own) · M_source @ mapper).

    mapper: (B, L, L), from the source's tokens to the target's.
    own, weight: (B, L), of the target's tokens.
    """

    mapper: Tensor
    own: Tensor
    weight: Tensor

    def __call__(self, target: Tensor, source: Tensor) -> Tensor:
        """Maps (B, heads, places, L) of both passes to those of the edit."""
        mapper, own, weight = (v.to(target) for v in (self.mapper, self.own, self.weight))
        own, weight = own[:, None, None], weight[:, None, None]  # (B, 1, 1, L)
        return weight * (own * target + (1 - own) * (source @ mapper[:, None]))


def refine_words(prompts: Prompts, source: list[str], target: list[str]) -> WordMaps:
    """Tokens that both texts have get the source's map, new ones their own ('adding a phrase').

    Raises ValueError for lists of different length, and for texts that the model cannot read.
    """
    if len(source) != len(target):
        raise ValueError(f"There are {len(source)} source and {len(target)} target texts.")
    length = prompts.length
    mapper = torch.zeros(len(source), length, length)
    pairs = zip(_tokens(prompts, source), _tokens(prompts, target), strict=True)
    for row, (before, after) in enumerate(pairs):
        blocks = SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
        padding = min(length - len(before), length - len(after))  # aligned, whatever the lengths
        for i, j, n in [*blocks, (len(before), len(after), padding)]:
            mapper[row, i : i + n, j : j + n] = torch.eye(n)
    own = (mapper.sum(1) == 0).float()
    return WordMaps(mapper, own, torch.ones_like(own))


def reweigh_words(
    maps: WordMaps, prompts: Prompts, target: list[str], factors: dict[str, float]
) -> WordMaps:
    """The maps of these words of the target times a factor ('attention re-weighting').

    factors: such as {"red": 2.0}; the paper's go from -2 to 2. Raises ValueError for a word that one of
    the texts does not have.
    """
    weight = maps.weight.clone()
    for row, (text, tokens) in enumerate(zip(target, _tokens(prompts, target), strict=True)):
        for word, factor in factors.items():
            weight[row, _places(prompts, text, tokens, word)] *= factor
    return replace(maps, weight=weight)


def controlled(
    source: Sampler, target: Sampler, maps: WordMaps, until: int = 0
) -> tuple[Sampler, Sampler]:
    """The two samplers of a text edit, for `lockstep`: the second uses the first's maps of each t.

    maps: one for each image, or one for all.
    until: the last time at which it does; below it the target's own maps draw the details.
    Of guided samplers only the passes with a text are controlled.
    Raises ValueError for samplers of different networks, or without cross-attention.
    """
    network = _network(source.denoiser)
    if network is not _network(target.denoiser):
        raise ValueError("The source and the target must be one network under two texts.")
    layers = _cross_attention(network)
    kept = _Kept()

    def remember(layer: int, own: Tensor) -> Tensor:
        kept.maps[layer] = own
        return own

    def use(layer: int, own: Tensor) -> Tensor:
        return maps(own, kept.maps[layer]) if kept.t >= until else own

    pair = ((source, _Attended(source.denoiser, layers, remember, kept, True)),
            (target, _Attended(target.denoiser, layers, use, kept, False)))  # fmt: skip
    return tuple(g.replace(denoiser=watched) for g, watched in pair)


@torch.no_grad()
def word_maps(model: UNet, x: Tensor, t: int, texts: list[str], words: list[str]) -> Tensor:
    """Where each text's word is in the model's look at x_t (B, *shape): (B, H, W), the largest 1.

    The mean of its tokens' maps over the heads and layers, coarse layers enlarged to x's size.
    words: one of each text. Raises ValueError for a word that its text does not have.
    """
    rows = zip(texts, _tokens(model.prompts, texts), words, strict=True)
    places = [_places(model.prompts, *row) for row in rows]
    seen: list[Tensor] = []

    def keep(_layer: int, maps: Tensor) -> Tensor:
        seen.append(maps.mean(1))  # (B, places, L)
        return maps

    with watched(_cross_attention(_network(model)), keep, len(x)):
        model(x, t, model.prompts(texts))
    height, width = x.shape[-2:]
    total = torch.zeros(1)
    for maps in seen:
        rows = round((maps.shape[1] * height / width) ** 0.5)
        grid = maps.transpose(1, 2).unflatten(-1, (rows, -1))  # (B, L, h, w)
        total = total.to(grid) + F.interpolate(grid, (height, width), mode="bilinear")
    found = torch.stack([total[i, where].mean(0) for i, where in enumerate(places)])
    return found / found.amax((1, 2), True)


@dataclass
class _Kept:
    """The source's maps of one time, a tensor for each layer."""

    t: int = -1
    maps: dict[int, Tensor] = field(default_factory=dict)


Use = Callable[[int, Tensor], Tensor]  # layer, its maps (B, heads, places, L) -> maps to use


class _Attended(Denoiser):
    """A denoiser whose maps, of the passes with a text, go through `use`."""

    def __init__(self, denoiser: Denoiser, layers: list, use: Use, kept: _Kept, records: bool):
        self.denoiser, self.layers, self.use = denoiser, layers, use
        self.kept, self.records = kept, records
        self.bring_along(denoiser)
        self.device = denoiser.device

    def __call__(self, x: Tensor, t: int | Tensor, cond: Tensor | None = None) -> Tensor:
        time = int(torch.as_tensor(t).max())
        if self.records:
            self.kept.t = time
        elif self.kept.t != time or len(next(iter(self.kept.maps.values()))) != len(x):
            raise ValueError(
                f"There are no maps of the source for {len(x)} images at t = {time}: run both samplers "
                "in lock-step, as cycle_diffusion does."
            )
        with watched(self.layers, self.use, len(x)):
            return self.denoiser(x, t, cond)


@contextmanager
def watched(layers: list[nn.Module], use: Use, images: int) -> Iterator[None]:
    """diffusers' Attention layers, their maps of the last `images` rows replaced by what `use` gives.

    `Guided` asks for the rows with a condition last.
    """
    before = [layer.processor for layer in layers]
    try:
        for i, layer in enumerate(layers):
            layer.processor = _Processor(i, use, images)
        yield
    finally:
        for layer, processor in zip(layers, before, strict=True):
            layer.processor = processor


class _Processor:
    """diffusers' plain AttnProcessor, with a look at the maps."""

    def __init__(self, layer: int, use: Use, images: int):
        self.layer, self.use, self.images = layer, use, images

    def __call__(self, attn, *args, **options) -> Tensor:
        from diffusers.models.attention_processor import AttnProcessor

        return AttnProcessor()(_Layer(attn, self), *args, **options)

    def edited(self, maps: Tensor, heads: int) -> Tensor:
        """Maps (rows · heads, places, L), as diffusers has them, with what `use` gives for some rows."""
        rows = maps.unflatten(0, (-1, heads))  # (rows, heads, places, L)
        given = self.use(self.layer, rows[-self.images :])
        return torch.cat([rows[: -self.images], given]).flatten(0, 1)


class _Layer:
    """An Attention layer, but for its maps."""

    def __init__(self, attn: nn.Module, processor: _Processor):
        self.attn, self.processor = attn, processor

    def __getattr__(self, name: str):
        return getattr(self.attn, name)

    def get_attention_scores(self, *args) -> Tensor:
        return self.processor.edited(self.attn.get_attention_scores(*args), self.attn.heads)


def _network(denoiser: Denoiser) -> nn.Module:
    """The U-Net of a denoiser under guidance that reads its condition, or under none."""
    if isinstance(denoiser, Guided):
        if denoiser.scale == 0:
            raise ValueError(
                "At guidance scale 0 no text is read, so there are no maps to control."
            )
        denoiser = denoiser.denoiser
    if denoiser.text_width is None:
        raise ValueError("This model has no cross-attention: give a text-conditioned one.")
    return denoiser.net


def _cross_attention(network: nn.Module) -> list[nn.Module]:
    layers = [m for name, m in network.named_modules() if name.endswith("attn2")]
    if not layers:
        raise ValueError("This model has no cross-attention: give a text-conditioned one.")
    return layers


def _places(prompts: Prompts, text: str, tokens: list[int], word: str) -> list[int]:
    """The numbers of the tokens of a word, wherever it stands in its text."""
    wanted = prompts.tokenizer(word, add_special_tokens=False).input_ids
    n = len(wanted)
    starts = [i for i in range(len(tokens)) if n and tokens[i : i + n] == wanted]
    if not starts:
        raise ValueError(f"{word!r} is not in {text!r}: give words of that text.")
    return [j for i in starts for j in range(i, i + n)]


def _tokens(prompts: Prompts, texts: list[str]) -> list[list[int]]:
    """The tokens of each text, start and end included, without padding."""
    prompts(texts)  # refuses what cannot be read
    return prompts.tokenizer(list(texts)).input_ids
