"""How far apart two images from one code can be (Wu & De la Torre 2023, §3.4 and eq. 8).

Decode one z under two conditions, x_t and x̂_t. With μ(·, t | c) K_t-Lipschitz and the two means at
x̂_t at most S_t apart, the triangle inequality gives

    ‖x_t' - x̂_t'‖ ≤ K_t ‖x_t - x̂_t‖ + S_t,        so   B_t' = K_t B_t + S_t,   B_T = 0.

The paper prints (K_t + 1) B_t + S_t, which is valid too, and looser. A bound is proved when K_t
holds everywhere; a K_t measured at some points is an estimate, and what is made of it certifies
nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..checks import repeated, whole
from ..denoisers import Denoiser
from ..devices import check_slopes
from ..models.mixture import GaussianMixture
from ..sampler import Sampler
from ..schedule import Schedule, mean_coefficients
from ..streams import Seed, Streams
from .linear import Map, push_and_pull


def propagate(K: Tensor, S: Tensor) -> tuple[Tensor, Tensor]:
    """B from K_t and S_t, (S,) each: the tight K_t B + S_t and the printed (K_t+1) B + S_t.

    Returns two (S+1,) tensors, from B_T = 0 to B_0.
    Raises ValueError for K and S of other shapes, negative or NaN.
    """
    if K.shape != S.shape or K.ndim != 1 or not (K >= 0).all() or not (S >= 0).all():
        raise ValueError(
            "K and S must be (S,), of the same length, with no negative values or NaN."
        )
    tight, loose = [K.new_zeros(())], [K.new_zeros(())]
    for k, s in zip(K, S, strict=True):
        tight.append(k * tight[-1] + s)
        loose.append((k + 1) * loose[-1] + s)
    return torch.stack(tight), torch.stack(loose)


@torch.no_grad()
def two_paths(sampler: Sampler, z, cond: Tensor, other: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One code under two conditions: x_t and x̂_t (S+1, B, *shape), and S_t (S, B).

    S_t = ‖μ(x̂_t, t | cond) - μ(x̂_t, t | other)‖, at the visited x̂_t; on the CPU.
    """
    paths, gaps = ([], []), []
    for a, b in zip(
        sampler.trajectory(z, cond=cond), sampler.trajectory(z, cond=other), strict=True
    ):
        if not paths[0]:
            paths[0].append(a.x), paths[1].append(b.x)
        paths[0].append(a.x_to), paths[1].append(b.x_to)
        gaps.append((sampler.mean(b.x, b.i, cond) - (b.x_to - b.noise)).flatten(1).norm(dim=1))
    return torch.stack(paths[0]), torch.stack(paths[1]), torch.stack(gaps).cpu()


def diameter(points: Tensor, others: Tensor | None = None) -> float:
    """Largest distance between two of the points (K, d), or from a point to one of the others."""
    others = points if others is None else others
    # Without the matrix product, which is faster and loses half the digits: this enters a proof.
    return torch.cdist(points, others, compute_mode="donot_use_mm_for_euclid_dist").max().item()


def proved_K(mixture: GaussianMixture, sampler: Sampler, cond: int | None = None) -> Tensor:
    """K_t of the exact model that holds for every pair of points, (S,).

    ∂E[x_0|x]/∂x = √ᾱ/(1-ᾱ) Cov[x_0|x]; with a shared isotropic variance v_t is the components' own
    part and the rest is at most g_t² diam²/4 (a distribution on a set of diameter D has at most
    variance D²/4 along any line). μ = c_x x + c_P E[x_0|x] with c_x, c_P ≥ 0, so the norms add.
    Raises ValueError for components without one isotropic variance, or a condition that no label is.
    """
    s, (own, share) = sampler.schedule, _posterior_parts(mixture, sampler.schedule)
    spread = own + share**2 * diameter(_means(mixture, cond)) ** 2 / 4
    c_x, c_P = mean_coefficients(s.a, s.a_to, sampler.sigma)
    return c_x + c_P * s.a.sqrt() / (1 - s.a) * spread


def proved_S(mixture: GaussianMixture, sampler: Sampler, cond: int, other: int) -> Tensor:
    """S_t of the exact model that holds at every point, (S,).

    The two posterior means are g_t times convex combinations of the conditions' means, plus the
    same multiple of x. Raises ValueError as `proved_K`.
    """
    s, (_, share) = sampler.schedule, _posterior_parts(mixture, sampler.schedule)
    c_P = mean_coefficients(s.a, s.a_to, sampler.sigma)[1]
    return c_P * share * diameter(_means(mixture, cond), _means(mixture, other))


def proved_S_moved(mixture: GaussianMixture, sampler: Sampler, cond: int, offset: Tensor) -> Tensor:
    """S_t, (S,), that holds at every point if the other condition is `cond` moved by offset.

    offset: δ, (*shape). The other posterior mean is E[x_0 | x - √ᾱ δ] + δ, so the two differ by
    (I - √ᾱ J) δ, J a mean of ∂E[x_0|x]/∂x: symmetric, with eigenvalues from the components' own
    part to the largest of `proved_K`. Raises ValueError as `proved_K`.
    """
    s, (own, share) = sampler.schedule, _posterior_parts(mixture, sampler.schedule)
    means, delta = _means(mixture, cond), offset.flatten().double()
    largest = s.a / (1 - s.a) * (own + share**2 * diameter(means) ** 2 / 4)  # √ᾱ times J's
    per_delta = torch.maximum(share, largest - 1)  # 1 - √ᾱ J is at most 1 - √ᾱ·own part = g_t
    anywhere = share * diameter(means, means + delta)
    c_P = mean_coefficients(s.a, s.a_to, sampler.sigma)[1]
    return c_P * torch.minimum(per_delta * delta.norm(), anywhere)


def reach(sampler: Sampler, diameter: float) -> Tensor:
    """√ᾱ_t D, (S+1,): the bound that needs no K_t, if any two predicted images are at most D apart.

    With x_t' = c_x x_t + c_P P_t + σ_t ε_t and c_x √ᾱ + c_P = √ᾱ', induction gives
    ‖x_t - x̂_t‖ ≤ √ᾱ_t D. It holds too for mixtures whose P_t = g_t Σ w m + (…) x_t, with D the
    largest distance from a mean of one condition to one of the other. A B_t above it says nothing.
    """
    s = sampler.schedule
    return torch.cat([s.a, s.a_to[-1:]]).sqrt() * diameter


def local_K(mixture: GaussianMixture, sampler: Sampler, x: Tensor, i: int, cond=None) -> Tensor:
    """Exact ‖∂μ/∂x‖₂ of step i at each x, (B,): the covariance is symmetric and positive."""
    s = sampler.schedule
    c_x, c_P = mean_coefficients(s.a[i], s.a_to[i], sampler.sigma[i])
    cov = mixture.posterior_covariance(x, s.t[i].item(), cond)
    return c_x + c_P * s.a[i].sqrt() / (1 - s.a[i]) * torch.linalg.eigvalsh(cov)[:, -1]


def estimated_K(
    sampler: Sampler, x: Tensor, i: int, cond=None, rounds: int = 8, seed: Seed = 0
) -> Tensor:
    """‖∂μ/∂x‖₂ of step i at each x, (B,), by power iteration on JᵀJ: an estimate from below.

    Works for any differentiable denoiser; float32 as the network's own.
    Raises ValueError for rounds below 1.
    """
    v = Streams(seed, len(x)).normal(x)
    return _stretch(sampler, x, i, cond, rounds, v)[0]


def estimated_on_segments(
    sampler: Sampler,
    x: Tensor,
    other: Tensor,
    cond=None,
    points: int = 3,
    rounds: int = 4,
    seed: Seed = 0,
) -> Tensor:
    """Largest `estimated_K` over points of each step's segments from x_t to x̂_t, (S, B), on the CPU.

    x, other: two paths (S+1, B, *shape). Each step's power iteration starts where the last one's
    ended, so a few rounds do. Raises ValueError for rounds below 1.
    """
    streams, out = Streams(seed, x.shape[1]), []
    v = torch.cat([streams.normal(x[0]) for _ in range(points)])
    cond = repeated(cond, x.shape[1], points)
    for i in range(len(x) - 1):
        norm, v = _stretch(sampler, along(x[i], other[i], points), i, cond, rounds, v)
        out.append(norm.view(points, -1).amax(0).cpu())
    return torch.stack(out)


@sdpa_kernel(SDPBackend.MATH)  # the one attention that is twice differentiable on every device
def products(sampler: Sampler, x: Tensor, i: int, cond=None) -> tuple[Map, Map]:
    """(v -> J v, u -> Jᵀ u) for the Jacobian J of μ at step i, at each x (B, *shape), in float32."""
    x = x.detach().float()
    push, pull = push_and_pull(lambda at: sampler.mean(at, i, cond), x)
    return tuple(sdpa_kernel(SDPBackend.MATH)(lambda v, f=f: f(v.to(x))) for f in (push, pull))


def _stretch(
    sampler: Sampler, x: Tensor, i: int, cond, rounds: int, v: Tensor
) -> tuple[Tensor, Tensor]:
    """How much step i's Jacobian at x stretches v after `rounds` of power iteration, and that v."""
    if not whole(rounds, 1):
        raise ValueError(f"rounds is {rounds!r}: give a whole number, at least 1.")
    check_slopes(sampler.denoiser, "An estimate of K")
    push, pull = products(sampler, x, i, cond)
    v = v.to(x.device, torch.float32)
    for _ in range(rounds):
        v = v / _norms(v).clamp_min(1e-12).view(-1, *[1] * (x.ndim - 1))
        u = push(v)
        norm, v = _norms(u), pull(u)
    return norm, v


def local_on_segments(
    mixture: GaussianMixture, sampler: Sampler, x: Tensor, other: Tensor, cond=None, points: int = 9
) -> Tensor:
    """Largest `local_K` over points of each step's segments from x_t to x̂_t, (S, B)."""
    cond = repeated(cond, x.shape[1], points)
    steps = range(len(x) - 1)
    K = [local_K(mixture, sampler, along(x[i], other[i], points), i, cond) for i in steps]
    return torch.stack(K).view(len(K), points, -1).amax(1)


def apart(x: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Distances of images (B, *shape) of the same codes, and of each from another code's, (B,) each."""
    return tuple((x - o).flatten(1).norm(dim=1) for o in (other, other.roll(1, 0)))


def vacuous_from(B: Tensor, reach: Tensor, t: Tensor) -> int:
    """The first t (S,) at which B_t is above √ᾱ_t D, both (S+1,); -1 if only at the image, or never."""
    return next((at for at, b, r in zip(t.tolist(), B, reach, strict=False) if b > r), -1)


def two_conditions(
    denoiser: Denoiser, labels: list[int], texts: tuple[str, str] = ("", "")
) -> tuple[Tensor, Tensor]:
    """Two conditions: two labels as (1,) each, or, of a model that reads texts, two texts as (1, L, E).

    texts: of a model with labels, the number of a label here takes that label's place; '' leaves it.
    Raises ValueError, with what this model takes, for other than two different ones.
    """
    if denoiser.prompts is not None:
        if texts[0] == texts[1]:
            raise ValueError(
                f"The two texts are both {texts[0]!r}: give two that differ, as prompt and other_prompt; "
                "'' is no text."
            )
        with torch.no_grad():
            return tuple(denoiser.prompts([str(text)]) for text in texts)
    known, wanted = list(denoiser.labels), labels_of(labels, texts)
    if not known:
        raise ValueError(
            "This model takes no label and reads no text, so it has no two conditions to compare: give one "
            "that does, such as 'faces' or 't2i'."
        )
    if len(wanted) != 2 or wanted[0] == wanted[1] or not set(wanted) <= set(known):
        raise ValueError(
            f"The conditions are {wanted}: give two different labels of this model, which has {known}."
        )
    return torch.tensor(wanted[:1]), torch.tensor(wanted[1:])


def names_of(denoiser: Denoiser, labels: list[int], texts: tuple[str, str]) -> list[str]:
    """What a figure calls each of `two_conditions`."""
    if denoiser.prompts is not None:
        return [str(text) or "no text" for text in texts]
    return [denoiser.meanings.get(k, f"label {k}") for k in labels_of(labels, texts)]


def labels_of(labels: list[int], texts: tuple[str, str]) -> list[int | str]:
    """The labels, but for those in whose place a text names another by its number."""
    if not any(str(text) for text in texts):
        return list(labels)
    return [int(t) if str(t).isdigit() else t or k for k, t in zip(labels, texts, strict=False)]


def embedded(denoiser: Denoiser, cond: Tensor) -> Tensor | None:
    """What a label (1,) enters a network as, (1, E); a text's condition itself; None of an exact model."""
    if cond.is_floating_point():
        return cond
    return denoiser.embedding(cond.item()) if hasattr(denoiser, "embedding") else None


def along(x: Tensor, other: Tensor, points: int) -> Tensor:
    """Points on the segments from x to other, both ends included: (points·B, *shape)."""
    share = torch.linspace(0, 1, points).view(-1, *[1] * x.ndim).to(x)
    return (x + share * (other - x)).flatten(0, 1)


def distances(x: Tensor, other: Tensor) -> Tensor:
    """‖x_t - x̂_t‖₂ of two paths (S+1, B, *shape): (S+1, B)."""
    return (x - other).flatten(2).norm(dim=2)


def _means(mixture: GaussianMixture, cond: int | None) -> Tensor:
    if cond is None:
        return mixture.means
    if cond not in mixture.labels:
        raise ValueError(
            f"There is no condition {cond!r}: this mixture's labels are {list(mixture.labels)}."
        )
    return mixture.means[mixture.component_labels == cond]


def _posterior_parts(mixture: GaussianMixture, s: Schedule) -> tuple[Tensor, Tensor]:
    """(v_t, g_t): Cov[x_0|x] = v_t I + g_t² Cov_w(means), E[x_0|x] = g_t Σ w m + (…) x."""
    if mixture.basis is not None or mixture.spread.min() != mixture.spread.max():
        raise ValueError("The proof needs one isotropic variance for all components.")
    variance = mixture.spread[0, 0]
    total = s.a * variance + 1 - s.a
    return variance * (1 - s.a) / total, (1 - s.a) / total


def _norms(v: Tensor) -> Tensor:
    return v.flatten(1).norm(dim=1)
