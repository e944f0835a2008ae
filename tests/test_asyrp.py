"""The asymmetric step, held against two whole passes; the algebra of edits; their files."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from lessons_lib import Sampler, load
from lessons_lib.cards import CheckpointError
from lessons_lib.code import plain, predicted_image
from lessons_lib.denoisers import Guided
from lessons_lib.methods.asyrp import (
    Asyrp,
    Attention,
    Conv,
    PerTime,
    asymmetric,
    load_edit,
    save_edit,
    twice,
)
from lessons_lib.schedule import factor_in_D
from small import PROMPTS, mixture, randn, tiny_pipeline, tiny_unet

H = (16, 4, 4)  # the tiny U-Net's h
WIDTH = 32  # of its time embedding
LABELS = {"num_class_embeds": 3}


@pytest.fixture(scope="module")
def model():
    return tiny_unet()


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    tiny_pipeline(folder)
    return load(folder)


def conv(seed=0, **interval):
    torch.manual_seed(seed)
    return Asyrp.of(Conv(16, WIDTH).double(), **{"first": 999, "last": 0} | interval)


def constant(seed=0, first=999, last=0, visits=None):
    return Asyrp.of(PerTime([0], randn(1, *H, seed=seed)), first, last, visits)


def with_h_moved(model, delta):
    """The model's whole pass, `delta` added to what the mid block puts out."""

    def passes(x, t, cond=None):
        n = len(x)
        hook = model.net.mid_block.register_forward_hook(
            lambda _, __, out: out + delta.to(out).expand(n, *out.shape[1:])
        )
        try:
            return model(x, t, cond)
        finally:
            hook.remove()

    return passes


class Counting:
    """A denoiser that counts the images that go through its halves, and the calls."""

    def __init__(self, model):
        self.model, self.shape, self.alpha_bar = model, model.shape, model.alpha_bar
        self.device, self.calls = model.device, []

    def encode(self, *asked):
        b = self.model.encode(*asked)
        self.calls.append(("encode", len(b.h)))
        return b

    def decode(self, b, delta_h=None):
        self.calls.append(("decode", len(b.h)))
        return self.model.decode(b, delta_h)


@pytest.mark.parametrize("config", [{}, LABELS])
def test_the_step_is_two_whole_passes(config):
    model, delta, t = tiny_unet(**config), randn(2, *H), 700
    x = randn(2, 3, 8, 8, seed=1)
    cond = torch.tensor([1, 2]) if config else None
    edit = Asyrp.of(PerTime([0], delta[:1]), 999)
    eps_P, eps_D, h, _ = edit(model, x, t, cond)
    assert_close(eps_P, with_h_moved(model, delta[:1])(x, t, cond), rtol=0, atol=1e-12)
    assert_close(eps_D, model(x, t, cond), rtol=0, atol=1e-12)
    assert_close(h, model.encode(x, t, cond).h)
    assert (eps_P - eps_D).abs().max() > 1e-4
    each = asymmetric(model, model.encode(x, t, cond), delta)[0]
    for i in range(2):
        one = with_h_moved(model, delta[i])(
            x[i : i + 1], t, cond if cond is None else cond[i : i + 1]
        )
        assert_close(each[i : i + 1], one, rtol=0, atol=1e-12)


def test_the_step_of_a_trajectory_is_equation_6(model):
    g, edit = Sampler(model, steps=4, eta=0.5), constant()
    z, delta = g.draw(2, seed=0), edit.terms[0][1].form.delta
    steps = list(g.trajectory(z, edit))
    for i, s in enumerate(steps):
        a, a_to = g.schedule.a[i].item(), g.schedule.a_to[i].item()
        moved, eps = with_h_moved(model, delta)(s.x, s.t), model(s.x, s.t)
        factor = factor_in_D(g.schedule.a_to[i], g.sigma[i]).item()
        wanted = a_to**0.5 * predicted_image(s.x, moved, a) + factor * eps + s.noise
        assert_close(s.x_to, wanted, rtol=0, atol=1e-11)
        assert_close(s.eps, eps, rtol=0, atol=1e-12)  # a step reports the ε that was not shifted


@pytest.mark.parametrize("scale", [0, 1, 3.0])
def test_a_guided_text_model_shifts_h_in_both_its_passes(text, scale):
    guided = Guided(text, scale, text.prompts.empty)
    x, cond = randn(2, *text.shape, dtype=torch.float32), text.prompts(PROMPTS)
    delta = randn(1, *text.encode(x, 500, cond).h.shape[1:], dtype=torch.float32)
    eps_P, eps_D, *_ = Asyrp.of(PerTime([0], delta), 999)(guided, x, 500, cond)
    moved = with_h_moved(text, delta)
    without, given_ = moved(x, 500, text.prompts.empty), moved(x, 500, cond)
    assert_close(eps_P, without + scale * (given_ - without), rtol=0, atol=2e-5)
    assert_close(eps_D, guided(x, 500, cond), rtol=0, atol=2e-5)


def test_no_shift_is_ddim_to_the_bit():
    model = tiny_unet(dtype=torch.float32)
    g = Sampler(model, steps=6)
    z = g.draw(3, seed=0)
    for nothing in (constant() * 0, constant(first=5, last=3), Asyrp(())):
        assert torch.equal(g.decode(z, nothing), g.decode(z, plain))
    zeros = Asyrp.of(PerTime([0], torch.zeros(1, *H)), 999)
    assert_close(g.decode(z, zeros), g.decode(z), rtol=0, atol=1e-5)
    assert (g.decode(z, constant()) - g.decode(z)).abs().max() > 1e-3


def test_P_and_D_are_those_of_DDIM_when_a_zero_shift_is_asked_for_in_float64(model):
    g = Sampler(model, steps=6)
    z = g.draw(2, seed=0)
    zeros = Asyrp.of(PerTime([0], torch.zeros(1, *H)), 999)
    assert_close(g.decode(z, zeros), g.decode(z), rtol=0, atol=1e-13)


def test_one_encoder_pass_and_two_decoder_passes_inside_the_interval_only(model):
    counting = Counting(model)
    g = Sampler(counting, steps=10)
    edit = constant(first=800, last=400)
    g.decode(g.draw(3, seed=0), edit)
    calls = [counting.calls[i : i + 2] for i in range(0, len(counting.calls), 2)]
    assert len(calls) == 10
    for t, (first, second) in zip(g.schedule.t.tolist(), calls, strict=True):
        assert first == ("encode", 3)
        assert second == ("decode", 6 if 400 <= t <= 800 else 3)


def test_a_batch_is_its_images_one_by_one(model, text):
    g, edit = Sampler(model, steps=4), conv() * torch.tensor([1.0, -2.0])
    z = g.draw(2, seed=0)
    both = g.decode(z, edit)
    for i, scale in enumerate((1.0, -2.0)):
        assert_close(g.decode(z[i : i + 1], conv() * scale), both[i : i + 1], rtol=0, atol=1e-11)
    guided = Guided(text, 2.0, text.prompts.empty)
    g, cond = Sampler(guided, steps=3), text.prompts(PROMPTS)
    z, shape = g.draw(2, seed=0), text.encode(g.draw(2, seed=0).x_T, 0, cond).h.shape[1:]
    edit = Asyrp.of(PerTime([0], randn(1, *shape, dtype=torch.float32)), 999)
    both = g.decode(z, edit, cond)
    for i in range(2):
        one = g.decode(z[i : i + 1], edit, cond[i : i + 1])
        assert_close(one, both[i : i + 1], rtol=0, atol=1e-4)


def test_times_may_differ_in_a_batch(model):
    x, t = randn(3, 3, 8, 8), torch.tensor([10, 500, 900])
    b = model.encode(x, t)
    assert_close(model.decode(twice(b)), model.decode(b).repeat(2, 1, 1, 1), rtol=0, atol=1e-12)
    form = PerTime([0, 450, 999], randn(3, *H))
    assert torch.equal(form(b.h, t, b.temb), form.delta)


@given(one=st.floats(-2, 2), two=st.floats(-2, 2))
def test_edits_scale_and_add(model, one, two):
    b = model.encode(randn(2, 3, 8, 8), 600)
    smile, tan = conv(0), constant(1)
    s, t = smile.shift(b, 600), tan.shift(b, 600)
    moved = (smile * one + two * tan).shift(b, 600)
    wanted = one * s + two * t
    moved = torch.zeros_like(wanted) if moved is None else moved.expand_as(wanted)
    assert_close(moved, wanted, rtol=0, atol=1e-12)
    assert_close((-smile).shift(b, 600), -s)
    assert_close((smile - tan).shift(b, 600), s - t)
    assert_close((smile * 2 * 0.5).shift(b, 600), s)
    assert_close((smile * torch.tensor(2.0)).shift(b, 600), 2 * s)  # one for all, as a tensor
    assert torch.equal((torch.tensor([0.0, 1.0]) * tan).shift(b, 600)[1:], t)
    with pytest.raises(ValueError, match="for 3 images, but there are 2"):
        (smile * torch.ones(3)).shift(b, 600)


def test_each_term_acts_in_its_own_interval(model):
    both = constant(0, 999, 500) + constant(1, 700, 300)
    b = model.encode(randn(1, 3, 8, 8), 0)
    one, two = (e.terms[0][1].form.delta for e in (constant(0), constant(1)))
    wanted = {800: one, 700: one + two, 500: one + two, 499: two, 300: two}
    for t, delta in wanted.items():
        assert_close(both.shift(b, t), delta)
    assert both.shift(b, 299) is None
    assert_close(both.within(299, 0).shift(b, 0), one + two)
    (scale, d), = (Asyrp.of(PerTime([0], one), 9, 5, visits=3, seed=7) * 2).within(8, 1).terms  # fmt: skip
    assert (scale, d.first, d.last, d.visits, d.card) == (2, 8, 1, 3, {"seed": 7})


@pytest.mark.parametrize("steps", [7, 20, 50])
def test_the_sum_of_all_shifts_is_kept_from_one_number_of_steps_to_another(model, steps):
    trained, g = Sampler(model, steps=20).schedule, Sampler(model, steps=steps)
    visits = sum(900 >= t >= 400 for t in trained.t.tolist())
    edit = constant(first=900, last=400, visits=visits).over(g.schedule)
    b = model.encode(randn(1, 3, 8, 8), 0)
    moves = [edit.shift(b, t) for t in g.schedule.t.tolist()]
    total = sum(m for m in moves if m is not None)
    assert_close(total, visits * edit.terms[0][1].form.delta, rtol=0, atol=1e-11)
    if steps == 20:
        assert torch.equal(edit.shift(b, 500), constant().shift(b, 500))


@pytest.mark.parametrize(
    "form",
    [Conv(16, WIDTH), Attention(16, WIDTH), PerTime([900, 300], randn(2, *H).float())],
)
def test_an_edit_comes_back_from_its_file(form, tmp_path, model):
    edit = Asyrp.of(form, 900, 300, visits=4, texts=["a face", "a smile"]) * 1.5
    save_edit(edit, tmp_path, seconds=3)
    back = load_edit(tmp_path)
    b = tiny_unet(dtype=torch.float32).encode(randn(2, 3, 8, 8, dtype=torch.float32), 700)
    assert_close(back.shift(b, 700), edit.shift(b, 700), rtol=2e-3, atol=2e-3)  # half precision
    (scale, d), = back.terms  # fmt: skip
    assert (scale, d.first, d.last, d.visits) == (1.5, 900, 300, 4)
    assert d.card == {"texts": ["a face", "a smile"], "seconds": 3}


def test_bad_files_and_names_are_refused_in_a_sentence(tmp_path):
    with pytest.raises(CheckpointError, match="There is no direction 'smiel'"):
        load_edit("smiel")
    save_edit(constant(), tmp_path)
    with pytest.raises(ValueError, match="2 terms"):
        save_edit(constant() + constant(), tmp_path)
    said = json.loads((tmp_path / "card.json").read_text())
    (tmp_path / "card.json").write_text(json.dumps(said | {"kind": "critic"}))
    with pytest.raises(CheckpointError, match="holds a critic, not a direction"):
        load_edit(tmp_path)
    with open(tmp_path / "model.safetensors", "ab") as file:
        file.write(b"x")
    with pytest.raises(CheckpointError, match="corrupt"):
        load_edit(tmp_path)


def test_what_cannot_be_edited_is_refused_in_a_sentence(model):
    with pytest.raises(ValueError, match="no bottleneck"):
        g = Sampler(mixture(), steps=3)
        g.decode(g.draw(1, seed=0), constant())
    with pytest.raises(ValueError, match=r"Δh is \(8, 4, 4\), but this model's h is \(16, 4, 4\)"):
        Asyrp.of(PerTime([0], randn(1, 8, 4, 4)), 999)(model, randn(1, 3, 8, 8), 5)
    with pytest.raises(ValueError, match="times fall"):
        constant(first=100, last=200)
    with pytest.raises(ValueError, match="No step of this schedule"):
        constant(first=600, last=590, visits=3).over(Sampler(model, steps=5).schedule)
    with pytest.raises(ValueError, match="finite number"):
        constant() * float("nan")
    with pytest.raises(ValueError, match="for 2 times"):
        PerTime([1, 2], randn(1, *H))
    with pytest.raises(ValueError, match="must divide"):
        Attention(18, WIDTH)


def test_attention_is_torchs_own():
    torch.manual_seed(0)
    form, h, temb = Attention(16, WIDTH), randn(2, *H).float(), randn(2, WIDTH, seed=1).float()
    inner = form.norm(h) + form.time(torch.nn.functional.silu(temb))[:, :, None, None]
    torchs = torch.nn.MultiheadAttention(16, 4, batch_first=True)
    torchs.in_proj_weight.data = form.inputs.weight.data[:, :, 0, 0]
    torchs.in_proj_bias.data = form.inputs.bias.data
    torchs.out_proj.weight.data = form.output.weight.data[:, :, 0, 0]
    torchs.out_proj.bias.data = form.output.bias.data
    places = inner.flatten(2).mT
    wanted = torchs(places, places, places)[0].mT.reshape(h.shape)
    assert_close(form(h, 5, temb), wanted, rtol=0, atol=1e-5)
