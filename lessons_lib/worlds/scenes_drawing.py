"""How a scene is painted: sky, land, lake, the things on them and the weather before them."""

from __future__ import annotations

import torch
from torch import Tensor

from .draw import Canvas, constant, inside, palette, segment, superellipse, union

CLASSES = (
    "sky", "sun", "cloud", "mountains", "hills", "ground", "water",
    "tree", "house", "tent", "windmill", "animal", "boat",
)  # fmt: skip
SKY, SUN, CLOUD, MOUNTAINS, HILLS, GROUND, WATER, TREE, HOUSE, TENT, MILL, ANIMAL, BOAT = range(13)

# By time of day: day, sunset, night.
SKY_TOP = [(62, 148, 230), (96, 84, 160), (14, 20, 58)]
SKY_LOW = [(196, 230, 246), (255, 178, 104), (52, 68, 132)]
OVERCAST = [(172, 186, 198), (176, 134, 132), (44, 50, 78)]
PUFF = [(255, 255, 255), (255, 206, 190), (98, 108, 152)]
DISC = [(255, 234, 110), (255, 112, 48), (250, 248, 222)]
LIGHT = [(255, 255, 255), (255, 208, 184), (122, 132, 198)]
SPOT = [(255, 255, 255), (255, 228, 208), (198, 192, 226)]  # the light on things: they stand out
WINDOW = [(150, 206, 236), (255, 214, 120), (255, 222, 96)]
# By season: spring, summer, autumn, winter.
MEADOW = [(156, 212, 92), (84, 168, 62), (206, 168, 74), (224, 232, 244)]
HILL = [(118, 184, 92), (52, 132, 66), (182, 122, 58), (194, 208, 230)]
CROWN = [(250, 168, 196), (38, 118, 52), (226, 104, 32), (122, 146, 158)]
FLOWER = [(255, 128, 170), (250, 236, 120), (204, 82, 30), (255, 255, 255)]
LAKE = [(70, 160, 214), (36, 138, 206), (62, 134, 176), (142, 190, 216)]
# By kind of thing.
PAINT = [(216, 44, 40), (46, 98, 226), (250, 204, 40), (250, 248, 244)]
COAT = [(252, 250, 244), (244, 240, 232), (178, 96, 40)]
FACE = [(46, 42, 48), (244, 240, 232), (178, 96, 40)]
LEGS = [(46, 42, 48), (216, 206, 196), (96, 54, 32)]

STARS = [
    (-0.86, -0.88), (-0.52, -0.66), (-0.18, -0.92), (0.14, -0.6),
    (0.46, -0.9), (0.74, -0.58), (0.92, -0.84), (-0.9, -0.46),
]  # fmt: skip
FLOWERS = [
    (-0.92, 0.44), (-0.66, 0.52), (-0.36, 0.38), (-0.12, 0.52), (0.04, 0.32),
    (0.3, 0.5), (0.52, 0.54), (0.78, 0.46), (0.94, 0.54), (-0.2, 0.28),
]  # fmt: skip
CLOUDS = [(-0.95, -0.4, 0.2), (-0.2, -0.48, 0.24), (0.5, -0.36, 0.18), (1.15, -0.46, 0.22)]
PEAKS = [(-0.56, 0.72, 1.0), (0.38, 0.8, 0.84), (1.1, 0.55, 0.9)]  # x, half width, height


def _along(value: Tensor, numbers: tuple[float, ...]) -> Tensor:
    """The number (B, 1, 1) at `value` (B, 1, 1) = 0, 1, 2 … along the list."""
    table = torch.tensor(numbers, device=value.device)
    place = value.clamp(0, len(numbers) - 1)
    low = place.floor().long().clamp_max(len(numbers) - 2)
    return torch.lerp(table[low], table[low + 1], place - low)


def _is(value: Tensor, kind: int) -> Tensor:
    """1 where a choice is this kind, 0 at its neighbours, a blend between."""
    return (1 - (value - kind).abs()).clamp(0, 1)


def _dots(x: Tensor, y: Tensor, points: list[tuple[float, float]], radius: float) -> Tensor:
    return union(*(superellipse(x - px, y - py, radius, radius) for px, py in points))


def draw(factors: dict[str, Tensor], size: int) -> Canvas:
    """Paint the scenes, back to front; factors are (B,) tensors on one device."""
    f = {name: value.view(-1, 1, 1) for name, value in factors.items()}
    c = Canvas(len(f["season"]), size, len(CLASSES), f["season"].device)
    colour = _colours(factors)
    _paint_sky(c, f, colour)
    _paint_land(c, f, colour)
    _paint_lake(c, f, colour)
    _paint_objects(c, f, colour)
    _paint_animal(c, f, colour)
    _paint_boat(c, f, colour)
    _paint_weather(c, f, colour)
    return c


def _colours(factors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Colours (B, 3, 1, 1) in [0, 1]; all but those of the sky and the windows are in the light."""
    time, season, kind = factors["time"] / 2, factors["season"] / 3, (factors["animal"] - 1) / 2
    weather, wet = (factors["weather"].view(-1, 1, 1, 1) - i for i in (0, 1))
    dull = 0.5 * weather.clamp(0, 1) + 0.35 * wet.clamp(0, 1)
    overcast = palette(time, OVERCAST)
    lake = torch.lerp(palette(season, LAKE), overcast, 0.5 * dull)
    light, spot = (palette(time, table) * (1 - 0.2 * dull) for table in (LIGHT, SPOT))
    winter = (factors["season"].view(-1, 1, 1, 1) - 2).clamp(0, 1)
    roof = torch.lerp(constant(98, 56, 50, light), constant(240, 244, 252, light), 0.9 * winter)
    sky = {"top": SKY_TOP, "low": SKY_LOW}
    land = {"meadow": MEADOW, "hill": HILL, "flower": FLOWER}
    coat = {"coat": COAT, "face": FACE, "legs": LEGS}
    return {
        **{name: torch.lerp(palette(time, t), overcast, dull) for name, t in sky.items()},
        **{name: palette(season, table) * light for name, table in land.items()},
        **{name: palette(kind, table) * spot for name, table in coat.items()},
        **{o: palette(factors[f"{o}_color"] / 3, PAINT) * spot for o in ("left", "right", "boat")},
        "crown": palette(season, CROWN) * spot,
        "roof": roof * spot,
        "wood": constant(106, 72, 50, light) * spot,
        "snow": constant(248, 250, 255, light) * spot,
        "lake": lake * light,
        "puff": torch.lerp(palette(time, PUFF), overcast * 0.72, 0.9 * wet.clamp(0, 1)),
        "disc": torch.lerp(palette(time, DISC), constant(255, 255, 255, light), 0.5 * dull),
        "window": palette(time, WINDOW),
        "light": light,
        "spot": spot,
    }


def _paint_sky(c: Canvas, f: dict, colour: dict) -> None:
    """A gradient, the glow round the sun, stars, the sun or a crescent moon, clouds."""
    clouds, wet, night = f["weather"].clamp(0, 1), (f["weather"] - 1).clamp(0, 1), _is(f["time"], 2)
    down = ((c.y + 1) / 1.05).clamp(0, 1)
    c.paint(torch.ones_like(c.x), torch.lerp(colour["top"], colour["low"], down), SKY)
    c.paint(c.coverage(_dots(c.x, c.y, STARS, 0.035)), colour["disc"], opacity=night * (1 - clouds))
    x, y = c.x - 0.78 * f["sun_x"], c.y - _along(f["time"], (-0.68, -0.5, -0.68))
    disc = superellipse(x, y, 0.19, 0.19)
    c.paint(c.soft(disc, 0.5), colour["disc"], opacity=0.45 - 0.2 * clouds)
    cut = superellipse(x - 0.12 - 0.5 * (1 - night), y + 0.07, 0.17, 0.17)
    c.paint(c.coverage(inside(disc, -cut)), colour["disc"], SUN, opacity=1 - 0.35 * wet)
    x = c.x - 0.3 * f["clouds_x"]
    puffs = [
        union(
            superellipse(x - px, c.y - py, 1.5 * r, 0.45 * r),
            superellipse(x - px + 0.15 * r, c.y - py + 0.3 * r, 0.7 * r, 0.6 * r),
        )
        for px, py, r in CLOUDS
    ]
    c.paint(c.coverage(union(*puffs)), colour["puff"], CLOUD, opacity=0.94 * clouds)


def _paint_land(c: Canvas, f: dict, colour: dict) -> None:
    """Mountains with snow, hills, and the meadow with flowers, leaves or nothing on it."""
    row, light, winter = c.x[:1], colour["light"], (f["season"] - 2).clamp(0, 1)
    slopes = torch.stack([h * (1 - (row - px).abs() / w) for px, w, h in PEAKS])
    profile, peak = slopes.max(0)
    top = torch.tensor([px for px, _, _ in PEAKS], device=row.device)[peak]
    shade = 1 - 0.18 * c.soft(top + 0.04 - row, 0.08)
    ridge = 0.14 - (0.22 + 0.58 * f["mountains"]) * profile.clamp_min(0)
    mountain = 0.75 * (ridge - c.y)
    rock = torch.lerp(constant(112, 122, 158, row) * light, colour["low"], 0.22)
    c.paint(c.coverage(mountain), rock * shade[:, None], MOUNTAINS)
    edge = -0.38 + 0.3 * winter + 0.12 * ((4 * row).remainder(1) - 0.5).abs()
    snow = constant(248, 250, 255, row) * light * (0.5 + 0.5 * shade[:, None])
    c.paint(c.coverage(inside(mountain, c.y - edge)), snow)
    crest = 0.04 - 0.2 * f["hills"] * torch.sin(2.1 * row) - 0.04 * torch.cos(3.3 * row)
    fade = 1.12 - 0.5 * (c.y - crest).clamp(0, 0.5)
    c.paint(c.coverage(crest - c.y), colour["hill"] * fade[:, None], HILLS)
    edge = 0.21 + 0.03 * torch.sin(3 * row + 1)
    fade = 1.06 - 0.3 * (c.y - edge).clamp(0, 1)
    c.paint(c.coverage(edge - c.y), colour["meadow"] * fade[None, None], GROUND)
    dots = _dots(c.x, c.y, FLOWERS, 0.045)
    c.paint(c.coverage(dots), colour["flower"], opacity=1 - winter)


def _paint_lake(c: Canvas, f: dict, colour: dict) -> None:
    """The lake mirrors the lower sky, and the sun as a path of light."""
    shore = 0.6 + 0.025 * torch.cos(2.6 * c.x[:1] + 0.7)
    bank = torch.lerp(colour["meadow"], constant(120, 96, 70, c.x) * colour["light"], 0.5)
    c.paint(c.coverage(shore - 0.035 - c.y), bank)
    depth = ((c.y - shore) / 0.4).clamp(0, 1)
    water = torch.lerp(torch.lerp(colour["lake"], colour["low"], 0.55), colour["lake"], depth)
    lake = c.coverage(shore - c.y)
    c.paint(lake, water, WATER)
    path = (c.x - 0.78 * f["sun_x"]).abs() - 0.05 - 0.08 * (12 * c.y).sin().abs()
    clouds = f["weather"].clamp(0, 1)
    c.paint(lake * c.soft(path, 0.06), colour["disc"], opacity=0.6 - 0.25 * clouds)


def _paint_objects(c: Canvas, f: dict, colour: dict) -> None:
    """What stands left and right: each half of the picture has its own place, size and colour."""
    left = c.x[:1] < 0

    def half(name: str) -> Tensor:
        return torch.where(left, f["left" + name], f["right" + name])

    near = half("_near")
    scale = 0.84 + 0.3 * near
    x = (c.x[:1].abs() - 0.46 - 0.12 * near) / scale
    y = (c.y - 0.3 - 0.14 * near) / scale
    kind, paint = half(""), torch.where(left[:, None], colour["left"], colour["right"])

    def add(distance: Tensor, tint: Tensor, label: int | None = None, opacity=1.0) -> None:
        c.paint(c.coverage(distance * scale), tint, label, opacity)

    shadow = superellipse(x, y, 0.3, 0.05)
    c.paint(c.soft(shadow, 0.12), colour["hill"] * 0.55, opacity=0.5 * kind.clamp(0, 1))
    _house(add, x, y, _is(kind, 1), paint, colour)
    _tree(add, x, y, _is(kind, 2), f, colour)
    _tent(add, x, y, _is(kind, 3), paint, colour)
    _windmill(add, x, y, _is(kind, 4), paint, colour)


def _house(add, x, y, here, paint, colour: dict) -> None:
    walls = inside(x.abs() - 0.27, -0.36 - y, y)
    roof = inside(0.76 * (x.abs() - 0.38) - 0.65 * (y + 0.32), y + 0.32)
    add(union(walls, roof), paint, HOUSE, here)
    add(roof, colour["roof"], opacity=here)
    add(inside((x + 0.12).abs() - 0.07, -0.22 - y, y), paint * 0.42, opacity=here)
    add(inside((x - 0.11).abs() - 0.075, (y + 0.19).abs() - 0.075), colour["window"], opacity=here)


def _tree(add, x, y, here, f: dict, colour: dict) -> None:
    trunk = inside(x.abs() - 0.06, -0.4 - y, y - 0.01)
    crown = union(
        superellipse(x, y + 0.6, 0.22, 0.2),
        superellipse(x + 0.14, y + 0.42, 0.2, 0.18),
        superellipse(x - 0.14, y + 0.42, 0.2, 0.18),
    )
    add(union(trunk, crown), colour["wood"], TREE, here)
    add(crown, colour["crown"] * 0.86, opacity=here)
    winter = (f["season"] - 2).clamp(0, 1)[:, None]
    lit = torch.lerp(colour["crown"] * 1.12, colour["snow"], winter)
    add(inside(crown + 0.03, y + 0.45 + 0.5 * x), lit.clamp(0, 1), opacity=here)


def _tent(add, x, y, here, paint, colour: dict) -> None:
    body = inside(0.82 * (x.abs() - 0.4 - 0.7 * y), y)
    add(body, paint, TENT, here)
    add(inside(body, 0.1 - x), paint * 0.76, opacity=here)
    opening = inside(0.94 * (x.abs() - 0.14 - 0.36 * y), y)
    dark = torch.lerp(paint * 0.3, colour["window"], 0.35)
    add(opening, dark, opacity=here)


def _windmill(add, x, y, here, paint, colour: dict) -> None:
    body = inside(x.abs() - 0.2 - 0.14 * y, -0.56 - y, y)
    cap = inside(superellipse(x, y + 0.55, 0.16, 0.14), y + 0.55)
    arms = union(
        *(
            segment(x, y, -dx, -0.55 - dy, dx, -0.55 + dy, 0.045)
            for dx, dy in ((0.3, 0.2), (0.2, -0.3))
        )
    )
    add(union(body, cap, arms), paint, MILL, here)
    add(cap, colour["roof"], opacity=here)
    add(inside(x.abs() - 0.06, -0.2 - y, y), paint * 0.42, opacity=here)
    add(arms, colour["wood"], opacity=here)


def _paint_animal(c: Canvas, f: dict, colour: dict) -> None:
    """One four-legged body, in the proportions of a sheep, a cow or a horse."""
    here, kind = f["animal"].clamp(0, 1), f["animal"] - 1
    legs, long, deep = (
        _along(kind, sizes) for sizes in ((0.1, 0.13, 0.19), (0.2, 0.25, 0.23), (0.15, 0.14, 0.11))
    )
    x, y = c.x - 0.66 * f["animal_x"], c.y - 0.585
    back = y + legs + deep
    wool = 0.015 * _is(kind, 0) * torch.cos(10 * torch.atan2(back, x))
    body = superellipse(x, back, long, deep, 2.5) + wool
    stride = (x.abs() - 0.64 * long).abs() - 0.035
    feet = inside(stride, -legs - deep - y, y)
    head_x, head_y = long + _along(kind, (0.0, 0.05, 0.1)), _along(kind, (-0.03, -0.1, -0.26))
    head = superellipse(x - head_x, back - head_y, 0.085 + 0.02 * kind.clamp(0, 1), 0.075)
    neck = segment(
        x, back, 0.7 * long, -0.01, head_x - 0.03, head_y, _along(kind, (0.04, 0.07, 0.065))
    )
    tail = segment(x, back, -long, -0.05, -long - 0.06, 0.14, 0.035)
    mane = segment(x, back, 0.6 * long, -0.1, head_x - 0.07, head_y - 0.04, 0.04)
    c.paint(c.coverage(union(body, feet, head, neck)), colour["coat"], ANIMAL, opacity=here)
    c.paint(c.coverage(inside(feet, -body)), colour["legs"], opacity=here)
    c.paint(c.coverage(union(tail, mane)), colour["legs"] * 0.6, opacity=here * _is(kind, 2))
    patches = union(
        superellipse(x + 0.12, back + 0.03, 0.1, 0.11),
        superellipse(x - 0.12, back - 0.03, 0.07, 0.09),
    )
    dark = constant(52, 44, 48, x) * colour["spot"]
    c.paint(c.coverage(inside(patches, body)), dark, opacity=here * _is(kind, 1))
    c.paint(c.coverage(head), colour["face"], opacity=here)


def _paint_boat(c: Canvas, f: dict, colour: dict) -> None:
    """A sailing boat: hull and sails of its colour, and their dim mirror in the water."""
    here = f["boat"].clamp(0, 1)
    x, y = c.x - 0.62 * f["boat_x"], c.y - 0.84
    c.paint(
        c.soft(superellipse(x, y - 0.13, 0.2, 0.02), 0.12), colour["boat"] * 0.4, opacity=0.6 * here
    )
    hull = inside(superellipse(x, y, 0.32, 0.15, 2.5), -y)
    main = inside(0.84 * (x - 0.28 - 0.65 * (y + 0.05)), 0.02 - x, y + 0.05)
    jib = inside(0.84 * (-x - 0.23 - 0.65 * (y + 0.05)), x + 0.03, y + 0.05)
    mast = inside((x + 0.005).abs() - 0.025, y, -0.43 - y)
    sails = union(main, jib)
    c.paint(c.coverage(union(hull, sails, mast)), colour["boat"] * 0.3, BOAT, here)
    c.paint(c.coverage(hull), colour["boat"] * 0.82, opacity=here)
    c.paint(c.coverage(sails), colour["boat"], opacity=here)


def _paint_weather(c: Canvas, f: dict, colour: dict) -> None:
    """Bold strokes of rain; in winter flakes and a white haze."""
    wet, winter = (f["weather"] - 1).clamp(0, 1), (f["season"] - 2).clamp(0, 1)
    step = (c.y / 0.4).floor()
    u = (c.x + 0.23 * step).remainder(0.5) - 0.25
    v = c.y.remainder(0.4) - 0.2
    rain = segment(u, v, 0.035, -0.1, -0.035, 0.1, 0.028)
    drop = torch.lerp(constant(214, 232, 250, c.x), colour["top"], 0.2)
    c.paint(c.coverage(rain), drop, opacity=0.75 * wet * (1 - winter))
    flakes = superellipse(u - 0.1 * torch.sin(5 * step), v, 0.055, 0.055)
    white = torch.lerp(constant(255, 255, 255, c.x), colour["light"], 0.3)
    haze = torch.lerp(constant(235, 240, 250, c.x), colour["top"], 0.5)
    c.paint(torch.ones_like(c.x), haze, opacity=0.16 * wet * winter)
    c.paint(c.coverage(flakes), white, opacity=0.95 * wet * winter)
