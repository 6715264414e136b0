/* Owns replacing a model's weights by what a spec makes of them. */
#include "analysis/output/weight_replacement.h"

#include <stdlib.h>
#include <string.h>

static int quantize(const bg_linear *l, const bg_spec *s, bg_calibration *calibration, uint64_t seed, bg_replace *v,
                    bg_err *e)
{
    bg_matrix matrix = bg_matrix_of(l->w, l->out, l->in);
    bg_measure measure = {0};
    bg_stored made = {0};
    double count = (double)l->out * (double)l->in, stored = (double)bg_tensor_bytes(l->tensor);
    float *hat = malloc((size_t)count * sizeof *hat);
    if (!hat)
        return bg_no_memory(e, l->name, (unsigned long long)count * sizeof *hat);
    matrix.seed = seed;
    int status = calibration ? bg_calibration_dress(calibration, l->tensor, &matrix, e) : BG_OK;
    if (!status)
        status = bg_reconstruct(&matrix, s, l->w, hat, &measure, s->transform->forward ? &made : NULL, e);
    v->input_scales[l->index] = made.input_scale;
    made.input_scale = NULL;
    bg_stored_free(&made);
    if (status || measure.skipped) {
        free(hat);
        v->skipped += !status;
        v->reason = v->reason ? v->reason : measure.skipped;
        v->bits += 8 * stored;
    } else {
        v->weights[l->index] = hat;
        v->bits += measure.rate_bits * count;
        v->sse += measure.mse * count;
    }
    v->count += count;
    v->stored_bytes += stored;
    return status ? bg_context(e, "%s", l->name) : BG_OK;
}

int bg_replace_make(const bg_model *m, const bg_spec *s, bg_calibration *calibration, uint64_t seed, bg_replace *out,
                    bg_err *e)
{
    *out = (bg_replace){.n = m->n_linears + 2};
    out->weights = calloc((size_t)out->n, sizeof *out->weights);
    out->input_scales = calloc((size_t)out->n, sizeof *out->input_scales);
    out->activation_bits = bg_spec_activations(s, &out->activation_keep);
    if (!out->weights || !out->input_scales)
        return bg_replace_free(out), bg_no_memory(e, "a variant of the model", (unsigned)out->n * sizeof *out->weights);
    int status = BG_OK;
    bg_progress bar;
    bg_progress_begin(&bar, s->text, (unsigned long long)m->n_linears);
    for (int i = 0; i < m->n_linears && !status; i++) {
        if (!m->linears[i].tensor->is_linear)
            continue; /* a router */
        status = bg_interrupted ? bg_fail(e, BG_RESOURCE, "interrupted")
                                : quantize(&m->linears[i], s, calibration, seed, out, e);
        bg_progress_step(&bar, 1);
    }
    bg_progress_end(&bar);
    if (status)
        bg_replace_free(out);
    return status;
}

void bg_replace_free(bg_replace *v)
{
    for (int i = 0; v->weights && i < v->n; i++)
        free(v->weights[i]);
    for (int i = 0; v->input_scales && i < v->n; i++)
        free(v->input_scales[i]);
    free(v->weights);
    free(v->input_scales);
    *v = (bg_replace){0};
}

bg_pass bg_replace_pass(const bg_replace *v)
{
    return (bg_pass){.weights = (const float *const *)v->weights,
                     .activation_bits = v->activation_bits,
                     .activation_keep = v->activation_keep,
                     .input_scales = (const float *const *)v->input_scales};
}
