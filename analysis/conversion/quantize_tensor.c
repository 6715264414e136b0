/* Owns turning one matrix into the tensors that a file holds. */
#include "analysis/conversion/quantize_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "quant/engine/measure.h"

uint64_t bg_values_hash(uint64_t hash, const float *x, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        float v = x[i] + 0.0f; /* −0 becomes 0 */
        uint32_t bits;
        memcpy(&bits, &v, sizeof bits);
        hash = (hash ^ bits) * 0x100000001b3u;
        hash ^= hash >> 29;
    }
    return hash;
}

bg_quantized_tensor bg_quantized_begin(const bg_tensor *t, const bg_spec *s)
{
    return (bg_quantized_tensor){
        .tensor = t, .spec = s, .clipped = (double)NAN, .output_mse = (double)NAN, .output_power = (double)NAN};
}

static int dress(const bg_tensor *t, const bg_quantize_options *o, const float *w, bg_matrix *m, bg_err *e)
{
    *m = bg_matrix_of(w, t->rows, t->cols);
    m->seed = o->seed;
    return o->calibration ? bg_calibration_dress(o->calibration, t, m, e) : BG_OK;
}

void bg_quantized_judge(const float *w, const float *hat, bg_quantized_tensor *out)
{
    uint64_t n = out->tensor->count;
    double error = 0, power = 0;
    for (uint64_t i = 0; i < n; i++) {
        error += ((double)w[i] - (double)hat[i]) * ((double)w[i] - (double)hat[i]);
        power += (double)w[i] * (double)w[i];
    }
    out->mse = error / (double)n;
    out->power = power / (double)n;
    out->hash = bg_values_hash(0, hat, n);
}

/* What the outputs hold, beside their error; the error too where the quantizer did not say it. */
static int judge_outputs(const bg_matrix *m, const float *w, const float *hat, bg_quantized_tensor *out, bg_err *e)
{
    const bg_tensor *t = out->tensor;
    if (!m->second_moment)
        return BG_OK;
    float *zeros = calloc(t->count + 1, sizeof *zeros);
    int status = zeros ? bg_output_mse(m->second_moment, w, zeros, t->rows, t->cols, &out->output_power, e)
                       : bg_no_memory(e, t->name, t->count * sizeof *zeros);
    if (!status && !isfinite(out->output_mse))
        status = bg_output_mse(m->second_moment, w, hat, t->rows, t->cols, &out->output_mse, e);
    free(zeros);
    return status;
}

int bg_quantized_outputs(const bg_quantize_options *o, const float *w, const float *hat, bg_quantized_tensor *out,
                         bg_err *e)
{
    bg_matrix m;
    int status = dress(out->tensor, o, w, &m, e);
    return status ? status : judge_outputs(&m, w, hat, out, e);
}

int bg_quantize_values(const bg_tensor *t, const bg_quantize_options *o, const float *w, float *hat, bg_stored *stored,
                       bg_quantized_tensor *out, bg_err *e)
{
    bg_measure measure = {0};
    bg_matrix m;
    int status = dress(t, o, w, &m, e);
    if (!status)
        status = bg_reconstruct(&m, o->spec, w, hat, &measure, stored, e);
    if (!status && measure.skipped)
        status = bg_fail(e, BG_INPUT, "%s cannot run here: %s", o->spec->text, measure.skipped);
    out->rate_bits = measure.rate_bits;
    out->clipped = measure.clipped;
    out->babai_bound = measure.babai_bound;
    out->output_mse = measure.output_mse;
    return status ? status : judge_outputs(&m, w, hat, out, e);
}

int bg_quantize_tensor(const bg_tensor *t, const bg_quantize_options *o, bg_parcel *parcel, bg_quantized_tensor *out,
                       bg_err *e)
{
    bg_stored stored = {0};
    int first = parcel->n;
    bg_quantize_options mine = *o;
    mine.spec = bg_quantize_spec(o, t);
    *out = bg_quantized_begin(t, mine.spec);
    float *w = malloc(t->count * sizeof *w + 1), *hat = malloc(t->count * sizeof *hat + 1);
    int status = w && hat ? bg_tensor_rows(t, 0, t->rows, w, e) : bg_no_memory(e, t->name, 2 * t->count * sizeof *w);
    if (!status)
        status = bg_quantize_values(t, &mine, w, hat, o->layout->takes_codes ? &stored : NULL, out, e);
    if (!status)
        status = o->layout->pack(&(bg_packing){.tensor = t, .options = &mine, .w = w, .hat = hat, .stored = &stored},
                                 parcel, e);
    if (!status)
        bg_quantized_judge(w, hat, out);
    for (int i = first; i < parcel->n; i++)
        out->bytes += (double)bg_parcel_bytes(parcel, i);
    bg_stored_free(&stored);
    free(w);
    free(hat);
    return status ? bg_context(e, "tensor '%s'", t->name) : BG_OK;
}
