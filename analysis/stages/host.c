/* bitgap host: runs a quantizer that lives in a shared object, in this process of its own. Started by the grid `exec`.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include "io/base/file.h"
#include "io/base/npy.h"
#include "io/base/options.h"
#include "quant/grid/bitgap_quantizer.h"

enum { LEAST_ROOM = 4096, ROOM_A_WEIGHT = 8 };

static int number(const char *name, double min, double max, double *out, bg_err *e)
{
    const char *text = getenv(name);
    char *end = NULL;
    *out = text ? strtod(text, &end) : 0;
    if (!text || end == text || *end || !(*out >= min && *out <= max))
        return bg_fail(e, BG_USAGE, "host: %s=%s in the environment: a number from %g to %g is wanted", name,
                       text ? text : "", min, max);
    return BG_OK;
}

static int matrix_of_environment(bitgap_matrix *m, bg_err *e)
{
    double rows, cols, seed;
    int status = number("BITGAP_ROWS", 1, 1e9, &rows, e);
    if (!status)
        status = number("BITGAP_COLS", 1, 1e9, &cols, e);
    if (!status)
        status = number("BITGAP_BITS", 0, 64, &m->bits, e);
    if (!status)
        status = number("BITGAP_SEED", 0, 1.9e19, &seed, e);
    if (status)
        return status;
    m->seed = strtoull(getenv("BITGAP_SEED"), NULL, 10);
    m->rows = (size_t)rows;
    m->cols = (size_t)cols;
    return BG_OK;
}

static int write_bytes(const char *path, const uint8_t *bytes, size_t n, bg_err *e)
{
    bg_out out = {0};
    int status = bg_out_replace(&out, path, e);
    if (status)
        return status;
    fwrite(bytes, 1, n, out.file);
    return bg_out_commit(&out, e);
}

static int encode(const bitgap_quantizer *q, const bitgap_matrix *m, const char *from, const char *to, bg_err *e)
{
    size_t n = m->rows * m->cols, capacity = ROOM_A_WEIGHT * n + LEAST_ROOM, bytes = 0;
    float *w = malloc(n * sizeof *w);
    uint8_t *stored = calloc(capacity, 1);
    int status = w && stored ? bg_npy_read(from, w, (int64_t)m->rows, (int64_t)m->cols, e)
                             : bg_no_memory(e, from, n * sizeof *w + capacity);
    int code = status ? 0 : q->encode(m, w, stored, capacity, &bytes);
    if (code || bytes > capacity)
        status = bg_fail(e, BG_INPUT, "%s: encode answers %d after %zu bytes of %zu", from, code, bytes, capacity);
    if (!status)
        status = write_bytes(to, stored, bytes, e);
    if (!status)
        printf("bytes %zu\n", bytes);
    free(stored);
    free(w);
    return status;
}

static int decode(const bitgap_quantizer *q, const bitgap_matrix *m, const char *from, const char *to, bg_err *e)
{
    size_t n = m->rows * m->cols, bytes = 0;
    char *stored = NULL;
    float *out = calloc(n, sizeof *out);
    int status = out ? bg_file_read(from, ROOM_A_WEIGHT * n + LEAST_ROOM, &stored, &bytes, e)
                     : bg_no_memory(e, to, n * sizeof *out);
    int code = status ? 0 : q->decode(m, (const uint8_t *)stored, bytes, out);
    if (code)
        status = bg_fail(e, BG_INPUT, "%s: decode answers %d", from, code);
    if (!status)
        status = bg_npy_write(to, out, (int64_t)m->rows, (int64_t)m->cols, e);
    free(stored);
    free(out);
    return status;
}

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    (void)p;
    const char *path = bg_args_word(a, 0), *verb = bg_args_word(a, 1);
    int encoding = !strcmp(verb, "encode");
    bitgap_matrix m = {0};
    if (!encoding && strcmp(verb, "decode"))
        return bg_fail(e, BG_USAGE, "host: encode or decode is wanted, not '%s'", verb);
    int status = matrix_of_environment(&m, e);
    if (status)
        return status;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return bg_fail(e, BG_INPUT, "%s", dlerror());
    const bitgap_quantizer *q = dlsym(library, "bitgap_quantizer_here");
    if (!q)
        status = bg_fail(e, BG_INPUT, "%s: defines no bitgap_quantizer_here; see bitgap_quantizer.h", path);
    else if (q->abi != BITGAP_QUANTIZER_ABI)
        status = bg_fail(e, BG_INPUT, "%s: was built for version %d of bitgap_quantizer.h, this is %d; build it again",
                         path, q->abi, BITGAP_QUANTIZER_ABI);
    else
        status = (encoding ? encode : decode)(q, &m, bg_args_word(a, 2), bg_args_word(a, 3), e);
    dlclose(library);
    return status;
}

const bg_stage bg_stage_host = {
    .name = "host",
    .arguments = "LIBRARY encode|decode FROM TO",
    .min_words = 4,
    .max_words = 4,
    .summary = "run a quantizer from a shared object (exec:lib= does)",
    .about =
        "Loads the shared object, which defines bitgap_quantizer_here as bitgap_quantizer.h says, and encodes a .npy "
        "matrix into stored bytes or decodes those into a .npy matrix. BITGAP_ROWS, BITGAP_COLS, BITGAP_BITS and "
        "BITGAP_SEED come from the environment. The grid exec:lib=LIBRARY runs it for every tensor.",
    .example = "bitgap curve data/austen-3.7m -q exec:lib=./mine.so,bits=4 -o -",
    .is_tool = 1,
    .run = run,
};
