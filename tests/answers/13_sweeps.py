ANSWERS = {
    "inclusive": {
        "right": [
            "np.linspace(first, last, round((last - first) / step) + 1)",
            "torch.arange(first, last + step / 2, step)",
            "found = [first]\nwhile len(found) <= (last - first) / step:\n    found.append(first + len(found) * step)\nreturn found",
        ],
        "wrong": {
            "without the end": "[first + i * step for i in range(round((last - first) / step))]",
            "one too many": "[first + i * step for i in range(round((last - first) / step) + 2)]",
            "without the start": "[first + (i + 1) * step for i in range(round((last - first) / step) + 1)]",
            "from 0": "[i * step for i in range(round((last - first) / step) + 1)]",
        },
    },
    "effect_of_columns": {
        "right": [
            "torch.mean(values[:, -1]) - torch.mean(values[:, 0])",
            "values.mean(0)[-1] - values.mean(0)[0]",
            "sum(float(row[-1] - row[0]) for row in values) / len(values)",
        ],
        "wrong": {
            "rows for columns": "(values[-1] - values[0]).mean()",
            "the sign": "(values[:, 0] - values[:, -1]).mean()",
            "the sum": "(values[:, -1] - values[:, 0]).sum()",
            "one row": "values[0, -1] - values[0, 0]",
            "no mean": "values[:, -1] - values[:, 0]",
        },
    },
}
