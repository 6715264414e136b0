/* Owns .npy: "\x93NUMPY", version, length of the header (u16), a Python dictionary padded with spaces so that the data
 * starts at a multiple of 64, then the data, little-endian. */
#define _GNU_SOURCE
#include "io/base/npy.h"

#include <string.h>
#include "io/base/file.h"

enum { PREAMBLE = 10, HEADER_MOST = 4096 };

int bg_npy_write(const char *path, const float *w, int64_t rows, int64_t cols, bg_err *e)
{
    char header[192];
    int n = snprintf(header, sizeof header, "{'descr': '<f4', 'fortran_order': False, 'shape': (%lld, %lld), }",
                     (long long)rows, (long long)cols);
    int length = (PREAMBLE + n + 1 + 63) / 64 * 64 - PREAMBLE;
    memset(header + n, ' ', (size_t)(length - n));
    header[length - 1] = '\n';
    const unsigned char preamble[PREAMBLE] = {
        0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)(length & 0xff), (unsigned char)(length >> 8)};
    bg_out out = {0};
    int status = bg_out_replace(&out, path, e);
    if (status)
        return status;
    fwrite(preamble, 1, sizeof preamble, out.file);
    fwrite(header, 1, (size_t)length, out.file);
    fwrite(w, sizeof *w, (size_t)(rows * cols), out.file);
    return bg_out_commit(&out, e);
}

/* The value of a key of the header's dictionary, without leading spaces. */
static const char *entry(const char *header, const char *key)
{
    const char *at = strstr(header, key);
    at = at ? strchr(at, ':') : NULL;
    return at ? at + 1 + strspn(at + 1, " ") : "";
}

static int check_header(const char *path, const char *header, int64_t rows, int64_t cols, bg_err *e)
{
    long long r = -1, c = -1;
    if (strncmp(entry(header, "'descr'"), "'<f4'", 5) != 0)
        return bg_fail(e, BG_INPUT, "%s: the numbers must be float32 ('<f4')", path);
    if (strncmp(entry(header, "'fortran_order'"), "False", 5) != 0)
        return bg_fail(e, BG_INPUT, "%s: rows must lie one after the other (C order)", path);
    if (sscanf(entry(header, "'shape'"), "(%lld, %lld", &r, &c) != 2 || r != rows || c != cols)
        return bg_fail(e, BG_INPUT, "%s: the shape must be (%lld, %lld)", path, (long long)rows, (long long)cols);
    return BG_OK;
}

static int read_open(FILE *f, const char *path, float *out, int64_t rows, int64_t cols, bg_err *e)
{
    unsigned char p[PREAMBLE];
    char header[HEADER_MOST + 1];
    if (fread(p, 1, PREAMBLE, f) != PREAMBLE || memcmp(p, "\x93NUMPY\x01", 7) != 0)
        return bg_fail(e, BG_INPUT, "%s: not a .npy file of version 1", path);
    size_t length = (size_t)p[8] | (size_t)p[9] << 8;
    if (length > HEADER_MOST || fread(header, 1, length, f) != length)
        return bg_fail(e, BG_INPUT, "%s: its header of %zu bytes is cut off or too long", path, length);
    header[length] = 0;
    int status = check_header(path, header, rows, cols, e);
    size_t n = (size_t)(rows * cols);
    if (!status && (fread(out, sizeof *out, n, f) != n || fgetc(f) != EOF))
        status = bg_fail(e, BG_INPUT, "%s: does not hold %zu numbers, neither more nor fewer", path, n);
    return status;
}

int bg_npy_read(const char *path, float *out, int64_t rows, int64_t cols, bg_err *e)
{
    FILE *f = fopen(path, "rbe");
    if (!f)
        return bg_fail(e, BG_INPUT, "%s: %m", path);
    int status = read_open(f, path, out, rows, cols, e);
    fclose(f);
    return status;
}
