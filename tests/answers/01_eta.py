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
}
