"""Around a latent denoiser: `Codec` between images and latents, `Prompts` from texts to conditions.

A latent model (Rombach et al. 2022) diffuses z = E(image) in place of the image. To the samplers z
is just another x: encode the image before, decode what they return.

    g = Sampler(Guided(model, 3.0, model.prompts.empty))
    z = g.encode(model.codec.encode(image), cond=model.prompts(texts))
    image = model.codec.decode(g.decode(z, cond=model.prompts(other_texts)))
"""

from __future__ import annotations

import difflib
import re
import textwrap

import torch
from torch import Tensor, nn

from ..checks import whole


class Codec:
    """A diffusers `AutoencoderKL` or `VQModel` between images and a denoiser's latents.

    z = scale (E(image) - shift): the scale brings latents to about unit variance for the diffusion
    (Rombach et al. 2022, §G).

    scale: by default the network's own scaling_factor; the shift is its shift_factor, if it has one.
    channels: a latent's. factor: how many pixels of the image one of the latent is wide.
    """

    def __init__(self, net, scale: float | None = None):
        self.net, config = net.eval().requires_grad_(False), net.config
        self.scale = config.scaling_factor if scale is None else scale
        self.shift = config.get("shift_factor") or 0.0
        self.channels = config.get("vq_embed_dim") or config.latent_channels
        self.factor = 2 ** (len(config.block_out_channels) - 1)

    def to(self, *where) -> Codec:
        """Move or convert the network, in place; returns self."""
        nn.Module.to(self.net, *where)  # diffusers' own warns of every conversion
        return self

    def picture_shape(self, shape: torch.Size) -> torch.Size:
        """(C, H, W) of the images of latents of this shape, (c, h, w)."""
        return torch.Size(
            (self.net.config.in_channels, *(self.factor * side for side in shape[1:]))
        )

    def encode(self, image: Tensor) -> Tensor:
        """z (B, c, H/factor, W/factor) of images (B, 3, H, W) in [-1, 1], in their dtype.

        The mean of the encoder's posterior, not a draw of it (of a `VQModel`: before quantisation).

        Raises ValueError for another number of channels, or sides that `factor` does not divide.
        """
        _check(image, "image", self.net.config.in_channels, self.factor)
        out = self.net.encode(image.to(next(self.net.parameters())))
        z = out.latent_dist.mode() if "latent_dist" in out else out.latents
        return ((z - self.shift) * self.scale).to(image)

    def decode(self, z: Tensor) -> Tensor:
        """Images (B, 3, h·factor, w·factor), about in [-1, 1] (nothing is cut off), in z's dtype.

        z: (B, c, h, w). Gradients flow back to it. A `VQModel` first quantises it.
        Raises ValueError for another number of channels.
        """
        _check(z, "z", self.channels, 1)
        inner = z.to(next(self.net.parameters())) / self.scale + self.shift
        return self.net.decode(inner).sample.to(z)


def _check(x: Tensor, name: str, channels: int, multiple: int) -> None:
    if not isinstance(x, Tensor) or not x.is_floating_point():
        kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise ValueError(f"{name} is {kind}: give a floating-point tensor (B, {channels}, H, W).")
    fits = x.ndim == 4 and x.shape[1] == channels and len(x) > 0
    if not fits or any(side == 0 or side % multiple for side in x.shape[2:]):
        sides = f", its sides multiples of {multiple}" if multiple > 1 else ""
        raise ValueError(
            f"{name} has shape {tuple(x.shape)}: this codec takes (B, {channels}, H, W){sides}."
        )


def check_words(tokenizer, texts: list[str]) -> None:
    """Raise ValueError for a word that a tokenizer with a list of its `words` was not trained on.

    It would be spelt letter by letter, which a small text model has never seen. Tokenizers without
    the list (any of another source) take every word.
    """
    known = set(tokenizer.init_kwargs.get("words", ()))
    for text in texts if known else ():
        strange = [w for w in re.findall(r"[\w'-]+", text.lower()) if w not in known]
        if strange:
            alike = [difflib.get_close_matches(w, known, 2) for w in strange]
            pairs = [(w, k) for w, near in zip(strange, alike, strict=True) for k in near]
            hint = sorted({k for w, k in pairs if k[0] == w[0]})  # 'cat' is no help for 'hat'
            raise ValueError(
                f"{text!r} has words that this model was never shown: {', '.join(strange)}. Use those of "
                f"the worlds' captions" + (f", such as {', '.join(hint)}." if hint else ".")
            )


class Prompts:
    """A tokenizer and text model: texts to the conditions of a text-conditioned denoiser.

    length: L, the tokens of every prompt, start and end and padding included; by default the tokenizer's.
    Raises ValueError for a tokenizer of more tokens, or longer prompts, than the text model knows.
    """

    def __init__(self, tokenizer, net, length: int | None = None):
        self.tokenizer, self.net = tokenizer, net.eval().requires_grad_(False)
        self.length, most = length or tokenizer.model_max_length, net.config.max_position_embeddings
        if not whole(self.length, 2, most) or len(tokenizer) > net.config.vocab_size:
            raise ValueError(
                f"The tokenizer's {len(tokenizer)} tokens in prompts of {self.length} are not the text "
                f"model's, which knows {net.config.vocab_size} tokens in prompts of at most {most}."
            )

    def to(self, *where) -> Prompts:
        """Move or convert the text model, in place; returns self."""
        self.net.to(*where)
        return self

    def __call__(self, texts: list[str]) -> Tensor:
        """The last hidden states (B, L, E) of the texts, each padded to L tokens.

        This is what `StableDiffusionPipeline` makes of them, except that it cuts a long text off.

        Raises ValueError for what is no list of texts, and for a text of more than L tokens
        or of unknown words (`check_words`).
        """
        if not isinstance(texts, (list, tuple)) or not all(isinstance(t, str) for t in texts):
            raise ValueError(f"The prompts are {texts!r}: give a list of texts, such as ['a cat'].")
        if not texts:
            raise ValueError("The list of prompts is empty: give at least one; '' is no condition.")
        check_words(self.tokenizer, texts)
        rows = self.tokenizer(list(texts), padding="max_length", max_length=self.length).input_ids
        for text, row in zip(texts, rows, strict=True):
            if len(row) > self.length:
                raise ValueError(
                    f"The prompt {textwrap.shorten(text, 80, placeholder=' …')!r} is {len(row)} tokens "
                    f"long, its start and end included: this model reads {self.length}, so shorten it."
                )
        return self.net(torch.tensor(rows, device=self.net.device)).last_hidden_state

    @property
    def empty(self) -> Tensor:
        """The condition (1, L, E) of the empty text: 'no condition' in guidance."""
        return self([""])
