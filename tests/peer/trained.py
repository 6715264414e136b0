#!/usr/bin/env python3
"""Perplexity of the trained models and the effect of simple quantizers, against the torch run that made data/*/expected.json:
the same forty windows of the test text, the same definitions of each quantizer.

Tolerance: 1e-6 of each figure (float32 sums in another order over 20,480 tokens; seen: 2e-7, and 1e-6 for the divergence of
int8, which is 1e-4 nats). Ties fall alike on both sides: one weight in 500 of these bf16 models lies exactly between two points
of an asymmetric 4-bit grid, and taking the other one moves the perplexity by 1e-3.
"""
import json
import os
import subprocess
import sys
import tempfile

SPECS = {
    "int8_rtn_channel": "uniform:bits=8,scope=channel,scale=f32",
    "int4_rtn_channel": "uniform:bits=4,scope=channel,scale=f32",
    "int3_rtn_channel": "uniform:bits=3,scope=channel,scale=f32",
    "int4_sym_g128": "uniform:bits=4,scope=128,scale=f32",
    "int4_asym_g128": "uniform:bits=4,scope=128,zero=asym,scale=f32",
    "nf4_b64": "nf4:scope=64,scale=f32",
}


def logits(model, *arguments):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "logits.json")
        subprocess.run([os.environ["BITGAP"], "logits", model, "-q", *arguments, "--text", "data/text/test.txt", "--windows", "40",
                        "--context", "512", "--no-noise", "--quiet", "-o", out], check=True)
        with open(out) as f:
            return json.load(f)


def check(model):
    with open(f"{model}/expected.json") as f:
        expected = json.load(f)
    got = logits(model, *SPECS.values())
    wrong = 0

    def compare(what, mine, theirs, relative, absolute=0.0):
        nonlocal wrong
        if abs(mine - theirs) > relative * abs(theirs) + absolute:
            wrong += 1
            print(f"{model} {what}: {mine:.8g}, torch {theirs:.8g}")

    compare("perplexity", got["texts"][0]["perplexity"], expected["perplexity"]["ppl"], 1e-6)
    rows = {r["spec"]: r for r in got["rows"]}
    for name, row in zip(SPECS, got["rows"]):
        want = expected["quantization"]["methods"][name]
        compare(name + " weight MSE", row["weight_mse"], want["weight_mse"], 1e-6)
        compare(name + " logits MSE", row["logits_mse"], want["logits_mse"], 1e-6)
        compare(name + " KL", row["kl_mean"], want["kl"], 1e-6, 1e-9)
        compare(name + " same top", row["same_top"], want["top1"], 0, 1e-4)
        compare(name + " perplexity", row["perplexity"], want["ppl"], 1e-6)
    row = logits(model, SPECS["int4_rtn_channel"], "--embeddings")["rows"][0]
    want = expected["quantization"]["methods"]["int4_rtn_channel_embed"]
    compare("embeddings too, KL", row["kl_mean"], want["kl"], 1e-6)
    compare("embeddings too, perplexity", row["perplexity"], want["ppl"], 1e-6)
    print(f"{model}: perplexity {got['texts'][0]['perplexity']:.4f}, {len(rows) + 1} quantizers compared, {wrong} differ")
    return wrong


if __name__ == "__main__":
    sys.exit(1 if sum(check(m) for m in ("data/austen-0.9m-qwen2", "data/austen-3.7m")) else 0)
