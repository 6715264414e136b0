/* Owns the linear layers of a pass: which weights it takes, how its input is rounded, in which precision it is summed.
 */
#include <math.h>
#include <stdlib.h>
#include "analysis/model/work.h"
#include "quant/kernel/gemm.h"
#include "quant/kernel/product.h"

float *bg_floats(int64_t n)
{
    size_t bytes = ((size_t)n * sizeof(float) + 63) / 64 * 64;
    return aligned_alloc(64, bytes ? bytes : 64);
}

static void widen(int64_t n, int64_t cols, const float *x, double *out)
{
    for (int64_t i = 0; i < n * cols; i++)
        out[i] = (double)x[i];
}

/* x·wᵀ + bias with every sum in double, over the same chunks as the float product. */
static int apply_double(const bg_linear *l, const float *w, const float *x, int64_t n, float *y, int64_t ldy, bg_err *e)
{
    int64_t chunks = bg_gemm_chunks(n, l->out), most = 0;
    for (int64_t i = 0; i < chunks; i++) {
        bg_gemm_chunk c = bg_gemm_chunk_at(n, l->out, i);
        int64_t need = (c.rows + c.cols) * l->in + c.rows * c.cols;
        most = need > most ? need : most;
    }
    int failed = 0;
#pragma omp parallel for schedule(dynamic) reduction(| : failed)
    for (int64_t i = 0; i < chunks; i++) {
        bg_gemm_chunk c = bg_gemm_chunk_at(n, l->out, i);
        double *a = malloc((size_t)most * sizeof *a);
        if (!a) {
            failed = 1;
            continue;
        }
        double *b = a + c.rows * l->in, *product = b + c.cols * l->in;
        widen(c.rows, l->in, x + c.row * l->in, a);
        widen(c.cols, l->in, w + c.col * l->in, b);
        bg_dgemm((bg_product_shape){c.rows, c.cols, l->in}, 1, (bg_d_operand){a, l->in, 1}, (bg_d_operand){b, 1, l->in},
                 0, product, c.cols);
        for (int64_t r = 0; r < c.rows; r++)
            for (int64_t k = 0; k < c.cols; k++)
                y[(c.row + r) * ldy + c.col + k] =
                    (float)(product[r * c.cols + k] + (l->bias ? (double)l->bias[c.col + k] : 0));
        free(a);
    }
    return failed ? bg_no_memory(e, "a product in double precision", (unsigned long long)most * sizeof(double)) : BG_OK;
}

static void round_bfloat16(float *x, int64_t rows, int64_t cols, int64_t ld)
{
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++)
            x[r * ld + c] = bg_bf16_to_f32(bg_f32_to_bf16(x[r * ld + c]));
}

/* Symmetric rounding of x/s per token (SmoothQuant, LLM.int8: absmax/(2^(b−1)−1)), given back times s; `keep` marks
 * columns left alone. The weights at hand are those of x, not of x/s. */
static void round_tokens(float *x, int64_t rows, int64_t cols, int bits, const float *s, const unsigned char *keep)
{
    float top = (float)((1 << (bits - 1)) - 1);
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < rows; r++) {
        float *row = x + r * cols, peak = 0;
        for (int64_t c = 0; c < cols; c++) {
            float size = keep && keep[c] ? 0 : fabsf(s ? row[c] / s[c] : row[c]);
            peak = size > peak ? size : peak;
        }
        float step = peak / top;
        for (int64_t c = 0; peak > 0 && c < cols; c++)
            if (!keep || !keep[c])
                row[c] = s ? rintf(row[c] / s[c] / step) * step * s[c] : rintf(row[c] / step) * step;
    }
}

static unsigned char *outlier_columns(const float *x, int64_t rows, int64_t cols, float threshold)
{
    unsigned char *keep = calloc((size_t)cols, 1);
    for (int64_t r = 0; keep && r < rows; r++)
        for (int64_t c = 0; c < cols; c++)
            keep[c] |= fabsf(x[r * cols + c]) >= threshold;
    return keep;
}

/* A copy of x, rounded as the pass says, in w->input. */
static int round_input(const bg_model *m, const bg_linear *l, const bg_pass *p, const float *x, int64_t rows,
                       bg_workspace *w, bg_err *e)
{
    int64_t cols = l->in;
    if (!w->input && !(w->input = bg_floats(w->rows * m->widest)))
        return bg_no_memory(e, "rounded inputs", (unsigned long long)(w->rows * m->widest) * sizeof(float));
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < cols; i++)
            w->input[r * cols + i] = x[r * cols + i];
    if (p->precision == BG_BFLOAT16)
        round_bfloat16(w->input, rows, cols, cols);
    if (p->activation_bits <= 0 || l->layer < 0)
        return BG_OK;
    unsigned char *keep = NULL;
    if (p->activation_keep > 0 && !(keep = outlier_columns(w->input, rows, cols, p->activation_keep)))
        return bg_no_memory(e, "outlier columns", (unsigned long long)cols);
    round_tokens(w->input, rows, cols, p->activation_bits, p->input_scales ? p->input_scales[l->index] : NULL, keep);
    free(keep);
    return BG_OK;
}

static const float *weights_of(const bg_linear *l, const bg_pass *p)
{
    return p && p->weights && l->index >= 0 && p->weights[l->index] ? p->weights[l->index] : l->w;
}

/* One layer whose input is rounded, by its own scales, or whose sums are in double. */
static int apply_apart(const bg_model *m, const bg_linear *l, const bg_product *y, const bg_pass *p, const float *x,
                       int64_t n, bg_workspace *w, bg_err *e)
{
    int inside = l->layer >= 0, status = BG_OK;
    if (w && ((p->activation_bits > 0 && inside) || p->precision == BG_BFLOAT16)) {
        status = round_input(m, l, p, x, n, w, e);
        x = w->input;
    }
    if (status)
        return status;
    if (p->precision == BG_FLOAT64)
        return apply_double(l, y->w, x, n, y->y, y->ldy, e);
    bg_gemm_all(n, l->in, x, l->in, y, 1);
    if (p->precision == BG_BFLOAT16 && inside)
        round_bfloat16(y->y, n, l->out, y->ldy);
    return BG_OK;
}

int bg_linears_apply(const bg_model *m, const bg_output *to, int count, const bg_pass *p, const float *x, int64_t n,
                     bg_workspace *w, bg_err *e)
{
    int status = BG_OK, apart = p && (p->activation_bits > 0 || p->precision != BG_FLOAT32);
    bg_product products[BG_LINEARS];
    for (int i = 0; !status && i < count; i++) {
        const bg_linear *l = to[i].l;
        products[i] = (bg_product){l->out, weights_of(l, p), l->bias, to[i].y, to[i].ldy};
        if (p && p->tap && l->layer >= 0)
            status = p->tap->see(p->tap->self, l, x, n, e);
        if (!status && apart)
            status = apply_apart(m, l, &products[i], p, x, n, w, e);
    }
    if (!status && !apart)
        bg_gemm_all(n, to->l->in, x, to->l->in, products, count);
    return status;
}

int bg_linear_apply(const bg_model *m, const bg_linear *l, const bg_pass *p, const float *x, int64_t n, float *y,
                    int64_t ldy, bg_workspace *w, bg_err *e)
{
    return bg_linears_apply(m, &(bg_output){l, y, ldy}, 1, p, x, n, w, e);
}
