#!/usr/bin/env python3
"""Round to nearest with one float16 scale a row; indices of BITGAP_BITS bits, packed.

    bitgap curve MODEL -q exec:cmd=./rtn.py,bits=4

encode IN.npy STORED: writes what has to be stored; decode STORED OUT.npy: reads that file and nothing else.
"""
import os
import sys

import numpy as np

BITS = int(os.environ["BITGAP_BITS"])
ROWS, COLS = int(os.environ["BITGAP_ROWS"]), int(os.environ["BITGAP_COLS"])
TOP = 2 ** (BITS - 1) - 1


def encode(source, stored):
    w = np.load(source)
    scale = np.maximum(np.abs(w).max(axis=1) / TOP, 6e-8).astype(np.float16)
    index = np.clip(np.rint(w / scale[:, None].astype(np.float32)), -TOP - 1, TOP).astype(np.int64) + TOP + 1
    bits = (index.reshape(-1, 1) >> np.arange(BITS) & 1).astype(np.uint8)
    with open(stored, "wb") as f:
        f.write(scale.tobytes() + np.packbits(bits).tobytes())
    print("bytes", os.path.getsize(stored))


def decode(stored, target):
    data = open(stored, "rb").read()
    scale = np.frombuffer(data[: 2 * ROWS], np.float16).astype(np.float32)
    bits = np.unpackbits(np.frombuffer(data[2 * ROWS :], np.uint8), count=ROWS * COLS * BITS).reshape(-1, BITS)
    index = (bits.astype(np.int64) << np.arange(BITS)).sum(axis=1).reshape(ROWS, COLS)
    np.save(target, ((index - TOP - 1).astype(np.float32) * scale[:, None]).astype(np.float32))


{"encode": encode, "decode": decode}[sys.argv[1]](sys.argv[2], sys.argv[3])
