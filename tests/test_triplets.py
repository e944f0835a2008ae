from collections import Counter

import pytest
from torch.testing import assert_close

from lessons_lib import worlds
from lessons_lib.paths import TRAIN_SEEDS
from lessons_lib.recipes import triplets as recipe
from lessons_lib.worlds.triplets import KINDS, WORLDS

ALL = worlds.triplets()

# What a target text must say that its source text does not, by factor and value.
THINGS = {1: "house cottage", 2: "tree trees", 3: "tent", 4: "windmill"}
SAID = {
    "left": THINGS, "right": THINGS, "animal": {1: "sheep", 2: "cow", 3: "horse"},
    "boat": {1: "boat"}, "season": {0: "spring", 1: "summer", 2: "autumn", 3: "winter"},
    "time": {0: "day sunny sun", 1: "sunset evening", 2: "night"},
    "weather": {0: "clear sunny sunshine", 1: "cloudy overcast clouds", 2: "rain rainy snow snowy"},
    "species": {0: "cat", 1: "dog", 2: "fox"},
    "fur": {0: "black", 0.25: "grey", 0.5: "brown", 0.75: "orange", 1: "sandy"},
    "pattern": {1: "patch", 2: "striped stripes"},
    "look": {0: "robot", 1: "zombie", 2: "painting", 3: "clown"},
    "smile": {1: "smile smiling happy", -1: "frown frowning sad"}, "mouth_open": {1: "open out"},
    "age": {0: "young", 1: "old elderly"}, "skin": {0.5: "tanned"}, "brows": {1: "raised", -1: "angry"},
    "hair_color": {0: "black", 1: "blond"}, "hair_length": {1: "long"},
    "glasses": {1: "glasses"}, "beard": {1: "full"},
} | {f"{slot}_color": dict(enumerate(["red", "blue", "yellow", "white"])) for slot in
     ("left", "right", "boat")}  # fmt: skip


def words(text):
    return Counter(text.replace(",", "").split())


def test_there_are_150_of_every_kind_and_world():
    assert len(ALL) == 150
    kinds, of = Counter(t.kind for t in ALL), Counter(t.world for t in ALL)
    assert set(kinds) == set(KINDS) and min(kinds.values()) >= 25
    assert of == {"scenes": 70, "faces": 50, "animals": 30}
    assert sum(t.target_world == "looks" for t in ALL) >= 12


def test_their_pictures_are_held_out_and_used_once():
    assert all(1000 < t.seed < TRAIN_SEEDS for t in ALL)
    assert len({(t.world, t.seed, t.index) for t in ALL}) == 150


@pytest.mark.parametrize("first", [recipe.of_animals, recipe.of_faces, recipe.of_scenes])
def test_the_command_writes_what_the_file_holds(first):
    made = recipe.pick(first()[:3])
    assert len(made) == 3 and all(t in ALL for t in made)


def test_every_counterfactual_differs_by_its_visible_change():
    for t in ALL:
        there = (t.counterfactual(32) - t.image(32)).abs()
        assert 0.005 < there.mean() < 0.75, t
        before, after = t.factors(), t.edited().complete(t.factors() | t.change)
        shown = t.edited().visible(after)
        for name, value in t.change.items():
            assert shown[name].all() and after[name].item() == pytest.approx(value)
            assert name not in before or before[name].item() != after[name].item()


def test_an_image_is_the_worlds_own():
    t = min(ALL, key=lambda t: (t.index, t.world))
    batch = WORLDS[t.world].sample(t.index + 1, t.seed, 32)
    assert_close(t.image(32), batch.image[-1:], rtol=0, atol=1e-5)
    assert t.image(32).shape == t.counterfactual(32).shape == (1, 3, 32, 32)


@pytest.mark.parametrize("kind", KINDS)
def test_a_target_text_tells_the_change_and_little_else(kind):
    for t in (t for t in ALL if t.kind == kind):
        old, new = words(t.source), words(t.target)
        for name, value in t.change.items():
            said = SAID[name][value].split()
            assert any(new[word] > old[word] for word in said), t
        lost = (old - new).total()
        assert lost == 0 if kind == "add" else lost <= 4, t


def test_an_edit_that_no_picture_allows_is_refused(monkeypatch):
    monkeypatch.setattr(recipe, "PICTURES", 3)
    never = recipe.edit(worlds.faces, "add", "glasses", {"age": (2, 3)}, glasses=1)
    with pytest.raises(ValueError, match=r"No picture of faces allows .*glasses"):
        recipe.pick([never])


def test_words_apart_counts_what_is_lost_and_what_differs():
    assert recipe.apart("a red house and a tree", "a red house and a tree") == (0, 0)
    assert recipe.apart("a red house", "a blue house") == (1, 1)
    assert recipe.apart("a house", "a house and a boat") == (0, 3)
