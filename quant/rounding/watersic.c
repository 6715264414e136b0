/* steps=water of round=gptq (WaterSIC, arXiv 2603.04956).
 *
 * Column j gets the step s·g/M_jj, g the geometric mean of the M_jj: every
 * column then adds the same to ‖(w−ŵ)M‖², the arithmetic mean of theory's loss becomes the geometric one, and with
 * entropy coding the distance from the functional bound tends to ½·log2(2πe/12) at high rate for any Σ. At low rate,
 * where the noise of a column, D = (s·g)²/12, is no longer small against what Σ gives some directions of w, the rate
 * weighs against the loss: among points of spread σ a point ŵ costs ‖ŵ‖²/2σ² nats, and D buys 2D of loss a nat. What is
 * least is
 *
 *     (w−ŵ)Σ(w−ŵ)ᵀ + (D/σ²)·ŵŵᵀ = (t−ŵ)(Σ+μI)(t−ŵ)ᵀ + const,   μ = D/σ²,   t = wΣ(Σ+μI)⁻¹ ,
 *
 * so that t is rounded in place of w, by the factor of Σ + μI: the minimum mean squared error decision feedback of
 * Cioffi and Forney 1997. For Σ = I, t is w shrunk by σ²/(σ²+D). Steps are quarters of an octave apart (which costs
 * 0.0036 bit); code=entropy writes them and the symbols, each with the law that those before it tell
 * (quant/coding/column_coding.h).
 *
 * Invariants: the walk itself does not change; column_step holds the steps in quarters of an octave, and all columns
 * share one range of integers, wide enough for the finest step.
 */
#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "io/base/failure.h"
#include "quant/coding/column_coding.h"
#include "quant/rounding/gptq_walk.h"

enum { CHUNK = 8 * BG_GPTQ_LANES /* rows */ };

/* Column steps that add equally to the loss, in quarters of an octave of the tensor's. The finest of them decides how
 * long the code must be to reach as far as the whole tensor's. */
void bg_water_steps(bg_gptq_walk *k)
{
    bg_code base = k->codes[0];
    float finest = base.scale;
    for (int64_t at = 0; at < k->C; at++) {
        double share = 0.5 * k->f->mean_log2 - log2((double)k->f->M[at * (k->C + 1)]);
        int step = (int)lrint(fmin(fmax(BG_COLUMNS_PER_OCTAVE * share, -BG_COLUMNS_MAX_STEP), BG_COLUMNS_MAX_STEP));
        k->step[bg_gptq_column(k, at)] = step;
        k->codes[at] = base;
        k->codes[at].scale = base.scale * exp2f((float)step / BG_COLUMNS_PER_OCTAVE);
        finest = fminf(finest, k->codes[at].scale);
    }
    enum { LONGEST = 1 << 15 };
    double longer = (double)base.scale / (double)finest;
    int lo = (int)fmax(-LONGEST, floor(base.lo * longer)), hi = (int)fmin(LONGEST - 1, ceil(base.hi * longer));
    k->K = hi - lo + 1;
    for (int64_t at = 0; at < k->C; at++) {
        k->codes[at].lo = lo;
        k->codes[at].hi = hi;
        k->codes[at].K = k->K;
    }
}

/* The factor of Σ + μI for steps=water, μ of round_gptq's opening from the factor it leads to; *own in place of k->f.
 */
int bg_water_factor(bg_gptq_walk *k, int64_t order, bg_factor *own, double *mu, bg_err *e)
{
    enum { TRIES = 4 };
    double step = k->s->step.number, damp = k->f->damp, last = 0;
    int status = BG_OK;
    for (int i = 0; i < TRIES && !status; i++) {
        double level = step * step / 12 * exp2(k->f->mean_log2);
        if (fabs(level - last) < 0.2 * level)
            break;
        bg_factor next;
        *mu = last = level;
        status = bg_factor_init(&next, k->m->second_moment, k->C, damp + level / k->f->mean, order, e);
        if (status)
            break;
        bg_factor_free(own);
        *own = next;
        k->f = own;
    }
    return status;
}

/* t = w − μ·w(Σ+μI)⁻¹ by two triangular solves, in chunks of rows. */
int bg_water_aim(const bg_gptq_walk *k, double mu, float *t, bg_err *e)
{
    bg_failure failure = {0};
#pragma omp parallel
    {
        bg_err mine = {0};
        float *y = malloc((size_t)(CHUNK * k->C) * sizeof *y);
#pragma omp for schedule(dynamic)
        for (int64_t first = 0; first < k->R; first += CHUNK) {
            int64_t rows = first + CHUNK < k->R ? CHUNK : k->R - first, C = k->C;
            for (int64_t i = 0; y && i < rows * C; i++)
                y[i] = k->w[(first + i / C) * C + bg_gptq_column(k, i % C)];
            for (int transposed = 1; y && transposed >= 0; transposed--)
                cblas_strsm(CblasRowMajor, CblasRight, CblasUpper, transposed ? CblasTrans : CblasNoTrans, CblasNonUnit,
                            (int)rows, (int)C, 1, k->f->M, (int)C, y, (int)C);
            for (int64_t i = 0; y && i < rows * C; i++) {
                int64_t at = (first + i / C) * C + bg_gptq_column(k, i % C);
                t[at] = k->w[at] - (float)mu * y[i];
            }
        }
        if (!y) {
            bg_no_memory(&mine, "weights of a chunk", (unsigned long long)(CHUNK * k->C) * sizeof *y);
            bg_failure_note(&failure, 0, &mine);
        }
        free(y);
    }
    return bg_failure_status(&failure, e);
}
