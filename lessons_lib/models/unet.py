"""diffusers' U-Nets behind the ε contract, split at the bottleneck."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checks import check_input, whole
from ..denoisers import Bottleneck, Denoiser, LearnedRange, Predicted, signal
from ..devices import layout
from ..schedule import checked_alpha_bar


class UNet(Denoiser):
    """A diffusers `UNet2DModel` or `UNet2DConditionModel` behind the ε contract.

    prediction: what the network puts out, as its scheduler file says: 'epsilon', 'v_prediction' or
        'sample'.
    unshuffle: the network sees `pixel_unshuffle(x, unshuffle)`; outside, x and ε are images.
    bands: of a network that sees the Haar bands of its unshuffled pictures, the standard deviations of the
        four in data: it puts out what the best linear guess of v leaves (see `linear_v`).
    learned_range: whether its further channels are a learned variance (Nichol & Dhariwal 2021, eq. 15), as
        the scheduler file says by variance_type; otherwise they are not used.
    zero_is_none: whether the label 0 means 'no label', as in our own networks with labels. Without, the
        labels are all real classes, and one must be given.
    A network with class embeddings takes labels (B,), or embeddings (B, E);
    one with cross-attention must be given text embeddings (B, L, text_width).

    Raises ValueError, in one sentence, for a network that is built or conditioned otherwise.
    """

    def __init__(
        self, net, alpha_bar: Tensor, prediction: str = "epsilon", unshuffle: int = 1,
        learned_range: bool = False, bands: tuple[float, ...] = (), zero_is_none: bool = False,
    ):  # fmt: skip
        if prediction not in TO_EPS:
            raise ValueError(
                f"prediction is {prediction!r}: it must be one of {', '.join(TO_EPS)}."
            )
        if not whole(unshuffle, 1) or net.config.in_channels % unshuffle**2:
            raise ValueError(
                f"unshuffle is {unshuffle!r}: its square must divide {net.config.in_channels} channels."
            )
        if bands and (len(bands) != 4 or unshuffle != 2 or prediction != "v_prediction"):
            raise ValueError(
                f"bands is {bands!r}: give four standard deviations, for a network of v_prediction with "
                "unshuffle=2."
            )
        if any(hasattr(b, "skip_conv") for b in net.down_blocks) or net.mid_block is None:
            raise ValueError("This network has no bottleneck to stop at, or skips around it.")
        self.text_width = net.config.get("cross_attention_dim")
        for key, plain in PLAIN.items():
            if net.config.get(key, plain) != plain:
                raise ValueError(
                    f"This network has {key}={net.config[key]!r}, which is not supported here: "
                    f"it must be {plain!r}."
                )
        if self.text_width is not None and not whole(self.text_width, 1):
            raise ValueError("This network's blocks have cross-attention of different widths.")
        if self.text_width is not None and net.class_embedding is not None:
            raise ValueError(
                "This network takes both labels and texts: only one is supported here."
            )
        if not whole(net.config.sample_size, 1):
            raise ValueError(
                f"This network has sample_size={net.config.sample_size!r}: it must be one whole number."
            )
        inputs, outputs = net.config.in_channels, net.config.out_channels
        if outputs not in (inputs, 2 * inputs):
            raise ValueError(
                f"This network takes {inputs} channels and puts out {outputs}: a denoiser puts out as many "
                "as it takes, or twice that with a learned variance."
            )
        self.net = net.eval().requires_grad_(False)
        self.alpha_bar, self.unshuffle = checked_alpha_bar(alpha_bar), unshuffle
        self.prediction, self.to_eps = prediction, TO_EPS[prediction]
        config = net.config
        self.channels, self.learned_range = config.in_channels, learned_range
        self.bands, self.zero_is_none = tuple(bands), zero_is_none
        if learned_range and config.out_channels != 2 * config.in_channels:
            raise ValueError(
                f"This network's variance is said to be learned, but it has {config.out_channels} channels "
                f"at its end: it needs {2 * config.in_channels}, of which half are the variance's."
            )
        side = config.sample_size * unshuffle
        self.shape = torch.Size((config.in_channels // unshuffle**2, side, side))
        self.to()

    @property
    def device(self) -> torch.device:
        return self.net.conv_in.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.net.conv_in.weight.dtype  # `net.dtype` walks all its modules

    @property
    def labels(self) -> tuple[int, ...]:
        """Those of its class embeddings, the one for 'no label' among them."""
        return tuple(range(self.net.config.num_class_embeds or 0))

    @property
    def needs_label(self) -> bool:
        """Whether it must be given one, because none of its labels means 'no label'."""
        return bool(self.labels) and not self.zero_is_none

    def to(self, *where) -> UNet:
        """Move or convert the network and what it brings along, in place; returns self."""
        nn.Module.to(self.net, *where)  # diffusers' own warns of every conversion
        for part in (self.codec, self.prompts):
            if part is not None:
                part.to(*where)
        nn.Module.to(self.net, memory_format=layout(self.device, self.dtype))
        return self

    def __call__(self, x: Tensor, t: int | Tensor, cond: Tensor | None = None) -> Tensor:
        """ε (B, *shape) in x's dtype."""
        return self.decode(self.encode(x, t, cond))

    def predict(self, x: Tensor, t: int | Tensor, cond: Tensor | None = None) -> Predicted:
        """ε (B, *shape) and h of one pass, and the learned variance's σ, if any. Raises as `encode`."""
        b = self.encode(x, t, cond)
        out = self._outputs(b, None)
        sigma = LearnedRange(self._part(out, 1, x)) if self.learned_range else None
        return Predicted(self._eps(out, b), b.h, sigma)

    def encode(self, x: Tensor, t: int | Tensor, cond: Tensor | None = None) -> Bottleneck:
        """The pass of x (B, *shape) up to and including the mid block, where h is.

        Raises ValueError for an x, t or cond that the network does not take.
        """
        check_input(self, x, t, cond)
        net, dtype = self.net, self.dtype
        sample = self._folded(x.to(dtype))  # (B, C·u², H/u, W/u)
        times = torch.as_tensor(t, device=sample.device).expand(len(sample))
        temb = net.time_embedding(net.time_proj(times).to(dtype))  # (B, E)
        if net.class_embedding is not None:
            temb = temb + self._class_embedding(cond, sample)
            text = None
        elif cond is not None and self.text_width is None:
            raise ValueError("cond was given, but this network was trained without conditions.")
        else:
            text = None if cond is None else cond.to(sample).expand(len(sample), -1, -1)
        sample = net.conv_in(2 * sample - 1 if net.config.center_input_sample else sample)
        skips = (sample,)
        for block in net.down_blocks:
            sample, more = block(hidden_states=sample, temb=temb, **_text_for(block, text))
            skips += more
        h = net.mid_block(sample, temb, **_text_for(net.mid_block, text))  # (B, C_h, H_h, W_h)
        return Bottleneck(h, skips, temb, x, t, text)

    def decode(self, b: Bottleneck, delta_h: Tensor | None = None) -> Tensor:
        """ε (B, *shape) from the bottleneck on; `delta_h` is added to h in this pass only.

        delta_h: (B or 1, C_h, H_h, W_h).
        """
        return self._eps(self._outputs(b, delta_h), b)

    def said(self, b: Bottleneck, delta_h: Tensor | None = None) -> Tensor:
        """What the network predicts, ε, v or the image by `prediction`, (B, *shape)."""
        return self._said(self._outputs(b, delta_h), b)

    def features(self, b: Bottleneck, delta_h: Tensor | None = None) -> Tensor:
        """What its last convolution sees, (B, C_0, H/u, W/u)."""
        net, skips = self.net, b.skips
        sample = b.h if delta_h is None else b.h + delta_h.to(b.h)
        for block in net.up_blocks:
            n = len(block.resnets)
            extra = _text_for(block, b.cond)
            sample = block(
                hidden_states=sample, temb=b.temb, res_hidden_states_tuple=skips[-n:], **extra
            )
            skips = skips[:-n]
        return net.conv_act(net.conv_norm_out(sample))

    def said_of(self, features: Tensor, b: Bottleneck) -> Tensor:
        """`said` of `features(b)`, for a head that needs both."""
        return self._said(self.net.conv_out(features), b)

    def _outputs(self, b: Bottleneck, delta_h: Tensor | None) -> Tensor:
        """What the network puts out, (B, C·u² or twice that, H/u, W/u)."""
        return self.net.conv_out(self.features(b, delta_h))

    def _part(self, out: Tensor, number: int, x: Tensor) -> Tensor:
        """The first (0) or second (1) of what it puts out, as an image like x."""
        channels = slice(number * self.channels, (number + 1) * self.channels)
        return self._unfolded(out[:, channels]).to(x.dtype).contiguous()

    def _said(self, out: Tensor, b: Bottleneck) -> Tensor:
        part = self._part(out, 0, b.x)
        if not self.bands:
            return part
        return part + self._unfolded(
            linear_v(self.bands, self._folded(b.x), signal(self, b.x, b.t))
        )

    def _eps(self, out: Tensor, b: Bottleneck) -> Tensor:
        return self.to_eps(self._said(out, b), b.x, signal(self, b.x, b.t))

    def _folded(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) as the network sees them, (B, C·u², H/u, W/u): another orthonormal basis."""
        inside = F.pixel_unshuffle(x, self.unshuffle)
        return haar(inside) if self.bands else inside

    def _unfolded(self, inside: Tensor) -> Tensor:
        """The images (B, C, H, W) again."""
        return F.pixel_shuffle(haar(inside) if self.bands else inside, self.unshuffle)

    def embedding(self, label: int) -> Tensor:
        """The embedding (1, E) of a class label, to be given as `cond` or interpolated.

        Raises ValueError for a label that it does not have.
        """
        count = self.net.config.num_class_embeds or 0
        if not whole(label, 0, count - 1):
            raise ValueError(f"There is no label {label!r}: this model has {count} labels, from 0.")
        return self.net.class_embedding.weight[label : label + 1]

    def _class_embedding(self, cond: Tensor | None, sample: Tensor) -> Tensor:
        if cond is None:
            cond = torch.zeros(len(sample), dtype=torch.int64)
        cond = cond.to(sample.device)
        if cond.is_floating_point() or cond.ndim != 1 or cond.dtype == torch.bool:
            width = self.net.class_embedding.embedding_dim
            if not cond.is_floating_point() or tuple(cond.shape[1:]) != (width,):
                raise ValueError(
                    f"cond is {cond.dtype} of shape {tuple(cond.shape)}: give labels (B,), which are whole "
                    f"numbers, or embeddings (B, {width})."
                )
            return cond.to(sample)
        labels = self.net.config.num_class_embeds
        if cond.min() < 0 or cond.max() >= labels:
            raise ValueError(
                f"cond has labels {cond.unique().tolist()}: this model's are 0 to {labels - 1}."
            )
        return self.net.class_embedding(cond)


# Kinds of diffusers' networks that are built, run or conditioned otherwise: refused.
PLAIN = {
    "time_embedding_type": "positional",
    "time_embedding_act_fn": None,
    "time_cond_proj_dim": None,
    "class_embed_type": None,
    "addition_embed_type": None,
    "encoder_hid_dim_type": None,
}


def haar(inside: Tensor) -> Tensor:
    """The orthonormal 2×2 Haar transform of unshuffled images (B, 4C, H, W), and its own inverse.

    Of each channel's four sub-pixels: their sum, and their differences along x, along y and along both,
    each halved. Noise stays white; what is fine in a picture lies in the last three, which are small.
    """
    signs = [[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]
    four = inside.unflatten(1, (-1, 4))  # (B, C, 4, H, W)
    return torch.einsum("ij,bcjhw->bcihw", inside.new_tensor(signs) / 2, four).flatten(1, 2)


def linear_v(bands: tuple[float, ...], inside: Tensor, a: Tensor) -> Tensor:
    """The best linear guess of v from noised Haar bands (B, 4C, H, W).

    For data whose bands have these standard deviations s it is √(ᾱ(1-ᾱ)) (1-s²) / (ᾱ s² + 1-ᾱ) of them.
    At little noise v is the noise alone, so that a network without it would have to copy every sub-pixel
    of its input through its first layer (cf. Karras et al. 2022, Table 1: c_skip).
    """
    variance = inside.new_tensor(bands).square().repeat(inside.shape[1] // 4).view(1, -1, 1, 1)
    a = a.to(inside)
    return (a * (1 - a)).sqrt() * (1 - variance) / (a * variance + 1 - a) * inside


def _text_for(block, text: Tensor | None) -> dict:
    return {"encoder_hidden_states": text} if getattr(block, "has_cross_attention", False) else {}


def _eps_from_eps(out: Tensor, x: Tensor, a: Tensor) -> Tensor:
    return out


def _eps_from_v(out: Tensor, x: Tensor, a: Tensor) -> Tensor:
    return a.sqrt().to(x) * out + (1 - a).sqrt().to(x) * x


def _eps_from_image(out: Tensor, x: Tensor, a: Tensor) -> Tensor:
    return (x - a.sqrt().to(x) * out) / (1 - a).sqrt().to(x)


# Keys are diffusers' names in scheduler_config.json.
TO_EPS = {"epsilon": _eps_from_eps, "v_prediction": _eps_from_v, "sample": _eps_from_image}
