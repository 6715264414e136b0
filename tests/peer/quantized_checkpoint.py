"""What bitgap quantize packs as compressed-tensors loads in transformers and gives the same logits. Symmetric specs:
transformers 5.23 allots zero points unpacked and so refuses the packed ones that compressed-tensors itself writes."""
import os, subprocess, sys, tempfile
try:
    import compressed_tensors, torch, transformers
    from safetensors.torch import load_file
except ImportError as e:
    print(f"peer not installed: {e.name}")
    sys.exit(77)

ids, model, worst = [34, 266, 79, 372, 220, 16, 414, 50], "data/austen-3.7m", 0.0
for spec in ["uniform:bits=4,scope=128", "uniform:bits=8,scope=channel"]:
    with tempfile.TemporaryDirectory() as folder:
        there, logits = os.path.join(folder, "q"), os.path.join(folder, "l.safetensors")
        subprocess.run([os.environ["BITGAP"], "quantize", model, "-q", spec, "-o", there], check=True)
        subprocess.run([os.environ["BITGAP"], "run", there, "--ids", ",".join(map(str, ids)), "-o", logits], check=True)
        peer = transformers.AutoModelForCausalLM.from_pretrained(there, dtype=torch.float32)
        with torch.no_grad():
            theirs = peer(torch.tensor([ids])).logits[0]
        difference = (load_file(logits)["logits"] - theirs).abs().max().item()
    worst = max(worst, difference)
    print(f"{spec}: logits differ by at most {difference:.2g}")
sys.exit(0 if worst < 2e-4 else 1)
