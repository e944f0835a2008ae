"""`load(name)`: an embedded model, a folder, or a hub id, all behind the ε contract.

A folder is as diffusers saves it: `unet/` and `scheduler/` in a pipeline's folder, or `config.json`
and `scheduler_config.json` at its root. Weights are safetensors, or `.bin` (see `weights`). An embedded
model also has a card: the number of its format, recipe, figures, and the SHA-256 of each of its files,
checked at each load. A card may name another checkpoint as its `network`, and a `label`: it is that
network with its label fixed, as `cats` is `animals` with the label 1. Networks of our own classes lie
beside a card as `config.json` and `model.safetensors`.

A latent model also has `vae/` (or `vqvae/`), one that text conditions `text_encoder/` (or `bert/`) and
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
    CheckpointError,
    card,
    card_if_any,
    carded,
    checked,
    has_card,
    kind_of,
    no_load,
    read_json,
    remedy,
    verify,
    with_weights,
)
from .checks import whole
from .denoisers import Denoiser, Fixed, Guided
from .devices import checked_device, compile_blocks, weights_in
from .hub import download, split
from .models.families import member
from .models.latent import Codec, Prompts
from .models.mixture import GaussianMixture, digits, two_moons_of_gaussians
from .models.noise import noise_schedule
from .models.trial import check_runs
from .models.unet import UNet
from .paths import EMBEDDED
from .weights import network
from .worlds import WORLDS

EXACT: dict[str, Callable[[], GaussianMixture]] = {
    "digits": digits,
    "moons": two_moons_of_gaussians,
}


def names() -> list[str]:
    """What `load` knows without a path or a network: every generator, but no evaluator."""
    return sorted(EXACT) + [n for n in carded(EMBEDDED) if kind_of(EMBEDDED / n) == "generator"]


def load(
    name: str | Path, device: str = "cpu", prompt: str | int = "", guidance: float = 1.0,
    variant: str | None = None, precision: str = "float32", compiled: bool = False,
) -> Denoiser:  # fmt: skip
    """The denoiser called `name`, on `device`.

    name: an embedded model (see `names()`), a folder that diffusers saved, or a hub id such as
        'google/ddpm-ema-celebahq-256', which is downloaded once and then found in the hub's cache;
        'id@revision' is one of its branches, tags or commits.
    prompt: what all its images show, as `with_prompt`: a text, of a model that reads texts, or a label, of
        one that knows labels; '' leaves it open. guidance: towards it; 1 is none.
    variant: of the saved precisions the one to read, such as 'fp16'; by default the whole one.
    precision: of the network's weights and passes: 'float32', 'bfloat16', or on a GPU 'float16'. States
        stay as they are; ε is rounded to 2 or 3 digits, alike in encoding and decoding.
    compiled: whether passes without a gradient run compiled (`devices.compile_blocks`).

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
    model = _loaded(name, device, variant, precision, compiled)
    if prompt == "" and guidance != 1:
        raise ValueError(
            f"guidance is {guidance!r}, but there is no prompt to guide towards: give one."
        )
    return model if prompt == "" else with_prompt(model, prompt, guidance)


def with_prompt(model: Denoiser, prompt: str | int, guidance: float = 1.0) -> Denoiser:
    """The model with a text or a label fixed, so that it draws by itself and takes no `cond` any more.

    A network's label is fixed in place, where there is no guidance: the model given is the one returned.
    prompt: a text, of a model that reads texts; or one of a model's labels, as a number or as its digits.
    guidance: the scale of classifier-free guidance towards it, as `Guided`; 1 is none, and costs half.
    Raises ValueError for a model that takes neither, and for a text, label or scale that it does not take.
    """
    if not isinstance(prompt, str) and (model.prompts is not None or not whole(prompt, 0)):
        raise ValueError(f"prompt is {prompt!r}: give a text, or, of a model of labels, a number.")
    if model.prompts is not None:
        with torch.no_grad():
            cond, none = model.prompts([prompt]), model.prompts.empty
    elif model.labels:
        label, none = _label(model, prompt), None if model.needs_label else torch.tensor([0])
        if guidance == 1 and isinstance(model, UNet):
            return fixed_label(model, label)
        cond = torch.tensor([label])
    else:
        raise ValueError(
            f"prompt is {prompt!r}, but this model reads no text and knows no labels: leave prompt out."
        )
    if guidance == 1:
        return Fixed(model, cond)
    if none is None:
        raise ValueError(
            f"guidance is {guidance!r}, but this model has no label for 'no label': leave guidance out."
        )
    return Fixed(Guided(model, guidance, none), cond)


def _label(model: Denoiser, prompt: str | int) -> int:
    known = {str(label): label for label in model.labels}
    if str(prompt).strip() not in known:
        raise ValueError(
            f"prompt is {prompt!r}, but this model reads no text, and knows labels: give a whole number "
            f"from {min(model.labels)} to {max(model.labels)}."
        )
    return known[str(prompt).strip()]


def _loaded(
    name: str | Path, device: str, variant: str | None, precision: str, compiled: bool
) -> Denoiser:
    where = checked_device(device)
    dtype = weights_in(precision, where)
    if str(name) in EXACT:
        if dtype != torch.float32 or compiled:
            raise ValueError(
                f"{name!r} is exact, with no network: leave precision and compiled out."
            )
        return EXACT[str(name)]()  # on the CPU, in float64, wherever the rest is
    folder = find(name, variant)
    if kind_of(folder) in LOADERS:
        raise CheckpointError(
            f"{str(name)!r} is no denoiser: load it with "
            f"`lessons_lib.{LOADERS[kind_of(folder)]}({str(name)!r})`."
        )
    own = card_if_any(folder)
    if own:
        verify(folder)
    if "family" in own:
        model = _family(folder, own)
        unet = model.unet.to(dtype)  # what is added to it stays in float32
    elif "network" in own:
        unet = model = fixed_label(_unet(folder.parent / own["network"]), own["label"]).to(dtype)
        model.world = own["world"]
    else:
        unet = model = _unet(folder, variant, dtype)
    model.to(where)
    if not own:
        with said_of(folder):
            check_runs(model)
    if compiled:
        compile_blocks(unet.net, where)
    return model


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


def find(name: str | Path, variant: str | None = None) -> Path:
    """The folder of a checkpoint, downloaded if it is a hub id; of this saved precision, if one is named.

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
            f"{path} is a file: give the folder that holds it and its config.json, or make one of the "
            "authors' own weights by `python -m lessons_lib.convert`."
        )
    hub_id, _ = split(text)
    if hub_id.count("/") == 1 and text[0] not in "./~" and not Path(hub_id).parent.is_dir():
        return download(text, _known(), variant)
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


def same(one: str | Path, other: str | Path) -> bool:
    """Whether two names are of one checkpoint: the same text, or the same folder."""
    one, other = Path(one), Path(other)
    return one == other or (one.is_dir() and other.is_dir() and one.samefile(other))


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


def _unet(folder: Path, variant: str | None = None, dtype: torch.dtype = torch.float32) -> UNet:
    home = folder / "unet" if (folder / "unet").is_dir() else folder
    net = network(home, "UNet2DModel", "UNet2DConditionModel", variant=variant, dtype=dtype)
    noise = noise_schedule(folder)
    own = card_if_any(folder)
    recipe = own.get("recipe", {})
    inside = recipe.get("unshuffle", 1), noise.learned_range, recipe.get("bands", ())
    none = recipe.get("unlabelled", 0) > 0  # trained without a label, too
    with said_of(folder):
        model = UNet(net, noise.alpha_bar, noise.prediction, *inside, zero_is_none=none)
    model.world, model.meanings = own.get("world"), _meanings(recipe)
    model.codec = _codec(folder, model, variant)
    model.prompts = _prompts(folder, model, variant)
    return model


def _meanings(recipe: dict) -> dict[int, str]:
    """What each label of one of our own networks says, by the factor that its recipe names."""
    label = recipe.get("label")
    factor = WORLDS[recipe["world"]].factor(label) if label else None
    if factor is None:
        return {}
    return dict(enumerate(["no label", *(factor.choices or (f"without {label}", f"with {label}"))]))


def _codec(folder: Path, model: UNet, variant: str | None) -> Codec | None:
    homes = [folder / part for part in ("vae", "vqvae") if (folder / part).is_dir()]
    if not homes and model.text_width is None:
        return None
    home = homes[0] if homes else folder / "vae"
    net = network(home, "AutoencoderKL", "VQModel", variant=variant, dtype=model.dtype)
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


def _prompts(folder: Path, model: UNet, variant: str | None) -> Prompts | None:
    if model.text_width is None:
        return None
    home = folder / ("bert" if (folder / "bert").is_dir() else "text_encoder")
    net = network(home, "CLIPTextModel", "LDMBertModel", variant=variant, dtype=model.dtype)
    if net.config.hidden_size != model.text_width:
        raise CheckpointError(
            f"{folder} does not load: its denoiser takes text embeddings of width {model.text_width}, "
            f"but those of {home.name}/ have {net.config.hidden_size}."
        )
    own = type(net).__name__ == "LDMBertModel"
    tokenizer = _tokenizer(folder / "tokenizer", "BertTokenizer" if own else "CLIPTokenizer")
    with said_of(folder):
        return Prompts(tokenizer, net, net.config.max_position_embeddings if own else None)


@contextmanager
def said_of(folder: Path) -> Iterator[None]:
    """What is wrong with what a folder holds, as a CheckpointError that names the folder."""
    try:
        yield
    except ValueError as error:
        raise CheckpointError(f"{folder} does not load: {str(error).rstrip('.')}.") from None


# Of each class of tokenizer, where transformers has it, and the files either of which is its vocabulary.
TOKENIZERS = {
    "CLIPTokenizer": ("transformers.models.clip.tokenization_clip", ("vocab.json", "merges.txt")),
    "BertTokenizer": ("transformers.models.bert.tokenization_bert", ("vocab.txt",)),
}


def _tokenizer(home: Path, wanted: str):
    named = read_json(home / "tokenizer_config.json").get("tokenizer_class")
    if named not in (wanted, f"{wanted}Fast"):
        raise CheckpointError(
            f"{home} holds a {named or 'tokenizer of no named class'}: this loads {wanted} only."
        )
    module, words = TOKENIZERS[wanted]
    one = (home / "tokenizer.json").is_file()
    if not one and not all((home / name).is_file() for name in words):
        path, one_of = home / words[0], " and ".join(words)
        raise CheckpointError(
            f"{home} has no vocabulary: {remedy(path, f'it needs tokenizer.json, or {one_of}')}."
        )
    from . import _torchvision  # noqa: F401

    try:
        return getattr(import_module(module), wanted).from_pretrained(home, local_files_only=True)
    except Exception as error:
        raise no_load(home, error) from None
