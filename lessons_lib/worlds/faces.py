"""The `faces` world: drawn faces whose every cause is known.

batch = faces.sample(16, seed=0)                       # .image .factors .mask .caption
smiling = faces.render(batch.factors | {"smile": 1.0}) # the true counterfactual
"""

from __future__ import annotations

from .base import Factor, World
from .faces_drawing import CLASSES, draw
from .faces_words import describe

FACTORS = (
    Factor("face_width", "identity", -1, 1, "narrow … wide head"),
    Factor("jaw", "identity", -1, 1, "pointed … square jaw"),
    Factor("eye_spacing", "identity", -1, 1, "close … wide-set eyes"),
    Factor("eye_size", "identity", -1, 1, "small … large eyes"),
    Factor("nose_size", "identity", -1, 1, "small … large nose"),
    Factor("mouth_width", "identity", -1, 1, "narrow … wide mouth"),
    Factor("eye_color", "identity", 0, 1, "brown, green, blue"),
    Factor("skin", "appearance", 0, 1, "pale … dark skin"),
    Factor("hair_color", "appearance", 0, 1, "black, brown, red, blond"),
    Factor("hair_length", "appearance", 0, 1, "cropped … shoulder-long hair"),
    Factor("fringe", "appearance", 0, 1, "high … low hairline"),
    Factor("beard", "appearance", 0, 1, "clean-shaven … full beard", zero=0.5),
    Factor("glasses", "appearance", 0, 1, "none … dark-rimmed glasses", binary=0.35),
    Factor("age", "appearance", 0, 1, "young … old: grey hair and lines"),
    Factor("smile", "expression", -1, 1, "frown … smile"),
    Factor("mouth_open", "expression", 0, 1, "closed … open mouth", zero=0.4),
    Factor("brows", "expression", -1, 1, "angry … raised brows"),
    Factor("eye_open", "expression", 0, 1, "narrowed … wide-open eyes"),
    Factor("yaw", "pose", -1, 1, "turned to the left … right of the picture"),
    Factor("tilt", "pose", -1, 1, "leaning to the left … right of the picture"),
    Factor("light", "scene", -1, 1, "lit from the left … right of the picture"),
    Factor("shirt", "scene", 0, 1, "colour of the clothes"),
    Factor("background", "scene", 0, 1, "colour of the background"),
)

faces = World("faces", FACTORS, CLASSES, draw, describe)
