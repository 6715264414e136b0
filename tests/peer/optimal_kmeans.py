"""Optimal 1-D k-means of real weights: `kmeans` levels of Bitgap against PyPI's kmeans1d, and nothing below its optimum."""
import json, os, subprocess, sys
try:
    import kmeans1d, numpy, torch
    from safetensors import safe_open
except ImportError as e:
    print(f"peer not installed: {e.name}")
    sys.exit(77)

model = "data/austen-3.7m"
wanted = ["model.layers.0.mlp.down_proj.weight", "model.layers.1.self_attn.q_proj.weight"]
weights = {}
for file in sorted(f for f in os.listdir(model) if f.endswith(".safetensors")):
    with safe_open(os.path.join(model, file), "pt") as f:
        weights.update({n: f.get_tensor(n).float().numpy().ravel() for n in wanted if n in f.keys()})
out = subprocess.run([os.environ["BITGAP"], "curve", model, "--include", "|".join(n.replace(".", r"\.") for n in wanted),
                      "-q", "kmeans:bits=2..5,scale=f32", "-o", "-"], check=True, capture_output=True).stdout
worst = 0.0
for p in json.loads(out)["points"]:
    x = weights[p["tensor"]].astype(float)
    best = kmeans1d.cluster(x, 2 ** int(p["bits"]))
    levels = numpy.array(best.centroids)
    cell = numpy.searchsorted((levels[1:] + levels[:-1]) / 2, x)
    mse = numpy.mean((x - levels[cell]) ** 2)
    worst = max(worst, abs(p["mse"] / mse - 1))
    print(f"{p['tensor']} {p['bits']} bits: ours {p['mse']:.9g}, kmeans1d {mse:.9g}")
sys.exit(0 if worst < 1e-6 else 1)
