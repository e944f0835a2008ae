ANSWERS = {
    "translate": {
        "right": [
            "z = source.encode(x, seed=seed)\nreturn target.decode(z)",
            "cycle_diffusion(x, source, target, seed)",
            "target.decode(source.encode(x, seed)).tolist()",
        ],
        "wrong": {
            "the seed ignored": "target.decode(source.encode(x, 0))",
            "no noise": "target.with_eta(0.0).decode(source.with_eta(0.0).encode(x, seed))",
            "the same model twice": "source.decode(source.encode(x, seed))",
            "the other way": "source.decode(target.encode(x, seed))",
            "moved, by no model": "x + 1.998907 * x.mean().sign()",
            "a code of its own": "target.decode(target.draw(len(x), seed))",
            "one image": "target.decode(source.encode(x, seed))[0]",
        },
    },
    "share_moved": {
        "right": [
            "1 - math.sqrt(alpha_bar * v / (alpha_bar * v + 1 - alpha_bar))",
            "s = torch.sqrt(alpha_bar * v + 1 - alpha_bar)\nreturn 1 - alpha_bar.sqrt() * v**0.5 / s",
            "a = alpha_bar.numpy()\nreturn 1 - np.sqrt(v) / np.sqrt(v + (1 - a) / a)",
        ],
        "wrong": {
            "no root": "1 - alpha_bar * v / (alpha_bar * v + 1 - alpha_bar)",
            "the share kept": "(alpha_bar * v / (alpha_bar * v + 1 - alpha_bar)) ** 0.5",
            "v forgotten": "1 - alpha_bar**0.5",
            "v as a deviation": "1 - (alpha_bar * v**2 / (alpha_bar * v**2 + 1 - alpha_bar)) ** 0.5",
            "ᾱ forgotten above": "1 - (v / (alpha_bar * v + 1 - alpha_bar)) ** 0.5",
            "the sign": "(alpha_bar * v / (alpha_bar * v + 1 - alpha_bar)) ** 0.5 - 1",
        },
    },
    "latest_stop": {
        "right": [
            "sum((1 - (alpha_bar * v / (alpha_bar * v + 1 - alpha_bar)) ** 0.5) <= most) - 1",
            "int(torch.searchsorted(1 - (alpha_bar * v / (alpha_bar * v + 1 - alpha_bar)) ** 0.5, torch.tensor(most, dtype=torch.float64))) - 1",
        ],
        "wrong": {
            "the first above": "((1 - (alpha_bar * v / (alpha_bar * v + 1 - alpha_bar)) ** 0.5) > most).nonzero().min()",
            "the first": "((1 - (alpha_bar * v / (alpha_bar * v + 1 - alpha_bar)) ** 0.5) <= most).nonzero().min()",
            "the share itself": "most",
            "ᾱ there": "alpha_bar[((1 - (alpha_bar * v / (alpha_bar * v + 1 - alpha_bar)) ** 0.5) <= most).nonzero().max()]",
            "what is kept": "(1 - (1 - (alpha_bar * v / (alpha_bar * v + 1 - alpha_bar)) ** 0.5) <= most).nonzero().min()",
            "no root": "((1 - (alpha_bar * v / (alpha_bar * v + 1 - alpha_bar))) <= most).nonzero().max()",
        },
    },
}
