"""Write the text-editing benchmark: `python -m lessons_lib.recipes.triplets`.

150 edits of the kinds of CycleDiffusion's (Wu & De la Torre 2022). Each takes the next
held-out picture that it can be made of, worded so that the two texts differ in little else.
"""

from __future__ import annotations

import difflib
import json
import random
import re
from collections import Counter
from itertools import permutations, product
from typing import NamedTuple

import torch

from ..paths import held_out_seed, write_whole
from ..worlds import World, animals, faces, looks, scenes
from ..worlds.animals_words import FUR_WORDS
from ..worlds.scenes_words import ANIMALS, COLORS, SEASONS
from ..worlds.triplets import FILE, Triplet

SEEDS = {
    name: held_out_seed("text edits", i) for i, name in enumerate(("faces", "animals", "scenes"))
}
PICTURES = 2000  # of each world, from which the edits choose
WORDINGS = 600  # of a picture, of which that is taken which changes least
MOST = 5  # words that two texts may differ by
SEEN = 0.01  # least mean absolute difference of two pictures in [-1, 1]: about that of a smile

Range = tuple[float, float]


class Edit(NamedTuple):
    """What to change in a picture whose factors are in these ranges.

    told: a pattern that the target text has more often than the source text.
    """

    world: World
    kind: str
    told: str
    needs: dict[str, Range]
    change: dict[str, float]
    target: World


def edit(world, kind, told, needs, target=None, **change: float) -> Edit:
    """An edit; a need that is one number is met by that number only."""
    ranges = {k: v if isinstance(v, tuple) else (v, v) for k, v in needs.items()}
    change = {name: float(value) for name, value in change.items()}
    return Edit(world, kind, rf"\b(?:{told})", ranges, change, target or world)


def of_scenes() -> list[Edit]:
    """70 edits: another object, one more, another season, time or weather, another colour."""
    names = ["", "house|cottage", "tree", "tent", "windmill"]
    sides, out = ("left", "right"), []
    for i, (old, new) in enumerate(permutations(range(1, 5), 2)):
        side = sides[i % 2]
        out.append(edit(scenes, "replace", names[new], {side: old}, **{side: new}))
    for old, new in permutations(range(1, 4), 2):
        out.append(edit(scenes, "replace", ANIMALS[new], {"animal": old}, animal=new))
    for side, new in product(sides, range(1, 5)):
        out.append(edit(scenes, "add", names[new], {side: 0}, **{side: new}))
    for new in (1, 2, 3, 1, 2, 3):
        out.append(edit(scenes, "add", ANIMALS[new], {"animal": 0}, animal=new))
    for color in COLORS:
        need = {"boat": 0, "boat_color": COLORS.index(color)}
        out.append(edit(scenes, "add", f"{color} (sailing )?boat", need, boat=1))
    for old, new in ((0, 2), (1, 3), (2, 0), (3, 1), (0, 3), (1, 0), (2, 3), (3, 2)):
        need = {"season": old, "weather": (0, 1)}
        out.append(edit(scenes, "style", SEASONS[new], need, season=new))
    times = ("by day|day|sun", "sunset|evening", "night|moon")
    for old, new in permutations(range(3), 2):
        out.append(edit(scenes, "style", times[new], {"time": old}, time=new))
    for old, new, told in ((0, 2, "rain|snow"), (1, 2, "rain|snow"), (0, 1, "cloud|overcast")):
        out.append(edit(scenes, "style", told, {"weather": old, "season": (0, 3)}, weather=new))
    out.append(edit(scenes, "style", "clear|sun", {"weather": 2}, weather=0))
    things = (("left", 1), ("right", 3), ("left", 4), ("boat", 1))
    for (slot, kind), color in product(things, range(4)):
        old = (color + 1) % 4
        noun = "(sailing )?boat" if slot == "boat" else f"({names[kind]})"
        need = {slot: kind, f"{slot}_color": old}
        told = f"{COLORS[color]} {noun}"
        out.append(edit(scenes, "attribute", told, need, **{f"{slot}_color": color}))
    return out


def of_faces() -> list[Edit]:
    """50 edits: mood, age, skin, mouth, brows and hair; glasses or a beard; another look."""
    calm = {"smile": (-0.3, 0.3)}
    attributes = [
        edit(faces, "attribute", "smil|happy", {"smile": (-1, -0.4)}, smile=1),
        edit(faces, "attribute", "smil|happy", calm, smile=1),
        edit(faces, "attribute", "frown|sad", {"smile": (0.4, 1)}, smile=-1),
        edit(faces, "attribute", "old|elderly", {"age": (0, 0.3)}, age=1),
        edit(faces, "attribute", "young", {"age": (0.7, 1)}, age=0),
        edit(faces, "attribute", "tanned", {"skin": (0, 0.25)}, skin=0.5),
        edit(faces, "attribute", "open mouth", {"mouth_open": 0, "smile": (-1, 0)}, mouth_open=1),
        edit(faces, "attribute", "angry", {"brows": (0, 1)} | calm, brows=-1),
        edit(faces, "attribute", "raised brows", {"brows": (-1, 0)} | calm, brows=1),
        edit(
            faces,
            "attribute",
            "blond hair",
            {"hair_color": (0, 0.4), "age": (0, 0.4)},
            hair_color=1,
        ),
        edit(
            faces,
            "attribute",
            "black hair",
            {"hair_color": (0.6, 1), "age": (0, 0.4)},
            hair_color=0,
        ),
        edit(faces, "attribute", r"long( \w+)? hair", {"hair_length": (0, 0.3)}, hair_length=1),
    ]
    adds = [
        edit(faces, "add", r"(?<!no )glasses", {"glasses": 0}, glasses=1),
        edit(faces, "add", "full beard", {"beard": 0}, beard=1),
    ]
    nouns = ("robot", "zombie", "painting", "clown")
    unsaid = {"skin": (0.29, 0.37)}  # neither pale nor tanned, of which a look has nothing to say
    styles = [
        edit(faces, "style", noun, unsaid, looks, look=number) for number, noun in enumerate(nouns)
    ]
    return 2 * attributes + 6 * adds + 3 * styles + styles[:2]


def of_animals() -> list[Edit]:
    """30 edits: another species; fur, markings and mouth."""
    names, out = ("cat", "dog", "fox"), []
    pairs = [*permutations(range(3), 2)]
    for old, new in 2 * pairs + pairs[:4]:
        out.append(edit(animals, "replace", names[new], {"species": old}, species=new))
    for place in (0, 1, 2, 3, 4, 0, 3, 4):
        far = (0.6, 1) if place < 2 else (0, 0.1)
        told = rf"{FUR_WORDS[place]} (fur|cat|dog|fox)"
        out.append(edit(animals, "attribute", told, {"fur": far}, fur=place / 4))
    for _ in range(2):
        open_mouth = "mouth open|open mouth|tongue out"
        out += [
            edit(animals, "attribute", open_mouth, {"mouth_open": 0}, mouth_open=1),
            edit(animals, "attribute", "strip", {"pattern": 0}, pattern=2),
            edit(animals, "attribute", "patch", {"pattern": 0}, pattern=1),
        ]
    return out


def apart(source: str, target: str) -> tuple[int, int]:
    """How many words of the source the target has lost, and in all how many words differ."""
    old, new = source.split(), target.split()
    lost = (Counter(old) - Counter(new)).total()
    pieces = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return lost, sum(max(b - a, d - c) for op, a, b, c, d in pieces if op != "equal")


def texts(made: Edit, factors: dict[str, torch.Tensor], index: int) -> tuple[str, str] | None:
    """Source and target text of a picture's factors, (1,) each, in the wording that changes least; None if
    none tells the change in so few words."""
    old = {name: value.item() for name, value in factors.items()}
    found = []
    for k in range(WORDINGS):
        wording = f"{index}-{k}"
        source = made.world.describe(old, random.Random(wording))
        target = made.target.describe(old | made.change, random.Random(wording))
        told = [len(re.findall(made.told, text)) for text in (source, target)]
        lost, differ = apart(source, target)
        kept = differ <= MOST and (made.kind != "add" or lost == 0)
        if kept and told[1] > told[0]:
            found.append((source, target))
    return min(found, key=lambda pair: apart(*pair), default=None)


def row(made: Edit, index: int) -> Triplet | None:
    """The triplet of an edit of this picture, if it can be told and seen."""
    seed = SEEDS[made.world.name]
    blank = Triplet(made.world.name, seed, index, made.kind, "", "", made.change, made.target.name)
    if not (found := texts(made, blank.factors(), index)):
        return None
    visible = (blank.counterfactual() - blank.image()).abs().mean() > SEEN
    return blank._replace(source=found[0], target=found[1]) if visible else None


def pick(edits: list[Edit]) -> list[Triplet]:
    """One triplet for each edit: the first picture, not used before, that meets its needs.

    Raises ValueError for an edit that none of the pictures allows.
    """
    made, used = [], {name: set() for name in SEEDS}
    for one in edits:
        name, fits = one.world.name, torch.ones(PICTURES, dtype=torch.bool)
        factors = one.world.sample_factors(PICTURES, SEEDS[name])
        for factor, (low, high) in one.needs.items():
            fits &= (factors[factor] >= low) & (factors[factor] <= high)
        free = (i for i in fits.nonzero().flatten().tolist() if i not in used[name])
        found = next(filter(None, (row(one, i) for i in free)), None)
        if found is None:
            raise ValueError(
                f"No picture of {name} allows {one.change}: draw more than {PICTURES}."
            )
        used[name].add(found.index)
        made.append(found)
    return sorted(made, key=lambda t: (t.world, t.seed, t.index))


def main() -> None:
    made = pick(of_animals() + of_faces() + of_scenes())
    rows = ",\n".join(json.dumps(t._asdict()) for t in made)
    write_whole(FILE, f"[\n{rows}\n]\n")
    print(f"{len(made)} triplets in {FILE.name}")


if __name__ == "__main__":
    main()
