import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal
from torch.testing import assert_close

import published
from lessons_lib import Sampler, load
from lessons_lib.checkpoints import with_prompt
from lessons_lib.denoisers import Guided, fingerprint, predict
from lessons_lib.models.mixture import GaussianMixture, digits, two_moons_of_gaussians
from lessons_lib.models.unet import UNet
from lessons_lib.studies.inputs import model_for
from small import (
    ALPHA_BAR,
    PROMPTS,
    mixture,
    randn,
    says_in_a_sentence,
    tiny_net,
    tiny_pipeline,
    tiny_unet,
)

NETS = {
    "plain": {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2},
    "attention": {},
    "two layers": {"layers_per_block": 2, "block_out_channels": (8, 8, 16),
                   "down_block_types": ("DownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
                   "up_block_types": ("UpBlock2D", "AttnUpBlock2D", "UpBlock2D")},
    "google/ddpm": {"downsample_padding": 0, "flip_sin_to_cos": False, "freq_shift": 1, "norm_eps": 1e-6,
                    "attention_head_dim": None},
    "resnet sampling": {"downsample_type": "resnet", "upsample_type": "resnet",
                        "resnet_time_scale_shift": "scale_shift"},
    "resnet blocks": {"down_block_types": ("ResnetDownsampleBlock2D", "DownBlock2D"),
                      "up_block_types": ("UpBlock2D", "ResnetUpsampleBlock2D")},
    "no mid attention": {"add_attention": False, "center_input_sample": True},
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
@torch.no_grad()
def test_the_split_is_the_whole_pass_to_the_bit(name):
    net = tiny_net(**NETS[name])
    unet = UNet(net, ALPHA_BAR)
    x, t = randn(3, 3, 8, 8, dtype=torch.float32), torch.tensor([0, 500, 999])
    b = unet.encode(x, t)
    assert torch.equal(unet.decode(b), net(x, t).sample)
    assert torch.equal(unet(x, 7), net(x, 7).sample)
    assert torch.equal(unet.decode(b, torch.zeros_like(b.h)), unet.decode(b))
    assert not torch.equal(unet.decode(b, torch.ones_like(b.h)), unet.decode(b))


@torch.no_grad()
def test_h_is_what_leaves_the_mid_block():
    net, seen = tiny_net(), []
    net.mid_block.register_forward_hook(lambda *args: seen.append(args[2]))
    x = randn(2, 3, 8, 8, dtype=torch.float32)
    eps, h, _ = predict(UNet(net, ALPHA_BAR), x, 3)
    assert torch.equal(h, seen[0]) and eps.shape == x.shape


@torch.no_grad()
def test_class_labels_and_their_embeddings():
    net = tiny_net(num_class_embeds=3)
    unet = UNet(net, ALPHA_BAR, zero_is_none=True)
    x, labels = randn(3, 3, 8, 8, dtype=torch.float32), torch.tensor([0, 1, 2])
    eps = unet(x, 9, labels)
    assert torch.equal(eps, net(x, 9, labels).sample)
    assert torch.equal(unet(x, 9), unet(x, 9, torch.zeros(3, dtype=torch.int64)))
    assert torch.equal(unet(x, 9, torch.cat([unet.embedding(i) for i in range(3)])), eps)
    assert not torch.equal(eps[1:], unet(x, 9)[1:])


@torch.no_grad()
def test_a_learned_variance_is_dropped():
    net = tiny_net(out_channels=6)
    x = randn(1, 3, 8, 8, dtype=torch.float32)
    assert torch.equal(UNet(net, ALPHA_BAR)(x, 5), net(x, 5).sample[:, :3])


@torch.no_grad()
def test_text_goes_where_cross_attention_is():
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    torch.manual_seed(0)
    net = UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, block_out_channels=(8, 16), layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), norm_num_groups=4,
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), cross_attention_dim=6, attention_head_dim=4,
    ).eval()  # fmt: skip
    x, text = randn(2, 4, 8, 8, dtype=torch.float32), randn(2, 5, 6, dtype=torch.float32)
    assert torch.equal(UNet(net, ALPHA_BAR)(x, 11, text), net(x, 11, text).sample)


@given(st.integers(0, 999))
def test_the_three_predictions_agree(t):
    # One answer (x_0, ε) in each of the three languages gives back the same ε.
    x0, eps, a = randn(2, 3, 8, 8), randn(2, 3, 8, 8, seed=1), ALPHA_BAR[t]
    x = a.sqrt() * x0 + (1 - a).sqrt() * eps
    answers = {
        "epsilon": eps, "sample": x0, "v_prediction": a.sqrt() * eps - (1 - a).sqrt() * x0
    }  # fmt: skip
    for kind, out in answers.items():
        unet = UNet(tiny_net(), ALPHA_BAR, kind)
        assert_close(unet.to_eps(out, x, a), eps, rtol=1e-9, atol=1e-9)


def test_1_minus_alpha_bar_does_not_cancel_in_float32():
    unet, x = tiny_unet(prediction="sample", dtype=torch.float32), randn(1, 3, 8, 8)
    double = tiny_unet(prediction="sample")
    assert_close(unet(x.float(), 0), double(x, 0).float(), rtol=2e-5, atol=2e-4)


@torch.no_grad()
def test_unshuffle_is_a_permutation_of_the_pixels():
    unet = tiny_unet(unshuffle=2, prediction="epsilon", in_channels=12, out_channels=12)
    assert unet.shape == (3, 16, 16)
    x = torch.arange(3 * 16 * 16, dtype=torch.float64).view(1, 3, 16, 16)
    inside = F.pixel_unshuffle(x, 2)
    assert torch.equal(inside.flatten().sort().values, x.flatten())
    unet.net.forward_in, seen = None, []
    unet.net.conv_in.register_forward_hook(lambda m, args, out: seen.append(args[0]))
    eps = unet(x, 3)
    assert torch.equal(seen[0], inside)
    assert torch.equal(F.pixel_unshuffle(eps, 2), unet.net(inside, 3).sample)


@pytest.mark.parametrize(
    "model",
    [
        tiny_unet(),
        tiny_unet(prediction="epsilon", num_class_embeds=3),
        mixture(),
        mixture(full=True),
    ],
)
@torch.no_grad()
def test_t_may_be_one_or_one_each(model):
    x = randn(3, *model.shape)
    assert_close(model(x, 400), model(x, torch.tensor(400)), rtol=0, atol=0)
    assert_close(model(x, 400), model(x, torch.full((3,), 400)), rtol=1e-12, atol=1e-12)
    mixed = model(x, torch.tensor([0, 300, 999]))
    each = [model(x[i : i + 1], t) for i, t in enumerate((0, 300, 999))]
    assert_close(mixed, torch.cat(each), rtol=1e-9, atol=1e-11)


@torch.no_grad()
def test_eps_comes_back_in_the_dtype_of_x():
    for model in (tiny_unet(dtype=torch.float32), mixture()):
        for dtype in (torch.float16, torch.float32, torch.float64):
            assert model(randn(1, *model.shape).to(dtype), 5).dtype == dtype


# The exact model

MIXTURES = {
    "isotropic": lambda: mixture(),
    "full": lambda: mixture(full=True),
    "own variances": lambda: GaussianMixture(
        randn(3, 2), torch.tensor([0.1, 0.5, 2.0]), weights=[1, 2, 3]
    ),
    "shaped": lambda: GaussianMixture(randn(5, 1, 2, 2), 0.3),
    "moons": two_moons_of_gaussians,
}
mixtures = pytest.mark.parametrize("name", MIXTURES)
TIMES = torch.tensor([0, 200, 700, 999])


@mixtures
def test_log_density_is_that_of_torch_distributions(name):
    m = MIXTURES[name]()
    x = randn(4, *m.shape)
    spread = m.spread.expand(-1, m.d)
    basis = (
        torch.eye(m.d, dtype=torch.float64).expand(len(spread), -1, -1)
        if m.basis is None
        else m.basis
    )
    covariance = basis @ torch.diag_embed(spread) @ basis.mT
    for t in (-1, 0, 350, 999):
        a = 1.0 if t == -1 else m.alpha_bar[t].item()
        noised = a * covariance + (1 - a) * torch.eye(m.d, dtype=torch.float64)
        parts = MultivariateNormal(a**0.5 * m.means, noised)
        oracle = MixtureSameFamily(Categorical(logits=m.log_weights), parts)
        assert_close(m.log_density(x, t), oracle.log_prob(x.flatten(1)), rtol=1e-9, atol=1e-9)


@mixtures
def test_score_and_eps_are_the_gradient_of_the_log_density(name):
    m = MIXTURES[name]()
    x = randn(4, *m.shape).requires_grad_()
    score = torch.autograd.grad(m.log_density(x, TIMES).sum(), x)[0]
    noise = (1 - m.alpha_bar[TIMES]).sqrt().view(-1, *[1] * (x.ndim - 1))
    assert_close(m.score(x.detach(), TIMES), score, rtol=1e-7, atol=1e-7)
    assert_close(m(x.detach(), TIMES), -noise * score, rtol=1e-7, atol=1e-8)


@mixtures
def test_posterior_covariance_is_the_jacobian_of_the_posterior_mean(name):
    m = MIXTURES[name]()
    x = randn(4, *m.shape)
    covariance = m.posterior_covariance(x, TIMES)
    for i, t in enumerate(TIMES.tolist()):
        jacobian = torch.autograd.functional.jacobian(
            lambda y, t=t: m.posterior_mean(y, t), x[i : i + 1]
        )
        a = m.alpha_bar[t]
        assert_close(
            a.sqrt() / (1 - a) * covariance[i], jacobian.view(m.d, m.d), rtol=1e-7, atol=1e-9
        )
        assert_close(
            m.posterior_covariance(x[i : i + 1], t)[0], covariance[i], rtol=1e-9, atol=1e-12
        )


def test_isotropic_is_the_same_as_its_full_covariances():
    variance = torch.tensor([0.1, 0.5, 2.0], dtype=torch.float64)
    means, x = randn(3, 4), randn(4, 4, seed=1)
    one = GaussianMixture(means, variance)
    other = GaussianMixture(means, covariance=variance[:, None, None] * torch.eye(4))
    for name in ("posterior_mean", "posterior_covariance", "log_density", "score", "__call__"):
        assert_close(
            getattr(one, name)(x, TIMES), getattr(other, name)(x, TIMES), rtol=1e-9, atol=1e-9
        )


@pytest.mark.parametrize("full", [False, True])
def test_a_label_is_the_mixture_of_its_components(full):
    labels = torch.tensor([0, 1, 1, 0])
    m = mixture(full=full, labels=labels)
    x, cond = randn(4, 3), torch.tensor([0, 1, -1, 1])
    for label, i in ((0, 0), (1, 1), (-1, 2), (1, 3)):
        keep = labels == label if label >= 0 else labels >= 0
        spread = m.spread if m.basis is None else m.basis @ torch.diag_embed(m.spread) @ m.basis.mT
        kind = {"variance": spread[keep, 0]} if m.basis is None else {"covariance": spread[keep]}
        part, one = GaussianMixture(m.means[keep], **kind), x[i : i + 1]
        for name in ("__call__", "posterior_covariance", "log_density"):
            both = getattr(m, name)(x, 300, cond)[i : i + 1], getattr(part, name)(one, 300)
            assert_close(*both, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("full", [False, True])
def test_sample_has_the_mixtures_moments(full):
    m, n = mixture(full=full, labels=torch.tensor([0, 1, 1, 0])), 40_000
    spread = m.spread.expand(-1, m.d)
    basis = m.basis if full else torch.eye(m.d, dtype=torch.float64).expand(4, -1, -1)
    within = basis @ torch.diag_embed(spread) @ basis.mT
    for cond, keep in ((None, slice(None)), (torch.ones(n, dtype=torch.int64), slice(1, 3))):
        x, means = m.sample(n, 0, cond), m.means[keep]
        cov = within[keep].mean(0) + torch.cov(means.T, correction=0)
        error = 5 * (cov.diagonal().max() / n).sqrt().item()
        assert_close(x.mean(0), means.mean(0), rtol=0, atol=error)
        assert_close(
            torch.cov(x.T), cov, rtol=0, atol=3 * error * cov.diagonal().max().sqrt().item()
        )


def test_the_digits_are_scikit_learns():
    m = digits()
    assert m.shape == (1, 8, 8) and m.means.shape == (1797, 64)
    assert m.means.min() == -1 and m.means.max() == 1 and m.labels == tuple(range(10))
    # At almost no noise the posterior mean of a digit is that digit: the nearest is far away.
    x = m.means[:5].view(5, 1, 8, 8)
    assert_close(m.posterior_mean(x * m.alpha_bar[0].sqrt(), 0), x, rtol=0, atol=1e-6)


# ---------------------------------------------------------------- a condition that is fixed


def texted(folder):
    tiny_pipeline(folder, half=False)
    return load(folder)


@torch.no_grad()
def test_a_text_that_is_fixed_is_that_text_as_cond(tmp_path):
    model = texted(tmp_path)
    fixed, guided = (load(tmp_path, prompt=PROMPTS[0], guidance=s) for s in (1.0, 3.0))
    cond, x = model.prompts(PROMPTS[:1]), randn(2, 4, 8, 8)
    delta = randn(1, 16, 4, 4).float()
    for ours, theirs in ((fixed, model), (guided, Guided(model, 3.0, model.prompts.empty))):
        want = theirs(x, 300, cond.expand(2, -1, -1))
        assert_close(ours(x, 300), want)
        b, c = ours.encode(x, 300), theirs.encode(x, 300, cond.expand(2, -1, -1))
        assert torch.equal(b.h, c.h)
        assert torch.equal(ours.decode(b, delta), theirs.decode(c, delta))
        assert ours.prompts is None and ours.text_width is None and ours.codec is not None
    assert not torch.allclose(fixed(x, 300), guided(x, 300))


def test_a_fixed_text_is_a_model_of_its_own(tmp_path):
    texted(tmp_path)
    first, again, other = (load(tmp_path, prompt=PROMPTS[i]) for i in (0, 0, 1))
    assert fingerprint(first) == fingerprint(again) != fingerprint(other)
    g = Sampler(first, 4, eta=1.0)
    x = g.decode(g.draw(2, 0)).clamp(-1, 1)
    assert_close(g.decode(g.encode(x, 1)), x, rtol=0, atol=1e-5)
    exact = Sampler(first.to(torch.float64), 4, eta=1.0)
    assert_close(exact.decode(exact.encode(x, 1)), x, rtol=0, atol=1e-12)


def test_what_cannot_be_fixed_is_one_sentence(tmp_path):
    texted(tmp_path)
    fixed = load(tmp_path, prompt=PROMPTS[0])
    x, cond = randn(2, 4, 8, 8), randn(1, 8, 12)
    says_in_a_sentence(lambda: fixed(x, 3, cond), ["cond was given", "fixed"], 300)
    says_in_a_sentence(lambda: load("moons", prompt="a cat"), ["'a cat'", "reads no text"], 300)
    says_in_a_sentence(lambda: load(tmp_path, prompt=3), ["prompt is 3", "text"], 300)
    says_in_a_sentence(lambda: load(tmp_path, guidance=3.0), ["guidance is 3.0", "prompt"], 300)
    says_in_a_sentence(lambda: load(tmp_path, prompt="a", guidance="3"), ["scale is '3'"], 300)
    says_in_a_sentence(lambda: load(tmp_path, prompt="a red " * 9), ["tokens", "shorten"], 300)


def labelled(folder, none=False):
    published.labelled(folder)
    model = load(folder)
    model.zero_is_none = none
    return model


@pytest.mark.parametrize("prompt", [3, "3", " 3 "])
def test_a_label_is_fixed_as_a_text_is(tmp_path, prompt):
    model, x = labelled(tmp_path), randn(2, 3, 16, 16, dtype=torch.float32)
    fixed = load(tmp_path, prompt=prompt)
    assert_close(fixed(x, 300), model(x, 300, torch.tensor([3])))
    assert not torch.allclose(fixed(x, 300), model(x, 300, torch.tensor([4])))
    assert fixed.labels == () and not fixed.needs_label and fixed.encode(x, 300).h.shape[0] == 2
    assert fingerprint(fixed) != fingerprint(load(tmp_path, prompt=4))


def test_a_label_under_guidance_stays_a_number_in_every_precision(tmp_path):
    model, x = labelled(tmp_path, none=True), randn(2, 3, 16, 16, dtype=torch.float32)
    fixed = with_prompt(model, "3", 2.0)
    label = torch.tensor([3])
    assert_close(fixed(x, 300), 2 * model(x, 300, label) - model(x, 300))
    assert fixed.to(torch.float64).cond.dtype == torch.int64
    assert fixed(x, 300).isfinite().all()


def test_an_exact_models_label_is_fixed_too():
    digits, x = load("digits"), randn(2, *load("digits").shape)
    fixed = load("digits", prompt="8")
    assert torch.equal(fixed(x, 300), digits(x, 300, torch.tensor([8])))


def test_what_is_no_label_is_one_sentence(tmp_path):
    model = labelled(tmp_path)
    says_in_a_sentence(lambda: with_prompt(model, "a cat"), ["'a cat'", "0 to 9"], 300)
    says_in_a_sentence(lambda: with_prompt(model, 10), ["prompt is 10", "0 to 9"], 300)
    says_in_a_sentence(lambda: with_prompt(model, -1), ["prompt is -1", "number"], 300)
    says_in_a_sentence(lambda: with_prompt(model, 3, 2.0), ["guidance is 2.0", "no label"], 300)
    says_in_a_sentence(
        lambda: model_for(tmp_path, "cpu", prompt=""), ["parameter prompt", "0 to 9"], 300
    )
    assert model_for(tmp_path, "cpu", 20, prompt="3").labels == ()


def test_a_lesson_of_pictures_refuses_latents(tmp_path):
    texted(tmp_path)
    refused = lambda: model_for(tmp_path, "cpu", prompt="", latent=False)  # noqa: E731
    says_in_a_sentence(refused, ["on pictures", "draws latents"], 300)


def test_a_lesson_asks_for_the_text(tmp_path):
    texted(tmp_path)
    assert model_for(tmp_path, "cpu", 20, prompt=PROMPTS[0]).shape == (4, 8, 8)
    says_in_a_sentence(lambda: model_for(tmp_path, "cpu", prompt=""), ["parameter prompt"], 300)
    says_in_a_sentence(lambda: model_for(tmp_path, "cpu"), ["draws by itself"], 400)
