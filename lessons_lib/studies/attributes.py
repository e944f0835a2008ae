"""The edits of faces that this project trains: what is said for each, and what it should change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from ..code import Code
from ..denoisers import Denoiser
from ..encoder import invert
from ..methods.asyrp import Attention, Conv
from ..sampler import Sampler
from ..worlds import WORLDS

# At which an edit is drawn, and its linearity measured; 0 is none.
SCALES = (-1.0, -0.5, 0.0, 0.5, 1.0)

Factors = dict[str, Tensor]  # name -> (N,)


class Attribute(NamedTuple):
    """What to say for an edit, and what it should change.

    wanted: the factors of the true counterfactual, from the source's; or look, the kind of picture
    that it should become. first, last: the editing interval in training times; l1_weight: of the
    pictures' change, against 2 for the reach. As in the paper, both are found for each attribute. decay: of
    f_t's weights. l1_through: the price of change in a second training, THROUGH the interval; 0 for none.
    strength: what Δh is multiplied by at the end. A high price makes an edit clean, and short.
    """

    source: list[str]
    target: list[str]
    wanted: Callable[[Factors], Factors] | None = None
    look: str = ""
    first: int = 450
    last: int = 50
    l1_weight: float = 5.0
    decay: float = 0.0
    l1_through: float = 0.0
    strength: float = 1.0


# Of each attribute, for its card.
CHOSEN = "first", "last", "l1_weight", "decay", "l1_through", "strength"


class Form(NamedTuple):
    """kind: of f_t. end: of a direction's name. latent_rate: the learning rate in the h of a latent model, of
    those tried (0.012, 0.025, 0.05 and 0.003, 0.006, 0.012) the one whose *tanned* achieves nearest to 1."""

    kind: type[Conv | Attention]
    end: str
    latent_rate: float


FORMS_OF = {"conv": Form(Conv, "", 1.2e-2), "attention": Form(Attention, "-attention", 6e-3)}


def pairs(source: str, target: str) -> tuple[list[str], list[str]]:
    """The same two phrases in a few sentences."""
    frames = (
        "{}", "a portrait of {} against a green wall", "{} on a blue background",
        "{} with a red shirt, on a pink background",
    )  # fmt: skip
    return [f.format(source) for f in frames], [f.format(target) for f in frames]


def to(name: str, value: float) -> Callable[[Factors], Factors]:
    """The factor at this value, everywhere."""
    return lambda factors: {name: torch.full_like(factors[name], value)}


def tanned(factors: Factors) -> Factors:
    """Skin at least tanned, as captions call it from 0.38 to 0.64: what is darker stays."""
    return {"skin": factors["skin"].clamp_min(0.6)}


MIDDLE = 500, 200, 5.0, 1.0, 5.0  # what is there, and changes
ADDED = 600, 200, 8.0, 1.0  # what is not there at all before
STRONG = 600, 100, 3.0  # and what is unlike any face
# Of these smiling, old, glasses and zombie were trained and looked at for faces of 64 pixels; the others take
# over their settings, untried.
ATTRIBUTES = {
    "smiling": Attribute(
        *pairs("a frowning person", "a smiling person"), to("smile", 1.0), "", *MIDDLE,
        strength=1.7,
    ),
    "sad": Attribute(
        *pairs("a happy person", "a sad person"), to("smile", -1.0), "", *MIDDLE, strength=1.6
    ),
    "angry": Attribute(
        *pairs("a person with raised brows", "an angry person with angry brows"), to("brows", -1.0),
        "", *MIDDLE,
    ),
    "tanned": Attribute(
        *pairs("a person with pale skin", "a person with dark tanned skin"), tanned, "", *MIDDLE,
        strength=1.6,
    ),
    "old": Attribute(
        *pairs("a young person", "an elderly person with grey hair"), to("age", 1.0), "", *MIDDLE[:2],
        l1_weight=4.3, decay=1.0, l1_through=4.0, strength=2.2,
    ),
    "young": Attribute(
        *pairs("an old person", "a young person"), to("age", 0.0), "", *MIDDLE,
        strength=1.6,
    ),
    "glasses": Attribute(
        *pairs("a person with no glasses", "a person with glasses"), to("glasses", 1.0), "", *ADDED,
        strength=0.7,
    ),
    "beard": Attribute(
        *pairs("a person with no beard", "a person with a full beard"), to("beard", 1.0), "", *ADDED
    ),
    "robot": Attribute(*pairs("a person", "a robot"), None, "robots", *STRONG),
    "zombie": Attribute(*pairs("a person", "a zombie"), None, "zombies", *STRONG),
    "clown": Attribute(*pairs("a person", "a clown"), None, "clowns", *STRONG),
}  # fmt: skip

# In the h of a latent model, where other intervals serve: what differs.
WIDE = {
    "first": 800, "last": 150, "l1_weight": 2.5, "decay": 0.0, "l1_through": 0.0, "strength": 1.0,
}  # fmt: skip
LATENT = {name: attribute._replace(**WIDE) for name, attribute in ATTRIBUTES.items()}


@dataclass(frozen=True)
class Settings:
    """How every direction is trained; see `methods.training.training`.

    The paper's own: 40 steps, 1,000 images once, from T on, 0.8 and 3 cos(texts) for the pictures'
    change, no reach, and no second training. rounds_through: of that, where an attribute asks for it.
    """

    images: int = 128
    steps: int = 20
    rounds: int = 24
    batch: int = 16
    rate: float = 6e-3
    clip_weight: float = 0.4
    reach_weight: float = 2.0
    rounds_through: int = 100


# For a latent model: each step's loss goes through the codec's decoder, which costs more than the rest.
LATENT_SETTINGS = Settings(images=32, steps=10, rounds=16, batch=4, reach_weight=4.0)


def settings_of(model: Denoiser, form: Form, given: dict) -> Settings:
    """How a direction of this form is trained on a model of pictures or of latents, but for what is given."""
    usual = Settings() if model.codec is None else replace(LATENT_SETTINGS, rate=form.latent_rate)
    return replace(usual, **given)


def cond_of(model: Denoiser, captions: list[str] | None) -> Tensor | None:
    """The condition of a model that reads texts: what is true of the pictures; None for any other."""
    return model.prompts(captions) if model.prompts and captions else None


def codes(
    sampler: Sampler, images: Tensor, refine: int = 0, at_once: int = 32, cond: Tensor | None = None
) -> Code:
    """x_T of pictures (N, 3, S, S), by DDIM inversion; of a latent model, of its codec's latents of them."""
    parts = []
    for i in range(0, len(images), at_once):
        x = images[i : i + at_once]
        part = None if cond is None else cond[i : i + at_once]
        z, _ = invert(sampler, sampler.denoiser.latents(x), part, refine=refine)
        parts.append(z.x_T)
    return Code(torch.cat(parts))


@torch.no_grad()
def shown(sampler: Sampler, x: Tensor) -> Tensor:
    """The pictures (…, 3, H, W) of a model's x (…, *shape), in [-1, 1]."""
    flat = sampler.denoiser.pictures(x.flatten(0, -4)).float().clamp(-1, 1)
    return flat.view(*x.shape[:-3], *flat.shape[1:])


def goal(attribute: Attribute, factors: Factors, size: int) -> Tensor:
    """The true counterfactual pictures (N, 3, size, size): the wanted factors changed, or the look."""
    if attribute.wanted is None:
        return WORLDS[attribute.look].render(factors, size)
    return WORLDS["faces"].render({**factors, **attribute.wanted(factors)}, size)
