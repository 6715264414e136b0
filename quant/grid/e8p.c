/* E8P, the codebook of QuIP#: 65,536 words of E8-like points in eight dimensions, 2 bits per weight, nothing stored but
 * a scale. Vectors run row after row. Check: N(0,1) at input scale 1.03: 0.0912 ± 0.0004 (the 0.089 printed in QTIP's
 * table 1 is not reproduced by the published codebook). */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "quant/grid/codebook.h"
#include "quant/kernel/lattice.h"

enum { SAMPLE = 1 << 16, SEARCHES = 10 };

struct bg_trained {
    bg_e8p book;
    float scale; /* of the words */
};

typedef struct e8p_params {
    double input; /* σ of the weights in the unit of the codebook; 0: the best for the tensor */
} e8p_params;

static const bg_key keys[] = {
    {.name = "input",
     .type = BG_KEY_NUMBER,
     .min = 0,
     .max = 4,
     .default_text = "0",
     .help = "σ of the weights in the codebook's unit (QuIP#: 1.03); 0: the best for the tensor",
     BG_PARAM(e8p_params, input)},
    {0},
};

static double count_bits(const bg_spec *s)
{
    (void)s;
    return 2;
}

static void code_weights(const bg_trained *t, const float *w, size_t n, float *out)
{
    for (size_t a = 0; a < n; a += 8) {
        float x[8] = {0}, y[8];
        size_t m = n - a < 8 ? n - a : 8;
        for (size_t i = 0; i < m; i++)
            x[i] = t->scale > 0 ? w[a + i] / t->scale : 0;
        bg_e8p_word(&t->book, bg_e8p_nearest(&t->book, x), y);
        for (size_t i = 0; i < m; i++)
            out[a + i] = t->scale * y[i];
    }
}

static double measure_at(bg_trained *t, double scale, const float *x, float *out, size_t n)
{
    double sum = 0;
    t->scale = (float)scale;
    code_weights(t, x, n, out);
    for (size_t i = 0; i < n; i++)
        sum += ((double)x[i] - (double)out[i]) * ((double)x[i] - (double)out[i]);
    return sum;
}

/* Golden section around the Gaussian's best. */
static void search_scale(bg_trained *t, double sigma, const float *x, float *out, size_t n)
{
    const double golden = 0.61803398874989485;
    double a = sigma / 1.4, b = sigma / 0.7, c = b - golden * (b - a), d = a + golden * (b - a);
    double at_c = measure_at(t, c, x, out, n), at_d = measure_at(t, d, x, out, n);
    for (int i = 0; i < SEARCHES; i++)
        if (at_c < at_d) {
            b = d, d = c, at_d = at_c;
            c = b - golden * (b - a), at_c = measure_at(t, c, x, out, n);
        } else {
            a = c, c = d, at_c = at_d;
            d = a + golden * (b - a), at_d = measure_at(t, d, x, out, n);
        }
    t->scale = (float)(at_c < at_d ? c : d);
}

static void release_codebook(bg_trained *t)
{
    free(t);
}

static int fit_scale(const bg_spec *s, const bg_matrix *m, bg_trained **out, bg_err *e)
{
    float *x = NULL, *y = NULL;
    size_t n = 0;
    bg_trained *t = malloc(sizeof *t);
    int status = t ? bg_vectors_read(m, 1, SAMPLE, &x, &n, e) : bg_no_memory(e, "codebook", sizeof *t);
    if (!status && !(y = malloc((n + 1) * sizeof *y)))
        status = bg_no_memory(e, "codebook", n * sizeof *y);
    if (!status) {
        double squares = 0, input = ((const e8p_params *)bg_grid_params(s))->input;
        for (size_t i = 0; i < n; i++)
            squares += (double)x[i] * (double)x[i];
        double sigma = n ? sqrt(squares / (double)n) : 0;
        bg_e8p_init(&t->book);
        t->scale = (float)(input > 0 ? sigma / input : 0);
        if (!(input > 0) && sigma > 0)
            search_scale(t, sigma, x, y, n);
    }
    free(x), free(y);
    if (status)
        release_codebook(t);
    else
        *out = t;
    return status;
}

static int code_tile(const bg_spec *s, const bg_trained *t, const bg_targets *tile, bg_rate *rate, bg_err *e)
{
    (void)s, (void)e;
    int64_t n = tile->rows, C = tile->cols;
    const float *w = tile->w;
    float *out = tile->out;
    size_t count = (size_t)(n * C);
    code_weights(t, w, count, out);
    rate->indices += 2 * (double)count;
    rate->padding += 2 * (double)((8 - count % 8) % 8);
    return BG_OK;
}

static void count_side(const bg_spec *s, const bg_trained *t, bg_rate *rate)
{
    (void)s, (void)t;
    rate->scales += 32;
}

const bg_grid bg_grid_e8p = {
    .name = "e8p",
    .title = "E8P codebook, 2 bits per weight",
    .paper = "Tseng, Chee, Sun, Kuleshov and De Sa 2024 (QuIP#), arXiv 2402.04396",
    .family = "vector",
    .keys = keys,
    .refuses = "bits levels zero clip scope code",
    .default_scope = "tensor",
    .kind = BG_GRID_VECTOR,
    .vector = 8,
    .bits = count_bits,
    .train = fit_scale,
    .tile = code_tile,
    .side = count_side,
    .release = release_codebook,
};
