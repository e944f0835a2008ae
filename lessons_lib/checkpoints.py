"""`load(name)`: an embedded model, a folder, or a hub id, all behind the ε contract.

A folder is as diffusers saves it: `unet/` and `scheduler/` in a pipeline's folder, or `config.json`
and `scheduler_config.json` at its root. Weights are safetensors only. An embedded model also has a
card: the number of its format, recipe, figures, and the SHA-256 of each of its files, checked at
each load. A card may name another checkpoint as its `network`, and a `label`: it is that network with
its label fixed, as `cats` is `animals` with the label 1. Networks of our own classes lie beside a card
as `config.json` and `model.safetensors`.

A latent model also has `vae/` (or `vqvae/`), one that text conditions `text_encoder/` and
`tokenizer/`: Stable Diffusion's layout. What else lies there (a safety checker) is not read.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import torch
from torch import nn

from .cards import (
    LOADERS,
    OWN_WEIGHTS,
    TEXT_WEIGHTS,
    CheckpointError,
    card,
    card_if_any,
    carded,
    checked,
    has_card,
    kind_of,
    no_load,
    read_json,
    verify,
    with_weights,
)
from .denoisers import Denoiser
from .models.families import member
from .models.latent import Codec, Prompts
from .models.mixture import GaussianMixture, digits, two_moons_of_gaussians
from .models.noise import noise_schedule
from .models.trial import check_runs
from .models.unet import UNet
from .paths import EMBEDDED

EXACT: dict[str, Callable[[], GaussianMixture]] = {
    "digits": digits,
    "moons": two_moons_of_gaussians,
}
WEIGHTS = "diffusion_pytorch_model.safetensors"
SHARDS = "diffusion_pytorch_model-*-of-*.safetensors"  # beside an index, which is a .json
CLASSES = {
    "UNet2DModel": "diffusers.models.unets.unet_2d",
    "UNet2DConditionModel": "diffusers.models.unets.unet_2d_condition",
    "AutoencoderKL": "diffusers.models.autoencoders.autoencoder_kl",
    "VQModel": "diffusers.models.autoencoders.vq_model",
    "CLIPTextModel": "transformers.models.clip.modeling_clip",
}
WORDS = ("tokenizer.json", "vocab.json", "merges.txt", "special_tokens_map.json")  # a tokenizer's
# What is asked of the hub: whole-precision safetensors of the parts that are read, and texts.
FROM_THE_HUB = [
    "*config.json",
    "model_index.json",
    *(f"{part}{name}" for part in ("", "unet/", "vae/", "vqvae/") for name in (WEIGHTS, SHARDS)),
    "*.safetensors.index.json",
    f"text_encoder/{TEXT_WEIGHTS}",
    *(f"{part}{name}" for part in ("", "tokenizer/") for name in WORDS),
    OWN_WEIGHTS,  # of a CLIP, as transformers saves one
]


def names() -> list[str]:
    """What `load` knows without a path or a network: every generator, but no evaluator."""
    return sorted(EXACT) + [n for n in carded(EMBEDDED) if kind_of(EMBEDDED / n) == "generator"]


def load(name: str | Path, device: str = "cpu") -> Denoiser:
    """The denoiser called `name`, in float32 on `device`.

    name: an embedded model (see `names()`), a folder that diffusers saved, or a hub id such as
        'google/ddpm-ema-celebahq-256', which is downloaded once and then found in the hub's cache.

    A latent model's x is a latent: its `codec` goes between images and latents, and its `prompts`
    makes the `cond` of texts; both are None where they do not apply.

    The scheduler file gives ᾱ and what the network predicts, no more. Its class is diffusers' own
    (DDPMScheduler if it names none), with any β that this class knows. Which times are visited and
    where the last step ends is the sampler's. `Sampler(model, steps=50)` goes evenly from T-1 to 0 and
    ends at ᾱ = 1. Stable Diffusion's own 50 steps ('leading', steps_offset=1,
    set_alpha_to_one=False) are `Schedule.of(model.alpha_bar, list(range(981, 0, -20)),
    model.alpha_bar[0].item())`.

    At zero terminal SNR (Lin et al. 2024: rescale_betas_zero_snr) ᾱ at T-1 is not 0 but 2⁻²⁴, as in
    diffusers' Euler schedulers, or a quarter of the ᾱ before it if that is less. For a network that
    predicts v or the image, the sampler's P there is √ᾱ x - √(1-ᾱ) v, or that image, to rounding in
    float64; what an edit adds to ε counts 1/√ᾱ ≥ 4096 times in P. One that predicts ε is refused.

    Raises CheckpointError, in one sentence, for an unknown name, a missing or corrupt file, a class
    that is not supported (a scheduler without ᾱ, such as flow matching's), or a hub that cannot be reached.
    """
    where = checked_device(device)
    if str(name) in EXACT:
        return EXACT[str(name)]()  # on the CPU, in float64, wherever the rest is
    folder = find(name)
    if kind_of(folder) in LOADERS:
        raise CheckpointError(
            f"{str(name)!r} is no denoiser: load it with "
            f"`lessons_lib.{LOADERS[kind_of(folder)]}({str(name)!r})`."
        )
    own = card_if_any(folder)
    if own:
        verify(folder)
    if "network" not in own:
        model = _unet(folder).to(where)
        if not own:
            with said_of(folder):
                check_runs(model)
        return model
    if "family" in own:
        return _family(folder, own).to(where)
    model = fixed_label(_unet(folder.parent / own["network"]), own["label"])
    model.world = own["world"]
    return model.to(where)


def _family(folder: Path, own: dict) -> Denoiser:
    """A network with what a family adds to it."""
    around = find(own["network"])
    verify(around)
    if fingerprint(own["network"]) != own["network_is"]:
        raise CheckpointError(
            f"{folder} was made around another {own['network']} than the one that is here: train it again "
            "by its recipe, or restore that one."
        )
    model = member(own["family"], _unet(around), folder)
    model.world = own["world"]
    return model


def fixed_label(model: UNet, label: int) -> UNet:
    """The network with one of its labels fixed, in place: it takes no labels any more.

    A label's embedding is added to the time's, so it becomes a part of the time embedding's bias.
    """
    embedding, net = model.embedding(label)[0], model.net
    net.time_embedding.linear_2.bias.add_(embedding)
    net.class_embedding = None
    net.register_to_config(num_class_embeds=None)
    return model


def checked_device(device: str) -> torch.device:
    """The torch device. Raises CheckpointError, with what there is instead, for one that is not here."""
    try:
        wanted = torch.device(device)
        torch.ones(1, dtype=torch.float64).to(wanted).item()  # meta has no values, mps no float64
    except (RuntimeError, AssertionError, NotImplementedError, TypeError):
        have = ["cpu"] + ["cuda"] * torch.cuda.is_available()
        raise CheckpointError(
            f"There is no device {device!r} here that computes in float64: use {' or '.join(have)}."
        ) from None
    return wanted


def find(name: str | Path) -> Path:
    """The folder of a checkpoint, downloaded if it is a hub id.

    Raises CheckpointError for what names none: an unknown name, a file, an id that the hub does not give.
    """
    if not isinstance(name, (str, Path)):
        raise CheckpointError(f"The checkpoint is {name!r}: give {_known()}.")
    text, path = str(name), Path(name)
    if text.startswith("~/"):
        path = path.expanduser()
    if not text:
        raise CheckpointError(f"The checkpoint's name is empty: give {_known()}.")
    if "/" not in text and has_card(EMBEDDED / text):
        return EMBEDDED / text
    if path.is_dir():
        return path
    if path.is_file():
        raise CheckpointError(
            f"{path} is a file: give the folder that holds it and its config.json."
        )
    if text.count("/") == 1 and not text.startswith((".", "/", "~")) and not path.parent.is_dir():
        return _download(text)
    if "/" in text or "\\" in text:
        raise CheckpointError(
            f"There is no model {text!r}, because there is no folder {path.absolute()}: give {_known()}."
        )
    close = difflib.get_close_matches(text, names(), 1)
    guess = f" Did you mean {close[0]!r}?" if close else ""
    raise CheckpointError(f"There is no model {text!r}.{guess} Give {_known()}.")


def load_network(
    build: Callable[..., nn.Module], kind: str, name: str | Path, device: str
) -> nn.Module:
    """A network that `save_network` wrote, in float32 on `device`, to be asked and not trained.

    build: makes it of what its config.json says. kind: what its card says it is, if it has one.
    Raises CheckpointError, in one sentence, for one that is missing, corrupt or of another kind.
    """
    where, folder = checked_device(device), find(name)
    checked(folder, kind)
    return with_weights(build, read_json(folder / "config.json"), folder).to(where)


def fingerprint(name: str) -> str:
    """The first 12 digits of a digest of a checkpoint's weights and its fixed label, by which cats and
    wild differ; its name where it has no card. Raises CheckpointError as `find`."""
    folder = find(name)
    if not has_card(folder):
        return name
    known = card(folder)
    weights = {k: v for k, v in known["files"].items() if k.endswith(".safetensors")}
    own = [str(known.get("label", "")), *(sha for _, sha in sorted(weights.items()))]
    return hashlib.sha256("".join(own).encode()).hexdigest()[:12]


def _known() -> str:
    return f"one of {', '.join(names())}, a folder, or a hub id such as google/ddpm-cifar10-32"


def _download(hub_id: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        return Path(snapshot_download(hub_id, allow_patterns=FROM_THE_HUB))
    except RepositoryNotFoundError:
        raise CheckpointError(
            f"There is no folder {hub_id!r} in {Path.cwd()}, and the hub has no model of this name, or it "
            f"is private: check the name, or give {_known()}."
        ) from None
    except Exception as error:  # the hub's client raises many kinds when it is offline
        # A cache that lacks files: the loaders say which of those that they read.
        if kept := getattr(error, "snapshot_path", None):
            return Path(kept)
        raise CheckpointError(
            f"There is no folder {hub_id!r} in {Path.cwd()}, and as a hub id it is neither in the hub's "
            f"cache nor can the hub be reached ({type(error).__name__}): connect once, or give {_known()}."
        ) from None


def _unet(folder: Path) -> UNet:
    home = folder / "unet" if (folder / "unet").is_dir() else folder
    net = _network(home, "UNet2DModel", "UNet2DConditionModel")
    noise = noise_schedule(folder)
    own = card_if_any(folder)
    recipe = own.get("recipe", {})
    inside = recipe.get("unshuffle", 1), noise.learned_range, recipe.get("bands", ())
    none = recipe.get("unlabelled", 0) > 0  # trained without a label, too
    with said_of(folder):
        model = UNet(net, noise.alpha_bar, noise.prediction, *inside, zero_is_none=none)
    model.world = own.get("world")
    model.codec = _codec(folder, model)
    model.prompts = _prompts(folder, model)
    return model


def _codec(folder: Path, model: UNet) -> Codec | None:
    homes = [folder / part for part in ("vae", "vqvae") if (folder / part).is_dir()]
    if not homes and model.text_width is None:
        return None
    home = homes[0] if homes else folder / "vae"
    net = _network(home, "AutoencoderKL", "VQModel")
    # The latents of a VQModel have about unit variance by themselves, and older files of one give no
    # scale; diffusers' default, 0.18215, belongs to Stable Diffusion's AutoencoderKL.
    scale = read_json(home / "config.json").get("scaling_factor")
    if scale is None and type(net).__name__ == "VQModel":
        scale = 1.0
    codec = Codec(net, scale)
    if codec.channels != model.shape[0]:
        raise CheckpointError(
            f"{folder} does not load: its denoiser is of {model.shape[0]} channels, "
            f"but the latents of {home.name}/ have {codec.channels}."
        )
    return codec


def _prompts(folder: Path, model: UNet) -> Prompts | None:
    if model.text_width is None:
        return None
    net = _network(folder / "text_encoder", "CLIPTextModel")
    if net.config.hidden_size != model.text_width:
        raise CheckpointError(
            f"{folder} does not load: its denoiser takes text embeddings of width {model.text_width}, "
            f"but those of text_encoder/ have {net.config.hidden_size}."
        )
    tokenizer = _tokenizer(folder / "tokenizer")
    with said_of(folder):
        return Prompts(tokenizer, net)


@contextmanager
def said_of(folder: Path) -> Iterator[None]:
    """What is wrong with what a folder holds, as a CheckpointError that names the folder."""
    try:
        yield
    except ValueError as error:
        raise CheckpointError(f"{folder} does not load: {str(error).rstrip('.')}.") from None


def _tokenizer(home: Path):
    named = read_json(home / "tokenizer_config.json").get("tokenizer_class")
    if named not in ("CLIPTokenizer", "CLIPTokenizerFast"):
        raise CheckpointError(
            f"{home} holds a {named or 'tokenizer of no named class'}: this loads CLIPTokenizer only."
        )
    one = (home / "tokenizer.json").is_file()
    if not one and not all((home / name).is_file() for name in ("vocab.json", "merges.txt")):
        raise CheckpointError(
            f"{home} has no vocabulary: it needs tokenizer.json, or vocab.json and merges.txt."
        )
    from . import _torchvision  # noqa: F401

    from transformers.models.clip.tokenization_clip import CLIPTokenizer  # isort: skip

    try:
        return CLIPTokenizer.from_pretrained(home, local_files_only=True)
    except Exception as error:
        raise no_load(home, error) from None


def _network(home: Path, *allowed: str):
    """The network in a folder, in float32, if it is of one of these classes and whole."""
    config = read_json(home / "config.json")
    named = config.get("_class_name") or next(iter(config.get("architectures") or ()), None)
    if named not in allowed:
        raise CheckpointError(
            f"{home} holds a {named or 'model of no named class'}: this loads {' or '.join(allowed)} only."
        )
    path = home / (TEXT_WEIGHTS if named == "CLIPTextModel" else WEIGHTS)
    variant = _variant(path)
    from . import _torchvision  # noqa: F401

    network = getattr(import_module(CLASSES[named]), named)
    try:
        with no_progress_bar():
            net, loaded = network.from_pretrained(
                home, use_safetensors=True, local_files_only=True, output_loading_info=True,
                variant=variant,
            )  # fmt: skip
    except Exception as error:
        raise no_load(path, error) from None
    missing = loaded["missing_keys"]
    if missing:  # the libraries would go on with random numbers in their place
        raise CheckpointError(
            f"{path} lacks {len(missing)} of the network's tensors ({sorted(missing)[0]}, …): "
            "it and config.json are not of one model."
        )
    return net.float()


def _variant(path: Path) -> str | None:
    """Which of the saved precisions to read, such as 'fp16'; None where there is the whole one, in one file
    or in shards. Raises CheckpointError where there is none."""
    if path.is_file() or path.with_suffix(".safetensors.index.json").is_file():
        return None
    single = {p.name.split(".")[1] for p in path.parent.glob(f"{path.stem}.*.safetensors")}
    sharded = {p.name.split(".")[-2] for p in path.parent.glob(f"{path.name}.index.*.json")}
    found = sorted(single | sharded)
    if not found:
        raise CheckpointError(f"{path} is missing: weights must be safetensors.")
    return found[0]


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
