/* Owns the opening of a model: finds its files, lets each format claim the raw tensors it knows, and orders the logical
 * tensors by layer and role. */
#define _GNU_SOURCE
#include "io/checkpoints/formats/gguf_container.h"
#include "io/checkpoints/loading.h"
#include "io/checkpoints/formats/packed.h"
#include "io/base/overwrite.h"
#include "io/checkpoints/formats/safetensors.h"

#include <dirent.h>
#include <limits.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *const bg_part_names[BG_PARTS] = {"indices", "scales", "zeros", "codebook", "order", "padding", "metadata"};

#define POINT_FORMAT(name) &bg_format_##name,
const bg_format *const bg_formats[] = {&bg_format_safetensors, &bg_format_gguf, BG_PACKED_FORMATS(POINT_FORMAT) NULL};

#define POINT_CLAIM(suffix, name) {suffix, bg_claim_##name},
static const struct {
    const char *suffix;
    bg_claim *claim;
} claims[] = {BG_CLAIMS(POINT_CLAIM)};

/* ---- building ---- */

bg_tensor *bg_load_add(bg_load *l, const char *name, const bg_format *format, bg_err *e)
{
    bg_ckpt *c = l->ckpt;
    if (c->n_tensors == l->room) {
        int room = l->room ? 2 * l->room : 64;
        bg_tensor *more = realloc(c->tensors, (size_t)room * sizeof *more);
        if (!more) {
            bg_no_memory(e, "the list of tensors", (size_t)room * sizeof *more);
            return NULL;
        }
        c->tensors = more;
        l->room = room;
    }
    char *copy = strdup(name);
    if (!copy) {
        bg_no_memory(e, "a name", strlen(name));
        return NULL;
    }
    bg_tensor *t = &c->tensors[c->n_tensors++];
    *t = (bg_tensor){.name = copy, .format = format, .dtype = BG_PACKED, .ckpt = c};
    return t;
}

int bg_tensor_shape(bg_tensor *t, const int64_t *shape, int rank, bg_err *e)
{
    uint64_t bytes;
    if (bg_shape_size(shape, rank, 8, &t->count, &bytes, e))
        return bg_context(e, "tensor '%s'", t->name);
    if (t->count > INT64_MAX / 64)
        return bg_fail(e, BG_INPUT, "tensor '%s': %llu elements are more than any file can hold", t->name,
                       (unsigned long long)t->count);
    t->rank = rank;
    memcpy(t->shape, shape, (size_t)rank * sizeof *shape);
    t->cols = !t->count ? 0 : rank ? shape[rank - 1] : 1;
    t->rows = t->count ? (int64_t)t->count / t->cols : 0;
    return BG_OK;
}

int bg_tensor_storage(bg_tensor *t, bg_err *e, const char *format, ...)
{
    char *text;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    if (n < 0)
        return bg_no_memory(e, "a description", 64);
    t->storage = text;
    return BG_OK;
}

/* A layout is a block of its own or, for plain tensors, a raw tensor of the store. */
static int owns_layout(const bg_tensor *t)
{
    return t->format != &bg_format_safetensors && t->format != &bg_format_conv1d;
}

static void release_tensor(bg_tensor *t)
{
    free((char *)t->name);
    free((char *)t->storage);
    if (owns_layout(t))
        free(t->layout);
}

/* ---- safetensors ---- */

static int ends(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && !strcmp(text + n - m, suffix);
}

/* GPT-2's projections are Conv1D modules, stored [in, out]; models of other types use the same names for [out, in]. */
static int is_conv1d(const bg_ckpt *c, const bg_raw *r)
{
    static const char *const modules[] = {"attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"};
    const char *type = bg_json_string(c->config, "model_type", "gpt2");
    int layer;
    if (r->rank != 2 || strcmp(type, "gpt2") || (bg_role_of(r->name, &layer), layer < 0))
        return 0;
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
        const char *at = strstr(r->name, modules[i]);
        if (at && at > r->name && at[-1] == '.' && !strcmp(at + strlen(modules[i]), ".weight"))
            return 1;
    }
    return 0;
}

static int offer(bg_load *l, bg_raw *r, bg_err *e)
{
    int status = BG_OK;
    for (size_t k = 0; !status && !r->claimed && k < sizeof claims / sizeof *claims; k++) {
        if (!ends(r->name, claims[k].suffix))
            continue;
        char *prefix = strndup(r->name, strlen(r->name) - strlen(claims[k].suffix));
        status = prefix ? claims[k].claim(l, prefix, r, e) : bg_no_memory(e, r->name, strlen(r->name));
        free(prefix);
    }
    return status;
}

/* Methods whose layouts are not read, and what to do about them. */
static int refuse_method(const bg_load *l, bg_err *e)
{
    static const char *const unread[] = {"torchao", "aqlm",   "quip",       "quip#",  "eetq", "vptq",
                                         "higgs",   "spqr",   "fp_quant",   "exl2",   "exl3", "qqq",
                                         "bitnet",  "quanto", "auto-round", "marlin", "gguf", "squeezellm"};
    static const char *const layouts[] = {"marlin-24", "sparse-24-bitmask", "sparse-bitmask"};
    const char *method = bg_json_string(l->quantization, "quant_method", ""),
               *layout = bg_json_string(l->quantization, "format", "");
    for (size_t i = 0; i < sizeof unread / sizeof *unread; i++)
        if (!strcasecmp(method, unread[i]) && strcmp(layout, "gptq") && strcmp(layout, "auto_gptq") &&
            !bg_auto_round_version(l->quantization))
            return bg_fail(e, BG_INPUT,
                           "%s: quantized by %s, whose layout Bitgap does not read; save it in another format",
                           l->ckpt->title, method);
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
        if (!strcmp(layout, layouts[i]) || !strncmp(layout, "mxfp6", 5) || !strncmp(layout, "mxfp8", 5))
            return bg_fail(e, BG_INPUT,
                           "%s: compressed-tensors format %s, which Bitgap does not read; save it uncompressed",
                           l->ckpt->title, layout);
    return BG_OK;
}

static int load_safetensors(bg_load *l, bg_err *e)
{
    bg_store *s = l->store;
    l->ckpt->container = &bg_format_safetensors;
    int status = refuse_method(l, e);
    for (int i = 0; !status && i < s->n_raws; i++)
        status = offer(l, &s->raws[i], e);
    for (int i = 0; !status && i < s->n_raws; i++)
        if (!s->raws[i].claimed)
            status = bg_load_plain(l, &s->raws[i], s->raws[i].name, is_conv1d(l->ckpt, &s->raws[i]), e);
    return status;
}

/* ---- where the files are ---- */

/* The only file of a directory whose name has `middle` in it and ends in `suffix` (malloc'ed path); *n says how many.
 */
static char *only_file(const char *directory, const char *middle, const char *suffix, int *n)
{
    char *found = NULL;
    *n = 0;
    DIR *d = opendir(directory);
    for (struct dirent *entry; d && (entry = readdir(d));)
        if (entry->d_name[0] != '.' && strstr(entry->d_name, middle) && ends(entry->d_name, suffix) && !(*n)++)
            found = bg_path_join(directory, entry->d_name);
    if (d)
        closedir(d);
    return found;
}

/* A model split over NAME-00001-of-00003.gguf …: all parts, in order; the first one's metadata describes the model. */
static int add_gguf(bg_load *l, const char *path, bg_err *e)
{
    static const char pattern[] = "-00001-of-00001.gguf";
    size_t n = strlen(path), m = sizeof pattern - 1;
    unsigned part = 1, parts = 1;
    int used = 0;
    if (n > m && sscanf(path + n - m, "-%5u-of-%5u.gguf%n", &part, &parts, &used) == 2 && used != (int)m)
        part = parts = 1;
    int status = BG_OK, single = !used || parts < 2;
    for (unsigned i = 1; !status && i <= (single ? 1 : parts); i++) {
        char *name = NULL;
        if (single ? !(name = strdup(path))
                   : asprintf(&name, "%.*s-%05u-of-%05u.gguf", (int)(n - m), path, i, parts) < 0)
            return bg_no_memory(e, path, n);
        status = bg_gguf_add(l->store, name, i == 1 ? &l->gguf : NULL, e);
        free(name);
    }
    int64_t count = 1, tensors = l->store->n_raws;
    if (!status)
        status = bg_gguf_integer(l->gguf, "split.count", &count, e);
    if (!status)
        status = bg_gguf_integer(l->gguf, "split.tensors.count", &tensors, e);
    if (!status && count > 1 && (single || count != parts))
        status = bg_fail(e, BG_INPUT, "%s: one of %lld parts; its name must end in -00001-of-%05lld.gguf", path,
                         (long long)count, (long long)count);
    if (!status && tensors != l->store->n_raws)
        status =
            bg_fail(e, BG_INPUT, "%s: its parts hold %d of %lld tensors", path, l->store->n_raws, (long long)tensors);
    return status;
}

static int is_gguf(const char *path)
{
    return ends(path, ".gguf") || bg_file_begins_with(path, "GGUF");
}

static int add_file(bg_load *l, const char *path, bg_err *e)
{
    if (ends(path, ".safetensors.index.json"))
        return bg_safetensors_add_index(l->store, path, e);
    for (const char *const *p = (const char *const[]){".bin", ".pt", ".pth", ".ckpt", NULL}; *p; p++)
        if (ends(path, *p))
            return bg_fail(e, BG_INPUT, "%s: a Python pickle, which is never loaded; convert it to safetensors", path);
    if (ends(path, ".json"))
        return bg_fail(e, BG_INPUT, "%s: a JSON file where a model is wanted", path);
    int status = is_gguf(path) ? add_gguf(l, path, e) : bg_safetensors_add(l->store, path, e);
    return status ? status : bg_store_sort(l->store, e);
}

/* model.safetensors alone, else its index, else the only weight file there is. */
static int add_directory(bg_load *l, const char *directory, bg_err *e)
{
    static const char *const wanted[][2] = {{"model", ".safetensors"},
                                            {"model", ".safetensors.index.json"},
                                            {"model", ".gguf"},
                                            {"", ".safetensors.index.json"},
                                            {"", ".safetensors"},
                                            {"-00001-of-", ".gguf"},
                                            {"", ".gguf"}};
    char *path = NULL;
    int status = BG_OK, n = 0;
    for (int i = 0; !path && i < 7; i++) {
        char name[64];
        if (i >= 3) {
            path = only_file(directory, wanted[i][0], wanted[i][1], &n);
            continue;
        }
        snprintf(name, sizeof name, "%s%s", wanted[i][0], wanted[i][1]);
        path = bg_path_join(directory, name);
        if (path && !bg_is_file(path)) {
            free(path);
            path = NULL;
        }
    }
    if (path && n > 1) {
        status = bg_fail(e, BG_INPUT, "%s: several weight files and no index; name one of them", directory);
    } else if (path) {
        status = add_file(l, path, e);
    } else {
        free(only_file(directory, "", ".bin", &n));
        status = bg_fail(e, BG_INPUT, "%s: no .safetensors or .gguf file%s", directory,
                         n ? ", only Python pickles, which are never loaded; convert them to safetensors"
                           : "; name a model's directory");
    }
    free(path);
    return status;
}

static int read_config(bg_ckpt *c, const char *path, int is_directory, bg_err *e)
{
    if (is_directory)
        return bg_config_read(path, &c->config, e);
    char *directory = strdup(path);
    if (!directory)
        return bg_no_memory(e, path, strlen(path));
    char *slash = strrchr(directory, '/');
    if (slash)
        *slash = 0;
    int status = bg_config_read(slash ? directory : ".", &c->config, e);
    free(directory);
    return status;
}

static int open_path(bg_load *l, const char *given, bg_err *e)
{
    bg_ckpt *c = l->ckpt;
    int directory = bg_is_directory(given);
    c->path = directory || bg_is_file(given) ? strdup(given) : bg_hub_find(given);
    if (!c->path)
        return bg_fail(e, BG_INPUT,
                       "%s: no such file or directory, nor a model of the local Hugging Face cache; "
                       "download it first (huggingface-cli download)",
                       given);
    directory = bg_is_directory(c->path);
    if (directory)
        bg_input_path(c->path);
    int status = directory ? add_directory(l, c->path, e) : add_file(l, c->path, e);
    if (!status && l->gguf)
        return bg_gguf_load(l, l->gguf, e);
    if (!status)
        status = read_config(c, c->path, directory, e);
    if (status)
        return status;
    l->quantization = cJSON_GetObjectItemCaseSensitive(c->config, "quantization_config");
    return load_safetensors(l, e);
}

static char *title_of(const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    char *copy = strndup(path, n);
    const char *base = copy ? bg_path_base(copy) : "";
    if ((!strcmp(base, "model.gguf") || !strcmp(base, "model.safetensors")) && base > copy + 1) {
        copy[base - copy - 1] = 0; /* everybody's file is called so; the directory says whose */
        base = bg_path_base(copy);
    }
    char *real = copy && (!strcmp(base, ".") || !strcmp(base, "..")) ? realpath(copy, NULL) : NULL;
    char *title = copy ? strdup(bg_path_base(real ? real : copy)) : NULL;
    free(real);
    free(copy);
    return title;
}

/* ---- finishing ---- */

/* Names decide a role; a matrix with a name of its own is linear all the same. */
static void assign_role(bg_tensor *t)
{
    t->group = bg_role_of(t->name, &t->layer);
    int matrix = t->rank == 2 && t->rows > 1 && t->cols > 1;
    if (bg_role_is_linear(t->group) && t->rank < 2)
        t->group = "other";
    else if (!strcmp(t->group, "other") && matrix && ends(t->name, ".weight"))
        t->group = "linear";
}

static void assign_roles(bg_ckpt *c)
{
    for (int i = 0; i < c->n_tensors; i++) {
        if (!c->tensors[i].group)
            assign_role(&c->tensors[i]);
        c->tensors[i].is_linear = bg_role_is_linear(c->tensors[i].group);
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
            release_tensor(&c->tensors[i]);
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
    int p = bg_role_order(x->group), q = bg_role_order(y->group);
    return p != q ? (p < q ? -1 : 1) : strcmp(x->name, y->name);
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

/* Takes over `title`. */
static int open_with(const char *path, char *title, bg_ckpt_fill *fill, const bg_ckpt_options *options, bg_ckpt **out,
                     bg_err *e)
{
    *out = NULL;
    bg_ckpt *c = calloc(1, sizeof *c);
    bg_store *s = calloc(1, sizeof *s);
    if (!c || !s || !title) {
        free(c);
        free(s);
        free(title);
        return bg_no_memory(e, path, sizeof *c + sizeof *s);
    }
    c->title = title;
    c->impl = s;
    bg_load l = {.ckpt = c, .store = s};
    int status = fill(&l, path, e);
    if (!status)
        status = finish(&l, options, e);
    bg_gguf_close(l.gguf);
    if (status)
        bg_ckpt_close(c);
    else
        *out = c;
    return status;
}

int bg_ckpt_open(const char *path, const bg_ckpt_options *options, bg_ckpt **out, bg_err *e)
{
    return open_with(path, title_of(path), open_path, options, out, e);
}

int bg_ckpt_build(const char *name, bg_ckpt_fill *fill, const bg_ckpt_options *options, bg_ckpt **out, bg_err *e)
{
    return open_with(name, strdup(name), fill, options, out, e);
}

void bg_ckpt_close(bg_ckpt *c)
{
    if (!c)
        return;
    for (int i = 0; i < c->n_tensors; i++)
        release_tensor(&c->tensors[i]);
    bg_store_free(c->impl);
    free(c->impl);
    free(c->tensors);
    cJSON_Delete(c->config);
    free(c->path);
    free(c->title);
    free(c);
}

/* ---- using ---- */

const bg_tensor *bg_ckpt_find(const bg_ckpt *c, const char *name)
{
    const bg_store *s = c->impl;
    int low = 0, high = c->n_tensors;
    while (low < high) {
        int middle = low + (high - low) / 2;
        int order = strcmp(s->index[middle]->name, name);
        if (!order)
            return s->index[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

int bg_ckpt_provenance(const bg_ckpt *c, bg_provenance *p, bg_err *e)
{
    const bg_store *s = c->impl;
    int status = BG_OK;
    for (int i = 0; !status && i < s->n_files; i++)
        status = bg_provenance_add(p, s->files[i].path, s->files[i].data_start, e);
    char *config = !status && bg_is_directory(c->path) ? bg_path_join(c->path, "config.json") : NULL;
    if (config && bg_is_file(config))
        status = bg_provenance_add(p, config, 0, e);
    free(config);
    return status;
}

static int check_rows(const bg_tensor *t, int64_t first, int64_t n, bg_err *e)
{
    if (first < 0 || n < 0 || first > t->rows || n > t->rows - first)
        return bg_fail(e, BG_INPUT, "tensor '%s' has %lld rows; rows %lld to %lld were asked for", t->name,
                       (long long)t->rows, (long long)first, (long long)first + (long long)n);
    return BG_OK;
}

int bg_tensor_rows(const bg_tensor *t, int64_t first, int64_t n, float *out, bg_err *e)
{
    int status = check_rows(t, first, n, e);
    return status || !n ? status : t->format->rows(t, first, n, out, e);
}

int bg_tensor_codes16(const bg_tensor *t, int64_t first, int64_t n, uint16_t *out, bg_err *e)
{
    int status = check_rows(t, first, n, e);
    if (status || !n)
        return status;
    if ((t->dtype != BG_BF16 && t->dtype != BG_F16) || !t->format->codes16)
        return bg_fail(e, BG_USAGE, "tensor '%s' is %s: it has no 16-bit codes", t->name, t->storage);
    return t->format->codes16(t, first, n, out, e);
}

uint64_t bg_tensor_bytes(const bg_tensor *t)
{
    uint64_t sum = 0;
    for (int i = 0; i < BG_PARTS; i++)
        sum += t->bytes[i];
    return sum;
}
