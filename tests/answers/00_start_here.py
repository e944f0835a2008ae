ANSWERS = {
    "old_with_glasses": {
        "right": [
            "factors = dict(worlds.faces.sample_factors(1, seed))\n"
            "factors['glasses'] = factors['age'] = torch.ones(1)\n"
            "return worlds.faces.render(factors)",
            "worlds.faces.render(worlds.faces.sample_factors(1, seed) | dict(age=1, glasses=1))[0]",
            "worlds.faces.render({**worlds.faces.sample_factors(1, seed), 'glasses': 1, 'age': 1.0}).numpy()",
        ],
        "wrong": {
            "age forgotten": "worlds.faces.render(worlds.faces.sample_factors(1, seed) | {'glasses': 1})",
            "glasses forgotten": "worlds.faces.render(worlds.faces.sample_factors(1, seed) | {'age': 1})",
            "half of the age": "worlds.faces.render(worlds.faces.sample_factors(1, seed) | {'glasses': 1, 'age': 0.5})",
            "levels 0 to 1": "worlds.faces.render(worlds.faces.sample_factors(1, seed) | {'glasses': 1, 'age': 1}) / 2 + 0.5",
            "channels last": "worlds.faces.render(worlds.faces.sample_factors(1, seed) | {'glasses': 1, 'age': 1}).permute(0, 2, 3, 1)",
            "the factors, not a picture": "worlds.faces.sample_factors(1, seed) | {'glasses': 1, 'age': 1}",
        },
    },
    "repainted": {
        "right": [
            "number = {word: i for i, word in enumerate(COLORS)}[color]\n"
            "return worlds.scenes.render({**worlds.scenes.sample_factors(1, seed), 'left_color': number})",
            "worlds.scenes.render(worlds.scenes.sample_factors(1, seed) | {'left_color': torch.tensor([COLORS.index(color)])})",
        ],
        "wrong": {
            "nothing painted": "worlds.scenes.render(worlds.scenes.sample_factors(1, seed))",
            "counted from 1": "worlds.scenes.render(worlds.scenes.sample_factors(1, seed) | {'left_color': 1 + COLORS.index(color)})",
            "always red": "worlds.scenes.render(worlds.scenes.sample_factors(1, seed) | {'left_color': 0})",
            "another scene": "worlds.scenes.render(worlds.scenes.sample_factors(1, 49) | {'left_color': COLORS.index(color)})",
        },
    },
    "accuracy": {
        "right": [
            "np.mean((read.numpy() > 0.5) == (true.numpy() > 0.5))",
            "sum(bool(r > 0.5) == bool(t > 0.5) for r, t in zip(read, true)) / len(read)",
            "(read.round() == true.round()).float().mean()",
        ],
        "wrong": {
            "a count": "((read > 0.5) == (true > 0.5)).sum()",
            "the error's share": "((read > 0.5) != (true > 0.5)).double().mean()",
            "equal to the last digit": "(read == true).double().mean()",
            "only the yes": "((read > 0.5) & (true > 0.5)).double().mean()",
            "not averaged": "((read > 0.5) == (true > 0.5)).double()",
        },
    },
    "way_gone": {
        "right": [
            "def far(x):\n    return (x - truth).flatten(1).norm(dim=1)\nreturn (far(source) - far(edited)) / far(source)",
            "1 - metrics.rms(edited, truth) / metrics.rms(source, truth)",
            "[1 - ((e - t) ** 2).mean().item() ** 0.5 / ((s - t) ** 2).mean().item() ** 0.5"
            " for e, s, t in zip(edited, source, truth)]",
        ],
        "wrong": {
            "the way that is left": "metrics.rms(edited, truth) / metrics.rms(source, truth)",
            "no root": "1 - (edited - truth).square().mean((1, 2, 3)) / (source - truth).square().mean((1, 2, 3))",
            "the batch axis lost": "(1 - metrics.rms(edited, truth) / metrics.rms(source, truth)).mean()",
            "the sign alone": "metrics.rms(edited, truth) / metrics.rms(source, truth) - 1",
            "from the source": "metrics.rms(edited, source) / metrics.rms(source, truth)",
        },
    },
}
