"""Lesson 05's comparisons: the counting of passes, texture, and who is cleaner at equal success."""

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


def test_texture_sees_grain_and_no_ramp():
    ramp = torch.linspace(-1, 1, 32).expand(2, 3, 32, 32)
    assert texture(ramp).max() < 1e-5
    gen = torch.Generator().manual_seed(0)
    noise = 0.1 * torch.randn(ramp.shape, generator=gen)
    assert texture(ramp + noise).tolist() == pytest.approx([0.1 * 20**0.5] * 2, rel=0.2)


def test_a_face_keeps_its_plain_corners_when_it_smiles():
    factors = worlds.faces.sample_factors(8, seed=0)
    before, after = (texture(worlds.faces.render(factors | {"smile": s})) for s in (-0.5, 1.0))
    assert torch.allclose(before, after) and after.median() < 0.05


def test_who_is_cleaner_at_equal_success():
    points = [{"achieved": a, "drift": a / 2} for a in (0.0, 0.5, 1.0)]
    rows = {
        "below": {"achieved": 0.4, "drift": 0.1}, "above": {"achieved": 0.4, "drift": 0.3},
        "beyond": {"achieved": 1.5, "drift": 0.0},
    }  # fmt: skip
    assert rivalry.cleaner(points, rows) == ["below"]
    folded = [{"achieved": a, "drift": d} for a, d in ((0.0, 0.0), (1.0, 0.1), (0.8, 0.5))]
    rows = {
        "of the fold": {"achieved": 0.9, "drift": 0.2}, "clean": {"achieved": 0.9, "drift": 0.05},
    }  # fmt: skip
    assert rivalry.cleaner(folded, rows) == ["clean"]


def test_a_card_of_no_figures_has_no_rows():
    assert rivalry.told({}) == {}
    assert rivalry.told({"edit: drift": 0.1, "no edit: drift": 0.05}) == {
        "no edit": {"drift": 0.05}, "f_t, by two texts": {"drift": 0.1},
    }  # fmt: skip


def test_numbers_leave_empty_what_a_row_has_not():
    assert numbers({"a": {"x": 1.0}, "b": {"y": 0.12345}}).splitlines()[-2:] == [
        "|a|1||", "|b||0.123|",
    ]  # fmt: skip
