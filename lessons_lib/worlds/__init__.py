"""Procedural image distributions with known factors: image, factors, mask and caption for a seed."""

from .base import TRAIN_SEEDS, Batch, Factor, World
from .faces import faces

WORLDS = {world.name: world for world in (faces,)}

__all__ = ["TRAIN_SEEDS", "WORLDS", "Batch", "Factor", "World", "faces"]
