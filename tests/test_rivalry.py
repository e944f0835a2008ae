"""Lesson 05b's comparisons: the counting of passes, texture, and who is cleaner at equal success."""

import math

import pytest
import torch

from lessons_lib import Sampler, worlds
from lessons_lib.judges.counterfactual import texture
from lessons_lib.judges.tables import numbers
from lessons_lib.methods import hspace
from lessons_lib.studies import rivalry
from small import tiny_unet


def test_outside_the_interval_a_step_asks_once():
    g = Sampler(tiny_unet(dtype=torch.float32), 4)
    edit = hspace.constant(torch.ones(16, 4, 4), 700, 300)
    found = rivalry.passes(g, g.draw(3, 0), edit)
    inside = [700 >= t >= 300 for t in g.schedule.t.tolist()]
    assert True in inside and False in inside
    assert found.tolist() == [[3, 6 if acts else 3] for acts in inside]


def noise(shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_texture_sees_grain_and_no_ramp():
    ramp = torch.linspace(-1, 1, 32).expand(2, 3, 32, 32)
    assert texture(ramp).max() < 1e-5
    assert texture(ramp + 0.1 * noise(ramp.shape, 0)).tolist() == pytest.approx(
        [0.1 * 20**0.5] * 2, rel=0.2
    )


def test_a_face_keeps_its_plain_corners_when_it_smiles():
    factors = worlds.faces.sample_factors(8, seed=0)
    before, after = (texture(worlds.faces.render(factors | {"smile": s})) for s in (-0.5, 1.0))
    assert torch.allclose(before, after) and after.median() < 0.05


def test_drift_at_equal_success_is_that_of_the_cleanest_strength():
    reached, drift = (0.0, 0.5, 1.0), (0.0, 0.25, 0.5)
    assert rivalry.at_success(0.4, reached, drift) == pytest.approx(0.2)
    assert math.isnan(rivalry.at_success(1.5, reached, drift))
    folded = (0.0, 1.0, 0.8), (0.0, 0.1, 0.5)
    assert rivalry.at_success(0.9, *folded) == pytest.approx(0.09)
    assert rivalry.at_success(1.0, *folded) == pytest.approx(0.1)


def test_grain_is_named_where_every_picture_has_it():
    before = torch.linspace(-1, 1, 32).expand(3, 3, 32, 32) + 0.01 * noise((3, 3, 32, 32), 0)
    more = before + 0.05 * noise(before.shape, 1)
    images = {
        "none": before, "grain": more, "in two of three": torch.cat([more[:2], before[2:]]),
        "more of it": before + 0.1 * noise(before.shape, 1),
    }  # fmt: skip
    found = rivalry.grainier(images, before)
    assert list(found) == ["more of it", "grain"] and found["grain"] == pytest.approx(5, rel=0.2)


def test_a_row_stands_beside_the_edit_that_achieves_as_much():
    curve = {"scale": [0, 1], "achieved, mean": [0.0, 1.0], "drift": [0.0, 0.2]}
    assert rivalry.as_much(curve, {"achieved, mean": 0.5}) == {rivalry.AS_MUCH: pytest.approx(0.1)}
    assert rivalry.as_much(curve, {"achieved, mean": 1.5}) == {}
    assert rivalry.as_much(None, {"achieved, mean": 0.5}) == rivalry.as_much(curve, {}) == {}


def test_a_card_of_no_figures_has_no_rows():
    assert rivalry.told({}) == {}
    assert rivalry.told({"edit: drift": 0.1, "no edit: drift": 0.05}) == {
        "no edit": {"drift": 0.05}, "f_t, by two texts": {"drift": 0.1},
    }  # fmt: skip


def test_numbers_leave_empty_what_a_row_has_not():
    assert numbers({"a": {"x": 1.0}, "b": {"y": 0.12345}}).splitlines()[-2:] == [
        "|a|1||", "|b||0.123|",
    ]  # fmt: skip
