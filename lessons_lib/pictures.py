"""Pictures of one's own: `read_pictures("holiday/", model.picture_shape).x`.

Any size, mode and orientation that Pillow opens becomes a model's (C, H, W) in [-1, 1]. A file that does not
open is named, with the reason, and the rest go on.
"""

from __future__ import annotations

import re
from glob import glob
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

WHITE = (255, 255, 255, 255)
SOON = 20  # pictures that are read without a progress bar
SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N", "I")  # levels 0 to 65,535


class Pictures(NamedTuple):
    """x: (N, C, H, W) float64 in [-1, 1]. names: of their N files. refused: why others did not open."""

    x: Tensor
    names: list[str]
    refused: list[str]


class PictureError(ValueError):
    """A file that is no picture, or no picture where one is asked for, in one sentence."""


def read_pictures(
    where: str | Path, shape: tuple[int, ...], n: int | None = None, crop: bool = True
) -> Pictures:
    """The first `n` pictures (all by default) of a folder, a glob such as 'faces/*.jpg', or one file.

    shape: (C, H, W) to bring them to, C of 1 or 3. crop: cut the middle out; else the whole picture is
        fitted in, with white beside it. Files come in the order of their names, 'x2' before 'x10'.
    Raises PictureError where nothing is found, or nothing opens.
    """
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise PictureError(f"The model's data are {tuple(shape)}, not images of 1 or 3 channels.")
    files, found, refused = files_of(where), {}, []
    for path in _told(files, n):
        if n is not None and len(found) == n:
            break
        try:
            found[path.name] = read_picture(path, shape, crop)
        except PictureError as error:
            refused.append(str(error))
    if not found:
        first = f" The first: {refused[0]}" if refused else ""
        raise PictureError(f"None of the {len(files)} files of {str(where)!r} opens.{first}")
    return Pictures(torch.stack(list(found.values())), list(found), refused)


def files_of(where: str | Path) -> list[Path]:
    """The files of a folder (no hidden ones, no folders in it), of a glob, or the one file, in order.

    Raises PictureError where there are none.
    """
    text = str(where)
    path = Path(text).expanduser()
    if not text:
        raise PictureError(
            "images is empty: give a folder, a file, or a glob such as 'faces/*.jpg'."
        )
    if path.is_file():
        return [path]
    found = path.iterdir() if path.is_dir() else map(Path, glob(str(path), recursive=True))
    files = [p for p in found if p.is_file() and not p.name.startswith(".")]
    if not files:
        what = "is an empty folder" if path.is_dir() else "names no folder and no file here"
        raise PictureError(
            f"images is {text!r}, which {what} (from {Path.cwd()}): give a folder, a file, or a glob such "
            "as 'faces/*.jpg'."
        )
    return sorted(files, key=_natural)


def read_picture(path: str | Path, shape: tuple[int, ...], crop: bool = True) -> Tensor:
    """One picture as (C, H, W) float64 in [-1, 1]: upright, on white, its first frame.

    shape, crop: as of `read_pictures`. Raises PictureError for a file that is none or is broken.
    """
    channels, height, width = shape
    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(_eight_bits(opened))
            image = _on_white(image).convert("L" if channels == 1 else "RGB")
    except Image.UnidentifiedImageError:
        raise PictureError(
            f"{path} is no picture that Pillow knows: give PNG, JPEG, WebP, TIFF, GIF or BMP."
        ) from None
    except Exception as error:  # each format's reader raises kinds of its own
        raise PictureError(
            f"{path} does not open ({str(error).strip().rstrip('.')}): save it anew as PNG or JPEG."
        ) from None
    bring = ImageOps.fit if crop else _fitted
    small = np.atleast_3d(np.asarray(bring(image, (width, height), Image.Resampling.LANCZOS)))
    return torch.from_numpy(small / 127.5 - 1).permute(2, 0, 1).contiguous()


def _eight_bits(image: Image.Image) -> Image.Image:
    """The first frame, with levels of more than 8 bits brought to 8; its EXIF stays."""
    if image.mode not in (*SIXTEEN_BITS, "F"):
        image.load()
        return image
    levels = np.asarray(image, dtype=np.float64)
    top = {"F": 1.0}.get(image.mode, 65535.0)
    if levels.min() < 0 or levels.max() > top or not np.isfinite(levels).all():
        found = f"{levels.min():g} to {levels.max():g}"
        raise ValueError(f"its levels are {found}, and such a file is read from 0 to {top:g}")
    small = Image.fromarray(np.round(levels / top * 255).astype(np.uint8))
    small.info, small._exif = image.info, image.getexif()
    return small


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode not in ("RGBA", "LA", "PA", "RGBa", "La") and "transparency" not in image.info:
        return image
    if image.mode in ("RGBa", "La"):
        image = image.convert(image.mode.replace("a", "A"))
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, WHITE), image)


def _fitted(image: Image.Image, size: tuple[int, int], method) -> Image.Image:
    return ImageOps.pad(image, size, method, color="white")


def _natural(path: Path) -> list:
    """What sorts 'x2' before 'x10'."""
    parts = re.split(r"(\d+)", str(path).casefold())
    return [int(p) if p.isdecimal() else p for p in parts]


def _told(files: list[Path], n: int | None):
    from tqdm.auto import tqdm

    many = min(len(files), n or len(files)) > SOON
    return tqdm(files, desc="reading pictures", unit="", leave=False) if many else files
