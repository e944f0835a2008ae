"""What the tests share: small random networks, exact models, schedules to draw from."""

import pytest
import torch
from hypothesis import strategies as st

from lessons_lib import cards
from lessons_lib.cards import CARD, digest
from lessons_lib.models.mixture import GaussianMixture
from lessons_lib.models.unet import UNet
from lessons_lib.schedule import Schedule, linear_alpha_bar, scaled_linear_alpha_bar

ALPHA_BAR = linear_alpha_bar()
TABLES = [ALPHA_BAR, scaled_linear_alpha_bar()]
etas = st.one_of(st.sampled_from([0.0, 0.1, 0.5, 1.0]), st.floats(0.01, 1.0))


@st.composite
def schedules(draw, most=12):
    """A schedule of any strictly falling times, on one of two tables, with either last level."""
    alpha_bar = draw(st.sampled_from(TABLES))
    times = sorted(draw(st.sets(st.integers(0, 999), min_size=1, max_size=most)), reverse=True)
    last = draw(st.sampled_from([1.0, alpha_bar[0].item()]))
    return Schedule.of(alpha_bar, times, last)


def tiny_net(seed=0, **config):
    """A random UNet2DModel small enough for a test."""
    import lessons_lib._torchvision  # noqa: F401

    from diffusers.models.unets.unet_2d import UNet2DModel

    defaults = {
        "sample_size": 8,
        "block_out_channels": (8, 16),
        "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
        "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "attention_head_dim": 8,
    }
    torch.manual_seed(seed)
    return UNet2DModel(**defaults | config).eval()


def tiny_unet(seed=0, prediction="v_prediction", unshuffle=1, dtype=torch.float64, **config):
    """The same behind the ε contract; of labels, 0 is none."""
    net = tiny_net(seed, **config)
    return UNet(net, ALPHA_BAR, prediction, unshuffle, zero_is_none=True).to(dtype)


def mixture(d=3, k=4, seed=0, full=False, labels=None):
    """A mixture of any dimension, isotropic or with full covariances."""
    gen = torch.Generator().manual_seed(seed)
    means = torch.randn((k, d), generator=gen, dtype=torch.float64)
    if not full:
        return GaussianMixture(means, 0.05, labels=labels)
    root = torch.randn((k, d, d), generator=gen, dtype=torch.float64) * 0.4
    covariance = root @ root.mT + 0.02 * torch.eye(d, dtype=torch.float64)
    return GaussianMixture(means, covariance=covariance, labels=labels)


def randn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


PROMPTS = ["a red house", "a blue car at night"]  # in the words of `tiny_pipeline`'s tokenizer


def tiny_pipeline(folder, seed=0, half=True, tokens=8, letters="", **scheduler):
    """Save a random text-to-image pipeline in Stable Diffusion's layout: 4x8x8 latents, 3x16x16 images.

    tokens: of the longest prompt. letters: that its tokenizer knows beside those of PROMPTS.
    """
    import lessons_lib._torchvision  # noqa: F401

    from diffusers import (
        AutoencoderKL,
        DDIMScheduler,
        StableDiffusionPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    torch.manual_seed(seed)
    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), cross_attention_dim=12,
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), attention_head_dim=4,
    )  # fmt: skip
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8), norm_num_groups=4, scaling_factor=0.7,
    )  # fmt: skip
    vocabulary, merges = ["<|startoftext|>", "<|endoftext|>", "<pad>"], []
    vocabulary += [*letters, *(f"{letter}</w>" for letter in letters)]
    for word in sorted({word for text in PROMPTS for word in text.split()}):
        left, *rest = [*word[:-1], f"{word[-1]}</w>"]
        vocabulary += [left, *rest]
        for letter in rest:  # each word grows letter by letter into one token
            merges.append((left, letter))
            left += letter
            vocabulary.append(left)
    vocabulary = {token: i for i, token in enumerate(dict.fromkeys(vocabulary))}
    tokenizer = CLIPTokenizer(vocabulary, merges, model_max_length=tokens, pad_token="<pad>")
    text_encoder = CLIPTextModel(CLIPTextConfig(
        vocab_size=len(vocabulary), hidden_size=12, intermediate_size=24, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=tokens, bos_token_id=0, eos_token_id=1, pad_token_id=2,
    ))  # fmt: skip
    defaults = {
        "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "clip_sample": False,
        "prediction_type": "v_prediction", "steps_offset": 1, "set_alpha_to_one": False,
    }  # fmt: skip
    pipe = StableDiffusionPipeline(
        vae, text_encoder, tokenizer, unet, DDIMScheduler(**defaults | scheduler),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    for part in (unet, vae, text_encoder) if half else ():
        part.half()
    pipe.save_pretrained(folder)


def tiny_latent(folder, seed=0):
    """Save a random unconditional latent pipeline: `unet/`, `vqvae/`, as CompVis/ldm-celebahq-256."""
    import lessons_lib._torchvision  # noqa: F401

    from diffusers import DDIMScheduler, LDMPipeline, VQModel

    unet = tiny_net(seed)
    vqvae = VQModel(
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8), norm_num_groups=4, num_vq_embeddings=64, scaling_factor=0.5,
    )  # fmt: skip
    vqvae.quantize.embedding.weight.data.normal_()  # wide enough for a choice
    scheduler = DDIMScheduler(
        beta_schedule="scaled_linear", beta_start=0.0015, beta_end=0.0195, clip_sample=False
    )
    LDMPipeline(vqvae, unet, scheduler).save_pretrained(folder)


def write_card(folder, **more):
    """The card of a folder, with the SHA-256 of every file in it."""
    files = {
        p.relative_to(folder).as_posix(): digest(p)
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name != CARD
    }
    cards.write_card(folder, {"files": files, **more})


def says_in_a_sentence(call, words, most):
    """That a call raises ValueError, in one sentence of all these words and fewer than `most` characters."""
    with pytest.raises(ValueError) as raised:
        call()
    message = str(raised.value)
    assert all(word in message for word in words), message
    assert "\n" not in message and message.endswith(".") and len(message) < most, message
