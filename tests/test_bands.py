"""A network that sees the Haar bands of its pictures."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from lessons_lib import Sampler
from lessons_lib.models.mixture import GaussianMixture
from lessons_lib.models.unet import UNet, haar
from lessons_lib.recipes.pixel import Pixel, velocity, widened
from small import ALPHA_BAR, randn, tiny_net

BANDS = (0.8, 0.3, 0.2, 0.05)


def banded(seed=0):
    net = tiny_net(seed, in_channels=12, out_channels=12, sample_size=4).to(torch.float64)
    return UNet(net, ALPHA_BAR, "v_prediction", 2, bands=BANDS)


def test_haar_is_orthonormal_its_own_inverse_and_begins_with_the_mean():
    x = randn(2, 3, 8, 8)
    inside = haar(F.pixel_unshuffle(x, 2))
    assert_close(haar(inside), F.pixel_unshuffle(x, 2))
    assert_close(inside.square().sum(), x.square().sum())
    assert_close(inside[:, ::4], 2 * F.avg_pool2d(x, 2))


@pytest.mark.parametrize("t", [0, 300, 999])
def test_a_network_that_says_nothing_is_the_best_linear_denoiser(t):
    """Of Gaussian data whose Haar bands have these deviations, the exact model's ε."""
    model = banded()
    torch.nn.init.zeros_(model.net.conv_out.weight), torch.nn.init.zeros_(model.net.conv_out.bias)
    basis = haar(F.pixel_unshuffle(torch.eye(192).double().view(192, 3, 8, 8), 2))
    spread = torch.tensor(BANDS).double().repeat(3).view(1, 12, 1, 1).expand(1, 12, 4, 4).flatten()
    rows = basis.flatten(1)  # pixels to bands
    covariance = (rows * spread**2) @ rows.T
    exact = GaussianMixture(torch.zeros(1, 3, 8, 8).double(), covariance=covariance[None])
    x = randn(2, 3, 8, 8)
    assert_close(model(x, t), exact(x, t), rtol=1e-6, atol=1e-6)


def test_it_keeps_the_contract():
    model, x = banded(), randn(2, 3, 8, 8)
    assert model.shape == (3, 8, 8)
    assert_close(model.decode(model.encode(x, 5)), model(x, 5))
    g = Sampler(model, 5, 0.7)
    assert_close(g.decode(g.encode(x)), x, rtol=0, atol=1e-12)


def test_what_is_trained_is_what_is_asked():
    """The recipe's loss is the squared error of the v that the denoiser then gives."""
    recipe = Pixel("toy", world="faces", size=8, bands=BANDS)
    model, x = banded(), randn(2, 3, 8, 8)
    eps, t = randn(2, 12, 4, 4, seed=1), torch.tensor([20, 700])
    inside = haar(F.pixel_unshuffle(x, 2))
    x_t, v = (F.pixel_shuffle(haar(u), 2) for u in velocity(inside, eps, t))
    a = ALPHA_BAR[t].view(-1, 1, 1, 1)
    found = (model(x_t, t) - (1 - a).sqrt() * x_t) / a.sqrt()  # v of the model's ε
    assert_close(
        recipe.loss(model.net, inside, eps, t).double(), F.mse_loss(found, v), rtol=1e-4, atol=0
    )


def test_a_widened_network_begins_with_what_the_small_one_knows():
    small, large = (
        tiny_net(sample_size=4),
        tiny_net(1, in_channels=12, out_channels=12, sample_size=4),
    )
    large.load_state_dict(widened(small.state_dict()))
    inside = torch.zeros(1, 12, 4, 4)
    inside[:, ::4] = randn(1, 3, 4, 4).float()
    out = large(inside, 9).sample.unflatten(1, (3, 4))
    assert_close(out[:, :, 0], small(inside[:, ::4], 9).sample)
    assert not out[:, :, 1:].any()


def test_bands_of_another_kind_are_refused():
    with pytest.raises(ValueError, match="give four standard deviations"):
        UNet(tiny_net(in_channels=12, out_channels=12), ALPHA_BAR, "epsilon", 2, bands=BANDS)
