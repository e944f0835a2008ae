"""The directions that are shipped: their texts and what they should change."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from lessons_lib import Sampler, load
from lessons_lib.code import plain
from lessons_lib.judges.evaluators import KINDS, load_clip, load_critic
from lessons_lib.methods.asyrp import load_edit
from lessons_lib.methods.rivals import best_delta_h
from lessons_lib.methods.training import source_paths, strip, text_change
from lessons_lib.studies import attributes, edits, learning
from lessons_lib.studies.attributes import ATTRIBUTES
from lessons_lib.studies.edits import at_equal_success, by_scale, linearity
from lessons_lib.worlds import faces


@pytest.fixture(scope="module")
def clip():
    return load_clip("clip")


@pytest.mark.parametrize("name", sorted(ATTRIBUTES))
def test_an_attribute_is_said_in_words_that_clip_knows_and_changes_one_factor(name, clip):
    attribute = ATTRIBUTES[name]
    assert len(attribute.source) == len(attribute.target)
    assert text_change(clip, attribute.source, attribute.target)[0].norm() > 0.05
    assert (attribute.wanted is None) == (attribute.look in KINDS)
    if attribute.wanted:
        factors = faces.sample_factors(50, seed=0)
        ((factor, value),) = attribute.wanted(factors).items()
        low, high = next((f.low, f.high) for f in faces.factors if f.name == factor)
        assert ((low <= value) & (value <= high)).all()
        assert (value - factors[factor]).abs().mean() > 0.1 * (high - low)


class Reader:
    """Reads the picture's mean as its age."""

    def read(self, x, world):
        return {"age": x.mean((1, 2, 3))}


def test_linearity_is_1_on_a_line_and_less_off_it():
    line = torch.arange(5.0).view(5, 1, 1, 1, 1).expand(5, 3, 3, 32, 32)
    old, factors = ATTRIBUTES["old"], faces.sample_factors(3, seed=0)
    assert linearity(0.2 * line - 0.7, old, factors, Reader()) == pytest.approx(1)
    assert linearity((line - 2) ** 2, old, factors, Reader()) == pytest.approx(0, abs=1e-6)


def test_asyrp_is_compared_with_a_fine_tuned_copy_where_it_achieves_as_much():
    """A copy that was never tuned achieves what no edit does: Asyrp does so at scale 0."""
    model, factors = load("faces"), faces.sample_factors(2, seed=1)
    sampler, edit = Sampler(model, steps=5), load_edit("old")
    z = sampler.draw(2, seed=0)
    old, critic = ATTRIBUTES["old"], load_critic()
    curve = by_scale(old, sampler, z, edit, factors, critic)
    assert curve["scale"][0] == 0 and all(len(v) == len(curve["scale"]) for v in curve.values())
    found = at_equal_success(old, sampler, model, z, curve, factors, critic)
    assert found["Asyrp's scale there"] == 0
    assert found["Asyrp's identity there"] == found["identity"] == pytest.approx(1)
    assert found["Asyrp's drift there"] == found["drift"]


def test_told_the_truth_an_f_t_nears_it_and_nearer_through_the_interval(clip, monkeypatch):
    """On the four faces that it learns, from which no edit is farther."""
    factors = faces.sample_factors(4, seed=2) | {"skin": torch.zeros(4)}
    old, sampler, critic = ATTRIBUTES["old"], Sampler(load("faces"), steps=5), load_critic()
    z = attributes.codes(sampler, faces.render(factors, 64))
    sources = source_paths(sampler, z, clip, old.first, old.last)
    settings = attributes.Settings(rounds=30, batch=4, rate=2e-2)
    monkeypatch.setattr(edits, "THROUGH", edits.THROUGH | {"batch": 4})
    monkeypatch.setattr(edits, "TOLD_ROUNDS", 30)
    found = edits.taught(old, sources, factors, settings, sampler, z, factors, critic)
    plainly = edits.of_edit(old, sampler, z, plain, factors, critic)
    rows = plainly, found[edits.TOLD], found[edits.TOLD_THROUGH]
    one, two, three = (row["PSNR to truth"] for row in rows)
    assert three > two > one + 1
    assert all(row["achieved, mean"] > 0.3 for row in rows[1:])


def test_a_delta_h_of_its_own_misses_less_by_the_texts_and_less_of_the_truth_if_told(clip):
    factors = faces.sample_factors(2, seed=2) | {"skin": torch.zeros(2)}
    old, sampler, critic = ATTRIBUTES["old"], Sampler(load("faces"), steps=4), load_critic()
    z, s = attributes.codes(sampler, faces.render(factors, 64)), attributes.Settings()
    missed = edits.by_texts(old, sampler, z, clip, s)
    own = best_delta_h(sampler, z, missed, old.first, old.last, rounds=10)
    unedited, edited = (sampler.decode(z, e).float() for e in (plain, own))
    assert missed(edited) < 0.9 * missed(unedited)

    (towards, _), seen = text_change(clip, old.source, old.target), clip.image(unedited)
    reach = 1 - F.cosine_similarity(seen, seen + towards).mean()
    assert_close(missed(unedited), s.clip_weight + s.reach_weight * reach)  # nothing has moved

    found = edits.ceiling(old, sampler, z, factors, critic, clip, s)
    plainly = edits.of_edit(old, sampler, z, plain, factors, critic)
    assert found[edits.ANY_BY_TEXTS]["achieved, mean"] > plainly["achieved, mean"] + 0.2
    assert found[edits.ANY]["PSNR to truth"] > found[edits.ANY_BY_TEXTS]["PSNR to truth"] + 1


def test_of_a_look_the_critic_says_whether_it_is_one():
    factors, robot, critic = faces.sample_factors(8, seed=3), ATTRIBUTES["robot"], load_critic()
    pictures = attributes.goal(robot, factors, 32), faces.render(factors, 32)
    truth, person = (edits.scored(x, robot, factors, critic) for x in pictures)
    assert truth["critic calls it so"] > 0.9 and person["critic calls it so"] < 0.1
    assert truth["PSNR to truth"] == 99 and person["PSNR to truth"] < 30


def test_an_attribute_may_ask_for_a_second_training_and_for_a_strength(clip, monkeypatch, tmp_path):
    """Under a price that nothing is worth, the second training takes back what the first one did."""
    monkeypatch.setattr(learning, "THROUGH", edits.THROUGH | {"batch": 2})
    monkeypatch.setattr(learning, "SCALES", [1.0])  # of the previews
    sampler = Sampler(load("faces"), steps=5)
    z = sampler.draw(2, seed=0)
    once = ATTRIBUTES["old"]._replace(l1_weight=0.0, l1_through=0.0, strength=1.0)
    sources = source_paths(sampler, z, clip, once.first, once.last)
    settings = attributes.Settings(rounds=5, batch=2, rounds_through=8)

    def change(attribute):
        edit, seconds = learning.learn(
            attribute, sources, z[:1], clip, settings, tmp_path / "preview.png"
        )
        assert edit.terms[0][0] == 1 and seconds > 0
        before, after = strip(sampler, z, edit, [0.0, 1.0])
        return (after - before).abs().mean().item()

    plainly = change(once)
    assert change(once._replace(l1_through=300.0)) < 0.5 * plainly
    assert change(once._replace(strength=2.0)) > 1.3 * plainly
