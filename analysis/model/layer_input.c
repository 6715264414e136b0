/* Owns inputs that each layer has of its own (Gemma 3n, Gemma 4): from the token's embedding e and a second table.
 *
 *     i_l = (N(P_l·e/√D) + √p·T_l[id])/√2,  h += N(Wout·(f(Wgate·h) ⊙ i_l))
 *
 * P_l and T_l are layer l's rows and columns of tensors of the whole model; they are read as they are needed. */
#include <math.h>
#include <stdlib.h>
#include "analysis/model/rows.h"
#include "analysis/model/work.h"

/* i_l of every token, [n × p] into out. */
static int make_inputs(const bg_flow *f, float *embedded, float *table, float *rows, float *out, bg_err *e)
{
    const bg_model *m = f->m;
    const bg_model_config *c = &m->config;
    int64_t D = c->width, p = c->layer_input;
    const bg_norm *norm = &m->layer_input_norm;
    const float *weights = f->p && f->p->weights ? f->p->weights[m->embed.index] : NULL;
    int status = bg_tensor_rows(m->layer_input_projection, (int64_t)f->layer * p, p, rows, e);
    float small = 1 / sqrtf((float)D), large = sqrtf((float)p), half = 1 / sqrtf(2);
    weights = weights ? weights : m->embed.w;
    for (int64_t t = 0; t < f->n && !status; t++) {
        const float *x = weights ? weights + f->b->ids[t] * D : embedded;
        if (!weights)
            status = bg_tensor_rows(m->embed.tensor, f->b->ids[t], 1, embedded, e);
        if (!status)
            status = bg_tensor_rows(m->layer_input_table, f->b->ids[t], 1, table, e);
        for (int64_t i = 0; i < p && !status; i++) {
            double sum = 0;
            for (int64_t j = 0; j < D; j++)
                sum += (double)rows[i * D + j] * (double)(x[j] * c->embedding_scale);
            out[t * p + i] = (float)sum * small;
        }
        if (status)
            break;
        bg_norm_row(norm->kind, out + t * p, norm->w, NULL, p, norm->eps, out + t * p);
        for (int64_t i = 0; i < p; i++)
            out[t * p + i] = (out[t * p + i] + table[(int64_t)f->layer * p + i] * large) * half;
    }
    return status;
}

int bg_layer_input(const bg_flow *f, const float *x, float *y, bg_err *e)
{
    const bg_layer *l = &f->m->layers[f->layer];
    const bg_model_config *c = &f->m->config;
    int64_t D = c->width, p = c->layer_input, table = p * c->layers;
    float *scratch = bg_floats(D + table + p * D + f->n * p), *inputs = scratch + D + table + p * D, *gate = f->w->gate;
    int status = scratch ? make_inputs(f, scratch, scratch + D, scratch + D + table, inputs, e)
                         : bg_no_memory(e, "inputs of a layer", (unsigned long long)(f->n * p) * sizeof *scratch);
    if (!status)
        status = bg_linear_apply(f->m, l->linear[BG_LAYER_INPUT_GATE], f->p, x, f->n, gate, p, f->w, e);
    for (int64_t t = 0; t < f->n && !status; t++)
        bg_activate(c->activation, gate + t * p, inputs + t * p, p);
    if (!status)
        status = bg_linear_apply(f->m, l->linear[BG_LAYER_INPUT_OUT], f->p, gate, f->n, y, D, f->w, e);
    if (!status)
        bg_norm_rows(&l->norm[BG_NORM_LAYER_INPUT], y, f->n, y);
    free(scratch);
    return status;
}
