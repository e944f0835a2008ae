"""The words of the worlds' captions, and a tokenizer of them in CLIP's format."""

from __future__ import annotations

import json
from functools import cache

from ..paths import TRAIN_SEEDS
from ..worlds import WORLDS

LENGTH = 40  # tokens of a caption, its two ends included; the longest seen have 34
START, END, PAD = "<|startoftext|>", "<|endoftext|>", "<|pad|>"


@cache
def sentences(names: tuple[str, ...], each: int = 8192) -> tuple[str, ...]:
    """Captions of training pictures of these worlds."""
    out = []
    for name in names:
        world = WORLDS[name]
        out += world.captions(world.sample_factors(each, TRAIN_SEEDS), seed=TRAIN_SEEDS)
    return tuple(out)


def words(names: tuple[str, ...]) -> list[str]:
    """Every word that these worlds' captions use."""
    return sorted({word for text in sentences(names) for word in text.replace(",", "").split()})


def tokenizer(names: tuple[str, ...]):
    """A transformers CLIPTokenizer whose byte pairs were merged on these worlds' captions, so that
    each of their words is one token."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
    from transformers import CLIPTokenizer

    tool = Tokenizer(models.BPE(unk_token=END, end_of_word_suffix="</w>"))
    tool.normalizer = normalizers.Lowercase()
    tool.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()]
    )
    # Numbered here, because the trainer numbers these letters in an order that changes between runs.
    ends = sorted({word[-1] + "</w>" for word in [*words(names), ","]})
    trainer = trainers.BpeTrainer(
        vocab_size=8192, min_frequency=1, special_tokens=[START, END, PAD, *ends],
        end_of_word_suffix="</w>", show_progress=False,
    )  # fmt: skip
    tool.train_from_iterator(sentences(names), trainer)
    model = json.loads(tool.to_str())["model"]
    return CLIPTokenizer(
        vocab=model["vocab"], merges=[tuple(pair) for pair in model["merges"]], unk_token=END,
        bos_token=START, eos_token=END, pad_token=PAD, model_max_length=LENGTH, words=words(names),
    )  # fmt: skip


def tokens(tool, texts: list[str]):
    """input_ids and attention_mask (B, LENGTH), so padded that a compiled network sees one shape."""
    found = tool(texts, padding="max_length", return_tensors="pt")
    return found.input_ids, found.attention_mask
