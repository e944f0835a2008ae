"""What the tests share: small random networks, exact models, schedules to draw from."""

import torch
from hypothesis import strategies as st

from lessons_lib.denoisers import GaussianMixture, UNet
from lessons_lib.schedule import Schedule, linear_alpha_bar, scaled_linear_alpha_bar

ALPHA_BAR = linear_alpha_bar()
TABLES = [ALPHA_BAR, scaled_linear_alpha_bar()]
etas = st.one_of(st.sampled_from([0.0, 0.1, 0.5, 1.0]), st.floats(0.01, 1.0))


@st.composite
def schedules(draw, most=12):
    """A schedule of any strictly falling times, on one of two tables, with either last level."""
    alpha_bar = draw(st.sampled_from(TABLES))
    times = sorted(draw(st.sets(st.integers(0, 999), min_size=1, max_size=most)), reverse=True)
    last = draw(st.sampled_from([1.0, alpha_bar[0].item()]))
    return Schedule.of(alpha_bar, times, last)


def tiny_net(seed=0, **config):
    """A random UNet2DModel small enough for a test."""
    import lessons_lib._torchvision  # noqa: F401

    from diffusers.models.unets.unet_2d import UNet2DModel

    defaults = {
        "sample_size": 8,
        "block_out_channels": (8, 16),
        "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
        "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "attention_head_dim": 8,
    }
    torch.manual_seed(seed)
    return UNet2DModel(**defaults | config).eval()


def tiny_unet(seed=0, prediction="v_prediction", unshuffle=1, dtype=torch.float64, **config):
    """The same behind the ε contract."""
    return UNet(tiny_net(seed, **config).to(dtype), ALPHA_BAR, prediction, unshuffle)


def mixture(d=3, k=4, seed=0, full=False, labels=None):
    """A mixture of any dimension, isotropic or with full covariances."""
    gen = torch.Generator().manual_seed(seed)
    means = torch.randn((k, d), generator=gen, dtype=torch.float64)
    if not full:
        return GaussianMixture(means, 0.05, labels=labels)
    root = torch.randn((k, d, d), generator=gen, dtype=torch.float64) * 0.4
    covariance = root @ root.mT + 0.02 * torch.eye(d, dtype=torch.float64)
    return GaussianMixture(means, covariance=covariance, labels=labels)


def randn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)
