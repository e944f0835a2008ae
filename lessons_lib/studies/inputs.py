"""Real inputs for any model: its own kind of pictures where they can be drawn, and photographs."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor

from ..cards import CheckpointError, has_card, kind_of
from ..checkpoints import EXACT, find, load, with_prompt
from ..checks import check_input
from ..code import Code
from ..denoisers import Denoiser
from ..devices import checked_device, precision
from ..encoder import invert
from ..estimate import announce
from ..models.mixture import GaussianMixture
from ..paths import held_out_seed
from ..pictures import files_of, read_pictures
from ..sampler import Sampler
from ..schedule import even
from ..worlds import WORLDS

# The parameters of lessons that name networks, and what kind each must be.
GENERATORS = ("checkpoint", "source", "second_source", "stranger", "text_checkpoint")
NAMED = {name: "generator" for name in GENERATORS} | {"clip": "clip", "judge": "clip"}
SAID = "a person"  # to a model that reads texts and is told none
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket", "hubble_deep_field", "camera")


def model_for(
    checkpoint: str, device: str, *steps: int, prompt: str | int | None = None, latent: bool = True
) -> Denoiser:
    """A lesson's model, loaded and asked once, before anything else is computed.

    prompt: what it draws, if it must be told, as of `load`; None of a lesson that has no such parameter.
    latent: whether the lesson takes models of latents, too.
    Raises CheckpointError for one that does not load, and ValueError for one of latents where the lesson is
    of pictures, for one that must be told more than a lesson tells it (a text, a label), or that has fewer
    training times than these numbers of steps.
    """
    model = load(checkpoint, device)
    if not latent and model.codec is not None:
        raise ValueError(
            f"This lesson works on pictures, pixel by pixel, and {checkpoint!r} draws latents: give a model "
            "of pictures, such as 'dogs' or 'google/ddpm-cifar10-32'."
        )
    model = model if prompt is None else told(model, checkpoint, prompt)
    try:
        check_input(model, torch.zeros(1, *model.shape))
    except ValueError as error:
        raise ValueError(
            f"This lesson shows a model that draws by itself, and {checkpoint!r} does not. {error}"
        ) from None
    for count in steps:
        even(len(model.alpha_bar), count)
    announce(model, str(checkpoint), *steps)
    return model


def told(model: Denoiser, checkpoint: str, prompt: str | int) -> Denoiser:
    """The model with a lesson's parameter `prompt` fixed, if any; ValueError where it must have one."""
    if prompt != "":
        return with_prompt(model, prompt)
    if model.prompts is not None or model.needs_label:
        how = "a text says: give the parameter prompt, such as 'a portrait of a person'"
        if model.needs_label:
            how = f"a label says: give the parameter prompt, a number from 0 to {max(model.labels)}"
        raise ValueError(f"{checkpoint!r} draws what {how}.")
    return model


def with_bottleneck(
    checkpoint: str, device: str, latent: bool | None = False, prompt: str | int | None = None
) -> Denoiser:
    """A model that has an h to edit: of pictures, or of latents with a codec; None takes both.

    prompt: as of `model_for`. Raises CheckpointError for one that does not load, and ValueError for one of
    another kind, or that must be told what to draw.
    """
    model = load(checkpoint, device)
    if not hasattr(model, "encode") or latent not in (None, model.codec is not None):
        wanted = ("pictures", "faces") if not latent else ("latents, with a codec", "t2i")
        raise ValueError(
            f"This lesson edits the bottleneck h of a network of {wanted[0]}, and {checkpoint!r} is none: "
            f"give one that is, such as {wanted[1]!r}."
        )
    model = model if prompt is None else told(model, checkpoint, prompt)
    announce(model, str(checkpoint))
    return model


def editable(checkpoint: str, device: str, prompt: str = "") -> Denoiser:
    """A model of pictures or of latents that has an h and draws by itself, for a command.

    prompt: a text or a label; where a model reads texts, '' is `SAID`. Raises as `with_bottleneck`.
    """
    model = with_bottleneck(checkpoint, device, latent=None)
    return told(model, checkpoint, prompt or (SAID if model.prompts is not None else ""))


def check_networks(p: SimpleNamespace) -> None:
    """That the device, the networks and the pictures that a lesson's parameters name are there.

    p: a lesson's parameters, or some of them. Its `n_images` becomes the number of pictures that open, where
    `images` has fewer: what does not open is printed.
    Raises CheckpointError for a network that is missing, cannot be reached, or is of another kind,
    PictureError where no picture is found or none opens, and ValueError for a stranger that is none.
    """
    checked_device(getattr(p, "device", "cpu"))
    if getattr(p, "stranger", "") and p.stranger in (p.checkpoint, p.source):
        raise ValueError(
            f"stranger is {p.stranger!r}, a network that is compared already: give one of the target's world "
            "that was trained apart from both, such as 'dogs-alone', or '' for none."
        )
    if getattr(p, "images", ""):
        _count_pictures(p)
    for parameter, kind in NAMED.items():
        name = getattr(p, parameter, "")
        if not name or name in EXACT:
            continue
        folder = find(name)
        if has_card(folder) and kind_of(folder) != kind:
            raise CheckpointError(
                f"{parameter} is {name!r}, which is a {kind_of(folder)}: it must be a {kind}."
            )


def _count_pictures(p: SimpleNamespace) -> None:
    if not hasattr(p, "n_images"):  # of a command's parameters, before the lesson's own are known
        files_of(p.images)
        return
    found = read_pictures(p.images, (3, 8, 8), p.n_images)
    for sentence in found.refused:
        print(f"Left out: {sentence}")
    if len(found.names) < p.n_images:
        print(f"images has {len(found.names)} pictures, so n_images is {len(found.names)} here.")
    p.n_images = len(found.names)


def own_pictures(images: str, denoiser: Denoiser, n: int) -> Tensor:
    """The first `n` pictures of one's own, (n, C, H, W) float32 in [-1, 1] on the denoiser's device, of the
    size that it draws; `images` as of `read_pictures`, which raises PictureError."""
    return read_pictures(images, denoiser.picture_shape, n).x.float().to(denoiser.device)


def draw_or_invert(sampler: Sampler, images: str, n: int, seed: int) -> Code:
    """`n` codes: drawn, or, with pictures of one's own, drawn but for the x_T, which is theirs at η = 0."""
    drawn = sampler.draw(n, seed)
    if not images:
        return drawn
    x = sampler.denoiser.latents(own_pictures(images, sampler.denoiser, n))
    z, _ = invert(sampler.with_eta(0.0), x, refine=1)
    return replace(drawn, x_T=z.x_T.to(drawn.x_T))


def photographs(n: int, shape: tuple[int, ...]) -> Tensor:
    """`n` photographs from scikit-image, cropped and resized to a model's (C, H, W), float64 in [-1, 1].

    Raises ValueError for more than there are, or a model whose data are not images.
    """
    import skimage.data
    from skimage.transform import resize

    if not 1 <= n <= len(PHOTOGRAPHS):
        raise ValueError(f"n is {n}: there are 1 to {len(PHOTOGRAPHS)} photographs.")
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise ValueError(f"The model's data are {tuple(shape)}, not images of 1 or 3 channels.")
    out = []
    for name in PHOTOGRAPHS[:n]:
        image = np.atleast_3d(getattr(skimage.data, name)())
        side = min(image.shape[:2])
        top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
        square = image[top : top + side, left : left + side] / 255
        small = resize(square, (shape[1], shape[2]), anti_aliasing=True)
        small = small.mean(2, keepdims=True) if shape[0] == 1 else small
        out.append(np.broadcast_to(small, (*shape[1:], shape[0])).transpose(2, 0, 1))
    return torch.from_numpy(np.stack(out) * 2 - 1)


def kinds(denoiser: Denoiser, n: int, seed: int, images: str = "") -> dict[str, Tensor]:
    """`n` of a model's x of each kind, by what they are, (n, *shape), the model's own kind first; on its
    device, in the `precision` of that.

    images: pictures of one's own, as of `read_pictures`; they come before all others.

    That is an exact model's draws, or the held-out pictures of a network's world. Of any other network
    it is not known here what it learnt: there are photographs only. Pictures are in [-1, 1]; of a
    latent model they are the latents, for `denoiser.pictures` to show. Raises ValueError as `photographs`.
    """
    own = {"own pictures": read_pictures(images, denoiser.picture_shape, n).x} if images else {}
    if isinstance(denoiser, GaussianMixture):
        draws = denoiser.sample(n, seed)
        return own | {"the model's draws": draws, "photographs": photographs(n, denoiser.shape)}
    shape = denoiser.picture_shape
    found = {"photographs": photographs(n, shape)}
    if denoiser.world is not None:
        drawn = WORLDS[denoiser.world].sample(n, held_out_seed("lessons", seed), shape[-1])
        found = {f"held-out {denoiser.world}": drawn.image.double()} | found
    where = denoiser.device, precision(denoiser.device)
    return {name: denoiser.latents(x.to(*where)) for name, x in (own | found).items()}
