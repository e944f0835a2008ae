"""Cards and the networks beside them: one reader, one writer, formats, and writes that fail."""

import json
import os
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from lessons_lib import checkpoints
from lessons_lib.cards import (
    CheckpointError,
    card,
    save_network,
    save_weights,
    with_weights,
    write_card,
)
from lessons_lib.checkpoints import load_network
from lessons_lib.judges.evaluators import CriticNet
from lessons_lib.methods.asyrp import Asyrp, Attention, Conv, PerTime, load_edit, save_edit
from lessons_lib.methods.translators import DomainNet, TranslatorNet
from lessons_lib.paths import DIRECTIONS, EMBEDDED, ROOT, part_of, whole, write_whole
from lessons_lib.recipes.cards import write_anew
from small import randn

CARDS = sorted(path.parent for home in (EMBEDDED, DIRECTIONS) for path in home.glob("*/card.json"))


@pytest.mark.parametrize("folder", CARDS, ids=lambda folder: folder.name)
def test_a_committed_card_is_what_the_writer_writes(folder, tmp_path):
    write_card(tmp_path, card(folder))
    text = (folder / "card.json").read_text(encoding="utf-8")
    assert (tmp_path / "card.json").read_text(encoding="utf-8") == text
    assert next(iter(json.loads(text).items())) == ("format", 1)


def test_what_is_written_is_read(tmp_path):
    said = {"kind": "critic", "figures": {"R² of Δ": 0.9}, "files": {}}
    write_card(tmp_path / "new", said)
    assert card(tmp_path / "new") == said
    assert json.loads((tmp_path / "new" / "card.json").read_text()) == {"format": 1, **said}


@pytest.mark.parametrize("number", [0, 2, 1.5, "1", None, [1]])
def test_another_format_is_refused_in_a_sentence(tmp_path, number):
    (tmp_path / "card.json").write_text(json.dumps({"format": number, "kind": "critic"}))
    with pytest.raises(CheckpointError) as raised:
        card(tmp_path)
    message = str(raised.value)
    assert f"card.json is of format {number!r}" in message and "reads format 1: " in message
    assert "\n" not in message and message.endswith("this one.")


def test_every_loader_refuses_another_format(tmp_path):
    save_network(TranslatorNet((4, 4, 4), 1), tmp_path)
    (tmp_path / "card.json").write_text('{"format": 2, "kind": "translator", "files": {}}')
    for loader in (
        checkpoints.load,
        load_edit,
        lambda folder: load_network(TranslatorNet, "translator", folder, "cpu"),
    ):
        with pytest.raises(CheckpointError, match="is of format 2"):
            loader(tmp_path)


def test_a_card_without_a_number_is_of_format_1(tmp_path):
    form = PerTime([5], randn(1, 2, 4, 4))
    save_edit(Asyrp.of(form, 900, texts=["a smile"]), tmp_path)
    said = json.loads((tmp_path / "card.json").read_text())
    assert said.pop("format") == 1
    (tmp_path / "card.json").write_text(json.dumps(said))
    assert card(tmp_path) == said
    ((_, direction),) = load_edit(tmp_path).terms
    assert direction.card == {"texts": ["a smile"]}


def half_then_full_disk(path, text, **how):
    path.write_bytes(text[:10].encode())
    raise OSError("no space left on device")


def no_rename(*paths):
    raise PermissionError("the file is open elsewhere")


@pytest.mark.parametrize(
    "where, name, broken",
    [(Path, "write_text", half_then_full_disk), (os, "replace", no_rename)],
)
def test_a_write_that_fails_leaves_the_old_card_whole(tmp_path, monkeypatch, where, name, broken):
    write_card(tmp_path, {"kind": "clip"})
    with monkeypatch.context() as patch, pytest.raises(OSError):
        patch.setattr(where, name, broken)
        write_card(tmp_path, {"kind": "critic"})
    assert card(tmp_path) == {"kind": "clip"}
    assert [path.name for path in tmp_path.iterdir()] == ["card.json"]


def test_what_cannot_be_said_in_a_card_leaves_the_old_one_whole(tmp_path):
    write_card(tmp_path, {"kind": "clip"})
    with pytest.raises(TypeError):
        write_card(tmp_path, {"kind": torch.zeros(1)})
    assert card(tmp_path) == {"kind": "clip"}


def test_a_whole_write_is_utf_8_with_plain_line_ends(tmp_path):
    write_whole(tmp_path / "a.txt", "ᾱ\nβ\n")
    assert (tmp_path / "a.txt").read_bytes() == "ᾱ\nβ\n".encode()


def test_two_writers_never_write_into_one_file(tmp_path):
    with whole(tmp_path / "a.pt") as one, whole(tmp_path / "a.pt") as other:
        one.write_bytes(b"one")
        other.write_bytes(b"other")
    assert (tmp_path / "a.pt").read_bytes() == b"one"
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


def test_what_killed_writers_left_is_deleted_an_hour_later(tmp_path):
    old, new = part_of(tmp_path / "a.pt"), part_of(tmp_path / "a.pt")
    folder, other = part_of(tmp_path / "a.pt"), part_of(tmp_path / "b.pt")
    for path in (old, new, other, folder / "inside"):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    for path in (old, other, folder):
        os.utime(path, (0, 0))
    write_whole(tmp_path / "a.pt", "whole")
    assert {path.name for path in tmp_path.iterdir()} == {"a.pt", new.name, other.name}


def in_half(value):
    return value.half().float() if value.is_floating_point() else value


NETWORKS = {
    "critic": lambda: CriticNet(
        (4, 4, 4), features=8, identity=4
    ),  # its batch norms count in int64
    "translator": lambda: TranslatorNet((4, 8, 8), 2),
    "domains": lambda: DomainNet(("cats", "dogs"), (8, 8, 16)),
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_network_comes_back_in_half_precision(tmp_path, kind):
    torch.manual_seed(3)
    net = NETWORKS[kind]()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    save_network(net, tmp_path / "new")
    back = load_network(type(net), kind, tmp_path / "new", "cpu")
    assert back.config == net.config and not back.training
    assert not any(p.requires_grad for p in back.parameters())
    for name, value in back.state_dict().items():
        assert torch.equal(net.state_dict()[name], before[name])  # saving changes nothing
        assert value.dtype == before[name].dtype
        assert torch.equal(value, in_half(before[name])), name


@pytest.mark.parametrize(
    "form", [Conv(8, 16), Attention(8, 16), PerTime([9, 3], randn(2, 8, 4, 4).float())]
)
def test_weights_alone_come_back_too(tmp_path, form):
    save_weights(form, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
    edit = Asyrp.of(form, 900)
    save_edit(edit, tmp_path)
    ((_, direction),) = load_edit(tmp_path).terms
    for name, value in form.state_dict().items():
        assert_close(direction.form.state_dict()[name], in_half(value), rtol=0, atol=0)


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


DAMAGED = {
    "no config": (lambda folder: (folder / "config.json").unlink(), "config.json is missing"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "does not load"),
    "weights cut short": (lambda folder: cut(folder / "model.safetensors"), "does not load"),
    "another width": (
        lambda folder: (folder / "config.json").write_text('{"channels": [4, 4, 8], "blocks": 1}'),
        "does not load: .*TranslatorNet",
    ),
    "another class": (
        lambda folder: (folder / "config.json").write_text('{"domains": ["cats"]}'),
        "does not load: .*domains",
    ),
    "another kind": (
        lambda folder: write_card(folder, {"kind": "domains"}),
        "a domains, not a translator: load it with `lessons_lib.methods.translators.load_domains`",
    ),
    "a generator": (lambda folder: write_card(folder, {}), "a generator, not a .*lessons_lib.load`"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_network_is_one_sentence(tmp_path, name):
    damage, words = DAMAGED[name]
    save_network(TranslatorNet((4, 4, 4), 1), tmp_path)
    damage(tmp_path)
    with pytest.raises(CheckpointError, match=words) as raised:
        load_network(TranslatorNet, "translator", tmp_path, "cpu")
    message = str(raised.value)
    assert "\n" not in message and message.endswith(".") and len(message) < 500, message


def test_a_form_s_settings_that_fit_no_form_are_one_sentence(tmp_path):
    save_weights(Conv(8, 16), tmp_path)
    with pytest.raises(CheckpointError, match=r"does not load: .*unexpected keyword"):
        with_weights(Conv, {"channels": 8, "depth": 2}, tmp_path)


def test_figures_stay_with_the_weights_that_they_measured(tmp_path):
    write_card(tmp_path, {"figures": {"FID": 3}, "files": {"a.safetensors": "12"}})
    write_anew(tmp_path, {"files": {"a.safetensors": "12", "config.json": "new"}})
    assert card(tmp_path)["figures"] == {"FID": 3}
    write_anew(tmp_path, {"files": {"a.safetensors": "34"}})
    assert "figures" not in card(tmp_path)


def test_only_one_module_knows_the_card_s_name():
    spelling = [
        path.name
        for path in sorted((ROOT / "lessons_lib").rglob("*.py"))
        if "card.json" in path.read_text(encoding="utf-8")
    ]
    assert spelling == ["paths.py"]
