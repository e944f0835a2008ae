"""Training of directions on a small exact encoder: what it sees is what it must move."""

import pytest
import torch
from torch.testing import assert_close

from lessons_lib import Code, Sampler
from lessons_lib.code import plain, predicted_image, shift
from lessons_lib.methods.asyrp import Asyrp, Attention, PerTime, asymmetric
from lessons_lib.methods.rivals import (
    best_delta_h,
    by_copy,
    classifier_guidance,
    diffusion_clip,
    eps_shift,
    in_both,
    moved_start,
    of_eps,
    random_instead,
    taught_f_t,
)
from lessons_lib.methods.training import (
    descent,
    directional,
    new_delta_h,
    new_f_t,
    path,
    source_paths,
    strip,
    text_change,
    train,
    trained,
    training,
)
from small import randn, tiny_unet

PAIR = "dark", "bright"


class TinyClip:
    """Sees the mean of each channel, beside a constant; 'bright' is more red."""

    def image(self, x):
        seen = torch.cat([x.float().mean((2, 3)), torch.ones(len(x), 1)], 1)
        return torch.nn.functional.normalize(seen, dim=1)

    def text(self, texts):
        where = {"dark": (-0.5, 0.0, 0.0, 1.0), "bright": (0.5, 0.0, 0.0, 1.0)}
        return torch.nn.functional.normalize(torch.tensor([where[t] for t in texts]), dim=1)


@pytest.fixture(scope="module")
def g():
    return Sampler(tiny_unet(prediction="sample", dtype=torch.float32), steps=4)


@pytest.fixture(scope="module")
def sources(g):
    return source_paths(g, g.draw(6, seed=0), TinyClip(), first=700, last=0)


@pytest.fixture(scope="module")
def edit(g, sources):
    form = new_f_t(g, g.draw(1, seed=0))
    return train(form, sources, TinyClip(), *PAIR, rounds=12, batch=6, rate=0.03, l1_weight=0.0)


def redness(x):
    return TinyClip().image(x)[:, 0]


def test_a_known_direction_scores_1_and_no_move_0_with_a_finite_gradient():
    before, direction = torch.nn.functional.normalize(randn(3, 4), dim=1), randn(4, seed=1)
    assert_close(directional(before, before + 0.3 * direction, direction), torch.ones(3).double())
    assert_close(directional(before, before - direction, direction), -torch.ones(3).double())
    after = before.clone().requires_grad_()
    cosine = directional(before, after, direction)
    cosine.sum().backward()
    assert torch.equal(cosine.detach(), torch.zeros(3).double())
    assert after.grad.isfinite().all() and (after.grad @ direction > 0).all()


def test_sources_are_the_unedited_paths(g, sources):
    steps = [s for s in g.trajectory(g.draw(6, seed=0)) if 700 >= s.t >= 0]
    assert [s.i for s in steps] == sources.steps
    assert_close(sources.x, steps[0].x)
    assert_close(sources.P, torch.stack([s.P for s in steps]).float())
    assert_close(sources.seen[2], TinyClip().image(steps[2].P))
    parts = source_paths(g, g.draw(6, seed=0), TinyClip(), 700, 0, at_once=4)
    assert_close(parts.P, sources.P)


def test_what_was_trained_moves_pictures_both_ways(g, edit):
    z = g.draw(8, seed=5)
    less, plain, more = (redness(g.decode(z, edit * s)) for s in (-1.0, 0.0, 1.0))
    assert (more > plain).sum() >= 7 and (plain > less).sum() >= 7
    assert more.mean() > plain.mean() > less.mean()
    d = edit.terms[0][1]
    assert (d.first, d.last, d.visits) == (666, 0, 3)
    assert not any(p.requires_grad for p in d.form.parameters())


def test_training_differentiates_the_decoder_of_P_only(g, sources, monkeypatch):
    model, passes = g.denoiser, []
    encode, decode = model.encode, model.decode
    monkeypatch.setattr(
        model, "encode", lambda *a: passes.append(("encode", torch.is_grad_enabled())) or encode(*a)
    )
    monkeypatch.setattr(
        model, "decode", lambda *a: passes.append(("decode", torch.is_grad_enabled())) or decode(*a)
    )
    form = new_f_t(g, g.draw(1, seed=0))
    passes.clear()
    list(training(form, sources, TinyClip(), *PAIR, rounds=1, batch=2))
    assert passes == [("encode", False), ("decode", False), ("decode", True)] * len(sources.steps)


def test_training_is_the_same_twice_and_its_loss_falls(g, sources):
    found = []
    for _ in range(2):
        form = new_f_t(g, g.draw(1, seed=0))
        asked = dict(rounds=9, batch=3, rate=0.03, reach_weight=1.0)
        found.append([r.loss for r in training(form, sources, TinyClip(), *PAIR, **asked)])
    assert found[0] == found[1]
    assert sum(found[0][-3:]) < 0.8 * sum(found[0][:3])


def test_a_heavier_l1_keeps_pictures_nearer_to_their_sources(g, sources):
    changes = []
    for weight in (0.0, 30.0):
        form = new_f_t(g, g.draw(1, seed=0))
        asked = dict(rounds=10, batch=4, rate=0.02, l1_weight=weight, reach_weight=1.0)
        changes.append(list(training(form, sources, TinyClip(), *PAIR, **asked))[-1].change)
    assert changes[1] < 0.5 * changes[0]


def test_decay_leaves_a_shorter_delta_h(g, sources):
    b, lengths = g.denoiser.encode(sources.x, 666), []
    for decay in (0.0, 5.0):
        form = new_f_t(g, g.draw(1, seed=0))
        asked = dict(rounds=10, batch=4, rate=0.02, l1_weight=0.0, decay=decay)
        assert list(training(form, sources, TinyClip(), *PAIR, **asked))[-1].towards > 0.5
        lengths.append(form(b.h, 666, b.temb).norm())
    assert lengths[1] < 0.8 * lengths[0]


def test_lists_of_texts_give_their_mean_direction():
    one, alike = text_change(TinyClip(), *PAIR)
    many, _ = text_change(TinyClip(), ["dark", "dark"], ["bright", "bright"])
    assert_close(one, many)
    assert_close(one, torch.tensor([2 * 0.5 / 1.25**0.5, 0, 0, 0]))
    assert alike == pytest.approx(0.6)  # (1 - 0.25) / 1.25


def test_what_cannot_be_trained_is_refused_in_a_sentence(g, sources):
    with pytest.raises(ValueError, match="eta=0"):
        source_paths(g.with_eta(1.0), g.draw(1, 0), TinyClip(), 700, 0)
    with pytest.raises(ValueError, match="No step of this schedule"):
        source_paths(g, g.draw(1, 0), TinyClip(), 50, 40)
    form = new_f_t(g, g.draw(1, seed=0))
    with pytest.raises(ValueError, match="same to the encoder"):
        list(training(form, sources, TinyClip(), "dark", "dark", batch=2))
    with pytest.raises(ValueError, match="give pairs"):
        list(training(form, sources, TinyClip(), ["dark"], ["bright", "bright"], batch=2))
    with pytest.raises(ValueError, match="at most the 6 images"):
        list(training(form, sources, TinyClip(), *PAIR, batch=7))


def test_the_shift_in_both_terms_is_the_shift_of_eps(g, sources):
    torch.manual_seed(0)
    form = PerTime(g.schedule.t[sources.steps], torch.randn(len(sources.steps), 16, 4, 4))
    edit, x, t = trained(form, sources), g.draw(2, seed=0).x_T, 333
    both = in_both(edit)(g.denoiser, x, t)
    assert torch.equal(both[0], both[1])
    assert_close(both[0], edit(g.denoiser, x, t)[0], rtol=0, atol=1e-5)


def test_a_shift_of_eps_acts_within_its_times_only(g):
    form, z = PerTime([666, 333], randn(2, 3, 8, 8)), g.draw(2, seed=0)
    wanted = shift(
        lambda t: torch.zeros(3, 8, 8) if t < 333 or t > 666 else form(None, t, None), 2.0, False
    )
    assert_close(g.decode(z, of_eps(form, 2.0, in_D=False)), g.decode(z, wanted))


def test_guidance_climbs_the_probability_of_the_target(g):
    x, t, a = g.draw(2, seed=0).x_T, 333, g.denoiser.alpha_bar[333].item()
    guided = classifier_guidance(TinyClip(), *PAIR, scale=2.0, first=700, last=100, sharpness=5.0)
    eps_P, eps_D, *_ = guided(g.denoiser, x, t)
    eps = plain(g.denoiser, x, t)[0]
    assert torch.equal(eps_P, eps_D)
    texts = TinyClip().text(PAIR)

    def log_p(x):
        P = (x - (1 - a) ** 0.5 * g.denoiser(x, t)) / a**0.5
        return (5 * TinyClip().image(P) @ texts.T).softmax(1)[:, 1].log().sum()

    upwards = (eps - eps_P) / (2 * (1 - a) ** 0.5)
    unit = upwards / upwards.norm()
    slope = (log_p(x + 1e-2 * unit) - log_p(x - 1e-2 * unit)) / 2e-2
    assert_close(slope.double(), upwards.norm(), rtol=1e-2, atol=1e-4)
    assert torch.equal(guided(g.denoiser, x, 999)[0], plain(g.denoiser, x, 999)[0])
    z = g.draw(4, seed=3)
    assert (redness(g.decode(z, guided)) > redness(g.decode(z))).all()


def test_a_random_delta_h_is_as_long_as_the_edits_and_the_same_for_all(g, sources):
    torch.manual_seed(0)
    form = PerTime(g.schedule.t[sources.steps], torch.randn(len(sources.steps), 16, 4, 4))
    edit, x, made = trained(form, sources), g.draw(2, seed=0).x_T, []
    model = g.denoiser

    class Watched:
        encode = staticmethod(model.encode)

        @staticmethod
        def decode(b, delta_h=None):
            made.append(delta_h[: len(x)])
            return model.decode(b, delta_h)

    scale = torch.tensor([1.0, 3.0])
    for t in (666, 333):
        random_instead(edit * scale, seed=1)(Watched, x, t)
    one, other = made
    assert_close(one[1], 3 * one[0])
    for delta_h, own in zip(made, form.delta, strict=False):
        assert_close(delta_h[0].norm(), own.norm())
    assert_close(one[0] / one[0].norm(), other[0] / other[0].norm())
    again = random_instead(edit, seed=2)(model, x, 666)[0]
    assert not torch.allclose(again, random_instead(edit, seed=1)(model, x, 666)[0], atol=1e-3)


def test_the_rivals_follow_the_texts_too(g, sources):
    z, asked = g.draw(6, seed=0), dict(rounds=6, batch=4, l1_weight=0.0)
    plain = redness(g.decode(z)).mean()
    P_only = eps_shift(sources, TinyClip(), *PAIR, in_D=False, rate=0.1, **asked)
    assert redness(g.decode(z, of_eps(P_only, 1.0, in_D=False))).mean() > plain
    tuned = diffusion_clip(sources, TinyClip(), *PAIR, rate=1e-3, **asked)
    assert tuned is not g.denoiser and not torch.equal(
        tuned.net.conv_in.weight, g.denoiser.net.conv_in.weight
    )
    by_it = Sampler(tuned, schedule=g.schedule).decode(z)
    assert redness(by_it).mean() > plain
    assert_close(g.decode(z, by_copy(tuned, first=1000)), by_it)
    assert_close(g.decode(z, by_copy(tuned, first=-1)), g.decode(z))
    assert_close(redness(g.decode(z)).mean(), plain, rtol=0, atol=0)  # the original is as it was
    short = Sampler(g.denoiser, steps=3)
    moved = moved_start(short, z, TinyClip(), *PAIR, rounds=5, rate=0.1, l1_weight=0.0)
    assert isinstance(moved, Code)
    assert redness(short.decode(moved)).mean() > redness(short.decode(z)).mean()


def test_the_best_delta_h_finds_each_image_its_own_shift(g):
    """Pictures that a Δh of the interval gave can be given again: what is missed falls tenfold."""
    z = g.draw(3, seed=4)
    h = next(g.trajectory(z)).h
    own = {t: randn(*h.shape, seed=t, dtype=h.dtype) for t in g.schedule.t.tolist() if t <= 700}

    def known(denoiser, x, t, cond=None):
        return asymmetric(denoiser, denoiser.encode(x, t, cond), own.get(t))

    goal = g.decode(z, known)
    found = best_delta_h(g, z, lambda x: (x - goal).square().sum(), first=700, rounds=60)
    missed = [(g.decode(z, e) - goal).square().mean() for e in (plain, found)]
    assert missed[1] < missed[0] / 10
    outside = [t for t in g.schedule.t.tolist() if t > 700]
    for e in (plain, found):  # before the interval nothing is moved
        path = [s.x_to for s in g.trajectory(z, e) if s.t in outside]
        assert_close(path, [s.x_to for s in g.trajectory(z) if s.t in outside])


def test_an_f_t_that_is_told_the_answer_gives_it_to_others_too(g):
    """Taught on pictures that a known f_t gave, it goes that way from codes that it never saw."""
    z, others = g.draw(32, seed=5), g.draw(8, seed=6)
    form = new_f_t(g, z, seed=3)
    known = Asyrp.of(form.requires_grad_(False), 100, 0, 1) * 5.0
    sources, goal = source_paths(g, z, TinyClip(), 100, 0), g.decode(others, known)
    asked = dict(rounds=60, batch=16, rate=2e-2)
    found = taught_f_t(new_f_t(g, z), sources, g.decode(z, known), **asked)
    missed = [(g.decode(others, e) - goal).square().mean() for e in (plain, found)]
    assert missed[1] < missed[0] / 2
    assert found.terms[0][1].first == 0


def test_through_the_interval_the_gradient_is_that_of_its_last_picture(g, sources):
    """Against the same path written out, differentiated by autograd."""
    form = new_f_t(g, g.draw(1, seed=0))
    edit, x = Asyrp.of(form, 10**9), sources.x[:2]
    (last,) = path(sources, torch.arange(2), edit, through=True)
    found = torch.autograd.grad(last.P.square().sum(), list(form.parameters()))
    for i in sources.steps:
        a, a_to = g.schedule.a[i].item(), g.schedule.a_to[i].item()
        eps_P, eps_D, *_ = edit(g.denoiser, x, g.schedule.t[i].item())
        P = predicted_image(x, eps_P, a)
        x = a_to**0.5 * P + (1 - a_to) ** 0.5 * eps_D
    for one, other in zip(
        found, torch.autograd.grad(P.square().sum(), list(form.parameters())), strict=True
    ):
        assert_close(one, other)


def test_through_the_interval_training_teaches_and_counts_a_step_of_the_rate_each_round(g, sources):
    form = new_f_t(g, g.draw(1, seed=0))
    asked = dict(rounds=15, batch=4, rate=0.03, l1_weight=0.0, reach_weight=1.0, through=True)
    rounds = list(training(form, sources, TinyClip(), *PAIR, **asked))
    assert len(rounds) == 15 and rounds[-1].towards > max(0.5, rounds[0].towards)
    z = g.draw(4, seed=5)
    assert (redness(g.decode(z, trained(form, sources))) > redness(g.decode(z))).all()


def test_a_strip_is_each_scale_by_itself(g, edit):
    z, scales = g.draw(2, seed=7), (-1.0, 0.0, 0.5)
    for x, scale in zip(strip(g, z, edit, scales), scales, strict=True):
        assert_close(x, g.decode(z, edit * scale), rtol=0, atol=1e-5)


def test_every_form_of_delta_h_can_be_trained(g, sources):
    z, times = g.draw(6, seed=0), g.schedule.t[sources.steps]
    forms = [
        new_f_t(g, z, Attention),
        new_delta_h(g, z, times),
        new_delta_h(g, z, times[:1]),
    ]
    for form in forms:
        asked = dict(rounds=8, batch=4, rate=0.03, l1_weight=0.0)
        rounds = list(training(form, sources, TinyClip(), *PAIR, **asked))
        assert rounds[-1].towards > max(0.5, rounds[0].towards)


def test_a_descent_of_any_number_of_steps_takes_them_all():
    for total in (1, 5, 10, 20):
        form = torch.nn.Linear(1, 1)
        walks = ([(form.weight.square().sum(),)] for _ in range(total))
        assert len(list(descent(form, walks, 1e-2, total))) == total
