ANSWERS = {
    "off_the_best": {
        "right": [
            "torch.mean(torch.abs(true_ssim - ssim))",
            "sum(abs(a - b) for a, b in zip(ssim, true_ssim)) / len(ssim)",
            "np.abs(ssim.numpy() - true_ssim.numpy()).mean()",
        ],
        "wrong": {
            "higher is better": "ssim.mean() - true_ssim.mean()",
            "of the means": "(ssim.mean() - true_ssim.mean()).abs()",
            "squares": "(ssim - true_ssim).square().mean()",
            "the batch's": "(ssim - true_ssim).abs()",
            "one side": "(ssim - true_ssim).clamp_min(0).mean()",
            "the sum": "(ssim - true_ssim).abs().sum()",
        },
    },
    "in_the_noise": {
        "right": [
            "math.sqrt(alpha_bar * v / (alpha_bar * v + 1 - alpha_bar))",
            "1 / torch.sqrt(1 + (1 - alpha_bar) / (alpha_bar * v))",
            "a = alpha_bar.numpy()\nreturn np.sqrt(a) * v / np.sqrt(v) / np.sqrt(a * v + 1 - a)",
        ],
        "wrong": {
            "a root missing": "alpha_bar * v / (alpha_bar * v + 1 - alpha_bar)",
            "√ᾱ": "alpha_bar**0.5",
            "the share of noise": "((1 - alpha_bar) / (alpha_bar * v + 1 - alpha_bar)) ** 0.5",
            "the covariance": "alpha_bar**0.5 * v",
            "v as a deviation": "(alpha_bar * v**2 / (alpha_bar * v**2 + 1 - alpha_bar)) ** 0.5",
            "the noise twice": "(alpha_bar * v / (alpha_bar * v + 2 * (1 - alpha_bar))) ** 0.5",
        },
    },
    "with_low": {
        "right": [
            "a - low(a) + low(b)",
            "a -= low(a)\na += low(b)\nreturn a",
            "(a - low(a - b)).numpy()",
        ],
        "wrong": {
            "a's left in": "a + low(b)",
            "a and b confused": "b + low(a - b)",
            "only the low ones": "low(b)",
            "b's high ones too": "a - low(a) + b",
            "the sign": "a - low(b - a)",
            "one number": "(a + low(b - a)).mean()",
        },
    },
}
