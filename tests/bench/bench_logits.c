/* What measuring k specs costs beside k + 1 passes over the same text and the quantization itself, on the
 * 135M-parameter Llama shape and 512 tokens. Lines: what, value, unit.
 *
 *     bench_logits [CHECKPOINT]     default $BENCH_DATA/llama-135m (make_checkpoint --135m)
 */
#include <stdio.h>
#include <stdlib.h>
#include "analysis/output/output_difference.h"
#include "analysis/output/perplexity.h"

enum { TOKENS = 512, SPECS = 4, REPEATS = 2 };
static const char *const specs[SPECS] = {"uniform:bits=4,scope=channel", "uniform:bits=4,scope=128,zero=asym", "nf4",
                                         "uniform:bits=3,scope=32"};

static int least(double *x, double start, int status)
{
    double seconds = bg_now() - start;
    *x = *x > 0 && *x < seconds ? *x : seconds;
    return status;
}

/* One pass with its loss, the weights read a layer at a time as the walk does it. */
static int pass(bg_model *m, const int32_t *ids, bg_err *e)
{
    bg_loss loss;
    const bg_loss_options o = {.convention = BG_WINDOWS, .context = TOKENS, .bos = -1};
    int status = bg_loss_measure(m, NULL, ids, TOKENS, &o, &loss, e);
    bg_loss_free(&loss);
    return status;
}

static int quantize(bg_model *m, const bg_spec *s, float *out, double *seconds, bg_err *e)
{
    int status = BG_OK;
    *seconds = 0;
    for (int l = 0; !status && l < m->config.layers; l++) {
        status = bg_model_load_layer(m, l, e);
        double start = bg_now();
        for (int i = 0; !status && i < BG_LINEARS * SPECS; i++) {
            const bg_linear *w = m->layers[l].linear[i % BG_LINEARS];
            bg_measure measure;
            if (!w)
                continue;
            bg_matrix x = bg_matrix_of(w->w, w->out, w->in);
            status = bg_reconstruct(&x, &s[i / BG_LINEARS], w->w, out, &measure, NULL, e);
        }
        *seconds += bg_now() - start;
        bg_model_drop_layer(m, l);
    }
    return status;
}

static int walk(bg_model *m, const bg_spec *s, int32_t *ids, bg_err *e)
{
    int length = TOKENS;
    bg_corpus text = {.ids = ids, .lengths = &length, .n = TOKENS, .sequences = 1};
    bg_trial v[SPECS];
    for (int i = 0; i < SPECS; i++)
        v[i] = (bg_trial){.spec = &s[i], .layer = -1};
    int status = bg_functional_run(m, &text, v, SPECS, &(bg_functional_options){.seed = 1}, e);
    bg_trials_free(v, SPECS);
    return status;
}

static int measure(bg_model *m, bg_err *e)
{
    int32_t ids[TOKENS];
    bg_spec s[SPECS];
    double one = 0, all = 0, quantizing = 0, q;
    int status = BG_OK;
    size_t room = (size_t)m->config.inner * (size_t)m->config.hidden * sizeof(float);
    float *out = malloc(room);
    for (int i = 0; i < TOKENS; i++)
        ids[i] = (i * 7919 + 13) % m->config.vocab;
    for (int i = 0; !status && i < SPECS; i++)
        status = bg_spec_parse(specs[i], &s[i], e);
    if (!out)
        return bg_no_memory(e, "a matrix", room);
    for (int r = 0; !status && r < REPEATS; r++) {
        double start = bg_now();
        status = least(&one, start, pass(m, ids, e));
        if (!status)
            status = quantize(m, s, out, &q, e);
        quantizing = r && quantizing < q ? quantizing : q;
        start = bg_now();
        if (!status)
            status = least(&all, start, walk(m, s, ids, e));
    }
    free(out);
    if (status)
        return status;
    printf("one pass with its loss\t%.3f\ts\n", one);
    printf("quantizing with %d specs\t%.3f\ts\n", SPECS, quantizing);
    printf("logits over %d specs\t%.3f\ts\n", SPECS, all);
    printf("of %d passes and the quantization\t%.1f\t%%\n", SPECS + 1, 100 * all / ((SPECS + 1) * one + quantizing));
    return BG_OK;
}

int main(int argc, char **argv)
{
    bg_err e = {0};
    bg_ckpt *c = NULL;
    bg_model *m = NULL;
    char path[512];
    snprintf(path, sizeof path, "%s/llama-135m", getenv("BENCH_DATA") ? getenv("BENCH_DATA") : "out/bench");
    int status = bg_ckpt_open(argc > 1 ? argv[1] : path, &(bg_ckpt_options){0}, &c, &e);
    if (!status)
        status = bg_model_open(c, &m, &e);
    if (!status)
        status = measure(m, &e);
    if (status)
        fprintf(stderr, "bench_logits: %s\n", e.text);
    bg_model_close(m);
    bg_ckpt_close(c);
    return status;
}
