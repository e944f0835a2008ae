import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from lessons_lib import worlds
from lessons_lib.worlds import draw

faces = worlds.faces


def test_a_seed_is_its_pictures():
    a, b, c = faces.sample(4, 7, 32), faces.sample(4, 7, 32), faces.sample(4, 8, 32)
    assert torch.equal(a.image, b.image) and a.caption == b.caption and torch.equal(a.mask, b.mask)
    assert not torch.equal(a.image, c.image)


@settings(max_examples=10)
@given(st.integers(1, 40), st.integers(0, 10**6), st.data())
def test_the_first_k_of_n_are_those_of_k(n, seed, data):
    k = data.draw(st.integers(1, n))
    many, few = faces.sample_factors(n, seed), faces.sample_factors(k, seed)
    assert all(torch.equal(many[name][:k], few[name]) for name in few)


def test_the_first_k_pictures_of_n_are_those_of_k():
    many, few = faces.sample(9, 3, 24), faces.sample(2, 3, 24)
    assert_close(many.image[:2], few.image, rtol=0, atol=1e-5)
    assert many.caption[:2] == few.caption


@pytest.mark.parametrize("size", [8, 33, 64])
def test_shapes_and_ranges(size):
    batch = faces.sample(3, 0, size)
    assert batch.image.shape == (3, 3, size, size) and batch.mask.shape == (3, size, size)
    assert batch.image.min() >= -1 and batch.image.max() <= 1 and batch.image.std() > 0.2
    assert batch.mask.dtype == torch.int64
    assert batch.mask.min() >= 0 and batch.mask.max() < len(faces.classes)
    assert len(batch.caption) == 3 and all(isinstance(c, str) and c for c in batch.caption)


def test_factors_stay_within_their_ranges_and_fill_them():
    assert len(faces.factors) >= 16
    factors = faces.sample_factors(4000, 1)
    for f in faces.factors:
        values = factors[f.name]
        assert values.min() >= f.low and values.max() <= f.high
        if f.binary is not None:
            assert abs(values.mean() - f.binary) < 0.04 and set(values.tolist()) == {0.0, 1.0}
        else:
            assert values.max() > f.high - 0.02 * (f.high - f.low)
            assert abs((values == 0).float().mean() - f.zero) < 0.04


def test_rendering_the_factors_again_is_the_sample():
    batch = faces.sample(3, 5, 32)
    assert torch.equal(faces.render(batch.factors, 32), batch.image)
    assert torch.equal(faces.mask(batch.factors, 32), batch.mask)
    assert faces.captions(batch.factors, seed=5) == batch.caption


def test_a_smile_changes_only_the_mouths_surroundings():
    batch = faces.sample(32, 11, 64)
    other = faces.render(batch.factors | {"smile": -batch.factors["smile"]}, 64)
    changed = ((other - batch.image).abs().amax(1) > 1e-6).any(0)
    rows, columns = torch.where(changed)
    assert changed.any() and changed.float().mean() < 0.25
    assert rows.min() > 30 and rows.max() < 60  # the lower half, above the clothes' lower edge
    assert columns.min() > 8 and columns.max() < 56
    still = faces.render(batch.factors | {"smile": batch.factors["smile"]}, 64)
    assert torch.equal(still, batch.image)


@pytest.mark.parametrize("name", [f.name for f in faces.factors])
def test_every_factor_can_be_seen(name):
    f = next(f for f in faces.factors if f.name == name)
    base = {g.name: (g.low + g.high) / 2 for g in faces.factors}
    base |= {"mouth_open": 0.3, "hair_length": 0.5}
    low, high = (faces.render(base | {name: v}, 32) for v in (f.low, f.high))
    assert (low - high).abs().mean() > 4e-4


def test_every_class_is_painted():
    seen = faces.sample(64, 0, 64).mask.unique().tolist()
    assert seen == list(range(len(faces.classes)))


def test_captions_say_what_is_there():
    base = {f.name: (f.low + f.high) / 2 for f in faces.factors} | {
        "glasses": 0.0,
        "smile": 0.0,
        "beard": 0.0,
    }
    plain = faces.captions(base)[0]
    assert "glasses" not in plain and "smil" not in plain and "beard" not in plain
    assert "glasses" in faces.captions(base | {"glasses": 1.0})[0]
    assert "smiling" in faces.captions(base | {"smile": 1.0})[0]
    assert "frowning" in faces.captions(base | {"smile": -1.0})[0]
    assert "beard" in faces.captions(base | {"beard": 1.0})[0]
    assert "old" in faces.captions(base | {"age": 1.0})[0]


def test_a_number_stands_for_the_whole_batch():
    batch = faces.sample(3, 5, 16)
    one = faces.render(batch.factors | {"tilt": 0.5}, 16)
    assert_close(
        one, faces.render(batch.factors | {"tilt": torch.full((3,), 0.5)}, 16), rtol=0, atol=0
    )


def test_a_larger_picture_is_the_same_picture():
    factors = faces.sample_factors(4, 2)
    small, large = faces.render(factors, 32), faces.render(factors, 128)
    assert (torch.nn.functional.avg_pool2d(large, 4) - small).abs().mean() < 0.03


def test_signed_distances():
    x, y = draw.grid(64, "cpu")
    circle = draw.superellipse(x, y, 0.5, 0.5)
    assert_close(circle, (x**2 + y**2).sqrt() - 0.5, rtol=0, atol=1e-5)
    capsule = draw.segment(x, y, -0.3, 0.0, 0.3, 0.0, 0.1)
    wanted = ((x.abs() - 0.3).clamp_min(0) ** 2 + y**2).sqrt() - 0.1
    assert_close(capsule, wanted, rtol=0, atol=1e-3)
    assert torch.equal(draw.union(circle, capsule) < 0, (circle < 0) | (capsule < 0))
    assert torch.equal(draw.inside(circle, capsule) < 0, (circle < 0) & (capsule < 0))
