"""What every model, code, edit and sampler promises, whatever kind it is."""

from itertools import pairwise

import pytest
import torch
from torch.testing import assert_close

from lessons_lib import Sampler, load
from lessons_lib.code import Code, Eps, plain
from lessons_lib.denoisers import Denoiser, Guided
from lessons_lib.methods.editing import on_images, start_at
from lessons_lib.methods.intervals import Boosted
from lessons_lib.models.unet import UNet
from lessons_lib.schedule import Schedule
from lessons_lib.studies import inputs
from small import ALPHA_BAR, PROMPTS, mixture, randn, tiny_net, tiny_pipeline, tiny_unet

KNOWN = ("codec", "prompts", "world", "labels", "text_width", "shape", "alpha_bar")


@pytest.fixture(scope="module")
def painter(tmp_path_factory):
    folder = tmp_path_factory.mktemp("painter")
    tiny_pipeline(folder)
    return load(folder)


# ---------------------------------------------------------------- models


def test_a_guided_model_is_asked_for_what_its_model_is(painter):
    guided = Guided(painter, 3.0, painter.prompts.empty)
    for name in KNOWN:
        assert getattr(guided, name) is getattr(painter, name), name
    x, image = randn(2, *painter.shape), randn(2, *painter.picture_shape).clamp(-1, 1)
    assert guided.picture_shape == painter.picture_shape == (3, 16, 16)
    assert_close(guided.pictures(x), painter.codec.decode(x))
    assert_close(guided.latents(image), painter.codec.encode(image))
    assert_close(inputs.kinds(guided, 1, 0), inputs.kinds(painter, 1, 0))
    doubled = on_images(guided, lambda z: 2 * z)(image)
    assert_close(doubled, painter.codec.decode(2 * painter.codec.encode(image)))


def test_a_model_without_a_codec_diffuses_its_pictures():
    model = mixture(labels=torch.tensor([4, 4, 7, 9]))
    x = randn(2, 3)
    assert model.pictures(x) is x and model.latents(x) is x and model.picture_shape == (3,)
    assert model.labels == (4, 7, 9) and mixture().labels == ()
    assert model.codec is model.prompts is model.world is None
    assert Guided(model, 2.0, -1).labels == (4, 7, 9)


def test_the_pictures_of_latents_have_a_gradient(painter):
    z = randn(1, *painter.shape).requires_grad_()
    painter.pictures(z).sum().backward()
    assert z.grad.abs().sum() > 0


# ---------------------------------------------------------------- codes


def test_one_code_keeps_its_axes():
    g, x = Sampler(mixture(), 4, 1.0), randn(3, 3)
    z = g.encode(x, seed=0)  # with a residual, which is another thing than noise
    for which, rows in (
        (1, slice(1, 2)),
        (-1, slice(2, 3)),
        ([0, 2], [0, 2]),
        (slice(1), slice(1)),
    ):
        assert_close(g.decode(z[which]), x[rows])
    assert_close(g.decode(z.repeat(2)), x.repeat(2, 1))
    assert_close(g.decode(z.map(lambda v: v)), x)
    assert z[0].eps.shape == (4, 1, 3)
    with pytest.raises(IndexError):
        z[3]


def test_one_number_that_is_not_finite_is_seen_at_the_door():
    g = Sampler(mixture(), 4, 1.0)
    for name in ("x_T", "eps"):
        z = g.draw(2, seed=0)
        getattr(z, name).flatten()[1] = torch.inf
        with pytest.raises(ValueError, match="The code has values that are not finite"):
            g.decode(z)


def test_map_does_arithmetic_on_all_of_a_code():
    g = Sampler(mixture(), 4, 1.0)
    a, b = g.draw(2, seed=0), g.draw(2, seed=1)
    both = a.map(lambda u, v: 0.6 * u + 0.8 * v, b)
    assert_close(both.x_T, 0.6 * a.x_T + 0.8 * b.x_T)
    assert_close(both.eps, 0.6 * a.eps + 0.8 * b.eps)
    assert_close(g.decode(a.map(lambda v: v)), g.decode(a))
    ode = Code(a.x_T).map(lambda u, v: u - v, Code(b.x_T))
    assert_close(ode.x_T, a.x_T - b.x_T)
    assert ode.eps is None and ode.residual is None and ode.style is None
    boosted = g.replace(t_boost=500).draw(2, seed=0)  # as many steps, of which others have noise
    styled = Code(b.x_T, b.eps, b.residual, randn(2, 5))
    for other in (Code(b.x_T), Sampler(mixture(), 3, 1.0).draw(2, seed=0), boosted, styled):
        with pytest.raises(ValueError, match="same steps and eta"):
            a.map(torch.add, other)


# ---------------------------------------------------------------- the step and its σ


def test_an_edit_answers_with_a_sigma_for_each_pixel():
    g = Sampler(tiny_unet(), 5, 0.7)
    z, own = g.draw(2, seed=0), randn(2, 3, 8, 8, seed=3).abs()

    def edit(denoiser, x, t, cond=None):
        return plain(denoiser, x, t, cond)._replace(sigma=own)

    for step in g.trajectory(z, edit):
        mean = g.schedule.a_to[step.i].sqrt() * step.P + step.D
        added = own * z.eps[step.i] if g.sigma[step.i] > 0 else z.eps[step.i]
        assert_close(step.x_to, mean + added)
        assert_close(mean, g.mean(step.x, step.i))
    assert not g.step(z.x_T, 4, lambda i, sigma: sigma * own, edit).noise.any()  # the last has none


def learned(seed=0):
    net = tiny_net(seed, out_channels=6).to(torch.float64)
    return UNet(net, ALPHA_BAR, learned_range=True)


def test_a_learned_variance_is_diffusers_own():
    from diffusers import DDPMScheduler

    model, x, t = learned(), randn(2, 3, 8, 8), 600
    sigma = model.predict(x, t).sigma
    theirs = DDPMScheduler(variance_type="learned_range")
    out = model.net(x, t).sample[:, 3:]
    log_variance = theirs._get_variance(t, predicted_variance=out)
    a, a_to = ALPHA_BAR[t].item(), ALPHA_BAR[t - 1].item()
    assert_close(sigma(a, a_to, 1.0), (0.5 * log_variance).exp(), rtol=1e-4, atol=0)
    assert_close(sigma(a, a_to, 0.5), 0.5 * sigma(a, a_to, 1.0))


@pytest.mark.parametrize("eta", [0.3, 1.0])
def test_a_learned_variance_is_encoded_and_decoded(eta):
    g, x = Sampler(learned(), 6, eta), randn(3, 3, 8, 8).clamp(-1, 1)
    z = g.encode(x, seed=1, at_once=4)
    assert_close(g.decode(z), x, rtol=0, atol=1e-12)
    step = next(g.trajectory(z))
    assert_close(step.noise, g.mean_and_sigma(step.x, 0)[1] * z.eps[0])
    plainly = Sampler(UNet(g.denoiser.net, ALPHA_BAR), 6, eta)
    assert (plainly.decode(z) - x).abs().max() > 1e-3  # without it the code is another one


def test_guidance_keeps_the_learned_variance_of_the_condition():
    net = tiny_net(out_channels=6, num_class_embeds=3).to(torch.float64)
    model = UNet(net, ALPHA_BAR, learned_range=True, zero_is_none=True)
    g, cond, x = Sampler(Guided(model, 2.0, 0), 4, 1.0), torch.tensor([1, 2]), randn(2, 3, 8, 8)
    assert_close(g.denoiser.predict(x, 9, cond).sigma.v, model.predict(x, 9, cond).sigma.v)
    assert_close(g.decode(g.encode(x, cond=cond), cond=cond), x, rtol=0, atol=1e-12)


def test_a_variance_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="3 channels at its end: it needs 6"):
        UNet(tiny_net(), ALPHA_BAR, learned_range=True)


# ---------------------------------------------------------------- the loop


def test_the_walk_is_differentiable_and_the_trajectory_is_not():
    g = Sampler(tiny_unet(), 4, 0.5)
    z = g.draw(1, seed=0)
    x = z.x_T.clone().requires_grad_()
    walked = list(g.walk(x, z.noise))
    for one, other in zip(walked, g.trajectory(z), strict=True):
        assert torch.equal(one.x_to, other.x_to) and not other.x_to.requires_grad
    v = randn(1, 3, 8, 8, seed=5)
    (slope,) = torch.autograd.grad((walked[-1].x_to * v).sum(), x)
    h = 1e-6 * randn(1, 3, 8, 8, seed=6)
    ends = [g.decode(Code(z.x_T + s * h, z.eps, z.residual)) for s in (1, -1)]
    assert_close((slope * h).sum(), ((ends[0] - ends[1]) * v).sum() / 2, rtol=1e-5, atol=0)


def test_the_walk_begins_in_the_middle_and_takes_a_tensor_as_noise():
    g = Sampler(tiny_unet(), 5, 1.0)
    z = g.draw(2, seed=0)
    steps = list(g.trajectory(z))
    late = list(g.walk(steps[2].x, z.noise, 2))
    assert [s.i for s in late] == [2, 3, 4] and torch.equal(late[-1].x_to, steps[-1].x_to)
    again = g.step(steps[2].x, 2, steps[2].noise)
    assert torch.equal(again.x_to, steps[2].x_to)
    assert_close(g.step(steps[2].x, 2).x_to, steps[2].x_to - steps[2].noise)


def test_after_says_where_the_next_step_begins():
    g = Sampler(mixture(), 4)
    walk = list(g.walk(randn(2, 3), after=lambda step: 2 * step.x_to))
    for step, following in pairwise(walk):
        assert torch.equal(following.x, 2 * step.x_to)


# ---------------------------------------------------------------- the same sampler, but for …


def test_a_boosted_sampler_stays_one():
    g = Boosted(Sampler(mixture(), 10), 300)
    silent = int((g.sigma == 0).sum())
    assert silent == 8  # seven above t_boost, and the last
    late = start_at(g, 600)
    assert_close(late.sigma, g.sigma[-len(late.schedule) :])
    half = g.with_eta(0.5)
    assert isinstance(half, Boosted) and isinstance(late, Boosted)
    assert_close(half.sigma, 0.5 * g.sigma)
    other = g.replace(denoiser=mixture(seed=1), dtype=torch.float32)
    assert_close(other.sigma, g.sigma)
    assert other.draw(1, 0).x_T.dtype == torch.float32 and g.dtype == torch.float64


def test_replace_refuses_what_a_sampler_has_not():
    g = Sampler(mixture(), 4)
    with pytest.raises(TypeError, match="no steps to replace"):
        g.replace(steps=9)
    with pytest.raises(ValueError, match="eta is 2"):
        g.replace(eta=2)
    assert g.replace(schedule=Schedule.of(ALPHA_BAR, [5, 1])).sigma.shape == (2,)


def test_a_bare_function_with_a_shape_is_enough_for_a_sampler():
    class Bare:
        shape, alpha_bar, device = torch.Size([3]), ALPHA_BAR, torch.device("cpu")

        def __call__(self, x, t, cond=None):
            return torch.sin(x)

    class Ours(Bare, Denoiser):
        pass

    assert_close(plain(Bare(), randn(2, 3), 5), plain(Ours(), randn(2, 3), 5))
    g, x = Sampler(Bare(), 5, 0.5), randn(2, 3)
    assert_close(g.decode(g.encode(x)), x)
    three = lambda d, x, t, c=None: tuple(plain(d, x, t, c))[:3]  # noqa: E731
    assert_close(g.decode(g.encode(x), three), x)
    assert Eps(x, x) == (x, x, None, None)


def test_prompts_go_with_a_guided_model(painter):
    guided = Guided(painter, 2.0, painter.prompts.empty)
    g = Sampler(guided, 3, 1.0)
    x, cond = randn(1, *painter.shape, dtype=torch.float64), guided.prompts(PROMPTS[:1])
    assert_close(g.decode(g.encode(x, cond=cond), cond=cond), x, rtol=0, atol=1e-5)


def test_sigma_is_the_same_in_a_batch_of_steps_whatever_the_state_s_precision():
    g = Sampler(learned(), 12, 1.0, dtype=torch.float32)
    x, steps = randn(11, 3, 8, 8, dtype=torch.float32), torch.arange(11)
    together = g.mean_and_sigma(x, steps)[1]
    for i in range(11):
        alone = g.mean_and_sigma(x[i : i + 1], i)[1]
        assert_close(together[i : i + 1], alone, rtol=2e-6, atol=0)
