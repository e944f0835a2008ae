"""What there is: the lessons, and the embedded generators, as tables and pictures for lesson 00."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import torch
from torch import Tensor

from ..cards import card_if_any
from ..checkpoints import EMBEDDED, load
from ..denoisers import Guided
from ..models.mixture import GaussianMixture
from ..paths import ROOT, held_out_seed
from ..sampler import Sampler, usual
from ..worlds import WORLDS

# The worlds whose captions a text-conditioned model is given.
TEXTS = ("animals", "faces", "scenes")


def lessons(readme: Path = ROOT / "README.md") -> str:
    """The README's table of the lessons, in Markdown, its links as seen from notebooks/."""
    lines = readme.read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("| Lesson |"))
    end = next(i for i in range(start, len(lines)) if not lines[i].startswith("|"))
    return "\n".join(lines[start:end]).replace("](notebooks/", "](")


def figures(names: list[str], folder: Path = EMBEDDED) -> str:
    """The figures in these checkpoints' cards, a row each, in Markdown; "" if no card has any.

    Figures of figures (an error of each factor), and what one card of several has alone, are left out.
    """
    cards = {n: card_if_any(folder / n) for n in names}
    measured = {n: c["figures"] for n, c in cards.items() if c.get("figures")}
    known = Counter(k for f in measured.values() for k, v in f.items() if _plain(v))
    rows = [k for k, count in known.items() if count >= min(2, len(measured))]
    if not rows:
        return ""
    table = [f"| | {' | '.join(measured)} |", "|---|" + "---:|" * len(measured)]
    for row in rows:
        values = [f"{f[row]:.4g}" if _plain(f.get(row)) else "" for f in measured.values()]
        table.append(f"| {row} | {' | '.join(values)} |")
    return "\n".join(table)


def beside_data(
    name: str, n: int, steps: int, seed: int, device: str = "cpu"
) -> tuple[Tensor, Tensor, list[str]]:
    """`n` samples of a generator that nobody picked, `n` held-out pictures, and captions, if any.

    Samples are of `steps` steps, or of as many as a model has, at its own η. One of text is given the
    captions of the pictures, at guidance 3.
    Both are (n, C, H, W); for a mixture of points, (n, d).
    """
    model = load(name, device)
    g = usual(model, steps)
    if isinstance(model, GaussianMixture):
        return g.decode(g.draw(n, seed)), model.sample(n, seed + 1), []
    if model.prompts is None:
        x = g.decode(g.draw(n, seed))
        return (
            x,
            WORLDS[model.world].sample(n, held_out_seed("lessons", seed), x.shape[-1]).image,
            [],
        )
    images, captions = _captioned(n, seed, model.picture_shape[-1])
    g = Sampler(Guided(model, 3.0, model.prompts.empty), steps)
    z = g.decode(g.draw(n, seed), cond=model.prompts(captions))
    return model.pictures(z), images, captions


def _captioned(n: int, seed: int, size: int) -> tuple[Tensor, list[str]]:
    """`n` held-out pictures of the worlds in TEXTS, in turn, and their captions."""
    seed = held_out_seed("lessons", seed)
    batches = [WORLDS[name].sample(-(-n // len(TEXTS)), seed, size) for name in TEXTS]
    images = torch.stack([b.image for b in batches], 1).flatten(0, 1)[:n]
    rows = zip(*(b.caption for b in batches), strict=True)
    return images, [caption for row in rows for caption in row][:n]


def _plain(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
