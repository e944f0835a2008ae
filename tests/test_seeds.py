"""The table of seeds: no picture that measures was ever trained on, and no two purposes share one."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lessons_lib import load, worlds
from lessons_lib.paths import BEYOND, HELD_OUT, ROOM, TRAIN_EDITS, TRAIN_SEEDS, held_out_seed
from lessons_lib.recipes.critic import CHUNK
from lessons_lib.studies import inputs, subjects

purposes, seeds = st.sampled_from(sorted(HELD_OUT)), st.integers(0, ROOM - 1)
RECIPES = range(TRAIN_SEEDS, BEYOND)  # a lesson's own seed, up to ROOM, is added to TRAIN_EDITS


@given(purpose=purposes, seed=seeds)
def test_no_held_out_seed_is_one_that_recipes_draw_with(purpose, seed):
    assert held_out_seed(purpose, seed) not in RECIPES
    assert held_out_seed(purpose, seed) < 2**32 and TRAIN_EDITS + ROOM in RECIPES


@given(one=st.tuples(purposes, seeds), other=st.tuples(purposes, seeds))
def test_no_two_have_one_seed(one, other):
    assert (held_out_seed(*one) == held_out_seed(*other)) == (one == other)


def test_the_seeds_of_recorded_results_stay():
    assert held_out_seed("edits", 3) == 900_703 and held_out_seed("networks", 1) == 900_001
    assert held_out_seed("lessons", 5) == 5 and held_out_seed("translations", 2000) == 922_000


def test_a_large_seed_of_a_lesson_draws_nobody_who_was_trained_on():
    trained = worlds.faces.sample_factors(CHUNK, TRAIN_SEEDS)
    who = subjects.who_lacks(["smiling"], 2, 99_300)
    kept = inputs.kinds(load("faces"), 2, TRAIN_SEEDS)["held-out faces"]
    assert not torch.isin(who["skin"], trained["skin"]).any()
    assert not torch.equal(kept[0].float(), worlds.faces.sample(1, TRAIN_SEEDS, 32).image[0])


@pytest.mark.parametrize(
    ("purpose", "seed", "said"),
    [
        ("exams", 0, "no purpose 'exams'"),
        ("lessons", -1, "seed is -1"),
        ("lessons", ROOM, "to 289999999"),
        ("lessons", 0.5, "0.5"),
    ],
)
def test_other_seeds_are_refused(purpose, seed, said):
    with pytest.raises(ValueError, match=said):
        held_out_seed(purpose, seed)
