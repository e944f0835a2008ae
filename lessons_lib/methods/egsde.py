"""EGSDE (Zhao et al. 2022): SDEdit by the target's model, its score bent by two energies of the source.

    dy = [f(y, t) - g(t)² (s(y, t) - ∇_y E(y, x, t))] dt + g(t) dw

With s = -ε/√(1-ᾱ_t) that is ε + √(1-ᾱ_t) ∇E in place of ε: an edit like any other.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..checks import checked_images
from ..code import Edit, Eps
from ..denoisers import Denoiser, predict, signal
from ..sampler import Sampler
from ..schedule import noised
from ..streams import Seed
from .editing import sdedit

EnergyAt = Callable[[Tensor, int], Tensor]  # x_t (B, *shape), t -> (B,), differentiable
Features = Callable[[Tensor, int], Tensor]  # x_t (B, *shape), t -> maps (B, C, h, w)
Source = Callable[[int], Tensor]  # t -> the source's x_t (B, *shape)


def downhill(energy: EnergyAt) -> Edit:
    """An edit that samples p(x_t) exp(-E(x_t, t)) as far as every E is that of its own t.

    The energy's slope alone is differentiated, not the network.
    """

    def edit(denoiser: Denoiser, x: Tensor, t: int, cond: Tensor | None = None) -> Eps:
        eps, h, sigma = predict(denoiser, x, t, cond)
        with torch.enable_grad():
            at = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(energy(at, t).sum(), at)
        eps = eps + (1 - signal(denoiser, x, t)).sqrt().to(x) * slope
        return Eps(eps, eps, h, sigma)

    return edit


def domain_specific(features: Features, source: Source) -> EnergyAt:
    """How alike y and the source are in what tells the domains apart, in [-1, 1].

    The cosine of features of a classifier of noisy images, averaged over places: downhill is away from
    the source's domain.
    """

    def energy(x: Tensor, t: int) -> Tensor:
        maps, of_source = features(x, t), features(source(t), t)
        return F.cosine_similarity(maps, of_source, dim=1).flatten(1).mean(1)

    return energy


def domain_independent(low: Callable[[Tensor], Tensor], source: Source) -> EnergyAt:
    """‖low(y) - low(x_t)‖², summed over all values: downhill keeps what the domains share.

    low: such as `editing.low_pass(4)`.
    """
    return lambda x, t: low(x - source(t)).flatten(1).square().sum(1)


def egsde(
    x: Tensor,
    sampler: Sampler,
    features: Features | None,
    low: Callable[[Tensor], Tensor],
    specific: float,
    independent: float,
    seed: Seed = 0,
    cond: Tensor | None = None,
) -> Tensor:
    """EnergyAt-guided SDEdit from the sampler's first level, (B, *shape) (Zhao et al. 2022, Algorithm 1).

    features: of a classifier of noisy images; None leaves the first energy out, whatever its weight.
    specific, independent: the weights λ_s, for 32×32 pixels, and λ_i. The paper's are 500 and 2 on
        256×256: the first energy is a mean over places, so that for equal steps λ_s goes with the number
        of pixels, and 500 there is 8 here.
    With both 0 it is `sdedit`. As in the authors' code, the source is noised by one noise at all t,
    that of the start.
    """
    x = checked_images(sampler, x, cond)
    noise, table = sampler.with_eta(0.0).draw(len(x), seed).x_T, sampler.denoiser.alpha_bar

    def source(t: int) -> Tensor:
        return noised(x, noise, table[t].item())

    alike = domain_independent(low, source)
    telling = None if features is None else domain_specific(features, source)

    pixels = x[0, 0].numel() / 32**2

    def energy(y: Tensor, t: int) -> Tensor:
        shared = independent * alike(y, t)
        return shared if telling is None else shared + specific * pixels * telling(y, t)

    return sdedit(x, sampler, seed, cond, downhill(energy))
