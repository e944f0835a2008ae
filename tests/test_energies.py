"""EGSDE: energies whose tilted distribution is known, and the authors' own step."""

import pytest
import torch
from torch.testing import assert_close

from lessons_lib import Sampler
from lessons_lib.denoisers import Denoiser
from lessons_lib.methods.editing import low_pass, sdedit, start_at
from lessons_lib.methods.egsde import domain_independent, domain_specific, downhill, egsde
from lessons_lib.schedule import Schedule
from small import ALPHA_BAR, mixture, randn, tiny_unet

LABELS = torch.tensor([0, 1, 1, 0])


def test_an_exact_classifiers_energy_turns_a_model_into_its_class():
    """E = -log p_t(label | x_t) makes of the whole mixture the mixture of that label, at every step."""
    m = mixture(labels=LABELS)
    ones = torch.ones(5, dtype=torch.int64)

    def energy(x, t):
        return m.log_density(x, t) - m.log_density(x, t, ones)

    g = Sampler(m, 20, 0.5)
    z = g.draw(5, seed=0)
    expected = g.decode(z, cond=ones)
    assert_close(g.decode(z, downhill(energy)), expected)
    assert (g.decode(z) - expected).abs().max() > 0.1


def test_one_step_is_the_authors_own():
    """μ moves by -β/√α ∇E between neighbouring times at η = 1 (egsde_sample of ML-GSAI/EGSDE)."""
    g = Sampler(tiny_unet(), eta=1.0, schedule=Schedule.of(ALPHA_BAR, [500, 499]))
    x, towards = randn(2, 3, 8, 8), randn(2, 3, 8, 8, seed=1)
    energy = lambda y, t: 3 * (y - towards).square().sum((1, 2, 3))  # noqa: E731
    plain, bent = (g.step(x, 0, torch.zeros_like(x), *e).x_to for e in ((), (downhill(energy),)))
    alpha = ALPHA_BAR[500] / ALPHA_BAR[499]
    assert_close(bent - plain, -(1 - alpha) / alpha.sqrt() * 6 * (x - towards))


def test_with_no_energy_it_is_sdedit():
    g, x = start_at(Sampler(tiny_unet(), 10, 1.0), 500), randn(2, 3, 8, 8)
    features = lambda x, t: x  # noqa: E731
    assert_close(egsde(x, g, features, low_pass(2), 0.0, 0.0, seed=4), sdedit(x, g, seed=4))


def test_without_features_the_classifiers_energy_is_left_out():
    g, x = start_at(Sampler(tiny_unet(), 10, 1.0), 500), randn(2, 3, 8, 8)
    without, weightless = (
        egsde(x, g, features, low_pass(2), specific, 2.0)
        for features, specific in ((None, 20.0), (lambda x, t: x, 0.0))
    )
    assert_close(without, weightless)
    assert (without - sdedit(x, g)).abs().max() > 0.01


def test_each_energy_does_what_it_is_for():
    g, x = start_at(Sampler(tiny_unet(), 20, 1.0), 500), randn(2, 3, 8, 8)
    features = lambda x, t: x  # noqa: E731
    low = low_pass(4)
    found = [egsde(x, g, features, low, *weights) for weights in ((0, 0), (320.0, 0), (0, 2.0))]
    alike = [torch.cosine_similarity(y, x, dim=1).mean() for y in found]
    near = [(low(y) - low(x)).square().mean() for y in found]
    assert alike[1] < alike[0] - 0.05 and near[2] < near[0] / 2


def test_energies_by_hand():
    x, y = randn(2, 3, 4, 4), randn(2, 3, 4, 4, seed=1)
    alike = domain_specific(lambda v, t: v, lambda t: x)
    (
        assert_close(alike(x, 5), torch.ones(2).double()),
        assert_close(alike(-2 * x, 5), -torch.ones(2).double()),
    )
    apart = domain_independent(low_pass(1), lambda t: x)
    assert_close(apart(y, 5), (x - y).square().sum((1, 2, 3)))


def test_gradients_do_not_leak_and_dtypes_stay():
    g, x = Sampler(tiny_unet(dtype=torch.float32), 3, 1.0, dtype=torch.float32), randn(1, 3, 8, 8)
    found = egsde(x.float(), g, lambda x, t: x, low_pass(2), 1.0, 1.0)
    assert found.dtype == torch.float32 and not found.requires_grad
    with pytest.raises(ValueError, match="must divide"):
        egsde(x.float(), g, lambda x, t: x, low_pass(3), 1.0, 1.0)


def test_the_first_energy_pulls_as_far_on_any_number_of_pixels():
    """A mean over places pulls each pixel by one over their number: λ_s goes with the pixels."""

    class Pixelwise(Denoiser):
        alpha_bar, device = ALPHA_BAR, torch.device("cpu")

        def __init__(self, side):
            self.shape = torch.Size((3, side, side))

        def __call__(self, x, t, cond=None):
            return 0.5 * x

    def moved(side):
        g, x = start_at(Sampler(Pixelwise(side), 10), 500), randn(4, 3, side, side)
        pulled, not_pulled = (
            egsde(x, g, lambda x, t: x, low_pass(2), w, 0.0, seed=1) for w in (8.0, 0.0)
        )
        return (pulled - not_pulled).abs().mean().item()

    assert moved(32) == pytest.approx(moved(16), rel=0.1) == pytest.approx(moved(8), rel=0.2)
