"""The short training of lessons 05 and 05b: what is learnt, from what, and what it reports."""

from types import SimpleNamespace

import pytest
import torch

from lessons_lib import Sampler, load
from lessons_lib.judges.evaluators import load_clip
from lessons_lib.methods import training
from lessons_lib.methods.asyrp import PerTime
from lessons_lib.studies import brief, rivalry
from lessons_lib.studies.attributes import ATTRIBUTES
from lessons_lib.worlds import WORLDS

P = SimpleNamespace(
    learn="smiling", own_source="", own_target="", images="", n_train=2, seed=0, first=500, last=200,
    rounds=1, batch=16, clip_weight=0.4, l1_weight=0.5, reach_weight=4.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def task():
    return brief.task(Sampler(load("faces"), steps=5), load_clip("clip"), P, drawn=True)


def test_a_task_has_the_attribute_s_texts_and_the_steps_of_its_interval(task):
    smiling = ATTRIBUTES["smiling"]
    assert task.called == "smiling" and task.texts == (smiling.source, smiling.target)
    t = task.sources.sampler.schedule.t[task.sources.steps]
    assert (
        len(task.z) == 2 and task.settings["batch"] == 2 and (t <= 500).all() and (t >= 200).all()
    )


def test_texts_of_one_s_own_are_learnt_if_both_are_given():
    own = {"own_source": "a person", "own_target": "a clown"}
    assert brief.called(SimpleNamespace(**vars(P) | own)) == "your texts"
    assert brief.called(SimpleNamespace(**vars(P) | {"own_source": "a person"})) == "smiling"


def test_texts_that_cannot_be_learnt_from_are_refused_before_any_picture_is_encoded():
    never = SimpleNamespace(denoiser=None)  # encodes nothing
    for target, said in (("a person with a zeppelin", "zeppelin"), ("a person", "the same")):
        p = SimpleNamespace(**vars(P) | {"own_source": "a person", "own_target": target})
        with pytest.raises(ValueError, match=said):
            brief.task(never, load_clip("clip"), p, drawn=True)


def test_what_is_learnt_is_an_edit_of_the_task_s_interval(task):
    times = task.sources.sampler.schedule.t[task.sources.steps]
    form = training.new_delta_h(task.sources.sampler, task.z, times)
    learnt = brief.learn(task, form, rate=1.0)
    ((scale, d),) = learnt.edit.terms
    assert scale == 1 and d.first == times[0] and d.last == times[-1] and isinstance(form, PerTime)
    assert learnt.count == sum(v.numel() for v in form.parameters()) and len(learnt.rounds) == 1
    assert learnt.seconds > 0 and max(v.abs().max() for v in form.parameters()) > 0


def test_texts_point_along_the_change_that_they_name(task):
    factors = WORLDS["faces"].sample_factors(2, 0) | {"glasses": torch.zeros(2)}
    model = task.sources.sampler.denoiser
    along = rivalry.pointing(ATTRIBUTES["glasses"], factors, task.clip, model)
    back = ATTRIBUTES["glasses"]._replace(
        source=ATTRIBUTES["glasses"].target, target=ATTRIBUTES["glasses"].source
    )
    against = rivalry.pointing(back, factors, task.clip, model)
    assert along > 0.3 and against == pytest.approx(-along, abs=1e-4)
