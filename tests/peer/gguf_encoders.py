#!/usr/bin/env python3
"""What bitgap quantize writes as GGUF against the C library's own encoders (ggml_quantize_chunk of libggml-base, which the package
llama_cpp brings), on matrices of known shape and of the default model, both decoded by the package gguf.

Types without a search must be the same bytes as theirs without importances. Of the others the squared error of all matrices of a
source counts: ours may exceed neither theirs without importances nor theirs with all importances equal. Each cell has ours over
theirs three times: without importances, with equal ones, and without again where an error counts x² times as much, since their
search weights an element by its magnitude (x², |x| and the like) and ours does not. With importances their Q4_0 to Q5_1 search
too, which is what 1.1 and 1.25 in the second place say.
"""
import ctypes
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile

try:
    import gguf
    import llama_cpp
    import numpy
    from safetensors.numpy import load_file, save_file
except ImportError as e:
    print(f"{e.name} is not installed")
    sys.exit(77)

MODEL = "data/austen-3.7m"
PLAIN = ("q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "tq1_0", "tq2_0", "mxfp4")
SEARCHED = ("q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq4_nl", "iq4_xs", "nvfp4")
# GGUF's names; of q and k the rows have another order there
NAMES = {"mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output"}


def bitgap(*words):
    subprocess.run([os.environ["BITGAP"], *words, "--quiet"], check=True)


def library():
    found = glob.glob(os.path.join(os.path.dirname(llama_cpp.__file__), "lib", "libggml-base.*"))
    c = ctypes.CDLL(min(found, key=len))
    pointer = ctypes.c_void_p
    c.ggml_quantize_chunk.restype = ctypes.c_size_t
    c.ggml_quantize_chunk.argtypes = [ctypes.c_int, pointer, pointer] + 3 * [ctypes.c_int64] + [pointer]
    return c


def theirs(c, kind, w, importance):
    rows, cols = w.shape
    block, size = gguf.GGML_QUANT_SIZES[kind]
    out = numpy.zeros((rows, cols // block * size), numpy.uint8)
    of = None if importance is None else importance.ctypes.data
    c.ggml_quantize_chunk(int(kind), w.ctypes.data, out.ctypes.data, 0, rows, cols, of)
    return out


def sources(real):
    """Name and weights of each: those of the model, and one layer of it with weights drawn instead, of the same scale."""
    one = {n: w for n, w in real.items() if "layers." not in n or "layers.0." in n}
    r = numpy.random.default_rng(6)

    def outliers(shape):
        w = r.standard_normal(shape)
        w[r.random(shape) < 0.002] *= 20
        w[:, r.integers(0, shape[1], 4)] *= 8
        return w
    draws = {"Gaussian": r.standard_normal, "Laplace": lambda shape: r.laplace(size=shape),
             "Student's t, ν=3": lambda shape: r.standard_t(3, shape), "outliers": outliers}
    yield "default model", real
    for name, draw in draws.items():
        yield name, {n: (0.02 * draw(w.shape)).astype(numpy.float32) if w.ndim == 2 else w for n, w in one.items()}


def write_model(folder, weights):
    os.makedirs(folder, exist_ok=True)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(os.path.join(MODEL, file), folder)
    with open(os.path.join(MODEL, "config.json")) as f:
        config = json.load(f)
    config["num_hidden_layers"] = 1 + max(int(n.split(".")[2]) for n in weights if "layers." in n)
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(config, f)
    save_file(weights, os.path.join(folder, "model.safetensors"))


def compare(c, kind, weights, path):
    """Over the matrices: same bytes; squared errors, plain and weighted, of ours, theirs without and with importances."""
    stored, same, plain, weighted = {t.name: t for t in gguf.GGUFReader(path).tensors}, True, numpy.zeros(3), numpy.zeros(3)
    for name, w in weights.items():
        parts = name.split(".")
        short = NAMES.get(".".join(parts[3:5])) if len(parts) == 6 else None
        if not short:
            continue
        ours = stored[f"blk.{parts[2]}.{short}.weight"]
        if ours.tensor_type != kind:
            sys.exit(f"{path}: {ours.name} is {ours.tensor_type.name}")
        equal = numpy.ones(w.shape[1], numpy.float32)
        packed = [ours.data, theirs(c, kind, w, None), theirs(c, kind, w, equal)]
        same = same and numpy.array_equal(packed[0].reshape(packed[1].shape), packed[1])
        x = w.astype(numpy.float64)
        for i, data in enumerate(packed):
            e = (gguf.dequantize(data, kind).reshape(w.shape) - x)**2
            plain[i] += e.sum()
            weighted[i] += (x * x * e).sum()
    return same, plain, weighted


def main(folder):
    c, cells, wrong = library(), {word: [] for word in PLAIN + SEARCHED}, 0
    bitgap("export", MODEL, "-o", f"{folder}/real.safetensors")
    header = ""
    for source, weights in sources(load_file(f"{folder}/real.safetensors")):
        header += f"{source:>19}"
        write_model(f"{folder}/m", weights)
        for word in PLAIN + SEARCHED:
            kind = gguf.GGMLQuantizationType[word.upper()]
            shutil.rmtree(f"{folder}/q", ignore_errors=True)
            bitgap("quantize", f"{folder}/m", "-q", f"gguf:type={word}", "--layout", "gguf", "-o", f"{folder}/q")
            same, plain, weighted = compare(c, kind, weights, f"{folder}/q/model.gguf")
            ok = same if word in PLAIN else plain[0] <= plain[1:].min()
            wrong += not ok
            without = "same" if same else f"{plain[0] / plain[1]:.3f}"
            cells[word].append(f"{without:>6} {plain[0] / plain[2]:.3f} {weighted[0] / weighted[1]:.2f}{' ' if ok else '!'}")
    print(" " * 7 + header)
    for word, row in cells.items():
        print(f"{word:7}" + "".join(row))
    print(f"{sum(map(len, cells.values()))} types and sources compared, {wrong} worse")
    return wrong > 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        sys.exit(1 if main(scratch) else 0)
