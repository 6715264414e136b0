/* Residual vector quantization: M stages, each a codebook for what the stages before left; ŵ is the sum of M words and
 * R = M·log2(K)/d. Searched greedily, stage by stage. Cheaper to store and search than one codebook of K^M words, and worse. */
#include "quant/books.h"

static const bg_key keys[] = {
    {"dim", BG_KEY_INTEGER, 1, BG_VQ_MAX_DIM, NULL, "4", "weights in a vector, along a row"},
    {"stages", BG_KEY_INTEGER, 1, 16, NULL, "2", "codebooks, one after the other"},
    {"bits", BG_KEY_NUMBER, 0.015625, 16, NULL, "2", "index bits a weight; bits·dim/stages is a whole number up to 16"},
    {"words", BG_KEY_INTEGER, 2, BG_VQ_MAX_WORDS, NULL, NULL, "codewords of each stage, in place of bits"},
    BG_BOOKS_KEYS,
    {0},
};

static int shape_of(const bg_spec *s, bg_books_shape *shape, bg_err *e)
{
    *shape = (bg_books_shape){
        .dim = (int)bg_spec_number(s, "dim"), .parts = 1, .stages = (int)bg_spec_number(s, "stages")};
    return bg_books_words(s, shape->dim, shape->stages, &shape->words, e);
}

static int check(const bg_spec *s, bg_err *e)
{
    bg_books_shape shape;
    return shape_of(s, &shape, e);
}

static double bits(const bg_spec *s)
{
    bg_books_shape shape;
    return shape_of(s, &shape, NULL) ? 0 : (double)bg_index_bits(shape.words) * shape.stages / shape.dim;
}

static int train(const bg_spec *s, const bg_matrix *m, bg_trained **out, bg_err *e)
{
    bg_books_shape shape;
    int status = shape_of(s, &shape, e);
    return status ? status : bg_books_train(s, m, &shape, out, e);
}

const bg_grid bg_grid_rvq = {
    .name = "rvq",
    .title = "residual vector quantization: stages of codebooks",
    .paper = "Juang and Gray 1982; Chen, Guan and Wang 2010",
    .family = "vector",
    .keys = keys,
    .refuses = "levels zero clip",
    .default_scope = "tensor",
    .kind = BG_GRID_VECTOR,
    .check = check,
    .bits = bits,
    .train = train,
    .tile = bg_books_tile,
    .side = bg_books_side,
    .release = bg_books_release,
};
