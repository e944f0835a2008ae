ANSWERS = {
    "vacuous_from": {
        "right": [
            "above = (B[:-1] > reach[:-1]).nonzero()\nreturn t[above[0, 0]] if len(above) else -1",
            "for i in range(len(t)):\n    if B[i] > reach[i]:\n        return int(t[i])\nreturn -1",
            "next((float(s) for s, b, r in zip(t, B, reach) if b > r), -1)",
        ],
        "wrong": {
            "the last": "found = -1\nfor i in range(len(t)):\n    if B[i] > reach[i]:\n        found = t[i]\nreturn found",
            "the number of the step": "next((i for i in range(len(t)) if B[i] > reach[i]), -1)",
            "below": "next((t[i] for i in range(len(t)) if B[i] < reach[i]), -1)",
            "the image counts": "next((t[min(i, len(t) - 1)] for i in range(len(B)) if B[i] > reach[i]), -1)",
            "B without its start": "next((t[i] for i in range(len(t)) if B[i + 1] > reach[i + 1]), -1)",
        },
    },
    "largest_stretch": {
        "right": [
            "for _ in range(rounds):\n    v /= v.norm()\n    v = J.T @ (J @ v)\nreturn v.norm() ** 0.5",
            "A = (J.T @ J).numpy()\nv = v.numpy()\nfor _ in range(rounds):\n    v = A @ v / np.linalg.norm(A @ v)\n"
            "return np.linalg.norm(J.numpy() @ v)",
            "torch.linalg.svdvals(J)[0]",
        ],
        "wrong": {
            "J in place of JᵀJ": "for _ in range(rounds):\n    v = J @ v / (J @ v).norm()\nreturn (J @ v).norm()",
            "the square": "for _ in range(rounds):\n    v = J.T @ (J @ v)\n    v = v / v.norm()\nreturn (J.T @ (J @ v)).norm()",
            "never a unit vector": "for _ in range(rounds):\n    v = J.T @ (J @ v)\nreturn (J @ v).norm()",
            "no round": "(J @ v).norm() / v.norm()",
            "the largest entry": "J.abs().max()",
            "the eigenvalue": "torch.linalg.eigvals(J).abs().max()",
            "a vector": "for _ in range(rounds):\n    v = J.T @ (J @ v)\n    v = v / v.norm()\nreturn J @ v",
        },
    },
    "my_estimated_K": {
        "right": [
            "for _ in range(rounds):\n    v = v / v.norm()\n    v = pull(push(v))\nreturn push(v / v.norm()).norm()",
            "for _ in range(rounds):\n    v = pull(push(v))\nreturn push(v).norm() / v.norm()",
            "library_K(push, pull, v, rounds).item()",
        ],
        "wrong": {
            "never a unit vector": "for _ in range(rounds):\n    v = pull(push(v))\nreturn push(v).norm()",
            "the square": "for _ in range(rounds):\n    v = pull(push(v / v.norm()))\nreturn pull(push(v / v.norm())).norm()",
            "push alone": "for _ in range(rounds):\n    v = push(v)\n    v = v / v.norm()\nreturn push(v).norm()",
            "one round too few": "v = v / v.norm()\nfor _ in range(rounds - 1):\n    v = pull(push(v))\n    v = v / v.norm()\nreturn push(v).norm()",
            "no round": "push(v).norm() / v.norm()",
            "an image": "library_K(push, pull, v, rounds) * v / v.norm()",
        },
    },
}
