"""A code on disk: it comes back whole, with what it is of, and is refused for anything else."""

import pytest
import torch

from lessons_lib import Code, Sampler
from lessons_lib.code import CODE
from lessons_lib.denoisers import Guided, fingerprint
from lessons_lib.models.unet import UNet
from lessons_lib.schedule import Schedule
from small import ALPHA_BAR, mixture, randn, tiny_net, tiny_unet

NET = tiny_unet(dtype=torch.float32)
G = Sampler(NET, 4, 0.5)


@pytest.mark.parametrize("eta", [0.0, 0.5])
def test_a_code_comes_back_whole(tmp_path, eta):
    g = G.with_eta(eta)
    z = g.draw(2, seed=3)
    z.save(tmp_path / "z.safetensors", g, seed=3)
    back = Code.load(str(tmp_path / "z.safetensors"), g)
    assert torch.equal(g.decode(back), g.decode(z))
    assert (back.residual is None) == (eta == 0) and len(back) == 2
    assert list(tmp_path.iterdir()) == [tmp_path / "z.safetensors"]
    about = Code.about(tmp_path / "z.safetensors")
    assert about["seed"] == 3 and about["eta"] == eta and about["times"] == g.schedule.t.tolist()
    assert about["model"] == fingerprint(NET)


def test_it_comes_back_in_the_sampler_s_dtype(tmp_path):
    z = G.encode(randn(1, 3, 8, 8).clamp(-1, 1))
    z.save(tmp_path / "z", G)
    half = Code.load(tmp_path / "z", G.replace(dtype=torch.float32))
    assert half.eps.dtype == torch.float32 and half.residual.dtype == torch.bool


REFUSED = {
    "another network": (Sampler(tiny_unet(seed=1, dtype=torch.float32), 4, 0.5), "another model"),
    "the same network, predicting ε": (
        Sampler(UNet(tiny_net(), ALPHA_BAR, "epsilon"), 4, 0.5), "another model"),
    "a mixture": (Sampler(mixture(), 4, 0.5), "another model"),
    "fewer steps": (
        Sampler(NET, 3, 0.5), r"another schedule \(4 from t = 999 to 0\) .* \(3 from t = 999 to 0\)"),
    "another last level": (
        G.replace(schedule=Schedule.of(ALPHA_BAR, G.schedule.t.tolist(), ALPHA_BAR[0].item())), "last level"),
    "another η": (G.with_eta(0.4), "another eta"),
    "boosted": (G.replace(t_boost=500), "t_boost"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_for_another_sampler(tmp_path, name):
    other, words = REFUSED[name]
    G.draw(1, 0).save(tmp_path / "z", G)
    with pytest.raises(ValueError, match=words) as raised:
        Code.load(tmp_path / "z", other)
    assert "\n" not in str(raised.value)


def test_files_that_hold_no_code(tmp_path):
    with pytest.raises(ValueError, match=r"no file .*nowhere"):
        Code.load(tmp_path / "nowhere", G)
    for content in (b"", b"no safetensors", b"\x00" * 64):
        (tmp_path / "z").write_bytes(content)
        with pytest.raises(ValueError, match="holds no code"):
            Code.load(tmp_path / "z", G)
    from safetensors.torch import save_file

    save_file({"x_T": torch.zeros(1, 3, 8, 8)}, tmp_path / "z")
    with pytest.raises(ValueError, match="holds no code"):
        Code.about(tmp_path / "z")
    save_file({"x_T": torch.zeros(1, 3, 8, 8)}, tmp_path / "z", {CODE: '{"format": 2}'})
    with pytest.raises(ValueError, match=r"another format than this version reads \(1\)"):
        Code.load(tmp_path / "z", G)


def test_a_code_of_another_sampler_is_not_saved(tmp_path):
    with pytest.raises(ValueError, match="4 steps"):
        G.draw(1, 0).save(tmp_path / "z", Sampler(NET, 5, 0.5))
    with pytest.raises(ValueError, match="seed is -1"):
        G.draw(1, 0).save(tmp_path / "z", G, seed=-1)
    assert not list(tmp_path.iterdir())


def test_a_fingerprint_is_of_the_numbers_and_of_nothing_else():
    same = tiny_unet(dtype=torch.float32)
    assert fingerprint(same) == fingerprint(NET) == fingerprint(tiny_unet(dtype=torch.float64))
    guided = [
        Guided(tiny_unet(num_class_embeds=3), s, e) for s, e in ((2.0, 0), (3.0, 0), (2.0, 1))
    ]
    assert len({fingerprint(m) for m in (NET, mixture(), mixture(seed=1), *guided)}) == 6
    same.net.conv_out.bias[0] += 1
    assert fingerprint(same) != fingerprint(NET)
