"""Cards: what is said of a checkpoint beside its files, in one format, with one reader and one writer.

Networks of our own classes lie beside a card as `config.json` and `model.safetensors`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from textwrap import shorten

from torch import Tensor, nn

from .paths import CARD, whole, write_whole

FORMAT = 1  # of cards
OWN_WEIGHTS = "model.safetensors"
# The kinds of checkpoint that are no denoiser, by their card, and what loads them.
LOADERS = {
    "critic": "judges.evaluators.load_critic",
    "clip": "judges.evaluators.load_clip",
    "translator": "methods.translators.load_translator",
    "domains": "methods.translators.load_domains",
    "direction": "methods.asyrp.load_edit",
}


class CheckpointError(ValueError):
    """A model that cannot be loaded; the message says what is wrong and what to do."""


def verify(folder: Path) -> None:
    """Check every file that the card lists against its SHA-256.

    Raises CheckpointError for one that is missing or differs.
    """
    listed = card(folder).get("files", {})
    for relative, wanted in listed.items():
        path = Path(os.path.normpath(folder / relative))  # a view's files are its network's
        if not path.is_file():
            raise CheckpointError(f"{path} is missing: restore it with `git checkout -- {path}`.")
        if digest(path) != wanted:
            raise CheckpointError(
                f"{path} is corrupt (its SHA-256 is not the card's): restore it with "
                f"`git checkout -- {path}`, or run its recipe again."
            )


def card(folder: Path) -> dict:
    """What its card says of a checkpoint.

    Raises CheckpointError for one that is missing, that is no JSON object, or whose format is not the one
    that this version reads. A card without a number is older than these, and of format 1.
    """
    said = read_json(folder / CARD)
    found = said.pop("format", 1)
    if found != FORMAT:
        raise CheckpointError(
            f"{folder / CARD} is of format {found!r}, but this version of lessons_lib reads format "
            f"{FORMAT}: load it with the version that wrote it, or save it again with this one."
        )
    return said


def card_if_any(folder: Path) -> dict:
    """The same, but {} for a folder without a card. Raises CheckpointError as `card`."""
    return card(folder) if has_card(folder) else {}


def has_card(folder: Path) -> bool:
    """Whether there is a card in a folder."""
    return (folder / CARD).is_file()


def carded(home: Path) -> list[str]:
    """The names of the folders in `home` that have a card."""
    return sorted(path.parent.name for path in home.glob(f"*/{CARD}"))


def write_card(folder: Path, said: dict) -> None:
    """Write a card with this and the number of its format; the card before it stays until then."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / CARD, json.dumps({"format": FORMAT} | said, indent=1) + "\n")


def kind_of(folder: Path) -> str:
    """What a checkpoint is: 'generator', unless its card has another 'kind'. Raises as `card`."""
    return card_if_any(folder).get("kind", "generator")


def checked(folder: Path, kind: str) -> dict:
    """The card of a checkpoint of this kind, its files checked; {} for a folder without a card.

    Raises CheckpointError for another kind, or a file that is missing or corrupt.
    """
    if not has_card(folder):
        return {}
    verify(folder)
    have = kind_of(folder)
    if have != kind:
        loader = f"lessons_lib.{LOADERS.get(have, 'load')}"
        raise CheckpointError(f"{folder} holds a {have}, not a {kind}: load it with `{loader}`.")
    return card(folder)


def save_network(net: nn.Module, folder: Path) -> None:
    """Write a network of ours for `load_network`: its `config` and, in half precision, its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "config.json", json.dumps(net.config) + "\n")
    save_weights(net, folder)


def save_weights(net: nn.Module, folder: Path) -> None:
    """Write a network's `model.safetensors`, as `save_tensors`."""
    save_tensors(net.state_dict(), folder)


def save_tensors(tensors: dict[str, Tensor], folder: Path) -> None:
    """Write `model.safetensors`, in half precision but for whole numbers."""
    from safetensors.torch import save_file

    state = {k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}
    with whole(folder / OWN_WEIGHTS) as part:
        save_file({k: v.contiguous().cpu() for k, v in state.items()}, part)


def with_weights(build: Callable[..., nn.Module], config: dict, folder: Path) -> nn.Module:
    """`build(**config)` with the weights that `save_weights` wrote, in float32.

    Raises CheckpointError for weights that are missing, unreadable or of another network.
    """
    from safetensors.torch import load_file

    try:
        net = build(**config)
        net.load_state_dict(load_file(folder / OWN_WEIGHTS))
    except Exception as error:  # safetensors, torch and the class raise many kinds
        raise no_load(folder, error) from None
    return net.eval().requires_grad_(False)


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def no_load(path: Path, error: Exception) -> CheckpointError:
    """The CheckpointError that says, in one sentence, why a file does not load."""
    reason = " ".join(str(error).split()).split(". ")[0] or type(error).__name__
    return CheckpointError(f"{path} does not load: {shorten(reason, 300).rstrip('.:')}.")


def remedy(path: Path, otherwise: str) -> str:
    """What to do about a missing file: of a download that was cut off, connect."""
    cached = "snapshots" in path.parts and any(p.startswith("models--") for p in path.parts)
    return "connect once, so that the hub's cache gets it" if cached else otherwise


def read_json(path: Path) -> dict:
    """The JSON object in a file. Raises CheckpointError where there is none, or none that can be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            f"{path} is missing: {remedy(path, 'give a folder that has it')}."
        ) from None
    except (OSError, ValueError) as error:  # also bytes that are no text
        raise CheckpointError(f"{path} cannot be read: {error}.") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} cannot be read: it holds no JSON object.")
    return content
