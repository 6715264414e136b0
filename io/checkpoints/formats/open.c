/* Owns the opening of a model on disk: finds its files, and lets each format claim the raw tensors it knows. */
#define _GNU_SOURCE
#include "io/base/overwrite.h"
#include "io/checkpoints/formats/gguf_container.h"
#include "io/checkpoints/formats/packed.h"
#include "io/checkpoints/formats/safetensors.h"
#include "io/checkpoints/loading.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define POINT_FORMAT(name) &bg_format_##name,
const bg_format *const bg_formats[] = {&bg_format_safetensors, &bg_format_gguf, BG_PACKED_FORMATS(POINT_FORMAT) NULL};

#define POINT_CLAIM(suffix, name) {suffix, bg_claim_##name},
static const struct {
    const char *suffix;
    bg_claim *claim;
} claims[] = {BG_CLAIMS(POINT_CLAIM)};

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

/* The last component of a path, or of what "." stands for. malloc'ed. */
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

static int load_directory(bg_load *l, int is_directory, bg_err *e)
{
    int status = read_config(l->ckpt, l->ckpt->path, is_directory, e);
    if (status)
        return status;
    l->quantization = cJSON_GetObjectItemCaseSensitive(l->ckpt->config, "quantization_config");
    return load_safetensors(l, e);
}

static int open_path(bg_load *l, const char *given, bg_err *e)
{
    bg_ckpt *c = l->ckpt;
    char *title = title_of(given);
    if (!title)
        return bg_no_memory(e, given, strlen(given));
    free(c->title);
    c->title = title;
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
        status = bg_gguf_load(l, l->gguf, e);
    else if (!status)
        status = load_directory(l, directory, e);
    bg_gguf_close(l->gguf);
    return status ? status : bg_split_experts(l, e);
}

int bg_ckpt_open(const char *path, const bg_ckpt_options *options, bg_ckpt **out, bg_err *e)
{
    return bg_ckpt_build(path, open_path, options, out, e);
}
