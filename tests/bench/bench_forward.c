/* Forward pass of a 135M-parameter Llama shape in float32, 512 tokens and every logit, beside the sgemm peak of the
 * same minute. Lines: what, value, unit.
 *
 *     bench_forward [CHECKPOINT]     default $BENCH_DATA/llama-135m (make_checkpoint --135m)
 */
#include <stdio.h>
#include <stdlib.h>
#include "analysis/model/model.h"
#include "analysis/output/speed.h"
#include "quant/kernel/gemm.h"

enum { TOKENS = 512, REPEATS = 3, SIDE = 2048, STEPS = 32 };

typedef struct best {
    double peak, products, pass, load, step; /* seconds, least of the repeats */
    double bytes;                            /* resident at most, after one pass and nothing else */
} best;

static void least(double *x, double seconds)
{
    if (!(*x > 0) || seconds < *x)
        *x = seconds;
}

static int swallow(void *self, int64_t first, int64_t n, const float *logits, bg_err *e)
{
    (void)first, (void)e;
    *(double *)self += (double)logits[n - 1];
    return BG_OK;
}

/* The pass's matrix products alone, on its own weights: float operations; y is room for TOKENS × vocabulary. */
static double products(const bg_model *m, const float *x, float *y)
{
    double flops = 0;
    for (int i = 0; i <= m->n_linears; i++) {
        const bg_linear *l = i < m->n_linears ? &m->linears[i] : &m->head;
        bg_gemm_all(TOKENS, l->in, x, l->in, &(bg_product){l->out, l->w, NULL, y, l->out}, 1);
        flops += 2.0 * TOKENS * (double)l->out * (double)l->in;
    }
    return flops;
}

static int measure(bg_model *m, best *b, double *flops, bg_err *e)
{
    int32_t ids[TOKENS];
    int n = TOKENS;
    double sum = 0;
    bg_batch batch = {.ids = ids, .lengths = &n, .n = 1};
    for (int i = 0; i < TOKENS; i++)
        ids[i] = (i * 7919 + 13) % m->config.vocab;
    int status = bg_model_forward(m, &batch, NULL, swallow, &sum, e);
    b->bytes = (double)bg_peak_bytes();
    size_t room = (size_t)TOKENS * (size_t)m->config.vocab;
    float *x = calloc((size_t)SIDE * SIDE, sizeof *x), *w = calloc((size_t)SIDE * SIDE, sizeof *w);
    float *y = malloc((room > (size_t)SIDE * SIDE ? room : (size_t)SIDE * SIDE) * sizeof *y);
    if (!x || !w || !y)
        return bg_no_memory(e, "matrices", room * sizeof *y);
    for (int i = 0; i < SIDE * SIDE; i++)
        x[i] = w[i] = (float)(i % 13 - 6);
    for (int r = 0; !status && r < REPEATS; r++) {
        double t = bg_now();
        bg_gemm_all(SIDE, SIDE, x, SIDE, &(bg_product){SIDE, w, NULL, y, SIDE}, 1);
        least(&b->peak, bg_now() - t);
        t = bg_now();
        *flops = products(m, x, y);
        least(&b->products, bg_now() - t);
        t = bg_now();
        status = bg_model_forward(m, &batch, NULL, swallow, &sum, e);
        least(&b->pass, bg_now() - t);
    }
    bg_decoder *d = NULL;
    const float *logits;
    if (!status)
        status = bg_decoder_open(m, NULL, STEPS + 8, &d, e);
    for (int i = 0; !status && i < STEPS; i++) {
        double t = bg_now();
        status = bg_decoder_feed(d, ids + i, 1, &logits, e);
        least(&b->step, bg_now() - t);
    }
    bg_decoder_close(d);
    free(x);
    free(w);
    free(y);
    return status;
}

static void report(const bg_model *m, const best *b, double flops)
{
    double peak = 2.0 * SIDE * SIDE * SIDE / b->peak / 1e9;
    printf("parameters\t%.1f\tmillion\n", m->parameters / 1e6);
    printf("ready to run, weights in float32\t%.3f\ts\n", b->load);
    printf("sgemm peak, %d x %d x %d\t%.1f\tGFLOP/s\n", SIDE, SIDE, SIDE, peak);
    printf("the pass's matrix products\t%.1f\tGFLOP/s\n", flops / b->products / 1e9);
    printf("share of the peak, products\t%.1f\t%%\n", 100 * flops / b->products / 1e9 / peak);
    printf("prompt of %d tokens, all logits\t%.1f\ttokens/s\n", TOKENS, TOKENS / b->pass);
    printf("share of the peak, whole pass\t%.1f\t%%\n", 100 * flops / b->pass / 1e9 / peak);
    printf("peak memory of a pass\t%.1f\tMB\n", b->bytes / 1e6);
    printf("of that, beyond the weights\t%.1f\tMB\n", b->bytes / 1e6 - 4 * m->parameters / 1e6);
    printf("generation\t%.1f\ttokens/s\n", 1 / b->step);
    printf("generation, weights read\t%.2f\tGB/s\n", 4 * m->parameters / b->step / 1e9);
}

int main(int argc, char **argv)
{
    bg_err e = {0};
    bg_ckpt *c = NULL;
    bg_model *m = NULL;
    best b = {0};
    double flops = 0;
    char path[512];
    snprintf(path, sizeof path, "%s/llama-135m", getenv("BENCH_DATA") ? getenv("BENCH_DATA") : "out/bench");
    double t = bg_now();
    int status = bg_ckpt_open(argc > 1 ? argv[1] : path, &(bg_ckpt_options){0}, &c, &e);
    if (!status)
        status = bg_model_open(c, &m, &e);
    if (!status)
        status = bg_model_load(m, &e);
    b.load = bg_now() - t;
    if (!status)
        status = measure(m, &b, &flops, &e);
    if (status)
        fprintf(stderr, "bench_forward: %s\n", e.text);
    else
        report(m, &b, flops);
    bg_model_close(m);
    bg_ckpt_close(c);
    return status;
}
