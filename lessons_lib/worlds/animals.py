"""The `animals` world: heads of cats, dogs and foxes that share all but their species' shape.

cat = cats.sample(16, seed=0)             # .image .factors .mask .caption
dog = dogs.render(cat.factors)            # the true counterpart: same pose, colours, pattern, light

One skull, one pair of ears, one muzzle serve all three: what differs between the species is a
table of measures, and a few parts that only one of them has. So a number between two species is an
animal between them, and one between two patterns a faint pattern.
"""

from __future__ import annotations

from .animals_drawing import CLASSES, PATTERNS, SPECIES, draw
from .animals_words import describe
from .base import Factor, World

CAT, DOG, FOX = (("species", (k,)) for k in range(3))

FACTORS = (
    Factor.choice("species", "species", SPECIES),
    Factor("yaw", "shared", -1, 1, "turned to the left … right of the picture"),
    Factor("tilt", "shared", -1, 1, "leaning to the left … right of the picture"),
    Factor("zoom", "shared", -1, 1, "far … near"),
    Factor("head_width", "shared", -1, 1, "narrow … wide head"),
    Factor("fur", "shared", 0, 1, "black, grey, brown, orange, sandy fur"),
    Factor("second", "shared", 0, 1, "white, cream, tan, brown muzzle and chest"),
    Factor.choice("pattern", "shared", PATTERNS),
    Factor("eye_color", "shared", 0, 1, "amber, green, blue"),
    Factor("eye_size", "shared", -1, 1, "small … large eyes"),
    Factor("mouth_open", "shared", 0, 1, "closed … open mouth", zero=0.5),
    Factor("light", "shared", -1, 1, "lit from the left … right of the picture"),
    Factor("background", "shared", 0, 1, "green, turquoise, blue, purple, pink background"),
    Factor("cat_ear_height", "cat", -1, 1, "low … tall ears", when=CAT),
    Factor("cat_ear_spread", "cat", -1, 1, "ears close together … far apart", when=CAT),
    Factor("cat_pupil", "cat", -1, 1, "slit … round pupils", when=CAT),
    Factor("dog_ear_length", "dog", -1, 1, "short … long ears", when=DOG),
    Factor("dog_ear_lift", "dog", -1, 1, "ears close to the head … standing off", when=DOG),
    Factor("dog_muzzle", "dog", -1, 1, "narrow … broad muzzle", when=DOG),
    Factor("fox_ear_height", "fox", -1, 1, "small … big ears", when=FOX),
    Factor("fox_cheeks", "fox", -1, 1, "sleek … fluffy cheeks", when=FOX),
)

animals = World("animals", FACTORS, CLASSES, draw, describe)
cats, dogs, wild = (
    animals.where(name, species=k) for k, name in enumerate(("cats", "dogs", "wild"))
)
