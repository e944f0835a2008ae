ANSWERS = {
    "edited_step": {
        "right": [
            "mean_target + x_to - mean_source",
            "x_to -= mean_source\nx_to /= sigma\nx_to *= sigma\nx_to += mean_target\nreturn x_to",
            "(mean_target + sigma * ((x_to - mean_source) / sigma)).numpy()",
        ],
        "wrong": {
            "ε of deviation 1": "mean_target + (x_to - mean_source) / sigma",
            "ε times σ twice": "mean_target + sigma * (x_to - mean_source)",
            "the source's mean": "mean_source + (x_to - mean_target)",
            "no ε": "mean_target",
            "the sign": "mean_target - (x_to - mean_source)",
            "ε": "(x_to - mean_source) / sigma",
        },
    },
    "directional": {
        "right": [
            "torch.nn.functional.cosine_similarity((image_after - image)[None], (text_after - text)[None])",
            "u, v = (image_after - image).numpy(), (text_after - text).numpy()\n"
            "return np.dot(u, v) / np.linalg.norm(u) / np.linalg.norm(v)",
            "u = torch.nn.functional.normalize(image_after - image, dim=0)\n"
            "return (u * torch.nn.functional.normalize(text_after - text, dim=0)).sum().item()",
        ],
        "wrong": {
            "no lengths": "(image_after - image) @ (text_after - text)",
            "no differences": "torch.cosine_similarity(image_after, text_after, dim=0)",
            "the sign": "torch.cosine_similarity(image - image_after, text_after - text, dim=0)",
            "the loss": "1 - torch.cosine_similarity(image_after - image, text_after - text, dim=0)",
            "arguments confused": "torch.cosine_similarity(text - image, text_after - image_after, dim=0)",
            "not summed": "u, v = image_after - image, text_after - text\nreturn u * v / (u.norm() * v.norm())",
        },
    },
    "mixed_maps": {
        "right": [
            "torch.where(is_new.bool(), maps_target, maps_source)",
            "new = is_new == 1\nmaps_source[:, new] = maps_target[:, new]\nreturn maps_source",
            "maps_source.lerp(maps_target, is_new.double()).numpy()",
        ],
        "wrong": {
            "the wrong way round": "is_new * maps_source + (1 - is_new) * maps_target",
            "new words only": "is_new * maps_target",
            "new words twice": "is_new * maps_target + maps_source",
            "the mean": "(maps_target + maps_source) / 2",
            "transposed": "(is_new * maps_target + (1 - is_new) * maps_source).T",
            "never the source's": "maps_target",
        },
    },
    "my_edit": {
        "right": [
            "y = chain[0]\nfor i in range(len(chain) - 1):\n    y = mean_target(y, i) + chain[i + 1] - mean_source(chain[i], i)\nreturn y",
            "y = chain[0]\nfor i in range(len(chain) - 1):\n    y = mean_target(y, i) + chain[i + 1] - mean_source(chain[i], i)\nreturn y.tolist()",
        ],
        "wrong": {
            "the target's mean at x_t": "y = chain[0]\nfor i in range(len(chain) - 1):\n    y = mean_target(chain[i], i) + chain[i + 1] - mean_source(chain[i], i)\nreturn y",
            "the source's mean at x̂_t": "y = chain[0]\nfor i in range(len(chain) - 1):\n    y = mean_target(y, i) + chain[i + 1] - mean_source(y, i)\nreturn y",
            "texts exchanged": "y = chain[0]\nfor i in range(len(chain) - 1):\n    y = mean_source(y, i) + chain[i + 1] - mean_target(chain[i], i)\nreturn y",
            "one step too few": "y = chain[0]\nfor i in range(len(chain) - 2):\n    y = mean_target(y, i) + chain[i + 1] - mean_source(chain[i], i)\nreturn y",
            "x_t for x_t'": "y = chain[0]\nfor i in range(len(chain) - 1):\n    y = mean_target(y, i) + chain[i] - mean_source(chain[i], i)\nreturn y",
            "only the mean": "y = chain[0]\nfor i in range(len(chain) - 1):\n    y = mean_target(y, i)\nreturn y",
        },
    },
}
