"""Procedural image distributions with known factors: image, factors, mask and caption for a seed."""

from .animals import animals, cats, dogs, wild
from .base import Batch, Factor, World
from .faces import faces
from .looks import clowns, looks, paintings, robots, zombies
from .scenes import scenes
from .triplets import Triplet, triplets

WORLDS = {
    world.name: world
    for world in (
        faces, animals, cats, dogs, wild, scenes, looks, robots, zombies, paintings, clowns,
    )
}  # fmt: skip

__all__ = ["WORLDS", "Batch", "Factor", "Triplet", "World", "triplets", *WORLDS]
