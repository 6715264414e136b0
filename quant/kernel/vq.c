/* Owns the search for the nearest codeword. See vq.h for the score and the layout; the bound on speed is (d+1) vector
 * operations a pair, d fused multiply-adds and one minimum. */
#include <math.h>
#include "quant/kernel/simd.h"
#include "quant/kernel/vq.h"

size_t bg_vq_packed_floats(int K, int dims)
{
    size_t blocks = ((size_t)K + BG_VQ_BLOCK - 1) / BG_VQ_BLOCK;
    return blocks * BG_VQ_BLOCK * ((size_t)dims + 1);
}

void bg_vq_pack(const float *words, int K, int stride, int dims, float *packed)
{
    for (int base = 0; base < K; base += BG_VQ_BLOCK, packed += (dims + 1) * BG_VQ_BLOCK) {
        for (int j = 0; j < BG_VQ_BLOCK; j++) {
            const float *c = words + (size_t)(base + j) * (size_t)stride;
            int real = base + j < K;
            double norm = 0;
            for (int i = 0; i < dims; i++) {
                packed[(i + 1) * BG_VQ_BLOCK + j] = real ? c[i] : 0;
                norm += real ? (double)c[i] * (double)c[i] : 0;
            }
            packed[j] = real ? (float)(norm / 2) : INFINITY;
        }
    }
}

/* The score of word j of a block, rounded as every version rounds it. */
BG_INLINE float score_of(const float *block, int j, const float *x, int dims)
{
    float s = block[j];
    for (int i = 0; i < dims; i++)
        s = fmaf(-block[(i + 1) * BG_VQ_BLOCK + j], x[i], s);
    return s;
}

void bg_vq_nearest_ref(const bg_vq_words *w, bg_vectors v, uint16_t *index, float *score)
{
    for (size_t i = 0; i < v.n; i++) {
        float best = INFINITY;
        int arg = 0;
        for (int k = 0; k < w->K; k++) {
            const float *block = w->packed + (size_t)(k / BG_VQ_BLOCK) * BG_VQ_BLOCK * (size_t)(w->dims + 1);
            float s = score_of(block, k % BG_VQ_BLOCK, v.x + i * v.stride, w->dims);
            if (s < best)
                best = s, arg = k;
        }
        index[i] = (uint16_t)arg;
        if (score)
            score[i] = best;
    }
}

/* The first word of the block whose score is the best one: the vector's answer. */
BG_INLINE int find_winner(const float *block, const float *x, int dims, float best)
{
    bg_f8 s0 = bg_f8_load(block), s1 = bg_f8_load(block + 8), b = bg_f8_all(best);
    for (int i = 0; i < dims; i++) {
        bg_f8 xi = bg_f8_all(x[i]);
        s0 = bg_f8_nfma(bg_f8_load(block + (i + 1) * BG_VQ_BLOCK), xi, s0);
        s1 = bg_f8_nfma(bg_f8_load(block + (i + 1) * BG_VQ_BLOCK + 8), xi, s1);
    }
    unsigned hit = bg_i8_bits((bg_i8)(s0 == b)) | bg_i8_bits((bg_i8)(s1 == b)) << 8;
    return hit ? __builtin_ctz(hit) : 0;
}

/* The answers of sixteen vectors: smallest score, the block it stands in, second smallest score. */
typedef struct answers {
    float best[16], next[16];
    int32_t where[16];
} answers;

/* Scores sixteen vectors, xt[dims][16] by dimension, against all words; `next` is written if `two`. `dims` and `two`
 * are constants where this is inlined, so the loops unroll into registers. */
BG_INLINE void score_sixteen(const float *xt, int dims, const float *packed, int blocks, int two, answers *a)
{
    bg_f8 b0 = bg_f8_all(INFINITY), b1 = b0, n0 = b0, n1 = b0;
    bg_i8 w0 = bg_i8_all(0), w1 = w0;
    for (int b = 0; b < blocks; b++, packed += (dims + 1) * BG_VQ_BLOCK) {
        bg_f8 m0 = two ? b0 : bg_f8_all(INFINITY), m1 = two ? b1 : m0;
        for (int j = 0; j < BG_VQ_BLOCK; j++) {
            bg_f8 s0 = bg_f8_all(packed[j]), s1 = s0;
            for (int i = 0; i < dims; i++) {
                bg_f8 c = bg_f8_all(packed[(i + 1) * BG_VQ_BLOCK + j]);
                s0 = bg_f8_nfma(c, bg_f8_load(xt + i * 16), s0);
                s1 = bg_f8_nfma(c, bg_f8_load(xt + i * 16 + 8), s1);
            }
            if (two)
                n0 = bg_f8_min(bg_f8_max(s0, m0), n0), n1 = bg_f8_min(bg_f8_max(s1, m1), n1);
            m0 = bg_f8_min(s0, m0), m1 = bg_f8_min(s1, m1);
        }
        bg_i8 here = bg_i8_all(b);
        w0 = bg_i8_select((bg_i8)(m0 < b0), here, w0), w1 = bg_i8_select((bg_i8)(m1 < b1), here, w1);
        b0 = bg_f8_min(m0, b0), b1 = bg_f8_min(m1, b1);
    }
    bg_f8_store(a->best, b0), bg_f8_store(a->best + 8, b1);
    if (two)
        bg_f8_store(a->next, n0), bg_f8_store(a->next + 8, n1);
    memcpy(a->where, &w0, sizeof w0), memcpy(a->where + 8, &w1, sizeof w1);
}

/* `dims` is w->dims as a constant; so is whether `second` is wanted. */
BG_INLINE void search_words(const bg_vq_words *w, bg_vectors v, int dims, uint16_t *index, float *score, float *second)
{
    float xt[BG_VQ_MAX_DIM * 16];
    answers a;
    int blocks = (w->K + BG_VQ_BLOCK - 1) / BG_VQ_BLOCK;
    for (size_t i = 0; i < v.n; i += 16) {
        size_t m = v.n - i < 16 ? v.n - i : 16;
        for (size_t l = 0; l < 16; l++) /* the first vector is repeated to fill the lanes */
            for (int d = 0; d < dims; d++)
                xt[(size_t)d * 16 + l] = v.x[(i + (l < m ? l : 0)) * v.stride + (size_t)d];
        score_sixteen(xt, dims, w->packed, blocks, second != NULL, &a);
        for (size_t l = 0; l < m; l++) {
            const float *block = w->packed + (size_t)a.where[l] * BG_VQ_BLOCK * (size_t)(dims + 1);
            int word = find_winner(block, v.x + (i + l) * v.stride, dims, a.best[l]);
            index[i + l] = (uint16_t)(a.where[l] * BG_VQ_BLOCK + word);
            if (score)
                score[i + l] = a.best[l];
            if (second)
                second[i + l] = a.next[l];
        }
    }
}

/* One copy of the search for each common dimension. */
#define SEARCH_BY_DIMENSION(second)                                                                                    \
    switch (w->dims) {                                                                                                 \
    case 1:                                                                                                            \
        search_words(w, v, 1, index, score, second);                                                                   \
        break;                                                                                                         \
    case 2:                                                                                                            \
        search_words(w, v, 2, index, score, second);                                                                   \
        break;                                                                                                         \
    case 3:                                                                                                            \
        search_words(w, v, 3, index, score, second);                                                                   \
        break;                                                                                                         \
    case 4:                                                                                                            \
        search_words(w, v, 4, index, score, second);                                                                   \
        break;                                                                                                         \
    case 6:                                                                                                            \
        search_words(w, v, 6, index, score, second);                                                                   \
        break;                                                                                                         \
    case 8:                                                                                                            \
        search_words(w, v, 8, index, score, second);                                                                   \
        break;                                                                                                         \
    default:                                                                                                           \
        search_words(w, v, w->dims, index, score, second);                                                             \
    }

void bg_vq_nearest(const bg_vq_words *w, bg_vectors v, uint16_t *index, float *score)
{
    SEARCH_BY_DIMENSION(NULL)
}

void bg_vq_two_nearest(const bg_vq_words *w, bg_vectors v, uint16_t *index, float *score, float *second)
{
    SEARCH_BY_DIMENSION(second)
}

/* ---- the plane ---- */

/* Squared distance from c to the nearest and to the farthest point of the interval [a, b]. */
static void add_interval(double c, double a, double b, double *near, double *far)
{
    double d = c < a ? a - c : c > b ? c - b : 0, f = fmax(fabs(c - a), fabs(c - b));
    *near += d * d, *far += f * f;
}

typedef struct bg_square {
    double x0, x1, y0, y1;
} bg_square;

/* The words of list[n] that may win somewhere in the square, to out; returns how many. */
static size_t list_contenders(const float *words, const bg_square *q, const uint16_t *list, size_t n, uint16_t *out)
{
    double bound = HUGE_VAL;
    for (size_t i = 0; i < n; i++) {
        double near = 0, far = 0;
        add_interval((double)words[2 * list[i]], q->x0, q->x1, &near, &far);
        add_interval((double)words[2 * list[i] + 1], q->y0, q->y1, &near, &far);
        bound = fmin(bound, far);
    }
    bound *= 1 + 1e-4; /* room for the rounding of float scores */
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        double near = 0, far = 0;
        add_interval((double)words[2 * list[i]], q->x0, q->x1, &near, &far);
        add_interval((double)words[2 * list[i] + 1], q->y0, q->y1, &near, &far);
        if (near <= bound)
            out[m++] = list[i];
    }
    return m;
}

typedef struct bg_build {
    bg_plane *plane;
    const float *words;
    int K;
    size_t n;
} bg_build;

/* Lists the squares below one of the given level, whose words are list[n] (directly before its children's scratch). */
static void divide_square(bg_build *b, const bg_square *q, uint32_t morton, int level, uint16_t *list, size_t n)
{
    if (level == b->plane->levels) {
        b->plane->start[morton] = (uint32_t)b->n;
        if (b->plane->list)
            memcpy(b->plane->list + b->n, list, n * sizeof *list);
        b->n += n;
        return;
    }
    double x = (q->x0 + q->x1) / 2, y = (q->y0 + q->y1) / 2;
    /* a hair wider than the square: into which one a point on the edge falls is a matter of rounding */
    double w = 1e-3 * (q->x1 - q->x0) + 1e-6 * fabs(x), h = 1e-3 * (q->y1 - q->y0) + 1e-6 * fabs(y);
    for (uint32_t c = 0; c < 4; c++) {
        bg_square child = {c & 1 ? x : q->x0, c & 1 ? q->x1 : x, c & 2 ? y : q->y0, c & 2 ? q->y1 : y};
        bg_square wide = {child.x0 - w, child.x1 + w, child.y0 - h, child.y1 + h};
        size_t m = list_contenders(b->words, &wide, list, n, list + n);
        divide_square(b, &child, morton * 4 + c, level + 1, list + n, m);
    }
}

size_t bg_plane_build(bg_plane *p, const float *words, int K, uint16_t *scratch)
{
    p->left = p->right = words[0], p->bottom = p->top = words[1];
    for (int k = 0; k < K; k++) {
        p->left = fminf(p->left, words[2 * k]), p->right = fmaxf(p->right, words[2 * k]);
        p->bottom = fminf(p->bottom, words[2 * k + 1]), p->top = fmaxf(p->top, words[2 * k + 1]);
        scratch[k] = (uint16_t)k;
    }
    int cells = 1 << p->levels;
    p->per_x = (float)cells / fmaxf(p->right - p->left, 1e-30f);
    p->per_y = (float)cells / fmaxf(p->top - p->bottom, 1e-30f);
    for (int i = 0; i < cells; i++) {
        p->spread[i] = 0;
        for (int b = 0; b < p->levels; b++)
            p->spread[i] |= (uint32_t)(i >> b & 1) << (2 * b);
    }
    bg_build b = {p, words, K, 0};
    bg_square all = {(double)p->left, (double)p->right, (double)p->bottom, (double)p->top};
    divide_square(&b, &all, 0, 0, scratch, (size_t)K);
    p->start[(size_t)cells * (size_t)cells] = (uint32_t)b.n;
    return b.n;
}

void bg_plane_nearest(const bg_plane *p, const bg_vq_words *w, bg_vectors v, uint16_t *index, float *score)
{
    int last = (1 << p->levels) - 1;
    for (size_t i = 0; i < v.n; i++) {
        const float *xv = v.x + i * v.stride;
        if (!(xv[0] >= p->left && xv[0] <= p->right && xv[1] >= p->bottom && xv[1] <= p->top)) {
            bg_vq_nearest(w, (bg_vectors){xv, 1, v.stride}, index + i, score ? score + i : NULL);
            continue;
        }
        int ix = (int)((xv[0] - p->left) * p->per_x), iy = (int)((xv[1] - p->bottom) * p->per_y);
        ix = ix <= last ? ix : last, iy = iy <= last ? iy : last;
        const uint32_t *start = p->start + (p->spread[ix] | p->spread[iy] << 1);
        float best = INFINITY;
        int arg = 0;
        for (uint32_t c = start[0]; c < start[1]; c++) {
            int k = p->list[c];
            float s = score_of(w->packed + (size_t)(k / BG_VQ_BLOCK) * BG_VQ_BLOCK * 3, k % BG_VQ_BLOCK, xv, 2);
            if (s < best)
                best = s, arg = k;
        }
        index[i] = (uint16_t)arg;
        if (score)
            score[i] = best;
    }
}
