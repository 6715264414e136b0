/* Perplexity and questions against expected.json, which transformers made in float32. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <cmocka.h>
#include "analysis/output/perplexity.h"
#include "analysis/output/questions.h"
#include "io/base/file.h"

static bg_ckpt *ckpt;
static bg_model *model;
static bg_tokenizer *tokenizer;
static cJSON *expected;
static bg_ids ids;

static int open_all(void **state)
{
    bg_err e = {0};
    char *text = NULL;
    size_t length = 0;
    (void)state;
    int status = bg_ckpt_open("data/austen-3.7m", &(bg_ckpt_options){0}, &ckpt, &e);
    status = status ? status : bg_model_open(ckpt, &model, &e);
    status = status ? status : bg_model_load(model, &e);
    status = status ? status : bg_tokenizer_open("data/austen-3.7m", &tokenizer, &e);
    status = status ? status : bg_json_read("data/austen-3.7m/expected.json", 1 << 24, &expected, &e);
    status = status ? status : bg_file_read("data/text/test.txt", 1 << 24, &text, &length, &e);
    status = status ? status : bg_tokenizer_encode(tokenizer, text, length, 0, &ids, &e);
    free(text);
    if (status)
        print_error("%s\n", e.text);
    return status;
}

static int close_all(void **state)
{
    (void)state;
    bg_ids_free(&ids);
    cJSON_Delete(expected);
    bg_tokenizer_close(tokenizer);
    bg_model_close(model);
    bg_ckpt_close(ckpt);
    return 0;
}

/* Each of the first windows has the mean loss that transformers gives it; 1e-5 nats of 3.7 is float32 rounding. */
static void windows(void **state)
{
    (void)state;
    enum { WINDOWS = 4, SCORED = 511 };
    bg_err e = {0};
    bg_loss l;
    const bg_loss_options o = {.convention = BG_WINDOWS, .context = 512, .windows = WINDOWS, .bos = -1};
    assert_int_equal(bg_loss_measure(model, NULL, ids.id, (int64_t)ids.n, &o, &l, &e), BG_OK);
    assert_int_equal(l.tokens, WINDOWS * SCORED);
    const cJSON *want =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(expected, "perplexity"), "window_mean_nll");
    for (int w = 0; w < WINDOWS; w++) {
        double sum = 0;
        for (int i = 0; i < SCORED; i++)
            sum += l.nll[w * SCORED + i];
        assert_float_equal(sum / SCORED, cJSON_GetArrayItem(want, w)->valuedouble, 1e-5);
    }
    assert_float_equal(l.perplexity, exp(l.mean), 1e-12);
    /* The error of the mean is that between windows, each of 511 scored tokens. */
    double square = 0;
    for (int w = 0; w < WINDOWS; w++) {
        double sum = 0;
        assert_int_equal(l.scored[w], 511);
        for (int k = 0; k < 511; k++)
            sum += l.nll[w * 511 + k] - l.mean;
        square += sum * sum;
    }
    double se = sqrt(square * WINDOWS / (WINDOWS - 1)) / (double)l.tokens;
    assert_true(fabs(l.mean_se - se) < 1e-9 * se);
    bg_loss_free(&l);
}

/* All conventions against their definitions, run naively: a window at a time, each token's loss by itself. */
static double loss_of(const int32_t *tokens, int n, int first, int *count)
{
    bg_err e = {0};
    bg_loss l;
    double sum = 0;
    const bg_loss_options o = {.convention = BG_WINDOWS, .context = n, .windows = 1, .bos = -1};
    assert_int_equal(bg_loss_measure(model, NULL, tokens, n, &o, &l, &e), BG_OK);
    for (int i = first; i < n; i++, (*count)++)
        sum += l.nll[i - 1];
    bg_loss_free(&l);
    return sum;
}

static void conventions(void **state)
{
    (void)state;
    bg_err e = {0};
    bg_loss l;
    double sum = 0;
    int count = 0;
    bg_loss_options o = {.convention = BG_LLAMA_CPP, .context = 64, .bos = 2046};
    assert_int_equal(bg_loss_measure(model, NULL, ids.id, 200, &o, &l, &e), BG_OK);
    for (int w = 0; w < 3; w++) {
        int32_t window[64];
        memcpy(window, ids.id + 64 * w, sizeof window);
        window[0] = 2046;
        sum += loss_of(window, 64, 33, &count);
    }
    assert_int_equal(l.tokens, 3 * 31);
    assert_int_equal(l.tokens, count);
    assert_float_equal(l.mean, sum / count, 1e-5);
    bg_loss_free(&l);

    o = (bg_loss_options){.convention = BG_STRIDED, .context = 64, .stride = 24, .bos = -1};
    sum = count = 0;
    assert_int_equal(bg_loss_measure(model, NULL, ids.id, 200, &o, &l, &e), BG_OK);
    for (int begin = 0, done = 1; done < 200; begin += 24) {
        int end = begin + 64 < 200 ? begin + 64 : 200;
        sum += loss_of(ids.id + begin, end - begin, done - begin, &count);
        done = end;
    }
    assert_int_equal(l.tokens, 199); /* every token but the first, once */
    assert_int_equal(l.tokens, count);
    assert_float_equal(l.mean, sum / count, 1e-5);
    bg_loss_free(&l);
}

static void refuses(void **state)
{
    (void)state;
    bg_err e = {0};
    bg_loss l;
    bg_loss_options o = {.context = 513, .bos = -1};
    assert_int_equal(bg_loss_measure(model, NULL, ids.id, 1000, &o, &l, &e), BG_INPUT);
    assert_non_null(strstr(e.text, "512"));
    o.context = 64;
    assert_int_equal(bg_loss_measure(model, NULL, ids.id, 1, &o, &l, &e), BG_INPUT);
    int32_t bad[] = {1, 2048, 3};
    assert_int_equal(bg_loss_measure(model, NULL, bad, 3, &o, &l, &e), BG_INPUT);
    bg_qa qa;
    assert_int_equal(bg_qa_read("data/text/test.txt", &qa, &e), BG_INPUT);
    assert_non_null(strstr(e.text, "line 1"));
}

/* Every fifth question: log-likelihoods, the pick, the greedy text. */
static void questions(void **state)
{
    (void)state;
    bg_err e = {0};
    bg_qa qa, some;
    assert_int_equal(bg_qa_read("data/text/qa.jsonl", &qa, &e), BG_OK);
    assert_int_equal(qa.n, 200);
    some = qa;
    some.items = calloc(40, sizeof *some.items);
    bg_qa_answer *answers = calloc(40, sizeof *answers);
    assert_non_null(some.items);
    assert_non_null(answers);
    for (some.n = 0; some.n < 40; some.n++)
        some.items[some.n] = qa.items[5 * some.n];
    assert_int_equal(bg_qa_run(model, NULL, tokenizer, &some, answers, &e), BG_OK);
    const cJSON *items = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(expected, "qa"), "items");
    for (int i = 0; i < some.n; i++) {
        const cJSON *item = cJSON_GetArrayItem(items, 5 * i);
        const cJSON *scores = cJSON_GetObjectItemCaseSensitive(item, "choice_logprobs");
        assert_string_equal(bg_json_string(item, "id", ""), some.items[i].id);
        for (int c = 0; c < some.items[i].n_choices; c++)
            assert_float_equal(answers[i].score[c], cJSON_GetArrayItem(scores, c)->valuedouble, 1e-4);
        assert_int_equal(answers[i].picked, (int)bg_json_number(item, "picked", -1));
        assert_string_equal(answers[i].greedy, bg_json_string(item, "greedy", ""));
        assert_int_equal(answers[i].greedy_right, bg_json_bool(item, "greedy_ok", -1));
        assert_int_equal(answers[i].choice_right, bg_json_bool(item, "choice_ok", -1));
    }
    free(some.items);
    free(answers);
    bg_qa_free(&qa);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(windows), cmocka_unit_test(conventions),
                                       cmocka_unit_test(refuses), cmocka_unit_test(questions)};
    return cmocka_run_group_tests(tests, open_all, close_all);
}
