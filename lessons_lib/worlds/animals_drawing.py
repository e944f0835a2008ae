"""How an animal is painted: one skull, a table of each species' measures, and its own parts."""

from __future__ import annotations

import torch
from torch import Tensor

from .draw import Canvas, constant, inside, palette, rotate, segment, superellipse, union

SPECIES = ("cat", "dog", "fox")
PATTERNS = ("plain", "patch", "stripes")
CLASSES = (
    "background", "body", "ears", "head", "marking", "muzzle", "mouth", "nose", "eyes",
)  # fmt: skip

FUR = [(84, 78, 88), (150, 150, 158), (142, 90, 58), (236, 134, 48), (246, 208, 140)]
SECOND = [(255, 252, 246), (250, 220, 164), (204, 150, 104), (112, 74, 54)]
EYES = [(240, 168, 32), (104, 190, 74), (78, 158, 240)]
BACKGROUND = [
    (112, 184, 112), (84, 186, 190), (98, 146, 220), (164, 126, 212), (232, 142, 180),
]  # fmt: skip

MEASURES = {  # cat, dog, fox; lengths in half pictures
    "skull_y": (0.1, -0.04, -0.02),
    "skull_a": (0.66, 0.54, 0.56),
    "skull_b": (0.52, 0.6, 0.46),
    "chin_y": (0.34, 0.42, 0.52),
    "chin_r": (0.24, 0.32, 0.2),
    "cheek_x": (0.7, 0.3, 0.82),
    "cheek_y": (0.34, 0.2, 0.26),
    "cheek_r": (0.22, 0.2, 0.3),
    "ear_x": (0.4, 0.56, 0.36),
    "ear_y": (-0.14, -0.4, -0.2),
    "tip_x": (0.56, 0.76, 0.56),
    "tip_y": (-0.68, 0.14, -0.8),
    "ear_r": (0.3, 0.13, 0.28),
    "tip_r": (0.03, 0.2, 0.04),
    "puff_x": (0.14, 0.14, 0.42),
    "puff_y": (0.38, 0.3, 0.36),
    "puff_a": (0.2, 0.24, 0.36),
    "puff_b": (0.17, 0.26, 0.3),
    "nose_y": (0.24, 0.12, 0.34),
    "nose_a": (0.12, 0.2, 0.14),
    "nose_b": (0.09, 0.14, 0.11),
    "mouth_y": (0.41, 0.38, 0.52),
    "mouth_a": (0.13, 0.15, 0.105),
    "gape_a": (0.205, 0.22, 0.22),
    "eye_x": (0.3, 0.225, 0.28),
    "eye_y": (0.0, -0.18, -0.02),
    "eye_a": (0.18, 0.14, 0.165),
    "eye_b": (0.165, 0.15, 0.125),
    "slant": (-0.15, 0.0, -0.35),
    "pupil_a": (0.07, 0.078, 0.062),
    "pupil_b": (0.145, 0.082, 0.09),
}


def _shares(choice: Tensor, n: int) -> list[Tensor]:
    """How much of each of `n` choices a picture has: one of them, or two for a number between."""
    choice = choice.clamp(0, n - 1)
    return [(1 - (choice - k).abs()).clamp_min(0) for k in range(n)]


def _taper(x: Tensor, y: Tensor, x0, y0, x1, y1, r0, r1) -> Tensor:
    """Approximate signed distance to a segment whose radius goes from r0 at its start to r1."""
    dx, dy = x1 - x0, y1 - y0
    along = (((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy + 1e-9)).clamp(0, 1)
    off = torch.sqrt((x - x0 - along * dx) ** 2 + (y - y0 - along * dy) ** 2 + 1e-9)
    return off - r0 - along * (r1 - r0)


def draw(factors: dict[str, Tensor], size: int) -> Canvas:
    """Paint the animals, back to front; factors are (B,) tensors on one device."""
    f = {name: value.view(-1, 1, 1) for name, value in factors.items()}
    c = Canvas(len(f["yaw"]), size, len(CLASSES), f["yaw"].device)
    kind = dict(zip(SPECIES, _shares(f["species"], len(SPECIES)), strict=True))
    m = _measures(f, kind)
    colour = _colours(factors, kind)
    _paint_background(c, f, colour)
    # The picture nears by the zoom; the head turns about the neck with the tilt.
    near = 1 + 0.1 * f["zoom"]
    bx, by = c.x / near, (c.y - 0.1) / near + 0.1
    x, y = rotate(bx, by - 0.7, 0.22 * f["tilt"])
    y = y + 0.7
    # What is nearer to us slides further with the yaw: ears, head, eyes, muzzle.
    hx = x - 0.05 * f["yaw"]
    fx = x - 0.16 * f["yaw"]
    fx = fx * (1 + 0.15 * f["yaw"] * torch.tanh(3 * fx))
    mx = fx - 0.07 * f["yaw"]
    head = _head(hx, y, m)
    ears = _taper(
        hx.abs(), y, m["ear_x"], m["ear_y"], m["tip_x"], m["tip_y"], m["ear_r"], m["tip_r"]
    )
    _paint_body(c, f, colour, bx, by, head)
    _paint_ears(c, colour, hx, y, m, kind, ears)
    _paint_head(c, f, colour, hx, y, head)
    _paint_marking(c, f, colour, fx, y, m, head)
    _paint_muzzle(c, f, colour, mx, y, m, kind, head)
    _paint_mouth(c, f, colour, mx, y, m)
    _paint_nose(c, colour, mx, y, m)
    _paint_eyes(c, f, colour, fx, y, m)
    _paint_whiskers(c, colour, mx, y, kind)
    c.paint(c.coverage(ears), colour["ear"] * _lit(f, hx, y)[:, None], 2, opacity=kind["dog"])
    return c


def _measures(f: dict[str, Tensor], kind: dict[str, Tensor]) -> dict[str, Tensor]:
    """Each of MEASURES (B, 1, 1) for these animals: their species', changed by its own factors."""
    m = {
        name: sum(kind[s] * v for s, v in zip(SPECIES, values, strict=True))
        for name, values in MEASURES.items()
    }
    cat, dog, fox = (kind[s] for s in SPECIES)
    wide = 1 + 0.09 * f["head_width"]
    for name in ("skull_a", "cheek_x", "ear_x", "tip_x"):
        m[name] = m[name] * wide
    spread = 0.1 * cat * f["cat_ear_spread"]
    m["ear_x"] = m["ear_x"] + spread
    m["tip_x"] = m["tip_x"] + 1.6 * spread + 0.12 * dog * f["dog_ear_lift"]
    m["tip_y"] = (
        m["tip_y"]
        - 0.13 * cat * f["cat_ear_height"]
        - 0.1 * fox * f["fox_ear_height"]
        + dog * (0.2 * f["dog_ear_length"] - 0.1 * f["dog_ear_lift"])
    )
    m["ear_r"] = m["ear_r"] + 0.04 * fox * f["fox_ear_height"]
    m["pupil_a"] = m["pupil_a"] + 0.042 * cat * f["cat_pupil"]
    m["puff_a"] = m["puff_a"] + 0.06 * dog * f["dog_muzzle"]
    m["puff_x"] = m["puff_x"] + 0.03 * dog * f["dog_muzzle"]
    m["cheek_x"] = m["cheek_x"] + 0.12 * fox * f["fox_cheeks"]
    return m


def _colours(factors: dict[str, Tensor], kind: dict[str, Tensor]) -> dict[str, Tensor]:
    fur = palette(factors["fur"], FUR)
    dark = constant(34, 28, 34, fur)
    pink = constant(240, 138, 150, fur)
    return {
        "fur": fur,
        "ear": fur * 0.68,
        "marking": fur * 0.42,
        "second": palette(factors["second"], SECOND),
        "iris": palette(factors["eye_color"], EYES),
        "background": palette(factors["background"], BACKGROUND),
        "white": constant(252, 250, 246, fur),
        "dark": dark,
        "pink": pink,
        "nose": torch.lerp(dark, pink, kind["cat"][:, None]),
    }


def _lit(f: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
    """Brightness (B, H, W) of what faces us, with soft light from one side and above."""
    return 1 + 0.2 * f["light"] * x.clamp(-0.8, 0.8) - 0.08 * y


def _head(x: Tensor, y: Tensor, m: dict[str, Tensor]) -> Tensor:
    """Signed distance to the head: a skull, a chin below it, and cheeks pointed or not."""
    skull = superellipse(x, y - m["skull_y"], m["skull_a"], m["skull_b"])
    jaw = _taper(x, y, 0.0, m["skull_y"], 0.0, m["chin_y"], 0.8 * m["skull_b"], m["chin_r"])
    cheeks = _taper(
        x.abs(), y, 0.25, m["skull_y"] + 0.06, m["cheek_x"], m["cheek_y"], m["cheek_r"], 0.02
    )
    return union(skull, jaw, cheeks)


def _paint_background(c: Canvas, f: dict, colour: dict) -> None:
    glow = 1.06 - 0.2 * ((c.x * 0.6 - 0.5 * f["light"]) ** 2 + (c.y + 0.4) ** 2 * 0.5)
    c.paint(torch.ones_like(glow), (colour["background"] * glow[:, None]).clamp(0, 1), 0)


def _paint_body(c: Canvas, f: dict, colour: dict, x: Tensor, y: Tensor, head: Tensor) -> None:
    """Shoulders and chest, in the shadow of the head."""
    striped = _shares(f["pattern"], len(PATTERNS))[2]
    body = superellipse(x, y - 1.2, 0.62, 0.68)
    chest = superellipse(x, y - 1.1, 0.3, 0.62)
    c.paint(c.coverage(body), colour["fur"] * 0.84, 1)
    bars = segment(x.abs(), y, 0.7, 0.84, 0.36, 0.9, 0.07)
    c.paint(c.coverage(inside(bars, body)), colour["marking"], 4, opacity=striped)
    c.paint(c.coverage(inside(chest, body)), colour["second"] * 0.9, 1)
    c.paint(c.coverage(body) * c.soft(head, 0.14), colour["dark"], opacity=0.35)


def _paint_ears(c: Canvas, colour: dict, x, y, m: dict, kind: dict, ears: Tensor) -> None:
    """Ears behind the head, with an inside that faces us, and the dark tips of a fox."""
    stands = 1 - kind["dog"]
    c.paint(c.coverage(ears), colour["fur"] * 0.88, 2, opacity=stands)
    tip = superellipse(x.abs() - m["tip_x"], y - m["tip_y"], 0.3, 0.3)
    c.paint(c.coverage(inside(ears, tip)), colour["dark"], 2, opacity=kind["fox"])
    inner = _taper(
        x.abs(),
        y,
        m["ear_x"],
        m["ear_y"],
        m["tip_x"] - 0.02,
        m["tip_y"] + 0.2,
        0.5 * m["ear_r"],
        0.02,
    )
    c.paint(c.coverage(inner), colour["pink"] * 0.95, 2, opacity=stands)


def _paint_head(c: Canvas, f: dict, colour: dict, x: Tensor, y: Tensor, head: Tensor) -> None:
    fur = colour["fur"] * _lit(f, x, y)[:, None]
    c.paint(c.coverage(head), fur.clamp(0, 1), 3)


def _paint_marking(c: Canvas, f: dict, colour: dict, x, y, m: dict, head: Tensor) -> None:
    """A patch over one eye, or stripes on brow and cheeks."""
    _, patched, striped = _shares(f["pattern"], len(PATTERNS))
    patch = superellipse(x - m["eye_x"] - 0.03, y - m["eye_y"] + 0.03, 0.27, 0.29)
    side = x.abs()
    top = m["skull_y"] - m["skull_b"]
    middle = segment(x, y, 0.0, top, 0.0, top + 0.26, 0.065)
    brows = segment(side, y, 0.25, top, 0.19, top + 0.24, 0.065)
    cheeks = union(
        segment(side, y, 0.8, 0.06, m["skull_a"] - 0.12, 0.1, 0.065),
        segment(side, y, 0.8, 0.3, m["skull_a"] - 0.18, 0.3, 0.065),
    )
    stripes = union(middle, brows, cheeks)
    c.paint(c.coverage(inside(patch, head)), colour["marking"], 4, opacity=patched)
    c.paint(c.coverage(inside(stripes, head)), colour["marking"], 4, opacity=striped)


def _paint_muzzle(c: Canvas, f: dict, colour: dict, x, y, m: dict, kind: dict, head) -> None:
    """Cheeks beside the mouth and the jaw below it; a fox's snout between them; a dog's blaze."""
    second = (colour["second"] * _lit(f, x, y)[:, None]).clamp(0, 1)
    drop = 0.2 * f["mouth_open"]
    puffs = superellipse(x.abs() - m["puff_x"], y - m["puff_y"], m["puff_a"], m["puff_b"])
    jaw = superellipse(x, y - m["mouth_y"] - 0.02 - 0.6 * drop, m["gape_a"] + 0.02, 0.14 + drop)
    blaze = _taper(x, y, 0.0, -0.5, 0.0, 0.2, 0.06, 0.12)
    c.paint(c.coverage(inside(blaze, head)), second, 5, opacity=kind["dog"])
    c.paint(c.coverage(inside(puffs, head - 0.03)), second, 5)
    c.paint(c.coverage(jaw), second, 5)
    snout = _taper(x, y, 0.0, -0.1, 0.0, m["nose_y"], 0.28, 0.12)
    fur = (colour["fur"] * _lit(f, x, y)[:, None]).clamp(0, 1)
    c.paint(c.coverage(snout), fur, 3, opacity=kind["fox"])


def _paint_mouth(c: Canvas, f: dict, colour: dict, x: Tensor, y: Tensor, m: dict) -> None:
    """Two arcs below the nose; open, a dark hollow with a tongue."""
    level, half = m["mouth_y"], m["mouth_a"]
    gape = f["mouth_open"]
    arcs = superellipse(x.abs() - half, y - level + 0.02, half, 0.09).abs() - 0.028
    line = union(inside(arcs, level - y), segment(x, y, 0.0, m["nose_y"], 0.0, level, 0.028))
    c.paint(c.coverage(line), colour["dark"], 6, opacity=0.9)
    tall = 0.01 + 0.2 * gape
    hollow = inside(superellipse(x, y - level - 0.05, m["gape_a"], 1.5 * tall), level + 0.05 - y)
    shown = (gape * 5).clamp(0, 1)
    c.paint(c.coverage(hollow), constant(96, 22, 34, x), 6, opacity=shown)
    tongue = superellipse(x, y - level - 0.05 - 0.85 * tall, 0.52 * m["gape_a"], 0.7 * tall)
    c.paint(c.coverage(inside(tongue, level + 0.09 - y)), colour["pink"], 6, opacity=shown)


def _paint_nose(c: Canvas, colour: dict, x: Tensor, y: Tensor, m: dict) -> None:
    """Broad above, narrow below, with a light upon it."""
    a, b = m["nose_a"], m["nose_b"]
    nose = _taper(x * (b / a), y, 0.0, m["nose_y"] - 0.3 * b, 0.0, m["nose_y"] + b, b, 0.4 * b)
    shine = superellipse(x, y - m["nose_y"] + 0.5 * b, 0.45 * a, 0.3 * b)
    c.paint(c.coverage(nose), colour["nose"], 7)
    c.paint(c.coverage(shine, 2), colour["white"], 7, opacity=0.5)


def _paint_eyes(c: Canvas, f: dict, colour: dict, x: Tensor, y: Tensor, m: dict) -> None:
    grown = 1 + 0.24 * f["eye_size"]
    ex, ey = rotate(x.abs() - m["eye_x"], y - m["eye_y"], m["slant"])
    eye = superellipse(ex, ey, m["eye_a"] * grown, m["eye_b"] * grown)
    gx = ex - 0.03 * f["yaw"] * torch.sign(x)
    pupil = superellipse(gx, ey, m["pupil_a"] * grown, m["pupil_b"] * grown)
    gleam = superellipse(ex * torch.sign(x) + 0.045, ey + 0.06, 0.045, 0.045)
    c.paint(c.coverage(eye - 0.04), colour["dark"], 8)
    c.paint(c.coverage(eye), colour["iris"], 8)
    c.paint(c.coverage(inside(pupil, eye)), colour["dark"], 8)
    c.paint(c.coverage(inside(gleam, eye)), colour["white"], 8)


def _paint_whiskers(c: Canvas, colour: dict, x: Tensor, y: Tensor, kind: dict) -> None:
    side = x.abs()
    hairs = union(
        segment(side, y, 0.42, 0.36, 0.84, 0.28, 0.034),
        segment(side, y, 0.42, 0.47, 0.8, 0.54, 0.034),
    )
    c.paint(c.coverage(hairs), colour["white"], opacity=kind["cat"])
