"""The `faces` world: drawn faces whose every cause is known.

batch = faces.sample(16, seed=0)                       # .image .factors .mask .caption
smiling = faces.render(batch.factors | {"smile": 1.0}) # the true counterfactual
"""

from __future__ import annotations

import random

import torch
from torch import Tensor

from .base import Factor, World
from .draw import Canvas, inside, palette, rotate, segment, superellipse, union

CLASSES = (
    "background", "hair", "clothes", "skin", "nose", "beard", "mouth", "eyes", "brows", "glasses",
)  # fmt: skip

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

SKIN = [(255, 224, 200), (241, 194, 160), (214, 158, 116), (160, 104, 70), (104, 66, 46)]
HAIR = [(34, 28, 30), (84, 54, 38), (140, 70, 36), (196, 122, 52), (240, 208, 130)]
EYES = [(90, 54, 30), (84, 128, 70), (64, 132, 200)]
SHIRT = [(40, 60, 110), (46, 120, 110), (200, 180, 90), (200, 90, 60), (120, 50, 90)]
BACKGROUND = [(96, 164, 190), (120, 130, 200), (206, 150, 190), (236, 190, 140), (150, 190, 130)]


def _constant(r: int, g: int, b: int, like: Tensor) -> Tensor:
    return torch.tensor([r, g, b], dtype=torch.float32, device=like.device).view(1, 3, 1, 1) / 255


def _draw(factors: dict[str, Tensor], size: int) -> Canvas:
    """Paint the faces, back to front; factors are (B,) tensors on one device."""
    f = {name: value.view(-1, 1, 1) for name, value in factors.items()}
    c = Canvas(len(f["smile"]), size, len(CLASSES), f["smile"].device)
    colour = _colours(factors)
    _paint_background(c, f, colour)
    # Everything of the head turns about the neck with the tilt; features slide with the yaw.
    x, y = rotate(c.x, c.y - 0.7, 0.2 * f["tilt"])
    y = y + 0.7
    width, height = 0.52 + 0.07 * f["face_width"], 0.62
    head = _head(x, y, f, width, height)
    _paint_back(c, f, colour, x, y, width)
    _paint_head(c, f, colour, x, y, head, width)
    # Features: a turned head foreshortens the far side, so x is stretched about the shifted centre.
    fx = x - 0.16 * f["yaw"]
    fx = fx * (1 + 0.25 * f["yaw"] * torch.tanh(3 * fx))
    _paint_beard(c, f, colour, fx, y, head)
    _paint_nose(c, f, colour, fx, y)
    _paint_mouth(c, f, colour, fx, y)
    _paint_eyes(c, f, colour, fx, y)
    _paint_hair(c, f, colour, x, y, fx, head, width, height)
    _paint_glasses(c, f, fx, y, width)
    return c


def _colours(factors: dict[str, Tensor]) -> dict[str, Tensor]:
    skin = palette(factors["skin"], SKIN)
    grey = (factors["age"].view(-1, 1, 1, 1) * 2 - 0.9).clamp(0, 1) * 0.9
    hair = torch.lerp(palette(factors["hair_color"], HAIR), _constant(214, 214, 220, skin), grey)
    return {
        "skin": skin,
        "shade": skin * torch.tensor([0.80, 0.70, 0.66], device=skin.device).view(1, 3, 1, 1),
        "hair": hair,
        "iris": palette(factors["eye_color"], EYES),
        "shirt": palette(factors["shirt"], SHIRT),
        "background": palette(factors["background"], BACKGROUND),
        "white": _constant(250, 248, 244, skin),
        "dark": _constant(30, 24, 28, skin),
    }


def _head(x: Tensor, y: Tensor, f: dict[str, Tensor], width, height) -> Tensor:
    """Signed distance to the head: round above, from pointed to square below the cheeks."""
    cy = 0.02
    upper = superellipse(x, y - cy, width, height, 2.2)
    squareness = 2.2 + 0.55 * f["jaw"]
    lower = superellipse(x, y - cy, width * (0.98 + 0.02 * f["jaw"]), height + 0.05, squareness)
    return torch.where(y < cy, upper, lower)


def _back_hair(x: Tensor, y: Tensor, f: dict[str, Tensor], width) -> Tensor:
    """Signed distance to the hair behind the head: hidden when cropped, shoulder-long at 1."""
    bottom = -0.1 + 0.95 * f["hair_length"]
    middle = 0.5 * (bottom - 0.6)
    return superellipse(x, y - middle, width + 0.02 + 0.16 * f["hair_length"], bottom - middle, 3.2)


def _paint_background(c: Canvas, f: dict, colour: dict) -> None:
    glow = 1.08 - 0.22 * ((c.x * 0.6 - 0.5 * f["light"]) ** 2 + (c.y + 0.4) ** 2 * 0.5)
    c.paint(torch.ones_like(glow), (colour["background"] * glow[:, None]).clamp(0, 1), 0)


def _paint_back(c: Canvas, f: dict, colour: dict, x: Tensor, y: Tensor, width) -> None:
    """Hair behind the head, neck and clothes, ears."""
    c.paint(c.coverage(_back_hair(x, y, f, width)), colour["hair"] * 0.62, 1)
    neck = inside(x.abs() - 0.22, 0.3 - y, y - 0.98)
    c.paint(c.coverage(neck), colour["shade"], 3)
    shoulders = superellipse(c.x, c.y - 1.25, 0.86, 0.46, 2.6)
    collar = superellipse(c.x, c.y - 0.78, 0.26, 0.14)
    c.paint(c.coverage(inside(shoulders, -collar)), colour["shirt"], 2)
    for side in (-1, 1):
        ear = superellipse(x - side * width, y - 0.06, 0.1, 0.15)
        c.paint(c.coverage(ear), colour["skin"] * 0.93, 3)


def _paint_head(
    c: Canvas, f: dict, colour: dict, x: Tensor, y: Tensor, head: Tensor, width
) -> None:
    """Skin with soft light from one side, cheeks, and the lines of age."""
    on_head = c.coverage(head)
    light = 1 + 0.16 * f["light"] * (x / width).clamp(-1, 1) - 0.06 * (y / 0.7)
    c.paint(on_head, (colour["skin"] * light[:, None]).clamp(0, 1), 3)
    fx = x - 0.16 * f["yaw"]
    c.paint(on_head * c.soft(head + 0.12, 0.1).sub(1).abs(), colour["shade"], opacity=0.35)
    for side in (-1, 1):
        cheek = superellipse(fx - side * 0.31, y - 0.2, 0.06, 0.04)
        blush = torch.lerp(colour["skin"], _constant(230, 90, 80, fx), 0.55)
        c.paint(on_head * c.soft(cheek, 0.14), blush, opacity=0.45 * (1 - f["age"]))
        fold = segment(fx, y, side * 0.16, 0.18, side * 0.29, 0.38, 0.018)
        bag = segment(fx, y, side * 0.17, 0.115, side * 0.3, 0.10, 0.018)
        for line in (fold, bag):
            c.paint(on_head * c.soft(line, 0.03), colour["shade"] * 0.8, opacity=f["age"] * 0.9)
    for level in (-0.33, -0.42):
        line = segment(fx, y, -0.2, level, 0.2, level, 0.012)
        c.paint(on_head * c.soft(line, 0.03), colour["shade"] * 0.85, opacity=f["age"] * 0.8)


def _paint_beard(c: Canvas, f: dict, colour: dict, fx: Tensor, y: Tensor, head: Tensor) -> None:
    edge = 0.36 - 0.75 * fx**2 - 0.12 * f["beard"]
    beard = inside(head - 0.05 * f["beard"], edge - y, -superellipse(fx, y - 0.41, 0.2, 0.07))
    moustache = inside(
        superellipse(fx, y - 0.34, 0.25, 0.085), -superellipse(fx, y - 0.44, 0.24, 0.08)
    )
    shape = union(beard, moustache)
    opacity = (f["beard"] * 1.6).clamp(0, 0.96)
    c.paint(c.coverage(shape), colour["hair"] * 0.88, 5, opacity=opacity)


def _paint_nose(c: Canvas, f: dict, colour: dict, fx: Tensor, y: Tensor) -> None:
    size = 1 + 0.35 * f["nose_size"]
    tip = 0.2
    bridge = segment(fx, y, 0.0 * size, -0.02, 0.02 * f["yaw"], tip - 0.03, 0.035 * size)
    side = -torch.sign(f["light"] + 1e-3)
    c.paint(c.soft(bridge, 0.05), colour["shade"], opacity=0.35)
    ball = superellipse(fx - 0.03 * f["yaw"], y - tip, 0.105 * size, 0.075 * size)
    c.paint(c.coverage(ball), colour["shade"], 4, opacity=0.9)
    shine = superellipse(
        fx - 0.03 * f["yaw"] + 0.025 * side, y - tip + 0.02, 0.06 * size, 0.035 * size
    )
    c.paint(c.coverage(shine, 2), (colour["skin"] * 1.1).clamp(0, 1), 4, opacity=0.85)


def _paint_mouth(c: Canvas, f: dict, colour: dict, fx: Tensor, y: Tensor) -> None:
    """Two curves that share their corners: lips around them, teeth and tongue between."""
    half = 0.23 + 0.05 * f["mouth_width"] + 0.03 * f["smile"]
    u = (fx / half).clamp(-1.2, 1.2)
    curl = 0.115 * f["smile"]
    middle = 0.43 + 0.3 * curl - curl * (u**2 - 0.35)
    gape = (0.2 * f["mouth_open"] + 0.03 * f["smile"].clamp(0, 1)) * (1 - u**2).clamp_min(0)
    top, bottom = middle - 0.25 * gape, middle + 0.75 * gape
    ends = fx.abs() - half
    lip = 0.034 * (1.25 - 0.5 * u.abs())
    lips = inside(top - lip - y, y - bottom - 1.3 * lip, ends)
    red = torch.lerp(colour["skin"], _constant(176, 44, 52, fx), 0.72) * 0.92
    c.paint(c.coverage(lips), red, 6)
    gap = inside(top - y, y - bottom, ends)
    c.paint(
        c.coverage(gap),
        _constant(70, 16, 24, fx),
        6,
        opacity=(gape.amax((1, 2), True) / 0.03).clamp(0, 1),
    )
    line = inside((y - middle).abs() - 0.011, ends)
    c.paint(c.coverage(line), red * 0.45, 6, opacity=(1 - f["mouth_open"] * 4).clamp(0, 1))
    teeth = inside(gap + 0.004, y - top - 0.35 * gape - 0.012)
    c.paint(
        c.coverage(teeth), colour["white"], 6, opacity=(gape.amax((1, 2), True) / 0.05).clamp(0, 1)
    )
    tongue = inside(gap + 0.004, superellipse(fx, y - bottom - 0.01, half * 0.6, 0.06))
    c.paint(c.coverage(tongue), _constant(214, 96, 96, fx), 6, opacity=f["mouth_open"])


def _paint_eyes(c: Canvas, f: dict, colour: dict, fx: Tensor, y: Tensor) -> None:
    level = -0.03
    wide = 0.14 * (1 + 0.22 * f["eye_size"])
    tall = wide * (0.34 + 0.66 * f["eye_open"])
    for side in (-1, 1):
        ex, ey = fx - side * (0.235 + 0.035 * f["eye_spacing"]), y - level
        eye = superellipse(ex, ey, wide, tall, 2.0)
        lid = superellipse(ex, ey + 0.02, wide * 1.12, tall + 0.022, 2.0)
        c.paint(c.coverage(inside(lid, ey - 0.3 * tall)), colour["dark"], 7, opacity=0.85)
        c.paint(c.coverage(eye), colour["white"], 7)
        gaze = ex - 0.035 * f["yaw"]
        iris, pupil = (
            superellipse(gaze, ey, wide * 0.62, wide * 0.66),
            superellipse(gaze, ey, wide * 0.3, wide * 0.33),
        )
        c.paint(c.coverage(inside(iris, eye)), colour["iris"], 7)
        c.paint(c.coverage(inside(pupil, eye)), colour["dark"], 7)
        glint = superellipse(gaze + 0.03, ey + 0.03, wide * 0.17, wide * 0.17)
        c.paint(c.coverage(inside(glint, eye)), colour["white"], 7)
        lift = -0.055 * f["brows"]
        slant = 0.075 * f["brows"]  # inner ends down when angry, up when raised
        brow_y = level - 0.2 + lift
        inner, outer = brow_y - slant * 0.6, brow_y + slant * 0.5 + 0.015
        bx = fx * side - 0.035 * f["eye_spacing"]
        brow = segment(bx, y, 0.11, inner, 0.35, outer, 0.034)
        c.paint(c.coverage(brow), colour["hair"] * 0.62, 8)


def _paint_hair(c, f, colour, x, y, fx, head, width, height) -> None:
    """Hair in front: a cap over the skull, cut by the hairline; side locks with length."""
    volume = 0.05 + 0.07 * f["hair_length"]
    cap = superellipse(x, y - 0.0, width + volume, height + 0.02 + volume, 2.2)
    hairline = -0.5 + 0.2 * f["fringe"] + 0.55 * fx.abs() ** 2.2
    crown = inside(cap, y - hairline)
    lock_x = (x - 0.06 * f["yaw"]).abs() - width
    lock_end = -0.4 + 1.2 * f["hair_length"]
    lock = segment(lock_x, y, -0.02, -0.4, 0.08 * f["hair_length"], lock_end, 0.13)
    locks = inside(lock, union(cap, _back_hair(x, y, f, width)))
    shine = 1 + 0.3 * torch.exp(
        -((y + 0.52 - 0.25 * x**2) ** 2) / 0.004 - (x - 0.2 * f["light"]) ** 2 / 0.06
    )
    shade = (1 + 0.12 * f["light"] * x)[:, None] * shine[:, None]
    c.paint(c.coverage(union(crown, locks)), (colour["hair"] * shade).clamp(0, 1), 1)


def _paint_glasses(c: Canvas, f: dict, fx: Tensor, y: Tensor, width) -> None:
    level, spacing = -0.02, 0.235 + 0.02 * f["eye_spacing"]
    rims, lenses = [], []
    for side in (-1, 1):
        lens = superellipse(fx - side * spacing, y - level, 0.2, 0.175, 2.6)
        lenses.append(lens)
        rims.append(lens.abs() - 0.026)
    bridge = segment(fx, y, -0.06, level - 0.03, 0.06, level - 0.03, 0.026)
    arms = inside((y - level + 0.03).abs() - 0.022, spacing + 0.18 - fx.abs(), fx.abs() - width)
    frame = union(*rims, bridge, arms)
    c.paint(c.coverage(union(*lenses)), _constant(225, 240, 250, fx), opacity=0.22 * f["glasses"])
    c.paint(c.coverage(frame), _constant(28, 26, 40, fx), 9, opacity=f["glasses"])


def _describe(factors: dict[str, float], rng: random.Random) -> str:
    """One caption for one face: only what is pronounced is said."""
    age = (
        "a young person"
        if factors["age"] < 0.33
        else "an old person"
        if factors["age"] > 0.67
        else "a person"
    )
    tones = ("black", "dark brown", "red", "blond")
    tone = "grey" if factors["age"] > 0.8 else tones[min(3, int(factors["hair_color"] * 4))]
    length = (
        "long "
        if factors["hair_length"] > 0.67
        else "short "
        if factors["hair_length"] < 0.33
        else ""
    )
    parts = [f"{length}{tone} hair"]
    parts += ["a beard"] if factors["beard"] > 0.4 else []
    parts += ["glasses"] if factors["glasses"] > 0.5 else []
    mood = " smiling" if factors["smile"] > 0.4 else " frowning" if factors["smile"] < -0.4 else ""
    listed = parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
    return f"{age}{mood} with {listed}" if not mood else f"{age} with {listed},{mood}"


faces = World("faces", FACTORS, CLASSES, _draw, _describe)
