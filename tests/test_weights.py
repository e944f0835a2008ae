"""Weights in files: which of a folder's are read, and `.bin` without running anything."""

import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from lessons_lib import load, weights
from lessons_lib.cards import CheckpointError
from lessons_lib.weights import DIFFUSERS, TRANSFORMERS, WEIGHTS, Stored, stored, tensors_of
from published import LAYOUTS, ddpm, stable_diffusion, text_to_image
from small import randn, says_in_a_sentence
from stand_in import as_bin

BIN = "diffusion_pytorch_model.bin"
SHARDED = [f"diffusion_pytorch_model-{i:05}-of-00002.safetensors" for i in (1, 2)]
HALF = "diffusion_pytorch_model.fp16.safetensors"
HALVES = [f"diffusion_pytorch_model.fp16-{i:05}-of-00002.safetensors" for i in (1, 2)]
OLDER = [f"diffusion_pytorch_model-{i:05}-of-00002.fp16.safetensors" for i in (1, 2)]
EMA = "diffusion_pytorch_model.non_ema.safetensors"
INDEX = f"{WEIGHTS}.index.json"


@pytest.fixture(autouse=True)
def converted(tmp_path_factory, monkeypatch):
    """The cache of converted weights, of this test alone."""
    monkeypatch.setattr(weights, "CONVERTED", tmp_path_factory.mktemp("converted"))
    return weights.CONVERTED


@pytest.mark.parametrize(("names", "variant", "files", "index"), [
    ([WEIGHTS, BIN, HALF, EMA], None, [WEIGHTS], None),
    ([BIN, HALF, EMA, *SHARDED], None, SHARDED, INDEX),
    ([BIN, HALF], None, [BIN], None),  # the whole precision is worth a pickle
    ([HALF, EMA], None, [HALF], None),
    ([WEIGHTS, HALF], "fp16", [HALF], None),
    (HALVES, None, HALVES, f"{WEIGHTS}.index.fp16.json"),
    (OLDER, "fp16", OLDER, f"{WEIGHTS}.index.fp16.json"),
    ([WEIGHTS, EMA], "non_ema", [EMA], None),
])  # fmt: skip
def test_which_files_are_read(names, variant, files, index):
    for listed in (names, names[::-1]):
        found = stored(["config.json", "README.md", *listed], DIFFUSERS, variant)
        assert (list(found.files), found.index) == (files, index)
        assert found.variant == (variant or ("fp16" if "fp16" in files[0] else None))


@pytest.mark.parametrize(("names", "variant"), [
    ([], None), ([EMA], None), ([WEIGHTS], "fp16"), (SHARDED[:1], None), (["model.safetensors"], None),
    (["sd-v1-4.ckpt", "diffusion_flax_model.msgpack"], None),
])  # fmt: skip
def test_where_there_is_none(names, variant):
    assert stored(names, DIFFUSERS, variant) is None


@given(st.sets(st.sampled_from([WEIGHTS, BIN, HALF, EMA, *SHARDED, *HALVES]), min_size=1))
def test_a_pickle_is_read_only_where_nothing_else_is_whole(names):
    found = stored(names, DIFFUSERS)
    if found and not found.safe:
        assert WEIGHTS not in names and not set(SHARDED) <= names
    assert found is None or set(found.files) <= names


def test_of_transformers_the_names_differ():
    both = stored(["model.safetensors", "pytorch_model.bin"], TRANSFORMERS)
    assert both == Stored(("model.safetensors",), None, None)
    assert not stored(["pytorch_model.bin"], TRANSFORMERS).safe


@pytest.mark.parametrize("name", LAYOUTS)
def test_bin_loads_as_safetensors_do(tmp_path, converted, capsys, name):
    LAYOUTS[name](tmp_path)
    before = load(tmp_path)
    as_bin(tmp_path)
    capsys.readouterr()
    after = load(tmp_path)
    said = capsys.readouterr().out.splitlines()
    pairs = [(before.net, after.net)]
    pairs += [(before.codec.net, after.codec.net)] if before.codec else []
    pairs += [(before.prompts.net, after.prompts.net)] if before.prompts else []
    for old, new in pairs:
        assert old.state_dict().keys() == new.state_dict().keys()
        assert all(torch.equal(v, new.state_dict()[k]) for k, v in old.state_dict().items())
    assert len(said) == len(pairs) and all("no safetensors" in line for line in said)
    files = {p: p.stat().st_mtime_ns for p in converted.rglob("*")}
    load(tmp_path)
    assert capsys.readouterr().out == ""  # the second time there is nothing to convert
    assert {p: p.stat().st_mtime_ns for p in converted.rglob("*")} == files


def test_other_weights_under_the_same_name_are_converted_anew(tmp_path):
    ddpm(tmp_path)
    as_bin(tmp_path)
    first = load(tmp_path)
    torch.save({k: v + 1 for k, v in tensors_of(tmp_path / BIN).items()}, tmp_path / BIN)
    assert torch.equal(load(tmp_path).net.conv_in.bias, first.net.conv_in.bias + 1)


def test_shards_of_bin_and_of_safetensors(tmp_path):
    stable_diffusion(tmp_path)
    whole = load(tmp_path)
    for part in ("unet", "vae"):
        weight = tmp_path / part / WEIGHTS
        tensors = list(load_file(weight).items())
        weight.unlink()
        for i, some in enumerate((tensors[:5], tensors[5:]), 1):
            torch.save(dict(some), weight.with_name(f"diffusion_pytorch_model-{i:05}-of-00002.bin"))
    assert torch.equal(load(tmp_path).net.conv_in.weight, whole.net.conv_in.weight)
    (tmp_path / "unet" / "diffusion_pytorch_model-00002-of-00002.bin").unlink()
    with pytest.raises(
        CheckpointError, match=r"unet/diffusion_pytorch_model.safetensors is missing"
    ):
        load(tmp_path)


def test_a_variant(tmp_path):
    ddpm(tmp_path)
    half = {k: (v * 2).half() for k, v in load_file(tmp_path / WEIGHTS).items()}
    from safetensors.torch import save_file

    save_file(half, tmp_path / HALF, {"format": "pt"})
    whole, other = load(tmp_path), load(tmp_path, variant="fp16")
    assert torch.equal(other.net.conv_in.weight, (whole.net.conv_in.weight * 2).half().float())
    says_in_a_sentence(lambda: load(tmp_path, variant="bf16"), ["no variant 'bf16'", WEIGHTS], 400)


def test_tied_tensors_become_two(tmp_path):
    one = randn(3, 4)
    torch.save({"a": one, "b": one.t(), "c": one}, tmp_path / "x.bin")
    apart = weights._apart(tensors_of(tmp_path / "x.bin"))
    assert torch.equal(apart["b"], one.t()) and torch.equal(apart["c"], one)
    assert len({v.data_ptr() for v in apart.values()}) == 3
    assert all(v.is_contiguous() for v in apart.values())


def test_a_file_of_before_torch_1_6(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "x.bin", _use_new_zipfile_serialization=False)
    assert tensors_of(tmp_path / "x.bin")["a"].tolist() == [1, 1]


SPRUNG = []


class Trap:
    """Whoever loads it as a pickle runs its code."""

    def __reduce__(self):
        return SPRUNG.append, (1,)


BAD = {
    "code": (lambda p: torch.save({"a": Trap()}, p), ["could run code", "safetensors"]),
    "a bare pickle": (lambda p: p.write_bytes(pickle.dumps({"a": Trap()}, 2)), ["could run code"]),
    "no pickle": (lambda p: p.write_bytes(b"123456789" * 9), ["does not load"]),
    "cut short": (lambda p: cut(p), ["does not load"]),
    "empty": (lambda p: p.write_bytes(b""), ["does not load"]),
    "a list": (lambda p: torch.save([torch.ones(1)], p), ["holds a list", "by name"]),
    "tensors of two networks": (
        lambda p: torch.save({"model": {"a": torch.ones(1)}}, p), ["'model'", "by name"]),
    "nothing": (lambda p: torch.save({}, p), ["holds nothing"]),
}  # fmt: skip


def cut(path):
    torch.save({"a": torch.ones(999)}, path)
    path.write_bytes(path.read_bytes()[:-500])


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_weights_is_one_sentence(tmp_path, name):
    write, words = BAD[name]
    write(tmp_path / "x.bin")
    says_in_a_sentence(lambda: tensors_of(tmp_path / "x.bin"), [*words, "x.bin"], 500)
    assert SPRUNG == []


@pytest.mark.parametrize("version", ["2.5.1", "2.5.1+cpu", "1.13.0"])
def test_an_old_torch_reads_no_pickle(tmp_path, monkeypatch, version):
    torch.save({"a": torch.ones(1)}, tmp_path / "x.bin")
    monkeypatch.setattr(torch, "__version__", version)
    says_in_a_sentence(lambda: tensors_of(tmp_path / "x.bin"), [version, "2.6"], 400)


def test_the_text_model_of_ldm_400m(tmp_path):
    """What LDMTextToImagePipeline gives its network."""
    text_to_image(tmp_path)
    prompts = load(tmp_path).prompts
    ids = prompts.tokenizer(
        ["a red house"], padding="max_length", max_length=77, return_tensors="pt"
    )
    theirs = prompts.net(ids.input_ids)[0]
    assert torch.equal(prompts(["a red house"]), theirs) and theirs.shape == (1, 77, 12)
    says_in_a_sentence(lambda: prompts(["a red house " * 30]), ["tokens", "77", "shorten"], 500)
