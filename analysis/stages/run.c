/* bitgap run: one forward pass, its logits as a safetensors file. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/model/model.h"
#include "analysis/output/corpus.h"
#include "io/base/options.h"
#include "io/checkpoints/writers/safetensors_writer.h"
#include "quant/source/weights.h"

/* "1, 2,3" */
static int parse_ids(const char *text, bg_corpus *out, bg_err *e)
{
    size_t capacity = strlen(text) / 2 + 1;
    out->ids = malloc(capacity * sizeof *out->ids);
    if (!out->ids)
        return bg_no_memory(e, "token ids", capacity * sizeof *out->ids);
    for (const char *p = text; *p;) {
        char *end;
        errno = 0;
        long v = strtol(p, &end, 10);
        while (isspace((unsigned char)*end))
            end++;
        if (end == p || errno || v < INT32_MIN || v > INT32_MAX || (*end && *end != ',') || (*end == ',' && !end[1]))
            return bg_fail(e, BG_USAGE, "--ids: '%.40s' is not a list of token ids such as 1,2,3", p);
        out->ids[out->n++] = (int32_t)v;
        p = *end ? end + 1 : end;
    }
    return out->n ? BG_OK : bg_fail(e, BG_INPUT, "--ids is empty: there is nothing to run");
}

/* The header of a safetensors file with one float32 tensor: its length, then JSON padded to 8 bytes. */
typedef struct writer {
    bg_safetensors_writer *out;
    int64_t vocab;
} writer;

static int begin_logits(bg_safetensors_writer *out, const char *path, int64_t rows, int64_t cols, bg_err *e)
{
    const bg_safetensors_entry entry = {.name = "logits", .dtype = BG_F32, .rank = 2, .shape = {rows, cols}};
    return bg_safetensors_begin(out, path, &entry, 1, (const char *const[]){"format", "pt", "bitgap", "run", NULL}, e);
}

static int write_rows(void *self, int64_t first, int64_t n, const float *logits, bg_err *e)
{
    const writer *w = self;
    (void)first;
    return bg_safetensors_put(w->out, logits, (uint64_t)(n * w->vocab) * sizeof *logits, e);
}

static int read_tokens(const bg_args *a, const bg_ckpt *c, bg_corpus *out, bg_err *e)
{
    if (bg_arg_given(a, "ids") + bg_arg_given(a, "text") + bg_arg_given(a, "file") != 1)
        return bg_fail(e, BG_USAGE, "run takes one of --ids, --text and --file");
    if (bg_arg_given(a, "ids"))
        return parse_ids(bg_arg(a, "ids"), out, e);
    int special = !bg_arg_given(a, "no-special");
    if (bg_arg_given(a, "text"))
        return bg_corpus_encode(c, bg_arg(a, "text"), strlen(bg_arg(a, "text")), "--text", special, out, e);
    return bg_corpus_read(c, bg_arg(a, "file"), special, out, NULL, e);
}

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    (void)p;
    bg_ckpt *c = NULL;
    bg_model *m = NULL;
    bg_corpus text = {0};
    bg_safetensors_writer out = {0};
    if (!bg_arg_given(a, "output"))
        return bg_fail(e, BG_USAGE, "run needs -o FILE.safetensors");
    int status = bg_weights_open(bg_args_word(a, 0), &(bg_ckpt_options){0}, &c, e);
    if (!status)
        status = bg_model_open(c, &m, e);
    if (!status)
        status = read_tokens(a, c, &text, e);
    int n = (int)text.n;
    bg_batch b = {.ids = text.ids, .lengths = &n, .n = 1};
    if (!status)
        status = bg_model_check(m, &b, e);
    if (!status)
        status = begin_logits(&out, bg_arg(a, "output"), n, m->config.vocab, e);
    if (!status)
        status = bg_model_forward(m, &b, NULL, write_rows, &(writer){&out, m->config.vocab}, e);
    if (!status)
        status = bg_safetensors_commit(&out, e);
    bg_safetensors_abandon(&out);
    bg_corpus_free(&text);
    bg_model_close(m);
    bg_ckpt_close(c);
    return status;
}

static const bg_option options[] = {
    {.name = "ids", .argument = "LIST", .help = "token ids, separated by commas"},
    {.name = "text", .argument = "TEXT", .help = "text, through the model's tokenizer"},
    {.name = "file", .argument = "FILE", .help = "a text file likewise"},
    {.name = "no-special", .help = "no begin token in front of the text"},
    {0},
};

const bg_stage bg_stage_run = {
    .name = "run",
    .arguments = "MODEL",
    .min_words = 1,
    .max_words = 1,
    .summary = "run a model on tokens or text; write its logits",
    .about =
        "Computes one forward pass in float32 and writes the logits of every position as the float32 tensor 'logits' "
        "[tokens, vocabulary] of a safetensors file.",
    .example = "bitgap run data/austen-3.7m --ids 34,266,79,372 -o logits.safetensors",
    .options = options,
    .is_tool = 1,
    .run = run,
};
