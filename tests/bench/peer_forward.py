"""bench_forward's work by others: a prompt of 512 tokens through the 135M-parameter shape, every logit.

    peer_forward.py DATA [OURS]    DATA holds llama-135m (tests/bench/make_checkpoint --135m); OURS is what bench_forward printed

Lines as bench_forward prints them: what, value, unit, how many times as fast bitgap is. Least of five, without imports and
loading. llama.cpp reads GGUF files of the same weights, made beside the checkpoint once.
"""
import os
import sys
import time

TOKENS = 512


def prompt(vocabulary):
    return [(i * 7919 + 13) % vocabulary for i in range(TOKENS)]


def least(work, repeats=5):
    work()
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def transformers(path):
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
    ids = torch.tensor([prompt(model.config.vocab_size)])
    with torch.inference_mode():
        return least(lambda: model(ids, use_cache=False).logits)


NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
         "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}


def gguf_name(name):
    parts = name.removeprefix("model.").removesuffix(".weight").split(".", 2)
    if parts[0] == "layers":
        return f"blk.{parts[1]}.{NAMES[parts[2]]}.weight"
    return {"embed_tokens": "token_embd.weight", "norm": "output_norm.weight", "lm_head": "output.weight"}[parts[0]]


def pairs_together(w, heads):
    """llama.cpp turns neighbouring elements of a head, Hugging Face's files hold the halves apart."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, w.shape[1]).swapaxes(1, 2).reshape(w.shape)


def write_gguf(path, folder, dtype):
    import json

    import gguf
    import torch
    from safetensors.torch import load_file

    with open(f"{folder}/config.json") as f:
        c = json.load(f)
    g = gguf.GGUFWriter(path + ".new", "llama")
    g.add_block_count(c["num_hidden_layers"])
    g.add_context_length(c["max_position_embeddings"])
    g.add_embedding_length(c["hidden_size"])
    g.add_feed_forward_length(c["intermediate_size"])
    g.add_head_count(c["num_attention_heads"])
    g.add_head_count_kv(c["num_key_value_heads"])
    g.add_layer_norm_rms_eps(c["rms_norm_eps"])
    g.add_rope_freq_base(c.get("rope_theta", 10000.0))
    g.add_rope_dimension_count(c["hidden_size"] // c["num_attention_heads"])
    g.add_vocab_size(c["vocab_size"])
    g.add_tokenizer_model("none")
    for file in sorted(f for f in os.listdir(folder) if f.endswith(".safetensors")):
        for name, tensor in load_file(f"{folder}/{file}").items():
            w = tensor.to(torch.float32).numpy()
            if "q_proj" in name or "k_proj" in name:
                w = pairs_together(w, c["num_attention_heads" if "q_proj" in name else "num_key_value_heads"])
            g.add_tensor(gguf_name(name), w.astype(dtype if w.ndim > 1 else "float32"))
    g.write_header_to_file()
    g.write_kv_data_to_file()
    g.write_tensors_to_file()
    g.close()
    os.rename(path + ".new", path)


def llama(folder, dtype):
    import llama_cpp as l

    path = f"{folder}-{dtype}.gguf"
    if not os.path.exists(path):
        write_gguf(path, folder, dtype)
    silence = l.llama_log_callback(lambda level, text, data: None)  # lives as long as llama.cpp may call it
    l.llama_log_set(silence, None)
    l.llama_backend_init()
    model = l.llama_model_load_from_file(path.encode(), l.llama_model_default_params())
    p = l.llama_context_default_params()
    p.n_ctx = p.n_batch = p.n_ubatch = TOKENS
    p.n_threads = p.n_threads_batch = len(os.sched_getaffinity(0))
    context = l.llama_init_from_model(model, p)
    ids = prompt(l.llama_vocab_n_tokens(l.llama_model_get_vocab(model)))
    batch = l.llama_batch_init(TOKENS, 0, 1)
    batch.n_tokens = TOKENS
    for i, token in enumerate(ids):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = token, i, 1, 0, 1

    def work():
        l.llama_memory_clear(l.llama_get_memory(context), True)
        if l.llama_decode(context, batch):
            sys.exit("llama.cpp: decode failed")
        l.llama_get_logits_ith(context, TOKENS - 1)

    return least(work)


def ours(path):
    with open(path) as f:
        return next(float(line.split("\t")[1]) for line in f if line.startswith(f"prompt of {TOKENS} tokens, all logits\t"))


def main(root, results=None):
    folder = root + "/llama-135m"
    for name, run in (("transformers float32", lambda: transformers(folder)), ("llama.cpp f32", lambda: llama(folder, "float32")),
                      ("llama.cpp f16", lambda: llama(folder, "float16"))):
        try:
            rate = TOKENS / run()
            print(f"prompt of {TOKENS} tokens, all logits, {name}\t{rate:.1f}\ttokens/s" +
                  (f"\tbitgap is {ours(results) / rate:.2f} times as fast" if results else ""), flush=True)
        except ImportError as e:
            print(f"prompt of {TOKENS} tokens, {name}\tskipped: {e.name}\t")


if __name__ == "__main__":
    main(*sys.argv[1:])
