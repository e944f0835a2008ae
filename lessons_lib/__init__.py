"""Latent spaces of diffusion models: one deterministic map G from a code z to an image x.

from lessons_lib import Sampler, load, worlds
g = Sampler(load("faces"), steps=50, eta=1.0)
z = g.encode(x)
x = g.decode(z)
"""

from .checkpoints import load
from .code import Code
from .sampler import Sampler

__version__ = "0.1.0"
__all__ = ["Code", "Sampler", "load", "worlds"]
