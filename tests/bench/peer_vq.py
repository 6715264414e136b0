"""The work of bench_vq by faiss: k-means on 10,000 vectors, then the nearest codeword of 16.8 M weights (tab separated)."""
import sys
import time

import numpy as np

try:
    import faiss
except ImportError:
    print("vq\tfaiss\tskipped: no faiss")
    sys.exit(0)

SHAPES = [(2, 64), (2, 256), (2, 4096), (4, 64), (4, 256), (4, 1024), (8, 256), (8, 1024), (8, 4096)]
rng = np.random.default_rng(1)
weights = (rng.standard_t(6, 1 << 24) / np.sqrt(1.5)).astype(np.float32)
for d, k in SHAPES:
    x = weights.reshape(-1, d)
    began = time.perf_counter()
    km = faiss.Kmeans(d, k, niter=20, seed=0, max_points_per_centroid=10000)
    km.train(x[:: len(x) // 10000][:10000].copy())
    fit = time.perf_counter() - began
    best, found = 1e9, None
    for _ in range(3):
        began = time.perf_counter()
        _, found = km.index.search(x, 1)
        best = min(best, time.perf_counter() - began)
    error = float(np.mean((x - km.centroids[found[:, 0]]) ** 2))
    print(f"vq d={d} K={k}, fit 10000\t{fit:.3f}\ts (faiss)")
    print(f"vq d={d} K={k}, assign 16.8 M weights\t{best:.3f}\ts (faiss, error {error:.5f})", flush=True)
