"""The work of bench_codes by other people's coders: 3-bit indices of a Gaussian, entropy-coded and read back, one thread a
coder (tab separated). zlib is always there (its Huffman codes alone); constriction's ANS and zstandard if installed."""
import time
import zlib

import numpy as np

N = 1 << 22
rng = np.random.default_rng(1)
symbols = np.clip(np.rint(rng.standard_normal(N) / 0.522) + 32, 0, 63).astype(np.int32)
as_bytes = symbols.astype(np.uint8).tobytes()
counts = np.bincount(symbols, minlength=64).astype(np.float64)
entropy = -np.sum(counts[counts > 0] / N * np.log2(counts[counts > 0] / N))


def best(work, times=3):
    least, result = 1e9, None
    for _ in range(times):
        began = time.perf_counter()
        result = work()
        least = min(least, time.perf_counter() - began)
    return least, result


def tell(name, encode, decode, bits):
    print(f"{name}, encode\t{N / encode / 1e6:.1f}\tMweights/s ({bits:.4f} bits, entropy {entropy:.4f})")
    print(f"{name}, decode\t{N / decode / 1e6:.1f}\tMweights/s", flush=True)


def deflate():
    c = zlib.compressobj(6, zlib.DEFLATED, 15, 9, zlib.Z_HUFFMAN_ONLY)
    return c.compress(as_bytes) + c.flush()


encode, coded = best(deflate, 1)
decode, back = best(lambda: zlib.decompress(coded))
assert back == as_bytes
tell("zlib, Huffman only", encode, decode, 8 * len(coded) / N)

try:
    import zstandard

    encode, coded = best(lambda: zstandard.ZstdCompressor(level=3).compress(as_bytes))
    decode, back = best(lambda: zstandard.ZstdDecompressor().decompress(coded))
    assert back == as_bytes
    tell("zstandard", encode, decode, 8 * len(coded) / N)
except ImportError:
    print("zstandard\tskipped: not installed")

try:
    import constriction

    model = constriction.stream.model.Categorical((counts + 1e-9) / N, perfect=False)

    def ans():
        coder = constriction.stream.stack.AnsCoder()
        coder.encode_reverse(symbols, model)
        return coder.get_compressed()

    encode, coded = best(ans)
    decode, back = best(lambda: constriction.stream.stack.AnsCoder(coded).decode(model, N))
    assert np.array_equal(back, symbols)
    tell("constriction ANS", encode, decode, 32 * len(coded) / N)
except ImportError:
    print("constriction ANS\tskipped: not installed")
