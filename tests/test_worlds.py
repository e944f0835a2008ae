import importlib.util
import random
import re
from dataclasses import replace
from functools import cache
from math import inf

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from lessons_lib import worlds
from lessons_lib.worlds import draw, version
from lessons_lib.worlds.words import shuffled

faces = worlds.faces
WORLDS = list(worlds.WORLDS.values())
every_world = pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)


@cache
def sampled(world_name, n=64, seed=0, size=32):
    return worlds.WORLDS[world_name].sample(n, seed, size)


# ---- every world ----


@every_world
def test_a_seed_is_its_pictures(world):
    a, b, c = (world.sample(4, seed, 24) for seed in (7, 7, 8))
    assert torch.equal(a.image, b.image) and a.caption == b.caption and torch.equal(a.mask, b.mask)
    assert not torch.equal(a.image, c.image) and a.caption != c.caption


@every_world
@settings(max_examples=8)
@given(st.integers(1, 40), st.integers(0, 10**6), st.data())
def test_the_first_k_of_n_are_those_of_k(world, n, seed, data):
    k = data.draw(st.integers(1, n))
    many, few = world.sample_factors(n, seed), world.sample_factors(k, seed)
    assert all(torch.equal(many[name][:k], few[name]) for name in few)


@every_world
def test_the_first_k_pictures_of_n_are_those_of_k(world):
    many, few = world.sample(33, 3, 16), world.sample(2, 3, 16)  # 33: drawn in two parts
    assert_close(many.image[:2], few.image, rtol=0, atol=1e-5)
    assert many.caption[:2] == few.caption


@every_world
@pytest.mark.parametrize("size", [8, 33])
def test_shapes_and_ranges(world, size):
    batch = world.sample(3, 0, size)
    assert batch.image.shape == (3, 3, size, size) and batch.mask.shape == (3, size, size)
    assert batch.image.min() >= -1 and batch.image.max() <= 1 and batch.image.std() > 0.2
    assert batch.image.dtype == torch.float32 and batch.mask.dtype == torch.int64
    assert batch.mask.min() >= 0 and batch.mask.max() < len(world.classes)
    assert len(batch.caption) == 3 and list(batch.factors) == [f.name for f in world.factors]


@every_world
def test_factors_stay_within_their_ranges_and_fill_them(world):
    factors = world.sample_factors(4000, 1)
    for f in world.factors:
        values = factors[f.name]
        if f.name in world.fixed:
            assert (values == world.fixed[f.name]).all()
            continue
        assert values.min() >= f.low and values.max() <= f.high
        if f.choices:
            share = torch.bincount(values.long(), minlength=len(f.choices)) / len(values)
            assert (
                torch.equal(values, values.round()) and len(share) == len(f.choices) == f.high + 1
            )
            assert (share - 1 / len(f.choices)).abs().max() < 0.04
        elif f.binary is not None:
            assert abs(values.mean() - f.binary) < 0.04 and set(values.tolist()) == {0.0, 1.0}
        else:
            assert values.max() > f.high - 0.02 * (f.high - f.low)
            assert abs((values == 0).float().mean() - f.zero) < 0.04


@every_world
def test_names_are_told_apart(world):
    names = [f.name for f in world.factors]
    assert len(set(names)) == len(names) and len(set(world.classes)) == len(world.classes)
    assert all(f.meaning and f.group and f.low < f.high for f in world.factors)


@every_world
def test_rendering_the_factors_again_is_the_sample(world):
    batch = world.sample(3, 5, 24)
    assert torch.equal(world.render(batch.factors, 24), batch.image)
    assert torch.equal(world.mask(batch.factors, 24), batch.mask)
    assert world.captions(batch.factors, seed=5) == batch.caption


@every_world
def test_a_larger_picture_is_the_same_picture(world):
    factors = {name: v[:3] for name, v in sampled(world.name).factors.items()}
    large = torch.nn.functional.avg_pool2d(world.render(factors, 96), 3)
    small = sampled(world.name).image[:3]
    assert (large - small).abs().mean() < 0.03


@every_world
def test_every_class_is_painted(world):
    seen = set(sampled(world.name).mask.unique().tolist())
    everything = set(range(len(world.classes)))
    assert seen <= everything if world.fixed else seen == everything


@every_world
def test_captions_are_plain_sentences_in_varied_words(world):
    batch = sampled(world.name)
    for caption in batch.caption:
        assert re.fullmatch("[a-z]+(,? [a-z]+)*", caption)
        assert 4 <= len(caption.split()) <= 32
    other = world.captions(batch.factors, seed=1)
    assert world.captions(batch.factors, seed=1) == other
    assert sum(a != b for a, b in zip(batch.caption, other, strict=True)) > 48
    assert len(set(batch.caption)) > 56  # of 64


@every_world
def test_numbers_stand_for_the_whole_batch(world):
    factors = {name: v[:3] for name, v in sampled(world.name).factors.items()}
    free = [f for f in world.factors if f.name not in world.fixed][-1]
    one = world.render(factors | {free.name: free.high}, 16)
    three = world.render(factors | {free.name: torch.full((3,), float(free.high))}, 16)
    assert_close(one, three, rtol=0, atol=0)


@every_world
def test_factors_that_do_not_fit_are_refused(world):
    factors = {name: v[:2] for name, v in sampled(world.name).factors.items()}
    free = next(f.name for f in world.factors if f.name not in world.fixed)
    with pytest.raises(ValueError, match=r"unknown .'smle'.*they are .*" + free):
        world.render(factors | {"smle": 1.0}, 8)
    with pytest.raises(ValueError, match=f"missing 1 .{free}"):
        world.render({name: v for name, v in factors.items() if name != free}, 8)
    with pytest.raises(ValueError, match=f"{free} .* not finite"):
        world.mask(factors | {free: float("nan")}, 8)
    with pytest.raises(ValueError, match="each image"):
        world.captions(factors | {free: torch.zeros(3)})


WHOLE = [worlds.faces, worlds.animals, worlds.scenes, worlds.looks]
EVERY_FACTOR = [
    pytest.param(world, f, id=f"{world.name}-{f.name}") for world in WHOLE for f in world.factors
]


@pytest.mark.parametrize(("world", "f"), EVERY_FACTOR)
def test_a_factor_changes_pixels_and_words_only_where_it_is_visible(world, f):
    drawn = world.sample_factors(10, 2)
    base = {g.name: drawn[g.name] if g.choices else (g.low + g.high) / 2 for g in world.factors}
    low, high = (base | {f.name: torch.full((10,), float(v))} for v in (f.low, f.high))
    changed = (world.render(low, 24) - world.render(high, 24)).flatten(1).ne(0).any(1)
    assert torch.equal(changed, world.visible(low)[f.name])
    told = zip(world.captions(low), world.captions(high), strict=True)
    assert all(same == other for (same, other), seen in zip(told, changed, strict=True) if not seen)


def test_a_blend_shows_what_either_of_its_choices_shows():
    base = worlds.scenes.sample_factors(3, 0) | {"left": torch.tensor([1.5, 2.0, 2.5])}
    assert worlds.scenes.visible(base)["left_color"].tolist() == [True, False, True]
    assert worlds.scenes.visible(base | {"boat": 0.5})["boat_x"].all()
    ends = worlds.animals.sample_factors(2, 0) | {"species": torch.tensor([0.0, 2.0])}
    assert worlds.animals.visible(ends)["cat_pupil"].tolist() == [True, False]
    assert not worlds.cats.visible(worlds.cats.sample_factors(2, 0))["dog_muzzle"].any()


# ---- parts of a world ----


@every_world
def test_pictures_of_two_parts_are_counterparts(world):
    f = next(f for f in world.factors if f.name not in world.fixed)
    low, high = world.where("low", **{f.name: f.low}), world.where("high", **{f.name: f.high})
    a, b = low.sample(4, 3, 16), high.sample(4, 3, 16)
    others = {name: v for name, v in a.factors.items() if name != f.name}
    assert all(torch.equal(v, b.factors[name]) for name, v in others.items())
    assert (a.factors[f.name] == f.low).all() and (b.factors[f.name] == f.high).all()
    assert torch.equal(high.render(a.factors, 16), b.image)  # the fixed factor wins
    assert torch.equal(high.render(others, 16), b.image)  # and need not be given
    assert torch.equal(world.render(b.factors, 16), b.image)
    assert low.name == "low" and low.version == world.version


def test_a_part_of_a_part_has_both_fixed():
    part = faces.where("happy", smile=1.0).where("old", age=1.0)
    assert part.fixed == {"smile": 1.0, "age": 1.0} and part.name == "old"
    assert faces.fixed == {}


@every_world
def test_a_part_of_an_unknown_factor_is_refused(world):
    with pytest.raises(ValueError, match=r"unknown .'smle'"):
        world.where("smiling", smle=1.0)


# ---- which renderer a checkpoint learnt ----


@every_world
def test_a_version_is_the_same_on_each_call(world):
    once, again = world.version, world.version
    assert re.fullmatch("[0-9a-f]{12}", once) and once == again


CODE = '''
"""Draws."""

RED = (200, 40, 30)  # a colour


def paint(x):
    """Twice."""
    # of x
    for _ in range(2):
        x = x + 1
        x = 2 * x
    return x, "red"
'''


def fingerprint(folder, source):
    path = folder / "renderer.py"
    path.write_text(source)
    importlib.invalidate_caches()
    spec = importlib.util.spec_from_file_location("renderer", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return version.fingerprint(module)


@pytest.mark.parametrize(
    ("old", "new"),
    [("# a colour", "# a hue"), ("  # a colour", ""), ("    # of x\n", ""), ("\n\n\n", "\n\n"),
     ('"""Draws."""', '"""Paints."""'), ('"""Twice."""', '"""Doubled,\n    that is."""'),
     ("(200, 40, 30)", "(200,  40,\n 30)")],
)  # fmt: skip
def test_comments_and_layout_do_not_change_a_version(tmp_path, old, new):
    assert old in CODE
    assert fingerprint(tmp_path, CODE.replace(old, new)) == fingerprint(tmp_path, CODE)


@pytest.mark.parametrize(
    ("old", "new"),
    [("40", "41"), ("2 * x", "x * 2"), ('"red"', '"blue"'), ("RED", "BLUE"), ("2 * x", "2 ** x"),
     ("        x = 2 * x", "    x = 2 * x")],
)  # fmt: skip
def test_code_changes_a_version(tmp_path, old, new):
    assert old in CODE
    assert fingerprint(tmp_path, CODE.replace(old, new)) != fingerprint(tmp_path, CODE)


@cache
def versions():
    return {world.name: world.version for world in WHOLE}


@pytest.mark.parametrize(
    ("module", "changed"),
    [("draw", {"faces", "animals", "scenes", "looks"}), ("faces_drawing", {"faces", "looks"}),
     ("looks_drawing", {"looks"}), ("animals_drawing", {"animals"}), ("scenes_drawing", {"scenes"}),
     ("faces_words", set()), ("scenes", set()), ("base", set())],
)  # fmt: skip
def test_a_version_follows_what_its_pictures_are_drawn_with(monkeypatch, module, changed):
    before, source = versions(), version.inspect.getsource
    edited = f"lessons_lib.worlds.{module}"
    monkeypatch.setattr(
        version.inspect, "getsource", lambda m: source(m) + "\nX = 1\n" * (m.__name__ == edited)
    )
    assert {n for n in before if worlds.WORLDS[n].version != before[n]} == changed


@pytest.mark.parametrize("change", [{"high": 2.0}, {"zero": 0.1}, {"name": "other"}])
def test_a_version_follows_the_factors_ranges_but_not_their_words(change):
    first, *others = faces.factors
    world = replace(faces, factors=(replace(first, **change), *others))
    reworded = replace(faces, factors=(replace(first, meaning="how wide"), *others))
    assert world.version != faces.version == reworded.version


# ---- faces ----


def test_a_smile_changes_only_the_mouths_surroundings():
    batch = faces.sample(16, 11, 64)
    other = faces.render(batch.factors | {"smile": -batch.factors["smile"]}, 64)
    changed = ((other - batch.image).abs().amax(1) > 1e-6).any(0)
    rows, columns = torch.where(changed)
    assert changed.any() and changed.float().mean() < 0.25
    assert rows.min() > 30 and rows.max() < 60  # the lower half, above the clothes' lower edge
    assert columns.min() > 8 and columns.max() < 56
    still = faces.render(batch.factors | {"smile": batch.factors["smile"]}, 64)
    assert torch.equal(still, batch.image)


@pytest.mark.parametrize("name", [f.name for f in faces.factors])
def test_every_factor_can_be_seen(name):
    f = next(f for f in faces.factors if f.name == name)
    base = {g.name: (g.low + g.high) / 2 for g in faces.factors}
    base |= {"mouth_open": 0.3, "hair_length": 0.5}
    low, high = (faces.render(base | {name: v}, 32) for v in (f.low, f.high))
    assert (low - high).abs().mean() > 4e-4


# What a caption of a face may claim: words, and the factor's range in which they are true.
CLAIMS = [
    ("smiling|happy|smile", "smile", 0.3, inf),
    ("frowning|sad|frown", "smile", -inf, -0.3),
    ("angry", "brows", -inf, -0.4),
    ("raised brows", "brows", 0.4, inf),
    ("young", "age", -inf, 0.35),
    ("old|elderly", "age", 0.65, inf),
    ("pale", "skin", -inf, 0.3),
    ("tanned", "skin", 0.35, 0.65),
    ("dark skin", "skin", 0.6, inf),
    ("a beard|full beard", "beard", 0.3, inf),
    ("no beard", "beard", -inf, 0.05),
    (r"(?<!no )glasses", "glasses", 0.5, inf),
    ("no glasses", "glasses", -inf, 0.05),
    ("long( [a-z]+)? hair", "hair_length", 0.65, inf),
    ("short( [a-z]+)? hair", "hair_length", -inf, 0.35),
    ("grey hair", "age", 0.7, inf),
    ("black hair", "hair_color", -inf, 0.15),
    ("brown hair", "hair_color", 0.1, 0.55),
    ("red hair", "hair_color", 0.45, 0.85),
    ("blond hair", "hair_color", 0.8, inf),
    ("brown eyes", "eye_color", -inf, 0.3),
    ("green eyes", "eye_color", 0.25, 0.75),
    ("blue eyes", "eye_color", 0.7, inf),
    ("open mouth", "mouth_open", 0.3, inf),
    ("closed mouth", "mouth_open", -inf, 0.05),
    ("blue shirt", "shirt", -inf, 0.15),
    ("green shirt", "shirt", 0.1, 0.4),
    ("yellow shirt", "shirt", 0.35, 0.65),
    ("red shirt", "shirt", 0.6, 0.9),
    ("purple shirt", "shirt", 0.85, inf),
    ("blue (background|wall)", "background", -inf, 0.3),
    ("purple (background|wall)", "background", 0.25, 0.46),
    ("pink (background|wall)", "background", 0.42, 0.66),
    ("orange (background|wall)", "background", 0.62, 0.82),
    ("yellow (background|wall)", "background", 0.78, 0.93),
    ("green (background|wall)", "background", 0.9, inf),
]


def claims(caption):
    """(factor, low, high) of all that a caption claims."""
    return [c[1:] for c in CLAIMS if re.search(rf"\b({c[0]})\b", caption)]


def test_a_faces_caption_is_true_and_every_claim_is_made():
    factors = faces.sample_factors(1500, 0)
    captions = faces.captions(factors)
    for i, caption in enumerate(captions):
        for name, low, high in claims(caption):
            assert low <= factors[name][i] <= high, (caption, name)
    text = "; ".join(captions)
    assert all(re.search(rf"\b({words})\b", text) for words, *_ in CLAIMS)
    assert len(set(re.findall("[a-z]+", text))) <= 90
    assert all(8 <= len(c.split()) <= 22 for c in captions)


def test_a_caption_tells_its_face_among_64():
    factors = sampled("faces").factors
    fits = torch.ones(64, 64, dtype=torch.bool)
    for i, caption in enumerate(sampled("faces").caption):
        for name, low, high in claims(caption):
            fits[i] &= (factors[name] >= low) & (factors[name] <= high)
    assert fits.diagonal().all()
    assert (fits.sum(1) == 1).float().mean() > 0.8 and fits.sum(1).max() <= 6


PLAIN = {f.name: (f.low + f.high) / 2 for f in faces.factors} | {"glasses": 0.0, "beard": 0.0}


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    ("edit", "words"),
    [({"smile": 1.0}, "smiling|smile|happy"), ({"smile": -1.0}, "frowning|frown|sad"),
     ({"brows": -1.0}, "angry"), ({"skin": 0.5}, "tanned"), ({"age": 1.0}, "old|elderly"),
     ({"age": 0.0}, "young"), ({"glasses": 1.0}, "(?<!no )glasses"), ({"beard": 1.0}, "full beard")],
)  # fmt: skip
def test_an_edited_face_is_said_to_be_so(edit, words, seed):
    base = PLAIN | {"skin": 0.33}
    plain, edited = (faces.captions(f, seed)[0] for f in (base, base | edit))
    assert re.search(rf"\b({words})\b", edited) and not re.search(rf"\b({words})\b", plain)


# ---- drawing and words ----


def test_signed_distances():
    x, y = draw.grid(64, "cpu")
    circle = draw.superellipse(x, y, 0.5, 0.5)
    assert_close(circle, (x**2 + y**2).sqrt() - 0.5, rtol=0, atol=1e-5)
    capsule = draw.segment(x, y, -0.3, 0.0, 0.3, 0.0, 0.1)
    wanted = ((x.abs() - 0.3).clamp_min(0) ** 2 + y**2).sqrt() - 0.1
    assert_close(capsule, wanted, rtol=0, atol=1e-3)
    assert torch.equal(draw.union(circle, capsule) < 0, (circle < 0) | (capsule < 0))
    assert torch.equal(draw.inside(circle, capsule) < 0, (circle < 0) & (capsule < 0))


def test_shuffled_parts_are_the_same_parts():
    parts = list("abcdef")
    assert sorted(shuffled(parts, random.Random(0))) == parts == list("abcdef")
    assert len({tuple(shuffled(parts, random.Random(i))) for i in range(9)}) > 5
