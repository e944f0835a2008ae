"""`load(name)`: an embedded model, a folder, or a hub id, all behind the ε contract.

A folder is as diffusers saves it: `unet/` and `scheduler/` in a pipeline's folder, or `config.json`
and `scheduler_config.json` at its root. Weights are safetensors only. An embedded model also has a
`card.json`: the number of its format, recipe, figures, and the SHA-256 of each of its files, checked at
each load. A card may name another checkpoint as its `network`, and a `label`: it is that network with
its label fixed, as `cats` is `animals` with the label 1. Networks of our own classes lie beside a card
as `config.json` and `model.safetensors`.

A latent model also has `vae/` (or `vqvae/`), one that text conditions `text_encoder/` and
`tokenizer/`: Stable Diffusion's layout. What else lies there (a safety checker) is not read.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from inspect import signature
from pathlib import Path
from textwrap import shorten

import torch
from torch import nn

from .denoisers import Denoiser
from .models.latent import Codec, Prompts
from .models.mixture import GaussianMixture, digits, two_moons_of_gaussians
from .models.unet import UNet
from .paths import EMBEDDED, write_whole
from .schedule import checked_alpha_bar, linear_alpha_bar, scaled_linear_alpha_bar

CARD = "card.json"
FORMAT = 1  # of cards
EXACT: dict[str, Callable[[], GaussianMixture]] = {
    "digits": digits,
    "moons": two_moons_of_gaussians,
}
WEIGHTS = "diffusion_pytorch_model.safetensors"
TEXT_WEIGHTS = OWN_WEIGHTS = "model.safetensors"
CLASSES = {
    "UNet2DModel": "diffusers.models.unets.unet_2d",
    "UNet2DConditionModel": "diffusers.models.unets.unet_2d_condition",
    "AutoencoderKL": "diffusers.models.autoencoders.autoencoder_kl",
    "VQModel": "diffusers.models.autoencoders.vq_model",
    "CLIPTextModel": "transformers.models.clip.modeling_clip",
}
# What a scheduler's file says of the noise that a network knows; the rest of it says how to sample.
OF_THE_NOISE = (
    "num_train_timesteps", "beta_schedule", "beta_start", "beta_end", "trained_betas",
    "rescale_betas_zero_snr", "prediction_type",
)  # fmt: skip
FORMULAS = {"linear": linear_alpha_bar, "scaled_linear": scaled_linear_alpha_bar}
# What is asked of the hub: whole-precision safetensors of the parts that are read, and texts.
FROM_THE_HUB = [
    "*config.json",
    "model_index.json",
    WEIGHTS,
    *(f"{part}/{WEIGHTS}" for part in ("unet", "vae", "vqvae")),
    f"text_encoder/{TEXT_WEIGHTS}",
    "tokenizer/*.json",
    "tokenizer/*.txt",
]
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
        return _unet(folder).to(where)
    model = fixed_label(_unet(folder.parent / own["network"]), own["label"])
    model.world = own["world"]
    return model.to(where)


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
    if "/" not in text and has_card(EMBEDDED / text):
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
        path = Path(os.path.normpath(folder / relative))  # a view's files are its network's
        if not path.is_file():
            raise CheckpointError(f"{path} is missing: restore it with `git checkout -- {path}`.")
        if digest(path) != wanted:
            raise CheckpointError(
                f"{path} is corrupt (its SHA-256 is not the card's): restore it with "
                f"`git checkout -- {path}`, or run its recipe again."
            )


def card(folder: Path) -> dict:
    """What `card.json` says of a checkpoint.

    Raises CheckpointError for one that is missing, that is no JSON object, or whose format is not the one
    that this version reads. A card without a number is older than these, and of format 1.
    """
    said = _config(folder / CARD)
    found = said.pop("format", 1)
    if found != FORMAT:
        raise CheckpointError(
            f"{folder / CARD} is of format {found!r}, but this version of lessons_lib reads format "
            f"{FORMAT}: load it with the version that wrote it, or save it again with this one."
        )
    return said


def card_if_any(folder: Path) -> dict:
    """The same, but {} for a folder without a card."""
    return card(folder) if has_card(folder) else {}


def has_card(folder: Path) -> bool:
    """Whether there is a card in a folder."""
    return (folder / CARD).is_file()


def carded(home: Path) -> list[str]:
    """The names of the folders in `home` that have a card."""
    return sorted(path.parent.name for path in home.glob(f"*/{CARD}"))


def write_card(folder: Path, said: dict) -> None:
    """Write `card.json` with this and the number of its format; the card before it stays until then."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / CARD, json.dumps({"format": FORMAT} | said, indent=1) + "\n")


def kind_of(folder: Path) -> str:
    """What a checkpoint is: 'generator', unless its card has another 'kind'."""
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
    """Write `model.safetensors`, in half precision but for whole numbers."""
    from safetensors.torch import save_file

    state = {k: v.half() if v.is_floating_point() else v for k, v in net.state_dict().items()}
    save_file({k: v.contiguous().cpu() for k, v in state.items()}, folder / OWN_WEIGHTS)


def load_network(
    build: Callable[..., nn.Module], kind: str, name: str | Path, device: str
) -> nn.Module:
    """A network that `save_network` wrote, in float32 on `device`, to be asked and not trained.

    build: makes it of what its config.json says. kind: what its card says it is, if it has one.
    Raises CheckpointError, in one sentence, for one that is missing, corrupt or of another kind.
    """
    where, folder = checked_device(device), find(name)
    checked(folder, kind)
    return with_weights(build, _config(folder / "config.json"), folder).to(where)


def with_weights(build: Callable[..., nn.Module], config: dict, folder: Path) -> nn.Module:
    """`build(**config)` with the weights that `save_weights` wrote, in float32; raises as above."""
    from safetensors.torch import load_file

    try:
        net = build(**config)
        net.load_state_dict(load_file(folder / OWN_WEIGHTS))
    except Exception as error:  # safetensors, torch and the class raise many kinds
        raise _no_load(folder, error) from None
    return net.eval().requires_grad_(False)


def fingerprint(name: str) -> str:
    """The first 12 digits of a digest of a checkpoint's weights and its fixed label, by which cats and
    wild differ; its name where it has no card."""
    folder = find(name)
    if not has_card(folder):
        return name
    known = card(folder)
    weights = {k: v for k, v in known["files"].items() if k.endswith(".safetensors")}
    own = [str(known.get("label", "")), *(sha for _, sha in sorted(weights.items()))]
    return hashlib.sha256("".join(own).encode()).hexdigest()[:12]


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _known() -> str:
    return f"one of {', '.join(names())}, a folder, or a hub id such as google/ddpm-cifar10-32"


def _download(hub_id: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        return Path(snapshot_download(hub_id, allow_patterns=FROM_THE_HUB))
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
    net = _network(home, "UNet2DModel", "UNet2DConditionModel")
    alpha_bar, prediction = _schedule(folder)
    own = card_if_any(folder)
    unshuffle = own.get("recipe", {}).get("unshuffle", 1)
    try:
        model = UNet(net, alpha_bar, prediction, unshuffle)
    except ValueError as error:
        raise CheckpointError(f"{folder} does not load: {error}") from None
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
    scale = _config(home / "config.json").get("scaling_factor")
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
    try:
        return Prompts(tokenizer, net)
    except ValueError as error:
        raise CheckpointError(f"{folder} does not load: {error}") from None


def _tokenizer(home: Path):
    named = _config(home / "tokenizer_config.json").get("tokenizer_class")
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
        raise _no_load(home, error) from None


def _network(home: Path, *allowed: str):
    """The network in a folder, in float32, if it is of one of these classes and whole."""
    config = _config(home / "config.json")
    named = config.get("_class_name") or next(iter(config.get("architectures") or ()), None)
    if named not in allowed:
        raise CheckpointError(
            f"{home} holds a {named or 'model of no named class'}: this loads {' or '.join(allowed)} only."
        )
    path = home / (TEXT_WEIGHTS if named == "CLIPTextModel" else WEIGHTS)
    if not path.is_file():
        raise CheckpointError(f"{path} is missing: weights must be safetensors.")
    from . import _torchvision  # noqa: F401

    network = getattr(import_module(CLASSES[named]), named)
    try:
        with no_progress_bar():
            net, loaded = network.from_pretrained(
                home, use_safetensors=True, local_files_only=True, output_loading_info=True
            )
    except Exception as error:
        raise _no_load(path, error) from None
    missing = loaded["missing_keys"]
    if missing:  # the libraries would go on with random numbers in their place
        raise CheckpointError(
            f"{path} lacks {len(missing)} of the network's tensors ({sorted(missing)[0]}, …): "
            "it and config.json are not of one model."
        )
    return net.float()


@contextmanager
def no_progress_bar() -> Iterator[None]:
    """No bar by transformers for a load of a second, in a notebook least of all."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _no_load(path: Path, error: Exception) -> CheckpointError:
    reason = " ".join(str(error).split()).split(". ")[0] or type(error).__name__
    return CheckpointError(f"{path} does not load: {shorten(reason, 300).rstrip('.:')}.")


def _schedule(folder: Path) -> tuple[torch.Tensor, str]:
    """(ᾱ, what the network predicts), from the scheduler's file, ᾱ in float64."""
    paths = (folder / "scheduler" / "scheduler_config.json", folder / "scheduler_config.json")
    found = [p for p in paths if p.is_file()]
    if not found:
        raise CheckpointError(
            f"{folder} has no scheduler_config.json: the noise schedule is unknown."
        )
    config = _config(found[0])
    try:
        theirs = _scheduler(config)
        prediction = theirs.config.get("prediction_type", "epsilon")
        return checked_alpha_bar(_off_zero(_alpha_bar(theirs), prediction)), prediction
    except Exception as error:  # diffusers' classes raise many kinds
        raise _no_load(found[0], error) from None


def _scheduler(config: dict):
    """diffusers' own scheduler of the class and the settings in a file."""
    from . import _torchvision  # noqa: F401

    from diffusers import schedulers  # isort: skip

    named = config.get("_class_name", "DDPMScheduler")
    kind = getattr(schedulers, str(named), None)  # imports the module of this class alone
    if not isinstance(kind, type):
        raise ValueError(
            f"diffusers has no scheduler {named!r} here: name one such as DDIMScheduler"
        )
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
    if alpha_bar[-1] not in (0.0, least):
        return alpha_bar
    if prediction == "epsilon":
        raise ValueError(
            "at its last time ᾱ is 0, where x is noise alone, so that a network that predicts the noise "
            "(epsilon) says nothing of the image there: it must predict v_prediction or sample"
        )
    last = min(least, alpha_bar[-2].item() / 4)
    return torch.cat([alpha_bar[:-1], alpha_bar.new_tensor([last])])


def _config(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing: give a folder that has it.") from None
    except (OSError, ValueError) as error:  # also bytes that are no text
        raise CheckpointError(f"{path} cannot be read: {error}.") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} cannot be read: it holds no JSON object.")
    return content
