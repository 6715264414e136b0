/* Owns the presets (well-known names as one spec each) and the aliases (names of sets). */
#include "quant/spec.h"

#define GPTQ "Frantar et al. 2022, arXiv 2210.17323"
#define QLORA "Dettmers et al. 2023 (QLoRA), arXiv 2305.14314"
#define OCP "OCP Microscaling Formats v1.0"

const bg_preset bg_presets[] = {
    {"rtn", "uniform:scope=128,zero=asym", "round to nearest, min-max groups of 128", GPTQ},
    {"int8", "uniform:bits=8,scope=channel", "symmetric 8 bits, one scale a row", "Dettmers et al. 2022, arXiv 2208.07339"},
    {"nf4", "nf:bits=4", "NormalFloat in blocks of 64, float32 maxima", QLORA},
    {"fp4", "fp:kind=bnb,scale=f32", "bitsandbytes' FP4 in blocks of 64, float32 maxima", QLORA},
    {"mxfp4", "fp:kind=e2m1,scope=32,scale=e8m0", "E2M1 in blocks of 32, power-of-two scales", OCP},
    {"mxfp6", "fp:kind=e2m3,scope=32,scale=e8m0", "E2M3 in blocks of 32, power-of-two scales", OCP},
    {"mxfp8", "fp:kind=e4m3,scope=32,scale=e8m0", "E4M3 in blocks of 32, power-of-two scales", OCP},
    {"nvfp4", "fp:kind=e2m1,scope=16,scale=e4m3", "E2M1 in blocks of 16, E4M3 scales under one of the tensor",
     "NVIDIA ModelOpt, NVFP4"},
    {"fp8", "fp:kind=e4m3,scope=channel,scale=f32", "E4M3, one scale a row", "Micikevicius et al. 2022, arXiv 2209.05433"},
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
     "uniform:" WIDTHS ",scope=tensor/32/128 uniform:" WIDTHS ",zero=asym uniform:" WIDTHS ",clip=3sigma lloyd:" WIDTHS},
    {"vector", "k-means codebooks: vectors, products, residuals",
     "vq:dim=2,bits=1/2/3/4 vq:dim=4,bits=1/2 vq:dim=8,bits=1 pq:dim=8,parts=4,bits=1/2/3 rvq:dim=4,stages=2,bits=1/2/3"},
    {"deployed", "formats that are shipped", "rtn int8 nf4 nf4:double=true fp4 mxfp4 nvfp4 fp8"},
    {"all", "every alias together", "scalar vector deployed pot:bits=2..6 apot:bits=2..6"},
    {0},
};
