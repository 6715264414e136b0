/* bitgap check: is a file whole and sane? Checkpoints are opened (sizes, offsets, index) and every value is looked at;
 * documents are read against their table. One line a finding on standard output. */
#define _GNU_SOURCE
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "io/checkpoints/checkpoint.h"
#include "io/base/options.h"
#include "quant/source/weights.h"

enum { TILE = 1 << 18, ZERO_RUN = 4096 };

typedef struct findings {
    int damaged, odd;
} findings;

static void say(findings *f, int damaged, const char *model, const char *tensor, const char *what, double n)
{
    printf("%s: %s: %s: %.0f %s\n", damaged ? "damaged" : "odd", model, tensor, n, what);
    if (damaged)
        f->damaged++;
    else
        f->odd++;
}

/* What one tensor's values say. */
typedef struct counts {
    double nan, inf, dead_rows, zero_runs, duplicate_rows, shifted_rows, bad_scales, zero_scales, small_scales;
    int64_t run;
} counts;

static void look_at_row(const float *x, int64_t n, counts *c)
{
    int dead = 1;
    for (int64_t i = 0; i < n; i++) {
        c->nan += isnan(x[i]);
        c->inf += isinf(x[i]);
        dead &= x[i] == 0;
        if (x[i] != 0)
            c->run = 0;
        else if (++c->run == ZERO_RUN)
            c->zero_runs++;
    }
    c->dead_rows += dead;
}

/* Two rows that are equal, or equal but for a shift by one, come from a slip in copying and never from training. */
static void look_at_pair(const float *a, const float *b, int64_t n, counts *c)
{
    if (n < 16 || a[0] == 0)
        return;
    c->duplicate_rows += !memcmp(a, b, (size_t)n * sizeof *a);
    c->shifted_rows += !memcmp(a, b + 1, (size_t)(n - 1) * sizeof *a) || !memcmp(a + 1, b, (size_t)(n - 1) * sizeof *a);
}

/* GPTQ and AWQ store scales as they are, as a rule in float16: below its normal numbers they have lost bits. */
static void look_at_scales(const bg_tensor *t, const float *s, int64_t n, counts *c)
{
    int half = !strcmp(t->format->name, "gptq") || !strcmp(t->format->name, "awq");
    for (int64_t i = 0; i < n; i++) {
        c->bad_scales += !isfinite(s[i]);
        c->zero_scales += s[i] == 0;
        c->small_scales +=
            s[i] != 0 &&
            (fabsf(s[i]) < 0x1p-126f || (half && fabsf(s[i]) < 0x1p-14f && bg_f16_to_f32(bg_f32_to_f16(s[i])) == s[i]));
    }
}

/* Tiles overlap by one row, so that every neighbouring pair is seen once. */
static int look(const bg_tensor *t, float *tile, float *scales, int64_t step, counts *c, bg_err *e)
{
    int status = BG_OK;
    for (int64_t at = 0; !status && at < t->rows; at += step) {
        int64_t before = at > 0, n = t->rows - at < step ? t->rows - at : step;
        if (bg_interrupted)
            return bg_fail(e, BG_RESOURCE, "interrupted");
        status = bg_tensor_rows(t, at - before, n + before, tile, e);
        for (int64_t r = before; !status && r < n + before; r++) {
            look_at_row(tile + r * t->cols, t->cols, c);
            if (r > 0)
                look_at_pair(tile + (r - 1) * t->cols, tile + r * t->cols, t->cols, c);
        }
        if (!status && scales)
            status = t->format->scales(t, at, n, scales, e);
        if (!status && scales)
            look_at_scales(t, scales, n * t->cols, c);
    }
    return status;
}

/* Tokens that training never saw keep equal rows (SmolLM2 has two). */
static int has_row_for_each_token(const bg_tensor *t)
{
    return !strcmp(t->role, "embed") || !strcmp(t->role, "lm_head");
}

static void report(const bg_ckpt *m, const bg_tensor *t, const counts *c, findings *f)
{
    double zeros = c->zero_scales;
    if (c->nan + c->inf > 0)
        say(f, 1, m->title, t->name, "values are NaN or Inf", c->nan + c->inf);
    if (c->bad_scales > 0)
        say(f, 1, m->title, t->name, "weights have a scale that is NaN or Inf", c->bad_scales);
    if (zeros > 0)
        say(f, 0, m->title, t->name, "weights have a scale of zero", zeros);
    if (c->small_scales > 0)
        say(f, 0, m->title, t->name, "weights have a subnormal scale", c->small_scales);
    if (!t->is_linear)
        return;
    if (c->dead_rows > 0)
        say(f, c->dead_rows == (double)t->rows, m->title, t->name, "rows are all zero", c->dead_rows);
    if (c->zero_runs > 0)
        say(f, 1, m->title, t->name, "regions of 4096 zeros or more", c->zero_runs);
    if (c->duplicate_rows > 0)
        say(f, !has_row_for_each_token(t), m->title, t->name, "rows repeat the row before them", c->duplicate_rows);
    if (c->shifted_rows > 0)
        say(f, 1, m->title, t->name, "rows are the row before them, shifted by one", c->shifted_rows);
}

static int check_tensor(const bg_ckpt *m, const bg_tensor *t, findings *f, bg_err *e)
{
    int64_t step = t->cols ? TILE / t->cols : 1;
    step = step < 1 ? 1 : step;
    size_t capacity = (size_t)((step + 1) * t->cols) * sizeof(float);
    counts c = {0};
    float *tile = malloc(capacity + 1), *scales = t->format->scales ? malloc(capacity + 1) : NULL;
    int status = tile && (scales || !t->format->scales) ? BG_OK : bg_no_memory(e, t->name, capacity);
    if (!status)
        status = look(t, tile, t->index_levels ? scales : NULL, step, &c, e);
    if (!status)
        report(m, t, &c, f);
    free(tile);
    free(scales);
    return status;
}

/* A tensor that cannot be decoded is a finding, not the end of the check. */
static int check_model(const char *path, findings *f, bg_err *e)
{
    bg_ckpt *m;
    int status = bg_weights_open(path, &(bg_ckpt_options){0}, &m, e);
    if (status == BG_INPUT) {
        printf("damaged: %s\n", e->text);
        f->damaged++;
        return BG_OK;
    }
    if (status)
        return status;
    uint64_t sum = m->overhead_bytes;
    for (int i = 0; !status && i < m->n_tensors; i++) {
        const bg_tensor *t = &m->tensors[i];
        sum += bg_tensor_bytes(t);
        if (t->dtype != BG_PACKED && !bg_dtypes[t->dtype].is_float)
            continue;
        status = check_tensor(m, t, f, e);
        if (status == BG_INPUT) {
            printf("damaged: %s\n", e->text);
            f->damaged++;
            status = BG_OK;
        }
    }
    if (!status && sum != m->file_bytes)
        say(f, 1, m->title, "all tensors", "bytes of the files belong to no tensor",
            (double)m->file_bytes - (double)sum);
    if (!status)
        printf("%s: %s, %d tensors, %llu bytes\n", path, m->container->name, m->n_tensors,
               (unsigned long long)m->file_bytes);
    bg_ckpt_close(m);
    return status;
}

static int check_document(const char *path, findings *f, bg_err *e)
{
    cJSON *root;
    int status = bg_doc_read(path, NULL, &root, NULL, e);
    if (status == BG_INPUT) {
        printf("damaged: %s\n", e->text);
        f->damaged++;
        return BG_OK;
    }
    if (!status) {
        printf("%s: document %s\n", path, bg_doc_kind_of(root)->name);
        cJSON_Delete(root);
    }
    return status;
}

static int is_document(const char *path)
{
    static const char index[] = ".safetensors.index.json";
    size_t n = strlen(path), m = sizeof index - 1;
    return n > 5 && !strcmp(path + n - 5, ".json") && (n < m || strcmp(path + n - m, index)) && bg_is_file(path);
}

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    (void)p;
    findings f = {0};
    int status = BG_OK, n = bg_args_words(a);
    for (int i = 0; !status && i < n; i++)
        status = is_document(bg_args_word(a, i)) ? check_document(bg_args_word(a, i), &f, e)
                                                 : check_model(bg_args_word(a, i), &f, e);
    if (!status)
        printf("%d damaged, %d odd\n", f.damaged, f.odd);
    if (!status && f.damaged)
        status = bg_fail(e, BG_INPUT, "check: %d finding%s; fetch the file again or make it anew", f.damaged,
                         f.damaged > 1 ? "s" : "");
    return status;
}

const bg_stage bg_stage_check = {
    .name = "check",
    .arguments = "FILE…",
    .min_words = 1,
    .max_words = -1,
    .summary = "is a checkpoint or document whole and sane? exit 3 when not",
    .about =
        "Checkpoints: every tensor accounted for and decoded; NaN and Inf, zero or subnormal scales, dead rows, "
        "regions of\n"
        "zeros, repeated or shifted rows, group indices out of range, sizes against the index. Documents: every field\n"
        "against its declaration.",
    .example = "bitgap check data/austen-3.7m",
    .is_tool = 1,
    .run = run,
};
