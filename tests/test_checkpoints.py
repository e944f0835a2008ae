import json
import shutil
import subprocess
import sys

import lessons_lib._torchvision  # noqa: F401

import pytest
import torch
from diffusers import schedulers
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from lessons_lib import Sampler, checkpoints, load
from lessons_lib.cards import CheckpointError
from lessons_lib.models.noise import noise_schedule
from lessons_lib.recipes.pixel import scheduler
from lessons_lib.schedule import linear_alpha_bar, scaled_linear_alpha_bar
from lessons_lib.weights import WEIGHTS
from small import randn, tiny_net, write_card


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A checkpoint as recipes and pipelines save it, with a card; and its network."""
    folder, net = tmp_path_factory.mktemp("whole"), tiny_net(in_channels=12, out_channels=12)
    net.save_pretrained(folder / "unet")
    scheduler().save_pretrained(folder / "scheduler")
    unshuffled_card(folder)
    return folder, net


@pytest.fixture
def saved(whole, tmp_path):
    """A copy of it, which may be changed."""
    return shutil.copytree(whole[0], tmp_path, dirs_exist_ok=True), whole[1]


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


ENDS = {"beta_start": 0.00085, "beta_end": 0.012}
# Classes of diffusers that have ᾱ; the first ones can also bring it to 0 at the end.
TO_ZERO = (
    "DDPM", "DDPMParallel", "DDIM", "DDIMParallel", "DDIMInverse", "EulerDiscrete", "UniPCMultistep",
    "EulerAncestralDiscrete", "DPMSolverMultistep", "LCM", "TCD",
)  # fmt: skip
NOT_TO_ZERO = (
    "PNDM", "LMSDiscrete", "HeunDiscrete", "KDPM2Discrete", "KDPM2AncestralDiscrete", "DEISMultistep",
    "DPMSolverSinglestep", "DPMSolverMultistepInverse", "SASolver",
)  # fmt: skip


def scheduled(folder, kind, **config):
    """(ᾱ, prediction) as read from the file that the class saves, and its own ᾱ."""
    theirs = getattr(schedulers, f"{kind}Scheduler")(prediction_type="v_prediction", **config)
    theirs.save_pretrained(folder / "scheduler")
    return *noise_schedule(folder)[:2], theirs.alphas_cumprod.double()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # numpy's, of what diffusers does
@pytest.mark.parametrize("kind, steps", [
    (kind, steps) for kind in TO_ZERO + NOT_TO_ZERO
    for steps in ((100, 300) if kind.startswith("KDPM2") else (100, 1000, 4000))  # those take long
])  # fmt: skip
def test_alpha_bar_is_that_of_the_class_of_the_file(tmp_path, kind, steps):
    formulas = {"linear": linear_alpha_bar, "scaled_linear": scaled_linear_alpha_bar}
    for betas, formula in formulas.items():
        ours, prediction, own = scheduled(
            tmp_path, kind, beta_schedule=betas, num_train_timesteps=steps, **ENDS
        )
        assert prediction == "v_prediction" and ours.dtype == torch.float64
        assert torch.equal(ours, formula(steps, *ENDS.values()))  # not rounded to float32
        assert_close(ours, own, rtol=0, atol=1e-6)
    ours, _, own = scheduled(
        tmp_path, kind, beta_schedule="squaredcos_cap_v2", num_train_timesteps=steps
    )
    assert torch.equal(ours, own) and len(ours) == steps
    betas = torch.linspace(0.001, 0.002, steps).square().tolist()
    ours, _, own = scheduled(tmp_path, kind, trained_betas=betas, num_train_timesteps=steps)
    assert torch.equal(ours, own)
    assert_close(ours, (1 - torch.tensor(betas).double()).cumprod(0), rtol=0, atol=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "kind, betas", [("DDPM", "sigmoid"), ("DDPM", "laplace"), ("HeunDiscrete", "exp")]
)
def test_what_one_class_alone_knows_is_read_by_it(tmp_path, kind, betas):
    ours, _, own = scheduled(tmp_path, kind, beta_schedule=betas)
    assert torch.equal(ours, own) and not torch.allclose(ours, linear_alpha_bar(), atol=1e-3)


def test_a_class_s_own_defaults_and_changes_hold(tmp_path):
    """UnCLIP's ᾱ is of the cosine, LCM's ends are Stable Diffusion's, CogVideoX shifts its ᾱ."""
    for kind in ("UnCLIP", "CogVideoXDDIM"):
        ours, _, own = scheduled(tmp_path, kind)
        assert torch.equal(ours, own)
    (tmp_path / "scheduler" / "scheduler_config.json").write_text('{"_class_name": "LCMScheduler"}')
    assert torch.equal(noise_schedule(tmp_path)[0], scaled_linear_alpha_bar())


def test_a_file_without_a_class_is_ddpm_s(tmp_path):
    file = tmp_path / "scheduler_config.json"
    file.write_text("{}")
    assert noise_schedule(tmp_path)[1] == "epsilon"
    assert torch.equal(noise_schedule(tmp_path)[0], linear_alpha_bar())
    file.write_text('{"beta_schedule": "sigmoid", "num_train_timesteps": 300}')
    own = schedulers.DDPMScheduler(300, beta_schedule="sigmoid").alphas_cumprod.double()
    assert torch.equal(noise_schedule(tmp_path)[0], own)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("steps", [100, 1000, 4000])
@pytest.mark.parametrize("betas", ["linear", "scaled_linear", "squaredcos_cap_v2"])
@pytest.mark.parametrize("kind", TO_ZERO)
def test_zero_terminal_snr_is_a_little_above_zero(tmp_path, kind, betas, steps):
    ours, _, own = scheduled(
        tmp_path, kind, beta_schedule=betas, num_train_timesteps=steps, rescale_betas_zero_snr=True
    )
    assert own[-1] in (0, 2**-24) and torch.equal(ours[:-1], own[:-1])
    assert ours[-1] == min(2**-24, own[-2] / 4) > 0
    if steps == 100:
        assert ours[-1] == 2**-24


@torch.no_grad()
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("prediction", ["v_prediction", "sample"])
@pytest.mark.parametrize("kind", ["DDIM", "EulerDiscrete"])
@pytest.mark.parametrize("betas", ["linear", "squaredcos_cap_v2"])
def test_from_zero_terminal_snr_the_first_p_is_the_network_s_own(saved, kind, betas, prediction):
    folder, net = saved
    config = {"beta_schedule": betas, "rescale_betas_zero_snr": True, "prediction_type": prediction}
    getattr(schedulers, f"{kind}Scheduler")(**config).save_pretrained(folder / "scheduler")
    unshuffled_card(folder)
    for eta in (0.0, 1.0):
        g = Sampler(load(folder), steps=5, eta=eta)
        z = g.draw(2, seed=0)
        first = next(iter(g.trajectory(z)))
        out = net(torch.pixel_unshuffle(z.x_T.float(), 2), first.t).sample
        image = torch.pixel_shuffle(out, 2).double() * (1 if prediction == "sample" else -1)
        assert first.t == 999
        assert_close(first.P, image, rtol=0, atol=1e-3)
        if prediction == "v_prediction":
            a = g.schedule.a[0]
            assert_close(first.P, a.sqrt() * z.x_T + (1 - a).sqrt() * image, rtol=0, atol=4e-6)
        assert g.decode(z).isfinite().all()


FLOW = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}
REFUSED = {
    "flow matching": ({"_class_name": "FlowMatchEulerDiscreteScheduler"}, ["FlowMatchEuler", "no list of ᾱ"]),
    "flow matching by Heun": ({"_class_name": "FlowMatchHeunDiscreteScheduler"}, ["no list of ᾱ"]),
    "consistency": ({"_class_name": "CMStochasticIterativeScheduler"}, ["no list of ᾱ", "DDIMScheduler"]),
    "EDM": ({"_class_name": "EDMEulerScheduler"}, ["no list of ᾱ"]),
    "IPNDM": ({"_class_name": "IPNDMScheduler"}, ["no list of ᾱ"]),
    "variance-exploding": ({"_class_name": "ScoreSdeVeScheduler"}, ["no list of ᾱ"]),
    "flow matching by UniPC": ({"_class_name": "UniPCMultistepScheduler", **FLOW}, ["no list of ᾱ"]),
    "continuous times": (
        {"_class_name": "EulerDiscreteScheduler", "timestep_type": "continuous"}, ["whole times"]),
    "unknown": ({"_class_name": "DDDMScheduler"}, ["no scheduler 'DDDMScheduler'"]),
    "no class": ({"_class_name": "AysSchedules"}, ["no scheduler 'AysSchedules'"]),
    "a module": ({"_class_name": "scheduling_ddim"}, ["no scheduler 'scheduling_ddim'"]),
    "no name": ({"_class_name": None}, ["no scheduler None"]),
    "a name of two": ({"_class_name": ["a", "B"]}, ["no scheduler ['a', 'B']"]),
    "an unknown β": (
        {"_class_name": "DDIMScheduler", "beta_schedule": "sigmoid"},
        ["DDIMScheduler knows no beta_schedule 'sigmoid'", "squaredcos_cap_v2"]),
    "β of no name": ({"beta_schedule": 3}, ["DDPMScheduler knows no beta_schedule 3"]),
    "no steps": ({"num_train_timesteps": 0}, ["does not load"]),
    "steps in words": ({"num_train_timesteps": "many"}, ["num_train_timesteps is 'many'"]),
    "β that rises to 1": ({"beta_end": 1.5}, ["beta_end=1.5"]),
    "β of 0": ({"trained_betas": [0.1, 0.0, 0.1]}, ["falls strictly"]),
    "zero SNR of a class without": (
        {"_class_name": "HeunDiscreteScheduler", "rescale_betas_zero_snr": True, "prediction_type": "sample"},
        ["HeunDiscreteScheduler does not read rescale_betas_zero_snr"]),
    "zero SNR of ε": (
        {"_class_name": "DDIMScheduler", "rescale_betas_zero_snr": True},
        ["ᾱ is 0", "epsilon", "v_prediction or sample"]),
    "zero SNR of ε by Euler": (
        {"_class_name": "EulerDiscreteScheduler", "rescale_betas_zero_snr": True}, ["ᾱ is 0", "epsilon"]),
    "a last β of 1": ({"trained_betas": [0.1, 0.2, 1.0]}, ["ᾱ is 0", "epsilon"]),
    "a class that is not installed": ({"_class_name": "FlaxDDIMScheduler"}, ["no scheduler"]),
    "flow prediction": ({"prediction_type": "flow_prediction"}, ["'flow_prediction'", "v_prediction"]),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", REFUSED)
def test_a_schedule_that_is_none_here_is_one_sentence(saved, name):
    folder, _ = saved
    config, words = REFUSED[name]
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(config))
    unshuffled_card(folder)
    with pytest.raises(CheckpointError) as raised:
        load(folder)
    message = str(raised.value)
    assert all(word in message for word in words), message
    assert str(folder) in message
    assert "\n" not in message and message.endswith(".") and len(message) < 500, message


def test_no_scheduler_is_imported_but_the_file_s_own(tmp_path):
    schedulers.PNDMScheduler().save_pretrained(tmp_path)
    program = (
        "import sys; from pathlib import Path; from lessons_lib.models.noise import noise_schedule; "
        "noise_schedule(Path(sys.argv[1])); "
        "print(*(m for m in sys.modules if m.startswith('diffusers.schedulers.scheduling_')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True
    )
    found = {name.rpartition("_")[2] for name in done.stdout.split()}
    assert found == {"pndm", "utils"}


def flip_a_byte(folder):
    path = folder / "unet" / WEIGHTS
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def truncate(folder):
    path = folder / "unet" / WEIGHTS
    path.write_bytes(path.read_bytes()[:-100])
    (folder / "card.json").unlink()


def only_named_bin(folder):
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
    "safetensors named .bin": (only_named_bin, ["does not load", "diffusion_pytorch_model.bin"]),
    "wrong class": (edit("unet/config.json", _class_name="VQModel"), ["VQModel", "UNet2DModel"]),
    "no class": (edit("unet/config.json", _class_name=None), ["no named class"]),
    "a tensor gone": (drop_a_tensor, ["lacks 1 ", "conv_out.bias"]),
    "another network's config": (edit("unet/config.json", layers_per_block=2), ["does not load"]),
    "another width": (edit("unet/config.json", block_out_channels=[8, 32]), ["does not load"]),
    "no schedule": (
        lambda f: ((f / "scheduler" / "scheduler_config.json").unlink(), unshuffled_card(f)),
        ["scheduler_config.json"],
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
        assert any(path.endswith(".safetensors") for path in listed), (
            f"{name}'s weights have no hash"
        )
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


def test_one_folder_is_one_checkpoint_however_it_is_called(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    assert checkpoints.same("mine", str(tmp_path / "mine")) and checkpoints.same("faces", "faces")
    assert not checkpoints.same("mine", "other") and not checkpoints.same("faces", "t2i")
    assert not checkpoints.same("", "faces") and not checkpoints.same("mine", "nowhere")
