"""The grammar that captions are made of: each part is picked, so that wording varies."""

from __future__ import annotations

import random
from collections.abc import Sequence


def listed(parts: Sequence[str]) -> str:
    """'a', 'a and b', 'a, b and c'."""
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def article(noun: str) -> str:
    """'an old house', 'a red boat'."""
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def level(value: float, words: Sequence[str], low: float = 0.0, high: float = 1.0) -> str:
    """The word for a value in [low, high], which the words divide evenly."""
    place = int((value - low) / (high - low) * len(words))
    return words[min(max(place, 0), len(words) - 1)]


def shuffled(parts: Sequence[str], rng: random.Random) -> list[str]:
    """The parts in a random order."""
    return rng.sample(list(parts), len(parts))
