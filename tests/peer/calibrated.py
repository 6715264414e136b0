#!/usr/bin/env python3
"""GPTQ and AWQ as their papers and reference programs have them, in numpy, on the second moments that bitgap calibrate wrote:
the output error tr((W−Ŵ)Σ(W−Ŵ)ᵀ) of a layer of each kind must be Bitgap's within 0.5 %.

GPTQ: IST-DASLab gptq.py (H damped by a hundredth of its mean diagonal, H⁻¹ by Cholesky, its upper factor, blocks of 128, the grid
of a group from the weights as they are when the walk reaches it). AWQ: llm-awq auto_scale.py and auto_clip.py (20 exponents,
10 ranges), its sampled tokens replaced by their second moment, scales and grid stored as Bitgap stores them (float16).
"""
import json
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
except ImportError as e:
    print(f"{e.name} is not installed")
    sys.exit(77)

BITGAP = os.environ["BITGAP"]
MODEL = "data/austen-3.7m"
LAYER = 2
GROUP = 128


def run(*arguments):
    subprocess.run([BITGAP, *arguments, "--quiet"], check=True)


def safetensors(path):
    with open(path, "rb") as f:
        size = int.from_bytes(f.read(8), "little")
        header, data = json.loads(f.read(size)), f.read()
    out = {}
    for name, t in header.items():
        if name != "__metadata__":
            a, b = t["data_offsets"]
            out[name] = np.frombuffer(data[a:b], np.float32).reshape(t["shape"])
    return out


def statistics(document, side):
    out = {}
    for row in document["layers"]:
        n, at = row["cols"], row["offset"] // 8
        sigma = np.zeros((n, n))
        sigma[np.tril_indices(n)] = side[at + 2 * n:at + 2 * n + n * (n + 1) // 2]
        out[row["tensor"]] = sigma + np.tril(sigma, -1).T, side[at:at + n].copy()
    return out


def stored(x):
    return x.astype(np.float16).astype(np.float32)


def grid(w, bits):
    """min–max with an integer zero point, one scale a row of w"""
    top = 2**bits - 1
    lo, hi = np.minimum(w.min(1), 0), np.maximum(w.max(1), 0)
    scale = stored((hi - lo) / np.float32(top))
    safe = np.where(scale > 0, scale, 1)
    return scale, safe, np.where(scale > 0, np.clip(np.round(-lo / safe), 0, top), 0)


def rounded(w, code, bits):
    scale, safe, zero = code
    q = np.clip(np.round(w / safe) + zero, 0, 2**bits - 1)
    return scale * (q - zero)


def gptq(w, sigma, bits):
    h = sigma.copy()
    dead = np.diag(h) == 0
    h[dead, dead] = 1
    h += 0.01 * np.mean(np.diag(h)) * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    w, hat = w.astype(np.float64), np.zeros_like(w)
    w[:, dead] = 0
    for first in range(0, w.shape[1], 128):
        last = min(first + 128, w.shape[1])
        errors = np.zeros((w.shape[0], last - first))
        for i in range(first, last):
            if i % GROUP == 0:
                code = grid(w[:, i:i + GROUP].astype(np.float32), bits)
            hat[:, i] = rounded(w[:, i].astype(np.float32), code, bits)
            errors[:, i - first] = (w[:, i] - hat[:, i]) / u[i, i]
            w[:, i:last] -= np.outer(errors[:, i - first], u[i, i:last])
        w[:, last:] -= errors @ u[first:last, last:]
    return hat


def nearest(w, bits):
    hat = np.empty_like(w)
    for first in range(0, w.shape[1], GROUP):
        part = w[:, first:first + GROUP]
        code = [x[:, None] for x in grid(part, bits)]
        hat[:, first:first + GROUP] = rounded(part, code, bits)
    return hat


def error_of(w, hat, sigma):
    d = w.astype(np.float64) - hat
    return float(np.sum(d @ sigma * d) / len(w))


def awq(w, sigma, mean_abs, bits):
    best = None
    for k in range(20):
        s = np.maximum(mean_abs**(k / 20), 1e-4)
        s = stored(s / np.sqrt(s.max() * s.min()))
        error = error_of(w, nearest(w * s, bits) / s, sigma)
        if best is None or error < best[0]:
            best = error, s
    s = best[1]
    turned = w * s
    turned_sigma = sigma / np.outer(s.astype(np.float64), s.astype(np.float64))
    for first in range(0, w.shape[1], GROUP):
        part, block = turned[:, first:first + GROUP], turned_sigma[first:first + GROUP, first:first + GROUP]
        largest = np.abs(part).max(1, keepdims=True)
        least, limit = np.full(len(w), np.inf), largest.copy()
        for k in range(10):
            m = largest * np.float32(1 - np.float32(k) / 20)
            clamped = np.clip(part, -m, m)
            d = rounded(clamped, [x[:, None] for x in grid(clamped, bits)], bits).astype(np.float64) - part
            error = np.sum(d @ block * d, 1)
            limit[:, 0] = np.where(error < least, m[:, 0], limit[:, 0])
            least = np.minimum(error, least)
        turned[:, first:first + GROUP] = np.clip(part, -limit, limit)
    return nearest(turned, bits) / s


def main():
    wrong = compared = 0
    with tempfile.TemporaryDirectory() as d:
        run("calibrate", MODEL, "--text", "data/text/calib.txt", "--samples", "8", "-o", f"{d}/k.json")
        run("curve", MODEL, "--layers", str(LAYER), "-q", "rtn:bits=3/4", "gptq:bits=3/4", "awq:bits=3/4", "--calibration",
            f"{d}/k.json", "-o", f"{d}/c.json")
        run("export", MODEL, "--include", f"layers.{LAYER}[.]", "-o", f"{d}/w.safetensors")
        weights = safetensors(f"{d}/w.safetensors")
        known = statistics(json.load(open(f"{d}/k.json")), np.fromfile(f"{d}/k.bin"))
        ours = {(p["tensor"], p["spec"]): p["output_mse"] for p in json.load(open(f"{d}/c.json"))["points"] if p["layer"] == LAYER}
    for (tensor, spec), mine in ours.items():
        method, bits = spec.split(":")[0], int(spec[-1])
        sigma, mean_abs = known[tensor]
        w = weights[tensor]
        hat = nearest(w, bits) if method == "rtn" else gptq(w, sigma, bits) if method == "gptq" else awq(w, sigma, mean_abs, bits)
        theirs = error_of(w, hat, sigma)
        compared += 1
        if abs(mine / theirs - 1) > 0.005 or (method != "rtn" and mine >= ours[tensor, f"rtn:bits={bits}"]):
            wrong += 1
            print(f"{tensor} {spec}: {mine:.6g}, numpy {theirs:.6g}, nearest {ours[tensor, f'rtn:bits={bits}']:.6g}")
        elif spec.startswith("gptq"):
            print(f"{tensor} {spec}: {mine:.6g}, numpy {theirs:.6g} ({(mine / theirs - 1) * 100:+.3f} %)")
    print(f"{compared} layers and methods compared, {wrong} differ")
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
