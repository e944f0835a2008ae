ANSWERS = {
    "asymmetric_step": {
        "right": [
            "P = (x - torch.sqrt(1 - a) * eps_edited) / torch.sqrt(a)\n"
            "return a_to.sqrt() * P + torch.sqrt(1 - a_to) * eps",
            "math.sqrt(a_to / a) * (x - math.sqrt(1 - a) * eps_edited) + math.sqrt(1 - a_to) * eps",
            "shift = eps_edited - eps\nP = (x - (1 - a) ** 0.5 * eps) / a**0.5\n"
            "return (a_to**0.5 * P + (1 - a_to) ** 0.5 * eps - (a_to * (1 - a) / a) ** 0.5 * shift).numpy()",
        ],
        "wrong": {
            "both edited": "(a_to / a) ** 0.5 * (x - (1 - a) ** 0.5 * eps_edited) + (1 - a_to) ** 0.5 * eps_edited",
            "D edited": "(a_to / a) ** 0.5 * (x - (1 - a) ** 0.5 * eps) + (1 - a_to) ** 0.5 * eps_edited",
            "D without root": "(a_to / a) ** 0.5 * (x - (1 - a) ** 0.5 * eps_edited) + (1 - a_to) * eps",
            "√ᾱ' forgotten": "(x - (1 - a) ** 0.5 * eps_edited) / a**0.5 + (1 - a_to) ** 0.5 * eps",
            "D at t": "(a_to / a) ** 0.5 * (x - (1 - a) ** 0.5 * eps_edited) + (1 - a) ** 0.5 * eps",
            "the sign": "(a_to / a) ** 0.5 * (x + (1 - a) ** 0.5 * eps_edited) + (1 - a_to) ** 0.5 * eps",
        },
    },
    "directional_loss": {
        "right": [
            "1 - torch.nn.functional.cosine_similarity(after - before, target_text - source_text, dim=1)",
            "u = torch.nn.functional.normalize(after - before, dim=1)\n"
            "return 1 - u @ torch.nn.functional.normalize(target_text - source_text, dim=0)",
            "t = (target_text - source_text).numpy()\nm = (after - before).numpy()\n"
            "return [1 - np.dot(r, t) / np.linalg.norm(r) / np.linalg.norm(t) for r in m]",
        ],
        "wrong": {
            "the cosine": "torch.cosine_similarity(after - before, target_text - source_text, dim=1)",
            "the batch's mean": "(1 - torch.cosine_similarity(after - before, target_text - source_text, dim=1)).mean()",
            "an axis kept": "1 - torch.cosine_similarity(after - before, target_text - source_text, dim=1)[:, None]",
            "no lengths": "1 - (after - before) @ (target_text - source_text)",
            "no differences": "1 - torch.cosine_similarity(after, target_text[None], dim=1)",
            "the sign": "1 - torch.cosine_similarity(before - after, target_text - source_text, dim=1)",
            "one length for the batch": "m, t = after - before, target_text - source_text\nreturn 1 - m @ t / (m.norm() * t.norm())",
        },
    },
    "rescaling": {
        "right": [
            "inside = [t for t in times if last <= t <= first]\nreturn visits / len(inside)",
            "times = torch.tensor(times)\nreturn visits / ((times <= first) & (times >= last)).sum()",
            "visits / np.sum((np.array(times) <= first) & (np.array(times) >= last))",
        ],
        "wrong": {
            "the other way round": "sum(first >= t >= last for t in times) / visits",
            "ends left out": "visits / max(1, sum(first > t > last for t in times))",
            "one end left out": "visits / max(1, sum(first >= t > last for t in times))",
            "all times": "visits / len(times)",
            "no rescaling": "1.0",
        },
    },
    "my_asyrp": {
        "right": [
            "start = x\nfor i in range(len(t)):\n    b = encode(x, t[i])\n    eps, dh = decode(b), delta_h(b, t[i])\n"
            "    edited = eps if dh is None else decode(b, dh)\n    P = (x - (1 - a[i]) ** 0.5 * edited) / a[i] ** 0.5\n"
            "    x = a_to[i] ** 0.5 * P + (1 - a_to[i]) ** 0.5 * eps\nreturn x",
            "library_asyrp(encode, decode, delta_h, x, t, a, a_to).numpy()",
        ],
        "wrong": {
            "both edited": "start = x\nfor i in range(len(t)):\n    b = encode(x, t[i])\n    eps, dh = decode(b), delta_h(b, t[i])\n"
            "    edited = eps if dh is None else decode(b, dh)\n    P = (x - (1 - a[i]) ** 0.5 * edited) / a[i] ** 0.5\n"
            "    x = a_to[i] ** 0.5 * P + (1 - a_to[i]) ** 0.5 * edited\nreturn x",
            "D edited": "start = x\nfor i in range(len(t)):\n    b = encode(x, t[i])\n    eps, dh = decode(b), delta_h(b, t[i])\n"
            "    edited = eps if dh is None else decode(b, dh)\n    P = (x - (1 - a[i]) ** 0.5 * eps) / a[i] ** 0.5\n"
            "    x = a_to[i] ** 0.5 * P + (1 - a_to[i]) ** 0.5 * edited\nreturn x",
            "no edit": "start = x\nfor i in range(len(t)):\n    b = encode(x, t[i])\n    eps, dh = decode(b), delta_h(b, t[i])\n"
            "    edited = eps if dh is None else decode(b, dh)\n    P = (x - (1 - a[i]) ** 0.5 * eps) / a[i] ** 0.5\n"
            "    x = a_to[i] ** 0.5 * P + (1 - a_to[i]) ** 0.5 * eps\nreturn x",
            "always asked at x_T": "start = x\nfor i in range(len(t)):\n    b = encode(start, t[i])\n    eps, dh = decode(b), delta_h(b, t[i])\n"
            "    edited = eps if dh is None else decode(b, dh)\n    P = (x - (1 - a[i]) ** 0.5 * edited) / a[i] ** 0.5\n"
            "    x = a_to[i] ** 0.5 * P + (1 - a_to[i]) ** 0.5 * eps\nreturn x",
            "nothing outside": "start = x\nfor i in range(len(t)):\n    b = encode(x, t[i])\n    eps, dh = decode(b), delta_h(b, t[i])\n"
            "    edited = 0 * eps if dh is None else decode(b, dh)\n    P = (x - (1 - a[i]) ** 0.5 * edited) / a[i] ** 0.5\n"
            "    x = a_to[i] ** 0.5 * P + (1 - a_to[i]) ** 0.5 * eps\nreturn x",
            "ᾱ of t": "start = x\nfor i in range(len(t)):\n    b = encode(x, t[i])\n    eps, dh = decode(b), delta_h(b, t[i])\n"
            "    edited = eps if dh is None else decode(b, dh)\n    P = (x - (1 - a[i]) ** 0.5 * edited) / a[i] ** 0.5\n"
            "    x = a[i] ** 0.5 * P + (1 - a[i]) ** 0.5 * eps\nreturn x",
        },
    },
}
