/* Owns the test of linearity: coefficients by antithetic perturbation, prediction, and how well it held. */
#include "analysis/output/linearity.h"

#include <math.h>
#include <stdlib.h>

int bg_linearity_measure(bg_model *base, const bg_corpus *t, double step, const bg_functional_options *o,
                         bg_linearity *out, bg_err *e)
{
    int n = base->n_linears;
    *out = (bg_linearity){.n = n, .step = step};
    out->kl = calloc((size_t)n, sizeof *out->kl);
    out->log_ratio = calloc((size_t)n, sizeof *out->log_ratio);
    bg_trial *v = calloc(2 * (size_t)n, sizeof *v);
    if (!out->kl || !out->log_ratio || !v) {
        free(v);
        return bg_no_memory(e, "perturbations", 2 * (unsigned long long)n * sizeof *v);
    }
    for (int i = 0; i < 2 * n; i++) {
        const bg_linear *l = &base->linears[i / 2];
        v[i] = (bg_trial){.noise = i % 2 ? -step : step, .layer = l->layer, .role = l->tensor->role};
    }
    int status = bg_functional_run(base, t, v, 2 * n, o, e);
    for (int i = 0; !status && i < n; i++) {
        double t2 = (v[2 * i].relative[i] + v[2 * i + 1].relative[i]) / 2;
        if (t2 > 0) { /* a tensor of zeros moves nothing */
            out->kl[i] = (v[2 * i].info.kl.mean + v[2 * i + 1].info.kl.mean) / 2 / t2;
            out->log_ratio[i] = (v[2 * i].info.log_ratio.mean + v[2 * i + 1].info.log_ratio.mean) / 2 / t2;
        }
    }
    bg_trials_free(v, 2 * n);
    free(v);
    return status;
}

void bg_linearity_free(bg_linearity *a)
{
    free(a->kl);
    free(a->log_ratio);
    *a = (bg_linearity){0};
}

void bg_linearity_predict(const bg_linearity *a, const bg_trial *v, double *kl, double *log_ratio)
{
    *kl = *log_ratio = 0;
    for (int i = 0; i < a->n; i++) {
        *kl += a->kl[i] * v->relative[i];
        *log_ratio += a->log_ratio[i] * v->relative[i];
    }
}

bg_linearity_fit bg_linearity_fit_of(const double *rate, const double *predicted, const double *measured, int n,
                                     double tolerance)
{
    bg_linearity_fit f = {.r2 = NAN, .holds_from_bits = NAN};
    double mean = 0, residual = 0, total = 0, broken = -INFINITY;
    for (int i = 0; i < n; i++)
        if (measured[i] > 0 && predicted[i] > 0) {
            f.n++;
            mean += log(measured[i]);
        }
    mean /= f.n ? f.n : 1;
    for (int i = 0; i < n; i++) {
        if (!(measured[i] > 0 && predicted[i] > 0))
            continue;
        double off = fabs(predicted[i] / measured[i] - 1), d = log(measured[i] / predicted[i]);
        residual += d * d;
        total += (log(measured[i]) - mean) * (log(measured[i]) - mean);
        f.worst = off > f.worst ? off : f.worst;
        if (off > tolerance && rate[i] > broken)
            broken = rate[i];
    }
    if (f.n > 1 && total > 0)
        f.r2 = 1 - residual / total;
    for (int i = 0; i < n; i++)
        if (measured[i] > 0 && predicted[i] > 0 && rate[i] > broken && !(f.holds_from_bits <= rate[i]))
            f.holds_from_bits = rate[i];
    return f;
}
