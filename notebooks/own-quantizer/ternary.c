/* Three values a weight, −s, 0 and s, as a program: weights below 0.7·mean|w| of their row become 0, the others the
 * mean of what is left (Li, Zhang and Liu 2016, Ternary Weight Networks, equations 5 and 6).
 *
 *     cc -O2 ternary.c -o ternary -lm
 *     bitgap curve MODEL -q exec:cmd=./ternary,bits=1.6
 *
 * Stored: rows × float32 scale, then the values row after row, five in a byte (3⁵ = 243): 1.6 bits per weight and the
 * scales. The matrices come and go as NumPy files: "\x93NUMPY", version 1.0, the length of a header in Python's words,
 * then float32 row by row. Their size stands in the environment, so the header's length is all that has to be read of
 * it.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t rows, cols;

static void die(const char *what)
{
    fprintf(stderr, "ternary: %s\n", what);
    exit(1);
}

static FILE *open_or_die(const char *path, const char *mode)
{
    FILE *f = fopen(path, mode);
    if (!f)
        die(path);
    return f;
}

static void read_matrix(const char *path, float *w)
{
    FILE *f = open_or_die(path, "rb");
    uint8_t start[10];
    if (fread(start, 1, sizeof start, f) != sizeof start || memcmp(start, "\x93NUMPY", 6) ||
        fseek(f, start[8] | start[9] << 8, SEEK_CUR) || fread(w, sizeof *w, rows * cols, f) != rows * cols)
        die("no float32 matrix");
    fclose(f);
}

static void write_matrix(const char *path, const float *w)
{
    FILE *f = open_or_die(path, "wb");
    char header[118];
    int n =
        snprintf(header, sizeof header, "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }", rows, cols);
    memset(header + n, ' ', sizeof header - (size_t)n);
    header[sizeof header - 1] = '\n';
    fwrite("\x93NUMPY\x01\x00\x76\x00", 1, 10, f); /* 0x76 = 118: the data begins at a multiple of 64 */
    fwrite(header, 1, sizeof header, f);
    fwrite(w, sizeof *w, rows * cols, f);
    if (fclose(f))
        die("cannot write");
}

/* One row: its scale, and 0, 1 or 2 for −s, 0 and s. */
static float ternary(const float *w, uint8_t *trit)
{
    double sum = 0, kept = 0;
    size_t n = 0;
    for (size_t i = 0; i < cols; i++)
        sum += fabs((double)w[i]);
    double threshold = 0.7 * sum / (double)cols;
    for (size_t i = 0; i < cols; i++) {
        int large = fabs((double)w[i]) > threshold;
        trit[i] = large ? w[i] < 0 ? 0 : 2 : 1;
        kept += large ? fabs((double)w[i]) : 0;
        n += (size_t)large;
    }
    return n ? (float)(kept / (double)n) : 0;
}

static void encode(const char *from, const char *to, float *w)
{
    uint8_t *trit = calloc(rows * cols + 5, 1);
    FILE *f = open_or_die(to, "wb");
    read_matrix(from, w);
    for (size_t r = 0; trit && r < rows; r++) {
        float scale = ternary(w + r * cols, trit + r * cols);
        fwrite(&scale, sizeof scale, 1, f);
    }
    for (size_t i = 0; trit && i < rows * cols; i += 5)
        fputc(trit[i] + 3 * trit[i + 1] + 9 * trit[i + 2] + 27 * trit[i + 3] + 81 * trit[i + 4], f);
    if (!trit || fclose(f))
        die("cannot write");
    free(trit);
}

static void decode(const char *from, const char *to, float *w)
{
    FILE *f = open_or_die(from, "rb");
    float *scale = malloc(rows * sizeof *scale);
    int byte = 0;
    if (!scale || fread(scale, sizeof *scale, rows, f) != rows)
        die("no scales");
    for (size_t i = 0; i < rows * cols; i++, byte /= 3) {
        if (i % 5 == 0 && (byte = fgetc(f)) == EOF)
            die("too few values");
        w[i] = (float)(byte % 3 - 1) * scale[i / cols];
    }
    fclose(f);
    free(scale);
    write_matrix(to, w);
}

int main(int argc, char **argv)
{
    const char *r = getenv("BITGAP_ROWS"), *c = getenv("BITGAP_COLS");
    rows = r ? strtoull(r, NULL, 10) : 0;
    cols = c ? strtoull(c, NULL, 10) : 0;
    float *w = malloc(rows * cols * sizeof *w + 1);
    if (argc != 4 || !w || !rows || !cols)
        die("bitgap runs this: encode IN.npy STORED, decode STORED OUT.npy");
    (strcmp(argv[1], "encode") ? decode : encode)(argv[2], argv[3], w);
    free(w);
    return 0;
}
