#!/usr/bin/env python3
"""Makes the golden models of families beyond formats.md: tests/golden/data/models/NAME/{config.json,model.safetensors,
io.safetensors,io.json}. Random weights, transformers' eager attention, weights as stored, arithmetic in float32; io.json
says how far that is from float64.

    python tests/peer/make_models.py --write [FOLDER]    makes them (default tests/golden/data/models)
    python tests/peer/make_models.py                     makes them aside and compares: the same logits as before?
"""
import json
import os
import sys
import tempfile

try:
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import AutoModelForCausalLM, GPTJConfig, GPTNeoXConfig
except ImportError as missing:
    print(f"skipped: {missing.name} is not installed")
    sys.exit(77)

GOLDEN = "tests/golden/data/models"

MODELS = {
    # Pythia: parallel residual, a quarter of each head turns, biases everywhere
    "gpt_neox": (GPTNeoXConfig(vocab_size=256, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                               intermediate_size=64, max_position_embeddings=256, rotary_pct=0.25,
                               use_parallel_residual=True), torch.float16, {}),
    # the sequential form, half of each head, no attention biases, keys as files of transformers 4 have them
    "gpt_neox_sequential": (GPTNeoXConfig(vocab_size=256, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                                          intermediate_size=48, max_position_embeddings=256, rotary_pct=0.5,
                                          rotary_emb_base=500, use_parallel_residual=False, attention_bias=False),
                            torch.bfloat16, {"rotary_pct": 0.5, "rotary_emb_base": 500, "rope_parameters": None}),
    # neighbouring pairs turn, one norm for both branches, a bias on the output matrix
    "gptj": (GPTJConfig(vocab_size=256, n_embd=32, n_layer=2, n_head=2, rotary_dim=8, n_positions=64, n_inner=None),
             torch.float16, {}),
}


def randomise(model, dtype, generator):
    """Weights that make every term matter: matrices scaled by their inputs, norms about 1, biases about 0."""
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=generator)
        if p.dim() > 1:
            p.data = noise * (1.5 / p.shape[1] ** 0.5)
        elif "norm" in name or "ln_" in name:
            p.data = noise * 0.2 + (1.0 if name.endswith("weight") else 0.0)
        else:
            p.data = noise * 0.3
        p.data = p.data.to(dtype).float()  # buffers (rotation tables) stay float32


def run(model, ids):
    with torch.no_grad():
        out = model(input_ids=ids, output_hidden_states=True)
    return out.logits, out.hidden_states


def make(folder, name, config, dtype, replace, seed):
    generator = torch.Generator().manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    randomise(model, dtype, generator)
    # Published Pythia files call the output matrix embed_out, whatever the class does now.
    rename = {"lm_head.weight": "embed_out.weight"} if name.startswith("gpt_neox") else {}
    stored = {rename.get(k, k): v.to(dtype).contiguous() for k, v in model.state_dict().items()}
    ids = torch.randint(0, config.vocab_size, (1, 14), generator=generator)
    logits, hidden = run(model, ids)
    exact, _ = run(model.double(), ids)
    path = os.path.join(folder, name)
    os.makedirs(path, exist_ok=True)
    save_file(stored, os.path.join(path, "model.safetensors"), metadata={"format": "pt"})
    save_file({"input_ids": ids, "logits": logits.contiguous(), "hidden_0": hidden[0].contiguous(),
               "hidden_1": hidden[1].contiguous(), "hidden_last": hidden[-1].contiguous()},
              os.path.join(path, "io.safetensors"))
    written = json.loads(config.to_json_string(use_diff=False))
    for key in ("id2label", "label2id", "chunk_size_feed_forward", "output_attentions", "output_hidden_states",
                "problem_type", "return_dict", "is_decoder", "is_encoder_decoder", "_name_or_path", "dtype"):
        written.pop(key, None)
    written.update(architectures=[type(model).__name__], torch_dtype=str(dtype).removeprefix("torch."))
    for key, value in replace.items():
        written.pop(key, None) if value is None else written.update({key: value})
    with open(os.path.join(path, "config.json"), "w") as f:
        json.dump(written, f, indent=1, sort_keys=True)
    with open(os.path.join(path, "io.json"), "w") as f:
        json.dump({"n_seq": 1, "seq_len": ids.shape[1], "vocab": config.vocab_size,
                   "max_abs_logit": logits.abs().max().item(),
                   "f32_vs_f64_max_abs_diff": (logits.double() - exact).abs().max().item()}, f, indent=1)


def make_all(folder):
    os.umask(0o022)
    for i, (name, (config, dtype, replace)) in enumerate(MODELS.items()):
        make(folder, name, config, dtype, replace, 4100 + i)


def main():
    if "--write" in sys.argv:
        make_all(sys.argv[2] if len(sys.argv) > 2 else GOLDEN)
        return 0
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        make_all(folder)
        for name in MODELS:
            new, old = (load_file(f"{f}/{name}/io.safetensors") for f in (folder, GOLDEN))
            worst = max(worst, (new["logits"] - old["logits"]).abs().max().item())
    print(f"golden logits made again: largest difference {worst:g}")
    return 0 if worst <= 1e-5 else 1


if __name__ == "__main__":
    sys.exit(main())
