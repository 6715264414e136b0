/* Owns perplexity: which windows a convention cuts, which tokens it scores, and the mean and its error. */
#include "analysis/output/perplexity.h"
#include "analysis/output/divergence.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <omp.h>
#include "analysis/model/rows.h"

const char *const bg_convention_names[BG_CONVENTIONS] = {"windows", "llama.cpp", "strided"};

enum { BATCH_TOKENS = 4096 }; /* of one forward pass: bounds its hidden states */

/* Tokens [start, start + length) of the text; those at positions first … length − 1 of the window are scored. */
typedef struct window {
    int64_t start;
    int length, first;
} window;

static window window_at(const bg_loss_options *o, int64_t n, int64_t i)
{
    int64_t step = o->convention == BG_STRIDED ? o->stride : o->context, start = i * step;
    window w = {start, (int)(n - start < o->context ? n - start : o->context), 1};
    if (o->convention == BG_LLAMA_CPP)
        w.first = w.length / 2 + 1;
    if (o->convention == BG_STRIDED && i)
        w.first = o->context - o->stride;
    return w;
}

static int64_t count_windows(const bg_loss_options *o, int64_t n)
{
    int64_t all = n / o->context;
    if (o->convention == BG_STRIDED && n > o->context) /* the last window may be short: every token is scored once */
        all = 1 + (n - o->context + o->stride - 1) / o->stride;
    if (all < 1)
        all = 1;
    return o->windows && o->windows < all ? o->windows : all;
}

double bg_nll(const float *logits, int n, int32_t token, float *scratch)
{
    float max = logits[0];
    for (int i = 1; i < n; i++)
        max = logits[i] > max ? logits[i] : max;
    memcpy(scratch, logits, (size_t)n * sizeof *scratch);
    return log(bg_softmax_row(scratch, n, 0)) - ((double)logits[token] - (double)max);
}

/* What the sink of one forward pass sees: for each row of logits the token it predicts, or −1. */
typedef struct scorer {
    const int32_t *targets;
    int vocab;
    double *nll;    /* [rows] */
    float *scratch; /* [threads × vocab] */
} scorer;

static int score(void *self, int64_t first, int64_t n, const float *logits, bg_err *e)
{
    scorer *s = self;
    (void)e;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++)
        if (s->targets[first + i] >= 0)
            s->nll[first + i] = bg_nll(logits + i * s->vocab, s->vocab, s->targets[first + i],
                                       s->scratch + (int64_t)omp_get_thread_num() * s->vocab);
    return BG_OK;
}

typedef struct batch {
    int64_t capacity; /* tokens */
    int32_t *ids, *targets;
    int *lengths;
    double *nll;
    float *scratch;
} batch;

static void batch_free(batch *b)
{
    free(b->ids);
    free(b->targets);
    free(b->lengths);
    free(b->nll);
    free(b->scratch);
}

static int batch_open(batch *b, int64_t tokens, int64_t windows, int vocab, bg_err *e)
{
    *b = (batch){
        .capacity = tokens,
        .ids = malloc((size_t)tokens * sizeof *b->ids),
        .targets = malloc((size_t)tokens * sizeof *b->targets),
        .lengths = malloc((size_t)windows * sizeof *b->lengths),
        .nll = malloc((size_t)tokens * sizeof *b->nll),
        .scratch = malloc((size_t)omp_get_max_threads() * (size_t)vocab * sizeof *b->scratch),
    };
    return b->ids && b->targets && b->lengths && b->nll && b->scratch
               ? BG_OK
               : bg_no_memory(e, "windows of text", (unsigned long long)tokens * 16);
}

/* Appends a window to the batch: its ids, and behind each position the token it predicts when that is scored. */
static void add_window(batch *b, int64_t at, const int32_t *ids, window w, int32_t bos)
{
    for (int i = 0; i < w.length; i++) {
        b->ids[at + i] = !i && bos >= 0 ? bos : ids[w.start + i];
        b->targets[at + i] = i + 1 < w.length && i + 1 >= w.first ? ids[w.start + i + 1] : -1;
    }
}

static int run_batch(bg_model *m, const bg_pass *p, batch *b, int n, bg_loss *out, bg_err *e)
{
    scorer s = {b->targets, m->config.vocab, b->nll, b->scratch};
    int status = bg_model_forward(m, &(bg_batch){.ids = b->ids, .lengths = b->lengths, .n = n}, p, score, &s, e);
    int64_t at = 0;
    for (int w = 0; !status && w < n; w++, out->windows_run++)
        for (int i = 0; i < b->lengths[w]; i++, at++)
            if (b->targets[at] >= 0) {
                out->nll[out->tokens++] = b->nll[at];
                out->scored[out->windows_run]++;
            }
    return status;
}

/* The tokens of a text. */
typedef struct token_list {
    const int32_t *ids;
    int64_t n;
} token_list;

/* Scores every window of the text, as many at once as the batch holds. */
static int run_windows(bg_model *m, const bg_pass *p, token_list text, const bg_loss_options *o, batch *b, bg_loss *out,
                       bg_err *e)
{
    int status = BG_OK, held = 0;
    int64_t tokens = 0;
    bg_progress bar;
    bg_progress_begin(&bar, "perplexity", (unsigned long long)out->windows);
    for (int64_t i = 0; i < out->windows && !status; i++) {
        window w = window_at(o, text.n, i);
        add_window(b, tokens, text.ids, w, o->convention == BG_LLAMA_CPP ? o->bos : -1);
        b->lengths[held++] = w.length;
        tokens += w.length;
        if (tokens + o->context <= b->capacity && i + 1 < out->windows)
            continue;
        status = bg_interrupted ? bg_fail(e, BG_RESOURCE, "interrupted") : run_batch(m, p, b, held, out, e);
        bg_progress_step(&bar, (unsigned long long)held);
        held = 0;
        tokens = 0;
    }
    bg_progress_end(&bar);
    return status;
}

/* Mean and standard error of values of the scored tokens, between windows where there are two or more. */
static bg_sample_mean mean_over(const bg_loss *l, const double *x)
{
    bg_sequences windows = {l->scored, l->scored ? (int)l->windows : 0};
    return bg_sample_mean_of(x, l->tokens, &windows);
}

static void summarise(bg_loss *l)
{
    bg_sample_mean m = mean_over(l, l->nll);
    l->mean = m.mean;
    l->mean_se = m.se;
    l->perplexity = exp(l->mean);
    l->perplexity_se = l->perplexity * l->mean_se;
}

int bg_loss_measure(bg_model *m, const bg_pass *p, const int32_t *ids, int64_t n, const bg_loss_options *o,
                    bg_loss *out, bg_err *e)
{
    *out = (bg_loss){0};
    if (o->context < 2 || (o->convention == BG_STRIDED && (o->stride < 1 || o->stride >= o->context)))
        return bg_fail(e, BG_USAGE,
                       "a context of %d and a stride of %d; the context is at least 2 and above the stride", o->context,
                       o->stride);
    if (o->context > bg_model_context(m))
        return bg_fail(e, BG_INPUT, "a context of %d is longer than the model's %d; use --context %d", o->context,
                       bg_model_context(m), bg_model_context(m));
    if (n < 2)
        return bg_fail(e, BG_INPUT, "the text has %lld tokens; there is nothing to predict", (long long)n);
    out->windows = count_windows(o, n);
    int64_t together = BATCH_TOKENS / o->context;
    together = together < 1 ? 1 : together;
    batch b;
    int status = batch_open(&b, together * o->context, together, m->config.vocab, e);
    out->nll = malloc((size_t)out->windows * (size_t)o->context * sizeof *out->nll);
    out->scored = calloc((size_t)out->windows, sizeof *out->scored);
    if (!status && (!out->nll || !out->scored))
        status = bg_no_memory(e, "token losses", (unsigned long long)out->windows * (unsigned)o->context * 8);
    if (!status)
        status = run_windows(m, p, (token_list){ids, n}, o, &b, out, e);
    batch_free(&b);
    if (!status && !out->tokens)
        status = bg_fail(e, BG_INPUT, "the convention %s scores no token of so short a text",
                         bg_convention_names[o->convention]);
    if (status)
        bg_loss_free(out);
    else
        summarise(out);
    return status;
}

void bg_loss_free(bg_loss *l)
{
    free(l->nll);
    free(l->scored);
    *l = (bg_loss){0};
}

int bg_loss_compare(const bg_loss *base, const bg_loss *other, double *difference, double *se)
{
    int64_t n = base->tokens;
    *difference = *se = (double)NAN;
    if (!base->nll || !other->nll || n != other->tokens || n < 2)
        return 0;
    double *x = malloc((size_t)n * sizeof *x);
    if (!x)
        return 0;
    for (int64_t i = 0; i < n; i++)
        x[i] = other->nll[i] - base->nll[i];
    bg_sample_mean m = mean_over(base, x);
    *difference = m.mean;
    *se = m.se;
    free(x);
    return 1;
}
