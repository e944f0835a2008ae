"""ᾱ of a scheduler file, by diffusers' own class for it."""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from typing import NamedTuple

import torch

from ..cards import CheckpointError, no_load, read_json
from ..checks import whole
from ..schedule import checked_alpha_bar, linear_alpha_bar, scaled_linear_alpha_bar

# What a scheduler's file says of the noise that a network knows; the rest of it says how to sample.
OF_THE_NOISE = (
    "num_train_timesteps", "beta_schedule", "beta_start", "beta_end", "trained_betas",
    "rescale_betas_zero_snr", "prediction_type",
)  # fmt: skip
LEAST = 1e-12  # of ᾱ for a network that predicts ε: P magnifies the rounding of its ε by 1/√ᾱ
FORMULAS = {"linear": linear_alpha_bar, "scaled_linear": scaled_linear_alpha_bar}


class Noise(NamedTuple):
    """What a network knows of noise: ᾱ (T,) float64, what it predicts, and whether it learnt a variance."""

    alpha_bar: torch.Tensor
    prediction: str
    learned_range: bool


def noise_schedule(folder: Path) -> Noise:
    """What the scheduler's file in a checkpoint says.

    Raises CheckpointError, in one sentence, for a file that is missing, or whose class has no ᾱ.
    """
    paths = (folder / "scheduler" / "scheduler_config.json", folder / "scheduler_config.json")
    found = [p for p in paths if p.is_file()]
    if not found:
        raise CheckpointError(
            f"{folder} has no scheduler_config.json: the noise schedule is unknown."
        )
    config = read_json(found[0])
    try:
        theirs = _scheduler(config)
        prediction = theirs.config.get("prediction_type", "epsilon")
        alpha_bar = checked_alpha_bar(_off_zero(_alpha_bar(theirs), prediction))
        return Noise(alpha_bar, prediction, theirs.config.get("variance_type") == "learned_range")
    except Exception as error:  # diffusers' classes raise many kinds
        raise no_load(found[0], error) from None


def _scheduler(config: dict):
    """diffusers' own scheduler of the class and the settings in a file."""
    from .. import _torchvision  # noqa: F401

    from diffusers import schedulers  # isort: skip

    named = config.get("_class_name", "DDPMScheduler")
    kind = getattr(schedulers, str(named), None)  # imports the module of this class alone
    if not isinstance(kind, type):
        raise ValueError(
            f"diffusers has no scheduler {named!r} here: name one such as DDIMScheduler"
        )
    steps = config.get("num_train_timesteps", 1)
    if not whole(steps, 1):
        raise ValueError(f"num_train_timesteps is {steps!r}: give a whole number from 1")
    taken = signature(kind).parameters
    unread = [name for name in OF_THE_NOISE if config.get(name) and name not in taken]
    try:
        theirs = kind(**{name: value for name, value in config.items() if name in taken})
    except NotImplementedError:
        raise ValueError(
            f"{named} knows no beta_schedule {config.get('beta_schedule')!r}: it may be linear, "
            "scaled_linear or squaredcos_cap_v2"
        ) from None
    except Exception as error:
        raise ValueError(f"{named} does not take what it says: {error}") from None
    if unread and hasattr(theirs, "alphas_cumprod"):
        raise ValueError(
            f"{named} does not read {unread[0]}: name a class that does, or leave it out"
        )
    return theirs


def _alpha_bar(theirs) -> torch.Tensor:
    """A scheduler's ᾱ in float64, if it has any; by our formula where diffusers' is that in float32."""
    config, own = theirs.config, getattr(theirs, "alphas_cumprod", None)
    other = config.get("use_flow_sigmas") or config.get("timestep_type") == "continuous"
    if not isinstance(own, torch.Tensor) or other:
        raise ValueError(
            f"{type(theirs).__name__}, as it is set here, has no list of ᾱ by whole times (flow matching, "
            "EDM and consistency models have none): this loads those that do, such as DDIMScheduler"
        )
    own, formula = own.double(), FORMULAS.get(config.get("beta_schedule"))
    if formula is None or config.get("trained_betas") or config.get("rescale_betas_zero_snr"):
        return own
    exact = formula(config.num_train_timesteps, config.beta_start, config.beta_end)
    same = torch.allclose(exact, own, rtol=0, atol=1e-5)  # not where a class shifts it: CogVideoX's
    return exact if same else own


def _off_zero(alpha_bar: torch.Tensor, prediction: str) -> torch.Tensor:
    """ᾱ that ends above 0, where P = (x - √(1-ᾱ) ε) / √ᾱ has a meaning; see `load`."""
    least = 2.0**-24  # what some of diffusers' classes write for 0
    zero = alpha_bar[-1] in (0.0, least)
    if prediction == "epsilon" and (zero or alpha_bar[-1] < LEAST):
        raise ValueError(
            f"at its last time ᾱ is {0 if zero else f'{alpha_bar[-1].item():.0e}'}, where x is noise alone, "
            "so that a network that predicts the noise (epsilon) says nothing of the image there: it must "
            "predict v_prediction or sample, or β must be smaller"
        )
    if not zero:
        return alpha_bar
    last = min(least, alpha_bar[-2].item() / 4)
    return torch.cat([alpha_bar[:-1], alpha_bar.new_tensor([last])])
