"""The captions of animals: colours, looks where there is room, and what is pronounced."""

from __future__ import annotations

import random

from .animals_drawing import PATTERNS, SPECIES
from .words import article, listed, shuffled

FUR_WORDS = ("black", "grey", "brown", "orange", "sandy")
SECOND_WORDS = ("white", "cream", "tan", "brown")
EYE_WORDS = ("amber", "green", "blue")
BACKGROUND_WORDS = ("green", "turquoise", "blue", "purple", "pink")

TURNED = 0.35  # beyond this, a caption says where the animal looks or leans
OPEN = 0.3  # beyond this, a caption says that the mouth is open
EARS = 0.4  # beyond this, a caption says that the ears are long or short
MUZZLE_WORDS = ("muzzle", "snout", "chin")
MARKING_WORDS = {
    "patch": ("a dark patch", "a patch on one eye"),
    "stripes": ("dark stripes", "stripes"),
}
POSE_WORDS = {"yaw": ("looking", "facing", "turned"), "tilt": ("leaning", "tilted", "head tilted")}
PLACES = ("on {}", "against {}", "on a {} background", "before a {} wall")
EAR_FACTORS = {"cat": "cat_ear_height", "dog": "dog_ear_length", "fox": "fox_ear_height"}
EAR_WORDS = {"cat": ("short", "tall"), "dog": ("short", "long"), "fox": ("small", "big")}


def _nearest(value: float, words: tuple[str, ...]) -> str:
    """The word of the palette's colour that is nearest to a value in [0, 1]."""
    return words[min(max(round(value * (len(words) - 1)), 0), len(words) - 1)]


def describe(factors: dict[str, float], rng: random.Random) -> str:
    """One caption for one animal: its colours, what it does where pronounced, what is behind it.

    The less it does, the more is told of its looks, so that captions are about equally long.
    """
    species = _nearest(factors["species"] / 2, SPECIES)
    fur = _nearest(factors["fur"], FUR_WORDS)
    pattern = _nearest(factors["pattern"] / 2, PATTERNS)
    doing = _doing(factors, rng)
    looks = [f"{article(_nearest(factors['second'], SECOND_WORDS))} {rng.choice(MUZZLE_WORDS)}"]
    room = 3 - len(doing) - (pattern != "plain")
    looks += _extras(factors, species, rng)[: max(room, 0)]
    animal = rng.choice((f"{fur} {species}", f"{species} with {fur} fur"))
    if pattern == "stripes" and rng.random() < 0.5:
        animal = f"striped {animal}"
    elif pattern != "plain":
        looks.append(rng.choice(MARKING_WORDS[pattern]))
    joint = ", " if " with " in animal else " with "
    told = article(animal) + joint + listed(shuffled(looks, rng))
    behind = rng.choice(PLACES).format(_nearest(factors["background"], BACKGROUND_WORDS))
    clauses = [told, *shuffled(doing, rng)]
    return ", ".join([behind, *clauses] if rng.random() < 0.3 else [*clauses, behind])


def _extras(factors: dict[str, float], species: str, rng: random.Random) -> list[str]:
    """Looks that may be told or not, the ears where they are pronounced, in a random order."""
    ears = factors[EAR_FACTORS[species]]
    extras = [f"{_nearest(factors['eye_color'], EYE_WORDS)} eyes"]
    if abs(ears) > EARS:
        extras.append(f"{EAR_WORDS[species][ears > 0]} ears")
    return shuffled(extras, rng)


def _doing(factors: dict[str, float], rng: random.Random) -> list[str]:
    """What it does, where that is pronounced: clauses that may follow any subject."""
    doing = []
    for name, verbs in POSE_WORDS.items():
        if abs(factors[name]) > TURNED:
            doing.append(f"{rng.choice(verbs)} {'right' if factors[name] > 0 else 'left'}")
    if factors["mouth_open"] > OPEN:
        doing.append(rng.choice(("mouth open", "open mouth", "tongue out")))
    elif factors["mouth_open"] == 0 and rng.random() < 0.3:
        doing.append("mouth closed")
    return doing
