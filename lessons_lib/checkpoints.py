"""`load(name)`: an embedded model, a folder, or a hub id, all behind the ε contract.

A folder is as diffusers saves it: `unet/` and `scheduler/` in a pipeline's folder, or `config.json`
and `scheduler_config.json` at its root. Weights are safetensors only. An embedded model also has a
`card.json`: recipe, figures, and the SHA-256 of each of its files, checked at each load.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import torch

from .denoisers import Denoiser, GaussianMixture, UNet, digits, two_moons_of_gaussians
from .schedule import linear_alpha_bar, scaled_linear_alpha_bar

EMBEDDED = Path(__file__).resolve().parents[1] / "data" / "checkpoints"
EXACT: dict[str, Callable[[], GaussianMixture]] = {
    "digits": digits,
    "moons": two_moons_of_gaussians,
}
WEIGHTS = "diffusion_pytorch_model.safetensors"


class CheckpointError(ValueError):
    """A model that cannot be loaded; the message says what is wrong and what to do."""


def names() -> list[str]:
    """What `load` knows without a path or a network."""
    trained = [p.parent.name for p in EMBEDDED.glob("*/card.json")]
    return sorted(EXACT) + sorted(trained)


def load(name: str | Path, device: str = "cpu") -> Denoiser:
    """The denoiser called `name`, in float32 on `device`.

    name: an embedded model (see `names()`), a folder that diffusers saved, or a hub id such as
        'google/ddpm-ema-celebahq-256', which is downloaded once and then found in the hub's cache.

    Raises CheckpointError, in one sentence, for an unknown name, a missing or corrupt file, a class
    that is not supported, or a hub that cannot be reached.
    """
    where = checked_device(device)
    if str(name) in EXACT:
        return EXACT[str(name)]()  # on the CPU, in float64, wherever the rest is
    folder = find(name)
    if (folder / "card.json").is_file():
        verify(folder)
    return _unet(folder).to(where)


def checked_device(device: str) -> torch.device:
    """The torch device, or one sentence on what there is instead."""
    try:
        wanted = torch.device(device)
        torch.empty(0, device=wanted)
    except (RuntimeError, AssertionError, NotImplementedError):
        have = ["cpu"] + ["cuda"] * torch.cuda.is_available()
        have += ["mps"] * torch.backends.mps.is_available()
        raise CheckpointError(
            f"There is no device {device!r} here: use {' or '.join(have)}."
        ) from None
    return wanted


def find(name: str | Path) -> Path:
    """The folder of a checkpoint, downloaded if it is a hub id."""
    if not isinstance(name, (str, Path)):
        raise CheckpointError(f"The checkpoint is {name!r}: give {_known()}.")
    text, path = str(name), Path(name)
    if text.startswith("~/"):
        path = path.expanduser()
    if not text:
        raise CheckpointError(f"The checkpoint's name is empty: give {_known()}.")
    if (EMBEDDED / text / "card.json").is_file() and "/" not in text:
        return EMBEDDED / text
    if path.is_dir():
        return path
    if path.is_file():
        raise CheckpointError(
            f"{path} is a file: give the folder that holds it and its config.json."
        )
    if text.count("/") == 1 and not text.startswith((".", "/", "~")):
        return _download(text)
    close = difflib.get_close_matches(text, names(), 1)
    guess = f" Did you mean {close[0]!r}?" if close else ""
    raise CheckpointError(f"There is no model {text!r}.{guess} Give {_known()}.")


def verify(folder: Path) -> None:
    """Check every file that the card lists against its SHA-256.

    Raises CheckpointError for one that is missing or differs.
    """
    listed = card(folder).get("files", {})
    for relative, wanted in listed.items():
        path = folder / relative
        if not path.is_file():
            raise CheckpointError(f"{path} is missing: restore it with `git checkout -- {path}`.")
        if digest(path) != wanted:
            raise CheckpointError(
                f"{path} is corrupt (its SHA-256 is not the card's): restore it with "
                f"`git checkout -- {path}`, or run its recipe again."
            )


def card(folder: Path) -> dict:
    """What `card.json` says of a checkpoint."""
    return _config(folder / "card.json")


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _known() -> str:
    return f"one of {', '.join(names())}, a folder, or a hub id such as google/ddpm-cifar10-32"


def _download(hub_id: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import RepositoryNotFoundError

    patterns = ["*config.json", "model_index.json", WEIGHTS, f"unet/{WEIGHTS}", "*/*config.json"]
    try:
        return Path(snapshot_download(hub_id, allow_patterns=patterns))
    except RepositoryNotFoundError:
        raise CheckpointError(
            f"The hub has no model {hub_id!r}, or it is private: check the name, or give {_known()}."
        ) from None
    except Exception as error:  # the hub's client raises many kinds when it is offline
        raise CheckpointError(
            f"{hub_id!r} is neither in the hub's cache nor can the hub be reached "
            f"({type(error).__name__}): connect once, or give {_known()}."
        ) from None


def _unet(folder: Path) -> UNet:
    home = folder / "unet" if (folder / "unet").is_dir() else folder
    config = _config(home / "config.json")
    kind = config.get("_class_name")
    if kind != "UNet2DModel":
        raise CheckpointError(
            f"{home} holds a {kind or 'model of no named class'}: this loads UNet2DModel only."
        )
    if not (home / WEIGHTS).is_file():
        raise CheckpointError(f"{home / WEIGHTS} is missing: weights must be safetensors.")
    from . import _torchvision  # noqa: F401

    from diffusers.models.unets.unet_2d import UNet2DModel  # isort: skip

    try:
        net, loaded = UNet2DModel.from_pretrained(
            home,
            torch_dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    except Exception as error:
        reason = " ".join(str(error).split()).split(". ")[0] or type(error).__name__
        raise CheckpointError(f"{home / WEIGHTS} does not load: {reason.rstrip('.:')}.") from None
    missing = loaded["missing_keys"]
    if missing:  # diffusers would go on with random numbers in their place
        raise CheckpointError(
            f"{home / WEIGHTS} lacks {len(missing)} of the network's tensors ({sorted(missing)[0]}, …): "
            "it and config.json are not of one model."
        )
    alpha_bar, prediction = _schedule(folder)
    own = card(folder) if (folder / "card.json").is_file() else {}
    unshuffle = own.get("recipe", {}).get("unshuffle", 1)
    try:
        model = UNet(net, alpha_bar, prediction, unshuffle)
    except ValueError as error:
        raise CheckpointError(f"{folder} does not load: {error}") from None
    model.world = own.get("world")
    return model


def _schedule(folder: Path) -> tuple[torch.Tensor, str]:
    """(ᾱ, what the network predicts), from the scheduler's file, ᾱ in float64."""
    paths = (folder / "scheduler" / "scheduler_config.json", folder / "scheduler_config.json")
    found = [p for p in paths if p.is_file()]
    if not found:
        raise CheckpointError(
            f"{folder} has no scheduler_config.json: the noise schedule is unknown."
        )
    config = _config(found[0])
    kinds = {"linear": linear_alpha_bar, "scaled_linear": scaled_linear_alpha_bar}
    kind = config.get("beta_schedule", "linear")
    if config.get("trained_betas") or config.get("rescale_betas_zero_snr"):
        kind = "trained_betas or rescale_betas_zero_snr"
    if kind not in kinds:
        raise CheckpointError(
            f"{found[0]} has the schedule {kind!r}: this loads {' and '.join(kinds)}."
        )
    steps = config.get("num_train_timesteps", 1000)
    ends = config.get("beta_start", 1e-4), config.get("beta_end", 0.02)
    return kinds[kind](steps, *ends), config.get("prediction_type", "epsilon")


def _config(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing: give a folder that diffusers saved.") from None
    except (OSError, ValueError) as error:  # also bytes that are no text
        raise CheckpointError(f"{path} cannot be read: {error}.") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} cannot be read: it holds no JSON object.")
    return content
