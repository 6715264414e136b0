/* Entropy-coded lattice quantization: the nearest point of Z, A2, D4, E8 or the Leech lattice, its integers coded by
 * rANS.
 *
 * What the decoder already knows shrinks the alphabet of each coordinate: the coset (E8: 1 bit; Leech: a bit and a
 * 12-bit Golay word, coded as they are) fixes v mod 2 or 4, and the last coordinate's parity follows from the others.
 * So each coordinate has a class (modulus, residue), and each class its own table, trained and stored. At high rate the
 * gap is ½·log2(2πe·G): 0.2546, 0.2269, 0.1939, 0.1460, 0.0839 bit. Points are shrunk by one factor toward the mean, as
 * the least squares want. Vectors run row after row; the last of a tile is padded with the mean. Conway and Sloane
 * 1999.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "quant/grid/codebook.h"
#include "quant/coding/index_stream.h"
#include "quant/kernel/lattice.h"

enum { CLASSES = 14, MAX_SYMBOLS = 4096, SAMPLE = 24 * 2048, BISECTIONS = 14, PREFIX = 13 };

struct bg_trained {
    bg_lattice lattice;
    float mean, step, shrink;
    float farthest;                     /* in steps: what lies beyond is coded as this far */
    int K;                              /* symbols of each class */
    bg_rans_table table[CLASSES], coin; /* coin: one bit of a coset */
    double table_bits;
};

typedef struct lattice_params {
    double rate;
    int kind; /* bg_lattice_kind */
} lattice_params;

static const bg_key keys[] = {
    {.name = "kind",
     .type = BG_KEY_WORD,
     .words = "z|a2|d4|e8|leech",
     .default_text = "leech",
     .help = "the lattice",
     BG_PARAM(lattice_params, kind)},
    {.name = "rate",
     .type = BG_KEY_NUMBER,
     .min = 0.5,
     .max = 8,
     .default_text = "2",
     .help = "bits per weight, entropy-coded",
     BG_PARAM(lattice_params, rate)},
    {0},
};

static double count_bits(const bg_spec *s)
{
    return ((const lattice_params *)bg_grid_params(s))->rate;
}

static bg_lattice_kind kind_of(const bg_spec *s)
{
    return (bg_lattice_kind)((const lattice_params *)bg_grid_params(s))->kind;
}

/* ---- what is known of a coordinate before it is read ---- */

/* Coset bits of a point (0 … 2^13), or of nothing. */
static unsigned coset_of(const bg_lattice *l, const int32_t *v)
{
    unsigned m = (unsigned)v[0] & 1, word = 0;
    if (l->kind == BG_LATTICE_E8)
        return m;
    if (l->kind != BG_LATTICE_LEECH)
        return 0;
    for (int i = 0; i < 12; i++)
        word |= (unsigned)((v[i] - (int)m) >> 1 & 1) << i;
    return word << 1 | m;
}

static int coset_bits(const bg_lattice *l)
{
    return l->kind == BG_LATTICE_E8 ? 1 : l->kind == BG_LATTICE_LEECH ? PREFIX : 0;
}

/* Class of coordinate i given the coset and the sum of the coordinates before it; v = residue + modulus·k. Coordinates
 * of A2 are read in the order 0, 1. */
static int class_of(const bg_lattice *l, unsigned coset, int i, int32_t sum, int *modulus, int *residue)
{
    int last = i == l->dim - 1, m = (int)(coset & 1), base;
    switch (l->kind) {
    case BG_LATTICE_A2:
    case BG_LATTICE_D4:
        *modulus = last ? 2 : 1, *residue = last ? sum & 1 : 0;
        return last ? 1 + *residue : 0;
    case BG_LATTICE_E8:
        *modulus = last ? 4 : 2, *residue = last ? -sum & 3 : m;
        return last ? 2 + *residue : m;
    case BG_LATTICE_LEECH:
        base = m + 2 * (int)(l->golay[coset >> 1] >> i & 1);
        *modulus = last ? 8 : 4, *residue = last ? (4 * m - sum) & 7 : base;
        return last ? 4 + *residue : base;
    default:
        *modulus = 1, *residue = 0;
        return 0;
    }
}

/* k as 0, −1, 1, −2, … → 0, 1, 2, 3, … */
static int to_zigzag(int k)
{
    return k < 0 ? -2 * k - 1 : 2 * k;
}
static int from_zigzag(int s)
{
    return s & 1 ? -(s + 1) / 2 : s / 2;
}

/* Classes and symbols of a point's coordinates. */
static void split_point(const bg_lattice *l, const int32_t *v, unsigned coset, uint8_t *klass, uint16_t *symbol)
{
    int32_t sum = 0;
    for (int i = 0; i < l->dim; i++) {
        int modulus, residue;
        klass[i] = (uint8_t)class_of(l, coset, i, sum, &modulus, &residue);
        symbol[i] = (uint16_t)to_zigzag((v[i] - residue) / modulus);
        sum += v[i];
    }
}

/* ---- one vector ---- */

/* The least modulus of a coordinate: how far apart neighbouring symbols are, in v. */
static int min_modulus(const bg_lattice *l)
{
    return l->kind == BG_LATTICE_LEECH ? 4 : l->kind == BG_LATTICE_E8 ? 2 : 1;
}

static void find_point(const bg_trained *t, const float *w, size_t n, int32_t *v)
{
    float x[BG_LATTICE_MAX_DIM] = {0};
    for (size_t i = 0; i < n; i++)
        x[i] = fminf(fmaxf((w[i] - t->mean) / t->step, -t->farthest), t->farthest);
    bg_lattice_nearest(&t->lattice, x, v);
}

static void rebuild_weights(const bg_trained *t, const int32_t *v, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = t->mean + t->shrink * t->step * (float)(v[i] * t->lattice.unit[i % 2]);
}

/* ---- training ---- */

typedef struct bg_sample {
    float *x;
    size_t n;      /* a multiple of the dimension */
    double *count; /* [CLASSES × MAX_SYMBOLS] */
} bg_sample;

/* Sets the step and what follows from it: how far points reach, and how many symbols that takes. */
static void set_step(bg_trained *t, double step, double reach)
{
    const bg_lattice *l = &t->lattice;
    double apart = min_modulus(l) * fmin(l->unit[0], l->unit[1]),
           symbols = fmin(2 * ceil(reach / step / apart) + 24, MAX_SYMBOLS);
    t->step = (float)step, t->K = (int)symbols;
    t->farthest = (float)((symbols / 2 - 10) * apart);
}

/* Entropy in bits per weight at the present step, with counts, and the best shrinking. */
static double measure_rate(bg_trained *t, const bg_sample *z)
{
    const bg_lattice *l = &t->lattice;
    double xy = 0, yy = 0, rate = 0;
    memset(z->count, 0, CLASSES * MAX_SYMBOLS * sizeof *z->count);
    for (size_t a = 0; a < z->n; a += (size_t)l->dim) {
        int32_t v[BG_LATTICE_MAX_DIM];
        uint8_t klass[BG_LATTICE_MAX_DIM];
        uint16_t symbol[BG_LATTICE_MAX_DIM];
        find_point(t, z->x + a, (size_t)l->dim, v);
        split_point(l, v, coset_of(l, v), klass, symbol);
        for (int i = 0; i < l->dim; i++) {
            double y = (double)t->step * v[i] * l->unit[i % 2], x = (double)z->x[a + (size_t)i] - (double)t->mean;
            z->count[klass[i] * MAX_SYMBOLS + symbol[i]] += 1;
            xy += x * y, yy += y * y;
        }
    }
    for (int c = 0; c < CLASSES; c++) {
        double total = 0;
        for (int k = 0; k < t->K; k++)
            total += z->count[c * MAX_SYMBOLS + k];
        for (int k = 0; k < t->K; k++)
            if (z->count[c * MAX_SYMBOLS + k] > 0)
                rate += z->count[c * MAX_SYMBOLS + k] * log2(total / z->count[c * MAX_SYMBOLS + k]);
    }
    t->shrink = (float)(yy > 0 ? xy / yy : 1);
    return rate / (double)z->n + (double)coset_bits(l) / l->dim;
}

/* The step for a rate; log2 of the step falls by nearly one with each bit. */
static void search_step(bg_trained *t, const bg_sample *z, double sigma, double reach, double rate)
{
    double guess = sigma * 4.13 * exp2(-rate) / pow(t->lattice.volume, 1.0 / t->lattice.dim);
    double lo = log2(guess) - 1, hi = log2(guess) + 1;
    for (int i = 0; i < BISECTIONS; i++) {
        double mid = (lo + hi) / 2;
        set_step(t, exp2(mid), reach);
        *(measure_rate(t, z) > rate ? &lo : &hi) = mid;
    }
    set_step(t, exp2(hi), reach);
    measure_rate(t, z);
}

static int build_tables(bg_trained *t, const bg_sample *z, bg_err *e)
{
    double *count = malloc(MAX_SYMBOLS * sizeof *count), described = 0;
    int status = count ? bg_rans_new(&t->coin, 2, e) : bg_no_memory(e, "counts", MAX_SYMBOLS * sizeof *count);
    if (!status)
        status = bg_rans_fit(&t->coin, (const double[]){1, 1}, 1, e);
    for (int c = 0; !status && c < CLASSES; c++) {
        double total = 0;
        for (int k = 0; k < t->K; k++)
            total += count[k] = z->count[c * MAX_SYMBOLS + k];
        if (!(status = bg_rans_new(&t->table[c], t->K, e)) && !(status = bg_rans_fit(&t->table[c], count, 1, e)))
            status = bg_rans_describe(&t->table[c], &described, e);
        t->table_bits += total > 0 ? described : 1; /* a class that never occurred is said not to */
    }
    free(count);
    return status;
}

static void release_lattice(bg_trained *t)
{
    if (!t)
        return;
    for (int c = 0; c < CLASSES; c++)
        bg_rans_free(&t->table[c]);
    bg_rans_free(&t->coin);
    free(t);
}

/* The sample, its mean and spread, and the farthest weight of the tensor. */
static int read_sample(const bg_matrix *m, bg_trained *t, bg_sample *z, double *sigma, double *reach, bg_err *e)
{
    size_t n = 0, dim = (size_t)t->lattice.dim;
    int status = bg_vectors_read(m, 1, INT64_MAX, &z->x, &n, e);
    if (status)
        return status;
    double sum = 0, squares = 0, far = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)z->x[i];
    t->mean = (float)(n ? sum / (double)n : 0);
    for (size_t i = 0; i < n; i++) {
        double r = fabs((double)z->x[i] - (double)t->mean);
        squares += r * r, far = fmax(far, r);
    }
    *sigma = n ? sqrt(squares / (double)n) : 0, *reach = far;
    z->n = n < SAMPLE ? n : SAMPLE;
    for (size_t i = 0; i < z->n; i++) /* i ≤ its source: copying downward is safe */
        z->x[i] = z->x[(size_t)((double)i * (double)n / (double)z->n)];
    z->n -= z->n % dim;
    if (!isfinite(*sigma))
        return bg_fail(e, BG_INPUT, "weights that are NaN or infinite cannot be coded by a lattice");
    z->count = malloc(CLASSES * MAX_SYMBOLS * sizeof *z->count);
    return z->count ? BG_OK : bg_no_memory(e, "counts", CLASSES * MAX_SYMBOLS * sizeof *z->count);
}

static int train_lattice(const bg_spec *s, const bg_matrix *m, bg_trained **out, bg_err *e)
{
    bg_sample z = {0};
    double sigma = 0, reach = 0;
    bg_trained *t = calloc(1, sizeof *t);
    if (!t)
        return bg_no_memory(e, "lattice", sizeof *t);
    bg_lattice_init(&t->lattice, kind_of(s));
    int status = read_sample(m, t, &z, &sigma, &reach, e);
    if (!status) {
        set_step(t, sigma > 0 ? sigma : 1, reach);
        if (sigma > 0 && z.n)
            search_step(t, &z, sigma, reach, ((const lattice_params *)bg_grid_params(s))->rate);
        else
            measure_rate(t, &z);
        status = build_tables(t, &z, e);
    }
    free(z.x), free(z.count);
    if (status)
        release_lattice(t);
    else
        *out = t;
    return status;
}

/* ---- the row ---- */

/* Points of a tile as a stream, from the last to the first; v[n × dim]. */
static void encode_points(const bg_trained *t, const int32_t *v, size_t n, uint32_t **out)
{
    const bg_lattice *l = &t->lattice;
    uint64_t x[BG_RANS_LANES] = {BG_RANS_START, BG_RANS_START};
    for (size_t p = n; p-- > 0;) {
        uint8_t klass[BG_LATTICE_MAX_DIM];
        uint16_t symbol[BG_LATTICE_MAX_DIM];
        unsigned coset = coset_of(l, v + p * (size_t)l->dim);
        split_point(l, v + p * (size_t)l->dim, coset, klass, symbol);
        for (int i = l->dim; i-- > 0;)
            x[i & 1] = bg_rans_put(&t->table[klass[i]], x[i & 1], symbol[i], out);
        for (int b = coset_bits(l); b-- > 0;)
            x[b & 1] = bg_rans_put(&t->coin, x[b & 1], coset >> b & 1, out);
    }
    bg_rans_close(x, out);
}

/* Decodes from the stream alone and compares. */
static int check_stream(const bg_trained *t, const uint32_t *in, const uint32_t *end, const int32_t *v, size_t n)
{
    const bg_lattice *l = &t->lattice;
    uint64_t x[BG_RANS_LANES];
    bg_rans_open(x, &in);
    for (size_t p = 0; p < n; p++) {
        unsigned coset = 0;
        int32_t sum = 0;
        for (int b = 0; b < coset_bits(l); b++)
            coset |= bg_rans_get(&t->coin, &x[b & 1], &in, end) << b;
        for (int i = 0; i < l->dim; i++) {
            int modulus, residue, c = class_of(l, coset, i, sum, &modulus, &residue);
            int32_t y = residue + modulus * from_zigzag((int)bg_rans_get(&t->table[c], &x[i & 1], &in, end));
            if (y != v[p * (size_t)l->dim + (size_t)i])
                return 0;
            sum += y;
        }
    }
    return x[0] == BG_RANS_START && x[1] == BG_RANS_START && in == end;
}

static int code_tile(const bg_spec *s, const bg_trained *t, const bg_targets *tile, bg_rate *rate, bg_err *e)
{
    (void)s;
    int64_t rows = tile->rows, C = tile->cols;
    const float *w = tile->w;
    float *out = tile->out;
    size_t count = (size_t)(rows * C), d = (size_t)t->lattice.dim, n = (count + d - 1) / d;
    size_t capacity = bg_rans_max_words(n * (d + (size_t)coset_bits(&t->lattice)));
    int32_t *v = malloc(n * d * sizeof *v);
    uint32_t *words = malloc(capacity * sizeof *words), *at = words + capacity;
    int status = v && words ? BG_OK : bg_no_memory(e, "coded stream", (capacity + n * d) * 4);
    if (!status) {
        for (size_t p = 0; p < n; p++) {
            size_t m = count - p * d < d ? count - p * d : d;
            find_point(t, w + p * d, m, v + p * d);
            rebuild_weights(t, v + p * d, m, out + p * d);
        }
        encode_points(t, v, n, &at);
        if (!check_stream(t, at, words + capacity, v, n))
            status = bg_fail(e, BG_INPUT, "the coded lattice does not read back");
        rate->indices += 32.0 * (double)(words + capacity - at) + 32;
    }
    free(v), free(words);
    return status;
}

static void count_side(const bg_spec *s, const bg_trained *t, bg_rate *rate)
{
    (void)s;
    rate->scales += 64; /* step and shrinking */
    rate->zeros += 32;  /* mean */
    rate->table += t->table_bits;
}

const bg_grid bg_grid_lattice = {
    .name = "lattice",
    .title = "lattice quantization, entropy-coded",
    .paper = "Conway and Sloane 1982 and 1999; Leech 1967",
    .family = "vector",
    .keys = keys,
    .refuses = "bits levels zero clip scope code",
    .default_scope = "tensor",
    .kind = BG_GRID_VECTOR,
    .bits = count_bits,
    .train = train_lattice,
    .tile = code_tile,
    .side = count_side,
    .release = release_lattice,
};
