ANSWERS = {
    "read_code": {
        "right": [
            "x_to -= mu\nx_to /= sigma\nreturn x_to",
            "((x_to - mu) / sigma).numpy()",
            "[(a - b) / sigma for a, b in zip(x_to, mu)]",
        ],
        "wrong": {
            "not divided": "x_to - mu",
            "multiplied": "(x_to - mu) * sigma",
            "by the variance": "(x_to - mu) / sigma**2",
            "the sign": "(mu - x_to) / sigma",
            "only x divided": "x_to / sigma - mu",
            "one number": "((x_to - mu) / sigma).mean()",
        },
    },
    "noised_start": {
        "right": [
            "torch.sqrt(alpha_bar[times[0]]) * x + torch.sqrt(1 - alpha_bar[times[0]]) * noise",
            "a = float(alpha_bar[max(times)])\nreturn math.sqrt(a) * x + math.sqrt(1 - a) * noise",
            "x *= alpha_bar[times[0]] ** 0.5\nx += (1 - alpha_bar[times[0]]) ** 0.5 * noise\nreturn x",
        ],
        "wrong": {
            "the training schedule's end": "alpha_bar[-1] ** 0.5 * x + (1 - alpha_bar[-1]) ** 0.5 * noise",
            "the sampler's end": "alpha_bar[times[-1]] ** 0.5 * x + (1 - alpha_bar[times[-1]]) ** 0.5 * noise",
            "the variance": "alpha_bar[times[0]] ** 0.5 * x + (1 - alpha_bar[times[0]]) * noise",
            "x not scaled": "x + (1 - alpha_bar[times[0]]) ** 0.5 * noise",
            "the factors confused": "(1 - alpha_bar[times[0]]) ** 0.5 * x + alpha_bar[times[0]] ** 0.5 * noise",
        },
    },
    "chain_coefficients": {
        "right": [
            "c_x = math.sqrt((1 - a_to - sigma**2) / (1 - a))\nreturn c_x, math.sqrt(a_to) - c_x * math.sqrt(a)",
            "c_x = ((1 - a_to - sigma**2) / (1 - a)) ** 0.5\nreturn [c_x, a_to**0.5 - c_x * a**0.5]",
            "c_x = np.sqrt(float((1 - a_to - sigma**2) / (1 - a)))\n"
            "return np.array([[c_x, np.sqrt(float(a_to)) - c_x * np.sqrt(float(a))]])",
        ],
        "wrong": {
            "variances": "c_x = (1 - a_to - sigma**2) / (1 - a)\nreturn c_x, a_to**0.5 - c_x * a**0.5",
            "no σ": "c_x = ((1 - a_to) / (1 - a)) ** 0.5\nreturn c_x, a_to**0.5 - c_x * a**0.5",
            "√ᾱ forgotten": "c_x = ((1 - a_to - sigma**2) / (1 - a)) ** 0.5\nreturn c_x, a_to**0.5 - c_x",
            "the order": "c_x = ((1 - a_to - sigma**2) / (1 - a)) ** 0.5\nreturn a_to**0.5 - c_x * a**0.5, c_x",
            "c_x alone": "((1 - a_to - sigma**2) / (1 - a)) ** 0.5",
        },
    },
    "my_encoder": {
        "right": [
            "library_encoder(mean, x, noise, a, a_to, sigma).numpy()",
            "x_t = a[0] ** 0.5 * x + (1 - a[0]) ** 0.5 * noise[0]\ncodes, last = [x_t], len(a) - 1\n"
            "for i in range(len(a)):\n    x_to = x if i == last else a_to[i] ** 0.5 * x + (1 - a_to[i]) ** 0.5 * noise[i + 1]\n"
            "    left = x_to - mean(x_t, i)\n    codes.append(left if i == last else left / sigma[i])\n    x_t = x_to\nreturn codes",
        ],
        "wrong": {
            "x_T at the next level": "x_t = a_to[0] ** 0.5 * x + (1 - a_to[0]) ** 0.5 * noise[0]\ncodes, last = [x_t], len(a) - 1\n"
            "for i in range(len(a)):\n    x_to = x if i == last else a_to[i] ** 0.5 * x + (1 - a_to[i]) ** 0.5 * noise[i + 1]\n"
            "    left = x_to - mean(x_t, i)\n    codes.append(left if i == last else left / sigma[i])\n    x_t = x_to\nreturn torch.stack(codes)",
            "the first noise twice": "x_t = a[0] ** 0.5 * x + (1 - a[0]) ** 0.5 * noise[0]\ncodes, last = [x_t], len(a) - 1\n"
            "for i in range(len(a)):\n    x_to = x if i == last else a_to[i] ** 0.5 * x + (1 - a_to[i]) ** 0.5 * noise[i]\n"
            "    left = x_to - mean(x_t, i)\n    codes.append(left if i == last else left / sigma[i])\n    x_t = x_to\nreturn torch.stack(codes)",
            "σ forgotten": "x_t = a[0] ** 0.5 * x + (1 - a[0]) ** 0.5 * noise[0]\ncodes, last = [x_t], len(a) - 1\n"
            "for i in range(len(a)):\n    x_to = x if i == last else a_to[i] ** 0.5 * x + (1 - a_to[i]) ** 0.5 * noise[i + 1]\n"
            "    left = x_to - mean(x_t, i)\n    codes.append(left)\n    x_t = x_to\nreturn torch.stack(codes)",
            "not on from x_t'": "x_t = a[0] ** 0.5 * x + (1 - a[0]) ** 0.5 * noise[0]\ncodes, last = [x_t], len(a) - 1\n"
            "for i in range(len(a)):\n    x_to = x if i == last else a_to[i] ** 0.5 * x + (1 - a_to[i]) ** 0.5 * noise[i + 1]\n"
            "    left = x_to - mean(x_t, i)\n    codes.append(left if i == last else left / sigma[i])\n    x_t = x_t\nreturn torch.stack(codes)",
            "the last code left out": "x_t = a[0] ** 0.5 * x + (1 - a[0]) ** 0.5 * noise[0]\ncodes, last = [x_t], len(a) - 1\n"
            "for i in range(len(a)):\n    x_to = x if i == last else a_to[i] ** 0.5 * x + (1 - a_to[i]) ** 0.5 * noise[i + 1]\n"
            "    left = x_to - mean(x_t, i)\n    codes.append(left if i == last else left / sigma[i])\n    x_t = x_to\nreturn torch.stack(codes[:-1])",
            "the last code dropped": "x_t = a[0] ** 0.5 * x + (1 - a[0]) ** 0.5 * noise[0]\ncodes, last = [x_t], len(a) - 1\n"
            "for i in range(len(a)):\n    x_to = x if i == last else a_to[i] ** 0.5 * x + (1 - a_to[i]) ** 0.5 * noise[i + 1]\n"
            "    left = x_to - mean(x_t, i)\n    codes.append(0 * left if i == last else left / sigma[i])\n    x_t = x_to\nreturn torch.stack(codes)",
        },
    },
}
