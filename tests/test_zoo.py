"""Lesson 00's tables and pairs, and the explorer of a world's factors."""

import json
import re

import pytest
import torch

from lessons_lib import worlds
from lessons_lib.studies import zoo
from lessons_lib.widgets import explore_factors, factor_figure


def test_the_table_of_lessons_is_the_readme_s_with_links_from_the_notebooks():
    table = zoo.lessons()
    names = re.findall(r"^\| \[(\w+)\]\((\w+)\.ipynb\)", table, re.MULTILINE)
    there = sorted(path.stem for path in (zoo.ROOT / "notebooks").glob("[0-9]*.ipynb"))
    assert [link for _, link in names] == there and all(a == b for a, b in names)
    assert len(table.splitlines()) == len(there) + 2


def test_figures_are_the_cards_plain_numbers(tmp_path):
    alone = {"dB of one model alone": 20}
    shared = {"FID": 3.14159, "each": {"x": 1}, "pair": [1, 2]}
    cards = {"a": shared | alone, "b": {"FID": 2, "dB": 27}, "c": None}
    for name, figures in cards.items():
        (tmp_path / name).mkdir()
        content = {"figures": figures} if figures else {}
        (tmp_path / name / "card.json").write_text(json.dumps(content))
    table = zoo.figures(["digits", *cards], tmp_path).splitlines()
    assert table == ["| | a | b |", "|---|---:|---:|", "| FID | 3.142 | 2 |"]
    assert zoo.figures(["b"], tmp_path).splitlines()[2:] == ["| FID | 2 |", "| dB | 27 |"]
    assert zoo.figures(["digits", "c"], tmp_path) == ""


def test_samples_lie_beside_the_held_out_pictures_of_their_world():
    x, data, captions = zoo.beside_data("faces", 2, steps=2, seed=3)
    assert x.shape == data.shape and captions == []
    torch.testing.assert_close(data, worlds.faces.sample(2, 3, x.shape[-1]).image)
    x, data, _ = zoo.beside_data("moons", 5, steps=2, seed=0)
    assert x.shape == data.shape == (5, 2)


def test_a_model_of_texts_is_told_the_captions_of_the_pictures_beside(tmp_path, monkeypatch):
    from small import tiny_pipeline

    tiny_pipeline(tmp_path / "tiny")
    images, captions = zoo._captioned(4, 1, 16)
    assert images.shape == (4, 3, 16, 16)
    first = [worlds.WORLDS[name].sample(2, 1, 16) for name in zoo.TEXTS]
    assert captions == [b.caption[0] for b in first] + [first[0].caption[1]]
    torch.testing.assert_close(images[2], first[2].image[0])
    told = ["a red house", "a blue car at night"]
    monkeypatch.setattr(
        zoo, "_captioned", lambda n, seed, size: (torch.zeros(n, 3, size, size), told)
    )
    x, data, captions = zoo.beside_data(tmp_path / "tiny", 2, steps=2, seed=0)
    assert x.shape == data.shape == (2, 3, 16, 16) and captions == told


@pytest.fixture
def explorer(monkeypatch):
    from lessons_lib import widgets

    monkeypatch.setattr(widgets, "OPEN", [])
    return explore_factors(["faces", "scenes"], seed=2, vary="smile")


def test_controls_begin_at_the_seed_s_factors(explorer):
    for name, value in worlds.faces.sample_factors(1, 2).items():
        step = 0.05  # of a slider, which stops at its marks
        assert explorer.controls[name].value == pytest.approx(value.item(), abs=step), name
    assert explorer.controls["vary"].value == "smile"


def test_another_world_brings_its_own_controls_and_the_first_ones_come_back(explorer):
    before = explorer.picture.value
    explorer.controls["smile"].value = 1.0
    explorer.wait()
    smiling = explorer.picture.value
    explorer.controls["world"].value = "scenes"
    explorer.wait()
    assert explorer.error == "" and explorer.controls["vary"].value == "season"
    assert set(explorer.controls) == {"world", "vary", *(f.name for f in worlds.scenes.factors)}
    scene = explorer.picture.value
    explorer.controls["season"].value = (explorer.controls["season"].value + 1) % 4
    explorer.wait()
    assert explorer.error == "" and explorer.picture.value not in (scene, smiling)
    explorer.controls["world"].value = "faces"
    explorer.wait()
    assert explorer.picture.value == smiling != before


def test_the_strip_has_one_picture_a_value_and_the_mask_its_legend():
    values = {"world": "scenes", "vary": "time"} | {
        k: v.item() for k, v in worlds.scenes.sample_factors(1, 0).items()
    }
    strip, below = factor_figure(values, seed=0).axes
    assert [t.get_text() for t in strip.texts] == ["time = day", "sunset", "night"]
    mask = worlds.scenes.mask({k: v for k, v in values.items() if k not in ("world", "vary")})
    named = [worlds.scenes.classes[i] for i in mask.unique().tolist()]
    assert [t.get_text() for t in below.get_legend().get_texts()] == named
