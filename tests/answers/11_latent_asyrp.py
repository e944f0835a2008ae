ANSWERS = {
    "h_over_z": {
        "right": [
            "for _ in channels[1:]:\n    latent_channels *= 4\nreturn channels[-1] / latent_channels",
            "channels[-1] / latent_channels / 4 ** (len(channels) - 1)",
            "small = side // 2 ** (len(channels) - 1)\n"
            "return torch.zeros(channels[-1], small, small).numel() / torch.zeros(latent_channels, side, side).numel()",
        ],
        "wrong": {
            "one halving too many": "channels[-1] / latent_channels / 4 ** len(channels)",
            "one side": "channels[-1] / latent_channels / 2 ** (len(channels) - 1)",
            "the first level's channels": "channels[0] / latent_channels / 4 ** (len(channels) - 1)",
            "z over h": "latent_channels / channels[-1] * 4 ** (len(channels) - 1)",
            "no halving": "channels[-1] / latent_channels",
            "whole numbers": "channels[-1] // (latent_channels * 4 ** (len(channels) - 1))",
        },
    },
    "latent_loss": {
        "right": [
            "def vector(e):\n    return embed(decode((z_t - torch.sqrt(1 - a) * e) / torch.sqrt(a)))\n"
            "return 1 - torch.cosine_similarity(vector(eps_edit) - vector(eps), towards, dim=1)",
            "P = [(z_t - math.sqrt(1 - a) * e) / math.sqrt(a) for e in (eps_edit, eps)]\n"
            "u, v = (embed(decode(p)).numpy() for p in P)\nt = towards.numpy()\n"
            "return 1 - (u - v) @ t / np.linalg.norm(u - v, axis=1) / np.linalg.norm(t)",
        ],
        "wrong": {
            "the cosine": "P = [(z_t - (1 - a) ** 0.5 * e) / a**0.5 for e in (eps_edit, eps)]\n"
            "return torch.cosine_similarity(embed(decode(P[0])) - embed(decode(P[1])), towards, dim=1)",
            "not embedded": "P = [(z_t - (1 - a) ** 0.5 * e) / a**0.5 for e in (eps_edit, eps)]\n"
            "return 1 - torch.cosine_similarity(decode(P[0]) - decode(P[1]), towards, dim=1)",
            "ε decoded": "1 - torch.cosine_similarity(embed(decode(eps_edit)) - embed(decode(eps)), towards, dim=1)",
            "P and z_t": "P = (z_t - (1 - a) ** 0.5 * eps_edit) / a**0.5\n"
            "return 1 - torch.cosine_similarity(embed(decode(P)) - embed(decode(z_t)), towards, dim=1)",
            "P not divided": "P = [z_t - (1 - a) ** 0.5 * e for e in (eps_edit, eps)]\n"
            "return 1 - torch.cosine_similarity(embed(decode(P[0])) - embed(decode(P[1])), towards, dim=1)",
            "the sign": "P = [(z_t - (1 - a) ** 0.5 * e) / a**0.5 for e in (eps, eps_edit)]\n"
            "return 1 - torch.cosine_similarity(embed(decode(P[0])) - embed(decode(P[1])), towards, dim=1)",
            "the batch's mean": "P = [(z_t - (1 - a) ** 0.5 * e) / a**0.5 for e in (eps_edit, eps)]\n"
            "return 1 - torch.cosine_similarity(embed(decode(P[0])) - embed(decode(P[1])), towards, dim=1).mean()",
        },
    },
    "guided_step": {
        "right": [
            "e = [(1 - scale) * u + scale * c for u, c in zip(unconditioned, conditioned)]\n"
            "return math.sqrt(a_to / a) * (z - math.sqrt(1 - a) * e[0]) + math.sqrt(1 - a_to) * e[1]",
            "u, c = torch.stack(unconditioned), torch.stack(conditioned)\nedited, plain = u.lerp(c, scale)\n"
            "return a_to.sqrt() * (z - (1 - a).sqrt() * edited) / a.sqrt() + (1 - a_to).sqrt() * plain",
        ],
        "wrong": {
            "w in place of s": "e = [u + (1 + scale) * (c - u) for u, c in zip(unconditioned, conditioned)]\n"
            "return (a_to / a) ** 0.5 * (z - (1 - a) ** 0.5 * e[0]) + (1 - a_to) ** 0.5 * e[1]",
            "both terms edited": "e = [u + scale * (c - u) for u, c in zip(unconditioned, conditioned)]\n"
            "return (a_to / a) ** 0.5 * (z - (1 - a) ** 0.5 * e[0]) + (1 - a_to) ** 0.5 * e[0]",
            "D edited": "e = [u + scale * (c - u) for u, c in zip(unconditioned, conditioned)]\n"
            "return (a_to / a) ** 0.5 * (z - (1 - a) ** 0.5 * e[1]) + (1 - a_to) ** 0.5 * e[0]",
            "D not guided": "e = [u + scale * (c - u) for u, c in zip(unconditioned, conditioned)]\n"
            "return (a_to / a) ** 0.5 * (z - (1 - a) ** 0.5 * e[0]) + (1 - a_to) ** 0.5 * conditioned[1]",
            "no guidance": "e = conditioned\n"
            "return (a_to / a) ** 0.5 * (z - (1 - a) ** 0.5 * e[0]) + (1 - a_to) ** 0.5 * e[1]",
            "√ᾱ' forgotten": "e = [u + scale * (c - u) for u, c in zip(unconditioned, conditioned)]\n"
            "return (z - (1 - a) ** 0.5 * e[0]) / a**0.5 + (1 - a_to) ** 0.5 * e[1]",
        },
    },
    "share_of_h": {
        "right": [
            "alone = b._replace(h=b.h.roll(1, 0))\nboth = alone._replace(skips=tuple(s.roll(1, 0) for s in b.skips))\n"
            "far = [(decode(v) - decode(b)).square().mean((1, 2, 3)).sqrt().mean() for v in (alone, both)]\nreturn far[0] / far[1]",
            "alone = b._replace(h=b.h.roll(1, 0))\nboth = alone._replace(skips=tuple(s.roll(1, 0) for s in b.skips))\n"
            "far = [(decode(v) - decode(b)).square().mean((1, 2, 3)).sqrt().mean() for v in (alone, both)]\nreturn (far[0] / far[1]).item()",
        ],
        "wrong": {
            "upside down": "alone = b._replace(h=b.h.roll(1, 0))\nboth = alone._replace(skips=tuple(s.roll(1, 0) for s in b.skips))\n"
            "far = [(decode(v) - decode(b)).square().mean((1, 2, 3)).sqrt().mean() for v in (alone, both)]\nreturn far[1] / far[0]",
            "the skips alone": "alone = b._replace(h=b.h.roll(1, 0))\nboth = b._replace(skips=tuple(s.roll(1, 0) for s in b.skips))\n"
            "far = [(decode(v) - decode(b)).square().mean((1, 2, 3)).sqrt().mean() for v in (alone, both)]\nreturn far[0] / far[1]",
            "no root": "alone = b._replace(h=b.h.roll(1, 0))\nboth = alone._replace(skips=tuple(s.roll(1, 0) for s in b.skips))\n"
            "far = [(decode(v) - decode(b)).square().mean((1, 2, 3)).mean() for v in (alone, both)]\nreturn far[0] / far[1]",
            "one root for the batch": "alone = b._replace(h=b.h.roll(1, 0))\nboth = alone._replace(skips=tuple(s.roll(1, 0) for s in b.skips))\n"
            "far = [(decode(v) - decode(b)).square().mean().sqrt() for v in (alone, both)]\nreturn far[0] / far[1]",
            "a number for each picture": "alone = b._replace(h=b.h.roll(1, 0))\nboth = alone._replace(skips=tuple(s.roll(1, 0) for s in b.skips))\n"
            "far = [(decode(v) - decode(b)).square().mean((1, 2, 3)).sqrt() for v in (alone, both)]\nreturn far[0] / far[1]",
            "no difference": "decode(b._replace(h=b.h.roll(1, 0))).square().mean() / decode(b).square().mean()",
        },
    },
}
