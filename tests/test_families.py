"""The families of generators: σ that a network knows, and models that are told more than the time."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.testing import assert_close

from lessons_lib import Sampler, cards, checkpoints, load
from lessons_lib.cards import OWN_WEIGHTS, CheckpointError, digest
from lessons_lib.code import Code
from lessons_lib.encoder import invert
from lessons_lib.methods import energies, guidance
from lessons_lib.models import low_rank
from lessons_lib.models.families import (
    FAMILIES,
    Autoencoder,
    DenoisingGan,
    Mapping,
    PriorNet,
    Semantics,
)
from lessons_lib.models.low_rank import adapt, learnt, merge
from lessons_lib.models.spread import LAST, Optimal, OptimalSigma, SecondMoment
from lessons_lib.recipes.cards import export
from lessons_lib.recipes.families import Autoencoders, DenoisingGans, SecondMoments
from lessons_lib.recipes.loop import Run
from small import mixture, randn, tiny_net, tiny_unet

SIDE = 16
LEVELS = (249, 499, 749, 999)


def shaken(parts, seed=0):
    """The same with random weights everywhere, none of them 0."""
    torch.manual_seed(seed)
    for value in parts.parameters():
        nn.init.normal_(value, std=0.2)
    return parts.double()


def unet(seed=0):
    return tiny_unet(seed, sample_size=SIDE, num_class_embeds=3)


def sn():
    return OptimalSigma(unet(), shaken(SecondMoment(8, 32, 3, groups=4)))


def gan():
    return DenoisingGan(unet(), shaken(Mapping(5, 32, 16)), LEVELS)


def autoencoder():
    parts = Semantics(SIDE, 32, (8, 8, 8), width=6, prior=16, layers=2)
    return Autoencoder(unet(), shaken(parts))


ALL = {"sn": sn, "gan": gan, "autoencoder": autoencoder}


# ---------------------------------------------------------------- SN-DDPM's σ


@pytest.mark.parametrize("eta", [0.3, 1.0])
def test_the_best_sigma_is_that_of_the_mixture_s_posterior(eta):
    """Of DDPM's chain Var[x_t' | x_t] = σ²; for any η it is λ² + reach² Cov[x_0 | x_t]."""
    model, t, t_to = mixture(d=3, k=4), 600, 300
    x = model.sample(5, 0) * 0.5 + randn(5, 3)
    a, a_to = (model.alpha_bar[v].item() for v in (t, t_to))
    covariance = model.posterior_covariance(x, t)  # (B, 3, 3)
    spread = covariance.diagonal(dim1=1, dim2=2)
    assert spread.max() < 1  # so that nothing is cut off
    found = Optimal(spread / (1 - a))(a, a_to, eta)
    least = eta**2 * (1 - a_to) / (1 - a) * (1 - a / a_to)
    reach = a_to**0.5 - ((1 - a_to - least) * a / (1 - a)) ** 0.5
    assert_close(found.square(), least + reach**2 * spread)


def test_of_one_gaussian_the_best_sigma_is_the_chain_s_own_deviation():
    """x_t' given x_t, in closed form from the two's covariance, with no formula of the paper's."""
    s, a, a_to = 0.4, 0.3, 0.7  # deviation of x_0
    var = lambda v: v * s**2 + 1 - v  # noqa: E731
    together = (a / a_to) ** 0.5 * var(a_to)
    exact = var(a_to) - together**2 / var(a)
    of_x_0 = s**2 - a * s**4 / var(a)
    found = Optimal(torch.tensor([of_x_0 / (1 - a)]).double())(a, a_to, 1.0)
    assert_close(found.square(), torch.tensor([exact]).double())


def test_sigma_is_each_pixel_s_own_in_decode_and_encode():
    g = Sampler(sn(), 5, 1.0)
    z = g.draw(2, seed=0)
    steps = list(g.trajectory(z))
    step, sigma = steps[2], steps[2].noise / z.eps[2]
    assert sigma.std() > 1e-3 * sigma.mean() and sigma.min() >= g.sigma[2]
    assert (steps[3].noise / z.eps[3]).max() <= LAST + 1e-12  # to t = 0, where noise is seen
    ends = g.schedule.a[2].item(), g.schedule.a_to[2].item()
    wanted = g.denoiser.predict(step.x, step.t).sigma(*ends, 1.0)
    assert_close(sigma, wanted)
    x = randn(2, 3, SIDE, SIDE).clamp(-1, 1)
    assert_close(g.decode(g.encode(x)), x, rtol=0, atol=1e-9)


def test_the_head_learns_the_mean_squared_residual():
    """Of its loss, log r + error²/r, the best r is the mean of error²."""
    errors = randn(4000, seed=3).square() * 0.2
    tried = torch.linspace(0.05, 0.5, 400).double()
    loss = tried.log() + errors.mean() / tried
    assert tried[loss.argmin()].item() == pytest.approx(errors.mean().item(), rel=0.02)
    recipe = SecondMoments("x")
    # The recipe's loss at a constant r, one column at a time, has its least at the same place.
    columns = [
        recipe.loss(_Constant(r.item(), errors), randn(2, 3, 8, 8), randn(2, 3, 8, 8), torch.tensor([5, 900]))
        for r in tried[::20]
    ]  # fmt: skip
    assert tried[::20][torch.stack(columns).argmin()].item() == pytest.approx(
        errors.mean().item(), abs=0.03
    )


class _Constant(nn.Module):
    def __init__(self, r, errors):
        super().__init__()
        self.r, self.errors = torch.tensor(r).double(), errors

    def forward(self, x_t, v, t):
        return self.r.log().expand_as(self.errors), self.errors


# ---------------------------------------------------------------- what every family keeps


@pytest.mark.parametrize("name", ALL)
def test_every_family_draws_decodes_and_comes_back(name):
    model = ALL[name]()
    g = Sampler(model, 4 if name == "gan" else 6, 1.0)
    z = g.draw(3, seed=1)
    assert (z.style is None) == (model.style_shape is None)
    assert torch.equal(g.decode(z), g.decode(z)) and not torch.equal(g.decode(z[0]), g.decode(z[1]))
    assert_close(g.decode(z[[2]]), g.decode(z)[2:], rtol=0, atol=1e-9)
    x = randn(2, 3, SIDE, SIDE).clamp(-1, 1)
    assert_close(g.decode(g.encode(x, seed=3)), x, rtol=0, atol=1e-9)
    with pytest.raises(ValueError, match="x has shape"):
        model(randn(2, 3, SIDE, SIDE + 1), 3 if name == "gan" else 500)


@pytest.mark.parametrize("name", ALL)
def test_split_at_the_bottleneck_is_the_whole_pass(name):
    model, x = ALL[name](), randn(2, 3, SIDE, SIDE)
    t = 2 if name == "gan" else 400
    cond = None if model.style_shape is None else model.told(randn(2, *model.style_shape))
    whole = model(x, t, cond)
    b = model.encode(x, t, cond)
    assert_close(model.decode(b), whole)
    assert_close(model.predict(x, t, cond).eps, whole)
    assert not torch.allclose(model.decode(b, torch.ones_like(b.h)), whole)


@pytest.mark.parametrize("name", ["gan", "autoencoder"])
def test_what_a_style_says_is_seen_and_has_a_slope(name):
    model = ALL[name]()
    g = Sampler(model, 4, 1.0)
    z = g.draw(2, seed=0)
    other = Code(z.x_T, z.eps, z.residual, z.style + 1)
    assert (g.decode(other) - g.decode(z)).abs().max() > 1e-3
    assert g.replace(dtype=torch.float32).told(z).dtype == torch.float32  # as the state's
    assert torch.equal(g.decode(z, cond=g.told(other)), g.decode(other))  # a condition goes before
    assert guidance.flat(z).shape[1] == 4 * 3 * SIDE**2 + model.style_shape.numel()
    assert torch.equal(guidance.like(z, guidance.flat(z)).style, z.style)
    energy = energies.of(lambda x: x.square().flatten(1).mean(1))
    target, h = guidance.energy_of_codes(g, energy, 30.0, z), 1e-5
    at, v = guidance.flat(z), torch.zeros_like(guidance.flat(z))
    v[:, -model.style_shape.numel() :] = 1.0
    ends = [target(at + s * h * v, 0).energy for s in (1, -1)]
    found = (target(at, 0).slope * v).sum(1)
    assert_close(found, (ends[0] - ends[1]) / (2 * h), rtol=1e-4, atol=1e-8)
    assert found.abs().min() > 0


def test_arithmetic_on_codes_reaches_their_style():
    z = Sampler(autoencoder(), 4, 1.0).draw(3, seed=0)
    twice = z.map(lambda v: 2 * v)
    assert torch.equal(twice.style, 2 * z.style)
    assert torch.equal(z.repeat(2).style, torch.cat([z.style, z.style]))
    assert torch.equal(z[1].style, z.style[1:2])


def test_a_model_without_its_style_and_a_style_without_its_model_are_refused():
    g = Sampler(gan(), 4, 1.0)
    z = g.draw(2, seed=0)
    with pytest.raises(ValueError, match="draws what its style says"):
        g.decode(Code(z.x_T, z.eps, z.residual))
    with pytest.raises(ValueError, match=r"style .*this model is not told"):
        Sampler(tiny_unet(sample_size=SIDE), 4, 1.0).decode(z)


# ---------------------------------------------------------------- each one's own


def test_the_gan_s_step_is_the_posterior_of_its_image():
    """q(x_t' | x_t, x_0 = G(x_t)) of its four levels (Xiao et al. 2022, eq. 4)."""
    model = gan()
    g = Sampler(model, 4, 1.0)
    assert g.schedule.t.tolist() == [3, 2, 1, 0]
    assert_close(model.alpha_bar, model.unet.alpha_bar[list(LEVELS)])
    z = g.draw(2, seed=0)
    step = next(g.trajectory(z))
    a, a_to = model.alpha_bar[3], model.alpha_bar[2]
    beta = 1 - a / a_to
    mean = a_to.sqrt() * beta / (1 - a) * step.P + (a / a_to).sqrt() * (1 - a_to) / (1 - a) * step.x
    spread = ((1 - a_to) / (1 - a) * beta).sqrt()
    assert_close(step.x_to, mean + spread * z.eps[0])


def test_a_step_hears_its_own_latent_alone():
    model, x = gan(), randn(1, 3, SIDE, SIDE)
    style = randn(1, *model.style_shape)
    other = style.clone()
    other[:, 1] += 1
    assert torch.equal(model(x, 3, style), model(x, 3, other))
    assert not torch.allclose(model(x, 1, style), model(x, 1, other))
    both = model(x.repeat(2, 1, 1, 1), torch.tensor([1, 3]), style)
    assert_close(both, torch.cat([model(x, 1, style), model(x, 3, style)]))


def test_an_autoencoder_s_style_is_the_code_of_its_z_sem():
    model, x = autoencoder(), randn(2, 3, SIDE, SIDE).clamp(-1, 1)
    z_sem = model.semantics(x)
    assert_close(model.told(model.style(x, 0)), z_sem, rtol=0, atol=1e-5)
    ode = Sampler(model, 6, 0.0)
    code, _ = invert(ode, x)
    assert_close(code.style, model.style(x, 5))


def test_additions_of_low_rank_are_nothing_at_first_and_merge_to_a_plain_network():
    net, x, t = tiny_net(sample_size=8), randn(2, 3, 8, 8).float(), torch.tensor([10, 500])
    before = net(x, t).sample
    names = set(net.state_dict())
    adapt(net, 2)
    assert_close(net(x, t).sample, before, rtol=0, atol=1e-5)
    shaken_ups = [p for n, p in net.named_parameters() if n.endswith(".up")]
    assert shaken_ups and all(p.requires_grad for p in shaken_ups)
    for p in shaken_ups:
        nn.init.normal_(p, std=0.1)
    changed = net(x, t).sample
    assert not torch.allclose(changed, before)
    few = sum(v.numel() for v in learnt(net).values())
    merge(net)
    assert set(net.state_dict()) == names and few < sum(p.numel() for p in net.parameters())
    assert_close(net(x, t).sample, changed, rtol=0, atol=1e-5)


def test_a_lower_rank_is_the_nearest_and_fits_into_a_higher():
    one = {"a.up": randn(6, 4), "a.down": randn(4, 9, seed=1), "b": randn(3)}
    assert_close(
        low_rank.cut(one, 4)["a.up"] @ low_rank.cut(one, 4)["a.down"], one["a.up"] @ one["a.down"]
    )
    two = low_rank.cut(one, 2)
    assert two["a.up"].shape == (6, 2) and two["a.down"].shape == (2, 9) and two["b"] is one["b"]
    s = torch.linalg.svdvals(one["a.up"] @ one["a.down"])
    missed = (one["a.up"] @ one["a.down"] - two["a.up"] @ two["a.down"]).norm()
    assert_close(missed, s[2:].norm())
    again = low_rank.fitted(two, one)
    assert_close(again["a.up"] @ again["a.down"], two["a.up"] @ two["a.down"])


# ---------------------------------------------------------------- on disk


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a small network and the three families around it, as their recipes save them."""
    folder = tmp_path_factory.mktemp("families")
    from lessons_lib.recipes.pixel import Pixel

    patch = pytest.MonkeyPatch()
    for module in (checkpoints, cards):
        patch.setattr(module, "EMBEDDED", folder, raising=False)
    base = Pixel("base", world="faces", size=16, channels=(8, 32), attention=(1,), groups=4, label="glasses",
                 embedding=32, bands=(0.7, 0.2, 0.2, 0.1))  # fmt: skip
    export(Run.resume(base, folder / "none"), folder / "base")
    made = {
        "sn": SecondMoments("sn", network_name="base", size=16),
        "gan": DenoisingGans("gan", network_name="base", size=16, rank=2, kept=1, latent=5),
        "autoencoder": Autoencoders(
            "autoencoder", network_name="base", size=16, rank=2, kept=1, prior_steps=2, pool=256
        ),
    }  # fmt: skip
    pictures = lambda self, pools: lambda seen, n, gen: torch.rand((n, 3, 16, 16), generator=gen)  # noqa: E731
    patch.setattr("lessons_lib.recipes.families.Family.pictures", pictures)
    for name, recipe in made.items():
        export(Run.resume(recipe, folder / "none"), folder / name)
    yield folder
    patch.undo()


@pytest.mark.parametrize("name", ALL)
def test_a_family_is_loaded_as_it_was_saved(home, name):
    model = load(name)
    assert isinstance(model, FAMILIES[name][0]) and model.world == "faces"
    assert tuple(model.shape) == (3, 16, 16) and model.labels == ((0, 1, 2) if name == "sn" else ())
    g = Sampler(model, 4, 1.0)
    assert g.decode(g.draw(2, 0)).isfinite().all()
    warm = Run.resume(
        replace(_recipe(name), images=64), home / "none", warm_start=name
    ).net.state_dict()
    saved = load_file(home / name / OWN_WEIGHTS)
    part = next(k for k in saved if k.startswith("parts."))
    mine = {"sn": "head", "gan": "mapping", "autoencoder": "semantics"}[name] + part[5:]
    assert_close(warm[mine].half(), saved[part])


def _recipe(name):
    kinds = {"sn": SecondMoments, "gan": DenoisingGans, "autoencoder": Autoencoders}
    more = {
        "sn": {},
        "gan": {"rank": 2, "kept": 1, "latent": 5},
        "autoencoder": {"rank": 2, "kept": 1},
    }[name]
    return kinds[name](name, network_name="base", size=16, **more)


@pytest.mark.parametrize("name", ALL)
def test_a_batch_is_learnt_from(home, name):
    recipe = _recipe(name)
    net = recipe.network()
    batch = recipe.data(home)(0, 8, torch.Generator().manual_seed(0))
    loss = recipe.loss(net, *batch)
    loss.backward()
    learning = [p for p in net.parameters() if p.requires_grad and p.grad is not None]
    assert loss.isfinite() and sum(p.grad.abs().sum() > 0 for p in learning) > len(learning) / 3


def test_a_family_around_another_network_is_refused(home):
    said = json.loads((home / "sn" / "card.json").read_text())
    other = home / "strange"
    other.mkdir(exist_ok=True)
    for file in (home / "sn").iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    (other / "card.json").write_text(json.dumps(said | {"network_is": "0" * 12}))
    with pytest.raises(CheckpointError, match="made around another base"):
        load("strange")
    kept = load_file(other / OWN_WEIGHTS)
    kept.pop("parts.out.bias")
    save_file(kept, other / OWN_WEIGHTS)
    files = said["files"] | {OWN_WEIGHTS: digest(other / OWN_WEIGHTS)}
    (other / "card.json").write_text(json.dumps(said | {"files": files}))
    with pytest.raises(CheckpointError, match=r"does not load.*out\.bias"):
        load("strange")


def test_a_prior_is_a_denoiser_of_vectors():
    net = PriorNet(6, 16, 3)
    assert net(randn(4, 6).float(), torch.tensor([0, 10, 500, 999])).shape == (4, 6)
