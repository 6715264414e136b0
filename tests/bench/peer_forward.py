"""bench_forward's work by others: a prompt of 512 tokens through the 135M-parameter shape in float32, every logit.

    peer_forward.py DATA       DATA holds llama-135m (tests/bench/make_checkpoint --135m)

Lines as bench_forward prints them: what, value, unit. Least of five, without imports and loading.
"""
import sys
import time

TOKENS = 512


def least(work, repeats=5):
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
    ids = torch.tensor([[(i * 7919 + 13) % model.config.vocab_size for i in range(TOKENS)]])
    with torch.inference_mode():
        return least(lambda: model(ids, use_cache=False).logits)


def main(root):
    try:
        seconds = transformers(root + "/llama-135m")
        print(f"prompt of {TOKENS} tokens, all logits, transformers float32\t{TOKENS / seconds:.1f}\ttokens/s")
    except ImportError as e:
        print(f"prompt of {TOKENS} tokens, transformers\tskipped: {e.name}\t")


if __name__ == "__main__":
    main(sys.argv[1])
