"""Random checkpoints in the layouts of published repositories, small, or of the exact published size."""

import json
from functools import partial
from pathlib import Path

import torch

from small import tiny_latent, tiny_net, tiny_pipeline

DDPM = {
    "downsample_padding": 0, "flip_sin_to_cos": False, "freq_shift": 1, "attention_head_dim": None,
    "norm_eps": 1e-6,
}  # fmt: skip
DDPM_SCHEDULER = {
    "_class_name": "DDPMScheduler", "beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02,
    "num_train_timesteps": 1000, "clip_sample": True, "variance_type": "fixed_small",
}  # fmt: skip


def ddpm(folder: Path, **config):
    """google/ddpm-*: the network and the schedule at the root."""
    folder.mkdir(parents=True, exist_ok=True)
    tiny_net(**DDPM | config).save_pretrained(folder)
    (folder / "scheduler_config.json").write_text(json.dumps(DDPM_SCHEDULER))
    (folder / "model_index.json").write_text(
        '{"_class_name": "DDPMPipeline", "scheduler": ["diffusers", "DDPMScheduler"], '
        '"unet": ["diffusers", "UNet2DModel"]}'
    )


def learned(folder: Path):
    """Improved DDPM and ADM: twice the channels at the end, scale and shift by the time, attention heads."""
    ddpm(
        folder, sample_size=16, out_channels=6, resnet_time_scale_shift="scale_shift", attention_head_dim=8,
        down_block_types=("ResnetDownsampleBlock2D", "AttnDownBlock2D"), downsample_type="resnet",
        up_block_types=("AttnUpBlock2D", "ResnetUpsampleBlock2D"), upsample_type="resnet",
    )  # fmt: skip
    said = DDPM_SCHEDULER | {"variance_type": "learned_range"}
    (folder / "scheduler_config.json").write_text(json.dumps(said))


def ldm(folder: Path):
    """CompVis/ldm-celebahq-256: unet/, vqvae/, scheduler/."""
    tiny_latent(folder)


def stable_diffusion(folder: Path):
    """CompVis/stable-diffusion-v1-4: unet/, vae/, text_encoder/, tokenizer/, scheduler/."""
    tiny_pipeline(folder, tokens=250, prediction_type="epsilon")  # as its letters are tokens


WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "a",
    "red",
    "house",
    "blue",
    "car",
    "at",
    "night",
]


def text_to_image(folder: Path):
    """CompVis/ldm-text2im-large-256: a text model of its own in bert/, its codec in vqvae/."""
    from diffusers.pipelines.latent_diffusion.pipeline_latent_diffusion import (
        LDMBertConfig,
        LDMBertModel,
    )
    from transformers import BertTokenizer

    tiny_pipeline(folder, half=False, prediction_type="epsilon")
    for old, new in (("vae", "vqvae"), ("text_encoder", "bert")):
        (folder / old).rename(folder / new)
    for path in [*(folder / "bert").iterdir(), *(folder / "tokenizer").iterdir()]:
        path.unlink()
    config = LDMBertConfig(
        vocab_size=len(WORDS), max_position_embeddings=77, encoder_layers=2, encoder_ffn_dim=24,
        encoder_attention_heads=2, head_dim=6, d_model=12,
    )  # fmt: skip
    LDMBertModel(config).save_pretrained(folder / "bert")
    (folder / "tokenizer" / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    said = {
        "tokenizer_class": BertTokenizer.__name__,
        "model_max_length": 512,
        "do_lower_case": True,
    }
    (folder / "tokenizer" / "tokenizer_config.json").write_text(json.dumps(said))


def clip(folder: Path, tokens: int = 8, letters: str = "", seed: int = 0):
    """openai/clip-vit-base-patch32: everything at the root, the vocabulary in two files too.

    tokens: of the longest text; of words that it does not know each letter is one. letters: that it knows;
    any other is the text's end to it.
    """
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

    tiny_pipeline(folder / "of-words", tokens=tokens, letters=letters)
    tokenizer = CLIPTokenizer.from_pretrained(folder / "of-words" / "tokenizer")
    tower = {
        "hidden_size": 12,
        "intermediate_size": 24,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    of_texts = {"vocab_size": len(tokenizer), "max_position_embeddings": tokens, "eos_token_id": 1}
    config = CLIPConfig(
        text_config=tower | of_texts,
        vision_config=tower | {"image_size": 16, "patch_size": 8}, projection_dim=6,
    )  # fmt: skip
    torch.manual_seed(seed)
    CLIPModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    said = {"image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28]}
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    for path in sorted((folder / "of-words").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (folder / "of-words").rmdir()


def labelled(folder: Path):
    """A class-conditional network, none of whose labels means 'no label'."""
    ddpm(folder, num_class_embeds=10, sample_size=16)


LAYOUTS = {
    "google/ddpm-celebahq-256": partial(ddpm, sample_size=16),
    "class-conditional": labelled,
    "ADM, learned variance": learned,
    "CompVis/ldm-celebahq-256": ldm,
    "CompVis/stable-diffusion-v1-4": stable_diffusion,
    "CompVis/ldm-text2im-large-256": text_to_image,
}


def tame(folder: Path, side: int = 32) -> None:
    """Of a stand-in with random weights: pictures of `side` pixels, and less noise at T.

    A random network's P at T is x_T/√ᾱ_T, in the hundreds, where a trained one's is a picture; judges refuse
    that. With √ᾱ_T = 0.6 it is below 20. Nothing else of the layout changes.
    """
    inner = folder / "unet" if (folder / "unet").is_dir() else folder
    schedule = folder / "scheduler" if (folder / "scheduler").is_dir() else folder
    edit_json(inner / "config.json", sample_size=side // 2 if inner != folder else side)
    edit_json(
        schedule / "scheduler_config.json", beta_schedule="linear", beta_start=1e-4, beta_end=2e-3
    )


def edit_json(path: Path, **values) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
