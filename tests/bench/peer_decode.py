"""Decoding by the packages that own the formats, 16.8 M weights in memory: `gguf` and bitsandbytes on the CPU, beside what
bench_decode measured in the same run (argument: its lines). Lines: what, peer, Gweights/s, comparison (tab separated).
"""
import sys
import time

import numpy as np

SIDE = 4096
ours = {}
with open(sys.argv[1]) as f:
    for line in f:
        what, value, unit = line.rstrip("\n").split("\t")[:3]
        if unit == "Gweights/s":
            ours[what] = float(value)


def report(what, peer, decode):
    best = 1e9
    for _ in range(2):
        began = time.perf_counter()
        decode()
        best = min(best, time.perf_counter() - began)
    rate = SIDE * SIDE / best / 1e9
    print(f"{what}\t{peer}\t{rate:.3f} Gweights/s\tbitgap is {ours[what] / rate:.1f} times as fast", flush=True)


try:
    import gguf
    rng = np.random.default_rng(1)
    for name in ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4"):
        kind = gguf.GGMLQuantizationType[name]
        block, size = gguf.GGML_QUANT_SIZES[kind]
        data = rng.integers(0, 64, (SIDE, SIDE // block * size), np.uint8)
        report(name, "gguf", lambda: gguf.quants.dequantize(data, kind))
except ImportError as e:
    print(f"GGUF types\tgguf\tskipped: {e}")
try:
    import bitsandbytes.functional as bnb
    import torch
    weight = torch.randn(SIDE, SIDE)
    for nested, name in ((False, "NF4 b64"), (True, "NF4 b64 nested")):
        packed, state = bnb.quantize_4bit(weight, blocksize=64, quant_type="nf4", compress_statistics=nested)
        report(name, "bitsandbytes", lambda: bnb.dequantize_4bit(packed, state))
except ImportError as e:
    print(f"NF4\tbitsandbytes\tskipped: {e}")
