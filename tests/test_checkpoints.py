import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from lessons_lib import Sampler, checkpoints, load
from lessons_lib.checkpoints import WEIGHTS, CheckpointError
from lessons_lib.recipes.pixel import scheduler
from lessons_lib.schedule import linear_alpha_bar
from small import randn, tiny_net, write_card


@pytest.fixture
def saved(tmp_path):
    """A checkpoint as recipes and pipelines save it, with a card."""
    net = tiny_net(in_channels=12, out_channels=12)
    net.save_pretrained(tmp_path / "unet")
    scheduler().save_pretrained(tmp_path / "scheduler")
    unshuffled_card(tmp_path)
    return tmp_path, net


def unshuffled_card(folder):
    write_card(folder, recipe={"unshuffle": 2})


@torch.no_grad()
def test_a_pipelines_folder_with_a_card(saved):
    folder, net = saved
    model = load(folder)
    assert (
        model.shape == (3, 16, 16)
        and model.device.type == "cpu"
        and model.net.dtype == torch.float32
    )
    assert_close(model.alpha_bar, linear_alpha_bar())
    x, t = randn(2, 3, 16, 16, dtype=torch.float32), 300
    v = torch.pixel_shuffle(net(torch.pixel_unshuffle(x, 2), t).sample, 2)
    a = linear_alpha_bar()[t].float()
    assert_close(model(x, t), a.sqrt() * v + (1 - a).sqrt() * x)
    assert Sampler(load(str(folder)), steps=2).draw(1, seed=0).x_T.shape == (1, 3, 16, 16)


@torch.no_grad()
def test_a_folder_like_google_ddpm(tmp_path):
    net = tiny_net(
        downsample_padding=0, flip_sin_to_cos=False, freq_shift=1, attention_head_dim=None
    )
    net.save_pretrained(tmp_path)
    config = {"_class_name": "DDPMScheduler", "beta_schedule": "linear", "beta_start": 1e-4,
              "beta_end": 0.02, "num_train_timesteps": 1000, "clip_sample": True}  # fmt: skip
    (tmp_path / "scheduler_config.json").write_text(json.dumps(config))
    x = randn(1, 3, 8, 8, dtype=torch.float32)
    assert_close(load(tmp_path)(x, 3), net(x, 3).sample)


@torch.no_grad()
def test_half_precision_weights_load_as_float32(tmp_path):
    net = tiny_net()
    net.half().save_pretrained(tmp_path / "unet")
    scheduler().save_pretrained(tmp_path / "scheduler")
    model = load(tmp_path)
    assert model.net.dtype == torch.float32
    assert torch.equal(model.net.conv_in.weight, net.conv_in.weight.float())


def test_the_schedule_file_is_read(saved):
    folder, _ = saved
    path = folder / "scheduler" / "scheduler_config.json"
    config = json.loads(path.read_text())
    config |= {"beta_schedule": "scaled_linear", "beta_start": 0.0015, "beta_end": 0.0195}
    path.write_text(json.dumps(config | {"prediction_type": "epsilon"}))
    unshuffled_card(folder)
    model = load(folder)
    assert_close(model.alpha_bar[0].item(), 1 - 0.0015)
    assert_close(model.alpha_bar[-1] / model.alpha_bar[-2], torch.tensor(1 - 0.0195).double())


def flip_a_byte(folder):
    path = folder / "unet" / WEIGHTS
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def truncate(folder):
    path = folder / "unet" / WEIGHTS
    path.write_bytes(path.read_bytes()[:-100])
    (folder / "card.json").unlink()


def only_bin(folder):
    (folder / "unet" / WEIGHTS).rename(folder / "unet" / "diffusion_pytorch_model.bin")
    unshuffled_card(folder)


def drop_a_tensor(folder):
    path = folder / "unet" / WEIGHTS
    tensors = load_file(path)
    del tensors["conv_out.bias"]
    save_file(tensors, path, {"format": "pt"})
    unshuffled_card(folder)


def edit(relative, **changes):
    def change(folder):
        path = folder / relative
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))
        unshuffled_card(folder)

    return change


BROKEN = {
    "a flipped byte": (flip_a_byte, ["corrupt", "SHA-256", WEIGHTS]),
    "cut short": (truncate, ["does not load", WEIGHTS]),
    "weights gone": (lambda f: (f / "unet" / WEIGHTS).unlink(), ["missing", WEIGHTS]),
    "config gone, no card": (
        lambda f: ((f / "unet" / "config.json").unlink(), (f / "card.json").unlink()),
        ["config.json", "missing"],
    ),
    ".bin only": (only_bin, ["safetensors"]),
    "wrong class": (edit("unet/config.json", _class_name="VQModel"), ["VQModel", "UNet2DModel"]),
    "no class": (edit("unet/config.json", _class_name=None), ["no named class"]),
    "a tensor gone": (drop_a_tensor, ["lacks 1 ", "conv_out.bias"]),
    "another network's config": (edit("unet/config.json", layers_per_block=2), ["does not load"]),
    "another width": (edit("unet/config.json", block_out_channels=[8, 32]), ["does not load"]),
    "no schedule": (
        lambda f: ((f / "scheduler" / "scheduler_config.json").unlink(), unshuffled_card(f)),
        ["scheduler_config.json"],
    ),
    "a cosine schedule": (
        edit("scheduler/scheduler_config.json", beta_schedule="squaredcos_cap_v2"), ["squaredcos_cap_v2"]
    ),
    "zero terminal SNR": (
        edit("scheduler/scheduler_config.json", rescale_betas_zero_snr=True), ["rescale_betas_zero_snr"]
    ),
    "an unknown prediction": (edit("scheduler/scheduler_config.json", prediction_type="x"), ["prediction"]),
    "a card that is no JSON": (lambda f: (f / "card.json").write_bytes(b"\xff\xfe{"), ["card.json"]),
    "a card that is a list": (lambda f: (f / "card.json").write_text("[]"), ["card.json"]),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_checkpoint_is_one_sentence(saved, name):
    folder, _ = saved
    damage, words = BROKEN[name]
    damage(folder)
    with pytest.raises(CheckpointError) as raised:
        load(folder)
    message = str(raised.value)
    assert all(word in message for word in words), message
    assert "\n" not in message and message.endswith(".") and len(message) < 500, message


@pytest.mark.parametrize(
    "name, words",
    [
        ("digit", ["Did you mean 'digits'"]),
        ("moon", ["Did you mean 'moons'"]),
        ("xyzzy", ["no model 'xyzzy'", "digits"]),
        ("", ["empty"]),
        ("some-body/no-such-model", ["some-body/no-such-model", "hub"]),
        ("./no/such/folder", ["no model"]),
        (__file__, ["is a file"]),
        (None, ["None"]),
        (3, ["3"]),
    ],
)
def test_an_unknown_name_is_one_sentence(name, words):
    with pytest.raises(CheckpointError) as raised:
        load(name)
    message = str(raised.value)
    assert all(word in message for word in words), message
    assert "\n" not in message and message.endswith("."), message


@pytest.mark.parametrize("name", ["digits", "moons"])
@pytest.mark.parametrize("device", ["gpu", "cuda:99", "", "tpu"])
def test_an_unknown_device_is_one_sentence(name, device):
    with pytest.raises(CheckpointError, match=r"no device .* use cpu"):
        load(name, device)


def test_every_embedded_checkpoint_is_whole():
    assert {"digits", "moons"} <= set(checkpoints.names())
    for name in set(checkpoints.names()) - set(checkpoints.EXACT):
        folder = checkpoints.find(name)
        checkpoints.verify(folder)
        listed = checkpoints.card(folder)["files"]
        assert any(path.endswith(WEIGHTS) for path in listed), f"{name}'s weights have no hash"
        model = load(name)
        assert model.shape[0] == (3 if model.codec is None else model.codec.channels)


@pytest.fixture
def zoo(tmp_path, monkeypatch):
    """An embedded folder of two generators (one card is older than `kind`) and two evaluators."""
    monkeypatch.setattr(checkpoints, "EMBEDDED", tmp_path)
    kinds = {"faces": {}, "t2i": {"kind": "generator"}}
    kinds |= {"critic": {"kind": "critic"}, "clip-judge": {"kind": "clip"}}
    for name, more in kinds.items():
        (tmp_path / name).mkdir()
        write_card(tmp_path / name, **more)
    return tmp_path


def test_evaluators_are_found_but_not_listed_or_loaded(zoo):
    assert checkpoints.names() == ["digits", "moons", "faces", "t2i"]
    assert checkpoints.find("clip-judge") == zoo / "clip-judge"
    for name, loader in (("critic", "load_critic"), ("clip-judge", "load_clip")):
        for given in (name, zoo / name):
            with pytest.raises(
                CheckpointError, match=f"no denoiser.*evaluators.{loader}"
            ) as raised:
                load(given)
            assert str(given) in str(raised.value) and str(raised.value).endswith(".")
