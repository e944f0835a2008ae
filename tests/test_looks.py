import re

import pytest
import torch

from lessons_lib.worlds.faces import CLASSES, faces
from lessons_lib.worlds.looks import clowns, looks, paintings, robots, zombies
from lessons_lib.worlds.looks_drawing import LOOKS

BATCH = faces.sample(24, 0, 32)
PARTS = {world.name: world for world in (robots, zombies, paintings, clowns)}
DRAWN = {name: world.paint(BATCH.factors, 32) for name, world in PARTS.items()}
every_look = pytest.mark.parametrize("name", list(PARTS))


def distance(a, b):
    """Mean absolute difference of each pair of pictures, (B,)."""
    return (a - b).abs().mean((1, 2, 3))


def tone(name, part):
    """Mean colour (24, 3) of one class's pixels in a look's pictures, without beards."""
    image, mask = PARTS[name].paint(BATCH.factors | {"beard": 0.0, "hair_length": 0.3}, 32)
    where = (mask == CLASSES.index(part))[:, None]
    return (image * where).sum((2, 3)) / where.sum((2, 3))


@every_look
def test_a_look_is_far_from_the_face_and_from_other_looks(name):
    image = DRAWN[name][0]
    others = [BATCH.image] + [drawn[0] for other, drawn in DRAWN.items() if other != name]
    for other in others:
        assert distance(image, other).min() > 0.045


@every_look
def test_a_look_keeps_who_is_who(name):
    """Each picture is nearest, by its mask, to the face that it was made of."""
    masks = torch.nn.functional.one_hot(DRAWN[name][1], len(CLASSES)).flatten(1).float()
    own = torch.nn.functional.one_hot(BATCH.mask, len(CLASSES)).flatten(1).float()
    assert ((masks @ own.T).argmax(1) == torch.arange(24)).float().mean() > 0.95


@every_look
@pytest.mark.parametrize(
    ("factor", "low", "high", "least"),
    [("smile", -1, 1, 0.006), ("mouth_open", 0, 1, 0.006), ("glasses", 0, 1, 0.012),
     ("beard", 0, 1, 0.012), ("brows", -1, 1, 0.0035), ("eye_open", 0, 1, 0.009),
     ("hair_length", 0, 1, 0.036), ("background", 0, 1, 0.065), ("yaw", -1, 1, 0.033),
     ("skin", 0, 1, 0.013), ("eye_color", 0, 1, 0.003), ("shirt", 0, 1, 0.0045)],
)  # fmt: skip
def test_a_look_still_shows_the_faces_factors(name, factor, low, high, least):
    few = {n: v[:6] for n, v in BATCH.factors.items()} | {"beard": 0.0, "glasses": 0.0}
    a, b = (PARTS[name].render(few | {factor: float(v)}, 32) for v in (low, high))
    assert distance(a, b).mean() > least


def test_each_look_has_its_colours():
    """Skin: robots bluish, zombies greenish, clowns white; paintings warm and cool at once."""
    red, green, blue = tone("robots", "skin").T
    assert (blue > red + 0.1).all()
    red, green, blue = tone("zombies", "skin").T
    assert (green > red + 0.03).all() and (green > blue + 0.1).all()
    assert (tone("clowns", "skin") > 0.3).all()
    red, green, blue = tone("clowns", "nose").T
    assert (red > green + 0.5).all() and (red > blue + 0.5).all()
    image, mask = DRAWN["paintings"]
    warmth = torch.where(mask == CLASSES.index("skin"), image[:, 0] - image[:, 2], 0)
    assert (warmth.amax((1, 2)) > 0.5).all() and (warmth.amin((1, 2)) < -0.2).all()


@every_look
def test_every_class_is_in_the_masks(name):
    assert DRAWN[name][1].unique().tolist() == list(range(len(CLASSES)))


def test_a_mixed_batch_is_each_looks_own_pictures():
    number = torch.arange(24) % len(LOOKS)
    image, mask = looks.paint(BATCH.factors | {"look": number}, 32)
    for i, (own_image, own_mask) in enumerate(DRAWN.values()):
        rows = number == i
        assert (image[rows] - own_image[rows]).abs().max() < 1e-5
        assert torch.equal(mask[rows], own_mask[rows])


@pytest.mark.parametrize(
    ("name", "words"),
    [("robots", "robot"), ("zombies", "zombie"), ("paintings", "painting of"), ("clowns", "clown")],
)
def test_captions_name_the_look_and_no_other(name, words):
    said = PARTS[name].captions(looks.sample_factors(300, 1), seed=2)
    assert all(re.search(rf"\b{words}\b", caption) for caption in said)
    others = {"robot", "zombie", "painting", "clown", "person", "face"} - {words.split()[0]}
    others -= {"person", "face"} if name == "paintings" else {"face"}
    assert not any(re.search(rf"\b({'|'.join(others)})\b", caption) for caption in said)
    assert all(8 <= len(caption.split()) <= 22 for caption in said)
    assert not any(re.search("pale|tanned|dark", caption) for caption in said)


def test_a_look_is_another_world_than_faces():
    assert looks.version != faces.version and zombies.version == looks.version
    assert {f.name for f in looks.factors} - {f.name for f in faces.factors} == {"look"}
    with pytest.raises(ValueError, match=r"unknown .'look'"):
        faces.render(zombies.sample_factors(1, 0))


@every_look
def test_captions_of_a_look_say_the_faces_mood(name):
    plain = {n: v[:1] for n, v in BATCH.factors.items()}
    for seed in range(6):
        (glad,), (sad,) = (PARTS[name].captions(plain | {"smile": s}, seed) for s in (1.0, -1.0))
        assert re.search("smil|happy", glad) and re.search("frown|sad", sad)
