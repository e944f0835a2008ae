"""How a face is painted as a robot, a zombie, a painting or a clown: other layers and colours."""

from __future__ import annotations

import torch
from torch import Tensor

from .draw import Canvas, constant, inside, palette, segment, superellipse, union
from .faces_drawing import (
    CLASSES,
    LAYERS,
    Layer,
    Place,
    beard_of,
    colours,
    eyes_of,
    hair_of,
    mouth_of,
    paint_face,
)

STEEL = [(206, 222, 236), (150, 172, 194), (92, 112, 138)]
LAMPS = [(255, 150, 40), (110, 255, 120), (70, 220, 255)]
ROT = [(186, 214, 140), (138, 170, 104), (84, 116, 78)]
WARM = [(255, 214, 70), (250, 140, 50), (206, 70, 40)]
COOL = [(110, 206, 200), (50, 130, 200), (50, 64, 150)]
WIG = [(230, 50, 40), (250, 140, 30), (255, 220, 60), (30, 170, 90), (40, 90, 230)]


def _layers(**changed: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """The layers of a face, with these in place of the ones of their names."""
    return tuple(layer for name, one in LAYERS.items() for layer in changed.get(name, (one,)))


def _robot(factors: dict[str, Tensor], size: int) -> Canvas:
    colour, steel = colours(factors), palette(factors["skin"], STEEL)
    colour |= {"skin": steel, "shade": steel * 0.68, "blush": steel}
    colour |= {"iris": palette(factors["eye_color"], LAMPS), "rims": constant(16, 18, 26, steel)}
    colour["hair"] = torch.lerp(colour["hair"], constant(150, 160, 172, steel), 0.25)
    layers = _layers(
        background=(LAYERS["background"], _antenna), back=(LAYERS["back"], _bolts),
        head=(LAYERS["head"], _plates), mouth=(_grille,), eyes=(_lamps,),
        hair=(LAYERS["hair"], _cables),
    )  # fmt: skip
    return paint_face(factors | {"jaw": 2.6 + factors["jaw"]}, size, colour, layers)


def _antenna(c: Canvas, f: dict, colour: dict, at: Place) -> None:
    """A lamp on a rod, which a mask counts as hair, behind the head."""
    rod = segment(at.x, at.y, 0.0, -0.5, 0.0, -0.84, 0.035)
    c.paint(c.coverage(rod), colour["dark"], 1)
    bulb = superellipse(at.x, at.y + 0.87, 0.095, 0.095)
    c.paint(c.soft(bulb, 0.14), colour["iris"], opacity=0.6)
    c.paint(c.coverage(bulb), colour["iris"], 1)


def _bolts(c: Canvas, f: dict, colour: dict, at: Place) -> None:
    """Bolts in place of the ears."""
    for side in (-1, 1):
        bolt = superellipse(at.x - side * (at.width + 0.06), at.y - 0.06, 0.1, 0.2, 5.0)
        c.paint(c.coverage(bolt), colour["dark"], 3)
        c.paint(c.coverage(bolt + 0.035), colour["skin"] * 0.85, 3)


def _plates(c: Canvas, f: dict, colour: dict, at: Place) -> None:
    """A seam down the forehead and one across the cheeks, with rivets."""
    on_head = c.coverage(at.head + 0.01)
    down = inside(at.fx.abs() - 0.016, at.y - 0.1)
    across = (at.y - 0.27).abs() - 0.016
    c.paint(on_head * c.coverage(union(down, across)), colour["shade"] * 0.6)
    for side in (-1, 1):
        for level in (0.18, 0.37):
            rivet = superellipse(at.x - side * (at.width - 0.09), at.y - level, 0.036, 0.036)
            c.paint(on_head * c.coverage(rivet), colour["shade"] * 0.5)


def _lamps(c: Canvas, f: dict, colour: dict, at: Place) -> None:
    """Eyes that glow in dark sockets; a narrowed eye is a narrower lamp."""
    for ex, ey, wide, tall, _ in eyes_of(f, at):
        socket = superellipse(ex, ey, wide * 1.25, tall + 0.055, 4.0)
        c.paint(c.coverage(socket), constant(24, 32, 44, ex), 7)
        gaze = ex - 0.035 * f["yaw"]
        lamp = superellipse(gaze, ey, wide * 0.78, torch.minimum(tall, wide * 0.78))
        c.paint(c.soft(lamp, 0.1) * c.coverage(socket), colour["iris"], 7, opacity=0.55)
        c.paint(c.coverage(lamp), colour["iris"], 7)
        c.paint(c.coverage(lamp + 0.06), colour["white"], 7)


def _grille(c: Canvas, f: dict, colour: dict, at: Place) -> None:
    """A mouth of bars, which bends and opens as the face's mouth does."""
    half, u, _, _, top, bottom = mouth_of(f, at.fx)
    shape = inside(top - 0.06 - at.y, at.y - bottom - 0.06, at.fx.abs() - half)
    c.paint(c.coverage(shape), colour["dark"], 6)
    bar = (u * 2.5 - (u * 2.5).round()).abs() * half / 2.5 - 0.032
    c.paint(c.coverage(inside(shape + 0.028, bar)), colour["white"], 6)


def _cables(c: Canvas, f: dict, colour: dict, at: Place) -> None:
    """Hair and beard of cables: dark gaps between strands."""
    x = at.x / (at.width + 0.1) * 4.5
    gap = ((x - x.floor() - 0.5).abs() - 0.17) * 0.13
    for shape, opacity in ((hair_of(f, at), 0.8), (beard_of(f, at), f["beard"].clamp(0, 0.8))):
        c.paint(c.coverage(inside(shape, gap)), colour["hair"] * 0.4, opacity=opacity)


def _zombie(factors: dict[str, Tensor], size: int) -> Canvas:
    colour, rot = colours(factors), palette(factors["skin"], ROT)
    mud = constant(58, 62, 44, rot)
    colour |= {
        "skin": rot, "shade": rot * 0.66, "blush": rot * 0.9,
        "hair": torch.lerp(colour["hair"], mud, 0.25),
        "shirt": torch.lerp(colour["shirt"], mud, 0.25),
        "white": constant(240, 236, 150, rot), "gape": constant(34, 10, 22, rot),
        "lips": torch.lerp(rot, constant(76, 40, 70, rot), 0.8),
        "tongue": constant(110, 60, 96, rot),
    }  # fmt: skip
    layers = _layers(
        back=(LAYERS["back"], _holes), beard=(LAYERS["beard"], _sockets, _scar),
        mouth=(_stain, LAYERS["mouth"]),
    )  # fmt: skip
    return paint_face(factors, size, colour, layers)


def _holes(c: Canvas, f: dict, colour: dict, at: Place) -> None:
    """Holes in the clothes."""
    for x, y in ((-0.5, 0.9), (0.42, 0.86)):
        hole = superellipse(c.x - x, c.y - y, 0.11, 0.07, 1.2)
        c.paint(c.coverage(hole), colour["shade"] * 0.8, 3)


def _sockets(c: Canvas, f: dict, colour: dict, at: Place) -> None:
    """Eyes sunk in the dark."""
    for ex, ey, wide, _, _ in eyes_of(f, at):
        socket = superellipse(ex, ey - 0.015, wide * 1.15, wide * 1.15)
        c.paint(c.soft(socket, 0.07), constant(54, 38, 62, ex), opacity=0.9)


def _scar(c: Canvas, f: dict, colour: dict, at: Place) -> None:
    """A scar across the cheek, sewn up with three stitches."""
    x0, y0, x1, y1 = 0.17, 0.3, 0.46, 0.13
    lines = [segment(at.fx, at.y, x0, y0, x1, y1, 0.026)]
    for along in (0.15, 0.5, 0.85):
        x, y = x0 + along * (x1 - x0), y0 + along * (y1 - y0)
        lines.append(segment(at.fx, at.y, x - 0.04, y - 0.075, x + 0.04, y + 0.075, 0.024))
    c.paint(c.coverage(union(*lines)) * c.coverage(at.head), constant(70, 30, 44, at.x))


def _stain(c: Canvas, f: dict, colour: dict, at: Place) -> None:
    """A dark stain below the mouth."""
    half, _, _, _, _, bottom = mouth_of(f, at.fx)
    stain = inside(superellipse(at.fx, at.y - bottom, half * 0.9, 0.11), bottom - at.y)
    c.paint(c.coverage(stain), constant(96, 34, 44, at.x), opacity=0.75)


def _painted(factors: dict[str, Tensor], size: int) -> Canvas:
    colour = colours(factors)
    warm, cool = palette(factors["skin"], WARM), palette(factors["skin"], COOL)
    ink = constant(22, 18, 34, warm)
    colour |= {part: _bold(colour[part]) for part in ("hair", "shirt", "background", "iris")}
    colour |= {
        "skin": warm, "shade": cool, "blush": warm, "lips": constant(214, 30, 50, ink),
        "dark": ink, "rims": ink, "gape": ink,
    }  # fmt: skip
    layers = _layers(
        background=(_blocks,), back=(LAYERS["back"], _outlines), head=(_halves,),
        nose=(_profile,), mouth=(_inked_mouth, LAYERS["mouth"]), eyes=(_inked_eyes, LAYERS["eyes"]),
        hair=(LAYERS["hair"], _inked_hair),
    )  # fmt: skip
    return paint_face(factors, size, colour, layers)


def _bold(colour: Tensor) -> Tensor:
    """The same hue, more saturated."""
    grey = colour.mean(1, keepdim=True)
    return (grey + 1.8 * (colour - grey)).clamp(0, 1)


def _blocks(c: Canvas, f: dict, colour: dict, at: Place) -> None:
    """A background of two flat tones, parted by a slanting edge."""
    c.paint(torch.ones_like(c.x), colour["background"], 0)
    edge = c.x + 0.5 * c.y + 0.2 * f["light"]
    c.paint(c.coverage(edge), colour["background"] * 0.75, 0)


def _outlines(c: Canvas, f: dict, colour: dict, at: Place) -> None:
    """A dark line around the head and along the shoulders."""
    shoulders = superellipse(c.x, c.y - 1.25, 0.86, 0.46, 2.6).abs() - 0.028
    c.paint(c.coverage(shoulders), colour["dark"], 2)
    c.paint(c.coverage(at.head - 0.05), colour["dark"], 3)


def _halves(c: Canvas, f: dict, colour: dict, at: Place) -> None:
    """A face of two colours, warm and cool, that meet along the profile of its own nose."""
    on_head = c.coverage(at.head)
    fall = ((at.y + 0.2) / 0.42).clamp(0, 1) * (at.y < 0.22)
    c.paint(on_head, colour["skin"], 3)
    c.paint(on_head * c.coverage(_jut(f) * fall - 0.05 - at.fx), colour["shade"], 3)
    for level in (-0.33, -0.42):
        line = segment(at.fx, at.y, -0.2, level, 0.2, level, 0.014)
        c.paint(on_head * c.coverage(line), colour["dark"], opacity=f["age"] * 0.8)


def _jut(f: dict) -> Tensor:
    """How far the nose juts out of the profile."""
    return 0.17 * (1 + 0.35 * f["nose_size"])


def _profile(c: Canvas, f: dict, colour: dict, at: Place) -> None:
    """The nose, seen from the side in a face seen from the front."""
    tip = _jut(f) - 0.05
    bridge = segment(at.fx, at.y, -0.05, -0.2, tip, 0.21, 0.026)
    under = segment(at.fx, at.y, tip, 0.21, -0.05, 0.22, 0.026)
    c.paint(c.coverage(union(bridge, under)), colour["dark"], 4)


def _inked_mouth(c: Canvas, f: dict, colour: dict, at: Place) -> None:
    """A dark line around the lips."""
    half, _, _, _, top, bottom = mouth_of(f, at.fx)
    shape = inside(top - 0.07 - at.y, at.y - bottom - 0.08, at.fx.abs() - half - 0.03)
    c.paint(c.coverage(shape), colour["dark"], 6)


def _inked_eyes(c: Canvas, f: dict, colour: dict, at: Place) -> None:
    """A dark line around the eyes."""
    for ex, ey, wide, tall, _ in eyes_of(f, at):
        c.paint(c.coverage(superellipse(ex, ey, wide + 0.035, tall + 0.035)), colour["dark"], 7)


def _inked_hair(c: Canvas, f: dict, colour: dict, at: Place) -> None:
    """A dark line along the hair, one half of which is in shadow."""
    hair = hair_of(f, at)
    c.paint(c.coverage(inside(hair, at.x)), colour["hair"] * 0.66)
    c.paint(c.coverage(hair.abs() - 0.024), colour["dark"], 1)


def _clown(factors: dict[str, Tensor], size: int) -> Canvas:
    colour = colours(factors)
    white = torch.lerp(colour["skin"], torch.ones_like(colour["skin"]), 0.82)
    colour |= {
        "skin": white, "shade": white * 0.86, "blush": constant(255, 120, 140, white),
        "hair": palette(factors["hair_color"], WIG), "lips": constant(226, 24, 36, white),
    }  # fmt: skip
    layers = _layers(
        back=(_back_curls, LAYERS["back"], _ruff), nose=(),
        mouth=(_red_mouth, LAYERS["mouth"]), eyes=(_diamonds, LAYERS["eyes"]),
        hair=(LAYERS["hair"], _curls, _ball),
    )  # fmt: skip
    return paint_face(factors, size, colour, layers)


def _ring(f: dict, at: Place, radius: float) -> Tensor:
    """Signed distance to nine curls around the skull, which reach further down with longer hair."""
    reach = 1.35 + 0.85 * f["hair_length"]
    curls = []
    for part in range(-4, 5):
        angle = reach * part / 4
        x = at.x - (at.width + 0.1) * torch.sin(angle)
        y = at.y + (at.height + 0.03) * torch.cos(angle)
        curls.append(superellipse(x, y, radius, radius))
    return union(*curls)


def _back_curls(c: Canvas, f: dict, colour: dict, at: Place) -> None:
    """Curls behind the head."""
    c.paint(c.coverage(_ring(f, at, 0.26)), colour["hair"] * 0.72, 1)


def _curls(c: Canvas, f: dict, colour: dict, at: Place) -> None:
    """Curls in front of the head, not of the features."""
    c.paint(c.coverage(inside(_ring(f, at, 0.19), -at.head - 0.16)), colour["hair"], 1)


def _ruff(c: Canvas, f: dict, colour: dict, at: Place) -> None:
    """A white frilled collar."""
    frills = union(
        *(superellipse(c.x - 0.15 * i, c.y - 0.84 + 0.014 * i**2, 0.1, 0.09) for i in range(-3, 4))
    )
    c.paint(c.coverage(frills - 0.025), colour["shirt"] * 0.6, 2)
    c.paint(c.coverage(frills), colour["white"], 2)


def _red_mouth(c: Canvas, f: dict, colour: dict, at: Place) -> None:
    """Red paint all around the mouth, which bends with it."""
    half, _, _, _, top, bottom = mouth_of(f, at.fx)
    room = 0.1 * (1 - (at.fx / (half + 0.09)) ** 2).clamp_min(0).sqrt()
    shape = inside(top - 0.6 * room - at.y, at.y - bottom - room, at.fx.abs() - half - 0.09)
    c.paint(c.coverage(shape), colour["lips"], 6)


def _diamonds(c: Canvas, f: dict, colour: dict, at: Place) -> None:
    """A blue diamond painted over each eye."""
    for ex, ey, wide, _, _ in eyes_of(f, at):
        diamond = superellipse(ex, ey, wide, 0.3, 1.0)
        c.paint(c.coverage(diamond) * c.coverage(at.head), constant(40, 90, 220, ex))


def _ball(c: Canvas, f: dict, colour: dict, at: Place) -> None:
    """A red ball for a nose, in front of all but the glasses."""
    size = 0.13 * (1 + 0.2 * f["nose_size"])
    x, y = at.fx - 0.03 * f["yaw"], at.y - 0.14
    c.paint(c.coverage(superellipse(x, y, size + 0.035, size + 0.035)), colour["shade"], 4)
    c.paint(c.coverage(superellipse(x, y, size, size)), constant(232, 28, 40, x), 4)
    shine = superellipse(x - 0.04 * f["light"], y + 0.05, size * 0.3, size * 0.26)
    c.paint(c.coverage(shine), constant(255, 190, 190, x), 4)


LOOKS = {"robot": _robot, "zombie": _zombie, "painted": _painted, "clown": _clown}


def nearest(number: float) -> str:
    """The look of a factor's number; beyond their range, the nearest."""
    return list(LOOKS)[min(max(round(number), 0), len(LOOKS) - 1)]


def draw(factors: dict[str, Tensor], size: int) -> Canvas:
    """Each look's rows are painted by themselves, then put where they belong."""
    number = factors["look"]
    whole = Canvas(len(number), size, len(CLASSES), number.device)
    for one in number.unique().tolist():
        rows = number == one
        part = LOOKS[nearest(one)]({name: v[rows] for name, v in factors.items()}, size)
        whole.rgb[rows], whole.cover[rows] = part.rgb, part.cover
    return whole
