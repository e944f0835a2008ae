"""The captions of scenes: every object with its colour and place, season, time and weather."""

from __future__ import annotations

import random

from .words import article, listed, shuffled

SEASONS = ("spring", "summer", "autumn", "winter")
TIMES = ("day", "sunset", "night")
WEATHERS = ("clear", "cloudy", "rain")
OBJECTS = ("none", "house", "tree", "tent", "windmill")
ANIMALS = ("none", "sheep", "cow", "horse")
COLORS = ("red", "blue", "yellow", "white")
KINDS = {
    "season": SEASONS, "time": TIMES, "weather": WEATHERS, "left": OBJECTS, "right": OBJECTS,
    "animal": ANIMALS, "boat": ("none", "boat"),
    "left_color": COLORS, "right_color": COLORS, "boat_color": COLORS,
}  # fmt: skip


def describe(factors: dict[str, float], rng: random.Random) -> str:
    """One caption of 8 to 26 words: sentences are made until one has that length."""
    sentence = _sentence(factors, rng)
    while not 8 <= len(sentence.split()) <= 26:
        sentence = _sentence(factors, rng)
    return sentence


def _sentence(factors: dict[str, float], rng: random.Random) -> str:
    """Things and setting, in one of seven orders."""
    f = {g: min(max(round(factors[g]), 0), len(kinds) - 1) for g, kinds in KINDS.items()}
    parts = _things(factors, f, rng) + _surroundings(factors, f, rng)
    things = listed(parts if rng.random() < 0.5 else shuffled(parts, rng))
    setting, occasion = _setting(f, rng), article(_occasion(f, rng))
    picture = rng.choice(("a landscape with", "a picture of", "a scene with"))
    return rng.choice(
        (
            f"{things}, {setting}",
            f"{setting}, {things}",
            f"{occasion} with {things}",
            f"{things}, on {occasion}",
            f"on {occasion}, {things}",
            f"{picture} {things}, {setting}",
            ", ".join((*_tags(f, rng), things)),
        )
    )


def _name(f: dict[str, int], thing: str, rng: random.Random) -> str:
    """What a slot, the animal or the boat is, with its colour: 'red house', 'spotted cow', ''."""
    if thing == "boat":
        return f"{COLORS[f['boat_color']]} {rng.choice(('boat', 'boat', 'sailing boat'))}"
    if thing == "animal":
        coat = ("white", "spotted", "brown")[f["animal"] - 1]
        return rng.choice(("", coat + " ")) + ANIMALS[f["animal"]]
    if f[thing] == OBJECTS.index("tree"):
        return (
            rng.choice(("", "", ("pink", "green", "orange", "white")[f["season"]] + " ")) + "tree"
        )
    kind = rng.choice(("house", "house", "cottage")) if f[thing] == 1 else OBJECTS[f[thing]]
    return f"{COLORS[f[thing + '_color']]} {kind}"


def _things(factors: dict[str, float], f: dict[str, int], rng: random.Random) -> list[str]:
    """Every object, as 'a red house on the left'."""
    side, parts = rng.choice(("on", "at", "to")), []
    slots = [slot for slot in ("left", "right") if f[slot]]
    names = [_name(f, slot, rng) for slot in slots]
    tree = f["left"] == OBJECTS.index("tree")
    twins = f["left"] == f["right"] > 0 and (tree or f["left_color"] == f["right_color"])
    placed = rng.random() < 0.75
    if twins and not placed:
        parts.append(f"two {names[0]}s")
    else:
        told = (f" {side} the {slot}" if placed else "" for slot in slots)
        parts += [article(name) + where for name, where in zip(names, told, strict=True)]
    if f["animal"]:
        x = factors["animal_x"]
        where = "in the middle" if abs(x) < 0.35 else f"{side} the {'left' if x < 0 else 'right'}"
        parts.append(article(_name(f, "animal", rng)) + rng.choice(("", f" {where}")))
    if f["boat"]:
        x, lake = factors["boat_x"], rng.choice(("lake", "water"))
        places = ["", f" on the {lake}"]
        if abs(x) > 0.35:
            places.append(f" on the {'left' if x < 0 else 'right'} of the lake")
        parts.append(article(_name(f, "boat", rng)) + rng.choice(places))
    return parts


def _surroundings(factors: dict[str, float], f: dict[str, int], rng: random.Random) -> list[str]:
    """Now and then the mountains, the sun or moon; what there is where nothing stands."""
    parts, x = [], factors["sun_x"]
    if abs(factors["mountains"] - 0.5) > 0.15 and rng.random() < 0.3:
        parts.append(("low" if factors["mountains"] < 0.5 else "high") + " mountains")
    if abs(x) > 0.35 and TIMES[f["time"]] != "sunset" and f["weather"] < 2 and rng.random() < 0.25:
        orb = "moon" if TIMES[f["time"]] == "night" else "sun"
        parts.append(f"the {orb} on the {'left' if x < 0 else 'right'}")
    if not (f["left"] or f["right"] or f["animal"]):
        parts.append(f"an empty meadow{rng.choice(('', ' by the lake'))}")
    return parts


def _weather(f: dict[str, int], words: dict[str, tuple[str, ...]], rng: random.Random) -> str:
    """A word for the weather, among those for its kind; '' may say that it is clear."""
    kind = WEATHERS[f["weather"]]
    if kind == "rain" and SEASONS[f["season"]] == "winter":
        kind = "snow"
    if kind == "clear" and TIMES[f["time"]] == "day":
        kind = "sunny"
    return rng.choice(words[kind])


def _setting(f: dict[str, int], rng: random.Random) -> str:
    """'in winter at night in falling snow'."""
    time = rng.choice(
        (("", " by day"), (" at sunset", " in the evening"), (" at night",))[f["time"]]
    )
    words = {
        "sunny": ("", "", " in sunshine", " under a clear sky"),
        "clear": ("", " under a clear sky"),
        "cloudy": (" under clouds", " under a cloudy sky"),
        "rain": (" in the rain",),
        "snow": (" in falling snow", " in the snow"),
    }
    return f"in {SEASONS[f['season']]}{time}{_weather(f, words, rng)}"


def _occasion(f: dict[str, int], rng: random.Random) -> str:
    """'rainy summer evening'."""
    words = {
        "sunny": ("", "sunny ", "clear "),
        "clear": ("", "clear "),
        "cloudy": ("cloudy ", "overcast "),
        "rain": ("rainy ",),
        "snow": ("snowy ",),
    }
    return (
        _weather(f, words, rng) + f"{SEASONS[f['season']]} {('day', 'evening', 'night')[f['time']]}"
    )


def _tags(f: dict[str, int], rng: random.Random) -> list[str]:
    """'winter', 'night', 'snow', in any order."""
    words = {
        "sunny": ("", "sunny", "clear"),
        "clear": ("", "clear"),
        "cloudy": ("cloudy", "overcast"),
        "rain": ("rain", "rainy"),
        "snow": ("falling snow", "snowy"),
    }
    parts = (SEASONS[f["season"]], TIMES[f["time"]], _weather(f, words, rng))
    return shuffled([part for part in parts if part], rng)
