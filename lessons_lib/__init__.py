"""Latent spaces of diffusion models: one deterministic map G from a code z to an image x.

from lessons_lib import Sampler, load, worlds
g = Sampler(load("faces"), steps=50, eta=1.0)
z = g.encode(x)
x = g.decode(z)
"""

from importlib import import_module

__version__ = "0.1.0"
__all__ = ["Code", "Sampler", "load", "worlds"]


def __getattr__(name: str):
    """Each of these when it is asked for: the doctor has to run without torch, and says so."""
    home = {"Code": "code", "Sampler": "sampler", "load": "checkpoints", "worlds": "worlds"}.get(
        name
    )
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{home}")
    return module if home == name else getattr(module, name)
