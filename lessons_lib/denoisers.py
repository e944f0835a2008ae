"""The ε contract, and the models that keep it.

A denoiser is called `(x, t, cond=None) -> eps`:

    x     (B, *shape), any float dtype; eps comes back in the same
    t     a training time, int or (B,) int64
    cond  None, or what the model understands: (B,) labels, (B, E) embeddings, (B, L, E) text

One with a bottleneck also splits: `encode(x, t, cond) -> b` (b.h is the feature map after the mid
block) and `decode(b, delta_h=None) -> eps`, together equal to the whole pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .checks import check_input, whole
from .schedule import checked_alpha_bar, linear_alpha_bar

if TYPE_CHECKING:
    from .latent import Codec, Prompts

# A σ that depends on where a step goes: (ᾱ_t, ᾱ_t', η) -> (B, *shape). ᾱ's are numbers or (B, 1, …).
Spread = Callable[[float | Tensor, float | Tensor, float], Tensor]


class Predicted(NamedTuple):
    """One pass: ε (B, *shape), h (None without a bottleneck), and a σ of the model's own, or None."""

    eps: Tensor
    h: Tensor | None = None
    sigma: float | Tensor | Spread | None = None


class Denoiser:
    """What every model brings along, so that nobody asks what kind of model it is.

    A sampler needs shape (of one x), alpha_bar ((T,) float64, ᾱ of each training time), device and the call.
    What does not apply to a model is None, or empty:

    codec: between pictures and the latents that it diffuses. prompts: from texts to its `cond`.
    text_width: E of the texts that it must be given.
    world: the name of the world whose pictures it learnt. labels: those that `cond` may hold.
    """

    shape: torch.Size
    alpha_bar: Tensor
    device: torch.device
    codec: Codec | None = None
    prompts: Prompts | None = None
    text_width: int | None = None
    world: str | None = None
    labels: tuple[int, ...] = ()

    def __call__(self, x: Tensor, t: int | Tensor, cond: Tensor | None = None) -> Tensor:
        raise NotImplementedError

    def predict(self, x: Tensor, t: int | Tensor, cond: Tensor | None = None) -> Predicted:
        """ε and h of one pass, and σ of a model that has its own."""
        if not hasattr(self, "encode"):
            return Predicted(self(x, t, cond))
        b = self.encode(x, t, cond)
        return Predicted(self.decode(b), b.h)

    @property
    def picture_shape(self) -> torch.Size:
        """(C, H, W) of the pictures that x stands for: its own shape, where there is no codec."""
        return self.shape if self.codec is None else self.codec.picture_shape(self.shape)

    def pictures(self, x: Tensor) -> Tensor:
        """The pictures of x (B, *shape), for looking at and for losses; gradients flow back."""
        return x if self.codec is None else self.codec.decode(x)

    def latents(self, pictures: Tensor) -> Tensor:
        """The x (B, *shape) of pictures (B, *picture_shape) in [-1, 1]."""
        return pictures if self.codec is None else self.codec.encode(pictures)

    def bring_along(self, denoiser: Denoiser) -> None:
        """Take over what another model brings along: for a wrapper around it."""
        self.shape, self.alpha_bar = denoiser.shape, denoiser.alpha_bar
        for name in ("codec", "prompts", "text_width", "world", "labels"):
            setattr(self, name, getattr(denoiser, name, getattr(Denoiser, name)))


def predict(
    denoiser: Denoiser, x: Tensor, t: int | Tensor, cond: Tensor | None = None
) -> Predicted:
    """One pass of any denoiser, of a function with shape, alpha_bar and device too."""
    if isinstance(denoiser, Denoiser):
        return denoiser.predict(x, t, cond)
    return Denoiser.predict(denoiser, x, t, cond)


def half_is_fast(device: str) -> bool:
    """Whether to run networks in bfloat16 on a device: not on a processor without instructions for it,
    where they would take twice as long."""
    has = torch.cpu.get_capabilities()
    return device != "cpu" or any(has.get(k, False) for k in ("amx_bf16", "avx512_bf16", "bf16"))


def signal(denoiser: Denoiser, x: Tensor, t: int | Tensor) -> Tensor:
    """ᾱ_t in float64 (1-ᾱ_t cancels in less), shaped to broadcast against x: (B or 1, 1, …)."""
    a = denoiser.alpha_bar.double().to(x.device)[torch.as_tensor(t, device=x.device)]
    return a.view(-1, *[1] * (x.ndim - 1))


class Bottleneck(NamedTuple):
    """A U-Net's pass, stopped after the mid block."""

    h: Tensor  # (B, C_h, H_h, W_h)
    skips: tuple[Tensor, ...]
    temb: Tensor
    x: Tensor
    t: int | Tensor
    cond: Tensor | None


class UNet(Denoiser):
    """A diffusers `UNet2DModel` or `UNet2DConditionModel` behind the ε contract.

    prediction: what the network puts out, as its scheduler file says: 'epsilon', 'v_prediction' or
        'sample'.
    unshuffle: the network sees `pixel_unshuffle(x, unshuffle)`; outside, x and ε are images.
    learned_range: whether its further channels are a learned variance (Nichol & Dhariwal 2021, eq. 15), as
        the scheduler file says by variance_type; otherwise they are not used.
    A network with class embeddings takes labels (B,), where 0 is 'no condition', or embeddings (B, E);
    one with cross-attention must be given text embeddings (B, L, text_width).

    Raises ValueError, in one sentence, for a network that is built or conditioned otherwise.
    """

    def __init__(
        self, net, alpha_bar: Tensor, prediction: str = "epsilon", unshuffle: int = 1,
        learned_range: bool = False,
    ):  # fmt: skip
        if prediction not in TO_EPS:
            raise ValueError(
                f"prediction is {prediction!r}: it must be one of {', '.join(TO_EPS)}."
            )
        if not whole(unshuffle, 1) or net.config.in_channels % unshuffle**2:
            raise ValueError(
                f"unshuffle is {unshuffle!r}: its square must divide {net.config.in_channels} channels."
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
        self.net = net.eval().requires_grad_(False)
        self.alpha_bar, self.unshuffle = checked_alpha_bar(alpha_bar), unshuffle
        self.prediction, self.to_eps = prediction, TO_EPS[prediction]
        config = net.config
        self.channels, self.learned_range = config.in_channels, learned_range
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
    def labels(self) -> tuple[int, ...]:
        """Those of its class embeddings, 0 (no condition) among them."""
        return tuple(range(self.net.config.num_class_embeds or 0))

    def to(self, *where) -> UNet:
        """Move or convert the network and what it brings along, in place; returns self."""
        for part in (self.net, self.codec, self.prompts):
            if part is not None:
                part.to(*where)
        last = self.device.type == "cpu"  # there a pass is a tenth faster with the channels last
        self.net.to(memory_format=torch.channels_last if last else torch.contiguous_format)
        return self

    def __call__(self, x: Tensor, t: int | Tensor, cond: Tensor | None = None) -> Tensor:
        return self.decode(self.encode(x, t, cond))

    def predict(self, x: Tensor, t: int | Tensor, cond: Tensor | None = None) -> Predicted:
        """ε and h of one pass, and the learned variance's σ if there is one."""
        b = self.encode(x, t, cond)
        out = self._outputs(b, None)
        sigma = LearnedRange(self._part(out, 1, x)) if self.learned_range else None
        return Predicted(self._eps(out, b), b.h, sigma)

    def encode(self, x: Tensor, t: int | Tensor, cond: Tensor | None = None) -> Bottleneck:
        """The pass up to and including the mid block, where h is."""
        check_input(self, x, t, cond)
        net, dtype = self.net, self.net.conv_in.weight.dtype  # `net.dtype` walks all its modules
        sample = F.pixel_unshuffle(x.to(dtype), self.unshuffle)
        times = torch.as_tensor(t, device=sample.device).expand(len(sample))
        temb = net.time_embedding(net.time_proj(times).to(dtype))
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
        h = net.mid_block(sample, temb, **_text_for(net.mid_block, text))
        return Bottleneck(h, skips, temb, x, t, text)

    def decode(self, b: Bottleneck, delta_h: Tensor | None = None) -> Tensor:
        """ε from the bottleneck on; `delta_h` is added to h in this pass only."""
        return self._eps(self._outputs(b, delta_h), b)

    def _outputs(self, b: Bottleneck, delta_h: Tensor | None) -> Tensor:
        """What the network puts out, (B, C or 2C, H, W)."""
        net, skips = self.net, b.skips
        sample = b.h if delta_h is None else b.h + delta_h
        for block in net.up_blocks:
            n = len(block.resnets)
            extra = _text_for(block, b.cond)
            sample = block(
                hidden_states=sample, temb=b.temb, res_hidden_states_tuple=skips[-n:], **extra
            )
            skips = skips[:-n]
        return net.conv_out(net.conv_act(net.conv_norm_out(sample)))

    def _part(self, out: Tensor, number: int, x: Tensor) -> Tensor:
        """The first (0) or second (1) of what it puts out, as an image like x."""
        channels = slice(number * self.channels, (number + 1) * self.channels)
        return F.pixel_shuffle(out[:, channels], self.unshuffle).to(x.dtype).contiguous()

    def _eps(self, out: Tensor, b: Bottleneck) -> Tensor:
        return self.to_eps(self._part(out, 0, b.x), b.x, signal(self, b.x, b.t))

    def embedding(self, label: int) -> Tensor:
        """The embedding (1, E) of a class label, to be given as `cond` or interpolated."""
        count = self.net.config.num_class_embeds or 0
        if not whole(label, 0, count - 1):
            raise ValueError(f"There is no label {label!r}: this model has {count} labels, from 0.")
        return self.net.class_embedding.weight[label : label + 1]

    def _class_embedding(self, cond: Tensor | None, sample: Tensor) -> Tensor:
        if cond is None:
            cond = torch.zeros(len(sample), dtype=torch.int64)
        cond = cond.to(sample.device)
        if cond.is_floating_point():
            width = self.net.class_embedding.embedding_dim
            if tuple(cond.shape[1:]) != (width,):
                raise ValueError(
                    f"cond has shape {tuple(cond.shape)}: give labels (B,), which are whole numbers, "
                    f"or embeddings (B, {width})."
                )
            return cond.to(sample)
        labels = self.net.config.num_class_embeds
        if cond.min() < 0 or cond.max() >= labels:
            raise ValueError(
                f"cond has labels {cond.unique().tolist()}: this model's are 0 (none) to {labels - 1}."
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


class LearnedRange(NamedTuple):
    """A `Spread` between the smallest and the largest variance, log σ² = w log β + (1-w) log β̃ (Nichol &
    Dhariwal 2021, eq. 15), with β = 1 - ᾱ/ᾱ' and β̃ = β (1-ᾱ')/(1-ᾱ) of the step that is taken.

    v: (B, *shape), in about [-1, 1]; w = (v+1)/2.
    """

    v: Tensor

    def __call__(self, a: float | Tensor, a_to: float | Tensor, eta: float) -> Tensor:
        a, a_to = (torch.as_tensor(v, dtype=torch.float64) for v in (a, a_to))
        most, share = (1 - a / a_to).to(self.v), ((1 - a_to) / (1 - a)).to(self.v)
        least = most * share
        w = (self.v + 1) / 2
        return eta * (0.5 * (w * most.log() + (1 - w) * least.clamp_min(1e-20).log())).exp()


class Halves(NamedTuple):
    """The two passes of a guided denoiser, stopped after the mid block."""

    h: Tensor  # (B, C_h, H_h, W_h), of the conditioned pass
    temb: Tensor
    both: Bottleneck  # 2B: without the condition, then with it


class Guided(Denoiser):
    """A denoiser under classifier-free guidance: ε = ε_u + scale (ε_c - ε_u).

    Ho & Salimans 2022, eq. 6, with scale = 1 + w, as Stable Diffusion counts it: 0 is no condition, 1
    the condition without guidance, and both cost one pass; any other scale costs two, in one batch.

    denoiser: one that was also trained without its condition.
    empty: what is 'no condition' to it, (1, …): `model.prompts.empty`, or a label such as 0.
    Called without cond, it is the denoiser without cond. One that splits still does: `decode` adds
    delta_h to the h of both passes, and guides what comes out.
    """

    def __init__(self, denoiser: Denoiser, scale: float, empty: Tensor | int):
        if not isinstance(scale, Real) or not math.isfinite(scale):
            raise ValueError(f"scale is {scale!r}: give a number, where 1 is no guidance.")
        empty = torch.as_tensor(empty)
        self.denoiser, self.scale = denoiser, scale
        self.empty = empty if empty.ndim else empty[None]
        if len(self.empty) != 1:
            raise ValueError(f"empty holds {len(self.empty)} conditions: give one, (1, …).")
        self.bring_along(denoiser)
        if hasattr(denoiser, "encode"):  # so that it splits exactly if its denoiser does
            self.encode, self.decode = self._encode, self._decode

    @property
    def device(self) -> torch.device:
        return self.denoiser.device

    def __call__(self, x: Tensor, t: int | Tensor, cond: Tensor | None = None) -> Tensor:
        asked = self._passes(x, t, cond)
        eps = self.denoiser(*asked)
        return eps if len(asked[0]) == len(x) else self._guide(eps)

    def predict(self, x: Tensor, t: int | Tensor, cond: Tensor | None = None) -> Predicted:
        """The guided ε, and h and σ of the pass with the condition."""
        asked = self._passes(x, t, cond)
        eps, h, sigma = predict(self.denoiser, *asked)
        if len(asked[0]) == len(x):
            return Predicted(eps, h, sigma)
        given = LearnedRange(sigma.v[len(x) :]) if isinstance(sigma, LearnedRange) else sigma
        return Predicted(self._guide(eps), None if h is None else h[len(x) :], given)

    def _encode(
        self, x: Tensor, t: int | Tensor, cond: Tensor | None = None
    ) -> Bottleneck | Halves:
        """The pass, or both, up to and including the mid block, where h is."""
        asked = self._passes(x, t, cond)
        b = self.denoiser.encode(*asked)
        return b if len(asked[0]) == len(x) else Halves(b.h[len(x) :], b.temb[len(x) :], b)

    def _decode(self, b: Bottleneck | Halves, delta_h: Tensor | None = None) -> Tensor:
        """ε from the bottleneck on; `delta_h` is added to h in this pass only."""
        if not isinstance(b, Halves):
            return self.denoiser.decode(b, delta_h)
        if delta_h is not None:
            delta_h = delta_h.expand_as(b.h).repeat(2, 1, 1, 1)
        return self._guide(self.denoiser.decode(b.both, delta_h))

    def _passes(self, x: Tensor, t: int | Tensor, cond: Tensor | None):
        """What the denoiser is asked: (x, t, cond) once, or first without and then with the condition."""
        check_input(self, x, t, cond)
        if cond is None or self.scale == 1:
            return x, t, cond
        empty = self.empty.to(x.device)
        if (
            empty.shape[1:] != cond.shape[1:]
            or empty.is_floating_point() != cond.is_floating_point()
        ):
            raise ValueError(
                f"cond is {cond.dtype} of shape {tuple(cond.shape)}, but the empty one is {empty.dtype} of "
                f"shape {tuple(empty.shape)}: give both as the model takes them."
            )
        each = [len(x)] + [-1] * (cond.ndim - 1)
        if self.scale == 0:
            return x, t, empty.expand(each)
        t = torch.as_tensor(t)
        return (
            torch.cat([x, x]),
            t.repeat(2) if t.numel() > 1 else t,
            torch.cat([empty.expand(each), cond.to(empty).expand(each)]),
        )

    def _guide(self, eps: Tensor) -> Tensor:
        without, given = eps.chunk(2)
        return without + self.scale * (given - without)


class GaussianMixture(Denoiser):
    """A mixture of Gaussians, whose ε, posterior, score and Jacobian have closed forms.

    means: (K, *shape).
    variance: a number or (K,), the components' isotropic variances; or covariance: (K, d, d).
    weights: (K,), by default equal.
    labels: (K,) int64; `cond` (B,) then keeps only the components with that label (-1: all).
    alpha_bar: (T,), by default linear β over 1,000 steps.
    Noised to ᾱ, component k is N(√ᾱ m_k, ᾱ C_k + (1-ᾱ) I), so everything below is exact.
    """

    def __init__(
        self, means, variance=None, covariance=None, weights=None, labels=None, alpha_bar=None
    ):
        means = torch.as_tensor(means, dtype=torch.float64)
        if means.ndim < 2 or not means.isfinite().all():
            raise ValueError("means must be (K, *shape), and finite.")
        self.shape = means.shape[1:]
        self.component_labels = None if labels is None else torch.as_tensor(labels)
        if labels is not None and self.component_labels.shape != (len(means),):
            raise ValueError(f"labels must be {len(means)} numbers, one for each component.")
        if labels is not None:
            self.labels = tuple(self.component_labels.unique().tolist())
        self.means = means.flatten(1)  # (K, d)
        count, self.d = self.means.shape
        if (variance is None) == (covariance is None):
            raise ValueError("Give either variance or covariance.")
        if covariance is None:
            self.basis = None
            spread = torch.as_tensor(variance, dtype=torch.float64).expand(count)[:, None]
        else:
            spread, self.basis = torch.linalg.eigh(torch.as_tensor(covariance, dtype=torch.float64))
        if not (spread > 0).all():
            raise ValueError("Every variance of a mixture must be positive.")
        self.spread = spread  # (K, 1) or (K, d), the eigenvalues of C_k
        weights = torch.ones(count) if weights is None else torch.as_tensor(weights)
        if weights.shape != (count,) or not (weights >= 0).all() or not weights.sum() > 0:
            raise ValueError(f"weights must be {count} numbers that are not negative.")
        self.log_weights = (weights.double() / weights.sum()).log()
        self.alpha_bar = linear_alpha_bar() if alpha_bar is None else checked_alpha_bar(alpha_bar)

    @property
    def device(self) -> torch.device:
        return self.means.device

    def __call__(self, x: Tensor, t: int | Tensor, cond: Tensor | None = None) -> Tensor:
        check_input(self, x, t, cond)
        a = signal(self, x, t)
        eps = (x.double() - a.sqrt() * self.posterior_mean(x, t, cond)) / (1 - a).sqrt()
        return eps.to(x.dtype)

    def posterior_mean(self, x: Tensor, t: int | Tensor, cond: Tensor | None = None) -> Tensor:
        """E[x_0 | x_t], (B, *shape)."""
        flat, a, r = self._responsibilities(x, t, cond)
        gain = a.sqrt()[..., None] * self.spread / (a[..., None] * self.spread + 1 - a[..., None])
        if self.basis is None:
            gain = gain[..., 0]  # (B or 1, K)
            mean = (r * (1 - gain * a.sqrt())) @ self.means + (r * gain).sum(1, True) * flat
        else:
            offset = self._offset(flat, a) * gain  # (B, K, d), in each component's own axes
            mean = r @ self.means + torch.einsum("bk,kde,bke->bd", r, self.basis, offset)
        return mean.view(-1, *self.shape)

    def score(self, x: Tensor, t: int | Tensor, cond: Tensor | None = None) -> Tensor:
        """∇ log p_t(x) = -ε/√(1-ᾱ_t), (B, *shape)."""
        return -self(x.double(), t, cond) / (1 - signal(self, x, t)).sqrt()

    def log_density(self, x: Tensor, t: int | Tensor, cond: Tensor | None = None) -> Tensor:
        """log p_t(x), (B,); t = -1 is the data's own density."""
        return self._log_joint(x, t, cond)[2].logsumexp(1)

    def posterior_covariance(
        self, x: Tensor, t: int | Tensor, cond: Tensor | None = None
    ) -> Tensor:
        """Cov[x_0 | x_t], (B, d, d); ∂E[x_0|x_t]/∂x_t is √ᾱ/(1-ᾱ) times it."""
        flat, a, r = self._responsibilities(x, t, cond)
        noise = (1 - a)[..., None]
        within = self.spread * noise / (a[..., None] * self.spread + noise)  # (B or 1, K, 1 or d)
        gain = a.sqrt()[..., None] * self.spread / (a[..., None] * self.spread + noise)
        if self.basis is None:
            spread = torch.diag_embed((r * within[..., 0]).sum(1, True).expand(-1, self.d))
            each = self.means + gain * (
                flat[:, None] - a.sqrt()[..., None] * self.means
            )  # (B, K, d)
        else:
            axes = within.expand(len(r), -1, -1)
            spread = torch.einsum("bk,kde,bke,kfe->bdf", r, self.basis, axes, self.basis)
            each = self.means + torch.einsum(
                "kde,bke->bkd", self.basis, self._offset(flat, a) * gain
            )
        centred = each - torch.einsum("bk,bkd->bd", r, each)[:, None]
        return spread + torch.einsum("bk,bkd,bke->bde", r, centred, centred)

    def sample(self, n: int, seed: int, cond: Tensor | None = None) -> Tensor:
        """`n` draws from the data distribution, (n, *shape) float64."""
        gen = torch.Generator().manual_seed(seed)
        weights = self.log_weights.exp().expand(n, -1)
        if cond is not None:
            weights = torch.where(self._allowed(cond), weights, 0.0)
        k = torch.multinomial(weights, 1, replacement=True, generator=gen)[:, 0]
        noise = torch.randn((n, self.d), generator=gen, dtype=torch.float64)
        noise = noise * self.spread[k].sqrt()
        if self.basis is not None:
            noise = torch.einsum("bde,be->bd", self.basis[k], noise)
        return (self.means[k] + noise).view(n, *self.shape)

    def _allowed(self, cond: Tensor) -> Tensor:
        """(B, K): which components each image's label keeps."""
        if self.component_labels is None:
            raise ValueError("cond was given, but this mixture has no labels.")
        allowed = (self.component_labels == cond[:, None]) | (cond[:, None] == -1)
        if not allowed.any(1).all():
            raise ValueError(
                f"cond has labels {cond.unique().tolist()}: this mixture's are "
                f"{list(self.labels)}, and -1 for all."
            )
        return allowed

    def _offset(self, flat: Tensor, a: Tensor) -> Tensor:
        """x - √ᾱ m_k in the axes of C_k, (B, K, d)."""
        return torch.einsum(
            "kde,bkd->bke", self.basis, flat[:, None] - a.sqrt()[..., None] * self.means
        )

    def _log_joint(self, x: Tensor, t: int | Tensor, cond: Tensor | None):
        """x as (B, d), ᾱ as (B or 1, 1), and log w_k N_k(x), (B, K)."""
        flat = x.double().reshape(len(x), -1)
        clean = torch.as_tensor(t) == -1
        a = torch.where(clean, 1.0, self.alpha_bar[torch.as_tensor(t).clamp_min(0)]).view(-1, 1)
        variance = a[..., None] * self.spread + 1 - a[..., None]  # (B or 1, K, 1 or d)
        if self.basis is None:
            square = (flat**2).sum(1, True) - 2 * a.sqrt() * flat @ self.means.T
            square = (square + a * (self.means**2).sum(1)) / variance[..., 0]
            volume = self.d * variance[..., 0].log()
        else:
            square = (self._offset(flat, a) ** 2 / variance).sum(-1)
            volume = variance.log().sum(-1)
        joint = self.log_weights - 0.5 * (square + volume + self.d * math.log(2 * math.pi))
        if cond is not None:
            allowed = self._allowed(cond)
            joint = torch.where(allowed, joint, -torch.inf)
            kept = torch.where(allowed, self.log_weights, -torch.inf).logsumexp(1, True)
            joint = joint - kept
        return flat, a, joint

    def _responsibilities(self, x: Tensor, t: int | Tensor, cond: Tensor | None):
        flat, a, joint = self._log_joint(x, t, cond)
        return flat, a, joint.softmax(1)


def digits(variance: float = 0.01) -> GaussianMixture:
    """An exact diffusion on real data: one Gaussian on each of scikit-learn's 1,797 digits.

    Images are (1, 8, 8) in [-1, 1]; labels are the digits' values, so `cond` chooses a digit.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    means = torch.from_numpy(data.images).double().unsqueeze(1) / 8 - 1
    return GaussianMixture(means, variance, labels=torch.from_numpy(data.target))


def two_moons_of_gaussians(count: int = 12, variance: float = 0.01) -> GaussianMixture:
    """A 2-D mixture for pictures: `count` components along each of two interlocked arcs."""
    angle = torch.linspace(0, math.pi, count, dtype=torch.float64)
    upper = torch.stack([angle.cos() - 0.5, angle.sin() - 0.25], 1)
    lower = torch.stack([0.5 - angle.cos(), 0.25 - angle.sin()], 1)
    labels = torch.arange(2).repeat_interleave(count)
    return GaussianMixture(torch.cat([upper, lower]), variance, labels=labels)
