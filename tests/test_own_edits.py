"""For one's own pictures and texts: `lessons_lib.edit`, `lessons_lib.direction`, published f_t files."""

import json

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from lessons_lib import Sampler, direction, edit, load, plots, worlds
from lessons_lib.cards import CheckpointError
from lessons_lib.methods.asyrp import Conv, load_edit, save_edit
from lessons_lib.methods.public_edits import read_public_edit
from lessons_lib.pictures import read_pictures
from lessons_lib.studies.attributes import codes, shown
from lessons_lib.studies.subjects import subjects
from published import labelled, tame
from small import randn


class DeltaBlock(nn.Module):
    """f_t as its authors' code has it, written from the paper's appendix and the names in their files."""

    def __init__(self, channels=64, width=32):
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(channels, channels, 1) for _ in range(2))
        self.temb_proj = nn.Linear(width, channels)
        self.norm2 = nn.GroupNorm(32, channels, eps=1e-6)

    def forward(self, h, temb):
        h = self.conv1(h) + self.temb_proj(temb * temb.sigmoid())[:, :, None, None]
        h = self.norm2(h)
        return self.conv2(h * h.sigmoid())


@pytest.fixture
def published():
    torch.manual_seed(0)
    return DeltaBlock()


@pytest.mark.parametrize("nested", [True, False])
def test_a_published_f_t_gives_the_same_shift(published, tmp_path, nested):
    state = {"0": published.state_dict(), "optimizer": {"state": {}}, "scheduler": {}}
    torch.save(state if nested else published.state_dict(), tmp_path / "smiling.pth")
    found = read_public_edit(tmp_path / "smiling.pth", 999, 513)
    h, temb = randn(2, 64, 4, 4, dtype=torch.float32), randn(2, 32, seed=1, dtype=torch.float32)
    ((_, one),) = found.terms
    assert_close(one.form(h, 700, temb), published(h, temb))
    assert one.acts(999) and one.acts(513) and not one.acts(512)
    save_edit(found, tmp_path / "mine")
    ((_, again),) = load_edit(tmp_path / "mine").terms
    assert again.form.norm.eps == 1e-6
    assert_close(
        again.form(h, 700, temb), published(h, temb), rtol=0.01, atol=0.01
    )  # half precision


def test_a_published_delta_h_for_each_time(tmp_path):
    held = {str(t): randn(1, 8, 2, 2, seed=t) for t in (999, 500)}
    torch.save(held, tmp_path / "dh.pth")
    ((_, one),) = read_public_edit(tmp_path / "dh.pth", 999, 400).terms
    assert_close(one.form(None, 520, None), held["500"].float())
    assert_close(one.form(None, 990, None), held["999"].float())


class Trojan:
    def __reduce__(self):
        return (print, ("this ran",))


def test_a_file_that_runs_code_is_refused_and_does_not_run(tmp_path, capsys):
    torch.save({"0": Trojan()}, tmp_path / "bad.pth")
    with pytest.raises(CheckpointError, match="holds more than tensors"):
        read_public_edit(tmp_path / "bad.pth", 999, 500)
    assert "this ran" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ({"a": torch.ones(1)}, "no f_t of Asyrp's public code"),
        ([1], "holds a list"),
        (None, "no file"),
    ],
)
def test_another_file_is_one_sentence(tmp_path, held, words):
    if held is not None:
        torch.save(held, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=words):
        read_public_edit(tmp_path / "x.pth", 999, 500)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    home = tmp_path_factory.mktemp("people")
    for i, x in enumerate(worlds.faces.sample(2, 77, 64).image):
        plots.save(x, home / f"{i}.png")
    (home / "notes.txt").write_text("no picture")
    return home


def test_edit_writes_picture_strip_and_json(people, tmp_path, capsys):
    arguments = [str(people), "--direction", "smiling", "--steps", "6", "--out", str(tmp_path)]
    assert edit.main(arguments) == 0
    assert "notes.txt is no picture" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        f"{i}{end}" for i in range(2) for end in (".png", "-strip.png", ".json")
    )
    faces = load("faces")
    g = Sampler(faces, 6)
    x = read_pictures(people, faces.picture_shape).x.float()
    wanted = shown(g, g.decode(codes(g, x, refine=1), edit=load_edit("smiling").over(g.schedule)))
    assert_close(
        read_pictures(tmp_path / "1.png", faces.picture_shape).x[0].float(),
        wanted[1],
        rtol=0,
        atol=5e-3,
    )
    said = json.loads((tmp_path / "1.json").read_text())
    assert said["checkpoint"] == "faces" and said["direction"] == "smiling" and said["scale"] == 1.0
    away = said["from the picture"]
    assert away["code alone"]["PSNR (dB)"] > away["1"]["PSNR (dB)"]


def test_edit_by_two_texts(people, tmp_path):
    texts = ["--source", "a person", "--target", "an old person"]
    assert edit.main([str(people / "0.png"), *texts, "--steps", "4", "--out", str(tmp_path)]) == 0
    away = json.loads((tmp_path / "0.json").read_text())["from the picture"]
    assert away["same text"]["PSNR (dB)"] > away["edit"]["PSNR (dB)"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere", "--direction", "smiling"], "names no folder"),
        (["{p}", "--direction", "smilin"], "There is no direction 'smilin'"),
        (["{p}", "--direction", "smiling", "--checkpoint", "digits"], "edits the bottleneck"),
        (
            ["{p}", "--source", "a person", "--target", "x", "--checkpoint", "faces"],
            "reads no text",
        ),
        (["{p}", "--direction", "smiling", "--device", "abacus"], "There is no device"),
        (["{p}", "--direction", "smiling", "--steps", "0"], "steps"),
    ],
)
def test_edit_refuses_in_a_sentence(people, tmp_path, capsys, arguments, words):
    given = [a.format(p=people) for a in arguments]
    assert edit.main([*given, "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert words in said and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments", [[], ["--source", "a"], ["--direction", "x", "--source", "a", "--target", "b"]]
)
def test_edit_asks_for_one_way(people, arguments, capsys):
    with pytest.raises(SystemExit):
        edit.main([str(people), *arguments])
    assert "name one way to edit" in capsys.readouterr().err


QUICK = [
    "--learn-on",
    "4",
    "--batch",
    "2",
    "--rounds",
    "1",
    "--rounds-through",
    "1",
    "--steps",
    "4",
]
TEXTS = ["--source", "a frowning person", "--target", "a smiling person"]


def test_a_direction_of_ones_own_is_loaded_by_the_lessons(people, tmp_path):
    mine = tmp_path / "mine"
    assert direction.main([*TEXTS, *QUICK, "--images", str(people), "--out", str(mine)]) == 0
    found = load_edit(mine)
    ((_, one),) = found.terms
    assert (
        isinstance(one.form, Conv) and one.card["settings"]["images"] == 2 and one.card["network"]
    )
    g = Sampler(load("faces"), 6)
    who = subjects(g, "faces", str(mine), 2, 0)
    assert list(who.edits) == [str(mine)] and not who.goals
    assert (mine / "strip.png").is_file()
    with pytest.raises(SystemExit):
        direction.main([*TEXTS, *QUICK, "--out", str(mine)])


def test_a_model_of_labels_is_told_one(people, tmp_path):
    labelled(tmp_path / "net")
    tame(tmp_path / "net", 16)
    network = ["--checkpoint", str(tmp_path / "net"), "--prompt", "3"]
    mine = tmp_path / "mine"
    assert direction.main([*TEXTS, *QUICK, *network, "--out", str(mine)]) == 0
    arguments = [str(people), "--direction", str(mine), "--steps", "4", *network]
    assert edit.main([*arguments, "--out", str(tmp_path / "out")]) == 0
    assert json.loads((tmp_path / "out/0.json").read_text())["prompt"] == "3"


def test_a_published_file_becomes_a_folder(published, tmp_path):
    torch.save({"0": published.state_dict()}, tmp_path / "s.pth")
    arguments = ["--public", str(tmp_path / "s.pth"), "--first", "999", "--last", "513"]
    assert direction.main([*arguments, "--out", str(tmp_path / "new")]) == 0
    assert load_edit(tmp_path / "new").terms[0][1].last == 513


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--source", "a"], "say what to learn"), ([], "say what to learn"),
        ([*TEXTS, "--public", "x.pth"], "say what to learn"), ([*TEXTS, "--rate", "-1"], "above 0"),
        (["--source", "a|b", "--target", "c"], "as many texts"),
        ([*TEXTS, "--first", "100", "--last", "200"], "999 ≥ first ≥ last ≥ 0"),
    ],
)  # fmt: skip
def test_direction_refuses_in_a_sentence(tmp_path, capsys, arguments, words):
    with pytest.raises(SystemExit):
        direction.main([*arguments, "--out", str(tmp_path / "new")])
    assert words in capsys.readouterr().err and not (tmp_path / "new").exists()
