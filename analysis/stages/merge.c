/* bitgap merge: the documents of shards, or of any runs of one stage, as one document. */
#include <stdlib.h>
#include <string.h>
#include "io/base/options.h"

/* ---- keys: what a row is about ---- */

/* Fields that say which thing a row describes; the others are what was found. */
static const char *const key_fields[] = {"title",      "tensor",   "role",   "quantizer", "spec",
                                         "distortion", "relative", "anchor", "test",      "document",
                                         "what",       "over",     "stage",  "model",     NULL};

static int same_key(const cJSON *a, const cJSON *b, const bg_section *s)
{
    for (const bg_field *f = s->fields; f->name; f++)
        for (const char *const *k = key_fields; *k; k++) {
            const cJSON *x = cJSON_GetObjectItemCaseSensitive(a, f->name),
                        *y = cJSON_GetObjectItemCaseSensitive(b, f->name);
            if (!strcmp(f->name, *k) && (!x != !y || (x && !cJSON_Compare(x, y, 1))))
                return 0;
        }
    return 1;
}

/* ---- rows ---- */

static void copy_field(bg_doc *d, const bg_field *f, const cJSON *v)
{
    switch (f->type) {
    case BG_STRING:
        bg_doc_string(d, f->name, v->valuestring);
        return;
    case BG_NUMBER:
        bg_doc_number(d, f->name, v->valuedouble);
        return;
    case BG_INTEGER:
        bg_doc_integer(d, f->name, (int64_t)v->valuedouble);
        return;
    case BG_BOOL:
        bg_doc_bool(d, f->name, cJSON_IsTrue(v));
        return;
    case BG_NUMBERS: {
        int n = cJSON_GetArraySize(v), i = 0;
        double *x = malloc((size_t)n * sizeof *x + 1);
        const cJSON *item;
        cJSON_ArrayForEach(item, v) if (x) x[i++] = item->valuedouble;
        bg_doc_numbers(d, f->name, x, x ? (size_t)n : 0);
        free(x);
        return;
    }
    }
}

static void copy_row(bg_doc *d, const bg_section *s, const cJSON *row)
{
    bg_doc_row(d);
    for (const bg_field *f = s->fields; f->name; f++) {
        const cJSON *v = cJSON_GetObjectItemCaseSensitive(row, f->name);
        if (v)
            copy_field(d, f, v);
    }
    bg_doc_row_end(d);
}

/* Is there a row about the same thing in an earlier document? Equal rows are written once; unequal ones contradict. */
static int seen_before(cJSON *const *docs, int i, const bg_section *s, const cJSON *row, int *seen, bg_err *e)
{
    *seen = 0;
    for (int j = 0; j < i; j++) {
        const cJSON *other;
        cJSON_ArrayForEach(other, bg_doc_rows(docs[j], s->name))
        {
            if (!same_key(row, other, s))
                continue;
            *seen = 1;
            if (!cJSON_Compare(row, other, 1))
                return bg_fail(
                    e, BG_INPUT,
                    "documents %d and %d say different things of '%s' (section %s); they come from different runs",
                    j + 1, i + 1, bg_json_string(row, "tensor", bg_json_string(row, "title", "?")), s->name);
        }
    }
    return BG_OK;
}

static int merge_section(bg_doc *d, const bg_section *s, cJSON *const *docs, int n, bg_err *e)
{
    int held = 0;
    for (int i = 0; i < n; i++)
        held |= bg_doc_rows(docs[i], s->name) != NULL;
    if (held)
        bg_doc_section(d, s->name);
    for (int i = 0; i < n; i++) {
        const cJSON *row;
        cJSON_ArrayForEach(row, bg_doc_rows(docs[i], s->name))
        {
            int seen, status = seen_before(docs, i, s, row, &seen, e);
            if (status)
                return status;
            if (!seen)
                copy_row(d, s, row);
        }
    }
    return BG_OK;
}

static int merge(const bg_doc_kind *kind, cJSON *const *docs, int n, const char *path, const bg_provenance *p,
                 bg_err *e)
{
    bg_doc d;
    int status = bg_doc_begin(&d, kind->name, path, p, e);
    if (status)
        return status;
    for (const bg_section *s = kind->sections; s->name && !status; s++)
        status = merge_section(&d, s, docs, n, e);
    if (status)
        bg_doc_abandon(&d);
    return status ? status : bg_doc_commit(&d, e);
}

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    int n = bg_args_words(a), status = BG_OK;
    cJSON **docs = calloc((size_t)n, sizeof *docs);
    if (!docs)
        return bg_no_memory(e, "documents", (size_t)n * sizeof *docs);
    const bg_doc_kind *kind = NULL;
    for (int i = 0; i < n && !status; i++) {
        status = bg_doc_read(bg_args_word(a, i), kind ? kind->name : NULL, &docs[i], p, e);
        if (!status && !kind)
            kind = bg_doc_kind_of(docs[i]);
    }
    if (!status && !bg_arg_given(a, "output"))
        status = bg_fail(e, BG_USAGE, "merge needs -o FILE");
    if (!status)
        status = merge(kind, docs, n, bg_arg(a, "output"), p, e);
    for (int i = 0; i < n; i++)
        cJSON_Delete(docs[i]);
    free(docs);
    return status;
}

static const bg_option options[] = {{0}};

const bg_stage bg_stage_merge = {
    .name = "merge",
    .arguments = "DOC…",
    .min_words = 1,
    .max_words = -1,
    .summary = "join documents of one kind, such as those of shards",
    .about = "Rows keep the order of the arguments: shards 1 to N in order give the document of the undivided run. A "
             "row that\n"
             "several documents hold is written once; if they differ, the documents contradict and nothing is written.",
    .example = "bitgap merge curves-1.json curves-2.json -o curves.json",
    .options = options,
    .is_tool = 1,
    .run = run,
};
