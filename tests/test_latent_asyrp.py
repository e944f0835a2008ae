"""Asyrp in a latent model that reads texts: h of its U-Net, losses through its codec, and the table."""

from itertools import pairwise

import pytest
import torch
from torch.testing import assert_close

from lessons_lib import Sampler, load
from lessons_lib.encoder import invert
from lessons_lib.judges.evaluators import load_clip, load_critic
from lessons_lib.methods.asyrp import Attention, Conv, edit_names, load_edit
from lessons_lib.methods.hspace import constant
from lessons_lib.methods.training import from_first, new_f_t, source_paths, strip, train
from lessons_lib.studies.attributes import ATTRIBUTES, codes, goal
from lessons_lib.studies.attributes import shown as seen
from lessons_lib.studies.edits import compared, judgements, kernel_distance
from lessons_lib.studies.subjects import subjects
from lessons_lib.worlds import faces
from small import PROMPTS, randn, tiny_pipeline, tiny_unet
from test_directions import PAIR, TinyClip

SIZE = 64


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("latent")
    tiny_pipeline(folder)
    return load(folder)


@pytest.fixture(scope="module")
def g(model):
    return Sampler(model, steps=4)


@pytest.fixture(scope="module")
def cond(model):
    return model.prompts(PROMPTS * 2)


@pytest.fixture(scope="module")
def critic():
    return load_critic()


def test_training_sees_the_decoded_P_under_each_images_own_condition(g, model, cond):
    z = g.draw(4, seed=0)
    sources = source_paths(g, z, TinyClip(), 700, 0, cond, at_once=3)
    steps = [s for s in g.trajectory(z, cond=cond) if s.i in sources.steps]
    want = torch.stack([model.codec.decode(s.P).float() for s in steps])
    assert sources.P.shape == (len(steps), 4, 3, 16, 16)
    assert_close(sources.P, want, rtol=1e-4, atol=1e-4)
    assert_close(sources.x, steps[0].x, rtol=1e-4, atol=1e-5)
    same = source_paths(g, z, TinyClip(), 700, 0, cond[:1])
    assert not torch.allclose(same.P[:, 1], sources.P[:, 1], atol=1e-3)


@pytest.mark.parametrize("form", [Conv, Attention])
def test_a_direction_learnt_through_the_codec_moves_the_pictures_both_ways(g, model, cond, form):
    z, before = g.draw(4, seed=0), [p.clone() for p in model.net.parameters()]
    sources = source_paths(g, z, TinyClip(), 700, 0, cond)
    f_t = new_f_t(g, z, form, cond)
    edit = train(f_t, sources, TinyClip(), *PAIR, rounds=14, batch=4, rate=0.03, l1_weight=0.0)
    pictures = seen(g, strip(g, z, edit, [-1.0, 0.0, 1.0], cond))
    down, none, up = (TinyClip().image(x)[:, 0].mean() for x in pictures)
    assert down < none < up
    for p, was in zip(model.net.parameters(), before, strict=True):
        assert torch.equal(p, was) and p.grad is None


def test_codes_of_pictures_are_of_their_latents_each_under_its_own_text(g, model, cond):
    x = randn(4, 3, 16, 16).clamp(-1, 1)
    z = codes(g, x, refine=1, at_once=3, cond=cond)
    want = invert(g, model.codec.encode(x), cond, refine=1)[0]
    assert_close(z.x_T, want.x_T, rtol=1e-4, atol=1e-4)
    pixels = Sampler(tiny_unet(), steps=3)
    x = randn(2, 3, 8, 8)
    assert_close(codes(pixels, x).x_T, invert(pixels, x)[0].x_T)


def test_pictures_keep_what_stands_before_the_images(g, model):
    x = randn(2, 3, *model.shape)
    assert seen(g, x).shape == (2, 3, 3, 16, 16)
    want = model.codec.decode(x[1]).float().clamp(-1, 1)
    assert_close(seen(g, x)[1], want, rtol=1e-4, atol=1e-4)


def test_a_model_of_another_source_gets_principal_directions_under_a_prompt(g, model):
    who = subjects(g, "elsewhere", "smiling, old", n=3, seed=0, prompt=PROMPTS[0])
    assert list(who.edits) == ["PC 1", "PC 2"] and who.captions == [PROMPTS[0]] * 3
    assert_close(who.cond, model.prompts([PROMPTS[0]] * 3))
    edited, plain = (
        g.decode(who.z, e, who.cond) for e in (who.edits["PC 1"], who.edits["PC 1"] * 0)
    )
    assert not torch.allclose(edited, plain)


def test_the_table_knows_nothing_from_everything(critic):
    judge, smiling = load_clip("clip-judge"), ATTRIBUTES["smiling"]
    factors = faces.sample_factors(8, seed=5)
    source, truth = faces.render(factors, SIZE), goal(smiling, factors, SIZE)
    nothing = judgements(source, source, smiling, factors, critic, judge)
    everything = judgements(truth, source, smiling, factors, critic, judge)
    assert nothing["S_dir"].mean == 0 and everything["S_dir"].mean > 0.1
    assert [nothing[k].mean for k in ("ID", "SC")] == pytest.approx([1, 1], abs=1e-5)
    assert nothing["achieved"].mean == pytest.approx(0, abs=1e-5)
    assert everything["achieved"].mean > 0.6 and everything["to truth"].mean == pytest.approx(
        0, abs=1e-5
    )
    for found in (nothing, everything):
        assert all(v.low <= v.mean <= v.high for v in found.values())
    few = judgements(
        truth[:3], source[:3], smiling, {k: v[:3] for k, v in factors.items()}, critic, judge
    )
    assert "KID, goal" not in few and "KID, goal" in everything


def test_a_look_is_achieved_where_the_critic_calls_it_so(critic):
    judge, zombie = load_clip("clip-judge"), ATTRIBUTES["zombie"]
    factors = faces.sample_factors(6, seed=5)
    source, truth = faces.render(factors, SIZE), goal(zombie, factors, SIZE)
    found = [judgements(x, source, zombie, factors, critic, judge) for x in (source, truth)]
    assert found[0]["achieved"].mean < 0.1 < 0.9 < found[1]["achieved"].mean
    assert "drift" not in found[0]


def test_the_interval_of_a_kernel_distance_holds_0_for_one_world_and_not_for_two(critic):
    people, others = (faces.sample(48, seed, 32).image for seed in (1, 2))
    same = kernel_distance(people, others, critic, 0)
    other = kernel_distance(
        people, goal(ATTRIBUTES["zombie"], faces.sample_factors(48, 2), 32), critic, 0
    )
    assert same.low < 0 < same.high and 0 < other.low < other.mean


def test_from_the_first_time_on_the_path_is_the_same(g, model, cond):
    z = g.draw(4, seed=0)
    edit = constant(randn(*model.encode(z.x_T, 0, cond).h.shape[1:]), 500, 100)
    late, begun = from_first(g, z, 500, cond)
    assert late.schedule.t.tolist() == [t for t in g.schedule.t.tolist() if t <= 500]
    assert_close(late.decode(begun, edit, cond), g.decode(z, edit, cond))
    with pytest.raises(ValueError, match="use more steps"):
        from_first(Sampler(model, schedule=late.schedule), begun, -1, cond)


@pytest.mark.parametrize("name", [n for n in edit_names() if n.startswith("t2i-")])
def test_a_shipped_direction_says_what_was_measured_of_it(name):
    ((_, d),) = load_edit(name).terms
    assert d.card["checkpoint"] == "t2i" and d.card["name"] in ATTRIBUTES
    rows = d.card["figures"]["table"]
    assert {"no edit", "random Δh", "Asyrp", "true edit"} <= set(rows)
    assert ("another text" in rows) == (ATTRIBUTES[d.card["name"]].wanted is not None)
    assert rows["no edit"]["S_dir"] == [0, 0, 0]
    assert all(low <= mean <= high for row in rows.values() for mean, low, high in row.values())
    assert rows["Asyrp"]["S_dir"][0] > rows["random Δh"]["S_dir"][0]


def test_the_latent_models_people_have_their_captions_and_rivals_their_texts():
    t2i = load("t2i")
    g = Sampler(t2i, steps=4)
    who = subjects(g, "t2i", "tanned", n=2, seed=0)
    assert list(who.edits) == list(who.goals) == ["tanned"] and len(who.captions) == 2
    assert_close(who.cond, t2i.prompts(who.captions))
    made = compared(ATTRIBUTES["tanned"], g, who.z, who.edits["tanned"], who.factors, who.cond)
    assert list(made) == ["no edit", "random Δh", "Asyrp", "another text", "true edit"]
    assert_close(made["Asyrp"], seen(g, g.decode(who.z, who.edits["tanned"], who.cond)))
    assert len({tuple(x.shape) for x in made.values()}) == 1
    for one, other in pairwise(made.values()):
        assert not torch.allclose(one, other, atol=1e-2)
