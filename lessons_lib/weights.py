"""A network and its weights, from a folder as diffusers or transformers saved it.

Weights are safetensors, in one file or in shards, or `.bin`, which are read without running what a pickle
may hold and written once as safetensors into `build/weights/`, under their hash.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from .cards import CheckpointError, no_load, read_json, remedy
from .estimate import check_room
from .paths import BUILD, whole, write_whole

# Of each library, what its weights are called, as safetensors and as `.bin`.
DIFFUSERS = "diffusion_pytorch_model", "diffusion_pytorch_model"
TRANSFORMERS = "model", "pytorch_model"
WEIGHTS, TEXT_WEIGHTS = f"{DIFFUSERS[0]}.safetensors", f"{TRANSFORMERS[0]}.safetensors"
CLASSES = {
    "UNet2DModel": "diffusers.models.unets.unet_2d",
    "UNet2DConditionModel": "diffusers.models.unets.unet_2d_condition",
    "AutoencoderKL": "diffusers.models.autoencoders.autoencoder_kl",
    "VQModel": "diffusers.models.autoencoders.vq_model",
    "CLIPTextModel": "transformers.models.clip.modeling_clip",
    "CLIPModel": "transformers.models.clip.modeling_clip",
    "LDMBertModel": "diffusers.pipelines.latent_diffusion.pipeline_latent_diffusion",
}
SAFE_TORCH = 2, 6  # before, `weights_only` could be made to run code (CVE-2025-32434)
CONVERTED = BUILD / "weights"


class Stored(NamedTuple):
    """Names of the files that hold a network's weights: one or all shards, and the shards' index, if any."""

    files: tuple[str, ...]
    index: str | None
    variant: str | None

    @property
    def safe(self) -> bool:
        return self.files[0].endswith(".safetensors")


def stored(
    names: Iterable[str], stems: tuple[str, str], variant: str | None = None
) -> Stored | None:
    """Which of a folder's files to read, or None.

    The whole precision is preferred, then safetensors, then one file; of saved precisions such as 'fp16'
    the first is read where there is nothing whole, but never 'non_ema', which is another network.
    stems: of safetensors and of `.bin`. variant: that one alone.
    """
    found: dict[tuple, list[str]] = {}
    for rank, (stem, ext) in enumerate(zip(stems, ("safetensors", "bin"), strict=True)):
        shape = re.compile(
            rf"{stem}(?:\.(?P<early>\w+))?(?:-\d+-of-(?P<of>\d+))?(?:\.(?P<late>\w+))?\.{ext}"
        )
        for name, match in ((n, shape.fullmatch(n)) for n in names):
            if match and not (match["early"] and match["late"]):
                own, of = match["early"] or match["late"], int(match["of"] or 0)
                found.setdefault((own or "", rank, of), []).append(name)
    whole_ones = {k: files for k, files in found.items() if len(files) == max(k[2], 1)}
    wanted = [k for k in whole_ones if (k[0] == variant if variant else k[0] != "non_ema")]
    if not wanted:
        return None
    own, rank, of = min(wanted)
    ext = ("safetensors", "bin")[rank]
    index = f"{stems[rank]}.{ext}.index{'.' * bool(own)}{own}.json"
    return Stored(tuple(sorted(whole_ones[own, rank, of])), index if of else None, own or None)


def network(
    home: Path, *allowed: str, variant: str | None = None, dtype: torch.dtype = torch.float32
):
    """The network in a folder, in this dtype, if it is of one of these classes and whole.

    variant: the saved precision to read, such as 'fp16'; by default as `stored`.
    Raises CheckpointError, in one sentence, for another class, and for weights that are missing, damaged or
    of another network.
    """
    config = read_json(home / "config.json")
    named = config.get("_class_name") or next(iter(config.get("architectures") or ()), None)
    if named not in allowed:
        raise CheckpointError(
            f"{home} holds a {named or 'model of no named class'}: this loads {' or '.join(allowed)} only."
        )
    found = _stored_in(home, named, variant)
    bytes_ = sum((home / name).stat().st_size for name in found.files)
    check_room(2 * bytes_, "cpu", f"Loading {home}", "use a smaller model, or free some")
    place, variant = home, found.variant
    if not found.safe:
        place, variant = as_safetensors(home, found.files, stems_of(named)[0]), None
    net, missing = _read(place, named, variant, home / found.files[0], dtype)
    if missing:  # the libraries would go on with random numbers in their place
        raise CheckpointError(
            f"{home / found.files[0]} lacks {len(missing)} of the network's tensors ({sorted(missing)[0]}, "
            "…): it and config.json are not of one model."
        )
    return net


def stems_of(named: str) -> tuple[str, str]:
    """What the weights of a class are called."""
    return DIFFUSERS if CLASSES[named].startswith("diffusers.models.") else TRANSFORMERS


def _stored_in(home: Path, named: str, variant: str | None) -> Stored:
    names = [path.name for path in home.iterdir()]
    stems = stems_of(named)
    if found := stored(names, stems, variant):
        return found
    path = home / f"{stems[0]}{'.' * bool(variant)}{variant or ''}.safetensors"
    other = stored(names, stems)
    if variant and other:
        raise CheckpointError(
            f"{home} has no variant {variant!r}: leave variant out, to read {other.files[0]}."
        )
    raise CheckpointError(
        f"{path} is missing: {remedy(path, f'weights must be safetensors, or {stems[1]}.bin')}."
    )


def _read(place: Path, named: str, variant: str | None, said: Path, dtype: torch.dtype):
    """(network, the names of its tensors that were not there)."""
    from . import _torchvision  # noqa: F401

    kind = getattr(import_module(CLASSES[named]), named)
    word = "torch_dtype" if CLASSES[named].startswith("diffusers.models.") else "dtype"
    try:
        with no_progress_bar():
            net, loaded = kind.from_pretrained(
                place, use_safetensors=True, local_files_only=True, output_loading_info=True,
                variant=variant, **{word: dtype},
            )  # fmt: skip
    except Exception as error:  # the libraries raise many kinds
        raise no_load(said, error) from None
    return net, loaded["missing_keys"]


def as_safetensors(home: Path, files: tuple[str, ...], stem: str) -> Path:
    """A folder with the `.bin` weights of `home` as safetensors, and its config.json.

    It is made once for each content, and says so in a line.
    Raises CheckpointError, in one sentence, for files that are damaged or hold more than tensors by name,
    and for a torch that cannot read them safely.
    """
    config = (home / "config.json").read_bytes()
    told = [hashlib.sha256(config).hexdigest(), *(_sha256(home / name) for name in files)]
    folder = CONVERTED / hashlib.sha256("".join(told).encode()).hexdigest()[:16]
    out = folder / f"{stem}.safetensors"
    if out.is_file():
        return folder
    tensors: dict[str, Tensor] = {}
    for name in files:
        tensors |= tensors_of(home / name)
    from safetensors.torch import save_file

    print(f"{home / files[0]} is no safetensors: only its tensors are read, and kept in {out}.")
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "config.json", config)
    write_whole(folder / "of.json", json.dumps(dict(zip(files, told[1:], strict=True))) + "\n")
    with whole(out) as part:
        save_file(_apart(tensors), part, {"format": "pt"})
    return folder


def tensors_of(path: Path) -> dict[str, Tensor]:
    """The tensors by name in a file that torch saved; nothing in it is run.

    Raises CheckpointError, in one sentence, as `held_in`, and for a file that holds anything else.
    """
    held = held_in(path)
    strange = [] if isinstance(held, dict) else [f"a {type(held).__name__}"]
    strange += [] if strange else [f"{k!r}" for k, v in held.items() if not isinstance(v, Tensor)]
    if strange or not held:
        raise CheckpointError(
            f"{path} does not load: it holds {strange[0] if strange else 'nothing'}, but weights are tensors "
            "by name."
        )
    return held


def held_in(path: Path) -> object:
    """What a file that torch saved holds: tensors, texts, numbers and containers; nothing in it is run.

    Raises CheckpointError, in one sentence, for a file that is damaged or holds more than these, and for a
    torch below 2.6, whose own check of this can be got round.
    """
    version = tuple(int(v) for v in re.findall(r"\d+", torch.__version__)[:2])
    if version < SAFE_TORCH:
        raise CheckpointError(
            f"{path} is a pickle, which torch {torch.__version__} cannot read safely: install torch 2.6 or "
            "newer, or give safetensors."
        )
    try:
        return _held(path)
    except Exception as error:  # pickle, zipfile and torch raise many kinds
        if "Unsupported global" in str(error) or "Unsupported class" in str(error):
            raise CheckpointError(
                f"{path} holds more than tensors, and what else a pickle holds could run code: it is not "
                "read, so give safetensors."
            ) from None
        raise CheckpointError(
            f"{path} does not load and is not read: it is cut short, or no file of tensors that torch saved."
        ) from None


def _held(path: Path):
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError as error:
        if "mmap can only be used" not in str(error):  # a file in the format before torch 1.6
            raise
        return torch.load(path, map_location="cpu", weights_only=True)


def _apart(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same, each in memory of its own, as safetensors wants it: some share it."""
    seen: set[int] = set()
    out = {}
    for name, tensor in tensors.items():
        own = tensor.is_contiguous() and tensor.data_ptr() not in seen
        seen.add(tensor.data_ptr())
        out[name] = tensor if own else tensor.clone(memory_format=torch.contiguous_format)
    return out


def _sha256(path: Path) -> str:
    real = path.resolve()
    if re.fullmatch(r"[0-9a-f]{64}", real.name):  # the hub's cache calls a large file by it
        return real.name
    with real.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def no_progress_bar() -> Iterator[None]:
    """No bar by transformers or diffusers for a load of a second, in a notebook least of all."""
    from diffusers.utils import logging as of_diffusers
    from transformers.utils import logging as of_transformers

    shown = [one for one in (of_transformers, of_diffusers) if one.is_progress_bar_enabled()]
    for one in shown:
        one.disable_progress_bar()
    try:
        yield
    finally:
        for one in shown:
            one.enable_progress_bar()
