"""Pictures of one's own: any size, mode and orientation; what does not open is named and the rest go on."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from lessons_lib import Sampler, load
from lessons_lib.pictures import PictureError, files_of, read_picture, read_pictures
from lessons_lib.studies import inputs
from lessons_lib.studies.attributes import codes
from lessons_lib.studies.subjects import subjects

SHAPE = (3, 24, 24)
TURNED = 6  # EXIF's number for a camera held upright
ODD = ("aa bomb.png", "empty.png", "text.jpg", "z cut.jpg")


@pytest.fixture(scope="module")
def photo():
    import skimage.data

    return Image.fromarray(skimage.data.astronaut()).resize((120, 120))


@pytest.fixture
def folder(photo, tmp_path):
    """Twelve odd pictures of one scene, and four files that are none."""
    exif, alpha = Image.Exif(), photo.convert("RGBA")
    exif[0x112] = TURNED
    alpha.putalpha(255)
    grey = np.asarray(photo.convert("L"))
    saves = {
        "1 plain.jpg": (photo, {"quality": 95}), "2 turned.jpg": (photo.rotate(90), {"exif": exif}),
        "3 alpha.png": (alpha, {}), "4 grey.png": (photo.convert("L"), {}),
        "5 cmyk.jpg": (photo.convert("CMYK"), {"quality": 95}),
        "6 sixteen.png": (Image.fromarray(grey.astype(np.uint16) * 257), {}),
        "7 sixteen.tiff": (Image.fromarray(grey.astype(np.uint16) * 257), {}),
        "8 animated.gif": (photo, {"save_all": True, "append_images": [photo.rotate(180)]}),
        "9 float.tiff": (Image.fromarray((grey / 255).astype(np.float32)), {}),
        "10 alpha grey.png": (alpha.convert("LA"), {}), "11 lab.tiff": (photo.convert("LAB"), {}),
        "12 large.webp": (photo.resize((600, 600)), {"lossless": True}),
    }  # fmt: skip
    for name, (image, how) in saves.items():
        image.save(tmp_path / name, **how)
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "empty.png").write_bytes(b"")
    cut = (tmp_path / "1 plain.jpg").read_bytes()
    (tmp_path / "z cut.jpg").write_bytes(cut[: len(cut) // 3])
    (tmp_path / "aa bomb.png").write_bytes((tmp_path / "4 grey.png").read_bytes()[:60])
    (tmp_path / ".hidden.png").write_bytes(b"")
    return tmp_path


def test_twelve_odd_pictures_are_the_same_scene(folder, photo):
    found = read_pictures(folder, SHAPE)
    assert [int(name.split()[0]) for name in found.names] == list(range(1, 13))
    assert len(found.refused) == 4
    for name, sentence in zip(sorted(ODD), sorted(found.refused), strict=True):
        assert name in sentence and sentence.count(". ") == 0
    assert found.x.shape == (12, *SHAPE) and found.x.dtype == torch.float64
    assert found.x.abs().max() <= 1
    colour, grey = found.x[0], found.x[0].mean(0, keepdim=True)
    for name, x in zip(found.names, found.x, strict=True):
        same = colour if x.std(0).max() > 0.05 else grey
        assert (x - same).abs().mean() < 0.06, name


def test_a_transparent_picture_lies_on_white(tmp_path):
    Image.new("RGBA", (9, 9), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert_close(
        read_picture(tmp_path / "clear.png", SHAPE), torch.ones(SHAPE, dtype=torch.float64)
    )


def test_crop_takes_the_middle_and_fit_keeps_all(tmp_path):
    wide = Image.new("RGB", (300, 100), "black")
    wide.paste("red", (0, 0, 100, 100))
    wide.save(tmp_path / "wide.png")
    middle = read_picture(tmp_path / "wide.png", SHAPE)[..., 2:-2]  # the resampling sees its edge
    assert_close(middle, -torch.ones_like(middle), rtol=0, atol=0.02)
    fitted = read_picture(tmp_path / "wide.png", SHAPE, crop=False)
    assert (fitted[0, 12, :6] > 0.9).all() and (fitted[1, 12, :6] < -0.9).all()  # the red third
    assert (fitted[:, 0] == 1).all() and (fitted[:, -1] == 1).all()  # white above and below


def test_files_come_in_their_order_and_the_first_are_taken(photo, tmp_path):
    for k in (10, 2, 1):
        photo.save(tmp_path / f"x{k}.png")
    assert [p.name for p in files_of(tmp_path)] == ["x1.png", "x2.png", "x10.png"]
    assert read_pictures(str(tmp_path / "*.png"), SHAPE, 2).names == ["x1.png", "x2.png"]
    assert read_pictures(tmp_path / "x2.png", (1, 5, 7)).x.shape == (1, 1, 5, 7)


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("", "images is empty"),
        ("nowhere/at/all", "names no folder"),
        ("*.nothing", "names no folder"),
    ],
)
def test_nothing_there_is_one_sentence(where, words):
    with pytest.raises(PictureError, match=words):
        read_pictures(where, SHAPE)


def test_no_picture_opens(tmp_path):
    with pytest.raises(PictureError, match="is an empty folder"):
        read_pictures(tmp_path, SHAPE)
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(PictureError, match="None of the 1 files"):
        read_pictures(tmp_path, SHAPE)
    with pytest.raises(PictureError, match="not images"):
        read_pictures(tmp_path, (64,))


def test_float_levels_beyond_one_are_refused(tmp_path):
    Image.fromarray(np.full((8, 8), 3.0, np.float32)).save(tmp_path / "bright.tiff")
    with pytest.raises(PictureError, match="levels are 3 to 3"):
        read_picture(tmp_path / "bright.tiff", SHAPE)


def test_a_lesson_takes_as_many_as_open(folder, capsys):
    from types import SimpleNamespace

    p = SimpleNamespace(device="cpu", images=str(folder), n_images=64)
    inputs.check_networks(p)
    assert p.n_images == 12
    assert "z cut.jpg does not open" in capsys.readouterr().out


def test_own_pictures_come_back_from_their_codes(folder):
    faces = load("faces")
    g = Sampler(faces, steps=4)
    who = subjects(g, "faces", "smiling, old", 2, 0, images=str(folder))
    assert (
        who.said.startswith("Own pictures")
        and who.goals == {}
        and list(who.edits) == ["smiling", "old"]
    )
    own = inputs.own_pictures(str(folder), faces, 2)
    assert_close(who.z.x_T, codes(g, own, refine=1).x_T)
    z = inputs.draw_or_invert(g.with_eta(1.0), str(folder), 2, 0)
    assert_close(z.eps, g.with_eta(1.0).draw(2, 0).eps)
    assert_close(inputs.kinds(faces, 2, 0, str(folder))["own pictures"], own.double())
