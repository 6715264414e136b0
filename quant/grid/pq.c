/* Product quantization: each vector of d weights is cut into M parts, part m coded by its own K words of dimension d/M;
 * R = M·log2(K)/d with M codebooks to store. (Sending vectors to codebooks in turn is not this: it is one quantizer
 * with a codebook M times as dear.) On i.i.d. weights it equals VQ of dimension d/M; it gains where positions differ.
 */
#include "quant/grid/multi_codebook.h"

static const bg_key keys[] = {
    {"dim", BG_KEY_INTEGER, 2, 4096, NULL, "8", "weights in a vector, along a row", BG_SPEC_PARAM(dim)},
    {"parts", BG_KEY_INTEGER, 1, 512, NULL, "4", "sub-vectors of a vector; divides dim",
     BG_PARAM(bg_books_params, parts)},
    {"bits", BG_KEY_NUMBER, 0.015625, 16, NULL, "2", "index bits a weight; bits·dim/parts is a whole number up to 16",
     BG_SPEC_PARAM(bits)},
    {"words", BG_KEY_INTEGER, 2, BG_VQ_MAX_WORDS, NULL, NULL, "codewords of each part, in place of bits",
     BG_PARAM(bg_books_params, words)},
    BG_BOOKS_KEYS,
    {0},
};

const bg_grid bg_grid_pq = {
    .name = "pq",
    .title = "product quantization: one codebook for each part of a vector",
    .paper = "Jegou, Douze and Schmid 2011",
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
