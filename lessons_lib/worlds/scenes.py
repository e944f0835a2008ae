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

PAINTED = (1, 3, 4)  # every object but the tree has a colour of its own
NEAR = "far … near: larger, lower, further out"

FACTORS = (
    Factor.choice("season", "style", SEASONS),
    Factor.choice("time", "style", TIMES),
    Factor.choice("weather", "style", ("clear", "cloudy", "rain, or snow in winter")),
    Factor("sun_x", "land", -1, 1, "sun or moon at the left … right"),
    Factor(
        "clouds_x", "land", -1, 1, "clouds further to the left … right", when=("weather", (1, 2))
    ),
    Factor("mountains", "land", 0, 1, "low … high mountains"),
    Factor("hills", "land", -1, 1, "hills rise to the left … right"),
    Factor.choice("left", "objects", OBJECTS),
    Factor.choice("left_color", "attributes", COLORS, when=("left", PAINTED)),
    Factor("left_near", "attributes", 0, 1, NEAR, when=("left", (1, 2, 3, 4))),
    Factor.choice("right", "objects", OBJECTS),
    Factor.choice("right_color", "attributes", COLORS, when=("right", PAINTED)),
    Factor("right_near", "attributes", 0, 1, NEAR, when=("right", (1, 2, 3, 4))),
    Factor.choice("animal", "objects", ANIMALS),
    Factor(
        "animal_x", "attributes", -1, 1, "animal at the left … right", when=("animal", (1, 2, 3))
    ),
    Factor.choice("boat", "objects", ("none", "boat")),
    Factor.choice("boat_color", "attributes", COLORS, when=("boat", (1,))),
    Factor("boat_x", "attributes", -1, 1, "boat at the left … right", when=("boat", (1,))),
)

scenes = World("scenes", FACTORS, CLASSES, draw, describe)
