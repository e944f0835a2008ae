"""The captions of faces: what is said of each factor, and in which words."""

from __future__ import annotations

import random
from collections.abc import Sequence

from .words import article, listed, shuffled

# What a caption says of a factor: the word of the first limit above its value; "" is not said.
Words = tuple[tuple[float, str], ...]
TOP = float("inf")
AGE_WORDS = ((0.33, "young"), (0.67, ""), (TOP, "old"))
SKIN_WORDS = ((0.28, "pale"), (0.38, ""), (0.64, "tanned"), (TOP, "dark"))
HAIR_WORDS = ((0.14, "black"), (0.5, "brown"), (0.82, "red"), (TOP, "blond"))
LENGTH_WORDS = ((0.33, "short"), (0.67, ""), (TOP, "long"))
BEARD_WORDS = ((0.05, "no"), (0.3, ""), (0.65, "a"), (TOP, "a full"))
GLASSES_WORDS = ((0.05, "no"), (0.5, ""), (TOP, "some"))
MOOD_WORDS = ((-0.35, "frown"), (0.35, ""), (TOP, "smile"))
BROW_WORDS = ((-0.5, "angry"), (0.5, ""), (TOP, "raised"))
MOUTH_WORDS = ((0.05, "closed"), (0.35, ""), (TOP, "open"))
EYE_WORDS = ((0.28, "brown"), (0.72, "green"), (TOP, "blue"))
SHIRT_WORDS = ((0.13, "blue"), (0.38, "green"), (0.62, "yellow"), (0.88, "red"), (TOP, "purple"))
BACKGROUND_WORDS = (
    (0.27, "blue"), (0.44, "purple"), (0.64, "pink"), (0.8, "orange"), (0.91, "yellow"),
    (TOP, "green"),
)  # fmt: skip
GREY = 0.7  # the age from which hair is called grey
MOST_WORDS = 22

WORDINGS = {  # of a trait: adjectives, features
    "smile": (("smiling", "smiling", "happy"), ("a smile",)),
    "frown": (("frowning", "frowning", "sad"), ("a frown",)),
    "angry": (("angry",), ("angry brows",)),
    "angry, smile": ((), ("angry brows",)),
    "raised": ((), ("raised brows",)),
    "young": (("young",), ()),
    "old": (("old", "old", "elderly"), ()),
    "pale": (("pale",), ("pale skin",)),
    "tanned": (("tanned",), ("tanned skin",)),
    "dark": ((), ("dark skin",)),
}

PATTERNS = (
    "{subject} with {features}, {place}",
    "{subject} with {features}, {place}",
    "{place}, {subject} with {features}",
    "{subject} {place}, with {features}",
    "{subject}, {commas}, {colour} background",
)
PLACES = ("on {} background", "against {} background", "in front of {} wall", "against {} wall")


def word(value: float, words: Words) -> str:
    """The word of the first limit above `value`."""
    return next(said for limit, said in words if value < limit)


def caption(
    f: dict[str, float],
    rng: random.Random,
    nouns: Sequence[str],
    openings: Sequence[str],
    hair: str,
    eyes: str,
    skin: str = "",
    also: Sequence[str] = (),
) -> str:
    """A sentence of 8 to 22 words about a face: all of it true, with what is pronounced said first.

    nouns, openings: what the face may be called, and what may come before that.
    hair, eyes, skin: the words of their colours; without one, the skin is not spoken of.
    also: features of every such face, which may be said.
    """
    adjectives, features = _traits(f, rng, skin)
    details = shuffled([f"{eyes} eyes", *_details(f), *also], rng)
    features = _worn(f, hair) + features
    features += details[: max(3 - len(features), rng.randint(0, 3))]
    subject = rng.choice(openings) + article(" ".join([*adjectives, rng.choice(nouns)]))
    colour = word(f["background"], BACKGROUND_WORDS)
    pattern, place = rng.choice(PATTERNS), rng.choice(PLACES).format(article(colour))
    while True:
        said = shuffled(features, rng)
        text = pattern.format(
            subject=subject, features=listed(said), commas=", ".join(said),
            place=place, colour=colour,
        )  # fmt: skip
        if len(text.split()) <= MOST_WORDS:
            return text
        features.pop()


def _traits(f: dict, rng: random.Random, skin: str) -> tuple[list[str], list[str]]:
    """Adjectives and features that say the mood, brows, age and skin."""
    adjectives, features = [], []
    mood, brows = word(f["smile"], MOOD_WORDS), word(f["brows"], BROW_WORDS)
    if (brows, mood) == ("angry", "smile"):
        brows = "angry, smile"
    for trait in filter(None, (mood, brows, word(f["age"], AGE_WORDS), skin)):
        before, after = WORDINGS[trait]
        said = rng.choice(before + after)
        (adjectives if said in before else features).append(said)
    return adjectives, features


def _worn(f: dict, hair: str) -> list[str]:
    """Hair, glasses and beard."""
    features = [" ".join(filter(None, (word(f["hair_length"], LENGTH_WORDS), hair, "hair")))]
    features += ["glasses"] if word(f["glasses"], GLASSES_WORDS) == "some" else []
    beard = word(f["beard"], BEARD_WORDS)
    return features + ([f"{beard} beard"] if beard not in ("", "no") else [])


def _details(f: dict) -> list[str]:
    """What a caption may leave out: shirt, mouth, and what is not there."""
    mouth = word(f["mouth_open"], MOUTH_WORDS)
    details = [f"a {word(f['shirt'], SHIRT_WORDS)} shirt"]
    details += ["an open mouth"] if mouth == "open" else []
    details += ["a closed mouth"] if mouth == "closed" and f["smile"] < 0 else []
    details += ["no glasses"] if word(f["glasses"], GLASSES_WORDS) == "no" else []
    return details + (["no beard"] if word(f["beard"], BEARD_WORDS) == "no" else [])


def hair_word(f: dict[str, float]) -> str:
    """The colour of the hair: grey with age."""
    return "grey" if f["age"] > GREY else word(f["hair_color"], HAIR_WORDS)


def eye_word(f: dict[str, float]) -> str:
    """The colour of the eyes."""
    return word(f["eye_color"], EYE_WORDS)


def describe(f: dict[str, float], rng: random.Random) -> str:
    """One caption of one face."""
    nouns, openings = ("person", "person", "face"), ("", "", "a portrait of ")
    skin = word(f["skin"], SKIN_WORDS)
    return caption(f, rng, nouns, openings, hair_word(f), eye_word(f), skin)
