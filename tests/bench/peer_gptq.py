"""GPTQModel's own quantizer on the layer that bench_gptq left behind: the same inputs, weights, grid and damping.

    peer_gptq.py DATA [COLUMNS…]     DATA holds gptq-COLUMNS.x and .w; default 2048

Lines: what, value, unit, remark. The output error is tr((W−Ŵ)Σ(W−Ŵ)ᵀ)/tr(WΣWᵀ) as bench_gptq prints it. Start and imports are
left out.
"""
import os
import sys
import time

import numpy as np

ROWS, TOKENS, BLOCKS, ROUNDS = 2048, 512, 8, 16


def layer(root, cols, mse):
    import torch
    from gptqmodel.looper.named_module import NamedModule
    from gptqmodel.quantization.config import QuantizeConfig
    from gptqmodel.quantization.gptq import GPTQ

    torch.set_num_threads(os.cpu_count())
    x = torch.from_numpy(np.fromfile(os.path.join(root, f"gptq-{cols}.x"), np.float32).reshape(BLOCKS, 1, TOKENS, cols))
    w = torch.from_numpy(np.fromfile(os.path.join(root, f"gptq-{cols}.w"), np.float32).reshape(ROWS, cols))
    linear = torch.nn.Linear(cols, ROWS, bias=False)
    linear.weight.data.copy_(w)
    module = NamedModule(linear, name="l", full_name="model.layers.0.l", layer_index=0)
    task = GPTQ(module, QuantizeConfig(bits=4, group_size=128, desc_act=False, sym=True, damp_percent=0.05, mse=mse))
    task.quantizer.configure(perchannel=True)
    start = time.perf_counter()
    for i in range(BLOCKS * ROUNDS):
        task.add_batch(x[i % BLOCKS], None)
    moment = time.perf_counter() - start
    q = task.quantize(blocksize=128)[0].float()
    seconds = time.perf_counter() - start
    flat = x.reshape(-1, cols).double()
    error = float(((flat @ (w - q).double().t()) ** 2).sum() / ((flat @ w.double().t()) ** 2).sum())
    name = f"gptq {cols}: GPTQModel" + (f", mse={mse}" if mse else "")
    print(name, f"{seconds:.2f}", "s", f"second moment {moment:.2f} s, output error {error:.6f} of the signal", sep="\t",
          flush=True)


def main(root, columns):
    for cols in columns or [2048]:
        for mse in (0.0, 2.0) if cols == 2048 else (0.0,):
            try:
                layer(root, cols, mse)
            except ImportError as e:
                print(f"gptq {cols}: GPTQModel", "skipped", e.name or e, sep="\t", flush=True)
                return


if __name__ == "__main__":
    main(sys.argv[1], [int(c) for c in sys.argv[2:]])
