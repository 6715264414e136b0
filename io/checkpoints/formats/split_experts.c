/* Owns experts that a checkpoint stores together: each becomes a matrix of its own, [out, in], under the name that it
 * has where they are stored apart (PREFIX.experts.7.gate_proj.weight).
 *
 *     [E, A, B]   expert e's matrix is rows e·A … of the source, or their transpose where A is the input
 *     gate and up in one: the first and the second half of the outputs, in gpt-oss the even and the odd ones
 *
 * The stored tensor stays beside the list as the source that its views read from. Sources: transformers' modelling code
 * of gpt_oss, llama4, granitemoe; llama.cpp's converter for GGUF.
 */
#define _GNU_SOURCE
#include "io/base/json.h"
#include "io/checkpoints/formats/safetensors.h"
#include "io/checkpoints/loading.h"

#include <stdlib.h>
#include <string.h>

typedef struct view {
    bg_format format; /* the source's, reading through this file */
    const bg_tensor *source;
    int64_t base, first, step; /* logical row r: row base + first + step·r of the source; turned: column first + step·r
                                  of rows base … */
} view;

/* ---- reading ---- */

typedef int read_rows(const bg_tensor *t, int64_t first, int64_t n, void *out, bg_err *e);

static int read_floats(const bg_tensor *t, int64_t first, int64_t n, void *out, bg_err *e)
{
    return t->format->rows(t, first, n, out, e);
}

static int read_codes(const bg_tensor *t, int64_t first, int64_t n, void *out, bg_err *e)
{
    return t->format->codes16(t, first, n, out, e);
}

static int read_indices(const bg_tensor *t, int64_t first, int64_t n, void *out, bg_err *e)
{
    return t->format->indices(t, first, n, out, e);
}

static int read_scales(const bg_tensor *t, int64_t first, int64_t n, void *out, bg_err *e)
{
    return t->format->scales(t, first, n, out, e);
}

static int read_view(const bg_tensor *t, int64_t first, int64_t n, read_rows *read, void *out, size_t width, bg_err *e)
{
    const view *v = t->layout;
    int64_t at = v->base + v->first + first * v->step;
    if (v->step == 1)
        return read(v->source, at, n, out, e);
    int status = BG_OK;
    for (int64_t r = 0; r < n && !status; r++)
        status = read(v->source, at + r * v->step, 1, (char *)out + (size_t)(r * t->cols) * width, e);
    return status;
}

static int view_rows(const bg_tensor *t, int64_t first, int64_t n, float *out, bg_err *e)
{
    return read_view(t, first, n, read_floats, out, sizeof *out, e);
}

static int view_codes(const bg_tensor *t, int64_t first, int64_t n, uint16_t *out, bg_err *e)
{
    return read_view(t, first, n, read_codes, out, sizeof *out, e);
}

static int view_indices(const bg_tensor *t, int64_t first, int64_t n, uint16_t *out, bg_err *e)
{
    return read_view(t, first, n, read_indices, out, sizeof *out, e);
}

static int view_scales(const bg_tensor *t, int64_t first, int64_t n, float *out, bg_err *e)
{
    return read_view(t, first, n, read_scales, out, sizeof *out, e);
}

/* Plain elements whose rows are the source's columns: from each of its rows the stretch that holds those asked for. */
static int read_turned(const bg_tensor *t, int64_t first, int64_t n, void *out, size_t width, bg_err *e)
{
    const view *v = t->layout;
    int64_t from = v->first + first * v->step, stretch = (n - 1) * v->step + 1;
    char *piece = malloc((size_t)stretch * width);
    int status = piece ? BG_OK : bg_no_memory(e, t->name, (size_t)stretch * width);
    for (int64_t k = 0; k < t->cols && !status; k++) {
        uint64_t at = (uint64_t)((v->base + k) * v->source->cols + from);
        status = width == sizeof(float)
                     ? bg_raw_decode(t->ckpt->impl, v->source->layout, at, (uint64_t)stretch, (float *)(void *)piece, e)
                     : bg_raw_read(t->ckpt->impl, v->source->layout, at * width, piece, (uint64_t)stretch * width, e);
        for (int64_t i = 0; i < n && !status; i++)
            memcpy((char *)out + (size_t)(i * t->cols + k) * width, piece + (size_t)(i * v->step) * width, width);
    }
    free(piece);
    return status;
}

/* A vector, cut from one row of the source. */
static int read_vector(const bg_tensor *t, read_rows *read, void *out, size_t width, bg_err *e)
{
    const view *v = t->layout;
    char *row = malloc((size_t)v->source->cols * width);
    int status = row ? read(v->source, v->base, 1, row, e) : bg_no_memory(e, t->name, (size_t)v->source->cols * width);
    for (int64_t i = 0; i < t->cols && !status; i++)
        memcpy((char *)out + (size_t)i * width, row + (size_t)(v->first + i * v->step) * width, width);
    free(row);
    return status;
}

static int vector_row(const bg_tensor *t, int64_t first, int64_t n, float *out, bg_err *e)
{
    (void)first, (void)n;
    return read_vector(t, read_floats, out, sizeof *out, e);
}

static int vector_codes(const bg_tensor *t, int64_t first, int64_t n, uint16_t *out, bg_err *e)
{
    (void)first, (void)n;
    return read_vector(t, read_codes, out, sizeof *out, e);
}

static int turned_rows(const bg_tensor *t, int64_t first, int64_t n, float *out, bg_err *e)
{
    return read_turned(t, first, n, out, sizeof *out, e);
}

static int turned_codes(const bg_tensor *t, int64_t first, int64_t n, uint16_t *out, bg_err *e)
{
    return read_turned(t, first, n, out, sizeof *out, e);
}

/* ---- recognising ---- */

typedef struct fused {
    const char *ending, *before; /* of the stored name; what follows the prefix in the new one, up to the number */
    const char *parts[2];        /* after the number; NULL: it is one matrix */
} fused;

static const fused forms[] = {
    {".experts.gate_up_proj", ".experts.", {".gate_proj.weight", ".up_proj.weight"}},
    {".experts.gate_up_proj.weight", ".experts.", {".gate_proj.weight", ".up_proj.weight"}},
    {".experts.gate_proj.weight", ".experts.", {".gate_proj.weight", NULL}},
    {".experts.up_proj.weight", ".experts.", {".up_proj.weight", NULL}},
    {".experts.down_proj", ".experts.", {".down_proj.weight", NULL}},
    {".experts.down_proj.weight", ".experts.", {".down_proj.weight", NULL}},
    {".input_linear.weight", ".experts.", {".gate_proj.weight", ".up_proj.weight"}},
    {".output_linear.weight", ".experts.", {".down_proj.weight", NULL}},
    {".experts.w1.weight", ".experts.", {".w1.weight", NULL}},
    {".experts.w2.weight", ".experts.", {".w2.weight", NULL}},
    {".experts.w3.weight", ".experts.", {".w3.weight", NULL}},
    {".experts.gate_up_proj_bias", ".experts.", {".gate_proj.bias", ".up_proj.bias"}},
    {".experts.down_proj_bias", ".experts.", {".down_proj.bias", NULL}},
    {".experts.gate_proj.bias", ".experts.", {".gate_proj.bias", NULL}},
    {".experts.up_proj.bias", ".experts.", {".up_proj.bias", NULL}},
    {".experts.down_proj.bias", ".experts.", {".down_proj.bias", NULL}},
};

static const fused *form_of(const bg_tensor *t)
{
    size_t n = strlen(t->name);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        size_t m = strlen(forms[i].ending);
        int bias = strstr(forms[i].ending, "bias") != NULL;
        if (n > m && !strcmp(t->name + n - m, forms[i].ending) && t->rank == (bias ? 2 : 3) && t->count)
            return &forms[i];
    }
    return NULL;
}

static int is_plain(const bg_tensor *t)
{
    return t->format->borrows_layout && t->dtype != BG_PACKED;
}

/* Are the matrices stored [in, out]? The width of the model says which side is which; gpt-oss's plain ones, square in
 * the released models, always are. −1: it cannot be told. */
static int is_turned(const bg_tensor *t, const fused *f, int64_t hidden, const char *type)
{
    int down = strstr(f->parts[0], "down") || strstr(f->parts[0], ".w2");
    int64_t in = down ? t->shape[1] : t->shape[2]; /* the side of the model's width, as [out, in] */
    int64_t other = down ? t->shape[2] : t->shape[1];
    if (t->rank == 2) /* biases */
        return 0;
    if (!strcmp(type, "gpt_oss") || !strncmp(type, "llama4", 6))
        return is_plain(t);
    if (in == hidden)
        return 0;
    return other == hidden && is_plain(t) ? 1 : -1;
}

/* ---- making views ---- */

/* The last part of a source has what is left over. */
static void share_bytes(bg_tensor *t, const bg_tensor *source, int64_t index, int64_t all)
{
    for (int i = 0; i < BG_PARTS; i++) {
        uint64_t each = source->bytes[i] / (uint64_t)all;
        t->bytes[i] = index + 1 < all ? each : source->bytes[i] - each * (uint64_t)(all - 1);
    }
}

static void set_functions(bg_format *f, const bg_tensor *source, int turned)
{
    const bg_format *s = source->format;
    int vector = source->rank == 2;
    *f = (bg_format){.name = s->name, .help = s->help};
    f->rows = vector ? vector_row : turned ? turned_rows : view_rows;
    if (s->codes16)
        f->codes16 = vector ? vector_codes : turned ? turned_codes : view_codes;
    if (s->indices && !turned && !vector)
        f->indices = view_indices;
    if (s->scales && !turned && !vector)
        f->scales = view_scales;
}

/* How a source is cut. */
typedef struct cut {
    const bg_tensor *source;
    const fused *form;
    int turned, interleaved;
} cut;

static int add_view(bg_load *l, const cut *c, int64_t expert, int part, bg_err *e)
{
    const bg_tensor *s = c->source;
    int64_t parts = c->form->parts[1] ? 2 : 1, outputs = s->shape[s->rank == 2 || !c->turned ? 1 : 2] / parts;
    int64_t shape[2] = {outputs, s->rank == 2 ? 1 : s->shape[c->turned ? 1 : 2]};
    char *name = NULL;
    if (asprintf(&name, "%.*s%s%lld%s", (int)(strlen(s->name) - strlen(c->form->ending)), s->name, c->form->before,
                 (long long)expert, c->form->parts[part]) < 0)
        return bg_no_memory(e, s->name, strlen(s->name));
    view *v = calloc(1, sizeof *v);
    bg_tensor *t = v ? bg_load_add(l, name, &v->format, e) : NULL;
    free(name);
    if (!t) {
        free(v);
        return bg_no_memory(e, "the list of tensors", sizeof *t);
    }
    set_functions(&v->format, s, c->turned);
    v->source = s;
    v->base = s->rank == 2 ? expert : expert * s->shape[1];
    v->first = c->interleaved ? part : part * outputs;
    v->step = c->interleaved ? parts : 1;
    t->layout = v;
    t->dtype = s->dtype;
    t->index_levels = s->index_levels;
    t->group_size = s->group_size;
    t->levels = s->levels;
    share_bytes(t, s, expert * parts + part, s->shape[0] * parts);
    int status = bg_tensor_shape(t, shape, s->rank - 1, e);
    return status ? status : bg_tensor_storage(t, e, "%s", s->storage);
}

/* Takes tensor i out of the list, as a source of the store. */
static const bg_tensor *keep_source(bg_load *l, int i, bg_err *e)
{
    bg_store *s = l->ckpt->impl;
    bg_tensor **more = realloc(s->sources, ((size_t)s->n_sources + 1) * sizeof *more), *kept = malloc(sizeof *kept);
    if (more)
        s->sources = more;
    if (!more || !kept) {
        free(kept);
        bg_no_memory(e, "the sources of experts", sizeof *kept);
        return NULL;
    }
    *kept = l->ckpt->tensors[i];
    s->sources[s->n_sources++] = kept;
    l->ckpt->tensors[i] = l->ckpt->tensors[--l->ckpt->n_tensors];
    return kept;
}

static int split(bg_load *l, int i, const fused *f, int turned, int interleaved, bg_err *e)
{
    int parts = f->parts[1] ? 2 : 1, status = BG_OK;
    const bg_tensor *s = keep_source(l, i, e);
    if (!s)
        return BG_RESOURCE;
    cut c = {s, f, turned, interleaved && parts == 2};
    if (s->shape[s->rank == 2 || !turned ? 1 : 2] % parts)
        return bg_fail(e, BG_INPUT, "tensor '%s' holds a gate and more, but an odd number of outputs", s->name);
    for (int64_t k = 0; k < s->shape[0] && !status; k++)
        for (int p = 0; p < parts && !status; p++)
            status = add_view(l, &c, k, p, e);
    return status;
}

int bg_split_experts(bg_load *l, bg_err *e)
{
    const cJSON *config = l->ckpt->config, *text = cJSON_GetObjectItemCaseSensitive(config, "text_config");
    config = cJSON_IsObject(text) ? text : config;
    const char *type = bg_json_string(config, "model_type", "");
    double hidden = bg_json_number(config, "hidden_size", 0);
    int status = BG_OK, interleaved = !strcmp(type, "gpt_oss");
    if (!(hidden >= 1 && hidden < 1 << 24))
        return BG_OK; /* a file without a config stays as it is */
    for (int i = 0, n = l->ckpt->n_tensors; i < n && !status;) {
        const fused *f = form_of(&l->ckpt->tensors[i]);
        int turned = f ? is_turned(&l->ckpt->tensors[i], f, (int64_t)hidden, type) : -1;
        if (turned < 0) {
            i++;
            continue;
        }
        if (i != n - 1) { /* the last unseen one takes its place */
            bg_tensor seen = l->ckpt->tensors[i];
            l->ckpt->tensors[i] = l->ckpt->tensors[n - 1];
            l->ckpt->tensors[n - 1] = seen;
        }
        status = split(l, --n, f, turned, interleaved, e);
    }
    return status;
}
