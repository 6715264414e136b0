#!/usr/bin/env python3
"""The recipes that bitgap allocate writes, each carried out by the engine it is for: every matrix must end with its bits.

llama.cpp      llama_model_quantize of the package llama_cpp, the lines' patterns as its tensor overrides; and llama-quantize, which
               reads the lines as a shell passes them, where PATH has it
AutoRound      layer_config of auto_round's AutoRound, nearest rounding, saved: group and symmetry in the configuration, the index
               bits that bitgap audit finds, and the values, to the bit those of the engine's torch kernel
llm-compressor oneshot with the YAML as its recipe on a few sequences, saved: the schemes of its modules, the index bits that
               bitgap audit finds in the files, and the values, to the bit those of the engine's own model
exllamav3      the collections of its loader/safetensors.py as util/recompile.py uses them (its kernels need CUDA and are left out)
               over directories that hold an exl3 layer's tensor names
"""
import ctypes
import importlib.machinery
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import types

os.environ.setdefault("HF_HUB_OFFLINE", "1")
MODEL, TEXT = "data/austen-3.7m", "data/text/calib.txt"
# what may be chosen, and a budget: bits from 1, with zero points; rows, without; bits up to 8, with
CASES = [("uniform:bits=1..8,scope=128,zero=asym", 2.2), ("uniform:bits=2..8,scope=channel", 4.5), ("uniform:bits=2..8,scope=64,zero=asym", 7.6)]
said, agreed, wrong, left_out = [], 0, 0, set()


def report(what, got, wanted):
    global agreed, wrong
    differ = [n for n in sorted(set(got) | set(wanted)) if got.get(n) != wanted.get(n)]
    agreed += not differ
    wrong += bool(differ)
    said.append(f"{'DISAGREES' if differ else 'agrees   '} {what}: {len(wanted)} tensors" +
                (f", {differ[0]} is {got.get(differ[0])}, not {wanted.get(differ[0])}" if differ else ""))


def has(*modules):
    missing = [m for m in modules if importlib.util.find_spec(m) is None]
    left_out.update(missing)
    return not missing


def bitgap(*words):
    subprocess.run([os.environ["BITGAP"], *words, "--quiet"], check=True)


class Recipe:
    def __init__(self, folder, spec, budget):
        bitgap("curve", MODEL, "-q", spec, "-o", f"{folder}/curves.json")
        bitgap("allocate", f"{folder}/curves.json", "--quantizer", re.sub(r"bits=[^,]*,", "", spec), "--budget", str(budget),
               "-o", f"{folder}/allocation.json")
        with open(f"{folder}/allocation.json") as f:
            document = json.load(f)
        self.name = f"{re.sub('uniform:bits=[^,]*,', '', spec)} at {budget} bits"
        self.bits = {t["tensor"].removesuffix(".weight"): round(t["bits"]) for t in document["layers"]}
        self.layers = {n: b for n, b in self.bits.items() if ".layers." in n}
        scope = re.search("scope=([a-z0-9]*)", spec)[1]
        self.group, self.symmetric = -1 if scope == "channel" else int(scope), "asym" not in spec
        self.lines = {}
        for row in document["recipes"]:
            self.lines.setdefault(row["engine"], []).append(row["line"])


# ---- llama.cpp ----

GGUF_NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
              "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}


def gguf_name(module):
    parts = module.split(".")
    return f"blk.{parts[2]}.{GGUF_NAMES['.'.join(parts[3:])]}.weight" if "layers" in parts else "token_embd.weight"


def gguf_type(bits):
    return {1: "Q2_K", 2: "Q2_K", 3: "Q3_K", 4: "Q4_K", 5: "Q5_K", 6: "Q6_K", 7: "Q6_K", 8: "Q8_0"}[bits]


def matrix_types(path):
    import gguf
    return {t.name: t.tensor_type.name for t in gguf.GGUFReader(path).tensors if len(t.shape) == 2}


def quantize_by_library(source, out, words):
    import gguf
    import llama_cpp as l
    p, overrides = l.llama_model_quantize_default_params(), []
    p.ftype, p.allow_requantize = l.LLAMA_FTYPE_MOSTLY_Q4_0, True
    for option, value in zip(words[::2], words[1::2]):
        kind = gguf.GGMLQuantizationType[value.rpartition("=")[2].upper()]
        if option == "--tensor-type":
            overrides.append((value.rpartition("=")[0].encode(), kind))
        elif option == "--token-embedding-type":
            p.token_embedding_type = kind
        else:
            sys.exit(f"no field of the parameters for {option}")
    p.tt_overrides = (l.llama_model_tensor_override * (len(overrides) + 1))(*overrides)
    if l.llama_model_quantize(source.encode(), out.encode(), ctypes.byref(p)):
        sys.exit("llama_model_quantize failed")


def llama_cpp(folder, recipes):
    if not has("llama_cpp", "gguf"):
        return
    import llama_cpp as l
    silence = l.llama_log_callback(lambda level, text, data: None)
    l.llama_log_set(silence, None)
    source, out, program = f"{folder}/f/model.gguf", f"{folder}/out.gguf", shutil.which("llama-quantize")
    with open(f"{folder}/one", "w") as f: # the others stay as they are
        f.write("layers.0.self_attn.v_proj q8_0\n")
    bitgap("quantize", MODEL, "--recipe", f"{folder}/one", "--layout", "gguf", "--dtype", "f32", "-o", f"{folder}/f")
    for recipe in recipes:
        wanted = {gguf_name(n): gguf_type(b) for n, b in recipe.bits.items()}
        words = shlex.split(" ".join(recipe.lines["llama.cpp"]))
        quantize_by_library(source, out, words)
        report(f"llama.cpp's library, {recipe.name}", matrix_types(out), wanted)
        if program:
            subprocess.run([program, "--allow-requantize", *words, source, out, "Q4_0"], check=True, capture_output=True)
            report(f"llama-quantize, {recipe.name}", matrix_types(out), wanted)
    if not program:
        left_out.add("llama-quantize")


# ---- AutoRound ----

def sequences(tokenizer, n, length):
    with open(TEXT) as f:
        ids = tokenizer(f.read()[:8 * n * length])["input_ids"]
    return [ids[i * length:(i + 1) * length] for i in range(n)]


def peer_model():
    import torch
    import transformers
    return (transformers.AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32),
            transformers.AutoTokenizer.from_pretrained(MODEL))


def index_bits(folder, there):
    bitgap("audit", MODEL, there, "-o", f"{folder}/audit.json")
    with open(f"{folder}/audit.json") as f:
        return {t["tensor"].removesuffix(".weight"): t["index_bits"] for t in json.load(f)["tensors"] if t["state"] == "quantized"}


def values(folder, there):
    from safetensors.torch import load_file
    bitgap("export", there, "--include", "_proj.weight", "-o", f"{folder}/values.safetensors")
    return {n.removesuffix(".weight"): w for n, w in load_file(f"{folder}/values.safetensors").items()}


def saved_by_auto_round(folder, there):
    """Of each matrix: index bits, group, symmetry, whether Bitgap reads the values that the kernel multiplies with."""
    import torch
    from auto_round_extension.torch import qlinear_torch, qlinear_torch_zp
    from safetensors.torch import load_file
    with open(f"{there}/config.json") as f:
        method = json.load(f)["quantization_config"]
    kernel = (qlinear_torch_zp if method["packing_format"] == "auto_round:auto_gptq" else qlinear_torch).QuantLinear
    out, bits, mine, tensors = {}, index_bits(folder, there), values(folder, there), load_file(f"{there}/model.safetensors")
    for module, w in mine.items():
        own = {**method, **method["extra_config"].get(module, {})}
        layer = kernel(own["bits"], own["group_size"], w.shape[1], w.shape[0], False)
        layer.qweight, layer.qzeros = tensors[f"{module}.qweight"], tensors[f"{module}.qzeros"]
        layer.scales = tensors[f"{module}.scales"].float()
        layer.post_init()
        out[module] = bits.get(module), own["group_size"], own["sym"], torch.equal(layer(torch.eye(w.shape[1])).T, w)
    return out


def auto_round(folder, recipes):
    if not has("auto_round", "cpuinfo", "datasets"):
        return
    import torch
    from auto_round import AutoRound
    for recipe in recipes:
        model, tokenizer = peer_model()
        layers = json.loads("\n".join(recipe.lines["AutoRound"]))
        data = [torch.tensor([ids]) for ids in sequences(tokenizer, 4, 128)]
        there = f"{folder}/auto-round"
        shutil.rmtree(there, ignore_errors=True)
        AutoRound(model, tokenizer, sym=recipe.symmetric, layer_config=layers, iters=0, disable_opt_rtn=True, dataset=data, seqlen=128,
                  nsamples=4, device_map="cpu").quantize_and_save(output_dir=there, format="auto_round")
        if "config.json" not in os.listdir(there): # a directory of its own in it
            there = os.path.join(there, os.listdir(there)[0])
        report(f"AutoRound, {recipe.name}", saved_by_auto_round(folder, there),
               {n: (max(b, 2), recipe.group, recipe.symmetric or b == 8, True) for n, b in recipe.layers.items()})


# ---- llm-compressor ----

def llm_compressor(folder, recipes):
    if not has("llmcompressor", "datasets"):
        return
    import datasets
    import torch
    from llmcompressor import oneshot
    for recipe in recipes:
        model, tokenizer = peer_model()
        data = datasets.Dataset.from_list([{"input_ids": ids} for ids in sequences(tokenizer, 4, 128)])
        there = f"{folder}/llm-compressor"
        shutil.rmtree(there, ignore_errors=True)
        with open(f"{folder}/recipe.yaml", "w") as f:
            f.write("\n".join(recipe.lines["llm-compressor"]))
        oneshot(model=model, dataset=data, recipe=f"{folder}/recipe.yaml", max_seq_length=128, num_calibration_samples=4)
        modules = {n: m for n, m in model.named_modules() if hasattr(m, "quantization_scheme")}
        schemes = {n: m.quantization_scheme.weights for n, m in modules.items()}
        theirs = {n: m.weight.detach().clone() for n, m in modules.items()}
        model.save_pretrained(there, save_compressed=True)
        stored, mine = index_bits(folder, there), values(folder, there)
        report(f"llm-compressor, {recipe.name}",
               {n: (w.num_bits, w.group_size or -1, w.symmetric, stored.get(n), torch.equal(mine[n], theirs[n]))
                for n, w in schemes.items()},
               {n: (b, recipe.group, recipe.symmetric, b, True) for n, b in recipe.layers.items()})


# ---- exllamav3 ----

def collections():
    """loader/safetensors.py with what it imports of the kernels left empty."""
    root = importlib.util.find_spec("exllamav3").submodule_search_locations[0]
    names = {"": {}, ".loader": {}, ".util": {"Timer": None}, ".ext": {"exllamav3_ext": None}}
    for name, members in names.items():
        module = types.ModuleType("exllamav3" + name)
        module.__path__ = [os.path.join(root, *name.split("."))]
        module.__dict__.update(members)
        sys.modules["exllamav3" + name] = module
    loader = importlib.machinery.SourceFileLoader("exllamav3.loader.safetensors", os.path.join(root, "loader", "safetensors.py"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    sys.modules[loader.name] = module
    loader.exec_module(module)
    return module.SafetensorsCollection, module.VariantSafetensorsCollection


def exllamav3(folder, recipes):
    if not has("exllamav3", "yaml", "torch"):
        return
    import torch
    import yaml
    from safetensors.torch import save_file
    plain, variant = collections()
    for recipe in recipes:
        wanted = {f"{n}.{part}": b for n, b in recipe.layers.items() for part in ("trellis", "suh", "svh")}
        others = {"model.embed_tokens.weight": 0, "model.norm.weight": 0, "lm_head.trellis": 0}
        others.update({re.sub(r"self_attn.q_proj.suh$", "input_layernorm.weight", n): 0 for n in wanted if "q_proj.suh" in n})
        document = yaml.safe_load("\n".join(recipe.lines["exllamav3"]))
        directories = {s["id"]: os.path.join(folder, s["model_dir"]) for s in document["sources"]}
        for directory in [f"{folder}/main", *directories.values()]:
            os.makedirs(directory, exist_ok=True)
            save_file({n: torch.zeros(1) for n in [*wanted, *others]}, f"{directory}/model.safetensors")
        mixed = variant(plain(f"{folder}/main"))
        for source, directory in directories.items():
            mixed.add_stc([o["key"] for o in document["overrides"] if o["source"] == source], plain(directory))
        found = {n: os.path.basename(mixed.find_stc(n).directory) for n in [*wanted, *others]}
        report(f"exllamav3, {recipe.name}", found,
               {n: f"MODEL-exl3-{b}bpw" if b else "main" for n, b in {**wanted, **others}.items()})


def main():
    with tempfile.TemporaryDirectory() as folder:
        recipes = [Recipe(folder, spec, budget) for spec, budget in CASES]
        for engine in (llama_cpp, exllamav3):
            engine(folder, recipes)
        if has("torch", "transformers", "safetensors"):
            for engine in (auto_round, llm_compressor):
                engine(folder, recipes)
    print("\n".join(said)) # after all that the engines print
    if left_out:
        print("not installed: " + " ".join(sorted(left_out)))
    print(f"{agreed} agree, {wrong} disagree")
    return 1 if wrong else 0 if agreed else 77


if __name__ == "__main__":
    sys.exit(main())
