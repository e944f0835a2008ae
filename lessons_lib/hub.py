"""What is fetched from the hub: only what `load` and `load_clip` read, once."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path

from .cards import CheckpointError
from .weights import DIFFUSERS, TRANSFORMERS, stored

# A tokenizer's files, and what each part of a repository is called and which library wrote it.
WORDS = (
    "tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "vocab.txt",
    "special_tokens_map.json",
)  # fmt: skip
PARTS = {
    "unet": DIFFUSERS, "vae": DIFFUSERS, "vqvae": DIFFUSERS,
    "text_encoder": TRANSFORMERS, "bert": TRANSFORMERS,
}  # fmt: skip
AT_ROOT = ("model_index.json", "scheduler_config.json", "preprocessor_config.json", *WORDS)


def wanted(names: Iterable[str], variant: str | None = None) -> list[str]:
    """Which files of a repository are read, in its listing's order.

    names: of all its files. variant: the saved precision, such as 'fp16'; see `weights.stored`.
    Raises ValueError, as the end of a sentence, where it has no network or no weights that are read.
    """
    names = list(names)
    inside = {
        part: {n[len(part) + 1 :] for n in names if n.startswith(f"{part}/")} for part in PARTS
    }
    parts = {part: PARTS[part] for part, found in inside.items() if "config.json" in found}
    take = {"model_index.json", "scheduler/scheduler_config.json", "scheduler_config.json"}
    take |= {f"tokenizer/{name}" for name in WORDS}
    if "unet" not in parts:
        take |= {"config.json", *AT_ROOT}
        take |= _weights("", {n for n in names if "/" not in n}, (DIFFUSERS, TRANSFORMERS), variant)
    for part, stems in parts.items():
        take |= {f"{part}/config.json"} | _weights(part, inside[part], (stems,), variant)
    return [name for name in names if name in take]


def _weights(part: str, inside: set[str], libraries, variant: str | None) -> set[str]:
    if not part and "config.json" not in inside:
        raise ValueError("has no network in diffusers' layout: no unet/ and no config.json")
    for stems in libraries:
        if found := stored(inside, stems, variant):
            files = [*found.files, *([found.index] if found.index else [])]
            return {f"{part}/{name}" if part else name for name in files}
    there = next((s for s in (stored(inside, stems) for stems in libraries) if s), None)
    if variant and there:
        raise ValueError(f"has no variant {variant!r} of {part or 'its network'}")
    raise ValueError(f"has no safetensors or .bin weights of {part or 'its network'}")


def split(name: str) -> tuple[str, str | None]:
    """(hub id, revision) of 'owner/name' or 'owner/name@revision'; the revision is None for the main one."""
    hub_id, _, revision = name.partition("@")
    return hub_id, revision or None


def download(name: str, known: str, variant: str | None = None) -> Path:
    """The folder in the hub's cache that holds what is read of a repository.

    name: a hub id, or 'id@revision' with a branch, tag or commit. The hub is asked for the listing first.
    known: what may be given instead, for the message. Where the hub cannot be reached, what is in its cache
    is taken, and the loaders say which file is missing in it.
    Raises CheckpointError, in one sentence, for a repository that is not there, not whole, private or gated.
    """
    from huggingface_hub import HfApi, snapshot_download

    hub_id, revision = split(name)
    try:
        listing = [
            s.rfilename for s in HfApi().model_info(hub_id, revision=revision).siblings or ()
        ]
        take = [glob.escape(n) for n in wanted(listing, variant)]
        return Path(snapshot_download(hub_id, revision=revision, allow_patterns=take))
    except Exception as error:  # the hub's client raises many kinds
        if type(error) is ValueError:
            raise CheckpointError(f"{name} on the hub does not load: it {error}.") from None
        if kept := _kept(hub_id, revision):
            return kept
        raise CheckpointError(_said(error, name, known)) from None


def _kept(hub_id: str, revision: str | None) -> Path | None:
    """The snapshot in the hub's cache, whole or not."""
    from huggingface_hub import snapshot_download

    here = {"local_files_only": True, "allow_patterns": ["config.json"]}
    try:
        return Path(snapshot_download(hub_id, revision=revision, **here))
    except Exception as error:
        kept = getattr(error, "snapshot_path", None)
        return Path(kept) if kept else None


def _said(error: Exception, name: str, known: str) -> str:
    """What a failure of the hub's client means, and what to do, in one sentence."""
    from huggingface_hub import errors

    hub_id, revision = split(name)
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError):
        return (
            f"{hub_id} is gated: accept its terms on https://huggingface.co/{hub_id}, log in with "
            "`hf auth login`, and load it again."
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{hub_id} has no revision {revision!r}: give a branch, a tag or a commit of it, or none."
    if isinstance(error, errors.RepositoryNotFoundError):
        return (
            f"There is no folder {name!r} in {Path.cwd()}, and the hub has no model of this name, or it is "
            f"private: check the name, log in with `hf auth login` if it is yours, or give {known}."
        )
    if isinstance(error, errors.HFValidationError):
        return f"There is no folder {name!r} in {Path.cwd()}, and it is no hub id: give {known}."
    if status in (401, 403):
        return (
            f"The hub refuses {name!r} ({status}): check the name, log in anew with `hf auth login`, or "
            f"give {known}."
        )
    return (
        f"There is no folder {name!r} in {Path.cwd()}, and as a hub id it is neither in the hub's cache nor "
        f"can the hub be reached ({type(error).__name__}): connect once, or give {known}."
    )
