/* Residual vector quantization: M stages, each a codebook for what the stages before left; ŵ is the sum of M words and
 * R = M·log2(K)/d. Searched greedily, stage by stage. Cheaper to store and search than one codebook of K^M words, and
 * worse. */
#include "quant/grid/multi_codebook.h"

static const bg_key keys[] = {
    {"dim", BG_KEY_INTEGER, 1, BG_VQ_MAX_DIM, NULL, "4", "weights in a vector, along a row", BG_SPEC_PARAM(dim)},
    {"stages", BG_KEY_INTEGER, 1, 16, NULL, "2", "codebooks, one after the other", BG_PARAM(bg_books_params, stages)},
    {"bits", BG_KEY_NUMBER, 0.015625, 16, NULL, "2", "index bits a weight; bits·dim/stages is a whole number up to 16",
     BG_SPEC_PARAM(bits)},
    {"words", BG_KEY_INTEGER, 2, BG_VQ_MAX_WORDS, NULL, NULL, "codewords of each stage, in place of bits",
     BG_PARAM(bg_books_params, words)},
    BG_BOOKS_KEYS,
    {0},
};

const bg_grid bg_grid_rvq = {
    .name = "rvq",
    .title = "residual vector quantization: stages of codebooks",
    .paper = "Juang and Gray 1982; Chen, Guan and Wang 2010",
    .family = "vector",
    .keys = keys,
    .refuses = "levels zero clip",
    .default_scope = "tensor",
    .kind = BG_GRID_VECTOR,
    .check = bg_books_check,
    .bits = bg_books_bits,
    .train = bg_books_train,
    .tile = bg_books_tile,
    .side = bg_books_side,
    .release = bg_books_release,
};
