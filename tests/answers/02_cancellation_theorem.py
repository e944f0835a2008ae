ANSWERS = {
    "my_kappa": {
        "right": [
            "s2 = float(eta) ** 2 * (1 - a_to) / (1 - a) * (1 - a / a_to)\n"
            "return math.sqrt(1 - a_to - s2) - math.sqrt(a_to * (1 - a) / a)",
            "torch.sqrt(1 - a_to - sigma(a, a_to, eta) ** 2) - a_to.sqrt() * torch.sqrt(1 - a) / a.sqrt()",
            "D = (1 - a_to - sigma(a, a_to, eta) ** 2) ** 0.5\nreturn (D - (a_to / a - a_to) ** 0.5).float()",
        ],
        "wrong": {
            "the sign alone": "(a_to * (1 - a) / a) ** 0.5 - (1 - a_to - sigma(a, a_to, eta) ** 2) ** 0.5",
            "no σ": "(1 - a_to) ** 0.5 - (a_to * (1 - a) / a) ** 0.5",
            "σ not squared": "(1 - a_to - sigma(a, a_to, eta)).abs() ** 0.5 - (a_to * (1 - a) / a) ** 0.5",
            "added": "(1 - a_to - sigma(a, a_to, eta) ** 2) ** 0.5 + (a_to * (1 - a) / a) ** 0.5",
            "√ᾱ' forgotten": "(1 - a_to - sigma(a, a_to, eta) ** 2) ** 0.5 - ((1 - a) / a) ** 0.5",
            "P only": "-((a_to * (1 - a) / a) ** 0.5)",
        },
    },
    "d_only": {
        "right": [
            "torch.sqrt(1 - a_to - sigma(a, a_to, eta) ** 2)",
            "math.sqrt(1 - a_to - sigma(a, a_to, eta) ** 2)",
            "kappa(a, a_to, eta) + (a_to * (1 - a) / a) ** 0.5",
        ],
        "wrong": {
            "the variance": "1 - a_to - sigma(a, a_to, eta) ** 2",
            "no σ": "(1 - a_to) ** 0.5",
            "κ": "kappa(a, a_to, eta)",
            "the sign alone": "-((1 - a_to - sigma(a, a_to, eta) ** 2) ** 0.5)",
            "ᾱ of t": "(1 - a - sigma(a, a_to, eta) ** 2) ** 0.5",
        },
    },
    "fewest_steps": {
        "right": [
            "for n in range(10, 1001, 10):\n    if surviving(linear(n), eta).median() < limit:\n        return n",
            "n = 10\nwhile surviving(linear(n), eta).median().item() >= limit:\n    n += 10\nreturn torch.tensor([n])",
        ],
        "wrong": {
            "the mean": "next(n for n in range(10, 1001, 10) if surviving(linear(n), eta).mean() < limit)",
            "the first above": "next(n for n in range(10, 1001, 10) if surviving(linear(n), eta).median() > limit)",
            "one too few": "next(n for n in range(10, 1001, 10) if surviving(linear(n), eta).median() < limit) - 10",
            "η ignored": "next(n for n in range(10, 1001, 10) if surviving(linear(n), 0.0).median() < limit)",
            "steps of 100": "next(n for n in range(100, 1001, 100) if surviving(linear(n), eta).median() < limit)",
        },
    },
    "kappa_of_ddpm": {
        "right": [
            "-betas[t] / torch.sqrt((1 - betas[t]) * (1 - torch.prod(1 - betas[: t + 1])))",
            "a = np.cumprod(1 - betas.numpy())\nb = betas[t].item()\nreturn -b / math.sqrt(1 - b) / math.sqrt(1 - a[t])",
            "a = 1.0\nfor b in betas[: t + 1].tolist():\n    a *= 1 - b\nreturn -b / ((1 - b) * (1 - a)) ** 0.5",
        ],
        "wrong": {
            "the sign alone": "betas[t] / ((1 - betas[t]) * (1 - torch.cumprod(1 - betas, 0)[t])) ** 0.5",
            "the product before t": "-betas[t] / ((1 - betas[t]) * (1 - torch.cumprod(1 - betas, 0)[t - 1])) ** 0.5",
            "the product in front": "a = torch.cumprod(1 - betas, 0)[t]\nreturn -betas[t] / (a * (1 - a)) ** 0.5",
            "no root": "-betas[t] / ((1 - betas[t]) * (1 - torch.cumprod(1 - betas, 0)[t]))",
            "no product": "-betas[t] / ((1 - betas[t]) * betas[t]) ** 0.5",
            "all times": "-betas / ((1 - betas) * (1 - torch.cumprod(1 - betas, 0))) ** 0.5",
        },
    },
    "total_move": {
        "right": [
            "sum(kappa(b, c, eta) / c**0.5 for b, c in zip(a, a_to))",
            "x = 0.0\nfor b, c in zip(a, a_to):\n    x = (c / b) ** 0.5 * x + kappa(b, c, eta)\nreturn x",
        ],
        "wrong": {
            "√ᾱ' forgotten": "kappa(a, a_to, eta).sum()",
            "√ᾱ of t": "(kappa(a, a_to, eta) / a**0.5).sum()",
            "no root": "(kappa(a, a_to, eta) / a_to).sum()",
            "the sign alone": "-(kappa(a, a_to, eta) / a_to**0.5).sum()",
            "not added up": "kappa(a, a_to, eta) / a_to**0.5",
            "a random walk": "-(kappa(a, a_to, eta) ** 2 / a_to).sum() ** 0.5",
        },
    },
}
