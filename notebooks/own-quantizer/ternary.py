"""Three values a weight, as a module for python.c: the same quantizer as ternary.c, with nothing but the standard library."""
from array import array


def encode(rows, cols, bits, seed, w):
    scales, trits = array("f"), []
    for r in range(rows):
        row = [float(w[r * cols + c]) for c in range(cols)]
        threshold = 0.7 * sum(map(abs, row)) / cols
        large = [abs(x) for x in row if abs(x) > threshold]
        scales.append(sum(large) / len(large) if large else 0.0)
        trits += [1 if abs(x) <= threshold else 0 if x < 0 else 2 for x in row]
    trits += [0] * (-len(trits) % 5)
    return scales.tobytes() + bytes(
        a + 3 * b + 9 * c + 27 * d + 81 * e for a, b, c, d, e in zip(*(trits[k::5] for k in range(5)))
    )


def decode(rows, cols, bits, seed, stored):
    scales = array("f", bytes(stored[: 4 * rows]))
    trits = [byte // 3**k % 3 for byte in stored[4 * rows :] for k in range(5)]
    return array("f", ((trits[i] - 1) * scales[i // cols] for i in range(rows * cols)))
