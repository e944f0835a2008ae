ANSWERS = {
    "paired_interval": {
        "right": [
            "np.percentile((a - b)[draws].mean(1), [2.5, 97.5])",
            "np.quantile((a - b).numpy()[draws.numpy()].mean(1), [0.025, 0.975], method='hazen')",
            "means = sorted((a[draws] - b[draws]).mean(1).tolist())\n"
            "return means[int(0.025 * len(means))], means[int(0.975 * len(means))]",
            "d = (a - b)[draws].mean(1)\nreturn [d.quantile(q, interpolation='lower') for q in (0.025, 0.975)]",
        ],
        "wrong": {
            "an interval of 90 %": "(a - b)[draws].mean(1).quantile(torch.tensor([0.05, 0.95], dtype=torch.float64))",
            "the ends exchanged": "(a - b)[draws].mean(1).quantile(torch.tensor([0.975, 0.025], dtype=torch.float64))",
            "not paired": "(a[draws] - b[draws.flip(0)]).mean(1).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))",
            "of images, not of means": "(a - b).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))",
            "all that was drawn": "means = (a - b)[draws].mean(1)\nreturn means.min(), means.max()",
            "b - a": "(b - a)[draws].mean(1).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))",
            "the mean over rows": "(a - b)[draws].mean(0).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))",
            "only the low end": "(a - b)[draws].mean(1).quantile(0.025)",
        },
    },
    "floor": {
        "right": [
            "pairs = features.reshape(-1, 2, features.shape[1])\nreturn distance(pairs[:, 0], pairs[:, 1])",
            "even = torch.arange(len(features)) % 2 == 0\nreturn float(distance(features[even], features[~even]))",
        ],
        "wrong": {
            "first and second half": "n = len(features) // 2\nreturn distance(features[:n], features[n:])",
            "the even ones and all": "distance(features[::2], features)",
            "a half with itself": "distance(features[::2], features[::2])",
            "columns": "distance(features[:, ::2], features[:, 1::2])",
            "halved": "distance(features[::2], features[1::2]) / 2",
        },
    },
    "honest": {
        "right": [
            "np.take_along_axis(reported.numpy(), selection.numpy().argmax(0)[None], 0).mean()",
            "picked = [reported[s, i] for i, s in enumerate(selection.argmax(0))]\nreturn sum(picked) / len(picked)",
            "reported.T[selection.T == selection.T.amax(1, keepdim=True)].mean()",
        ],
        "wrong": {
            "the selection's own score": "selection.max(0).values.mean()",
            "the best reported": "reported.max(0).values.mean()",
            "one setting for all": "reported[selection.mean(1).argmax()].mean()",
            "the worst": "reported[selection.argmin(0), torch.arange(reported.shape[1])].mean()",
            "the mean of all settings": "reported.mean()",
            "not averaged": "reported[selection.argmax(0), torch.arange(reported.shape[1])]",
            "images and settings confused": "reported[torch.arange(len(reported)), selection.argmax(1)].mean()",
        },
    },
    "my_verdicts": {
        "right": [
            "m = (sign[:, None] * (ours - theirs))[:, draws].mean(2)\nlow, high = m.quantile(torch.tensor([0.025, 0.975], dtype=m.dtype), dim=1)\nreturn (low > 0).double() - (high < 0).double()",
            "m = (sign[:, None] * (ours - theirs))[:, draws].mean(2)\nlow, high = m.quantile(torch.tensor([0.025, 0.975], dtype=m.dtype), dim=1)\nreturn [1 if a > 0 else -1 if b < 0 else 0 for a, b in zip(low, high)]",
        ],
        "wrong": {
            "the sign alone": "m = (sign[:, None] * (theirs - ours))[:, draws].mean(2)\nlow, high = m.quantile(torch.tensor([0.025, 0.975], dtype=m.dtype), dim=1)\nreturn (low > 0).double() - (high < 0).double()",
            "less is never better": "m = (ours - theirs)[:, draws].mean(2)\nlow, high = m.quantile(torch.tensor([0.025, 0.975], dtype=m.dtype), dim=1)\nreturn (low > 0).double() - (high < 0).double()",
            "no interval": "(sign[:, None] * (ours - theirs)).mean(1).sign()",
            "no doubt": "m = (sign[:, None] * (ours - theirs))[:, draws].mean(2)\nlow, high = m.quantile(torch.tensor([0.49999, 0.50001], dtype=m.dtype), dim=1)\nreturn (low > 0).double() - (high < 0).double()",
            "better only": "m = (sign[:, None] * (ours - theirs))[:, draws].mean(2)\nlow, high = m.quantile(torch.tensor([0.025, 0.975], dtype=m.dtype), dim=1)\nreturn (low > 0).double()",
            "one for all": "m = (sign[:, None] * (ours - theirs))[:, draws].mean(2)\nlow, high = m.quantile(torch.tensor([0.025, 0.975], dtype=m.dtype), dim=1)\nreturn ((low > 0).double() - (high < 0).double()).mean()",
        },
    },
}
