"""Guidance by text on the families of generators: what is asked for, and how well it is met."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..checkpoints import load
from ..denoisers import Guided
from ..judges import metrics
from ..judges.counterfactual import readings
from ..judges.evaluators import Clip, Critic
from ..methods.energies import Look, by_text
from ..methods.guidance import Chains, flat, sample
from ..methods.rivals import classifier_guidance
from ..methods.training_free import Guide, best_of, calls_of, guided
from ..models.families import Autoencoder
from ..paths import held_out_seed
from ..sampler import Sampler, usual
from ..worlds import WORLDS
from .inputs import SAID, told


class Wish(NamedTuple):
    """What is asked for, and from which value of a factor on the captions of faces say so."""

    text: str
    factor: str
    least: float

    def met(self, read: dict[str, Tensor]) -> Tensor:
        """Of readings (B,), whether each picture has it."""
        return read[self.factor] >= self.least


WISHES = {
    "smile": Wish("a smiling person", "smile", 0.35),
    "glasses": Wish("a person with glasses", "glasses", 0.5),
    "beard": Wish("a person with a beard", "beard", 0.3),
}
# Steps of G: a few are enough for a chain.
FAMILIES = {"t2i": 6, "faces-ae": 6, "faces-gan": 4, "faces-sn": 6}


class Family(NamedTuple):
    """A generator of faces, with the condition that it must be given, if any."""

    sampler: Sampler
    cond: Tensor | None = None


def family(
    name: str, device: str = "cpu", steps: int | None = None, prompt: str | int = ""
) -> Family:
    """A family by its name, or any other model of faces; in `steps`, or a few.

    prompt: what it draws, a text or a label, as of `load`; of a model that reads texts '' is `SAID`.
    Raises ValueError for a model that must be given a label, and is given none.
    """
    model = load(name, device)
    if model.prompts is not None:
        cond = model.prompts([str(prompt) or SAID])
    else:
        model, cond = told(model, name, prompt), None
    return Family(usual(model, steps or FAMILIES.get(name, 6)), cond)


def unguided(g: Family, n: int, seed: int) -> Tensor:
    """Pictures (n, 3, H, W) of `n` codes."""
    z = g.sampler.draw(n, seed)
    return g.sampler.denoiser.pictures(g.sampler.decode(z, cond=g.cond)).float()


def chain(
    g: Family, clip: Clip, text: str, weight: float, n: int, rounds: int, **settings
) -> Chains:
    """Chains under a text, by pCN-Langevin."""
    return sample(g.sampler, by_text(clip, text), weight, n, rounds, cond=g.cond, **settings)


def drawn(chains: Chains) -> Tensor:
    """The pictures (B, 3, H, W) where chains are now: one draw of each."""
    return chains.here[2].pictures.float()


def scores(
    images: Tensor, wish: Wish, free: Tensor, critic: Critic, judge: Clip
) -> dict[str, Tensor | float]:
    """How well pictures (B, 3, H, W) meet a wish, beside unguided ones.

    met: (B,), by the critic's reading. judged: (B,), cosines by an encoder that guided nothing. diversity:
    the mean distance between two pictures, in the critic's features, over that of unguided ones.
    """
    read = readings(images, "faces", critic)
    return {
        "met": wish.met(read).float(),
        "judged": metrics.s_clip(images, wish.text, judge),
        "diversity": apart(images, critic) / apart(free, critic),
    }


def apart(images: Tensor, critic: Critic) -> float:
    """The mean distance of two of the pictures, in the critic's features."""
    return torch.pdist(metrics.features(images, critic)).mean().item()


def told_by(model: Autoencoder, n: int, seed: int) -> dict[str, float]:
    """R² of each true factor of faces from z_sem: by a linear reading learnt on `n` pictures, on others."""
    from sklearn.linear_model import RidgeCV

    world, side = WORLDS["faces"], model.shape[-1]
    seen, new = (world.sample(n, held_out_seed("guidance", seed + i), side) for i in (100, 101))
    codes = [
        torch.cat([model.semantics(part) for part in batch.image.split(64)]).numpy()
        for batch in (seen, new)
    ]
    found = {}
    for f in world.factors:
        reading = RidgeCV(alphas=(0.1, 1.0, 10.0, 100.0)).fit(codes[0], seen.factors[f.name])
        found[f.name] = float(reading.score(codes[1], new.factors[f.name]))
    return found


def norm(chains: Chains) -> Tensor:
    """‖z‖²/d of each chain where it is now, (B,)."""
    return flat(chains.z).square().mean(1)


def calls(steps: int, rounds: int, refresh: int = 10) -> int:
    """Network calls a picture of a chain: forwards and backwards, with a second look where the
    augmentations are drawn anew."""
    return 2 * steps * (rounds + -(-rounds // refresh))


def rivals(
    g: Family, energy: Look, weight: float, how: dict[str, Guide], budget: int, n: int, seed: int,
    choose: bool = True,
) -> dict[str, Tensor]:  # fmt: skip
    """Pictures (n, 3, H, W) by best-of-N (if `choose`) and by TFG's settings, each at about `budget` calls a
    picture.

    A guide's steps are as many as its calls allow, up to all of the model's times.
    """
    steps = len(g.sampler.schedule)
    made = {}
    if choose:
        z, _ = best_of(g.sampler, energy, max(1, budget // steps), n, seed, cond=g.cond)
        made[f"best of {budget // steps}"] = g.sampler.decode(z, cond=g.cond)
    for name, guide in how.items():
        longest = len(g.sampler.denoiser.alpha_bar)
        longer = Sampler(
            g.sampler.denoiser, min(longest, budget // calls_of(guide, 1)), g.sampler.eta
        )
        made[name] = guided(longer, energy, weight, guide, longer.draw(n, seed), seed, g.cond)
    return {name: g.sampler.denoiser.pictures(x).float() for name, x in made.items()}


def by_classifier(
    g: Family, clip: Clip, text: str, scale: float, budget: int, n: int, seed: int
) -> Tensor:
    """Pictures (n, 3, H, W) by classifier guidance, `SAID` against the text, at `budget` calls each."""
    model = g.sampler.denoiser
    longer = Sampler(model, min(len(model.alpha_bar), budget // 2), g.sampler.eta)
    edit = classifier_guidance(clip, [SAID], [text], scale, len(model.alpha_bar) - 1)
    return model.pictures(longer.decode(longer.draw(n, seed), edit, g.cond)).float()


def without_classifier(
    text: str, scale: float, budget: int, n: int, seed: int, name: str = "t2i"
) -> Tensor:
    """Pictures (n, 3, H, W) of a model that reads the text itself, by classifier-free guidance; more than 50
    steps do not change them."""
    model = load(name)
    g = Sampler(Guided(model, scale, model.prompts.empty), min(50, budget // 2))
    return model.pictures(g.decode(g.draw(n, seed), cond=model.prompts([text]))).float()
