/* Owns the choice of tensors. See selection.h. */
#define _POSIX_C_SOURCE 200809L
#include "analysis/tensors/tensor_selection.h"
#include <stdlib.h>
#include <string.h>
#include "quant/source/weights.h"

/* ---- lists and shards ---- */

static int in_list(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = list; *at;) {
        size_t n = strcspn(at, ",");
        if (n == length && !strncmp(at, word, n))
            return 1;
        at += n + (at[n] == ',');
    }
    return 0;
}

static int check_layers(const char *list, bg_err *e)
{
    return list && (!*list || list[strspn(list, "0123456789,")])
               ? bg_fail(e, BG_USAGE, "--layers=%s: layer numbers separated by commas are wanted", list)
               : BG_OK;
}

static int parse_shard(const char *text, int *which, int *of, bg_err *e)
{
    char rest;
    *which = *of = 1;
    if (!text)
        return BG_OK;
    if (sscanf(text, "%d/%d%c", which, of, &rest) != 2 || *of < 1 || *of > 100000 || *which < 1 || *which > *of)
        return bg_fail(e, BG_USAGE, "--shard=%s: I/N with 1 <= I <= N is wanted", text);
    return BG_OK;
}

/* ---- a groups document ---- */

static int is_document(const char *path)
{
    size_t n = strlen(path);
    return n > 5 && !strcmp(path + n - 5, ".json") && bg_is_file(path);
}

/* The checkpoint a groups.json was made from, as a copy. */
static int model_of(const cJSON *root, const char *document, char **path, bg_err *e)
{
    const char *found = bg_json_string(cJSON_GetArrayItem(bg_doc_rows(root, "models"), 0), "path", NULL);
    if (!found)
        return bg_fail(e, BG_INPUT, "%s does not say where its model is; re-run bitgap extract", document);
    *path = strdup(found);
    return *path ? BG_OK : bg_no_memory(e, "a path", strlen(found));
}

static int listed(const cJSON *root, const char *name)
{
    const cJSON *row;
    cJSON_ArrayForEach(row,
                       bg_doc_rows(root, "tensors")) if (!strcmp(bg_json_string(row, "tensor", ""), name)) return 1;
    return 0;
}

/* ---- selecting ---- */

static int wanted(const bg_tensor *t, const bg_args *a, const cJSON *groups, int any_linear)
{
    char layer[16];
    const char *layers = bg_arg(a, "layers"), *roles = bg_arg(a, "roles");
    snprintf(layer, sizeof layer, "%d", t->layer);
    if (groups ? !listed(groups, t->name) : any_linear && !bg_arg_given(a, "include") && !t->is_linear)
        return 0;
    if (!groups && !t->is_linear && t->rank < 2)
        return 0;
    return (!layers || in_list(layers, layer)) && (!roles || in_list(roles, t->role));
}

/* Tensors whose middle weight falls into the I-th of N equal parts: shards in order are the whole in order. */
static void keep_shard(bg_selection *s, int which, int of)
{
    double before = 0, all = s->weights;
    int kept = 0;
    s->weights = 0;
    for (int i = 0; i < s->n; i++) {
        double n = (double)s->tensors[i]->count, middle = before + n / 2;
        int part = all > 0 ? (int)(middle / all * of) : 0;
        before += n;
        if (part == which - 1) {
            s->tensors[kept++] = s->tensors[i];
            s->weights += n;
        }
    }
    s->n = kept;
}

static int select_tensors(bg_selection *s, const bg_args *a, const cJSON *groups, bg_err *e)
{
    int any_linear = 0, which, of, status = parse_shard(bg_arg(a, "shard"), &which, &of, e);
    if (!status)
        status = check_layers(bg_arg(a, "layers"), e);
    if (status)
        return status;
    s->tensors = calloc((size_t)s->ckpt->n_tensors + 1, sizeof *s->tensors);
    if (!s->tensors)
        return bg_no_memory(e, "tensors", (size_t)s->ckpt->n_tensors * sizeof *s->tensors);
    for (int i = 0; i < s->ckpt->n_tensors; i++)
        any_linear |= s->ckpt->tensors[i].is_linear;
    for (int i = 0; i < s->ckpt->n_tensors; i++) {
        const bg_tensor *t = &s->ckpt->tensors[i];
        if (!bg_weights_density(s->ckpt) && !wanted(t, a, groups, any_linear))
            continue;
        s->tensors[s->n++] = t;
        s->weights += (double)t->count;
    }
    if (!s->n)
        return bg_fail(e, BG_USAGE,
                       "%s: no weight matrix is selected; check --include, --exclude, --layers and --roles",
                       s->ckpt->title);
    keep_shard(s, which, of);
    return BG_OK;
}

int bg_selection_open(bg_selection *s, const char *model, const bg_args *a, bg_provenance *p, bg_err *e)
{
    *s = (bg_selection){0};
    cJSON *groups = NULL;
    char *path = NULL;
    bg_ckpt_options options = {.include = bg_arg(a, "include"), .exclude = bg_arg(a, "exclude")};
    int status = is_document(model) ? bg_doc_read(model, "groups", &groups, p, e) : BG_OK;
    if (!status && groups)
        status = model_of(groups, model, &path, e);
    if (!status)
        status = bg_weights_open(path ? path : model, &options, &s->ckpt, e);
    if (!status)
        status = select_tensors(s, a, groups, e);
    if (!status)
        status = bg_ckpt_provenance(s->ckpt, p, e);
    cJSON_Delete(groups);
    free(path);
    if (status)
        bg_selection_close(s);
    return status;
}

void bg_selection_close(bg_selection *s)
{
    bg_ckpt_close(s->ckpt);
    free(s->tensors);
    *s = (bg_selection){0};
}

/* ---- matrices ---- */

static int read_rows(void *self, int64_t first, int64_t n, float *out, bg_err *e)
{
    return bg_tensor_rows(self, first, n, out, e);
}

static int read_codes(void *self, int64_t first, int64_t n, uint16_t *out, bg_err *e)
{
    return bg_tensor_codes16(self, first, n, out, e);
}

bg_matrix bg_selection_matrix(const bg_selection *s, const bg_tensor *t, uint64_t seed)
{
    int codes = (t->dtype == BG_BF16 || t->dtype == BG_F16) && t->format->codes16;
    bg_matrix m = {.rows = t->rows,
                   .cols = t->cols,
                   .read = read_rows,
                   .self = (void *)t,
                   .seed = seed,
                   .codes16 = codes ? read_codes : NULL,
                   .code_dtype = t->dtype};
    const bg_source *density = bg_weights_density(s->ckpt);
    if (density) {
        m.rows = 0;
        m.distribution = &density->distribution;
        m.distribution_sigma = density->sigma;
    }
    return m;
}
