/* Product quantization: each vector of d weights is cut into M parts, part m coded by its own K words of dimension d/M;
 * R = M·log2(K)/d with M codebooks to store. (Sending vectors to codebooks in turn is not this: it is one quantizer with a
 * codebook M times as dear.) On i.i.d. weights it equals VQ of dimension d/M; it gains where positions differ. */
#include "quant/books.h"

static const bg_key keys[] = {
    {"dim", BG_KEY_INTEGER, 2, 4096, NULL, "8", "weights in a vector, along a row"},
    {"parts", BG_KEY_INTEGER, 1, 512, NULL, "4", "sub-vectors of a vector; divides dim"},
    {"bits", BG_KEY_NUMBER, 0.015625, 16, NULL, "2", "index bits a weight; bits·dim/parts is a whole number up to 16"},
    {"words", BG_KEY_INTEGER, 2, BG_VQ_MAX_WORDS, NULL, NULL, "codewords of each part, in place of bits"},
    BG_BOOKS_KEYS,
    {0},
};

static int shape_of(const bg_spec *s, bg_books_shape *shape, bg_err *e)
{
    *shape = (bg_books_shape){
        .dim = (int)bg_spec_number(s, "dim"), .parts = (int)bg_spec_number(s, "parts"), .stages = 1};
    if (shape->dim % shape->parts || shape->dim / shape->parts > BG_VQ_MAX_DIM)
        return bg_fail(e, BG_USAGE, "'%s': parts must divide dim into at most %d weights each", s->text, BG_VQ_MAX_DIM);
    return bg_books_words(s, shape->dim, shape->parts, &shape->words, e);
}

static int check(const bg_spec *s, bg_err *e)
{
    bg_books_shape shape;
    return shape_of(s, &shape, e);
}

static double bits(const bg_spec *s)
{
    bg_books_shape shape;
    return shape_of(s, &shape, NULL) ? 0 : (double)bg_index_bits(shape.words) * shape.parts / shape.dim;
}

static int train(const bg_spec *s, const bg_matrix *m, bg_trained **out, bg_err *e)
{
    bg_books_shape shape;
    int status = shape_of(s, &shape, e);
    return status ? status : bg_books_train(s, m, &shape, out, e);
}

const bg_grid bg_grid_pq = {
    .name = "pq",
    .title = "product quantization: one codebook for each part of a vector",
    .paper = "Jegou, Douze and Schmid 2011",
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
