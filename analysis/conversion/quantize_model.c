/* Owns writing a quantized checkpoint: shards layer by layer, resumed where a run stopped, then index, config,
 * tokenizer. */
#define _POSIX_C_SOURCE 200809L
#include "analysis/conversion/quantize_model.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "io/base/file.h"
#include "io/base/overwrite.h"
#include "io/checkpoints/writers/safetensors_writer.h"
#include "quant/source/weights.h"

enum { HEADER_LIMIT = 64 << 20, SIDE_FILE_LIMIT = 512 << 20, TILE = 1 << 18 };

typedef struct writer {
    const bg_ckpt *c;
    const bg_quantize_options *o;
    const char *directory;
    bg_quantized_model *out;
    bg_sha256 key; /* of everything that decides a shard's content */
    cJSON *map;    /* tensor → shard */
} writer;

/* ---- tensors that stay as they are ---- */

/* They keep their float type; what was packed becomes float32. */
static bg_dtype plain_dtype(const bg_tensor *t)
{
    return t->dtype == BG_F16 || t->dtype == BG_BF16 ? t->dtype : BG_F32;
}

static int stream_plain(const bg_tensor *t, bg_safetensors_writer *out, bg_err *e)
{
    bg_dtype dtype = plain_dtype(t);
    int64_t n = t->cols ? TILE / t->cols : 1, capacity = n < 1 ? 1 : n > t->rows ? t->rows : n;
    float *tile = malloc((size_t)(capacity * t->cols) * sizeof *tile + 1);
    uint16_t *half = malloc((size_t)(capacity * t->cols) * sizeof *half + 1);
    int status =
        tile && half ? BG_OK : bg_no_memory(e, t->name, (unsigned long long)(capacity * t->cols) * sizeof *tile);
    for (int64_t at = 0; at < t->rows && !status; at += capacity) {
        int64_t m = t->rows - at < capacity ? t->rows - at : capacity, count = m * t->cols;
        status = bg_tensor_rows(t, at, m, tile, e);
        for (int64_t i = 0; i < count && dtype != BG_F32; i++)
            half[i] = dtype == BG_F16 ? bg_f32_to_f16(tile[i]) : bg_f32_to_bf16(tile[i]);
        if (!status)
            status = dtype == BG_F32 ? bg_safetensors_put(out, tile, (uint64_t)count * sizeof *tile, e)
                                     : bg_safetensors_put(out, half, (uint64_t)count * sizeof *half, e);
    }
    free(tile);
    free(half);
    return status;
}

/* ---- resuming ---- */

/* The header of a shard that is whole: its file ends where the header's last tensor does. */
static int read_header(const char *path, cJSON **root, bg_err *e)
{
    unsigned char head[8];
    uint64_t length = 0;
    FILE *f = fopen(path, "rb");
    if (f && fread(head, 1, 8, f) == 8)
        for (int i = 7; i >= 0; i--)
            length = length << 8 | head[i];
    char *json = length && length < HEADER_LIMIT ? malloc((size_t)length + 1) : NULL;
    int status =
        json && fread(json, 1, (size_t)length, f) == length ? BG_OK : bg_fail(e, BG_INPUT, "%s: cannot be read", path);
    if (!status) {
        json[length] = 0;
        status = bg_json_parse(json, (size_t)length, path, root, e);
    }
    double end = 0;
    const cJSON *entry;
    cJSON_ArrayForEach(entry, *root)
    {
        const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(entry, "data_offsets");
        double last = cJSON_GetArraySize(offsets) == 2 ? offsets->child->next->valuedouble : 0;
        end = last > end ? last : end;
    }
    if (!status && (fseek(f, 0, SEEK_END) || (double)ftell(f) != 8 + (double)length + end))
        status = bg_fail(e, BG_INPUT, "%s: it does not end where its header says", path);
    if (f)
        fclose(f);
    free(json);
    return status;
}

/* What a shard's metadata keep of a tensor; what is not finite is left out. */
static const struct {
    const char *name;
    size_t at;
} row_fields[] = {{"rate_bits", offsetof(bg_quantized_tensor, rate_bits)},
                  {"mse", offsetof(bg_quantized_tensor, mse)},
                  {"power", offsetof(bg_quantized_tensor, power)},
                  {"clipped", offsetof(bg_quantized_tensor, clipped)},
                  {"output_mse", offsetof(bg_quantized_tensor, output_mse)},
                  {"output_power", offsetof(bg_quantized_tensor, output_power)},
                  {"babai_bound", offsetof(bg_quantized_tensor, babai_bound)},
                  {"bytes", offsetof(bg_quantized_tensor, bytes)}};

/* Takes over a shard that an earlier run wrote under the same key: its rows stand in its metadata. */
static int resume(writer *w, const char *path, int first)
{
    cJSON *root = NULL, *rows = NULL;
    int whole = bg_is_file(path) && !read_header(path, &root, NULL);
    const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(root, "__metadata__");
    const char *key = bg_json_string(metadata, "bitgap_key", ""), *text = bg_json_string(metadata, "bitgap_rows", "[]");
    int taken = whole && !strcmp(key, w->key.hex) && !bg_json_parse(text, strlen(text), path, &rows, NULL);
    int i = first;
    const cJSON *row;
    cJSON_ArrayForEach(row, rows)
    {
        if (i == w->out->n || !taken)
            break;
        bg_quantized_tensor *t = &w->out->tensors[i++];
        for (size_t k = 0; k < sizeof row_fields / sizeof *row_fields; k++)
            *(double *)((char *)t + row_fields[k].at) = bg_json_number(row, row_fields[k].name, (double)NAN);
        t->hash = strtoull(bg_json_string(row, "hash", ""), NULL, 16);
    }
    cJSON_Delete(rows);
    cJSON_Delete(root);
    return taken;
}

/* The rows of the tensors [first, last) as JSON text, malloc'ed. */
static char *rows_text(const writer *w, int first, int last)
{
    char *text = NULL;
    size_t length;
    FILE *f = open_memstream(&text, &length);
    if (!f)
        return NULL;
    putc('[', f);
    for (int i = first; i < last; i++) {
        const bg_quantized_tensor *t = &w->out->tensors[i];
        fprintf(f, "%s{\"hash\":\"%llx\"", i > first ? "," : "", (unsigned long long)t->hash);
        for (size_t k = 0; k < sizeof row_fields / sizeof *row_fields; k++) {
            double x = *(const double *)((const char *)t + row_fields[k].at);
            if (isfinite(x))
                fprintf(f, ",\"%s\":%.17g", row_fields[k].name, x);
        }
        putc('}', f);
    }
    putc(']', f);
    return fclose(f) ? (free(text), NULL) : text;
}

/* ---- shards ---- */

static int belongs(const bg_tensor *t, int layer)
{
    return t->layer == layer || (layer < 0 && t->layer < 0);
}

static int write_parcel(const writer *w, const bg_parcel *p, const char *path, const char *rows, bg_err *e)
{
    const char *const metadata[] = {"format", "pt", "bitgap_key", w->key.hex, "bitgap_rows", rows, NULL};
    bg_safetensors_writer out;
    int status = bg_safetensors_begin(&out, path, p->entries, p->n, metadata, e);
    for (int i = 0; i < p->n && !status; i++)
        status = p->data[i] ? bg_safetensors_put(&out, p->data[i], bg_parcel_bytes(p, i), e)
                            : stream_plain(bg_ckpt_find(w->c, p->entries[i].name), &out, e);
    if (!status)
        status = bg_safetensors_commit(&out, e);
    bg_safetensors_abandon(&out);
    return status;
}

/* The layer's tensors in the checkpoint's order. */
static int collect(writer *w, int layer, int *tensor, bg_parcel *p, bg_err *e)
{
    int status = BG_OK;
    for (int i = 0; i < w->c->n_tensors && !status; i++) {
        const bg_tensor *t = &w->c->tensors[i];
        if (!belongs(t, layer))
            continue;
        if (bg_interrupted)
            status = bg_fail(e, BG_RESOURCE, "interrupted");
        else if (bg_quantize_spec(w->o, t))
            status = bg_quantize_tensor(t, w->o, p, &w->out->tensors[(*tensor)++], e);
        else
            status = bg_parcel_promise(p, t->name, plain_dtype(t), t->rank, t->shape, e);
    }
    return status;
}

/* Adds a shard's tensors to the index, from the file itself: it may be an earlier run's. */
static int index_shard(writer *w, const char *path, const char *name, bg_err *e)
{
    cJSON *root = NULL;
    int status = read_header(path, &root, e);
    const cJSON *entry;
    cJSON_ArrayForEach(entry, root)
    {
        const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(entry, "data_offsets");
        if (status || cJSON_GetArraySize(offsets) != 2)
            continue;
        w->out->bytes += offsets->child->next->valuedouble - offsets->child->valuedouble;
        if (!cJSON_AddStringToObject(w->map, entry->string, name))
            status = bg_no_memory(e, "the index", sizeof *entry);
    }
    cJSON_Delete(root);
    return status;
}

static int write_shard(writer *w, int layer, int number, int shards, int *tensor, bg_err *e)
{
    char name[64];
    int first = *tensor, mine = 0;
    snprintf(name, sizeof name, "model-%05d-of-%05d.safetensors", number, shards);
    char *path = bg_path_join(w->directory, name);
    if (!path)
        return bg_no_memory(e, name, strlen(w->directory));
    for (int i = 0; i < w->c->n_tensors; i++)
        mine += belongs(&w->c->tensors[i], layer) && bg_quantize_spec(w->o, &w->c->tensors[i]) != NULL;
    int status = BG_OK;
    if (resume(w, path, first)) {
        *tensor += mine;
        w->out->resumed++;
    } else {
        bg_parcel parcel = {0};
        status = collect(w, layer, tensor, &parcel, e);
        char *rows = status ? NULL : rows_text(w, first, *tensor);
        if (!status && !rows)
            status = bg_no_memory(e, name, sizeof name);
        if (!status)
            status = write_parcel(w, &parcel, path, rows, e);
        free(rows);
        bg_parcel_free(&parcel);
    }
    if (!status)
        status = index_shard(w, path, name, e);
    free(path);
    return status;
}

/* ---- the files beside the weights ---- */

static int write_json(const writer *w, const char *name, const cJSON *root, bg_err *e)
{
    bg_out out = {0};
    char *path = bg_path_join(w->directory, name), *text = cJSON_Print(root);
    int status = path && text ? bg_out_open(&out, path, e) : bg_no_memory(e, name, strlen(w->directory));
    if (!status) {
        fprintf(out.file, "%s\n", text);
        status = bg_out_commit(&out, e);
    }
    free(path);
    cJSON_free(text);
    return status;
}

/* A bare file has no config; then there is one only where the layout needs it. */
static int write_config(const writer *w, bg_err *e)
{
    if (!w->c->config && !w->o->layout->configure)
        return BG_OK;
    cJSON *config = w->c->config ? cJSON_Duplicate(w->c->config, 1) : cJSON_CreateObject();
    cJSON_DeleteItemFromObjectCaseSensitive(config, "quantization_config");
    cJSON_DeleteItemFromObjectCaseSensitive(config, "compression_config");
    bg_quantize_options o = *w->o;
    o.spec = o.layout->mixes ? o.spec : w->out->tensors[0].spec;
    if (o.layout->configure)
        o.layout->configure(&o, w->c, cJSON_AddObjectToObject(config, "quantization_config"));
    int status = config ? write_json(w, "config.json", config, e) : bg_no_memory(e, "config.json", 64);
    cJSON_Delete(config);
    return status;
}

static int write_index(const writer *w, bg_err *e)
{
    cJSON *root = cJSON_CreateObject(), *metadata = cJSON_AddObjectToObject(root, "metadata");
    int status = BG_OK;
    cJSON_AddNumberToObject(metadata, "total_size", w->out->bytes);
    cJSON_AddItemReferenceToObject(root, "weight_map", w->map);
    status = write_json(w, "model.safetensors.index.json", root, e);
    cJSON_Delete(root);
    return status;
}

static int copy_side_files(const writer *w, bg_err *e)
{
    static const char *const names[] = {"tokenizer.json",
                                        "tokenizer_config.json",
                                        "special_tokens_map.json",
                                        "generation_config.json",
                                        "tokenizer.model",
                                        "vocab.json",
                                        "merges.txt"};
    int status = BG_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names && !status && bg_is_directory(w->c->path); i++) {
        char *from = bg_path_join(w->c->path, names[i]), *to = bg_path_join(w->directory, names[i]), *data = NULL;
        size_t length;
        bg_out out = {0};
        if (!from || !to)
            status = bg_no_memory(e, names[i], strlen(w->directory));
        else if (bg_is_file(from)) {
            status = bg_file_read(from, SIDE_FILE_LIMIT, &data, &length, e);
            if (!status)
                status = bg_out_open(&out, to, e);
            if (!status) {
                fwrite(data, 1, length, out.file);
                status = bg_out_commit(&out, e);
            }
        }
        free(from);
        free(to);
        free(data);
    }
    return status;
}

/* ---- the whole ---- */

/* What tells one model from another without reading it all: every tensor's name, shape and first row. */
static int hash_model(const bg_ckpt *c, bg_sha256 *out, bg_err *e)
{
    int status = BG_OK;
    *out = (bg_sha256){0};
    for (int i = 0; i < c->n_tensors && !status; i++) {
        bg_sha256 both[2] = {*out};
        if (c->tensors[i].rows < 1)
            continue;
        status = bg_calibration_tensor_hash(&c->tensors[i], &both[1], e);
        *out = bg_sha256_of(both, sizeof both);
    }
    return status;
}

/* The Makefile compiles in a hash of the sources that measure: what a changed program would write is made again, and
 * two builds of the same sources stamp the same. */
static int make_key(writer *w, bg_err *e)
{
    bg_sha256 model;
    char text[2048];
    int status = hash_model(w->c, &model, e);
    for (int i = 0; i < w->out->n && !status; i++) {
        const char *spec = w->out->tensors[i].spec->text;
        bg_sha256 both[2] = {model, bg_sha256_of(spec, strlen(spec))};
        model = bg_sha256_of(both, sizeof both);
    }
    int n = snprintf(text, sizeof text, "%s %s %s %d %s %llu", BG_CODE_HASH, model.hex, w->o->layout->name,
                     (int)w->o->dtype, w->o->calibration_hash, (unsigned long long)w->o->seed);
    w->key = bg_sha256_of(text, (size_t)n);
    return status;
}

static int prepare(writer *w, bg_err *e)
{
    const char *type = bg_json_string(w->c->config, "model_type", "");
    if (!strcmp(type, "gpt2"))
        return bg_fail(e, BG_INPUT, "%s: GPT-2 stores its projections turned; quantize does not write them yet",
                       w->c->path);
    if (bg_weights_density(w->c))
        return bg_fail(e, BG_USAGE, "%s is a density; say how many samples, n=…", w->c->title);
    int n = 0;
    for (int i = 0; i < w->c->n_tensors; i++)
        n += bg_quantize_spec(w->o, &w->c->tensors[i]) != NULL;
    if (!n)
        return bg_fail(e, BG_INPUT, "%s: there is no matrix inside a layer to quantize%s", w->c->path,
                       w->o->recipe ? " that the recipe names" : "");
    w->out->tensors = calloc((size_t)n, sizeof *w->out->tensors);
    w->map = cJSON_CreateObject();
    if (!w->out->tensors || !w->map)
        return bg_no_memory(e, "tensors", (unsigned)n * sizeof *w->out->tensors);
    w->out->n = n;
    n = 0;
    for (int i = 0; i < w->c->n_tensors; i++) /* in the order in which the layers come */
        if (bg_quantize_spec(w->o, &w->c->tensors[i]))
            w->out->tensors[n++] =
                (bg_quantized_tensor){.tensor = &w->c->tensors[i], .spec = bg_quantize_spec(w->o, &w->c->tensors[i])};
    int status = bg_output_directory(w->directory, e);
    return status ? status : make_key(w, e);
}

static int write_shards(writer *w, bg_err *e)
{
    int status = BG_OK, layers = 0, tensor = 0;
    for (int i = 0; i < w->c->n_tensors; i++)
        layers = w->c->tensors[i].layer >= layers ? w->c->tensors[i].layer + 1 : layers;
    w->out->shards = layers + 1;
    bg_progress bar;
    bg_progress_begin(&bar, "quantize", (unsigned)w->out->shards);
    for (int l = -1; l < layers && !status; l++) {
        status = write_shard(w, l, l + 2, w->out->shards, &tensor, e);
        bg_progress_step(&bar, 1);
    }
    bg_progress_end(&bar);
    if (!status)
        status = write_index(w, e);
    if (!status)
        status = copy_side_files(w, e);
    return status ? status : write_config(w, e); /* last: a directory with a config is whole */
}

/* ---- reading back ---- */

static int check_tensor(const bg_tensor *t, const bg_quantized_tensor *want, const char *path, bg_err *e)
{
    int64_t n = TILE / t->cols, capacity = n < 1 ? 1 : n > t->rows ? t->rows : n;
    float *tile = malloc((size_t)(capacity * t->cols) * sizeof *tile + 1);
    uint64_t hash = 0;
    int status = tile ? BG_OK : bg_no_memory(e, t->name, (unsigned long long)(capacity * t->cols) * sizeof *tile);
    for (int64_t at = 0; at < t->rows && !status; at += capacity) {
        int64_t m = t->rows - at < capacity ? t->rows - at : capacity;
        status = bg_tensor_rows(t, at, m, tile, e);
        hash = status ? 0 : bg_values_hash(hash, tile, (uint64_t)(m * t->cols));
    }
    free(tile);
    if (!status && hash != want->hash)
        status = bg_fail(e, BG_INPUT,
                         "%s: tensor '%s' does not read back as it was quantized: the layout cannot hold this "
                         "spec; use --layout dense",
                         path, t->name);
    return status;
}

/* What a reader sees must be what was measured, to the last bit. */
static int read_back(const char *path, const bg_quantized_model *q, bg_err *e)
{
    bg_ckpt *c = NULL;
    int status = bg_weights_open(path, &(bg_ckpt_options){0}, &c, e);
    for (int i = 0; i < q->n && !status; i++) {
        const bg_tensor *want = q->tensors[i].tensor, *t = bg_ckpt_find(c, want->name);
        if (!t || t->rows != want->rows || t->cols != want->cols)
            status = bg_fail(e, BG_INPUT, "%s: tensor '%s' does not read back in its shape", path, want->name);
        else
            status = check_tensor(t, &q->tensors[i], path, e);
    }
    bg_ckpt_close(c);
    return status;
}

int bg_quantize_model(const bg_ckpt *c, const bg_quantize_options *o, const char *directory, bg_quantized_model *out,
                      bg_err *e)
{
    writer w = {.c = c, .o = o, .directory = directory, .out = out};
    char *path = NULL;
    *out = (bg_quantized_model){0};
    int status = bg_layout_check_model(c, o, e);
    if (!status)
        status = prepare(&w, e);
    if (!status) {
        path = o->layout->pack ? strdup(directory) : bg_path_join(directory, "model.gguf");
        status = path ? BG_OK : bg_no_memory(e, directory, strlen(directory));
    }
    if (!status)
        status = o->layout->pack ? write_shards(&w, e) : bg_quantize_gguf(c, o, path, out, e);
    if (!status)
        status = read_back(path, out, e);
    free(path);
    cJSON_Delete(w.map);
    return status;
}

void bg_quantized_model_free(bg_quantized_model *q)
{
    free(q->tensors);
    *q = (bg_quantized_model){0};
}
