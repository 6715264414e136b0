/* Owns what vector, product and residual quantizers share: training, coding of tiles, counting of bits. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "quant/grid/multi_codebook.h"
#include "quant/probability/random.h"

enum { PIECE = 256 };

typedef struct bg_books_shape {
    int dim, parts, stages; /* parts divides dim */
    int words;              /* of each codebook */
} bg_books_shape;

struct bg_trained {
    bg_books_shape shape;
    int sub;            /* dim / parts */
    bg_codebook *books; /* [parts × stages], stages of a part together */
};

/* bits·dim/books must be a whole number from 1 to 16, unless words are given. */
static int words_of(const bg_spec *s, int dim, int books, int *words, bg_err *e)
{
    const bg_books_params *p = bg_grid_params(s);
    if (p->words) {
        *words = p->words;
        return BG_OK;
    }
    double log2_words = s->bits * dim / books;
    if (fabs(log2_words - round(log2_words)) > 1e-9 || log2_words < 0.5 || log2_words > 16.5)
        return bg_fail(
            e, BG_USAGE,
            "'%s': bits times dim makes an index of %g bits per codebook; it must be an integer from 1 to 16", s->text,
            log2_words);
    *words = 1 << (int)round(log2_words);
    return BG_OK;
}

static int at_least_one(int x)
{
    return x > 1 ? x : 1;
}

static int shape_of(const bg_spec *s, bg_books_shape *shape, bg_err *e)
{
    const bg_books_params *p = bg_grid_params(s);
    *shape = (bg_books_shape){.dim = s->dim, .parts = at_least_one(p->parts), .stages = at_least_one(p->stages)};
    if (shape->dim % shape->parts || shape->dim / shape->parts > BG_VQ_MAX_DIM)
        return bg_fail(e, BG_USAGE, "'%s': parts must divide dim into at most %d weights each", s->text, BG_VQ_MAX_DIM);
    return words_of(s, shape->dim, shape->parts * shape->stages, &shape->words, e);
}

int bg_books_check(const bg_spec *s, bg_err *e)
{
    bg_books_shape shape;
    return shape_of(s, &shape, e);
}

double bg_books_bits(const bg_spec *s)
{
    bg_books_shape shape;
    return shape_of(s, &shape, NULL) ? 0 : (double)bg_index_bits(shape.words) * shape.parts * shape.stages / shape.dim;
}

static int allocate_books(const bg_books_shape *shape, bg_trained **out, bg_err *e)
{
    bg_trained *t = calloc(1, sizeof *t);
    size_t n = (size_t)shape->parts * (size_t)shape->stages;
    if (!t || !(t->books = calloc(n, sizeof *t->books))) {
        free(t);
        return bg_no_memory(e, "codebooks", n * sizeof *t->books);
    }
    t->shape = *shape;
    t->sub = shape->dim / shape->parts;
    *out = t;
    return BG_OK;
}

/* Takes from each of n vectors at x the word that codes it. */
static void subtract_words(const bg_codebook *b, float *x, size_t n, size_t stride)
{
#pragma omp parallel for schedule(static)
    for (size_t a = 0; a < n; a += PIECE) {
        uint16_t index[PIECE];
        size_t m = n - a < PIECE ? n - a : PIECE;
        bg_codebook_assign(b, x + a * stride, m, stride, b->d, index);
        for (size_t v = 0; v < m; v++)
            for (int i = 0; i < b->d; i++)
                x[(a + v) * stride + (size_t)i] -= b->words[(size_t)index[v] * (size_t)b->d + (size_t)i];
    }
}

/* A codebook of K words fitted to n vectors is about K/n (relative) worse on all of them than on those: 1024 vectors a
 * word keep that below a thousandth where tails are light, at a cost that no longer grows with the tensor. */
static int64_t weights_to_train_on(const bg_spec *s, const bg_books_shape *shape)
{
    enum { VECTORS_A_WORD = 1024, MIN_WEIGHTS = 1 << 20 };
    const bg_books_params *p = bg_grid_params(s);
    if (p->train > 0)
        return (int64_t)p->train;
    int64_t enough = (int64_t)VECTORS_A_WORD * shape->words * shape->dim;
    return enough > MIN_WEIGHTS ? enough : MIN_WEIGHTS;
}

static int train_books(const bg_spec *s, const bg_matrix *m, const bg_books_shape *shape, bg_trained **out, bg_err *e)
{
    float *x = NULL;
    size_t n = 0, dim = (size_t)shape->dim;
    bg_trained *t = NULL;
    int status = bg_vectors_read(m, shape->dim, weights_to_train_on(s, shape), &x, &n, e);
    if (!status && n == 0)
        status = bg_fail(e, BG_USAGE, "rows of %lld weights hold no vector of %d; choose a smaller dim",
                         (long long)m->cols, shape->dim);
    if (!status)
        status = allocate_books(shape, &t, e);
    for (int p = 0; !status && p < shape->parts; p++) {
        int left = (int)(m->cols % shape->dim) - p * t->sub;
        bg_codebook_options o = {
            .K = shape->words, .d = t->sub, .restarts = ((const bg_books_params *)bg_grid_params(s))->restarts};
        o.tail = left > 0 && left < t->sub ? left : 0;
        for (int g = 0; !status && g < shape->stages; g++) {
            bg_codebook *b = &t->books[p * shape->stages + g];
            o.seed = bg_bits_at(m->seed, (uint64_t)(p * 64 + g));
            status = bg_codebook_train(b, x + p * t->sub, n, dim, &o, e);
            if (!status && g + 1 < shape->stages)
                subtract_words(b, x + p * t->sub, n, dim);
        }
    }
    free(x);
    if (status) {
        bg_books_release(t);
        return status;
    }
    *out = t;
    return BG_OK;
}

int bg_books_train(const bg_spec *s, const bg_matrix *m, bg_trained **out, bg_err *e)
{
    bg_books_shape shape;
    int status = shape_of(s, &shape, e);
    return status ? status : train_books(s, m, &shape, out, e);
}

/* Codes n ≤ PIECE vectors of `dims` components through the stages of one part; x and out are `stride` apart and may be
 * the same. */
static void code_part(const bg_trained *t, const bg_codebook *books, const float *x, float *out, size_t n,
                      size_t stride, int dims)
{
    uint16_t index[PIECE];
    float rest[PIECE * BG_VQ_MAX_DIM];
    size_t d = (size_t)dims, word = (size_t)t->sub;
    for (size_t v = 0; v < n; v++)
        memcpy(rest + v * d, x + v * stride, d * sizeof *rest);
    for (int g = 0; g < t->shape.stages; g++) {
        bg_codebook_assign(&books[g], rest, n, d, dims, index);
        for (size_t v = 0; v < n; v++) {
            const float *c = books[g].words + (size_t)index[v] * word;
            float *o = out + v * stride, *r = rest + v * d;
            for (size_t i = 0; i < d; i++) {
                o[i] = g ? o[i] + c[i] : c[i];
                r[i] -= c[i];
            }
        }
    }
}

/* n vectors after each other; `dims` of each count (dim, or fewer for the short one). */
static void code_vectors(const bg_trained *t, const float *x, float *out, size_t n, int dims)
{
    for (int p = 0; p < t->shape.parts; p++) {
        int left = dims - p * t->sub, here = left < t->sub ? left : t->sub;
        if (here > 0)
            for (size_t a = 0; a < n; a += PIECE) {
                size_t at = a * (size_t)t->shape.dim + (size_t)(p * t->sub);
                code_part(t, t->books + p * t->shape.stages, x + at, out + at, n - a < PIECE ? n - a : PIECE,
                          (size_t)t->shape.dim, here);
            }
    }
}

int bg_books_tile(const bg_spec *s, const bg_trained *t, const bg_targets *tile, bg_rate *rate, bg_err *e)
{
    (void)s, (void)e;
    int64_t n = tile->rows, C = tile->cols;
    const float *w = tile->w;
    float *out = tile->out;
    int dim = t->shape.dim, tail = (int)(C % dim);
    double bits = bg_index_bits(t->shape.words) * t->shape.parts * t->shape.stages;
    if (tail == 0)
        code_vectors(t, w, out, (size_t)(n * C / dim), dim);
    for (int64_t r = 0; tail && r < n; r++) {
        code_vectors(t, w + r * C, out + r * C, (size_t)(C / dim), dim);
        code_vectors(t, w + (r + 1) * C - tail, out + (r + 1) * C - tail, 1, tail);
    }
    rate->indices += bits * (double)(n * C) / dim;
    rate->padding += tail ? bits * (double)n * (dim - tail) / dim : 0;
    return BG_OK;
}

void bg_books_side(const bg_spec *s, const bg_trained *t, bg_rate *rate)
{
    (void)s;
    for (int i = 0; i < t->shape.parts * t->shape.stages; i++)
        rate->codebook += bg_codebook_bits(&t->books[i]);
}

void bg_books_release(bg_trained *t)
{
    if (!t)
        return;
    for (int i = 0; i < t->shape.parts * t->shape.stages; i++)
        bg_codebook_free(&t->books[i]);
    free(t->books), free(t);
}
