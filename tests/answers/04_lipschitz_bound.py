ANSWERS = {
    "my_bound": {
        "right": [
            "B = [torch.tensor(0.0)]\nfor k, s in zip(K, S):\n    B.append(k * B[-1] + s)\nreturn torch.stack(B)",
            "B = np.zeros(len(K) + 1)\nfor i in range(len(K)):\n    B[i + 1] = K[i] * B[i] + S[i]\nreturn B",
            "B = [0]\nfor i in range(len(K)):\n    B.append(K[i] * B[i] + S[i])\nreturn B",
        ],
        "wrong": {
            "the start left out": "B = [0.0]\nfor k, s in zip(K, S):\n    B.append(float(k * B[-1] + s))\nreturn B[1:]",
            "the printed +1": "B = [0.0]\nfor k, s in zip(K, S):\n    B.append(float((k + 1) * B[-1] + s))\nreturn B",
            "K (B + S)": "B = [0.0]\nfor k, s in zip(K, S):\n    B.append(float(k * (B[-1] + s)))\nreturn B",
            "only the end": "B = 0.0\nfor k, s in zip(K, S):\n    B = k * B + s\nreturn B",
            "from 0 to T": "B = [0.0]\nfor k, s in zip(K.flip(0), S.flip(0)):\n    B.append(float(k * B[-1] + s))\nreturn B",
            "no K": "[0.0, *S.cumsum(0)]",
        },
    },
    "resting_distance": {
        "right": [
            "if K >= 1:\n    return float('inf')\nreturn -S / (K - 1)",
            "torch.tensor(S) * sum(K**n for n in range(500)) if K < 1 else torch.inf",
        ],
        "wrong": {
            "no infinity": "S / (1 - K) if K != 1 else math.inf",
            "a large number": "S / (1 - K) if K < 1 else 1e9",
            "the sign": "S / (1 + K) if K < 1 else math.inf",
            "S forgotten": "1 / (1 - K) if K < 1 else math.inf",
            "minus infinity": "S / (1 - K) if K < 1 else -math.inf",
        },
    },
    "my_proved_bound": {
        "right": [
            "g = (1 - a) / (a * variance + 1 - a)\nK = c_x + c_P * a**0.5 / (1 - a) * (variance * g + g**2 * D_c**2 / 4)\nB = [torch.zeros(())]\n"
            "for k, s in zip(K, c_P * g * D):\n    B.append(k * B[-1] + s)\nreturn torch.stack(B)",
            "g = (1 - a) / (a * variance + 1 - a)\nK = c_x + c_P * a**0.5 / (1 - a) * (variance * g + g**2 * D_c**2 / 4)\nB = [torch.zeros(())]\n"
            "for k, s in zip(K, c_P * g * D):\n    B.append(k * B[-1] + s)\nreturn [float(v) for v in B]",
        ],
        "wrong": {
            "K + 1": "g = (1 - a) / (a * variance + 1 - a)\nK = c_x + c_P * a**0.5 / (1 - a) * (variance * g + g**2 * D_c**2 / 4)\nB = [torch.zeros(())]\n"
            "for k, s in zip(K, c_P * g * D):\n    B.append((k + 1) * B[-1] + s)\nreturn torch.stack(B)",
            "D_c²/2": "g = (1 - a) / (a * variance + 1 - a)\nK = c_x + c_P * a**0.5 / (1 - a) * (variance * g + g**2 * D_c**2 / 2)\nB = [torch.zeros(())]\n"
            "for k, s in zip(K, c_P * g * D):\n    B.append(k * B[-1] + s)\nreturn torch.stack(B)",
            "no width": "g = (1 - a) / (a * variance + 1 - a)\nK = c_x + c_P * a**0.5 / (1 - a) * g**2 * D_c**2 / 4\nB = [torch.zeros(())]\n"
            "for k, s in zip(K, c_P * g * D):\n    B.append(k * B[-1] + s)\nreturn torch.stack(B)",
            "S without g": "g = (1 - a) / (a * variance + 1 - a)\nK = c_x + c_P * a**0.5 / (1 - a) * (variance * g + g**2 * D_c**2 / 4)\nB = [torch.zeros(())]\n"
            "for k, s in zip(K, c_P * D):\n    B.append(k * B[-1] + s)\nreturn torch.stack(B)",
            "the last one only": "g = (1 - a) / (a * variance + 1 - a)\nK = c_x + c_P * a**0.5 / (1 - a) * (variance * g + g**2 * D_c**2 / 4)\nB = [torch.zeros(())]\n"
            "for k, s in zip(K, c_P * g * D):\n    B.append(k * B[-1] + s)\nreturn B[-1]",
            "D in both": "g = (1 - a) / (a * variance + 1 - a)\nK = c_x + c_P * a**0.5 / (1 - a) * (variance * g + g**2 * D**2 / 4)\nB = [torch.zeros(())]\n"
            "for k, s in zip(K, c_P * g * D):\n    B.append(k * B[-1] + s)\nreturn torch.stack(B)",
        },
    },
}
