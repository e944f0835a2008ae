"""Whom lessons edit: people who lack the attribute, or a model's own samples."""

import pytest
import torch
from torch.testing import assert_close

from lessons_lib import Sampler, load
from lessons_lib.judges.evaluators import load_critic
from lessons_lib.judges.metrics import perceptual_distance
from lessons_lib.studies.subjects import anyone, scores, subjects, who_lacks
from lessons_lib.worlds import WORLDS
from small import mixture, tiny_unet


def test_who_is_to_be_edited_has_some_way_to_go():
    found = who_lacks(["smiling", "old"], 6, seed=1)
    assert {len(v) for v in found.values()} == {6}
    assert (found["smile"] <= 0.4).all() and (found["age"] <= 0.7).all()
    assert not torch.equal(found["smile"], who_lacks(["smiling", "old"], 6, 2)["smile"])
    both = who_lacks(["smiling", "sad"], 6, seed=1)
    assert (both["smile"].abs() <= 0.4).all()


def test_a_model_with_its_directions_is_judged_by_truth():
    g = Sampler(load("faces"), steps=5)
    who = subjects(g, "faces", "old", n=2, seed=0)
    assert not who.said and list(who.edits) == list(who.goals) == ["old"]
    assert_close(who.goals["old"]["age"], torch.ones(2))
    ((scale, d),) = who.edits["old"].terms
    visited = sum(d.acts(t) for t in g.schedule.t.tolist())
    assert scale == pytest.approx(d.visits / visited)
    critic, faces = load_critic(), WORLDS["faces"]
    x = torch.stack([
        faces.render(who.factors), faces.render({**who.factors, **who.goals["old"]})
    ])  # fmt: skip
    found = scores(x, who, "old", critic, perceptual_distance(critic))
    assert found.achieved.shape == (2, 2)
    assert_close(found.achieved[0], torch.zeros(2)), assert_close(found.drift[0], torch.zeros(2))
    assert (found.achieved[1] > 0.4).all()
    assert_close(
        scores(x[1], who, "old", critic, perceptual_distance(critic)).achieved, found.achieved[1]
    )


def test_any_other_network_gets_principal_directions_and_a_sentence():
    g = Sampler(tiny_unet(), steps=6)
    who = subjects(g, "elsewhere", "smiling, old", n=3, seed=0)
    assert list(who.edits) == ["PC 1", "PC 2"] and who.goals == {} and who.factors is None
    assert "not trained for 'elsewhere'" in who.said
    assert_close(who.z.x_T, g.draw(3, 0).x_T)
    assert not torch.equal(g.decode(who.z, who.edits["PC 1"]), g.decode(who.z))


def test_impossible_subjects_are_refused_in_a_sentence():
    with pytest.raises(ValueError, match="with commas between"):
        subjects(Sampler(mixture(d=4), steps=4), "x", " , ", 2, 0)
    with pytest.raises(ValueError, match="There is no direction 'smirking'"):
        subjects(Sampler(mixture(d=4), steps=4), "x", "smirking", 2, 0)
    with pytest.raises(ValueError, match="no bottleneck"):
        subjects(Sampler(mixture(d=4), steps=4), "moons", "smiling", 2, 0)


def test_anyone_is_chosen_for_nothing():
    g = Sampler(tiny_unet(dtype=torch.float32), 4)
    z, factors = anyone(g, 3, seed=1)
    assert z.x_T.shape == (3, *g.denoiser.shape) and factors is None
    assert torch.equal(z.x_T, g.draw(3, 1).x_T)
