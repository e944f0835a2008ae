ANSWERS = {
    "my_r2": {
        "right": [
            "np.corrcoef(x, y)[0, 1] ** 2",
            "torch.corrcoef(torch.stack([x, y]))[0, 1].square()",
            "slope, start = np.polyfit(x.numpy(), y.numpy(), 1)\nleft = y - slope * x - start\n"
            "return 1 - left.var() / y.var()",
        ],
        "wrong": {
            "the correlation": "np.corrcoef(x, y)[0, 1]",
            "means left in": "(x * y).sum() ** 2 / ((x * x).sum() * (y * y).sum())",
            "the mean of y left in": "x = x - x.mean()\nreturn (x * y).sum() ** 2 / ((x * x).sum() * (y * y).sum())",
            "the slope": "x, y = x - x.mean(), y - y.mean()\nreturn (x * y).sum() / (x * x).sum()",
            "what is left over": "1 - np.corrcoef(x, y)[0, 1] ** 2",
        },
    },
    "one_delta_h": {
        "right": [
            "torch.einsum('snchw->chw', deltas) / deltas.shape[1] / visits",
            "deltas.numpy().mean(axis=1).sum(axis=0) / visits",
            "sum(d.mean(0) for d in deltas) / visits",
        ],
        "wrong": {
            "the mean over times": "deltas.mean((0, 1))",
            "not shared among the visits": "deltas.mean(1).sum(0)",
            "the sum over images": "deltas.sum((0, 1)) / visits",
            "times and images confused": "deltas.mean(0).sum(0) / visits",
            "one for each time": "deltas.mean(1) / visits",
            "one number": "deltas.mean(1).sum(0).mean() / visits",
        },
    },
    "share_within": {
        "right": [
            "(axes.T @ (axes @ v)).norm() ** 2 / v.norm() ** 2",
            "sum(float(axis @ v) ** 2 for axis in axes) / float(v @ v)",
            "1 - (v - v @ axes.T @ axes).square().sum() / v.square().sum()",
        ],
        "wrong": {
            "of lengths": "(axes @ v).norm() / v.norm()",
            "not divided": "(axes @ v).square().sum()",
            "the mean over axes": "(axes @ v).square().mean() / v.square().sum()",
            "not squared": "(axes @ v).sum() / v.norm()",
            "the largest only": "(axes @ v).square().max() / v.square().sum()",
            "for each axis": "(axes @ v).square() / v.square().sum()",
            "what is outside": "1 - (axes @ v).square().sum() / v.square().sum()",
        },
    },
    "my_name": {
        "right": [
            "mean = changes.mean(0)\nk = mean.abs().argmax()\nreturn [k, (changes[:, k].sign() == mean[k].sign()).double().mean(), mean[k] ** 2 / mean.square().sum(), mean.norm()]",
            "library_name(changes).numpy()",
        ],
        "wrong": {
            "the largest, not in size": "mean = changes.mean(0)\nk = mean.argmax()\nreturn [k, (changes[:, k].sign() == mean[k].sign()).double().mean(), mean[k] ** 2 / mean.square().sum(), mean.norm()]",
            "upwards in place of the same way": "mean = changes.mean(0)\nk = mean.abs().argmax()\nreturn [k, (changes[:, k] > 0).double().mean(), mean[k] ** 2 / mean.square().sum(), mean.norm()]",
            "no squares": "mean = changes.mean(0)\nk = mean.abs().argmax()\nreturn [k, (changes[:, k].sign() == mean[k].sign()).double().mean(), mean[k].abs() / mean.abs().sum(), mean.norm()]",
            "the strongest of any picture": "mean = changes.mean(0)\nk = changes.abs().amax(0).argmax()\nreturn [k, (changes[:, k].sign() == mean[k].sign()).double().mean(), mean[k] ** 2 / mean.square().sum(), mean.norm()]",
            "the mean of sizes": "mean = changes.mean(0)\nk = mean.abs().argmax()\nreturn [k, (changes[:, k].sign() == mean[k].sign()).double().mean(), mean[k] ** 2 / mean.square().sum(), changes.norm(dim=1).mean()]",
            "without the place": "mean = changes.mean(0)\nk = mean.abs().argmax()\nreturn [(changes[:, k].sign() == mean[k].sign()).double().mean(), mean[k] ** 2 / mean.square().sum(), mean.norm()]",
        },
    },
}
