import random

import pytest
import torch
from torch.testing import assert_close

from lessons_lib.worlds import animals_drawing as drawing
from lessons_lib.worlds import animals_words as words
from lessons_lib.worlds.animals import FACTORS, SPECIES, animals, cats, dogs, wild

PARTS = {"cat": cats, "dog": dogs, "fox": wild}
MIDDLE = {f.name: (f.low + f.high) / 2 for f in FACTORS} | {"pattern": 0.0, "species": 0.0}
OWN = [f for f in FACTORS if f.group in SPECIES]


def change(world, name, low, high):
    low, high = (world.render(MIDDLE | {name: v}, 32) for v in (low, high))
    return (low - high).abs().mean().item()


def captions(n=60, **factors):
    """Captions of one picture in `n` wordings."""
    row = MIDDLE | {"mouth_open": 0.0} | factors
    return [animals.describe(row, random.Random(k)) for k in range(n)]


def test_a_seed_draws_the_same_animal_as_a_cat_a_dog_and_a_fox():
    cat, dog, fox = (world.sample(6, 4, 32) for world in PARTS.values())
    shared = [f.name for f in FACTORS if f.name != "species"]
    assert all(torch.equal(cat.factors[n], dog.factors[n]) for n in shared)
    assert all(torch.equal(cat.factors[n], fox.factors[n]) for n in shared)
    assert torch.equal(dogs.render(cat.factors, 32), dog.image)
    for k, batch in enumerate((cat, dog, fox)):
        assert batch.factors["species"].tolist() == [k] * 6
        assert_close(animals.render(batch.factors, 32), batch.image, rtol=0, atol=0)


def test_species_are_far_apart_for_the_same_shared_factors():
    factors = cats.sample_factors(64, 0)
    cat, dog, fox = (world.render(factors, 32) for world in PARTS.values())
    for a, b in ((cat, dog), (cat, fox), (dog, fox)):
        assert (a - b).abs().mean((1, 2, 3)).min() > 0.07


def test_a_translation_keeps_the_colours():
    factors = cats.sample_factors(64, 0)
    means = [world.render(factors, 32).mean((2, 3)) for world in PARTS.values()]
    for other in means[1:]:
        correlation = torch.corrcoef(torch.stack([means[0].flatten(), other.flatten()]))[0, 1]
        assert correlation > 0.9


@pytest.mark.parametrize("f", OWN, ids=lambda f: f.name)
def test_a_species_own_factor_changes_only_its_pictures(f):
    for species, world in PARTS.items():
        changed = change(world, f.name, f.low, f.high)
        assert changed > 0.01 if species == f.group else changed == 0


@pytest.mark.parametrize("f", [f for f in FACTORS if f.group == "shared"], ids=lambda f: f.name)
@pytest.mark.parametrize("species", SPECIES)
def test_every_shared_factor_can_be_seen_in_every_species(f, species):
    assert change(PARTS[species], f.name, f.low, f.high) > 0.01


def test_each_pattern_differs_from_each():
    plain, patch, stripes = (cats.render(MIDDLE | {"pattern": k}, 32) for k in (0.0, 1.0, 2.0))
    for a, b in ((plain, patch), (plain, stripes), (patch, stripes)):
        assert (a - b).abs().mean() > 0.01


@pytest.mark.parametrize("species", SPECIES)
def test_every_class_but_the_marking_is_in_every_picture(species):
    batch = PARTS[species].sample(64, 0, 32)
    for k, name in enumerate(animals.classes):
        seen = (batch.mask == k).flatten(1).any(1)
        assert torch.equal(seen, batch.factors["pattern"] > 0) if name == "marking" else seen.all()


def test_between_two_species_is_an_animal_between_them():
    steps = animals.render(MIDDLE | {"species": torch.linspace(0, 2, 41)}, 32)
    jumps = (steps[1:] - steps[:-1]).abs().mean((1, 2, 3))
    assert jumps.min() > 0 and jumps.max() < 0.03


@pytest.mark.parametrize("k, species", [*enumerate(SPECIES)])
def test_every_caption_names_its_species_and_no_other(k, species):
    for caption in captions(species=float(k)):
        words = caption.replace(",", "").split()
        assert [w for w in words if w in SPECIES] == [species]


@pytest.mark.parametrize("place", range(5))
def test_captions_name_the_colours_of_fur_and_background(place):
    fur, behind = words.FUR_WORDS[place], words.BACKGROUND_WORDS[place]
    for caption in captions(fur=place / 4, background=place / 4):
        assert any(w in caption for w in (f"{fur} cat", f"{fur} fur"))
        places = [p.format(behind) for p in words.PLACES]
        assert any(p in caption for p in places)


def test_captions_name_the_colours_of_muzzle_and_eyes():
    for place, word in enumerate(words.SECOND_WORDS):
        nouns = [f"{word} {noun}" for noun in words.MUZZLE_WORDS]
        assert all(any(n in c for n in nouns) for c in captions(second=place / 3))
    for place, word in enumerate(words.EYE_WORDS):
        assert all(f"{word} eyes" in c for c in captions(eye_color=place / 2))


@pytest.mark.parametrize(
    "name, colours, place",
    [
        ("fur", drawing.FUR, "head"),
        ("second", drawing.SECOND, "muzzle"),
        ("eye_color", drawing.EYES, "eyes"),
        ("background", drawing.BACKGROUND, "background"),
    ],
)
def test_a_named_colour_is_painted_where_the_caption_says(name, colours, place):
    k = animals.classes.index(place)
    for world in PARTS.values():
        for value, rgb in zip(torch.linspace(0, 1, len(colours)).tolist(), colours, strict=True):
            factors = MIDDLE | {"mouth_open": 0.0, name: value}
            seen = world.render(factors, 64)[0][:, world.mask(factors, 64)[0] == k]
            wanted = torch.tensor(rgb)[:, None] / 127.5 - 1
            assert ((seen - wanted).abs().amax(0) < 0.2).float().mean() > 0.15


def test_captions_tell_the_patterns():
    assert not any("stripe" in c or "patch" in c for c in captions(pattern=0.0))
    assert all("patch" in c and "stripe" not in c for c in captions(pattern=1.0))
    assert all("stripe" in c and "patch" not in c for c in captions(pattern=2.0))


def test_captions_tell_pose_and_mouth_where_they_are_pronounced():
    still = captions()
    assert not any(w in c for c in still for w in ("left", "right", "open", "tongue"))
    assert any("mouth closed" in c for c in still)
    for name, verbs in words.POSE_WORDS.items():
        for value, side in ((-1.0, "left"), (1.0, "right")):
            said = captions(**{name: value})
            assert all(any(f"{verb} {side}" in c for verb in verbs) for c in said)
    said = captions(mouth_open=1.0)
    assert all(("open" in c or "tongue out" in c) and "closed" not in c for c in said)


def test_captions_tell_only_the_ears_of_their_species():
    everything = {f.name: 1.0 for f in OWN}
    for k, (_, word) in enumerate(words.EAR_WORDS.values()):
        said = [c for c in captions(species=float(k), **everything) if "ears" in c]
        assert said and all(f"{word} ears" in c for c in said)


def test_a_head_turned_or_leaning_right_has_its_nose_further_right():
    nose = animals.classes.index("nose")
    for name in ("yaw", "tilt"):
        for world in PARTS.values():
            masks = (world.mask(MIDDLE | {name: v}, 64)[0] == nose for v in (-1.0, 1.0))
            left, right = (torch.where(m)[1].float().mean() for m in masks)
            assert right - left > 4


def test_captions_are_varied_short_and_of_few_words():
    batch, again = animals.sample(64, 0, 8), animals.sample(64, 0, 8)
    reworded = animals.captions(batch.factors, seed=1)
    assert batch.caption == again.caption
    assert sum(a != b for a, b in zip(batch.caption, reworded, strict=True)) >= 60
    assert len(set(batch.caption)) >= 58
    many = animals.captions(animals.sample_factors(2000, 2))
    assert len({w for c in many for w in c.replace(",", "").split()}) <= 80
    lengths = [len(c.split()) for c in many]
    assert min(lengths) >= 8 and max(lengths) <= 25 and sum(lengths) / 2000 < 20
    assert all(c.isascii() and c == c.lower() for c in many)


def test_every_factor_moves_the_picture_by_a_finite_gradient():
    drawn = animals.sample_factors(3, 5) | {"species": torch.tensor([0.0, 1.0, 2.0])}
    factors = {name: v.clone().requires_grad_() for name, v in drawn.items()}
    animals.render(factors, 32).square().mean().backward()
    assert all(v.grad.isfinite().all() for v in factors.values())
    assert all(factors[f.name].grad[SPECIES.index(f.group)] != 0 for f in OWN)
