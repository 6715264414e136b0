/* Owns turning one matrix into the tensors that a file holds. */
#include "analysis/quantize_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int bg_quantize_takes(const bg_tensor *t)
{
    size_t n = strlen(t->name);
    return t->is_linear && t->layer >= 0 && n > 7 && !strcmp(t->name + n - 7, ".weight");
}

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

static int dress(const bg_tensor *t, const bg_quantize_options *o, const float *w, bg_matrix *m, bg_err *e)
{
    *m = bg_matrix_of(w, t->rows, t->cols);
    m->seed = o->seed;
    return o->calibration ? bg_calibration_dress(o->calibration, t, m, e) : BG_OK;
}

/* Squared error a weight of what was written. */
static double mse_of(const float *w, const float *hat, uint64_t n)
{
    double sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += ((double)w[i] - (double)hat[i]) * ((double)w[i] - (double)hat[i]);
    return sum / (double)n;
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
    out->output_mse = measure.output_mse;
    return status;
}

int bg_quantize_tensor(const bg_tensor *t, const bg_quantize_options *o, bg_parcel *parcel, bg_quantized_tensor *out,
                       bg_err *e)
{
    bg_stored stored = {0};
    int first = parcel->n;
    *out = (bg_quantized_tensor){.tensor = t};
    float *w = malloc(t->count * sizeof *w + 1), *hat = malloc(t->count * sizeof *hat + 1);
    int status = w && hat ? bg_tensor_rows(t, 0, t->rows, w, e) : bg_no_memory(e, t->name, 2 * t->count * sizeof *w);
    if (!status)
        status = bg_quantize_values(t, o, w, hat, o->layout->takes_codes ? &stored : NULL, out, e);
    if (!status)
        status = o->layout->pack(&(bg_packing){.tensor = t, .options = o, .w = w, .hat = hat, .stored = &stored}, parcel, e);
    if (!status) {
        out->mse = mse_of(w, hat, t->count);
        out->hash = bg_values_hash(0, hat, t->count);
    }
    for (int i = first; i < parcel->n; i++)
        out->bytes += (double)bg_parcel_bytes(parcel, i);
    bg_stored_free(&stored);
    free(w);
    free(hat);
    return status ? bg_context(e, "tensor '%s'", t->name) : BG_OK;
}
