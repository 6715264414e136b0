/* Owns the entropies of the fields of 16-bit floats and their coding without loss; what each means is in lossless.h. */
#include "analysis/curves/lossless.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "quant/coding/index_stream.h"
#include "io/base/failure.h"

enum { PIECE = 1 << 20, CODES = 65536, MAX_EXPONENTS = 256, NO_LEFT = MAX_EXPONENTS };

typedef struct job {
    const bg_matrix *m;
    int mantissa_bits, exponents; /* exponents: 2^their bits */
    uint64_t *code, *pair;        /* [CODES]; [(exponents + the start of a row) × exponents] counts */
    bg_rans_table of_codes, of_exponents;
    double code_stream, exponent_stream; /* bits */
} job;

static unsigned exponent_of(const job *j, unsigned code)
{
    return code >> j->mantissa_bits & (unsigned)(j->exponents - 1);
}

static void count(const job *j, const uint16_t *codes, int64_t rows, uint64_t *code, uint64_t *pair)
{
    for (int64_t r = 0; r < rows; r++) {
        unsigned left = NO_LEFT;
        for (int64_t c = 0; c < j->m->cols; c++) {
            unsigned v = codes[r * j->m->cols + c], x = exponent_of(j, v);
            code[v]++, pair[left * MAX_EXPONENTS + x]++;
            left = x;
        }
    }
}

/* Codes one piece twice; `symbols` has its room. */
static int encode(const job *j, const uint16_t *codes, size_t n, uint16_t *symbols, double *code_bits,
                  double *exponent_bits, bg_err *e)
{
    for (size_t i = 0; i < n; i++)
        symbols[i] = (uint16_t)exponent_of(j, codes[i]);
    int status = bg_rans_stream(&j->of_codes, codes, n, code_bits, e);
    return status ? status : bg_rans_stream(&j->of_exponents, symbols, n, exponent_bits, e);
}

/* One pass over all rows: counts, or with `coding` codes. Whole numbers are added, so threads may do so in any order.
 */
static int pass(job *j, int coding, bg_err *e)
{
    int64_t step = j->m->cols < PIECE ? PIECE / j->m->cols : 1, pieces = (j->m->rows + step - 1) / step;
    size_t workspace = (size_t)(step * j->m->cols), contexts = (MAX_EXPONENTS + 1) * MAX_EXPONENTS;
    bg_failure failure = {0};
#pragma omp parallel if (pieces > 1)
    {
        uint16_t *codes = malloc(2 * workspace * sizeof *codes);
        uint64_t *own = calloc(CODES + contexts, sizeof *own);
        double code_bits = 0, exponent_bits = 0;
#pragma omp for schedule(dynamic, 1)
        for (int64_t k = 0; k < pieces; k++) {
            int64_t first = k * step, n = j->m->rows - first < step ? j->m->rows - first : step;
            double a = 0, b = 0;
            bg_err mine = {0};
            int failed = !codes || !own   ? bg_no_memory(&mine, "codes", 2 * workspace * sizeof *codes)
                         : bg_interrupted ? bg_fail(&mine, BG_RESOURCE, "interrupted")
                                          : j->m->codes16(j->m->self, first, n, codes, &mine);
            if (!failed && !coding)
                count(j, codes, n, own, own + CODES);
            if (!failed && coding)
                failed = encode(j, codes, (size_t)(n * j->m->cols), codes + workspace, &a, &b, &mine);
            if (failed)
                bg_failure_note(&failure, k, &mine);
            code_bits += a, exponent_bits += b;
        }
#pragma omp critical(bg_lossless)
        {
            for (int c = 0; c < CODES && own; c++)
                j->code[c] += own[c];
            for (size_t c = 0; c < contexts && own; c++)
                j->pair[c] += own[CODES + c];
            j->code_stream += code_bits, j->exponent_stream += exponent_bits;
        }
        free(codes), free(own);
    }
    return bg_failure_status(&failure, e);
}

/* Order-0 entropy of n counts that add up to `total`. */
static double entropy(const double *counts, size_t n, double total)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += counts[i] > 0 ? counts[i] / total * log2(total / counts[i]) : 0;
    return sum;
}

/* H(x|context) = H(context, x) − H(context). */
static double left_entropy(const job *j, double total)
{
    double both = 0, context = 0;
    for (int a = 0; a <= MAX_EXPONENTS; a++) {
        double row = 0;
        for (int b = 0; b < MAX_EXPONENTS; b++) {
            double n = (double)j->pair[a * MAX_EXPONENTS + b];
            row += n;
            both += n > 0 ? n / total * log2(total / n) : 0;
        }
        context += row > 0 ? row / total * log2(total / row) : 0;
    }
    return both - context;
}

static void entropies(const job *j, double *workspace, bg_lossless *out, double total)
{
    double *codes = workspace, *unsigned_codes = workspace + CODES, *mantissas = unsigned_codes + CODES / 2,
           *exponents = mantissas + CODES / 2;
    double signs[2] = {0, 0};
    memset(workspace, 0, 2 * CODES * sizeof *workspace);
    memset(exponents, 0, MAX_EXPONENTS * sizeof *exponents);
    for (unsigned c = 0; c < CODES; c++) {
        double n = (double)j->code[c];
        codes[c] = n, unsigned_codes[c & (CODES / 2 - 1)] += n, signs[c >> 15] += n;
        mantissas[c & ((1u << j->mantissa_bits) - 1)] += n, exponents[exponent_of(j, c)] += n;
    }
    out->code = entropy(codes, CODES, total), out->sign = entropy(signs, 2, total);
    out->exponent = entropy(exponents, (size_t)j->exponents, total);
    out->mantissa = entropy(mantissas, (size_t)1 << j->mantissa_bits, total);
    out->mantissa_given_exponent = entropy(unsigned_codes, CODES / 2, total) - out->exponent;
    out->exponent_given_left = left_entropy(j, total);
}

static int write_all(job *j, const double *codes, const double *exponents, bg_lossless *out, double total, bg_err *e)
{
    double code_table = 0, exponent_table = 0;
    int status = bg_rans_new(&j->of_codes, CODES, e);
    if (!status)
        status = bg_rans_new(&j->of_exponents, j->exponents, e);
    if (!status)
        status = bg_rans_fit(&j->of_codes, codes, 0, e);
    if (!status)
        status = bg_rans_fit(&j->of_exponents, exponents, 0, e);
    if (!status)
        status = bg_rans_describe(&j->of_codes, &code_table, e);
    if (!status)
        status = bg_rans_describe(&j->of_exponents, &exponent_table, e);
    if (!status)
        status = pass(j, 1, e);
    out->codes_bits = (j->code_stream + code_table) / total;
    out->fields_bits = (j->exponent_stream + exponent_table) / total + 1 + j->mantissa_bits;
    bg_rans_free(&j->of_codes), bg_rans_free(&j->of_exponents);
    return status;
}

int bg_lossless_of(const bg_matrix *m, bg_lossless *out, bg_err *e)
{
    double total = (double)m->rows * (double)m->cols;
    *out = (bg_lossless){.exponent_bits = m->code_dtype == BG_BF16 ? 8 : 5,
                         .mantissa_bits = m->code_dtype == BG_BF16 ? 7 : 10};
    if (!m->codes16 || !(total > 0))
        return bg_fail(e, BG_USAGE, "the lossless floor is of 16-bit floats");
    job j = {.m = m, .mantissa_bits = out->mantissa_bits, .exponents = 1 << out->exponent_bits};
    double *workspace = malloc((2 * CODES + MAX_EXPONENTS) * sizeof *workspace);
    j.code = calloc(CODES, sizeof *j.code), j.pair = calloc((MAX_EXPONENTS + 1) * MAX_EXPONENTS, sizeof *j.pair);
    int status = workspace && j.code && j.pair ? pass(&j, 0, e) : bg_no_memory(e, "counts", CODES * 24);
    if (!status) {
        entropies(&j, workspace, out, total);
        status = write_all(&j, workspace, workspace + 2 * CODES, out, total, e);
    }
    free(workspace), free(j.code), free(j.pair);
    return status;
}
