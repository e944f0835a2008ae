ANSWERS = {
    "my_t_edit": {
        "right": [
            "min(s for s, d in zip(t.tolist(), distances.tolist()) if d >= threshold)",
            "np.min(t.numpy()[distances.numpy() >= threshold])",
            "torch.where(distances >= threshold, t, t.max()).min().reshape(1)",
        ],
        "wrong": {
            "the nearest": "t[(distances - threshold).abs().argmin()]",
            "the largest": "t[distances >= threshold].max()",
            "below": "t[distances <= threshold].max()",
            "the distance": "distances[distances >= threshold].min()",
            "its place": "(distances >= threshold).nonzero().max()",
            "all of them": "t[distances >= threshold]",
            "the first that falls": "t[int((distances >= threshold).long().argmin()) - 1]",
        },
    },
    "shortest": {
        "right": [
            "max(e for e, s in zip(ends.tolist(), success.tolist()) if s >= share * max(success.tolist()))",
            "ends.numpy()[success.numpy() >= share * success.numpy().max()].max()",
            "torch.where(success >= share * success.max(), ends, 0).amax()",
        ],
        "wrong": {
            "share itself": "ends[success >= share].max() if (success >= share).any() else ends[-1]",
            "share of the last": "ends[success >= share * success[-1]].max()",
            "the lowest": "ends[success >= share * success.max()].min()",
            "the best": "ends[success.argmax()]",
            "the highest tried": "ends.max()",
        },
    },
    "three_phase_sigma": {
        "right": [
            "torch.where(t <= t_boost, sigma, 0.0)",
            "sigma[t > t_boost] = 0\nreturn sigma",
            "[s if u <= t_boost else 0.0 for u, s in zip(t.tolist(), sigma.tolist())]",
            "np.where(t.numpy() <= t_boost, sigma.numpy(), 0)",
        ],
        "wrong": {
            "the end left out": "sigma * (t < t_boost)",
            "the other phases": "sigma * (t > t_boost)",
            "everywhere": "sigma",
            "yes or no": "t <= t_boost",
            "the variance": "sigma**2 * (t <= t_boost)",
            "only the phase": "sigma[t <= t_boost]",
        },
    },
    "three_phases": {
        "right": [
            "for i, t in enumerate(times):\n    step = edited if t_edit <= t <= first else noisy if t <= t_boost else kept\n    x = step(x, i)\nreturn x",
            "for i, t in enumerate(times):\n    step = edited if t_edit <= t <= first else noisy if t <= t_boost else kept\n    x = step(x, i)\nreturn x.numpy()",
        ],
        "wrong": {
            "an end left out": "for i, t in enumerate(times):\n    step = edited if t_edit < t <= first else noisy if t <= t_boost else kept\n    x = step(x, i)\nreturn x",
            "from T on": "for i, t in enumerate(times):\n    step = edited if t_edit <= t else noisy if t <= t_boost else kept\n    x = step(x, i)\nreturn x",
            "no third phase": "for i, t in enumerate(times):\n    step = edited if t_edit <= t <= first else kept\n    x = step(x, i)\nreturn x",
            "noise first": "for i, t in enumerate(times):\n    step = noisy if t <= t_boost else edited if t_edit <= t <= first else kept\n    x = step(x, i)\nreturn x",
            "noise after t_boost only": "for i, t in enumerate(times):\n    step = edited if t_edit <= t <= first else noisy if t < t_boost else kept\n    x = step(x, i)\nreturn x",
            "always from the start": "for i, t in enumerate(times):\n    step = edited if t_edit <= t <= first else noisy if t <= t_boost else kept\n    y = step(x, i)\nreturn y",
        },
    },
}
