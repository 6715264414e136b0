/* bitgap lossless: what entropy coding alone buys, without changing a weight. */
#include <stdlib.h>
#include "analysis/curves/lossless.h"
#include "analysis/tensors/tensor_selection.h"

typedef struct sums {
    double weights, coded, exponent, mantissa; /* bits */
} sums;

static void put_row(bg_doc *d, const bg_tensor *t, const bg_lossless *l, sums *sum)
{
    double min = l->fields_bits < l->codes_bits ? l->fields_bits : l->codes_bits;
    int stored = 1 + l->exponent_bits + l->mantissa_bits;
    bg_doc_row(d);
    bg_doc_string(d, "tensor", t->name);
    bg_doc_string(d, "role", t->role);
    bg_doc_integer(d, "layer", t->layer);
    bg_doc_string(d, "dtype", t->storage);
    bg_doc_integer(d, "weights", (int64_t)t->count);
    bg_doc_number(d, "sign_bits", l->sign);
    bg_doc_number(d, "exponent_bits", l->exponent);
    bg_doc_number(d, "mantissa_bits", l->mantissa);
    bg_doc_number(d, "mantissa_given_exponent_bits", l->mantissa_given_exponent);
    bg_doc_number(d, "exponent_given_left_bits", l->exponent_given_left);
    bg_doc_number(d, "code_bits", l->code);
    bg_doc_number(d, "fields_coded_bits", l->fields_bits);
    bg_doc_number(d, "codes_coded_bits", l->codes_bits);
    bg_doc_number(d, "saved", 1 - min / stored);
    bg_doc_row_end(d);
    double n = (double)t->count;
    sum->weights += n, sum->coded += min * n, sum->exponent += l->exponent * n,
        sum->mantissa += l->mantissa_given_exponent * n;
}

static void put_skipped(bg_doc *d, const bg_selection *s)
{
    bg_doc_section(d, "skipped");
    for (int i = 0; i < s->n; i++) {
        bg_matrix m = bg_selection_matrix(s, s->tensors[i], 0);
        if (m.codes16 && s->tensors[i]->count)
            continue;
        bg_doc_row(d);
        bg_doc_string(d, "tensor", s->tensors[i]->name);
        bg_doc_string(d, "role", s->tensors[i]->role);
        bg_doc_integer(d, "layer", s->tensors[i]->layer);
        bg_doc_string(d, "reason", m.distribution ? "a density has no stored numbers" : "not stored as 16-bit floats");
        bg_doc_row_end(d);
    }
}

static int write(const bg_selection *s, const char *path, const bg_provenance *p, bg_err *e)
{
    bg_doc d;
    sums sum = {0};
    int status = bg_doc_begin(&d, "lossless", path, p, e);
    if (status)
        return status;
    bg_progress bar;
    bg_progress_begin(&bar, "lossless", (unsigned long long)s->weights);
    bg_doc_section(&d, "rows");
    for (int i = 0; i < s->n && !status; i++) {
        bg_matrix m = bg_selection_matrix(s, s->tensors[i], 0);
        bg_lossless l;
        if (m.codes16 && s->tensors[i]->count && !(status = bg_lossless_of(&m, &l, e)))
            put_row(&d, s->tensors[i], &l, &sum);
        if (status)
            bg_context(e, "tensor '%s'", s->tensors[i]->name);
        bg_progress_step(&bar, s->tensors[i]->count);
    }
    bg_progress_end(&bar);
    bg_doc_section(&d, "totals");
    if (sum.weights > 0) {
        bg_doc_row(&d);
        bg_doc_integer(&d, "weights", (int64_t)sum.weights);
        bg_doc_integer(&d, "bytes", (int64_t)(2 * sum.weights));
        bg_doc_integer(&d, "coded_bytes", (int64_t)(sum.coded / 8 + 0.5));
        bg_doc_number(&d, "coded_bits", sum.coded / sum.weights);
        bg_doc_number(&d, "exponent_bits", sum.exponent / sum.weights);
        bg_doc_number(&d, "mantissa_given_exponent_bits", sum.mantissa / sum.weights);
        bg_doc_number(&d, "saved", 1 - sum.coded / (16 * sum.weights));
        bg_doc_row_end(&d);
    }
    put_skipped(&d, s);
    if (!status)
        return bg_doc_commit(&d, e);
    bg_doc_abandon(&d);
    return status;
}

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    bg_selection s = {0};
    int status = bg_selection_open(&s, bg_args_word(a, 0), a, p, e);
    if (!status)
        status = write(&s, bg_arg_output(a, "lossless.json"), p, e);
    bg_selection_close(&s);
    return status;
}

static const bg_option options[] = {
    BG_SELECTION_OPTIONS,
    {0},
};

const bg_stage bg_stage_lossless = {
    .name = "lossless",
    .arguments = "MODEL|groups.json",
    .min_words = 1,
    .max_words = 1,
    .summary = "the lossless floor: entropies of 16-bit floats and what coding them saves",
    .about =
        "For every matrix stored as BF16 or F16: the order-0 entropies of sign, exponent and mantissa, what is left of "
        "mantissa\n"
        "and exponent once their context is known, and of whole numbers; beside them the bits that rANS really writes "
        "with\n"
        "one static table a tensor, for the exponents alone and for whole numbers. Streams are read back and compared.",
    .example = "bitgap lossless data/austen-3.7m -o -",
    .options = options,
    .run = run,
};
