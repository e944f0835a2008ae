"""The `looks` world: the faces of `faces` as robots, zombies, paintings and clowns.

batch = faces.sample(16, seed=0)
zombies.render(batch.factors)  # the true counterfactual: the same faces, as zombies
"""

from __future__ import annotations

from .base import Factor, World
from .faces import FACTORS
from .looks_drawing import CLASSES, LOOKS, draw
from .looks_words import describe

FACTOR = Factor.choice("look", "look", tuple(LOOKS))
looks = World("looks", (*FACTORS, FACTOR), CLASSES, draw, describe)
robots, zombies, paintings, clowns = (
    looks.where(name, look=number)
    for number, name in enumerate(("robots", "zombies", "paintings", "clowns"))
)
