"""Distances between samples and between images, each with what it is zero for.

Images are (B, C, H, W) in [-1, 1]. A `critic` reads coloured and grey pictures of any size: it gives
`features` (B, F), `trunk` maps, a `mask` (B, 32, 32) and an `identity` (B, E). A `clip` embeds
pictures and sentences as unit vectors (B, E). What these two see of a picture is all that a metric
through them can see. Bad images, and two sets of different shapes, raise a ValueError of one sentence.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checks import check_levels
from ..devices import precise
from .evaluators import legible

if TYPE_CHECKING:
    from .evaluators import Clip, Critic

AT_ONCE = 64  # pictures given to a network together, so that large sets need no more memory
SSIM_WINDOW = 11  # pixels: 3.5 standard deviations of 1.5 pixels to each side

Distance = Callable[[Tensor, Tensor], Tensor]  # images x, y (B, C, H, W) -> (B,)


class Interval(NamedTuple):
    """A mean and the ends of its confidence interval."""

    mean: float
    low: float
    high: float


# ---------------------------------------------------------------- samples of any shape


def energy_distance(x: Tensor, y: Tensor) -> float:
    """2 E‖x-y‖ - E‖x-x'‖ - E‖y-y'‖ of two samples (N, d) and (M, d) (Székely & Rizzo 2013).

    Unbiased (pairs of a point with itself left out): about 0 where both have one distribution, and
    then as likely below it as above. In the units of x.
    """
    x, y = precise(x).flatten(1), precise(y).flatten(1)
    within = sum(torch.cdist(v, v).sum() / (len(v) * (len(v) - 1)) for v in (x, y))
    return (2 * torch.cdist(x, y).mean() - within).item()


def rms(x: Tensor, y: Tensor) -> Tensor:
    """Root-mean-square difference of each image, (B,), in [0, 2]; ValueError for images of two shapes."""
    if x.shape[1:] != y.shape[1:]:
        raise ValueError(f"x is {tuple(x.shape)}, y {tuple(y.shape)}: give images of one shape.")
    return (x - y).flatten(1).square().mean(1).sqrt()


def normality(codes: Tensor) -> tuple[Tensor, Tensor]:
    """Of codes (S, B, *shape), per step: the standard deviation and the Kolmogorov-Smirnov distance
    to N(0, 1), (S,) each; a standard normal has 1 and about 0.87/sqrt(values)."""
    from scipy.stats import kstest  # a second to import

    flat = precise(codes).flatten(1)
    distance = [kstest(step.cpu().numpy(), "norm").statistic for step in flat]
    return flat.std(1).cpu(), torch.tensor(distance)


def neighbour_correlation(codes: Tensor) -> Tensor:
    """Correlation of horizontally adjacent pixels of codes (S, B, C, H, W), per step (S,)."""
    return correlations(codes[..., :-1].flatten(1), codes[..., 1:].flatten(1))


def step_correlation(codes: Tensor) -> Tensor:
    """Correlation of each step's codes with the next step's, (S-1,)."""
    return correlations(codes[:-1].flatten(1), codes[1:].flatten(1))


def correlations(x: Tensor, y: Tensor) -> Tensor:
    """Of each row of x (R, N) with that of y, (R,) in [-1, 1], on the CPU; 0 where one is constant."""
    x, y = (precise(v) - precise(v).mean(1, True) for v in (x, y))
    return ((x * y).sum(1) / (x.norm(dim=1) * y.norm(dim=1)).clamp_min(1e-12)).cpu()


# ---------------------------------------------------------------- two images


def psnr(x: Tensor, y: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each pair, 10 log10(2² / mean squared error), (B,) in dB.

    Higher is nearer; equal images have +inf: count those apart. ValueError for sets of different shapes.
    """
    x, y = _checked_pair(x, y)
    return 10 * torch.log10(4 / (x - y).flatten(1).square().mean(1))


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Structural similarity of each pair (Wang et al. 2004, eq. 13), (B,) in [-1, 1]; 1 when equal.

    Gaussian window of 11 pixels (σ = 1.5), averaged where it fits whole, as in the paper and in
    scikit-image; torchmetrics' own mean also counts the mirrored border. ValueError below 11 pixels.
    """
    import lessons_lib._torchvision  # noqa: F401

    from torchmetrics.functional.image import structural_similarity_index_measure

    x, y = _checked_pair(x, y, smallest=SSIM_WINDOW)
    _, full = structural_similarity_index_measure(
        x, y, data_range=2.0, reduction="none", return_full_image=True
    )
    edge = SSIM_WINDOW // 2
    return full[..., edge:-edge, edge:-edge].mean((1, 2, 3))


def perceptual_distance(critic: Critic) -> Distance:
    """The 'perceptual distance (critic)', as a function of x and y (B, 3, H, W) -> (B,).

    Per layer of the critic's trunk: features scaled to unit length at each place, their squared
    difference summed over channels and averaged over places; then summed over layers (Zhang et al.
    2018, eq. 1 with w = 1). From 0 (the same to the critic) to 4 a layer; lower is nearer.
    It is the `lpips` package's distance without its learnt head and on another network, so it is not
    LPIPS and no threshold of LPIPS belongs to it.
    """
    import lessons_lib._torchvision  # noqa: F401

    from lpips import LPIPS

    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.filterwarnings("ignore", category=UserWarning, module="torchvision")
        network = LPIPS(pretrained=False, pnet_rand=True, lpips=False, net="squeeze", verbose=False)
    network.net, network.scaling_layer = _Trunk(critic), nn.Identity()
    network.chns, network.L = list(critic.channels), len(critic.channels)
    return _per_image(network)


def lpips_alex(device: str | torch.device = "cpu") -> Distance:
    """LPIPS with AlexNet (Zhang et al. 2018, version 0.1): x, y (B, 3, H, W) on `device` -> (B,).

    From 0 up; lower is nearer. Downloads nothing: raises FileNotFoundError where torchvision's
    AlexNet weights are not in torch's cache. The function raises as that of `perceptual_distance`.
    """
    import lessons_lib._torchvision  # noqa: F401

    from lpips import LPIPS
    from torchvision.models import AlexNet_Weights

    name = AlexNet_Weights.IMAGENET1K_V1.url.rsplit("/", 1)[1]
    file = Path(torch.hub.get_dir()) / "checkpoints" / name
    if not file.is_file():
        raise FileNotFoundError(
            f"LPIPS needs AlexNet's weights in {file}, and they are not there: fetch them once with "
            "`torchvision.models.alexnet(weights='DEFAULT')`, or use `perceptual_distance(critic)`, "
            "which works offline."
        )
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.filterwarnings("ignore", category=UserWarning, module="torchvision")
        network = LPIPS(net="alex", verbose=False)
    return _per_image(network.to(device).requires_grad_(False))


def segmentation_consistency(x: Tensor, y: Tensor, critic: Critic, world: str) -> Tensor:
    """Mean intersection over union of the masks the critic reads from x and y, (B,) in [0, 1].

    The SC of Kwon et al. 2023, on the world's classes: the mean over the classes found in either
    image of a pair. Higher keeps more of the layout; a good edit of that lowers it.
    """
    x, y = _checked_pair(x, y)
    masks = torch.stack([in_parts(lambda part: critic.mask(part, world), v) for v in (x, y)])
    one, other = F.one_hot(masks.long()).bool().flatten(2, 3)
    both, either = (one & other).sum(1), (one | other).sum(1)
    return (both / either).nanmean(1)


def identity_similarity(x: Tensor, y: Tensor, critic: Critic) -> Tensor:
    """Cosine of the identities the critic reads from x and y, (B,) in [-1, 1]; 1 for one person.

    The ID of face editing, the critic in the place of ArcFace (Deng et al. 2019).
    """
    x, y = _checked_pair(x, y)
    return F.cosine_similarity(in_parts(critic.identity, x), in_parts(critic.identity, y))


# ---------------------------------------------------------------- images and sentences


def s_clip(x: Tensor, text: str | list[str], clip: Clip) -> Tensor:
    """Cosine of each image with its sentence, or all with one, (B,) in [-1, 1]; higher fits better.

    CLIPScore (Hessel et al. 2021) without its factor 2.5 and its cut at 0. ValueError for other lists.
    """
    x = checked(x, "x")
    return F.cosine_similarity(in_parts(clip.image, x), _embedded(text, len(x), clip))


def s_dir(
    source: Tensor,
    edited: Tensor,
    source_text: str | list[str],
    target_text: str | list[str],
    clip: Clip,
) -> Tensor:
    """S_D-CLIP: cos(E(edited) - E(source), E(target_text) - E(source_text)), (B,) in [-1, 1].

    Higher follows the texts better (Gal et al. 2022, eq. 2). This is the cosine; some print 1 - cosine.
    0 for an image that was not edited: one without direction. It says nothing of how far an edit went: a
    change that cannot be seen may score as a large one. ValueError for two texts the same to the encoder.
    """
    source, edited = _checked_pair(source, edited)
    n = len(source)
    text = _embedded(target_text, n, clip) - _embedded(source_text, n, clip)
    if (text.norm(dim=1) < 1e-5).any():
        raise ValueError(
            f"Source text {source_text!r} and target text {target_text!r} are the same to the "
            "encoder, so there is no direction between them: give texts that differ."
        )
    image = in_parts(clip.image, edited) - in_parts(clip.image, source)
    moved = image.norm(dim=1) > 1e-5  # below it, the rounding of unit vectors in float32
    return torch.where(moved, F.cosine_similarity(image, text), 0.0)


# ---------------------------------------------------------------- two sets of images


@torch.no_grad()
def features(x: Tensor, critic: Critic) -> Tensor:
    """The critic's features of images (N, 3, H, W): (N, F) float64 on the CPU. Features stay as they are."""
    return x if x.ndim == 2 else in_parts(critic.features, checked(x, "x")).cpu().double()


def fid(x: Tensor, y: Tensor, critic: Critic) -> float:
    """Fréchet distance of two sets of N and M images (N, 3, H, W), or of their `features`.

    ‖μ_x-μ_y‖² + tr(Σ_x + Σ_y - 2 (Σ_x Σ_y)^½) (Heusel et al. 2017, eq. 6), from 0 up; lower is nearer.
    Two sets of one distribution have more than 0, and the more the fewer the images: compare only at
    equal numbers, beside `fid_floor`. It cannot be compared with an Inception network's FID.
    Raises ValueError for fewer than F + 1 images in a set: a covariance is then singular and the
    figure tells the number of images more than their quality.
    """
    return _frechet(features(x, critic), features(y, critic))


def fid_floor(x: Tensor, critic: Critic) -> float:
    """`fid` of the even with the odd images of one set (2N, 3, H, W): what N perfect samples get.

    Give twice as many held-out images as there are samples to be judged. Raises ValueError as `fid`.
    """
    found = features(x, critic)
    return _frechet(found[::2], found[1::2])


def kid(
    x: Tensor, y: Tensor, critic: Critic, subsets: int = 100, subset_size: int = 100, seed: int = 0
) -> tuple[float, float]:
    """Kernel distance of two sets, on the critic's features: mean and spread over random subsets.

    Squared maximum mean discrepancy with k(a, b) = (a·b/F + 1)³ (Bińkowski et al. 2018). Unbiased:
    0 on average, and often below it, for two sets of one distribution however small; lower is nearer. The
    spread is that of single subsets, not the error of their mean. ValueError for a subset_size not of 2 to N.
    """
    import lessons_lib._torchvision  # noqa: F401

    from torchmetrics.image.kid import KernelInceptionDistance

    found = [features(v, critic) for v in (x, y)]
    fewest = min(map(len, found))
    if not 2 <= subset_size <= fewest:
        raise ValueError(
            f"subset_size is {subset_size}: the smaller set has {fewest} images, give 2 to {fewest}."
        )
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.filterwarnings("ignore", message=".*will save all extracted features")
        metric = KernelInceptionDistance(nn.Identity(), subsets, subset_size)
        torch.default_generator.manual_seed(seed)  # torchmetrics draws its subsets from this one
        metric.update(found[0], real=True)
        metric.update(found[1], real=False)
        mean, spread = metric.compute()
    return mean.item(), spread.item()


# ---------------------------------------------------------------- how sure a mean is


def bootstrap(values: Tensor, seed: int = 0, n: int = 1000, level: float = 0.95) -> Interval:
    """The mean of values (N,) and its percentile interval over `n` resamplings (Efron 1979).

    A little narrow for few values: for 20, a 95 % interval holds the true mean about 92 times in 100.
    Raises ValueError for fewer than 2 values, one that is not finite, or a level not within (0, 1).
    """
    from scipy.stats import bootstrap as resampled

    values = torch.as_tensor(values).detach().cpu().double()
    if values.ndim != 1 or len(values) < 2 or not values.isfinite().all():
        raise ValueError(
            f"values of shape {tuple(values.shape)}: a bootstrap needs a list of at least 2 numbers, "
            "all finite; leave the others out and say how many."
        )
    if not 0 < level < 1:
        raise ValueError(f"level is {level}: give a share between 0 and 1, such as 0.95.")
    found = resampled(
        (values.numpy(),),
        np.mean,
        n_resamples=n,
        confidence_level=level,
        method="percentile",
        random_state=seed,
    ).confidence_interval
    return Interval(values.mean().item(), float(found.low), float(found.high))


# ---------------------------------------------------------------- what they share


def checked(x: Tensor, name: str, smallest: int = 1) -> Tensor:
    """Images (B, C, H, W) in about [-1, 1], finite, in float32 or float64; ValueError for others."""
    if not isinstance(x, Tensor) or x.ndim != 4 or 0 in x.shape:
        what = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise ValueError(f"{name} is {what}: give a tensor of at least one image, (B, C, H, W).")
    if not x.is_floating_point():
        raise ValueError(f"{name} is {x.dtype}: give floating-point images in [-1, 1].")
    if min(x.shape[-2:]) < smallest:
        raise ValueError(
            f"{name} has images of {x.shape[-2]}×{x.shape[-1]} pixels: at least {smallest}×{smallest} "
            "are needed here; resize them first."
        )
    if not x.isfinite().all():
        raise ValueError(f"{name} holds NaN or infinity: give finite images in [-1, 1].")
    check_levels(x, name)
    return x if x.dtype == torch.float64 else x.float()


def in_parts(network: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """`network` of x (B, C, H, W) in float32, at most `AT_ONCE` images at a time."""
    return torch.cat([network(part) for part in x.float().split(AT_ONCE)])


def _checked_pair(x: Tensor, y: Tensor, smallest: int = 1) -> tuple[Tensor, Tensor]:
    x, y = checked(x, "The first set", smallest), checked(y, "The second set", smallest)
    if x.shape != y.shape:
        raise ValueError(
            f"The images are {tuple(x.shape)} and {tuple(y.shape)}: give two sets of one shape, to be "
            "compared image by image."
        )
    dtype = torch.promote_types(x.dtype, y.dtype)
    return x.to(dtype), y.to(x.device, dtype)


class _Trunk(nn.Module):
    """A critic's feature maps, as `lpips` asks a network for its own."""

    def __init__(self, critic: Critic):
        super().__init__()
        self.critic = critic

    def forward(self, x: Tensor) -> list[Tensor]:
        # Where no channel fires, the gradient of a length is NaN: 1e-13 makes it 0.
        return [features + 1e-13 for features in self.critic.trunk(x)]


def _per_image(network: nn.Module) -> Distance:
    def distance(x: Tensor, y: Tensor) -> Tensor:
        x, y = _checked_pair(x, y)
        x, y = (legible(v.float(), 32) for v in (x, y))
        pairs = zip(x.split(AT_ONCE), y.split(AT_ONCE), strict=True)
        return torch.cat([network(a, b).flatten() for a, b in pairs])

    return distance


def _embedded(text: str | list[str], n: int, clip: Clip) -> Tensor:
    """Sentences as unit vectors (n, E); one sentence stands for all."""
    texts = [text] if isinstance(text, str) else list(text)
    if len(texts) not in (1, n):
        raise ValueError(f"There are {len(texts)} texts for {n} images: give one, or one for each.")
    return clip.text(texts).expand(n, -1)


def _frechet(x: Tensor, y: Tensor) -> float:
    import lessons_lib._torchvision  # noqa: F401

    from torchmetrics.image.fid import FrechetInceptionDistance

    size = x.shape[1]
    if min(len(x), len(y)) <= size:
        raise ValueError(
            f"FID on {size} features needs at least {size + 1} images in each set, and there are "
            f"{len(x)} and {len(y)}: use more, or `kid`, which a small set does not bias."
        )
    given = nn.Identity()
    given.num_features = size
    metric = FrechetInceptionDistance(given)
    metric.update(x, real=True)
    metric.update(y, real=False)
    return metric.compute().item()
