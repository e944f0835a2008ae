"""The exact model: a mixture of Gaussians, whose ε, posterior, score and Jacobian have closed forms."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..checks import check_input, checked_seed, whole
from ..denoisers import Denoiser, signal
from ..schedule import checked_alpha_bar, linear_alpha_bar


class GaussianMixture(Denoiser):
    """A mixture of Gaussians, whose ε, posterior, score and Jacobian have closed forms.

    means: (K, *shape).
    variance: a number or (K,), the components' isotropic variances; or covariance: (K, d, d).
    weights: (K,), by default equal.
    labels: (K,) int64; `cond` (B,) then keeps only the components with that label (-1: all).
    alpha_bar: (T,), by default linear β over 1,000 steps.
    Noised to ᾱ, component k is N(√ᾱ m_k, ᾱ C_k + (1-ᾱ) I), so everything below is exact.

    Raises ValueError for what makes no such mixture; its methods do for a `cond` that no label is.
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
        """ε (B, *shape), computed in float64, in x's dtype."""
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
            # E[x_0 | x_t] of each component, (B, K, d).
            each = self.means + gain * (flat[:, None] - a.sqrt()[..., None] * self.means)
        else:
            axes = within.expand(len(r), -1, -1)
            spread = torch.einsum("bk,kde,bke,kfe->bdf", r, self.basis, axes, self.basis)
            each = self.means + torch.einsum(
                "kde,bke->bkd", self.basis, self._offset(flat, a) * gain
            )
        centred = each - torch.einsum("bk,bkd->bd", r, each)[:, None]
        return spread + torch.einsum("bk,bkd,bke->bde", r, centred, centred)

    def sample(self, n: int, seed: int, cond: Tensor | None = None) -> Tensor:
        """`n` draws from the data distribution, (n, *shape) float64. Raises as all methods here."""
        if not whole(n, 1):
            raise ValueError(f"n is {n!r}: draw a whole number, at least 1.")
        gen = torch.Generator().manual_seed(checked_seed(seed))
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
