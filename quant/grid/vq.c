/* Vector quantization: K words of dimension d in place of K^(1/d) levels, R = log2(K)/d.
 *
 * At high rate the distortion is G_d·‖p‖_{d/(d+2)}·2^(−2R) (Zador 1982): for the Gaussian a gap of 0.722, 0.506, 0.350,
 * 0.229 bit at d = 1, 2, 4, 8. Check: N(0, I), d = 4, K = 256: 0.0970 (0.317 bit) without the codebook's own bits. */
#include "quant/grid/multi_codebook.h"

static const bg_key keys[] = {
    {"dim", BG_KEY_INTEGER, 1, BG_VQ_MAX_DIM, NULL, "4", "weights in a vector, along a row", BG_SPEC_PARAM(dim)},
    {"bits", BG_KEY_NUMBER, 0.015625, 16, NULL, "2", "index bits a weight; bits·dim is a whole number up to 16",
     BG_SPEC_PARAM(bits)},
    {"words", BG_KEY_INTEGER, 2, BG_VQ_MAX_WORDS, NULL, NULL, "codewords, in place of bits",
     BG_PARAM(bg_books_params, words)},
    BG_BOOKS_KEYS,
    {0},
};

const bg_grid bg_grid_vq = {
    .name = "vq",
    .title = "vector quantization, k-means codebook",
    .paper = "Linde, Buzo and Gray 1980; seeding by Arthur and Vassilvitskii 2007",
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
