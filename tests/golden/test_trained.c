/* The trained models of data/ against transformers' numbers in their expected.json: token ids, logits, log-loss of the
 * first windows of the test text (tests/peer has all forty).
 *
 * Tolerances: logits 1e-4 of the largest (float32 sums in another order) plus the six decimals of the file; a window's
 * mean log-loss 2e-6 (it is printed to 1e-6).
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "analysis/output/divergence.h"
#include "analysis/model/model.h"
#include "analysis/output/corpus.h"

enum { WINDOWS = 3 };

typedef struct scores {
    const bg_corpus *text;
    const cJSON *at; /* positions of the first window whose logits are known */
    int vocab, context;
    double *window; /* mean log-loss of each window */
} scores;

static void check_row(const cJSON *want, const float *logits, int vocab)
{
    bg_prediction r;
    bg_prediction_read(logits, vocab, NULL, &r);
    double most = bg_json_number(want, "max", NAN), tolerance = 1e-4 * most + 1e-6;
    assert_true(fabs(r.log_sum_exp - bg_json_number(want, "logsumexp", NAN)) <= tolerance);
    assert_true(fabs((double)logits[r.top] - most) <= tolerance);
    assert_int_equal(r.top, (int)bg_json_number(want, "argmax", -1));
    int i = 0;
    for (const cJSON *v = cJSON_GetObjectItem(want, "first16")->child; v; v = v->next, i++)
        assert_true(fabs((double)logits[i] - v->valuedouble) <= tolerance);
    assert_int_equal(i, 16);
}

static int score(void *self, int64_t first, int64_t n, const float *logits, bg_err *e)
{
    (void)e;
    scores *s = self;
    for (int64_t i = 0; i < n; i++) {
        const float *row = logits + i * s->vocab;
        int64_t at = first + i;
        for (const cJSON *want = s->at; want; want = want->next)
            if ((int64_t)bg_json_number(want, "position", -1) == at)
                check_row(want, row, s->vocab);
        if (at % s->context == s->context - 1)
            continue;
        bg_prediction r;
        bg_prediction_read(row, s->vocab, NULL, &r);
        s->window[at / s->context] += bg_prediction_nll(row, &r, s->text->ids[at + 1]) / (s->context - 1);
    }
    return BG_OK;
}

static void check_trained(void **state)
{
    const char *folder = *state;
    char path[256];
    bg_err e = {0};
    cJSON *want = NULL;
    bg_ckpt *c = NULL;
    bg_model *m = NULL;
    bg_corpus text = {0};
    snprintf(path, sizeof path, "%s/expected.json", folder);
    if (bg_json_read(path, 1 << 24, &want, &e) || bg_ckpt_open(folder, &(bg_ckpt_options){0}, &c, &e) ||
        bg_model_open(c, &m, &e) || bg_corpus_read(c, "data/text/test.txt", 0, &text, NULL, &e))
        fail_msg("%s: %s", folder, e.text);
    assert_int_equal(text.n, (int64_t)bg_json_number(want, "tokens_in_text", 0));
    int i = 0, context = (int)bg_json_number(want, "context", 0);
    for (const cJSON *id = cJSON_GetObjectItem(want, "first_64_ids")->child; id; id = id->next)
        assert_int_equal(text.ids[i++], (int)id->valuedouble);
    assert_int_equal(bg_corpus_cut(&text, context, WINDOWS, &e), BG_OK);
    double window[WINDOWS] = {0};
    scores s = {&text, cJSON_GetObjectItem(cJSON_GetObjectItem(want, "logits"), "at")->child, m->config.vocab, context,
                window};
    bg_batch b = {.ids = text.ids, .lengths = text.lengths, .n = text.sequences};
    if (bg_model_forward(m, &b, NULL, score, &s, &e))
        fail_msg("%s: %s", folder, e.text);
    const cJSON *perplexity = cJSON_GetObjectItem(want, "perplexity");
    i = 0;
    const cJSON *nll = cJSON_GetObjectItem(perplexity, "window_mean_nll");
    for (i = 0; i < WINDOWS; i++)
        assert_true(fabs(window[i] - cJSON_GetArrayItem(nll, i)->valuedouble) < 2e-6);
    bg_corpus_free(&text);
    bg_model_close(m);
    bg_ckpt_close(c);
    cJSON_Delete(want);
}

#define MODEL(name)                                                                                                    \
    {                                                                                                                  \
        name, check_trained, NULL, NULL, (void *)(uintptr_t)name                                                       \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {MODEL("data/austen-3.7m"), MODEL("data/austen-0.9m-qwen2")};
    return cmocka_run_group_tests_name("trained models", tests, NULL, NULL);
}
