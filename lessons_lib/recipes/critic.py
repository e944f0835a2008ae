"""Train the critic: what causes a picture, which world it is of, who it is, and its mask."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..cards import save_network
from ..judges.evaluators import HEADS, SIZE, CriticNet, columns, kinds_of, load_critic
from ..paths import TRAIN_EDITS
from ..worlds import WORLDS, World
from .loop import Recipe
from .pools import CHUNK, Factors, Pool, drawn, picks

# Of a factor in its head's loss, 1 if not named: smiles are told apart at their middle, 0.
WEIGHTS = {"smile": 20.0}
NOISE = 0.1  # up to this much white noise on a picture, so that samples are read as data are


def again(world: World, index: int) -> Factors:
    """The people of `faces`' chunk `index` once more, all but their identity drawn anew, (CHUNK,) each."""
    faces = WORLDS["faces"]
    new = world.sample_factors(CHUNK, TRAIN_EDITS + index)
    same = drawn(faces, index)
    return new | {f.name: same[f.name] for f in faces.factors if f.group == "identity"}


def targets(world: World, factors: Factors) -> Tensor:
    """(B, columns): factors as numbers in [-1, 1], yes-or-no as 0 or 1, choices in one column each."""
    parts = []
    for f, _ in columns(world):
        value = factors[f.name][:, None]
        if f.choices:
            parts.append(F.one_hot(value[:, 0].long(), len(f.choices)).float())
        else:
            scaled = (value - f.low) / (f.high - f.low) * 2 - 1
            parts.append(value if f.binary is not None else scaled)
    return torch.cat(parts, 1)


def factor_loss(world: World, out: Tensor, target: Tensor) -> Tensor:
    """Weighted mean over factors of squared error or cross-entropy; (B, columns) each."""
    terms = []
    for f, place in columns(world):
        o, y = out[:, place].float(), target[:, place]
        if f.choices:
            term = F.cross_entropy(o, y.argmax(1))
        elif f.binary is not None:
            term = F.binary_cross_entropy_with_logits(o, y)
        else:
            term = 4 * F.mse_loss(o, y)
        terms.append(WEIGHTS.get(f.name, 1.0) * term)
    return torch.stack(terms).mean()


def same_person(one: Tensor, two: Tensor, temperature: float = 0.1) -> Tensor:
    """InfoNCE (van den Oord et al. 2018, eq. 4) of unit vectors (B, E): pair i among all others."""
    logits, place = one @ two.T / temperature, torch.arange(len(one), device=one.device)
    return (F.cross_entropy(logits, place) + F.cross_entropy(logits.T, place)) / 2


@dataclass(frozen=True)
class Critics(Recipe):
    """A CriticNet; a batch is a quarter faces, a quarter the same people again (half of them in an
    unseen look), a quarter animals and a quarter scenes."""

    kind: str = "critic"
    channels: tuple[int, ...] = (64, 128, 192)

    def network(self) -> nn.Module:
        return CriticNet(self.channels)

    def data(self, pools: Path):
        """Batches (x, kind, mask, targets of faces, animals and scenes).

        x: (B, 3, 32, 32); kind: (B,); mask: (B, 32, 32); targets: (B/2, columns) of faces, else (B/4, …).
        """
        names = ("faces", "faces", "looks", "animals", "scenes")
        how = (drawn, again, again, drawn, drawn)
        sources = [Pool(WORLDS[w], SIZE, pools, f) for w, f in zip(names, how, strict=True)]

        def draw(seen: int, n: int, gen: torch.Generator) -> list[Tensor]:
            count = min(pool.grow(min(self.pool, seen // 4 + 1)) for pool in sources)
            people, *others = (picks(n // 4, count, gen) for _ in range(3))
            chosen = [people, people[: n // 8], people[n // 8 :], *others]
            parts = [pool.take(p) for pool, p in zip(sources, chosen, strict=True)]
            kinds = [torch.zeros(len(people) + n // 8, dtype=torch.int64)]
            kinds += [torch.tensor(kinds_of("look"))[parts[2][2]["look"].long()]]
            kinds += [torch.tensor(kinds_of("species"))[parts[3][2]["species"].long()]]
            kinds += [torch.full((n // 4,), 4)]
            x = torch.cat([part[0] for part in parts])
            x = x + NOISE * torch.rand(len(x), 1, 1, 1, generator=gen) * torch.randn(
                x.shape, generator=gen
            )
            faces = torch.cat([targets(WORLDS["faces"], part[2]) for part in parts[:3]])
            rest = [
                targets(WORLDS[w], part[2]) for w, part in zip(HEADS[1:], parts[3:], strict=True)
            ]
            return [x, torch.cat(kinds), torch.cat([part[1] for part in parts]), faces, *rest]

        return draw

    def loss(
        self, net: nn.Module, x: Tensor, kind: Tensor, mask: Tensor, *wanted: Tensor
    ) -> Tensor:
        """Of a batch as `data` gives it: kinds, factors, masks, and who are the same people."""
        out, n = net(x), len(x) // 4
        rows = {
            "faces": slice(0, 2 * n),
            "animals": slice(2 * n, 3 * n),
            "scenes": slice(3 * n, None),
        }
        total = F.cross_entropy(out.kind.float(), kind)
        for head, target in zip(HEADS, wanted, strict=True):
            total = total + factor_loss(WORLDS[head], out.factors[head][rows[head]], target)
            total = total + F.cross_entropy(out.mask[head][rows[head]].float(), mask[rows[head]])
        return total + 0.3 * same_person(out.identity[:n], out.identity[n : 2 * n])

    def save(self, net: nn.Module, target: Path) -> None:
        save_network(net, target)

    def weights(self, name: str) -> dict[str, Tensor]:
        return load_critic(name).net.state_dict()
