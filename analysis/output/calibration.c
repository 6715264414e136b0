/* Owns reading calibrations back, and refusing damaged or foreign ones. */
#define _POSIX_C_SOURCE 200809L
#include "analysis/output/calibration.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COLS_MOST = 1 << 20 };

struct bg_calibration {
    cJSON *root;
    char *path, *side;
    int fd;
    uint64_t side_bytes;
    bg_activations held; /* of the offset held_at; for bg_calibration_dress */
    int64_t held_at;
};

/* ---- which model ---- */

int bg_calibration_tensor_hash(const bg_tensor *t, bg_sha256 *out, bg_err *e)
{
    char text[640];
    int n = snprintf(text, sizeof text, "%.400s", t->name);
    for (int i = 0; i < t->rank && n < (int)sizeof text - 24; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, " %lld", (long long)t->shape[i]);
    size_t bytes = (size_t)t->cols * sizeof(float);
    char *all = malloc((size_t)n + bytes);
    float *row = malloc(bytes);
    int status = all && row ? bg_tensor_rows(t, 0, 1, row, e) : bg_no_memory(e, t->name, 2 * bytes);
    if (!status) {
        memcpy(all, text, (size_t)n);
        memcpy(all + n, row, bytes);
        *out = bg_sha256_of(all, (size_t)n + bytes);
    }
    free(all);
    free(row);
    return status;
}

/* ---- opening ---- */

static int again(bg_err *e, const char *path, const char *what)
{
    return bg_fail(e, BG_INPUT, "%s: %s; run bitgap calibrate again", path, what);
}

/* Every row's block lies inside the side file and has a width that fits it. */
static int check_rows(const bg_calibration *k, bg_err *e)
{
    const cJSON *row;
    cJSON_ArrayForEach(row, bg_doc_rows(k->root, "layers"))
    {
        double cols = bg_json_number(row, "cols", -1), offset = bg_json_number(row, "offset", -1);
        if (!(cols >= 1 && cols <= COLS_MOST) || cols != floor(cols) || !(offset >= 0) || fmod(offset, 8) != 0)
            return again(e, k->path, "a layer has an impossible width or offset");
        double folds = bg_json_number(row, "folds", 0), tokens = bg_json_number(row, "tokens", -1);
        if (!(folds >= 0 && folds <= BG_FOLDS_MOST) || folds != floor(folds) ||
            (folds > 0 && !(tokens >= 128 * folds && tokens < 9e15)))
            return again(e, k->path, "a layer has an impossible number of folds");
        if (offset + 8 * 2 * cols + (8 + 4 * folds) * (cols * (cols + 1) / 2) > (double)k->side_bytes)
            return again(e, k->path, "a layer's statistics would end behind the side file");
    }
    return BG_OK;
}

static int open_side(bg_calibration *k, const cJSON *settings, bg_err *e)
{
    const char *name = bg_json_string(settings, "side_file", ""), *slash = strrchr(k->path, '/');
    if (!name[0] || strchr(name, '/') || !strcmp(name, "..") || !strcmp(name, "."))
        return again(e, k->path, "its side file is not a plain name");
    size_t directory = slash ? (size_t)(slash + 1 - k->path) : 0;
    k->side = malloc(directory + strlen(name) + 1);
    if (!k->side)
        return bg_no_memory(e, name, directory);
    memcpy(k->side, k->path, directory);
    strcpy(k->side + directory, name);
    bg_sha256 hash;
    int status = bg_sha256_file(k->side, 0, &hash, &k->side_bytes, e);
    if (status)
        return status;
    if ((double)k->side_bytes != bg_json_number(settings, "side_bytes", -1))
        return again(e, k->side, "its size is not what the document says");
    if (strcmp(hash.hex, bg_json_string(settings, "side_sha256", "")))
        return again(e, k->side, "its sha256 is not what the document says: the file is damaged or another's");
    k->fd = open(k->side, O_RDONLY | O_CLOEXEC);
    return k->fd >= 0 ? BG_OK : again(e, k->side, "it cannot be opened");
}

/* Of the tensors that were opened (a part of the model, perhaps) every one with statistics must be the one they are of.
 */
static int check_model(const bg_calibration *k, const cJSON *settings, const bg_ckpt *c, bg_err *e)
{
    int known = 0, status = BG_OK;
    const cJSON *row;
    cJSON_ArrayForEach(row, bg_doc_rows(k->root, "layers"))
    {
        bg_sha256 hash;
        const bg_tensor *t = bg_ckpt_find(c, bg_json_string(row, "tensor", ""));
        if (!t || t->rows < 1)
            continue;
        known++;
        status = bg_calibration_tensor_hash(t, &hash, e);
        if (!status && strcmp(hash.hex, bg_json_string(row, "tensor_sha256", "")))
            status = bg_fail(e, BG_INPUT,
                             "%s: '%s' is not the tensor it was made of: it is of another model ('%.80s') than %s; "
                             "run bitgap calibrate on this one",
                             k->path, t->name, bg_json_string(settings, "model", "?"), c->title);
        if (status)
            return status;
    }
    return known ? BG_OK
                 : bg_fail(e, BG_INPUT,
                           "%s: it was made of another model ('%.80s'), which shares no layer with %s; run bitgap "
                           "calibrate on this one",
                           k->path, bg_json_string(settings, "model", "?"), c->title);
}

int bg_calibration_open(const char *path, const bg_ckpt *c, bg_calibration **out, bg_provenance *p, bg_err *e)
{
    *out = NULL;
    bg_calibration *k = calloc(1, sizeof *k);
    if (!k)
        return bg_no_memory(e, path, sizeof *k);
    k->fd = -1;
    k->held_at = -1;
    k->path = strdup(path);
    int status = k->path ? bg_doc_read(path, "calibration", &k->root, p, e) : bg_no_memory(e, path, strlen(path));
    const cJSON *settings = status ? NULL : cJSON_GetArrayItem(bg_doc_rows(k->root, "settings"), 0);
    if (!status && !settings)
        status = again(e, path, "it has no settings");
    if (!status)
        status = open_side(k, settings, e);
    if (!status)
        status = check_rows(k, e);
    if (!status && c)
        status = check_model(k, settings, c, e);
    if (status)
        bg_calibration_close(k);
    else
        *out = k;
    return status;
}

void bg_calibration_close(bg_calibration *k)
{
    if (!k)
        return;
    if (k->fd >= 0)
        close(k->fd);
    bg_activations_free(&k->held);
    cJSON_Delete(k->root);
    free(k->path);
    free(k->side);
    free(k);
}

/* ---- reading ---- */

static const cJSON *row_of(const bg_calibration *k, const char *tensor)
{
    const cJSON *row;
    cJSON_ArrayForEach(
        row, bg_doc_rows(k->root, "layers")) if (!strcmp(bg_json_string(row, "tensor", ""), tensor)) return row;
    return NULL;
}

static int read_moments(const bg_calibration *k, uint64_t offset, bg_activations *s, bg_err *e)
{
    int64_t C = s->cols, triangle = C * (C + 1) / 2;
    int status = bg_pread(k->fd, k->side, s->mean_abs, (size_t)C * 8, offset, e);
    if (!status)
        status = bg_pread(k->fd, k->side, s->max_abs, (size_t)C * 8, offset + (uint64_t)C * 8, e);
    if (!status)
        status = bg_pread(k->fd, k->side, s->triangle, (size_t)triangle * 8, offset + (uint64_t)C * 16, e);
    int bad = 0;
    for (int64_t i = 0; i < triangle && !status; i++)
        bad |= !isfinite(s->triangle[i]);
    for (int64_t i = 0; i < C && !status; i++)
        bad |= s->triangle[i * (i + 3) / 2] < 0; /* the diagonal */
    if (bad)
        return again(e, k->side, "it holds moments that are none");
    return status ? status : bg_activations_square(s, e);
}

int bg_calibration_load(const bg_calibration *k, const char *tensor, int64_t cols, bg_activations *out, bg_err *e)
{
    const cJSON *row = row_of(k, tensor);
    *out = (bg_activations){0};
    if (!row)
        return bg_fail(e, BG_INPUT, "%s: it has no statistics of tensor '%s'", k->path, tensor);
    if (bg_json_number(row, "cols", -1) != (double)cols)
        return bg_fail(e, BG_INPUT,
                       "%s: tensor '%s' has %lld inputs, its statistics are of %.0f; run bitgap calibrate on "
                       "this model",
                       k->path, tensor, (long long)cols, bg_json_number(row, "cols", -1));
    int status = bg_activations_init(out, cols, e);
    if (!status)
        status = read_moments(k, (uint64_t)bg_json_number(row, "offset", 0), out, e);
    out->tokens = (int64_t)bg_json_number(row, "tokens", 0);
    if (status)
        bg_activations_free(out);
    return status;
}

int64_t bg_calibration_place(const bg_calibration *k, const char *tensor)
{
    return (int64_t)bg_json_number(row_of(k, tensor), "offset", -1);
}

int bg_calibration_load_folds(const bg_calibration *k, const char *tensor, int64_t cols, bg_folds *out, bg_err *e)
{
    const cJSON *row = row_of(k, tensor);
    int n = (int)bg_json_number(row, "folds", 0);
    *out = (bg_folds){0};
    if (!n || bg_json_number(row, "cols", -1) != (double)cols)
        return BG_OK;
    int64_t triangle = cols * (cols + 1) / 2, tokens = (int64_t)bg_json_number(row, "tokens", 0);
    size_t numbers = (size_t)n * (size_t)triangle;
    int status = bg_folds_init(out, cols, n, e);
    if (!status)
        status = bg_pread(k->fd, k->side, out->triangle, numbers * sizeof *out->triangle,
                          (uint64_t)bg_json_number(row, "offset", 0) + (uint64_t)(2 * cols + triangle) * 8, e);
    for (int i = 0; i < n && !status; i++)
        out->tokens[i] = bg_fold_end(tokens, n, i) - (i ? bg_fold_end(tokens, n, i - 1) : 0);
    for (size_t i = 0; i < numbers && !status; i++)
        if (!isfinite(out->triangle[i]))
            status = again(e, k->side, "it holds moments that are none");
    if (status)
        bg_folds_free(out);
    return status;
}

int bg_calibration_dress(void *self, const bg_tensor *t, bg_matrix *m, bg_err *e)
{
    bg_calibration *k = self;
    const cJSON *row = row_of(k, t->name);
    if (!row)
        return BG_OK;
    int64_t at = (int64_t)bg_json_number(row, "offset", -1);
    if (at != k->held_at || k->held.cols != t->cols) {
        bg_activations_free(&k->held);
        k->held_at = -1;
        int status = bg_calibration_load(k, t->name, t->cols, &k->held, e);
        if (status)
            return status;
        k->held_at = at;
    }
    m->second_moment = k->held.second_moment;
    m->mean_abs = k->held.mean_abs;
    m->max_abs = k->held.max_abs;
    return BG_OK;
}
