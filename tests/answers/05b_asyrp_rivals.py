ANSWERS = {
    "move_of_P": {
        "right": [
            "scale * (1 - a) * gradient / math.sqrt(a)",
            "after = -((1 - a) ** 0.5) * (-scale * (1 - a) ** 0.5 * gradient)\nreturn after / a**0.5",
            "(scale * (1 - float(a)) / float(a) ** 0.5 * gradient).numpy()",
        ],
        "wrong": {
            "the sign alone": "-scale * (1 - a) / a**0.5 * gradient",
            "of ε": "-scale * (1 - a) ** 0.5 * gradient",
            "one root kept": "scale * (1 - a) ** 0.5 / a**0.5 * gradient",
            "√ᾱ forgotten": "scale * (1 - a) * gradient",
            "ᾱ without its root": "scale * (1 - a) / a * gradient",
            "no scale": "(1 - a) / a**0.5 * gradient",
        },
    },
    "grain": {
        "right": [
            "rms_of_laplacian(corner)",
            "v = corner[:, 1:-1, 1:-1]\nup, down = corner[:, :-2, 1:-1] - v, corner[:, 2:, 1:-1] - v\n"
            "left, right = corner[:, 1:-1, :-2] - v, corner[:, 1:-1, 2:] - v\n"
            "return (up + down + left + right).flatten(1).square().mean(1).sqrt()",
            "k = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]], dtype=corner.dtype)[None, None]\n"
            "return torch.nn.functional.conv2d(corner[:, None], k).square().mean((1, 2, 3)).sqrt()",
        ],
        "wrong": {
            "the batch's mean": "rms_of_laplacian(corner).mean()",
            "no root": "rms_of_laplacian(corner) ** 2",
            "one middle": "v = corner[:, 1:-1, 1:-1]\nh = corner[:, 1:-1, 2:] + corner[:, 1:-1, :-2]\n"
            "u = corner[:, 2:, 1:-1] + corner[:, :-2, 1:-1]\nreturn (h + u - v).square().mean((1, 2)).sqrt()",
            "across alone": "v = corner[:, :, 1:-1]\nh = corner[:, :, 2:] + corner[:, :, :-2] - 2 * v\n"
            "return h.square().mean((1, 2)).sqrt()",
            "first differences": "(corner[:, :, 1:] - corner[:, :, :-1]).square().mean((1, 2)).sqrt()",
            "no squares": "v = corner[:, 1:-1, 1:-1]\nh = corner[:, 1:-1, 2:] + corner[:, 1:-1, :-2]\n"
            "u = corner[:, 2:, 1:-1] + corner[:, :-2, 1:-1]\nreturn (h + u - 4 * v).abs().mean((1, 2))",
        },
    },
    "drift_there": {
        "right": [
            "pairs = zip(zip(reached, drift), zip(reached[1:], drift[1:]))\n"
            "return min(d0 + (achieved - r0) / (r1 - r0) * (d1 - d0) for (r0, d0), (r1, d1) in pairs\n"
            "           if min(r0, r1) <= achieved <= max(r0, r1))",
            "found = []\nfor i in range(len(reached) - 1):\n    ends = sorted(zip(reached[i : i + 2], drift[i : i + 2]))\n"
            "    if ends[0][0] <= achieved <= ends[1][0]:\n        found.append(np.interp(achieved, *zip(*ends)))\n"
            "return torch.tensor(min(found))",
        ],
        "wrong": {
            "the first pair": "for i in range(len(reached) - 1):\n    r0, r1, d0, d1 = *reached[i : i + 2], *drift[i : i + 2]\n"
            "    if min(r0, r1) <= achieved <= max(r0, r1):\n        return d0 + (achieved - r0) / (r1 - r0) * (d1 - d0)",
            "the most drift": "pairs = zip(zip(reached, drift), zip(reached[1:], drift[1:]))\n"
            "return max(d0 + (achieved - r0) / (r1 - r0) * (d1 - d0) for (r0, d0), (r1, d1) in pairs\n"
            "           if min(r0, r1) <= achieved <= max(r0, r1))",
            "the nearest point": "drift[min(range(len(reached)), key=lambda i: abs(reached[i] - achieved))]",
            "by interp as it is": "np.interp(achieved, reached, drift)",
            "rising pairs alone": "pairs = zip(zip(reached, drift), zip(reached[1:], drift[1:]))\n"
            "return max(d0 + (achieved - r0) / (r1 - r0) * (d1 - d0) for (r0, d0), (r1, d1) in pairs if r0 <= achieved <= r1)",
            "over the scale": "drift[0] + achieved * (drift[-1] - drift[0])",
        },
    },
}
