"""Draw the README's picture: `python -m lessons_lib.recipes.picture` writes data/readme.png."""

import torch

from .. import Sampler, load, plots
from ..paths import DATA, write_whole

TARGET = DATA / "readme.png"


def main() -> None:
    moons, faces = load("moons"), load("faces")
    fig, axes = plots.figure(1, 2, width=13, height=5, width_ratios=[1, 2.05])
    plots.density(axes[0], lambda x: moons.log_density(x, -1))
    for eta, alpha in ((1.0, 0.35), (0.0, 1.0)):
        g = Sampler(moons, steps=60, eta=eta)
        plots.paths(axes[0], g.path(g.draw(7, seed=0)), plots.ETAS(eta), alpha)
    axes[0].set_title("exact: one $x_T$, η = 0 and η = 1")

    g = Sampler(faces, steps=50, eta=0.0)
    walk = list(g.trajectory(g.draw(1, seed=3)))
    shown = [walk[i] for i in (0, 12, 20, 26, 31, 36, 42, 49)]
    rows = [torch.cat([step.x for step in shown]), torch.cat([step.P for step in shown])]
    ddpm = Sampler(faces, steps=100, eta=1.0)
    z = ddpm.draw(8, seed=1)
    rows += [ddpm.decode(z, cond=torch.tensor([label])) for label in (1, 2)]
    plots.picture(axes[1], plots.sheet(torch.cat(rows).float(), columns=8, scale=2, gap=4))
    names = ("$x_t$", "$P_t$", "a code z …", "… with glasses")
    places = [(i + 0.5) / 4 for i in reversed(range(4))]
    for name, place in zip(names, places, strict=True):
        axes[1].text(-0.01, place, name, transform=axes[1].transAxes, ha="right", va="center")
    write_whole(TARGET, plots.png(fig))
    print(f"written: {TARGET}")


if __name__ == "__main__":
    main()
