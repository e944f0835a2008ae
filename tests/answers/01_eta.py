ANSWERS = {
    "my_sigma": {
        "right": [
            "eta * torch.sqrt((1 - a_to) / (1 - a) * (1 - a / a_to))",
            "eta * math.sqrt((1 - a_to) / (1 - a)) * math.sqrt(1 - a / a_to)",
            "(eta**2 * np.float64(1 - a_to) / np.float64(1 - a) * (1 - float(a) / float(a_to))) ** 0.5",
        ],
        "wrong": {
            "the variance": "eta**2 * (1 - a_to) / (1 - a) * (1 - a / a_to)",
            "no η": "((1 - a_to) / (1 - a) * (1 - a / a_to)) ** 0.5",
            "η under the root": "(eta * (1 - a_to) / (1 - a) * (1 - a / a_to)) ** 0.5",
            "one factor": "eta * ((1 - a_to) / (1 - a)) ** 0.5",
            "ᾱ and ᾱ' confused": "eta * ((1 - a) / (1 - a_to)) ** 0.5 * (1 - a / a_to) ** 0.5",
            "the sign": "-eta * ((1 - a_to) / (1 - a)) ** 0.5 * (1 - a / a_to) ** 0.5",
        },
    },
    "factor_of_eps": {
        "right": [
            "math.sqrt(1 - a_to - sigma**2)",
            "torch.sqrt(1 - a_to - sigma * sigma).reshape(1)",
            "[np.sqrt(float(1 - a_to - sigma**2))]",
        ],
        "wrong": {
            "the variance": "1 - a_to - sigma**2",
            "σ not squared": "(1 - a_to - sigma) ** 0.5",
            "deviations subtracted": "(1 - a_to) ** 0.5 - sigma",
            "no σ": "(1 - a_to) ** 0.5",
            "the sign of σ²": "(1 - a_to + sigma**2) ** 0.5",
        },
    },
    "my_step": {
        "right": [
            "P = (x - torch.sqrt(1 - a) * eps) / torch.sqrt(a)\n"
            "return a_to.sqrt() * P + torch.sqrt(1 - a_to - sigma**2) * eps + sigma * noise",
            "x -= math.sqrt(1 - a) * eps\nx *= math.sqrt(a_to / a)\n"
            "x += math.sqrt(1 - a_to - sigma**2) * eps\nreturn x + sigma * noise",
            "c = ((1 - a_to - sigma**2) / (1 - a)) ** 0.5\nP = (x - (1 - a) ** 0.5 * eps) / a**0.5\n"
            "return (c * x + (a_to**0.5 - c * a**0.5) * P + sigma * noise).tolist()",
        ],
        "wrong": {
            "no noise": "(a_to / a) ** 0.5 * (x - (1 - a) ** 0.5 * eps) + (1 - a_to - sigma**2) ** 0.5 * eps",
            "noise of variance σ": "(a_to / a) ** 0.5 * (x - (1 - a) ** 0.5 * eps) + (1 - a_to - sigma**2) ** 0.5 * eps + sigma**0.5 * noise",
            "D without σ²": "(a_to / a) ** 0.5 * (x - (1 - a) ** 0.5 * eps) + (1 - a_to) ** 0.5 * eps + sigma * noise",
            "ε's sign in P": "(a_to / a) ** 0.5 * (x + (1 - a) ** 0.5 * eps) + (1 - a_to - sigma**2) ** 0.5 * eps + sigma * noise",
            "P not divided": "a_to**0.5 * (x - (1 - a) ** 0.5 * eps) + (1 - a_to - sigma**2) ** 0.5 * eps + sigma * noise",
            "√ᾱ' forgotten": "(x - (1 - a) ** 0.5 * eps) / a**0.5 + (1 - a_to - sigma**2) ** 0.5 * eps + sigma * noise",
            "one number": "((a_to / a) ** 0.5 * (x - (1 - a) ** 0.5 * eps) + (1 - a_to - sigma**2) ** 0.5 * eps + sigma * noise).mean()",
        },
    },
    "my_sampler": {
        "right": [
            "for i in range(len(t)):\n    x_T = library_step(x_T, eps_of(x_T, int(t[i])), noise[i], a[i], a_to[i], sigma[i])\n"
            "return x_T",
            "x = x_T\nfor time, n, *levels in zip(t.tolist(), noise, a, a_to, sigma):\n"
            "    x = library_step(x, eps_of(x, time), n, *levels)\nreturn x.numpy()",
        ],
        "wrong": {
            "always asked at x_T": "x = x_T\nfor i in range(len(t)):\n"
            "    x = library_step(x, eps_of(x_T, int(t[i])), noise[i], a[i], a_to[i], sigma[i])\nreturn x",
            "one step": "library_step(x_T, eps_of(x_T, int(t[0])), noise[0], a[0], a_to[0], sigma[0])",
            "no noise": "x = x_T\nfor i in range(len(t)):\n"
            "    x = library_step(x, eps_of(x, int(t[i])), noise[i], a[i], a_to[i], 0 * sigma[i])\nreturn x",
            "all states": "x = [x_T]\nfor i in range(len(t)):\n"
            "    x.append(library_step(x[-1], eps_of(x[-1], int(t[i])), noise[i], a[i], a_to[i], sigma[i]))\nreturn x",
            "the batch axis lost": "x = x_T\nfor i in range(len(t)):\n"
            "    x = library_step(x, eps_of(x, int(t[i])), noise[i], a[i], a_to[i], sigma[i])\nreturn x.mean(0)",
        },
    },
    "true_eta": {
        "right": ["torch.sqrt(eta)", "float(eta) ** 0.5"],
        "wrong": {
            "a root missing": "eta",
            "the square": "eta**2",
            "the sign alone": "-(eta**0.5)",
            "upside down": "eta ** -0.5",
        },
    },
}
