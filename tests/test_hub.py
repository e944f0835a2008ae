"""What is asked of the hub, by a hub of our own (`stand_in`): which files, and what is said when it fails."""

import shutil

import pytest
import torch

from lessons_lib import load
from lessons_lib.checkpoints import find
from lessons_lib.hub import split, wanted
from lessons_lib.judges.evaluators import load_clip
from lessons_lib.weights import TEXT_WEIGHTS, WEIGHTS
from published import clip, ddpm, ldm, stable_diffusion, text_to_image
from small import says_in_a_sentence
from stand_in import COMMIT, GATED, Hub, add_unread, as_bin

UNREAD = (
    "README.md", ".gitattributes", "sd-v1-4.ckpt", "flax/diffusion_flax_model.msgpack", "flax_model.msgpack",
    "tf_model.h5", "safety_checker/config.json", "safety_checker/model.safetensors", "images/x.png",
    "safety_checker/pytorch_model.bin", "feature_extractor/preprocessor_config.json",
)  # fmt: skip
BIN = "diffusion_pytorch_model.bin"


def both(folder):
    """`.bin` beside the safetensors."""
    keep = folder.parent / "keep"
    shutil.copytree(folder, keep)
    as_bin(folder)
    shutil.copytree(keep, folder, dirs_exist_ok=True)


# id: who writes it, how its weights lie, and what must be asked for.
REPOSITORIES = {
    "google/ddpm-cifar10-32": (
        ddpm, both, {"config.json", "scheduler_config.json", "model_index.json", WEIGHTS}),
    "google/ddpm-ema-celebahq-256": (
        ddpm, as_bin, {"config.json", "scheduler_config.json", "model_index.json", BIN}),
    "CompVis/ldm-celebahq-256": (
        ldm, as_bin, {"model_index.json", "scheduler/scheduler_config.json", "unet/config.json",
                      f"unet/{BIN}", "vqvae/config.json", f"vqvae/{BIN}"}),
    "CompVis/stable-diffusion-v1-4": (
        stable_diffusion, both, {
            "model_index.json", "scheduler/scheduler_config.json", "unet/config.json", f"unet/{WEIGHTS}",
            "vae/config.json", f"vae/{WEIGHTS}", "text_encoder/config.json", f"text_encoder/{TEXT_WEIGHTS}",
            "tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json"}),
    "CompVis/ldm-text2im-large-256": (
        text_to_image, as_bin, {
            "model_index.json", "scheduler/scheduler_config.json", "unet/config.json", f"unet/{BIN}",
            "vqvae/config.json", f"vqvae/{BIN}", "bert/config.json", "bert/pytorch_model.bin",
            "tokenizer/vocab.txt", "tokenizer/tokenizer_config.json"}),
    "openai/clip-vit-base-patch32": (
        clip, as_bin, {"config.json", "preprocessor_config.json", "pytorch_model.bin", "tokenizer.json",
                       "tokenizer_config.json"}),
}  # fmt: skip


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    home, folders = tmp_path_factory.mktemp("hub"), {}
    for name, (write, lay, _) in REPOSITORIES.items():
        folders[name] = home / name.replace("/", "--") / "files"
        folders[name].mkdir(parents=True)
        write(folders[name])
        lay(folders[name])
        add_unread(folders[name], *UNREAD)
    folders[GATED] = folders["google/ddpm-cifar10-32"]
    hub = Hub(folders)
    yield hub
    hub.close()


@pytest.fixture
def online(hub, tmp_path, monkeypatch):
    """That hub in place of the real one, with an empty cache."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.address)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
        hub.address + "/{repo_id}/resolve/{revision}/{filename}",
    )
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("lessons_lib.weights.CONVERTED", tmp_path / "converted")
    monkeypatch.chdir(tmp_path)
    hub.asked.clear()
    return hub


def offline(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def unreachable(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")


def loaded(name):
    return (load_clip if "clip" in name else load)(name)


@pytest.mark.parametrize("name", REPOSITORIES)
def test_only_what_is_read_is_downloaded_and_once(online, monkeypatch, name):
    first = loaded(name)
    assert set(online.asked) == {f"{name}/{file}" for file in REPOSITORIES[name][2]}
    assert len(online.asked) == len(set(online.asked))
    online.asked.clear()
    for cut_off in (lambda _: None, unreachable, offline):
        cut_off(monkeypatch)
        again = loaded(name)
        assert online.asked == []
        for key, value in first.net.state_dict().items():
            assert torch.equal(value, again.net.state_dict()[key])


def test_what_the_cache_holds_of_a_folder_is_what_the_folder_gives(online):
    name = "google/ddpm-ema-celebahq-256"
    there, here = load(name), load(online.repositories[name])
    assert torch.equal(there.net.conv_in.weight, here.net.conv_in.weight)


@pytest.mark.parametrize("cut_off", [unreachable, offline])
@pytest.mark.parametrize("file", [WEIGHTS, "config.json", "scheduler_config.json"])
def test_a_download_that_was_cut_off_names_the_file(online, monkeypatch, cut_off, file):
    name = "google/ddpm-cifar10-32"
    (find(name) / file).unlink()
    cut_off(monkeypatch)
    words = [file] if file == "scheduler_config.json" else [file, "missing", "connect once"]
    says_in_a_sentence(lambda: load(name), words, 500)


@pytest.mark.parametrize("revision", ["refs/pr/3", COMMIT, "main"])
def test_a_revision(online, monkeypatch, revision):
    name = f"google/ddpm-cifar10-32@{revision}"
    assert load(name).shape == (3, 8, 8)
    offline(monkeypatch)
    assert load(name).shape == (3, 8, 8)
    assert split(name) == ("google/ddpm-cifar10-32", revision)


@pytest.mark.parametrize(("name", "words"), [
    ("no-body/nothing", ["no model of this name", "private", "hf auth login"]),
    ("some-body/private", ["no model of this name", "private", "hf auth login"]),
    ("some-body/no-token", ["refuses", "401", "check the name", "hf auth login"]),
    ("some-body/down", ["can the hub be reached", "connect once"]),
    ("not/there", ["no model of this name"]),
    (GATED, ["gated", f"https://huggingface.co/{GATED}", "hf auth login"]),
    ("google/ddpm-cifar10-32@v9", ["no revision 'v9'", "branch"]),
    ("google/--", ["no hub id"]),
    ("google/a b", ["no hub id"]),
])  # fmt: skip
def test_what_the_hub_refuses_is_one_sentence(online, name, words):
    says_in_a_sentence(lambda: load(name), words, 600)
    assert online.asked == []


@pytest.mark.parametrize("cut_off", [unreachable, offline])
def test_no_hub_and_no_cache(online, monkeypatch, cut_off):
    cut_off(monkeypatch)
    says_in_a_sentence(
        lambda: load("google/ddpm-cifar10-32"), ["can the hub be reached", "connect once"], 600
    )


def test_a_variant_that_is_not_there(online):
    name = "google/ddpm-cifar10-32"
    says_in_a_sentence(lambda: load(name, variant="fp16"), [name, "no variant 'fp16'"], 300)


@pytest.mark.parametrize(("names", "words"), [
    (["README.md", "model.ckpt"], "no network in diffusers' layout"),
    (["config.json", "flax_model.msgpack"], "no safetensors or .bin weights of its network"),
    (["unet/config.json", "unet/x.ckpt"], "weights of unet"),
])  # fmt: skip
def test_a_repository_without_what_is_read(names, words):
    with pytest.raises(ValueError, match=words):
        wanted(names)


def test_shards_and_half_precision():
    shards = [f"unet/diffusion_pytorch_model-{i:05}-of-00002.safetensors" for i in (1, 2)]
    index = f"unet/{WEIGHTS}.index.json"
    half = [f"unet/{WEIGHTS}".replace(".s", ".fp16.s"), f"vae/{WEIGHTS}".replace(".s", ".fp16.s")]
    names = ["unet/config.json", "vae/config.json", *shards, index, *half, f"vae/{WEIGHTS}"]
    configs = {"unet/config.json", "vae/config.json"}
    assert set(wanted(names)) == configs | {*shards, index, f"vae/{WEIGHTS}"}
    assert set(wanted(names, "fp16")) == configs | {*half}
