/* Owns writing a quantized checkpoint: shards layer by layer, resumed where a run stopped, then index, config, tokenizer. */
#define _POSIX_C_SOURCE 200809L
#include "analysis/quantize_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "io/file.h"
#include "io/write_safetensors.h"

enum { HEADER_LIMIT = 64 << 20, SIDE_FILE_LIMIT = 512 << 20, TILE = 1 << 18 };

typedef struct writer {
    const bg_ckpt *c;
    const bg_quantize_options *o;
    const char *directory;
    bg_quantized *out;
    bg_sha256 key; /* of everything that decides a shard's content */
    cJSON *map;    /* tensor → shard */
    bg_piece *pieces;
    int n, room;
} writer;

/* ---- the pieces of one shard ---- */

static void drop_pieces(writer *w)
{
    for (int i = 0; i < w->n; i++)
        free(w->pieces[i].data);
    w->n = 0;
}

static int make_room(writer *w, bg_err *e)
{
    if (w->n + BG_PIECES_MOST <= w->room)
        return BG_OK;
    int room = 2 * w->room + BG_PIECES_MOST;
    void *more = realloc(w->pieces, (size_t)room * sizeof *w->pieces);
    if (!more)
        return bg_no_memory(e, "a shard", (unsigned)room * sizeof *w->pieces);
    w->pieces = more;
    w->room = room;
    return BG_OK;
}

/* A tensor that is not quantized keeps its float type; what was packed becomes float32. data stays NULL: it is streamed. */
static int plain_piece(const bg_tensor *t, bg_piece *p, bg_err *e)
{
    bg_dtype dtype = t->dtype == BG_F16 || t->dtype == BG_BF16 ? t->dtype : BG_F32;
    *p = (bg_piece){.dtype = dtype, .rank = t->rank, .bytes = t->count * bg_dtypes[dtype].bits / 8};
    if (strlen(t->name) >= sizeof p->name)
        return bg_fail(e, BG_INPUT, "the name '%.60s…' is too long", t->name);
    strcpy(p->name, t->name);
    return BG_OK;
}

static int stream_plain(const bg_tensor *t, bg_dtype dtype, bg_safetensors_writer *out, bg_err *e)
{
    int64_t n = t->cols ? TILE / t->cols : 1, room = n < 1 ? 1 : n > t->rows ? t->rows : n;
    float *tile = malloc((size_t)(room * t->cols) * sizeof *tile + 1);
    uint16_t *half = malloc((size_t)(room * t->cols) * sizeof *half + 1);
    int status = tile && half ? BG_OK : bg_no_memory(e, t->name, (unsigned long long)(room * t->cols) * sizeof *tile);
    for (int64_t at = 0; at < t->rows && !status; at += room) {
        int64_t m = t->rows - at < room ? t->rows - at : room, count = m * t->cols;
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
    int status = json && fread(json, 1, (size_t)length, f) == length ? BG_OK
                                                                     : bg_fail(e, BG_INPUT, "%s: cannot be read", path);
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
        t->rate_bits = bg_json_number(row, "rate_bits", 0);
        t->mse = bg_json_number(row, "mse", 0);
        t->output_mse = bg_json_number(row, "output_mse", (double)NAN);
        t->bytes = bg_json_number(row, "bytes", 0);
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
        fprintf(f, "%s{\"rate_bits\":%.17g,\"mse\":%.17g,\"bytes\":%.17g", i > first ? "," : "", t->rate_bits, t->mse,
                t->bytes);
        if (isfinite(t->output_mse))
            fprintf(f, ",\"output_mse\":%.17g", t->output_mse);
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

static int write_pieces(writer *w, const char *path, int layer, const char *rows, bg_err *e)
{
    bg_safetensors_entry *entries = calloc((size_t)w->n + 1, sizeof *entries);
    if (!entries)
        return bg_no_memory(e, path, (unsigned)w->n * sizeof *entries);
    int at = 0, piece = 0;
    for (int i = 0; i < w->n; i++) {
        entries[i] = (bg_safetensors_entry){w->pieces[i].name, w->pieces[i].dtype, w->pieces[i].rank, {0}};
        memcpy(entries[i].shape, w->pieces[i].shape, sizeof w->pieces[i].shape);
    }
    for (int i = 0; i < w->c->n_tensors; i++) { /* plain tensors may have any rank */
        const bg_tensor *t = &w->c->tensors[i];
        if (!belongs(t, layer) || bg_quantize_takes(t))
            continue;
        while (w->pieces[at].data)
            at++;
        memcpy(entries[at++].shape, t->shape, sizeof t->shape);
    }
    const char *const metadata[] = {"format", "pt", "bitgap_key", w->key.hex, "bitgap_rows", rows, NULL};
    bg_safetensors_writer out;
    int status = bg_safetensors_begin(&out, path, entries, w->n, metadata, e);
    for (int i = 0; i < w->c->n_tensors && !status; i++) {
        const bg_tensor *t = &w->c->tensors[i];
        if (!belongs(t, layer))
            continue;
        if (!bg_quantize_takes(t))
            status = stream_plain(t, w->pieces[piece++].dtype, &out, e);
        else
            for (size_t stem = strlen(t->name) - 7; piece < w->n && w->pieces[piece].data && !status &&
                                                    !strncmp(w->pieces[piece].name, t->name, stem) &&
                                                    w->pieces[piece].name[stem] == '.';
                 piece++)
                status = bg_safetensors_put(&out, w->pieces[piece].data, w->pieces[piece].bytes, e);
    }
    if (!status)
        status = bg_safetensors_commit(&out, e);
    bg_safetensors_abandon(&out);
    free(entries);
    return status;
}

/* Fills w->pieces with the layer's tensors in the checkpoint's order. With `resumed`, only their names and sizes count. */
static int collect(writer *w, int layer, int *tensor, bg_err *e)
{
    int status = BG_OK;
    for (int i = 0; i < w->c->n_tensors && !status; i++) {
        const bg_tensor *t = &w->c->tensors[i];
        int n = 1;
        if (!belongs(t, layer))
            continue;
        status = bg_interrupted ? bg_fail(e, BG_RESOURCE, "interrupted") : make_room(w, e);
        if (!status && !bg_quantize_takes(t))
            status = plain_piece(t, &w->pieces[w->n], e);
        else if (!status)
            status = bg_quantize_tensor(t, w->o, w->pieces + w->n, &n, &w->out->tensors[(*tensor)++], e);
        w->n += status ? 0 : n;
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
        mine += belongs(&w->c->tensors[i], layer) && bg_quantize_takes(&w->c->tensors[i]);
    int status = BG_OK;
    if (resume(w, path, first)) {
        *tensor += mine;
        w->out->resumed++;
    } else {
        status = collect(w, layer, tensor, e);
        char *rows = status ? NULL : rows_text(w, first, *tensor);
        if (!status && !rows)
            status = bg_no_memory(e, name, sizeof name);
        if (!status)
            status = write_pieces(w, path, layer, rows, e);
        free(rows);
        drop_pieces(w);
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

static cJSON *quantization_config(const bg_quantize_options *o)
{
    static const char *const strategies[] = {"tensor", "channel", "group", "group"};
    const bg_spec *s = o->spec;
    int bits = 1;
    while (1 << bits < bg_spec_points(s))
        bits++;
    cJSON *root = cJSON_CreateObject(), *groups = cJSON_AddObjectToObject(root, "config_groups");
    cJSON *group = cJSON_AddObjectToObject(groups, "group_0");
    cJSON *targets = cJSON_AddArrayToObject(group, "targets");
    cJSON_AddItemToArray(targets, cJSON_CreateString("Linear"));
    cJSON *weights = cJSON_AddObjectToObject(group, "weights");
    cJSON_AddNumberToObject(weights, "num_bits", bits);
    cJSON_AddStringToObject(weights, "type", "int");
    cJSON_AddBoolToObject(weights, "symmetric", bg_spec_is(s, "zero", "sym"));
    cJSON_AddStringToObject(weights, "strategy", strategies[s->scope.kind]);
    if (s->scope.kind == BG_SCOPE_GROUP)
        cJSON_AddNumberToObject(weights, "group_size", s->scope.size);
    else
        cJSON_AddNullToObject(weights, "group_size");
    cJSON_AddBoolToObject(weights, "dynamic", 0);
    cJSON_AddNullToObject(group, "input_activations");
    cJSON_AddNullToObject(group, "output_activations");
    cJSON *ignore = cJSON_AddArrayToObject(root, "ignore");
    cJSON_AddItemToArray(ignore, cJSON_CreateString("lm_head"));
    cJSON_AddStringToObject(root, "quant_method", "compressed-tensors");
    cJSON_AddStringToObject(root, "format", "pack-quantized");
    cJSON_AddStringToObject(root, "quantization_status", "compressed");
    return root;
}

static int write_config(const writer *w, bg_err *e)
{
    cJSON *config = w->c->config ? cJSON_Duplicate(w->c->config, 1) : NULL;
    if (!config)
        return BG_OK; /* a bare file has none */
    cJSON_DeleteItemFromObjectCaseSensitive(config, "quantization_config");
    cJSON_DeleteItemFromObjectCaseSensitive(config, "compression_config");
    if (w->o->layout == BG_LAYOUT_COMPRESSED_TENSORS)
        cJSON_AddItemToObject(config, "quantization_config", quantization_config(w->o));
    int status = write_json(w, "config.json", config, e);
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
    static const char *const names[] = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
                                        "generation_config.json", "tokenizer.model", "vocab.json", "merges.txt"};
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

static int make_key(writer *w, bg_err *e)
{
    bg_sha256 model;
    char text[2048];
    int status = hash_model(w->c, &model, e);
    int n = snprintf(text, sizeof text, "%s %s %s %d %s %llu %s", bg_version, model.hex, bg_layout_names[w->o->layout],
                     (int)w->o->dtype, w->o->calibration_hash, (unsigned long long)w->o->seed, w->o->spec->text);
    w->key = bg_sha256_of(text, (size_t)n);
    return status;
}

static int prepare(writer *w, bg_err *e)
{
    const char *type = bg_json_string(w->c->config, "model_type", "");
    if (!strcmp(type, "gpt2"))
        return bg_fail(e, BG_INPUT, "%s: GPT-2 stores its projections turned; quantize does not write them yet", w->c->path);
    if (w->c->law)
        return bg_fail(e, BG_USAGE, "%s is a density; say how many samples, n=…", w->c->title);
    int n = 0;
    for (int i = 0; i < w->c->n_tensors; i++)
        n += bg_quantize_takes(&w->c->tensors[i]);
    if (!n)
        return bg_fail(e, BG_INPUT, "%s: there is no matrix inside a layer to quantize", w->c->path);
    w->out->tensors = calloc((size_t)n, sizeof *w->out->tensors);
    w->map = cJSON_CreateObject();
    if (!w->out->tensors || !w->map)
        return bg_no_memory(e, "tensors", (unsigned)n * sizeof *w->out->tensors);
    w->out->n = n;
    n = 0;
    for (int i = 0; i < w->c->n_tensors; i++) /* in the order in which the layers come */
        if (bg_quantize_takes(&w->c->tensors[i]))
            w->out->tensors[n++].tensor = &w->c->tensors[i];
    int status = bg_make_directories(w->directory, e);
    return status ? status : make_key(w, e);
}

int bg_quantize_model(const bg_ckpt *c, const bg_quantize_options *o, const char *directory, bg_quantized *out, bg_err *e)
{
    writer w = {.c = c, .o = o, .directory = directory, .out = out};
    *out = (bg_quantized){0};
    int status = bg_layout_check(o->layout, o->spec, e), layers = 0, tensor = 0;
    if (!status)
        status = prepare(&w, e);
    for (int i = 0; i < c->n_tensors; i++)
        layers = c->tensors[i].layer >= layers ? c->tensors[i].layer + 1 : layers;
    out->shards = layers + 1;
    bg_progress bar;
    bg_progress_begin(&bar, "quantize", (unsigned)out->shards);
    for (int l = -1; l < layers && !status; l++) {
        status = write_shard(&w, l, l + 2, out->shards, &tensor, e);
        bg_progress_step(&bar, 1);
    }
    bg_progress_end(&bar);
    if (!status)
        status = write_index(&w, e);
    if (!status)
        status = copy_side_files(&w, e);
    if (!status)
        status = write_config(&w, e); /* last: a directory with a config is whole */
    drop_pieces(&w);
    free(w.pieces);
    cJSON_Delete(w.map);
    return status;
}

void bg_quantized_free(bg_quantized *q)
{
    free(q->tensors);
    *q = (bg_quantized){0};
}
