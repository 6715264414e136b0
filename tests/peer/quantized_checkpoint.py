"""What bitgap quantize writes, in every layout, loads in the programs that own the layouts: every matrix has the same values there,
to the bit, and the model gives the same logits.

compressed-tensors and bitsandbytes through transformers, GPTQ and AWQ through GPTQModel (and AutoAWQ's own unpacking where it is
installed), GGUF through transformers, the gguf package and llama.cpp. compressed-tensors multiplies in the type of the scales, so
its values are ours in that type; GPTQModel and AutoAWQ are given the stored scales as float32, in which their product is exact.
Logits: where a peer does not compute in float32 (GPTQModel: 16 bits; llama.cpp: 8-bit activations) the root of the mean square
counts; bitsandbytes' CPU product is in bfloat16, so there are only its weights. Asymmetric compressed-tensors files are
loaded with dequantize=True: the package's own allotment of a packed module keeps the zero points unpacked on the meta device
(compressors/pack_quantized/base.py, compress) and so refuses what its compress writes. That way it takes one configuration
group for all modules, so files of several are compared where they are symmetric.
"""
import importlib.util
import json
import os
import subprocess
import sys
import tempfile

MODEL, IDS = "data/austen-3.7m", [34, 266, 79, 372, 220, 16, 414, 50]
TEXT = "It is a truth universally acknowledged, that 1234 people's"
agreed, wrong, left_out = 0, 0, []


def report(what, difference, allowed):
    global agreed, wrong
    ok = difference <= allowed
    agreed += ok
    wrong += not ok
    print(f"{'agrees   ' if ok else 'DISAGREES'} {what}: differ by {difference:.2g}", flush=True)


def bitgap(*words):
    return subprocess.run([os.environ["BITGAP"], *words, "--quiet"], check=True, capture_output=True, text=True).stdout


def has(*modules):
    missing = [m for m in modules if importlib.util.find_spec(m) is None]
    left_out.extend(missing)
    return not missing


def quantize(folder, spec, layout, *words):
    there = os.path.join(folder, "q")
    subprocess.run(["rm", "-rf", there], check=True)
    how = ["-q", spec]
    if " " in spec: # lines of a recipe: matrices with specs of their own
        how = ["--recipe", os.path.join(folder, "recipe")]
        with open(how[1], "w") as f:
            f.write(spec.replace("; ", "\n"))
    bitgap("quantize", MODEL, *how, "--layout", layout, "-o", there, *words)
    return there


def logits(folder, path, ids=IDS):
    from safetensors.torch import load_file
    out = os.path.join(folder, "logits.safetensors")
    bitgap("run", path, "--ids", ",".join(map(str, ids)), "-o", out)
    return load_file(out)["logits"]


def weights(folder, path):
    """Every matrix inside the layers, by module, as Bitgap reads it."""
    from safetensors.torch import load_file
    out = os.path.join(folder, "x.safetensors")
    bitgap("export", path, "--include", "_proj", "-o", out)
    return {n.removesuffix(".weight"): w for n, w in load_file(out).items()}


def compare_weights(what, mine, theirs):
    if set(mine) != set(theirs) or len(mine) != 28:
        sys.exit(f"{what}: {len(mine)} matrices here, {len(theirs)} there")
    report(f"{what}, weights", max((mine[n] - w.float()).abs().max().item() for n, w in theirs.items()), 0)


def modules(model):
    return {n: m for n, m in model.named_modules() if n.endswith("_proj")}


def stored(there, name):
    from safetensors import safe_open
    with open(os.path.join(there, "model.safetensors.index.json")) as f:
        shard = json.load(f)["weight_map"][name]
    with safe_open(os.path.join(there, shard), "pt") as f:
        return f.get_tensor(name)


def with_compressed_tensors(folder):
    import torch
    import transformers
    for spec in ("uniform:bits=4,scope=128", "uniform:bits=8,scope=channel", "uniform:bits=3,scope=tensor",
                 "uniform:bits=7,scope=64,scale=bf16", "uniform:bits=6,scope=32,scale=f32", "uniform:bits=5,scope=128,zero=asym",
                 "uniform:bits=4,scope=128,zero=asym,scale=f32", "uniform:bits=2,scope=32,zero=asym,scale=bf16",
                 "uniform:bits=1,scope=128,zero=asym"):
        there = quantize(folder, spec, "compressed-tensors", "--dtype", "f32")
        peer = transformers.AutoModelForCausalLM.from_pretrained(
            there, dtype=torch.float32, quantization_config=transformers.CompressedTensorsConfig(dequantize=True))
        of = stored(there, "model.layers.0.mlp.up_proj.weight_scale").dtype
        compare_weights(f"transformers, compressed-tensors of {spec}", {n: w.to(of).float() for n, w in weights(folder, there).items()},
                        {n: m.weight.data for n, m in modules(peer).items()})


def with_transformers(folder):
    import torch
    import transformers
    cases = [("uniform:bits=4,scope=128", "compressed-tensors"), ("uniform:bits=8,scope=channel", "compressed-tensors"),
             ("uniform:bits=4,scope=128,zero=asym,scale=f32", "compressed-tensors"),
             ("uniform:bits=3,scope=64,zero=asym,scale=f32", "compressed-tensors"),
             ("self_attn uniform:bits=8,scope=128; 0.mlp uniform:bits=8,scope=channel; down_proj uniform:bits=4,scope=64", "compressed-tensors"),
             ("q8_0", "gguf"), ("q4_0", "gguf"), ("q4_k", "gguf"), ("q6_k", "gguf"), ("self_attn q6_k; mlp q4_k", "gguf")]
    if has("bitsandbytes"):
        import bitsandbytes.functional as bnb
        cases += [("nf4", "bitsandbytes"), ("nf4:double=true", "bitsandbytes"), ("fp4", "bitsandbytes")]
    for spec, layout in cases:
        if not has({"compressed-tensors": "compressed_tensors"}.get(layout, layout)):
            continue
        there, options = quantize(folder, spec, layout, "--dtype", "f32"), {}
        if layout == "gguf":
            options = {"gguf_file": "model.gguf"}
        elif layout == "compressed-tensors" and "zero=asym" in spec:
            options = {"quantization_config": transformers.CompressedTensorsConfig(dequantize=True)}
        peer = transformers.AutoModelForCausalLM.from_pretrained(there, dtype=torch.float32, **options)
        if layout == "bitsandbytes":
            theirs = {n: bnb.dequantize_4bit(m.weight.data, m.weight.quant_state) for n, m in modules(peer).items()}
            compare_weights(f"transformers, bitsandbytes of {spec}", weights(folder, there), theirs)
            continue
        with torch.no_grad():
            theirs = peer(torch.tensor([IDS])).logits[0]
        mine = logits(folder, os.path.join(there, "model.gguf") if layout == "gguf" else there)
        report(f"transformers, {layout} of {spec}", (mine - theirs).abs().max().item(), 2e-4)


def autoawq():
    """AutoAWQ's unpacking; the package as a whole wants a transformers of 2025."""
    where = os.path.join(importlib.util.find_spec("awq").submodule_search_locations[0], "utils", "packing_utils.py")
    module = importlib.util.module_from_spec(importlib.util.spec_from_file_location("packing_utils", where))
    module.__spec__.loader.exec_module(module)
    return module.dequantize_gemm


def with_gptqmodel(folder):
    import torch
    from gptqmodel import BACKEND, GPTQModel
    from gptqmodel.quantization.awq.utils.packing_utils import dequantize_gemm
    unpack = {"GPTQModel": dequantize_gemm}
    if has("awq"):
        unpack["AutoAWQ"] = autoawq()
    known = os.path.join(folder, "calibration.json")
    bitgap("calibrate", MODEL, "--text", "data/text/calib.txt", "--samples", "4", "-o", known)
    for spec, layout in (("uniform:bits=4,scope=128", "gptq"), ("rtn", "gptq"), ("uniform:bits=8,scope=channel", "gptq"),
                         ("uniform:bits=3,scope=128,zero=asym", "gptq"), ("uniform:bits=2,scope=32,zero=asym", "gptq"),
                         ("gptq:order=act", "gptq"), ("gptq:bits=3,order=act", "gptq"), ("rtn", "awq"),
                         ("uniform:bits=4,scope=64", "awq"), ("gptq", "awq")):
        there = quantize(folder, spec, layout, *(["--calibration", known] if spec.startswith("gptq") else []))
        peer = GPTQModel.load(there, device="cpu", backend=BACKEND.TORCH, dtype=torch.float16)
        with torch.no_grad():
            theirs = peer.model(torch.tensor([IDS])).logits[0].float()
        report(f"GPTQModel, {layout} of {spec}, r.m.s.", (logits(folder, there) - theirs).pow(2).mean().sqrt().item(), 0.01)
        mine, layers = weights(folder, there), modules(peer.model)
        for m in layers.values():
            m.scales = m.scales.float()
        if layout == "gptq":
            compare_weights(f"GPTQModel, {layout} of {spec}", mine, {n: m.dequantize_weight().T for n, m in layers.items()})
        for name, function in unpack.items() if layout == "awq" else ():
            compare_weights(f"{name}, {layout} of {spec}", mine,
                            {n: function(m.qweight, m.qzeros, m.scales, m.bits, m.group_size).T for n, m in layers.items()})


def with_gguf_package(folder):
    import gguf
    import numpy
    from safetensors.numpy import load_file
    for kind in ("q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq4_nl", "iq4_xs", "tq1_0", "tq2_0",
                 "gguf:type=mxfp4", "gguf:type=nvfp4"):
        path, out = os.path.join(quantize(folder, kind, "gguf"), "model.gguf"), os.path.join(folder, "x.safetensors")
        bitgap("export", path, "--include", "layers.1.mlp.down_proj", "-o", out)
        mine = load_file(out)["model.layers.1.mlp.down_proj.weight"]
        theirs = [gguf.dequantize(t.data, t.tensor_type) for t in gguf.GGUFReader(path).tensors
                  if t.name == "blk.1.ffn_down.weight"][0].reshape(mine.shape)
        report(f"gguf package, weights of {kind}", float(numpy.abs(mine - theirs).max()), 0)


def with_llama_cpp(folder):
    import numpy
    from llama_cpp import Llama
    for kind in ("q4_0", "q8_0", "q2_k", "q4_k", "q6_k", "iq4_xs", "gguf:type=mxfp4", "uniform:bits=5,scope=32,zero=min"):
        path = os.path.join(quantize(folder, kind, "gguf"), "model.gguf")
        peer = Llama(path, logits_all=True, verbose=False, n_ctx=256, n_threads=2)
        ids = peer.tokenize(TEXT.encode(), add_bos=True, special=False)
        if ids != json.loads(bitgap("tokenize", MODEL, TEXT)):
            report(f"llama.cpp, tokens of {kind}", float("inf"), 0)
        peer.eval(ids)
        mine, theirs = logits(folder, path, ids).numpy(), numpy.array(peer.scores[:len(ids)])
        report(f"llama.cpp, {kind}, r.m.s.", float(numpy.sqrt(((mine - theirs) ** 2).mean())), 0.1)


def main():
    if not has("torch", "transformers", "safetensors"):
        print("peers not installed: " + " ".join(left_out))
        return 77
    with tempfile.TemporaryDirectory() as folder:
        with_transformers(folder)
        if has("compressed_tensors"):
            with_compressed_tensors(folder)
        if has("gguf"):
            with_gguf_package(folder)
        if has("llama_cpp"):
            with_llama_cpp(folder)
        if has("gptqmodel", "PIL"):
            with_gptqmodel(folder)
    if left_out:
        print("not installed: " + " ".join(sorted(set(left_out))))
    print(f"{agreed} agree, {wrong} disagree")
    return 1 if wrong else 0 if agreed else 77


if __name__ == "__main__":
    sys.exit(main())
