"""The text-editing benchmark: pictures, what they show, what they shall show, and the right answer."""

from __future__ import annotations

import json
from typing import NamedTuple

from torch import Tensor

from ..paths import DATA
from .animals import animals
from .base import World
from .faces import faces
from .looks import looks
from .scenes import scenes

FILE = DATA / "triplets.json"
KINDS = ("replace", "add", "style", "attribute")  # of edits, as in Wu & De la Torre 2022
WORLDS = {world.name: world for world in (faces, animals, scenes, looks)}


class Triplet(NamedTuple):
    """A source picture, a source text, a target text, and the change of factors that they ask for.

    The picture is number `index` of `world.sample(n, seed)`; the edited one is of `target_world`,
    which is another only where faces become looks. No recipe has trained on any of them.
    """

    world: str
    seed: int
    index: int
    kind: str
    source: str
    target: str
    change: dict[str, float]
    target_world: str

    def factors(self) -> dict[str, Tensor]:
        """The source picture's factors, each (1,)."""
        drawn = WORLDS[self.world].sample_factors(self.index + 1, self.seed)
        return {name: value[-1:] for name, value in drawn.items()}

    def image(self, size: int = 64) -> Tensor:
        """The source picture (1, 3, size, size) in [-1, 1]."""
        return WORLDS[self.world].render(self.factors(), size)

    def counterfactual(self, size: int = 64) -> Tensor:
        """What a perfect edit would give: (1, 3, size, size) in [-1, 1]."""
        return self.edited().render(self.factors() | self.change, size)

    def edited(self) -> World:
        """The world of the edited picture."""
        return WORLDS[self.target_world]


def triplets() -> list[Triplet]:
    """The 150 of `data/triplets.json`, which `python -m lessons_lib.recipes.triplets` writes."""
    return [Triplet(**row) for row in json.loads(FILE.read_text(encoding="utf-8"))]
