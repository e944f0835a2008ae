"""What comes in: each thing that cannot work is refused in one sentence, and the rest works."""

import pytest
import torch
from torch.testing import assert_close

from lessons_lib import Sampler, load
from lessons_lib.cards import CheckpointError
from lessons_lib.encoder import lockstep
from lessons_lib.methods.asyrp import Asyrp, Conv
from lessons_lib.methods.editing import ddib, sdedit
from lessons_lib.methods.hspace import constant
from lessons_lib.models.trial import check_runs
from lessons_lib.models.unet import UNet
from lessons_lib.press.runner import typed
from lessons_lib.schedule import linear_alpha_bar, of_thousand
from lessons_lib.studies import inputs
from lessons_lib.studies.subjects import subjects
from small import ALPHA_BAR, says_in_a_sentence, tiny_net, tiny_unet

NET, LABELLED = tiny_unet(), UNet(tiny_net(num_class_embeds=10), ALPHA_BAR)
G, DDIM = Sampler(NET, 4, 1.0), Sampler(NET, 4)
LEVELS = 255 * torch.rand(2, 3, 8, 8, dtype=torch.float64)
IMAGE = LEVELS / 127.5 - 1


def nan_net():
    net = tiny_net()
    net.conv_out.bias.data.fill_(float("nan"))
    return net


NAN = Sampler(UNet(nan_net(), ALPHA_BAR), 4, 1.0)
B = NET.encode(IMAGE, 5)
WRONG = constant(torch.zeros(8, 4, 4), 999)

REFUSED = {
    "a name for a model": (lambda: Sampler("faces"), ["'faces'", "load('faces')"]),
    "no model": (lambda: Sampler(None), ["None", "load"]),
    "levels": (lambda: G.encode(LEVELS), ["up to 25", "x / 127.5 - 1"]),
    "levels, in lockstep": (lambda: next(lockstep(G, LEVELS)), ["x / 127.5 - 1"]),
    "levels, inverted": (lambda: ddib(LEVELS, DDIM, DDIM), ["x / 127.5 - 1"]),
    "levels, in SDEdit": (lambda: sdedit(LEVELS, G), ["x / 127.5 - 1"]),
    "a path's name": (lambda: G.encode(IMAGE, path="posterior"), ["'posterior'", "function"]),
    "no label": (lambda: LABELLED(IMAGE, 5), ["label", "0 to 9"]),
    "no label to decode": (
        lambda: Sampler(LABELLED, 4).decode(Sampler(LABELLED, 4).draw(1, 0)), ["label", "0 to 9"]),
    "labels in two columns": (lambda: LABELLED(IMAGE, 5, torch.zeros(2, 1).long()), ["(2, 1)", "(B,)"]),
    "labels yes and no": (lambda: LABELLED(IMAGE, 5, torch.zeros(2).bool()), ["bool", "(B,)"]),
    "nan weights, encoding": (lambda: NAN.encode(IMAGE), ["not finite"]),
    "nan weights, decoding": (lambda: NAN.decode(NAN.draw(1, 0)), ["not finite"]),
    "fewer channels out": (
        lambda: UNet(tiny_net(in_channels=2, out_channels=1), ALPHA_BAR), ["takes 2", "puts out 1"]),
    "an edit of another h": (lambda: WRONG(NET, IMAGE, 5), ["(8, 4, 4)", "(16, 4, 4)"]),
    "an f_t of another h": (lambda: Asyrp.of(Conv(8, 32), 999).shift(B, 5), ["8 channels", "has 16"]),
    "scales of another batch": (
        lambda: (constant(torch.zeros(16, 4, 4), 999) * torch.ones(3)).shift(B, 5), ["3 images", "2"]),
    "an edit and a number": (lambda: WRONG + 1, ["1", "another edit"]),
    "a number and an edit": (lambda: 1 + WRONG, ["1", "another edit"]),
    "an edit less a number": (lambda: WRONG - 1, ["1", "another edit"]),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_one_sentence(name):
    says_in_a_sentence(*REFUSED[name], most=300)


def test_judges_say_what_they_cannot_read():
    from lessons_lib.judges.evaluators import load_clip, load_critic

    with pytest.raises(ValueError, match=r"'horses'.*faces"):
        load_critic().read(torch.zeros(1, 3, 32, 32), "horses")
    for sentences in ([], "a cat"):
        with pytest.raises(ValueError, match="give"):
            load_clip().text(sentences)


# ---------------------------------------------------------------- networks from elsewhere


@pytest.mark.parametrize(
    "net, side",
    [
        ({}, 8),
        ({"sample_size": 6}, 6),
        ({"num_class_embeds": 10}, 8),
        ({"in_channels": 1, "out_channels": 1}, 8),
        ({"out_channels": 6}, 8),
        ({"resnet_time_scale_shift": "scale_shift"}, 8),
        ({"center_input_sample": True, "freq_shift": 1, "flip_sin_to_cos": False}, 8),
        ({"downsample_type": "resnet", "upsample_type": "resnet"}, 8),
    ],
)
def test_what_diffusers_runs_is_run(net, side):
    model = UNet(tiny_net(**net), ALPHA_BAR)
    check_runs(model)
    assert model.shape[-1] == side


@pytest.mark.parametrize(
    "net, words",
    [
        (lambda: tiny_net(sample_size=7), "diffusers itself cannot run .*7×7"),
        (nan_net, "not finite"),
    ],
)
def test_what_cannot_run_is_said_at_once(net, words):
    with pytest.raises(ValueError, match=words) as raised:
        check_runs(UNet(net(), ALPHA_BAR))
    assert "\n" not in str(raised.value)


def test_a_network_that_is_put_together_otherwise_is_found():
    class Otherwise(UNet):
        def _outputs(self, b, delta_h):
            return 1.1 * super()._outputs(b, delta_h)

    with pytest.raises(ValueError, match="not supported"):
        check_runs(Otherwise(tiny_net(), ALPHA_BAR))


@pytest.fixture
def saved(tmp_path):
    """A function that saves a network as diffusers does: (network, scheduler's settings) -> folder."""
    from diffusers import DDPMScheduler

    def save(net, **scheduler):
        net.save_pretrained(tmp_path / "unet", **scheduler.pop("as_", {}))
        DDPMScheduler(**scheduler).save_pretrained(tmp_path / "scheduler")
        return tmp_path

    return save


def test_load_tries_a_network(saved):
    with pytest.raises(CheckpointError, match=r"does not load: .*not finite"):
        load(saved(nan_net()))


def test_labels_of_a_network_from_elsewhere_are_all_real(saved):
    model = load(saved(tiny_net(num_class_embeds=10)))
    with pytest.raises(ValueError, match="0 to 9"):
        model(IMAGE, 5)
    assert model(IMAGE, 5, torch.tensor([0])).shape == IMAGE.shape
    assert load("animals")(torch.zeros(1, 3, 64, 64), 5).shape == (1, 3, 64, 64)  # there 0 is none


@pytest.mark.parametrize("as_", [{"variant": "fp16"}, {"max_shard_size": "30KB"},
                                 {"variant": "fp16", "max_shard_size": "30KB"}])  # fmt: skip
def test_variants_and_shards_load(saved, as_):
    net = tiny_net()
    assert_close(load(saved(net, as_=as_))(IMAGE, 5), UNet(net, ALPHA_BAR)(IMAGE, 5))


def test_alpha_bar_that_leaves_nothing_of_the_image_is_refused_of_epsilon(saved):
    steep = {"num_train_timesteps": 4000, "beta_end": 0.02}
    with pytest.raises(CheckpointError, match=r"ᾱ is 3e-18.*v_prediction"):
        load(saved(tiny_net(), **steep))
    assert len(load(saved(tiny_net(), prediction_type="v_prediction", **steep)).alpha_bar) == 4000


# ---------------------------------------------------------------- folders and devices


def test_a_folder_that_is_not_there_is_said_before_the_hub_is_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    monkeypatch.setattr("lessons_lib.checkpoints.download", lambda *_: pytest.fail("asked the hub"))
    for name in ("runs/mine", "./mine", "a/b/c", str(tmp_path / "mine")):
        with pytest.raises(CheckpointError, match=f"no folder {tmp_path}"):
            load(name)


def test_a_folder_is_looked_for_where_it_is_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    assert typed("checkpoint", "runs/mine", "faces") == str(tmp_path / "runs" / "mine")
    assert typed("attributes", "old,runs/mine", "old") == f"old,{tmp_path / 'runs' / 'mine'}"
    for text in ("faces", "google/ddpm-cifar10-32", "a day, or a night/evening", "runs"):
        assert typed("checkpoint", text, "faces") == text


def test_a_device_without_values_is_none():
    with pytest.raises(CheckpointError, match="no device 'meta'"):
        load("moons", "meta")


# ---------------------------------------------------------------- other numbers of training times


def test_times_of_a_thousand_are_in_proportion():
    assert [of_thousand(t, 1000) for t in (0, 315, 736, 999)] == [0, 315, 736, 999]
    assert [of_thousand(t, 100) for t in (0, 736, 999)] == [0, 73, 99]
    assert of_thousand(999, 4000) == 3999


@pytest.mark.parametrize("train_steps", [100, 4000])
def test_subjects_of_another_number_of_training_times(train_steps):
    model = UNet(tiny_net(), linear_alpha_bar(train_steps, 1e-3, 0.005), "v_prediction")
    who = subjects(Sampler(model, 20), "mine", "smiling, old", 1, 0)
    for edit in who.edits.values():
        ((_, d),) = edit.terms
        assert 0.7 < d.first / train_steps < 0.8 and 0.3 < d.last / train_steps < 0.33


def test_a_lesson_s_model_is_refused_before_anything_is_computed(saved):
    folder = saved(tiny_net(num_class_embeds=10), num_train_timesteps=100)
    with pytest.raises(ValueError, match=r"draws by itself.*does not.*label"):
        inputs.model_for(folder, "cpu", 20)
    with pytest.raises(ValueError, match="steps is 1001"):
        inputs.model_for("moons", "cpu", 20, 1001)
