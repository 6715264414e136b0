"""The work of cases.tsv done by what people use today; one line a case: case, peer, seconds (or skipped, why), mse.

    peers.py DATA [case…]         DATA holds llama-1b-eighth (tests/bench/make_checkpoint)

Seconds are the least of three and leave out Python's start, imports and reading the tensor; ours include all of that.
A peer that is not installed is skipped in words.
"""
import json
import os
import struct
import sys
import time

import numpy as np

BITS = (2, 3, 4, 5, 6, 8)
DOWN = "model.layers.1.mlp.down_proj.weight"
QUERY = "model.layers.0.self_attn.q_proj.weight"


def tensor(root, name):
    """float32 copy of a bf16 tensor, read with numpy alone."""
    with open(os.path.join(root, "llama-1b-eighth", "model.safetensors"), "rb") as f:
        size = struct.unpack("<Q", f.read(8))[0]
        entry = json.loads(f.read(size))[name]
        first, last = entry["data_offsets"]
        f.seek(8 + size + first)
        codes = np.frombuffer(f.read(last - first), dtype=np.uint16)
    return (codes.astype(np.uint32) << 16).view(np.float32).reshape(entry["shape"])


def torch_sweep(w, mse):
    """Symmetric (tensor, channel, groups of 128 and 32), asymmetric, 3 sigma and Lloyd-Max at six widths, vectorised."""
    import torch

    x = torch.from_numpy(w)

    def error(y):
        return torch.mean((x - y) ** 2).item()

    def symmetric(v, scale):
        return torch.round(v / scale) * scale

    for b in BITS:
        half = 2 ** (b - 1) - 1
        error(torch.clamp(torch.round(x / (x.abs().max() / half)), -half, half) * (x.abs().max() / half))
        s = x.abs().amax(1, keepdim=True) / half
        error(torch.clamp(torch.round(x / s), -half, half) * s)
        lo, step = x.min(), (x.max() - x.min()) / (2**b - 1)
        error(torch.round((x - lo) / step) * step + lo)
        c = 3 * x.std()
        s = 2 * c / (2**b - 1)
        error(symmetric(x.clamp(-c, c), s))
        for g in (128, 32):
            v = x.reshape(-1, g)
            s = 2 * v.abs().amax(1, keepdim=True) / (2**b - 1)
            r = torch.mean((v - symmetric(v, s)) ** 2).item()
            if (b, g) == (4, 128):
                mse.append(r)
        flat = x.reshape(-1)
        levels = torch.quantile(flat[:: max(1, flat.numel() // 1000000)], torch.linspace(0, 1, 2**b + 2)[1:-1])
        for _ in range(20):
            cell = torch.bucketize(flat, (levels[1:] + levels[:-1]) / 2)
            total = torch.zeros(2**b).index_add_(0, cell, flat)
            count = torch.bincount(cell, minlength=2**b)
            levels = torch.where(count > 0, total / count.clamp(min=1), levels)
        error(levels[torch.bucketize(flat, (levels[1:] + levels[:-1]) / 2)].reshape(x.shape))


def numpy_extract(w, mse):
    flat = w.reshape(-1)
    flat.mean(dtype=np.float64), flat.var(dtype=np.float64), flat.min(), flat.max()
    np.unique(flat, return_counts=True)


def ckwrap_kmeans(w, mse):
    import ckwrap

    values, counts = np.unique(w.reshape(-1), return_counts=True)
    r = ckwrap.ckmeans(values.astype(np.float64), 16, weights=counts.astype(np.float64))
    mse.append(float(np.sum(r.withinss)) / w.size)


def sklearn_kmeans(w, mse):
    from sklearn.cluster import KMeans

    k = KMeans(16, n_init=1, max_iter=20, random_state=0).fit(w.reshape(-1, 1))
    mse.append(k.inertia_ / w.size)


def faiss_vq(w, mse):
    import faiss

    v = np.ascontiguousarray(w.reshape(-1, 4))
    pick = np.random.default_rng(0).choice(len(v), 262144, replace=False)
    k = faiss.Kmeans(4, 256, niter=20, seed=0, max_points_per_centroid=1024)
    k.train(v[pick])
    distance, _ = k.index.search(v, 1)
    mse.append(float(distance.mean(dtype=np.float64)) / 4)


def bitsandbytes_block(kind):
    def run(w, mse):
        import bitsandbytes.functional as F
        import torch

        x = torch.from_numpy(w)
        q, state = F.quantize_4bit(x, blocksize=64, quant_type=kind)
        y = F.dequantize_4bit(q, state)
        mse.append(torch.mean((x - y).double() ** 2).item())

    return run


def gguf_q4_0(w, mse):
    import gguf

    t = gguf.GGMLQuantizationType.Q4_0
    y = gguf.quants.dequantize(gguf.quants.quantize(w, t), t).reshape(w.shape)
    mse.append(float(np.mean((w - y).astype(np.float64) ** 2)))


CASES = [
    ("extract:down_proj", "numpy", DOWN, numpy_extract),
    ("sweep:q_proj", "torch", QUERY, torch_sweep),
    ("sweep:down_proj", "torch", DOWN, torch_sweep),
    ("kmeans16:down_proj", "ckwrap on unique values", DOWN, ckwrap_kmeans),
    ("kmeans16:down_proj", "scikit-learn (local optimum)", DOWN, sklearn_kmeans),
    ("vq-d4-k256:down_proj", "faiss", DOWN, faiss_vq),
    ("nf4:down_proj", "bitsandbytes", DOWN, bitsandbytes_block("nf4")),
    ("fp4:down_proj", "bitsandbytes", DOWN, bitsandbytes_block("fp4")),
    ("q4_0:down_proj", "gguf", DOWN, gguf_q4_0),
]


def main(root, wanted):
    for case, peer, name, work in CASES:
        if wanted and case not in wanted:
            continue
        least, mse = float("inf"), []
        try:
            w = tensor(root, name)
            begun = time.perf_counter()
            for _ in range(3):
                start = time.perf_counter()
                work(w, mse)
                least = min(least, time.perf_counter() - start)
                if time.perf_counter() - begun > 20:
                    break
            print(case, peer, f"{least:.4f}", f"{mse[-1]:.6g}" if mse else "", sep="\t", flush=True)
        except ImportError as e:
            print(case, peer, "skipped", e.name or e, sep="\t", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
