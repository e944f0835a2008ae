"""The captions of looks: a face's, in the words for robots, zombies, paintings and clowns."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

from .faces_words import TOP, caption, eye_word, hair_word, word
from .looks_drawing import nearest

LAMP_WORDS = ((0.28, "orange"), (0.72, "green"), (TOP, "blue"))
WIG_WORDS = ((0.13, "red"), (0.38, "orange"), (0.6, "yellow"), (0.87, "green"), (TOP, "blue"))


class Said(NamedTuple):
    """The words that a look's captions have; see `faces_words.caption`."""

    nouns: tuple[str, ...]
    also: tuple[str, ...]
    openings: tuple[str, ...] = ("", "", "a portrait of ")
    hair: Callable[[dict[str, float]], str] = hair_word
    eyes: Callable[[dict[str, float]], str] = eye_word


SAID = {
    "robot": Said(
        ("robot", "robot", "metal robot"), ("an antenna", "glowing eyes", "a metal face"),
        eyes=lambda f: word(f["eye_color"], LAMP_WORDS),
    ),
    "zombie": Said(("zombie", "zombie", "undead zombie"), ("green skin", "a scar", "sunken eyes")),
    "painted": Said(
        ("person", "face"), ("bold colours",),
        openings=("a painting of ", "a cubist painting of "),
    ),
    "clown": Said(
        ("clown", "clown", "circus clown"), ("a red nose", "a white face", "curls"),
        hair=lambda f: word(f["hair_color"], WIG_WORDS),
    ),
}  # fmt: skip


def describe(f: dict[str, float], rng: random.Random) -> str:
    """One caption of one face in its look."""
    said = SAID[nearest(f["look"])]
    return caption(f, rng, said.nouns, said.openings, said.hair(f), said.eyes(f), also=said.also)
