import re
from collections import Counter

import pytest
import torch

from lessons_lib.worlds.scenes import CLASSES, scenes
from lessons_lib.worlds.scenes_words import ANIMALS, COLORS, OBJECTS, SEASONS

FACTORS = scenes.sample_factors(12, 0)
PLAIN = {f.name: (f.low + f.high) / 2 for f in scenes.factors} | {
    "season": 1.0, "time": 0.0, "weather": 0.0, "left": 1.0, "right": 2.0, "animal": 1.0,
    "boat": 1.0, "left_color": 0.0, "right_color": 1.0, "boat_color": 2.0,
}  # fmt: skip
HOUSE, TREE, TENT, WINDMILL = range(1, 5)


def changed(edit: dict, **base: float) -> torch.Tensor:
    """Pixels (12, 64, 64) that an edit of pictures with these factors changes by a grey level."""
    before = FACTORS | base
    there = scenes.render(before | edit, 64) - scenes.render(before, 64)
    return there.abs().amax(1) > 2 / 255


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("kind", [0, TREE, TENT, WINDMILL])
def test_replacing_or_removing_an_object_changes_its_half_of_the_land_only(side, kind):
    where = changed({side: kind}, **{side: HOUSE})
    assert (where.float().mean((1, 2)) > 0.02).all() and (where.float().mean((1, 2)) < 0.22).all()
    other = where[:, :, 32:] if side == "left" else where[:, :, :32]
    assert not other.any() and not where[:, :12].any() and not where[:, 54:].any()


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_adding_an_animal_changes_little_round_it(kind):
    where = changed({"animal": kind}, animal=0.0)
    assert (where.float().mean((1, 2)) > 0.008).all() and (where.float().mean((1, 2)) < 0.08).all()
    assert not where[:, :28].any()


def test_adding_a_boat_changes_the_lake_and_its_shore_only():
    where = changed({"boat": 1.0}, boat=0.0)
    assert (where.float().mean((1, 2)) > 0.02).all() and (where.float().mean((1, 2)) < 0.1).all()
    assert not where[:, :44].any()


@pytest.mark.parametrize("thing", ["left", "right", "boat"])
@pytest.mark.parametrize("color", [1.0, 2.0, 3.0])
def test_an_attribute_is_changed_on_its_object_only(thing, color):
    where = changed({f"{thing}_color": color}, **{f"{thing}_color": 0.0, thing: 1.0})
    mask = scenes.mask(FACTORS | {f"{thing}_color": 0.0, thing: 1.0})
    thing_there = mask == CLASSES.index("boat" if thing == "boat" else "house")
    near = torch.nn.functional.max_pool2d(thing_there.float(), 7, 1, 3) > 0
    if thing == "boat":  # its mirror in the water
        near[:, 54:] = True
    assert (where.sum((1, 2)) > 20).all() and (where & ~near).float().mean() < 1e-3


@pytest.mark.parametrize(
    ("style", "low", "high", "share"),
    [("season", 1.0, 3.0, 0.3), ("season", 0.0, 2.0, 0.3), ("time", 0.0, 2.0, 0.9),
     ("time", 0.0, 1.0, 0.9), ("weather", 0.0, 2.0, 0.9)],
)  # fmt: skip
def test_a_change_of_style_is_seen_all_over(style, low, high, share):
    where = changed({style: high}, **{style: low}).float().mean((1, 2))
    assert where.min() > share


@pytest.mark.parametrize("f", scenes.factors, ids=lambda f: f.name)
def test_every_factor_can_be_seen(f):
    base = PLAIN | ({"weather": 1.0} if f.name == "clouds_x" else {})
    base |= {"right": 1.0} if f.name == "right_color" else {}
    low, high = (scenes.render(base | {f.name: v}, 32) for v in (f.low, f.high))
    assert (low - high).abs().mean() > 0.01


def test_every_class_is_painted_and_nothing_else():
    assert scenes.sample(64, 0, 32).mask.unique().tolist() == list(range(len(CLASSES)))


@pytest.mark.parametrize("side", ["left", "right"])
def test_every_object_of_a_picture_can_be_seen_among_the_others(side):
    many = scenes.sample(200, 1, 32)
    half = many.mask[:, :, :16] if side == "left" else many.mask[:, :, 16:]
    for kind, name in enumerate(OBJECTS[1:], 1):
        pixels = (half == CLASSES.index(name)).sum((1, 2))
        here = many.factors[side] == kind
        assert (pixels[here] > 12).all() and (pixels[~here] == 0).all()
    pixels = (many.mask == CLASSES.index("animal")).sum((1, 2))
    assert (pixels[many.factors["animal"] > 0] > 10).all()
    assert (pixels[many.factors["animal"] == 0] == 0).all()


def test_a_choice_between_two_kinds_is_a_blend_of_them():
    spring, summer = (scenes.render(PLAIN | {"season": v, "left": 0}, 32) for v in (0.0, 1.0))
    between = scenes.render(PLAIN | {"season": 0.5, "left": 0}, 32)
    meadow = (slice(None), slice(None), slice(22, 24), slice(2, 6))
    whole = (summer - spring)[meadow].abs().mean()
    for end in (spring, summer):
        assert 0.3 < (between - end)[meadow].abs().mean() / whole < 0.7


def things_told(caption: str) -> Counter:
    """(colour, kind) of all that stands, floats or grazes in a caption; trees without colour."""
    found = re.findall(
        r"(two|an?) (?:(\w+) )?(?:sailing )?(house|cottage|tent|windmill|tree|boat|sheep|cow|horse)s?\b",
        caption,
    )
    told = Counter()
    for number, color, kind in found:
        kind = "house" if kind == "cottage" else kind
        color = color if kind in ("house", "tent", "windmill", "boat") else ""
        told[color, kind] += 2 if number == "two" else 1
    return told


def things_there(f: dict[str, int]) -> Counter:
    there = Counter()
    for side in ("left", "right"):
        if f[side]:
            plain = f[side] == TREE
            there["" if plain else COLORS[f[f"{side}_color"]], OBJECTS[f[side]]] += 1
    if f["boat"]:
        there[COLORS[f["boat_color"]], "boat"] += 1
    if f["animal"]:
        there["", ANIMALS[f["animal"]]] += 1
    return there


MANY = scenes.sample_factors(400, 5)
CAPTIONS = scenes.captions(MANY, 5)
ROWS = [{name: value[i].item() for name, value in MANY.items()} for i in range(400)]


def test_captions_name_all_that_is_there_and_nothing_else():
    for row, caption in zip(ROWS, CAPTIONS, strict=True):
        f = {name: round(value) for name, value in row.items()}
        assert things_told(caption) == things_there(f), caption
        assert ("empty" in caption) == (f["left"] == f["right"] == f["animal"] == 0)


def test_captions_put_things_where_they_are():
    placed = 0
    for f, caption in zip(ROWS, CAPTIONS, strict=True):
        found = re.findall(r"(\w+) (?:on|at|to) the (left|right)(?! of)", caption)
        for kind, side in found:
            placed += 1
            kind = "house" if kind == "cottage" else kind
            if kind in OBJECTS:
                assert OBJECTS[int(f[side])] == kind, caption
            else:
                x = f["sun_x"] if kind in ("sun", "moon") else f["animal_x"]
                assert (x < 0) == (side == "left"), caption
        for side in re.findall(r"on the (left|right) of the lake", caption):
            assert (f["boat_x"] < 0) == (side == "left"), caption
        if "in the middle" in caption:
            assert abs(f["animal_x"]) < 0.35, caption
    assert placed > 300


def test_colours_and_sides_go_together():
    for f, caption in zip(ROWS, CAPTIONS, strict=True):
        pattern = rf"({'|'.join(COLORS)}) (?:house|cottage|tent|windmill) \w+ the (left|right)"
        for color, side in re.findall(pattern, caption):
            assert COLORS[int(f[f"{side}_color"])] == color, caption


def test_captions_tell_season_time_and_weather_truly():
    for f, caption in zip(ROWS, CAPTIONS, strict=True):
        words = set(re.findall(r"\w+", caption))
        season, time, weather = (int(f[name]) for name in ("season", "time", "weather"))
        assert words & set(SEASONS) == {SEASONS[season]}, caption
        assert bool(words & {"night", "moon"}) == (time == 2), caption
        assert bool(words & {"sunset", "evening"}) == (time == 1), caption
        assert time == 0 or not words & {"day", "sun", "sunny", "sunshine"}, caption
        assert bool(words & {"rain", "rainy"}) == (weather == 2 and season != 3), caption
        assert bool(words & {"snow", "snowy", "falling"}) == (weather == 2 and season == 3), caption
        assert bool(words & {"cloudy", "overcast", "clouds"}) == (weather == 1), caption
        assert weather == 0 or not words & {"clear", "sunny", "sunshine"}, caption
        if "mountains" in words:
            assert ("high" in words) == (f["mountains"] > 0.5), caption


def test_captions_are_short_plain_and_of_few_words():
    assert all(8 <= len(caption.split()) <= 26 for caption in CAPTIONS)
    assert all(re.fullmatch(r"[a-z]+(,? [a-z]+)*", caption) for caption in CAPTIONS)
    assert len({word for caption in CAPTIONS for word in re.findall(r"\w+", caption)}) <= 90


def test_the_ends_of_each_range_are_drawn_and_described_and_what_lies_beyond_is_refused():
    for end, far in (("high", 1), ("low", -1)):
        last = {f.name: getattr(f, end) for f in scenes.factors}
        assert scenes.render(last, 32).isfinite().all() and scenes.captions(last)[0]
        for f in scenes.factors:
            beyond = last | {f.name: getattr(f, end) + far}
            with pytest.raises(
                ValueError, match=rf"Factor {f.name} of scenes is .*: give numbers from"
            ):
                scenes.captions(beyond)


def test_captions_vary_with_their_seed_and_tell_pictures_apart():
    again = scenes.captions(MANY, 6)
    assert sum(a == b for a, b in zip(CAPTIONS, again, strict=True)) < 0.05 * len(CAPTIONS)
    assert len(set(CAPTIONS[:64])) >= 61
    told = {tuple(sorted(re.findall(r"\w+", caption))) for caption in CAPTIONS[:64]}
    assert len(told) >= 61
