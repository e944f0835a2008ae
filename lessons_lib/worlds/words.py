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


def shuffled(parts: Sequence[str], rng: random.Random) -> list[str]:
    """The parts in a random order."""
    return rng.sample(list(parts), len(parts))
