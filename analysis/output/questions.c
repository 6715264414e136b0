/* Owns scoring questions: choice log-likelihood and greedy exact match. */
#define _GNU_SOURCE
#include "analysis/output/questions.h"

#include <stdlib.h>
#include <string.h>
#include "analysis/output/perplexity.h"
#include "io/base/file.h"

enum { FILE_LIMIT = 256 << 20, TAIL_LIMIT = 512 /* tokens of a choice */ };

/* ---- reading ---- */

static int fill_item(const cJSON *line, bg_qa_item *item, bg_err *e)
{
    const cJSON *choice, *choices = cJSON_GetObjectItemCaseSensitive(line, "choices");
    int64_t index = -1;
    *item = (bg_qa_item){
        .id = bg_json_string(line, "id", ""),
        .kind = bg_json_string(line, "kind", "-"),
        .prompt = bg_json_string(line, "prompt", NULL),
        .answer = bg_json_string(line, "answer", NULL),
    };
    if (!item->prompt || !item->prompt[0] || !item->answer)
        return bg_fail(e, BG_INPUT, "an item needs a prompt and an answer");
    cJSON_ArrayForEach(choice, choices)
    {
        if (!cJSON_IsString(choice) || item->n_choices == BG_QA_CHOICES)
            return bg_fail(e, BG_INPUT, "choices are at most %d strings", BG_QA_CHOICES);
        item->choices[item->n_choices++] = choice->valuestring;
    }
    int status = bg_json_integer(line, "answer_index", &index, e);
    if (status)
        return status;
    for (int i = 0; index < 0 && i < item->n_choices; i++)
        if (!strcmp(item->choices[i], item->answer))
            index = i;
    if (item->n_choices && (index < 0 || index >= item->n_choices))
        return bg_fail(e, BG_INPUT, "answer_index is not one of its %d choices", item->n_choices);
    item->answer_index = item->n_choices ? (int)index : -1;
    return BG_OK;
}

static int add_line(bg_qa *qa, const char *path, char *line, size_t length, int number, bg_err *e)
{
    char name[300];
    snprintf(name, sizeof name, "%.250s line %d", path, number);
    if (!(qa->n & (qa->n - 1))) { /* grow at powers of two */
        size_t room = qa->n ? 2 * (size_t)qa->n : 1;
        void *items = realloc(qa->items, room * sizeof *qa->items);
        qa->items = items ? items : qa->items;
        void *lines = realloc(qa->lines, room * sizeof *qa->lines);
        qa->lines = lines ? lines : qa->lines;
        if (!items || !lines)
            return bg_no_memory(e, path, room * sizeof *qa->items);
    }
    int status = bg_json_parse(line, length, name, &qa->lines[qa->n], e);
    if (status)
        return status;
    status = fill_item(qa->lines[qa->n], &qa->items[qa->n], e);
    qa->n++;
    return status ? bg_context(e, "%s", name) : BG_OK;
}

int bg_qa_read(const char *path, bg_qa *out, bg_err *e)
{
    char *text;
    size_t length;
    *out = (bg_qa){0};
    int status = bg_file_read(path, FILE_LIMIT, &text, &length, e), number = 0;
    if (status)
        return status;
    for (char *at = text, *end; !status && at < text + length; at = end + 1) {
        end = memchr(at, '\n', (size_t)(text + length - at));
        if (!end)
            end = text + length;
        *end = 0;
        number++;
        if (strspn(at, " \t\r") == (size_t)(end - at))
            continue;
        status = add_line(out, path, at, (size_t)(end - at), number, e);
    }
    free(text);
    if (!status && !out->n)
        status = bg_fail(e, BG_INPUT, "%s: there are no questions in it", path);
    if (status)
        bg_qa_free(out);
    return status;
}

void bg_qa_free(bg_qa *qa)
{
    for (int i = 0; i < qa->n; i++)
        cJSON_Delete(qa->lines[i]);
    free(qa->items);
    free(qa->lines);
    *qa = (bg_qa){0};
}

/* ---- running ---- */

typedef struct runner {
    const bg_model *m;
    const bg_tokenizer *t;
    bg_decoder *decoder;
    float *logits, *scratch; /* [vocab]: those after the prompt, kept over all choices */
    int primed;              /* the cache begins with the prompt, and logits are its */
    unsigned char *ends;     /* [vocabulary of the tokenizer]: this token holds a line feed, or ends a text */
} runner;

static int find_ends(runner *r, bg_err *e)
{
    int32_t n = bg_tokenizer_size(r->t);
    r->ends = calloc((size_t)n + 1, 1);
    if (!r->ends)
        return bg_no_memory(e, "the vocabulary", (unsigned)n);
    for (int32_t id = 0; id < n; id++) {
        char *text;
        size_t length;
        int status = bg_tokenizer_decode(r->t, &id, 1, 0, &text, &length, e);
        if (status)
            return status;
        r->ends[id] = id == bg_tokenizer_eos(r->t) || memchr(text, '\n', length);
        free(text);
    }
    return BG_OK;
}

/* Puts the prompt, and nothing else, into the decoder's cache, and its logits into r->logits. */
static int prime(runner *r, const bg_ids *prompt, bg_err *e)
{
    const float *logits;
    if (r->primed) {
        bg_decoder_rewind(r->decoder, (int)prompt->n);
        return BG_OK;
    }
    bg_decoder_rewind(r->decoder, 0);
    int status = bg_decoder_feed(r->decoder, prompt->id, (int)prompt->n, &logits, e);
    if (!status)
        memcpy(r->logits, logits, (size_t)r->m->config.vocab * sizeof *logits);
    r->primed = !status;
    return status;
}

static size_t common_prefix(const bg_ids *a, const bg_ids *b)
{
    size_t n = 0;
    while (n < a->n && n < b->n && a->id[n] == b->id[n])
        n++;
    return n;
}

/* Sum of the log-probabilities of ids[from..), the tokens before them being in the cache, with `logits` after them. All
 * but the last are fed in one pass. */
static int score_tail(runner *r, const bg_ids *ids, size_t from, const float *logits, double *out, bg_err *e)
{
    int vocab = r->m->config.vocab, n = (int)(ids->n - from), status = BG_OK;
    *out = 0;
    if (n > TAIL_LIMIT)
        return bg_fail(e, BG_INPUT, "a choice of %d tokens; %d are allowed", n, TAIL_LIMIT);
    for (int i = 0; i < n && !status; i++) {
        int32_t token = ids->id[from + (size_t)i];
        if (token >= vocab)
            return bg_fail(e, BG_INPUT, "token %d is outside the model's vocabulary of %d", token, vocab);
        if (i == 1)
            status = bg_decoder_feed(r->decoder, ids->id + from, n - 1, &logits, e);
        if (i && n > 2 && !status) /* of two tokens, feeding one gave these logits already */
            status = bg_decoder_logits(r->decoder, i - 1, &logits, e);
        if (!status && from + (size_t)i) /* the very first token has nothing before it */
            *out -= bg_nll(logits, vocab, token, r->scratch);
    }
    return status;
}

/* How prompt + " " + choice + "\n" goes on after the prompt. Where the tokenizer joins the two across their border,
 * scoring begins at the first token that differs. */
static int score_choice(runner *r, const bg_ids *prompt, const char *prompt_text, const char *choice, double *out,
                        bg_err *e)
{
    char *text;
    bg_ids ids;
    int length = asprintf(&text, "%s %s\n", prompt_text, choice);
    if (length < 0)
        return bg_no_memory(e, "a choice", strlen(choice));
    int status = bg_tokenizer_encode(r->t, text, (size_t)length, 1, &ids, e);
    free(text);
    if (status)
        return status;
    size_t same = common_prefix(prompt, &ids);
    const float *logits = r->logits;
    if (same == prompt->n) {
        status = prime(r, prompt, e);
    } else {
        bg_decoder_rewind(r->decoder, 0);
        r->primed = 0;
        if (same)
            status = bg_decoder_feed(r->decoder, ids.id, (int)same, &logits, e);
    }
    if (!status)
        status = score_tail(r, &ids, same, logits, out, e);
    bg_ids_free(&ids);
    return status;
}

/* Copies s without white space at its ends, cut to fit. */
static void copy_trimmed(char *out, size_t room, const char *s)
{
    s += strspn(s, " \t\r\n");
    size_t n = strlen(s);
    while (n && strchr(" \t\r\n", s[n - 1]))
        n--;
    n = n < room - 1 ? n : room - 1;
    memcpy(out, s, n);
    out[n] = 0;
}

static int greedy(runner *r, const bg_ids *prompt, bg_qa_answer *out, bg_err *e)
{
    int32_t ids[BG_QA_GREEDY_TOKENS];
    int n = 0, status = prime(r, prompt, e);
    const float *logits = r->logits;
    while (!status && n < BG_QA_GREEDY_TOKENS) {
        int32_t token = bg_argmax(logits, r->m->config.vocab);
        if (token >= bg_tokenizer_size(r->t) || r->ends[token])
            break;
        ids[n++] = token;
        if (n < BG_QA_GREEDY_TOKENS)
            status = bg_decoder_feed(r->decoder, &token, 1, &logits, e);
    }
    char *text = NULL;
    size_t length;
    if (!status)
        status = bg_tokenizer_decode(r->t, ids, (size_t)n, 0, &text, &length, e);
    if (!status)
        copy_trimmed(out->greedy, sizeof out->greedy, text);
    free(text);
    return status;
}

static int run_item(runner *r, const bg_qa_item *item, bg_qa_answer *out, bg_err *e)
{
    bg_ids prompt;
    int status = bg_tokenizer_encode(r->t, item->prompt, strlen(item->prompt), 1, &prompt, e);
    r->primed = 0;
    *out = (bg_qa_answer){.picked = -1};
    for (int i = 0; i < item->n_choices && !status; i++) {
        status = score_choice(r, &prompt, item->prompt, item->choices[i], &out->score[i], e);
        if (out->picked < 0 || out->score[i] > out->score[out->picked])
            out->picked = i;
    }
    if (!status)
        status = greedy(r, &prompt, out, e);
    out->choice_right = item->n_choices && out->picked == item->answer_index;
    out->greedy_right = !strcmp(out->greedy, item->answer);
    bg_ids_free(&prompt);
    return status ? bg_context(e, "question '%.60s'", item->id) : BG_OK;
}

/* Tokens of the longest prompt with its longest choice; the tokens of a text are never more than its bytes, with the
 * special ones around it. */
static int capacity(const bg_model *m, const bg_qa *qa)
{
    size_t max = 0;
    for (int i = 0; i < qa->n; i++) {
        size_t choice = BG_QA_GREEDY_TOKENS;
        for (int k = 0; k < qa->items[i].n_choices; k++) {
            size_t n = strlen(qa->items[i].choices[k]) + 2;
            choice = n > choice ? n : choice;
        }
        size_t n = strlen(qa->items[i].prompt) + choice + 16;
        max = n > max ? n : max;
    }
    return max < (size_t)bg_model_context(m) ? (int)max : bg_model_context(m);
}

int bg_qa_run(const bg_model *m, const bg_pass *p, const bg_tokenizer *t, const bg_qa *qa, bg_qa_answer *out, bg_err *e)
{
    runner r = {.m = m, .t = t};
    size_t bytes = (size_t)m->config.vocab * sizeof(float);
    r.logits = malloc(bytes);
    r.scratch = malloc(bytes);
    int status = r.logits && r.scratch ? find_ends(&r, e) : bg_no_memory(e, "logits", 2 * bytes);
    if (!status)
        status = bg_decoder_open(m, p, capacity(m, qa), &r.decoder, e);
    bg_progress bar;
    bg_progress_begin(&bar, "questions", (unsigned long long)qa->n);
    for (int i = 0; i < qa->n && !status; i++) {
        status = bg_interrupted ? bg_fail(e, BG_RESOURCE, "interrupted") : run_item(&r, &qa->items[i], &out[i], e);
        bg_progress_step(&bar, 1);
    }
    bg_progress_end(&bar);
    bg_decoder_close(r.decoder);
    free(r.logits);
    free(r.scratch);
    free(r.ends);
    return status;
}
