"""A trained network's folder: weights, card, and the figures that a command measured."""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict
from pathlib import Path

from ..cards import card_if_any, digest, write_card
from ..checkpoints import fingerprint
from ..paths import part_of
from ..worlds import WORLDS
from .loop import Run


def export(run: Run, target: Path) -> None:
    """Save the run's averaged weights in the format of its kind, with a card.

    The card holds the recipe, the versions of the worlds' renderers, the loss curve and each file's
    SHA-256; `python -m lessons_lib.recipes.figures NAME` adds what the network can do, which stays
    when the same weights are saved again. The network's views get their cards beside it.
    The card is written before the files that it lists take their places, so a folder in which an export
    was stopped is refused until the next one.
    """
    recipe, net = run.recipe, run.net
    count = sum(p.numel() for p in net.parameters())
    run.ema.copy_to(net.parameters())
    target.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(target)
    recipe.save(net, part)
    card = {
        "kind": recipe.kind,
        "world": getattr(recipe, "world", None),
        "worlds": {name: WORLDS[name].version for name in recipe.learns()},
        "recipe": asdict(recipe) | {"images": run.step * recipe.batch},
        "began_from": run.began_from,
        "earlier": run.earlier,
        "parameters": count,
        "training_seconds": round(run.seconds),
        "loss_curve": [[seen, round(loss, 5)] for seen, loss in run.curve],
        "files": digests(part),
    }
    if family := getattr(recipe, "family", ""):
        around = recipe.network_name
        card |= {"family": family, "network": around, "network_is": fingerprint(around)}
    put(part, target, card)
    for label, world in enumerate(getattr(recipe, "views", ()), 1):
        write_anew(target.parent / world, view(card, target.name, label, world))


def put(part: Path, target: Path, card: dict) -> None:
    """Move the files that a card lists into their folder, the card first; older ones that it lists no more
    are deleted."""
    older = card_if_any(target).get("files", {}).keys() - card["files"].keys()
    write_anew(target, card)
    for name in card["files"]:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(part / name, target / name)
    for name in older:
        (target / name).unlink(missing_ok=True)
    shutil.rmtree(part)


def digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file in a folder, by its relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): digest(path) for path in files}


def view(card: dict, network: str, label: int, world: str) -> dict:
    """The card of a checkpoint that is the network of another one with its label fixed."""
    files = {f"../{network}/{name}": sha for name, sha in card["files"].items()}
    own = {"network": network, "label": label, "world": world}
    return card | own | {"worlds": {world: WORLDS[world].version}, "files": files}


def write_anew(target: Path, card: dict) -> None:
    """Write a card; the figures of the one before it stay if the weights are the same."""
    before = card_if_any(target)
    if weights(before) == weights(card) and "figures" in before:
        card["figures"] = before["figures"]
    write_card(target, card)


def weights(card: dict) -> dict[str, str]:
    """The digests of the weights that a card lists."""
    return {k: v for k, v in card.get("files", {}).items() if k.endswith(".safetensors")}
