/* Owns the presets (well-known names as one spec each) and the aliases (names of sets). */
#include "quant/parser/parser.h"

#define GPTQ  "Frantar et al. 2022, arXiv 2210.17323"
#define QLORA "Dettmers et al. 2023 (QLoRA), arXiv 2305.14314"
#define GGML  "ggml-org/ggml, docs/gguf.md and src/ggml-common.h"
#define OCP   "OCP Microscaling Formats v1.0"

const bg_preset bg_presets[] = {
    {"rtn", "uniform:scope=128,zero=asym", "round to nearest, min-max groups of 128", GPTQ},
    {"int8", "uniform:bits=8,scope=channel", "symmetric 8 bits, one scale a row",
     "Dettmers et al. 2022, arXiv 2208.07339"},
    {"nf4", "nf:bits=4", "NormalFloat in blocks of 64, float32 maxima", QLORA},
    {"fp4", "fp:kind=bnb,scale=f32", "bitsandbytes' FP4 in blocks of 64, float32 maxima", QLORA},
    {"mxfp4", "fp:kind=e2m1,scope=32,scale=e8m0", "E2M1 in blocks of 32, power-of-two scales", OCP},
    {"mxfp6", "fp:kind=e2m3,scope=32,scale=e8m0", "E2M3 in blocks of 32, power-of-two scales", OCP},
    {"mxfp8", "fp:kind=e4m3,scope=32,scale=e8m0", "E4M3 in blocks of 32, power-of-two scales", OCP},
    {"nvfp4", "fp:kind=e2m1,scope=16,scale=e4m3", "E2M1 in blocks of 16, E4M3 scales under one of the tensor",
     "NVIDIA ModelOpt, NVFP4"},
    {"fp8", "fp:kind=e4m3,scope=channel,scale=f32", "E4M3, one scale a row",
     "Micikevicius et al. 2022, arXiv 2209.05433"},
    {"q4_0", "gguf:type=q4_0", "GGUF Q4_0, 4.5 bits a weight", GGML},
    {"q4_1", "gguf:type=q4_1", "GGUF Q4_1, 5 bits a weight", GGML},
    {"q5_0", "gguf:type=q5_0", "GGUF Q5_0, 5.5 bits a weight", GGML},
    {"q5_1", "gguf:type=q5_1", "GGUF Q5_1, 6 bits a weight", GGML},
    {"q8_0", "gguf:type=q8_0", "GGUF Q8_0, 8.5 bits a weight", GGML},
    {"iq4_nl", "gguf:type=iq4_nl", "GGUF IQ4_NL, 4.5 bits a weight", GGML},
    {"iq4_xs", "gguf:type=iq4_xs", "GGUF IQ4_XS, 4.25 bits a weight", GGML},
    {"tq1_0", "gguf:type=tq1_0", "GGUF TQ1_0, 1.6875 bits a weight", GGML},
    {"tq2_0", "gguf:type=tq2_0", "GGUF TQ2_0, 2.0625 bits a weight", GGML},
    {"q2_k", "gguf:type=q2_k", "GGUF Q2_K, 2.625 bits a weight", GGML},
    {"q3_k", "gguf:type=q3_k", "GGUF Q3_K, 3.4375 bits a weight", GGML},
    {"q4_k", "gguf:type=q4_k", "GGUF Q4_K, 4.5 bits a weight", GGML},
    {"q5_k", "gguf:type=q5_k", "GGUF Q5_K, 5.5 bits a weight", GGML},
    {"q6_k", "gguf:type=q6_k", "GGUF Q6_K, 6.5625 bits a weight", GGML},
    {"gptq", "uniform:scope=128,zero=asym,round=gptq", "error feedback, min-max groups of 128", GPTQ},
    {"watersic", "uniform:step=0.5sigma,code=entropy,round=gptq,steps=water,order=act,percdamp=0.002",
     "error feedback, entropy-coded, steps that share the loss equally", "WaterSIC 2026, arXiv 2603.04956"},
    {"watertrellis", "uniform:step=0.5sigma,code=entropy,round=trellis",
     "error feedback, each column a path of an entropy-coded trellis",
     "Zamir, Kochman & Erez 2008; Fischer & Wang 1992"},
    {"awq", "uniform:scope=128,zero=asym,transform=awq", "salient columns scaled, ranges searched, groups of 128",
     "Lin et al. 2023, arXiv 2306.00978"},
    {"smoothquant", "uniform:bits=8,scope=channel,transform=smooth,activations=8",
     "8-bit weights that took over the activations' range, 8-bit inputs", "Xiao et al. 2022, arXiv 2211.10438"},
    {"llm.int8", "uniform:bits=8,scope=channel,transform=outliers,kind=columns,activations=8",
     "outlier columns in 16 bits, the rest and its inputs in 8", "Dettmers et al. 2022, arXiv 2208.07339"},
    {"palette", "kmeans:bits=4", "the optimal look-up table of the tensor", "Cho et al. 2021 (DKM), arXiv 2108.12659"},
    {"wanda", "uniform:bits=8,scope=channel,transform=prune,by=wanda", "half the weights zero, the rest in 8 bits",
     "Sun et al. 2023, arXiv 2306.11695"},
    {"sparsegpt", "uniform:bits=8,scope=channel,transform=prune,by=sparsegpt",
     "half the weights zero with error feedback, the rest in 8 bits", "Frantar & Alistarh 2023, arXiv 2301.00774"},
    {0},
};

#define WIDTHS "bits=2/3/4/5/6/8"

const bg_alias bg_aliases[] = {
    {"scalar", "every scalar quantizer of the default sweep at 2, 3, 4, 5, 6 and 8 bits",
     "uniform:" WIDTHS ",scope=tensor/channel/32/64/128 "
     "uniform:" WIDTHS ",scope=tensor/channel/32/64/128,zero=asym "
     "uniform:" WIDTHS ",scope=tensor/128,step=range "
     "uniform:" WIDTHS ",clip=3sigma/mse "
     "lloyd:" WIDTHS " lloyd:" WIDTHS ",iterations=20 kmeans:" WIDTHS " "
     "nf4 nf4:double=true fp4"},
    {"notebook", "the sweep of a typical notebook: per tensor, 3 sigma, groups, Lloyd-Max, six widths",
     "uniform:" WIDTHS ",scope=tensor/32/128 uniform:" WIDTHS ",zero=asym uniform:" WIDTHS
     ",clip=3sigma lloyd:" WIDTHS},
    {"vector", "k-means codebooks: vectors, products, residuals",
     "vq:dim=2,bits=2/3/4 vq:dim=4,bits=1/2 vq:dim=8,bits=1 pq:dim=8,parts=4,bits=2/3 rvq:dim=4,stages=2,bits=1/2"},
    {"coded", "codes that come near the bound: entropy-coded scalars, lattices, trellises",
     "ecsq:rate=1/2/3/4 tcq:bits=1/2/3/4,states=8/256 tcq:rate=1/2/3/4,states=8/256,code=entropy "
     "bitshift:bits=2,L=8/12 e8p "
     "lattice:kind=e8/leech,rate=2/3/4 uniform:step=0.5sigma/1sigma,code=entropy,round=nearest/rdo"},
    {"deployed", "formats that are shipped",
     "rtn int8 nf4 nf4:double=true fp4 mxfp4 nvfp4 fp8 q8_0 q4_0 q4_1 q2_k q3_k q4_k q5_k q6_k iq4_nl iq4_xs"},
    {"calibrated", "the methods that look at activations, at 3 and 4 bits (need --calibration)",
     "gptq:bits=3/4 gptq:bits=3/4,order=act awq:bits=3/4 "
     "uniform:bits=3/4,scope=128,zero=asym,transform=hadamard,round=gptq "
     "gptq:bits=3,transform=outliers nf4:round=gptq smoothquant llm.int8"},
    {"all", "every alias together", "scalar vector coded deployed pot:bits=2..6 apot:bits=2..6"},
    {0},
};
