ANSWERS = {
    "langevin_step": {
        "right": [
            "z * (1 - sigma / 2) - sigma * slope / 2 + np.sqrt(sigma) * omega",
            "z += -0.5 * sigma * (z + slope)\nz += sigma**0.5 * omega\nreturn z",
            "(z - sigma / 2 * (z + slope) + sigma**0.5 * omega).numpy()",
        ],
        "wrong": {
            "no prior": "z - sigma / 2 * slope + sigma**0.5 * omega",
            "the sign of the slope": "z - sigma / 2 * (z - slope) + sigma**0.5 * omega",
            "σ for its root": "z - sigma / 2 * (z + slope) + sigma * omega",
            "twice the step": "z - sigma * (z + slope) + sigma**0.5 * omega",
            "as printed": "z - sigma**2 * z - slope + sigma**0.5 * omega",
            "no noise": "z - sigma / 2 * (z + slope)",
        },
    },
    "stationary_variance": {
        "right": [
            "sigma / (1 - (1 - sigma * precision / 2) ** 2)",
            "torch.tensor(4.0) / (precision * (4 - sigma * precision))",
        ],
        "wrong": {
            "the right variance": "1 / precision",
            "no Λ in the step": "1 / (precision * (1 - sigma / 4))",
            "the deviation": "(1 / (precision * (1 - sigma * precision / 4))) ** 0.5",
            "not squared": "sigma / (1 - (1 - sigma * precision / 2))",
            "the sign": "1 / (precision * (1 + sigma * precision / 4))",
        },
    },
    "draws_of": {
        "right": [
            "out = []\nfor new, yes in zip(proposals, accepted):\n    start = new if yes else start\n"
            "    out.append(start)\nreturn torch.tensor(out)",
            "out = [start]\nfor new, yes in zip(proposals, accepted):\n    out.append(new if yes else out[-1])\n"
            "return np.array(out[1:])",
        ],
        "wrong": {
            "rejections left out": "[p for p, yes in zip(proposals, accepted) if yes]",
            "the start too": "out = [start]\nfor new, yes in zip(proposals, accepted):\n"
            "    out.append(new if yes else out[-1])\nreturn out",
            "every proposal": "proposals",
            "rejected ones are the start": "[p if yes else start for p, yes in zip(proposals, accepted)]",
        },
    },
    "factor_of_the_slope": {
        "right": ["-0.5 * sigma * weight", "torch.tensor(-weight * sigma / 2)"],
        "wrong": {
            "no λ": "-sigma / 2",
            "the sign": "sigma / 2 * weight",
            "as printed": "-1.0",
            "σ²": "-(sigma**2) * weight",
            "no half": "-sigma * weight",
        },
    },
    "my_pcn": {
        "right": [
            "draws = []\nfor w, u in zip(noise, log_u):\n    y = rho * z + (1 - rho**2) ** 0.5 * w\n    z = torch.where(u < energy(z) - energy(y), y, z)\n    draws.append(z)\nreturn torch.stack(draws)",
            "draws = []\nfor w, u in zip(noise, log_u):\n    y = rho * z + (1 - rho**2) ** 0.5 * w\n    z = torch.where(u < energy(z) - energy(y), y, z)\n    draws.append(z)\nreturn draws",
            "draws = []\nfor w, u in zip(noise, log_u):\n    y = rho * z + (1 - rho**2) ** 0.5 * w\n    z = torch.where(u.exp() < (energy(z) - energy(y)).exp(), y, z)\n    draws.append(z)\nreturn torch.stack(draws)",
        ],
        "wrong": {
            "the energies exchanged": "draws = []\nfor w, u in zip(noise, log_u):\n    y = rho * z + (1 - rho**2) ** 0.5 * w\n    z = torch.where(u < energy(y) - energy(z), y, z)\n    draws.append(z)\nreturn torch.stack(draws)",
            "all accepted": "draws = []\nfor w, u in zip(noise, log_u):\n    y = rho * z + (1 - rho**2) ** 0.5 * w\n    z = y\n    draws.append(z)\nreturn torch.stack(draws)",
            "1 - ρ": "draws = []\nfor w, u in zip(noise, log_u):\n    y = rho * z + (1 - rho) ** 0.5 * w\n    z = torch.where(u < energy(z) - energy(y), y, z)\n    draws.append(z)\nreturn torch.stack(draws)",
            "no root": "draws = []\nfor w, u in zip(noise, log_u):\n    y = rho * z + (1 - rho**2) * w\n    z = torch.where(u < energy(z) - energy(y), y, z)\n    draws.append(z)\nreturn torch.stack(draws)",
            "downhill only": "draws = []\nfor w, u in zip(noise, log_u):\n    y = rho * z + (1 - rho**2) ** 0.5 * w\n    z = torch.where(energy(y) < energy(z), y, z)\n    draws.append(z)\nreturn torch.stack(draws)",
            "the proposals kept": "draws = []\nfor w, u in zip(noise, log_u):\n    y = rho * z + (1 - rho**2) ** 0.5 * w\n    z = torch.where(u < energy(z) - energy(y), y, z)\n    draws.append(y)\nreturn torch.stack(draws)",
            "the last draw only": "draws = []\nfor w, u in zip(noise, log_u):\n    y = rho * z + (1 - rho**2) ** 0.5 * w\n    z = torch.where(u < energy(z) - energy(y), y, z)\n    draws.append(z)\nreturn z",
        },
    },
}
