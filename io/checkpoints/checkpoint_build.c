/* Owns what is done to every checkpoint after its tensors are listed: roles, --include and --exclude, the order by
 * layer and role, and unique names. */
#define _GNU_SOURCE
#include "io/checkpoints/loading.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

static int ends(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && !strcmp(text + n - m, suffix);
}

/* Names decide a role; a matrix with a name of its own is linear all the same. */
static void assign_role(bg_tensor *t)
{
    t->role = bg_role_of(t->name, &t->layer);
    int matrix = t->rank == 2 && t->rows > 1 && t->cols > 1;
    if (bg_role_is_linear(t->role) && t->rank < 2)
        t->role = "other";
    else if (!strcmp(t->role, "other") && matrix && ends(t->name, ".weight"))
        t->role = "linear";
}

static void assign_roles(bg_ckpt *c)
{
    for (int i = 0; i < c->n_tensors; i++) {
        if (!c->tensors[i].role)
            assign_role(&c->tensors[i]);
        c->tensors[i].expert = bg_role_expert(c->tensors[i].name);
        c->tensors[i].is_linear = bg_role_is_linear(c->tensors[i].role);
    }
}

static int compile(const char *pattern, const char *option, pcre2_code **out, bg_err *e)
{
    int code;
    PCRE2_SIZE at;
    *out = NULL;
    if (!pattern)
        return BG_OK;
    *out = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF, &code, &at, NULL);
    if (*out)
        return BG_OK;
    PCRE2_UCHAR text[128] = "";
    pcre2_get_error_message(code, text, sizeof text);
    return bg_fail(e, BG_USAGE, "--%s '%s': %s at character %zu", option, pattern, (char *)text, (size_t)at);
}

static int matches(pcre2_code *code, pcre2_match_data *data, const char *name)
{
    return pcre2_match(code, (PCRE2_SPTR)name, PCRE2_ZERO_TERMINATED, 0, 0, data, NULL) >= 0;
}

static void keep_matching(bg_ckpt *c, pcre2_code *in, pcre2_code *out, pcre2_match_data *data)
{
    int kept = 0;
    for (int i = 0; i < c->n_tensors; i++) {
        const char *name = c->tensors[i].name;
        if ((in && !matches(in, data, name)) || (out && matches(out, data, name)))
            bg_tensor_release(&c->tensors[i]);
        else
            c->tensors[kept++] = c->tensors[i];
    }
    c->n_tensors = kept;
}

static int filter(bg_ckpt *c, const bg_ckpt_options *o, bg_err *e)
{
    pcre2_code *in = NULL, *out = NULL;
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    int before = c->n_tensors;
    int status = data ? compile(o->include, "include", &in, e) : bg_no_memory(e, "a pattern", 64);
    if (!status)
        status = compile(o->exclude, "exclude", &out, e);
    if (!status)
        keep_matching(c, in, out, data);
    if (!status && before && !c->n_tensors)
        status = bg_fail(e, BG_USAGE, "--include and --exclude leave no tensor of %s", c->title);
    pcre2_code_free(in);
    pcre2_code_free(out);
    pcre2_match_data_free(data);
    return status;
}

static int in_order(const void *a, const void *b)
{
    const bg_tensor *x = a, *y = b;
    if (x->layer != y->layer)
        return x->layer < y->layer ? -1 : 1;
    int p = bg_role_order(x->role), q = bg_role_order(y->role);
    if (p != q)
        return p < q ? -1 : 1;
    return x->expert != y->expert ? (x->expert < y->expert ? -1 : 1) : strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const bg_tensor *const *)a)->name, (*(const bg_tensor *const *)b)->name);
}

/* Sorted pointers by name, for bg_ckpt_find and to refuse two tensors of one name. */
static int index_names(bg_ckpt *c, bg_store *s, bg_err *e)
{
    const bg_tensor **index = malloc(((size_t)c->n_tensors + 1) * sizeof *index);
    if (!index)
        return bg_no_memory(e, "the list of tensors", (size_t)c->n_tensors * sizeof *index);
    s->index = index;
    for (int i = 0; i < c->n_tensors; i++)
        index[i] = &c->tensors[i];
    if (c->n_tensors)
        qsort(index, (size_t)c->n_tensors, sizeof *index, by_name);
    for (int i = 1; i < c->n_tensors; i++)
        if (!strcmp(index[i]->name, index[i - 1]->name))
            return bg_fail(e, BG_INPUT, "%s: two tensors become '%s'", c->path, index[i]->name);
    return BG_OK;
}

static int finish(bg_load *l, const bg_ckpt_options *o, bg_err *e)
{
    bg_ckpt *c = l->ckpt;
    uint64_t used = 0;
    assign_roles(c);
    for (int i = 0; i < l->store->n_files; i++)
        c->file_bytes += l->store->files[i].size;
    for (int i = 0; i < c->n_tensors; i++)
        used += bg_tensor_bytes(&c->tensors[i]);
    c->overhead_bytes = c->file_bytes > used ? c->file_bytes - used : 0;
    int status = filter(c, o, e);
    if (status)
        return status;
    if (c->n_tensors)
        qsort(c->tensors, (size_t)c->n_tensors, sizeof *c->tensors, in_order);
    return index_names(c, l->store, e);
}

int bg_ckpt_build(const char *name, bg_ckpt_fill *fill, const bg_ckpt_options *options, bg_ckpt **out, bg_err *e)
{
    *out = NULL;
    bg_ckpt *c = calloc(1, sizeof *c);
    bg_store *s = calloc(1, sizeof *s);
    char *title = strdup(name);
    if (!c || !s || !title) {
        free(c);
        free(s);
        free(title);
        return bg_no_memory(e, name, sizeof *c + sizeof *s);
    }
    c->title = title;
    c->impl = s;
    bg_load l = {.ckpt = c, .store = s};
    int status = fill(&l, name, e);
    if (!status)
        status = finish(&l, options, e);
    if (status)
        bg_ckpt_close(c);
    else
        *out = c;
    return status;
}
