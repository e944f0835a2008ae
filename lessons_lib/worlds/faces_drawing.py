"""How a face is painted: layers back to front, which the looks have in common with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from .draw import Canvas, constant, inside, palette, rotate, segment, superellipse, union

CLASSES = (
    "background", "hair", "clothes", "skin", "nose", "beard", "mouth", "eyes", "brows", "glasses",
)  # fmt: skip

SKIN = [(255, 224, 200), (241, 194, 160), (214, 158, 116), (160, 104, 70), (104, 66, 46)]
HAIR = [(34, 28, 30), (84, 54, 38), (140, 70, 36), (196, 122, 52), (240, 208, 130)]
EYES = [(90, 54, 30), (84, 128, 70), (64, 132, 200)]
SHIRT = [(40, 60, 110), (46, 120, 110), (200, 180, 90), (200, 90, 60), (120, 50, 90)]
EYE_LEVEL = -0.03  # y of the eyes
BACKGROUND = [(96, 164, 190), (120, 130, 200), (206, 150, 190), (236, 190, 140), (150, 190, 130)]


class Place(NamedTuple):
    """Where a face is: everything of the head turns about the neck with the tilt, features slide with
    the yaw.

    x, y (B, H, W): the head's coordinates; fx: x of its features; head: signed distance to its outline;
    width (B, 1, 1) and height: its half axes.
    """

    x: Tensor
    y: Tensor
    fx: Tensor
    head: Tensor
    width: Tensor
    height: float


Layer = Callable[[Canvas, dict[str, Tensor], dict[str, Tensor], Place], None]


def paint_face(
    factors: dict[str, Tensor], size: int, colour: dict[str, Tensor], layers: Iterable[Layer]
) -> Canvas:
    """Paint the layers of the faces, back to front; factors are (B,) tensors on one device."""
    f = {name: value.view(-1, 1, 1) for name, value in factors.items()}
    c = Canvas(len(f["smile"]), size, len(CLASSES), f["smile"].device)
    at = _place(c, f)
    for layer in layers:
        layer(c, f, colour, at)
    return c


def draw(factors: dict[str, Tensor], size: int) -> Canvas:
    return paint_face(factors, size, colours(factors), LAYERS.values())


def _place(c: Canvas, f: dict[str, Tensor]) -> Place:
    x, y = rotate(c.x, c.y - 0.7, 0.2 * f["tilt"])
    y = y + 0.7
    width, height = 0.52 + 0.07 * f["face_width"], 0.62
    # A turned head foreshortens the far side, so x is stretched about the shifted centre.
    fx = x - 0.16 * f["yaw"]
    fx = fx * (1 + 0.25 * f["yaw"] * torch.tanh(3 * fx))
    return Place(x, y, fx, _head(x, y, f, width, height), width, height)


def colours(factors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The colours (B, 3, 1, 1) in [0, 1] of the parts of a face."""
    skin = palette(factors["skin"], SKIN)
    grey = (factors["age"].view(-1, 1, 1, 1) * 2 - 0.9).clamp(0, 1) * 0.9
    hair = torch.lerp(palette(factors["hair_color"], HAIR), constant(214, 214, 220, skin), grey)
    return {
        "skin": skin,
        "shade": skin * torch.tensor([0.80, 0.70, 0.66], device=skin.device).view(1, 3, 1, 1),
        "blush": torch.lerp(skin, constant(230, 90, 80, skin), 0.55),
        "lips": torch.lerp(skin, constant(176, 44, 52, skin), 0.72) * 0.92,
        "gape": constant(70, 16, 24, skin),
        "tongue": constant(214, 96, 96, skin),
        "rims": constant(28, 26, 40, skin),
        "hair": hair,
        "iris": palette(factors["eye_color"], EYES),
        "shirt": palette(factors["shirt"], SHIRT),
        "background": palette(factors["background"], BACKGROUND),
        "white": constant(250, 248, 244, skin),
        "dark": constant(30, 24, 28, skin),
    }


def _head(x: Tensor, y: Tensor, f: dict[str, Tensor], width, height) -> Tensor:
    """Signed distance to the head: round above, from pointed to square below the cheeks."""
    cy = 0.02
    upper = superellipse(x, y - cy, width, height, 2.2)
    squareness = 2.2 + 0.55 * f["jaw"]
    lower = superellipse(x, y - cy, width * (0.98 + 0.02 * f["jaw"]), height + 0.05, squareness)
    return torch.where(y < cy, upper, lower)


def back_hair(x: Tensor, y: Tensor, f: dict[str, Tensor], width) -> Tensor:
    """Signed distance to the hair behind the head: hidden when cropped, shoulder-long at 1."""
    bottom = -0.1 + 0.95 * f["hair_length"]
    middle = 0.5 * (bottom - 0.6)
    return superellipse(x, y - middle, width + 0.02 + 0.16 * f["hair_length"], bottom - middle, 3.2)


def _paint_background(c: Canvas, f: dict, colour: dict, at: Place) -> None:
    glow = 1.08 - 0.22 * ((c.x * 0.6 - 0.5 * f["light"]) ** 2 + (c.y + 0.4) ** 2 * 0.5)
    c.paint(torch.ones_like(glow), (colour["background"] * glow[:, None]).clamp(0, 1), 0)


def _paint_back(c: Canvas, f: dict, colour: dict, at: Place) -> None:
    """Hair behind the head, neck and clothes, ears."""
    x, y, width = at.x, at.y, at.width
    c.paint(c.coverage(back_hair(x, y, f, width)), colour["hair"] * 0.62, 1)
    neck = inside(x.abs() - 0.22, 0.3 - y, y - 0.98)
    c.paint(c.coverage(neck), colour["shade"], 3)
    shoulders = superellipse(c.x, c.y - 1.25, 0.86, 0.46, 2.6)
    collar = superellipse(c.x, c.y - 0.78, 0.26, 0.14)
    c.paint(c.coverage(inside(shoulders, -collar)), colour["shirt"], 2)
    for side in (-1, 1):
        ear = superellipse(x - side * width, y - 0.06, 0.1, 0.15)
        c.paint(c.coverage(ear), colour["skin"] * 0.93, 3)


def _paint_head(c: Canvas, f: dict, colour: dict, at: Place) -> None:
    """Skin with soft light from one side, cheeks, and the lines of age."""
    x, y, head, width = at.x, at.y, at.head, at.width
    on_head = c.coverage(head)
    light = 1 + 0.16 * f["light"] * (x / width).clamp(-1, 1) - 0.06 * (y / 0.7)
    c.paint(on_head, (colour["skin"] * light[:, None]).clamp(0, 1), 3)
    fx = x - 0.16 * f["yaw"]
    c.paint(on_head * c.soft(head + 0.12, 0.1).sub(1).abs(), colour["shade"], opacity=0.35)
    for side in (-1, 1):
        cheek = superellipse(fx - side * 0.31, y - 0.2, 0.06, 0.04)
        c.paint(on_head * c.soft(cheek, 0.14), colour["blush"], opacity=0.45 * (1 - f["age"]))
        fold = segment(fx, y, side * 0.16, 0.18, side * 0.29, 0.38, 0.018)
        bag = segment(fx, y, side * 0.17, 0.115, side * 0.3, 0.10, 0.018)
        for line in (fold, bag):
            c.paint(on_head * c.soft(line, 0.03), colour["shade"] * 0.8, opacity=f["age"] * 0.9)
    for level in (-0.33, -0.42):
        line = segment(fx, y, -0.2, level, 0.2, level, 0.012)
        c.paint(on_head * c.soft(line, 0.03), colour["shade"] * 0.85, opacity=f["age"] * 0.8)


def beard_of(f: dict[str, Tensor], at: Place) -> Tensor:
    """Signed distance to the beard and the moustache."""
    fx, y, head = at.fx, at.y, at.head
    edge = 0.36 - 0.75 * fx**2 - 0.12 * f["beard"]
    beard = inside(head - 0.05 * f["beard"], edge - y, -superellipse(fx, y - 0.41, 0.2, 0.07))
    moustache = inside(
        superellipse(fx, y - 0.34, 0.25, 0.085), -superellipse(fx, y - 0.44, 0.24, 0.08)
    )
    return union(beard, moustache)


def _paint_beard(c: Canvas, f: dict, colour: dict, at: Place) -> None:
    opacity = (f["beard"] * 1.6).clamp(0, 0.96)
    c.paint(c.coverage(beard_of(f, at)), colour["hair"] * 0.88, 5, opacity=opacity)


def _paint_nose(c: Canvas, f: dict, colour: dict, at: Place) -> None:
    fx, y = at.fx, at.y
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


class Mouth(NamedTuple):
    """Two curves y(x) that share their corners, over the features' x; `u` is 1 at a corner."""

    half: Tensor
    u: Tensor
    middle: Tensor
    gape: Tensor
    top: Tensor
    bottom: Tensor


def mouth_of(f: dict[str, Tensor], fx: Tensor) -> Mouth:
    """The mouth of these factors: its corners rise with a smile, its gape opens most in the middle."""
    half = 0.23 + 0.05 * f["mouth_width"] + 0.03 * f["smile"]
    u = (fx / half).clamp(-1.2, 1.2)
    curl = 0.115 * f["smile"]
    middle = 0.43 + 0.3 * curl - curl * (u**2 - 0.35)
    gape = (0.2 * f["mouth_open"] + 0.03 * f["smile"].clamp(0, 1)) * (1 - u**2).clamp_min(0)
    return Mouth(half, u, middle, gape, middle - 0.25 * gape, middle + 0.75 * gape)


def _paint_mouth(c: Canvas, f: dict, colour: dict, at: Place) -> None:
    """Lips around the mouth's two curves, teeth and tongue between."""
    fx, y = at.fx, at.y
    half, u, middle, gape, top, bottom = mouth_of(f, fx)
    ends = fx.abs() - half
    lip = 0.034 * (1.25 - 0.5 * u.abs())
    lips = inside(top - lip - y, y - bottom - 1.3 * lip, ends)
    c.paint(c.coverage(lips), colour["lips"], 6)
    gap = inside(top - y, y - bottom, ends)
    widest = gape.amax((1, 2), True)
    c.paint(c.coverage(gap), colour["gape"], 6, opacity=(widest / 0.03).clamp(0, 1))
    line = inside((y - middle).abs() - 0.011, ends)
    c.paint(
        c.coverage(line), colour["lips"] * 0.45, 6, opacity=(1 - f["mouth_open"] * 4).clamp(0, 1)
    )
    teeth = inside(gap + 0.004, y - top - 0.35 * gape - 0.012)
    c.paint(c.coverage(teeth), colour["white"], 6, opacity=(widest / 0.05).clamp(0, 1))
    tongue = inside(gap + 0.004, superellipse(fx, y - bottom - 0.01, half * 0.6, 0.06))
    c.paint(c.coverage(tongue), colour["tongue"], 6, opacity=f["mouth_open"])


class Eye(NamedTuple):
    """One eye: coordinates x, y about its centre, half width and half height, -1 left or 1 right."""

    x: Tensor
    y: Tensor
    wide: Tensor
    tall: Tensor
    side: int


def eyes_of(f: dict[str, Tensor], at: Place) -> list[Eye]:
    """The two eyes of these factors."""
    wide = 0.14 * (1 + 0.22 * f["eye_size"])
    tall = wide * (0.34 + 0.66 * f["eye_open"])
    apart = 0.235 + 0.035 * f["eye_spacing"]
    return [Eye(at.fx - side * apart, at.y - EYE_LEVEL, wide, tall, side) for side in (-1, 1)]


def _paint_eyes(c: Canvas, f: dict, colour: dict, at: Place) -> None:
    for ex, ey, wide, tall, _ in eyes_of(f, at):
        eye = superellipse(ex, ey, wide, tall, 2.0)
        lid = superellipse(ex, ey + 0.02, wide * 1.12, tall + 0.022, 2.0)
        c.paint(c.coverage(inside(lid, ey - 0.3 * tall)), colour["dark"], 7, opacity=0.85)
        c.paint(c.coverage(eye), colour["white"], 7)
        gaze = ex - 0.035 * f["yaw"]
        iris = superellipse(gaze, ey, wide * 0.62, wide * 0.66)
        pupil = superellipse(gaze, ey, wide * 0.3, wide * 0.33)
        c.paint(c.coverage(inside(iris, eye)), colour["iris"], 7)
        c.paint(c.coverage(inside(pupil, eye)), colour["dark"], 7)
        glint = superellipse(gaze + 0.03, ey + 0.03, wide * 0.17, wide * 0.17)
        c.paint(c.coverage(inside(glint, eye)), colour["white"], 7)


def _paint_brows(c: Canvas, f: dict, colour: dict, at: Place) -> None:
    lift = -0.055 * f["brows"]
    slant = 0.075 * f["brows"]  # inner ends down when angry, up when raised
    level = EYE_LEVEL - 0.2 + lift
    inner, outer = level - slant * 0.6, level + slant * 0.5 + 0.015
    for side in (-1, 1):
        bx = at.fx * side - 0.035 * f["eye_spacing"]
        brow = segment(bx, at.y, 0.11, inner, 0.35, outer, 0.034)
        c.paint(c.coverage(brow), colour["hair"] * 0.62, 8)


def hair_of(f: dict[str, Tensor], at: Place) -> Tensor:
    """Signed distance to the hair in front: a cap over the skull, cut by the hairline; side locks with
    length."""
    x, y, fx, width, height = at.x, at.y, at.fx, at.width, at.height
    volume = 0.05 + 0.07 * f["hair_length"]
    cap = superellipse(x, y - 0.0, width + volume, height + 0.02 + volume, 2.2)
    hairline = -0.5 + 0.2 * f["fringe"] + 0.55 * fx.abs() ** 2.2
    crown = inside(cap, y - hairline)
    lock_x = (x - 0.06 * f["yaw"]).abs() - width
    lock_end = -0.4 + 1.2 * f["hair_length"]
    lock = segment(lock_x, y, -0.02, -0.4, 0.08 * f["hair_length"], lock_end, 0.13)
    return union(crown, inside(lock, union(cap, back_hair(x, y, f, width))))


def _paint_hair(c: Canvas, f: dict, colour: dict, at: Place) -> None:
    x, y = at.x, at.y
    shine = 1 + 0.3 * torch.exp(
        -((y + 0.52 - 0.25 * x**2) ** 2) / 0.004 - (x - 0.2 * f["light"]) ** 2 / 0.06
    )
    shade = (1 + 0.12 * f["light"] * x)[:, None] * shine[:, None]
    c.paint(c.coverage(hair_of(f, at)), (colour["hair"] * shade).clamp(0, 1), 1)


def _paint_glasses(c: Canvas, f: dict, colour: dict, at: Place) -> None:
    fx, y, width = at.fx, at.y, at.width
    level, spacing = -0.02, 0.235 + 0.02 * f["eye_spacing"]
    rims, lenses = [], []
    for side in (-1, 1):
        lens = superellipse(fx - side * spacing, y - level, 0.2, 0.175, 2.6)
        lenses.append(lens)
        rims.append(lens.abs() - 0.026)
    bridge = segment(fx, y, -0.06, level - 0.03, 0.06, level - 0.03, 0.026)
    arms = inside((y - level + 0.03).abs() - 0.022, spacing + 0.18 - fx.abs(), fx.abs() - width)
    frame = union(*rims, bridge, arms)
    c.paint(c.coverage(union(*lenses)), constant(225, 240, 250, fx), opacity=0.22 * f["glasses"])
    c.paint(c.coverage(frame), colour["rims"], 9, opacity=f["glasses"])


LAYERS: dict[str, Layer] = {
    "background": _paint_background,
    "back": _paint_back,
    "head": _paint_head,
    "beard": _paint_beard,
    "nose": _paint_nose,
    "mouth": _paint_mouth,
    "eyes": _paint_eyes,
    "brows": _paint_brows,
    "hair": _paint_hair,
    "glasses": _paint_glasses,
}
