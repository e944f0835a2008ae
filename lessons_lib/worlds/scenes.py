"""The `scenes` world: a lake, a meadow and mountains, with objects of known kind, colour and place.

batch = scenes.sample(16, seed=0)                       # .image .factors .mask .caption
winter = scenes.render(batch.factors | {"season": 3.0}) # the true counterfactual

The four kinds of edit of CycleDiffusion (Wu & De la Torre 2022) are changes of factors: another
`left` or `right` replaces an object, `boat` and `animal` add one, `season`, `time` and `weather`
change the style, a `_color`, `_x` or `_near` changes an attribute. Between two kinds lies a blend.
"""

from __future__ import annotations

from .base import Factor, World
from .scenes_drawing import CLASSES, draw
from .scenes_words import ANIMALS, COLORS, OBJECTS, SEASONS, TIMES, describe

FACTORS = (
    Factor.choice("season", "style", SEASONS),
    Factor.choice("time", "style", TIMES),
    Factor.choice("weather", "style", ("clear", "cloudy", "rain, or snow in winter")),
    Factor("sun_x", "land", -1, 1, "sun or moon at the left … right"),
    Factor("clouds_x", "land", -1, 1, "clouds further to the left … right"),
    Factor("mountains", "land", 0, 1, "low … high mountains"),
    Factor("hills", "land", -1, 1, "hills rise to the left … right"),
    Factor.choice("left", "objects", OBJECTS),
    Factor.choice("left_color", "attributes", COLORS),
    Factor("left_near", "attributes", 0, 1, "far … near: larger, lower, further out"),
    Factor.choice("right", "objects", OBJECTS),
    Factor.choice("right_color", "attributes", COLORS),
    Factor("right_near", "attributes", 0, 1, "far … near: larger, lower, further out"),
    Factor.choice("animal", "objects", ANIMALS),
    Factor("animal_x", "attributes", -1, 1, "animal at the left … right"),
    Factor.choice("boat", "objects", ("none", "boat")),
    Factor.choice("boat_color", "attributes", COLORS),
    Factor("boat_x", "attributes", -1, 1, "boat at the left … right"),
)

scenes = World("scenes", FACTORS, CLASSES, draw, describe)
