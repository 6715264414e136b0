/* Evaluation: what a model, or a model under a spec, is worth and what it costs, one row each. */
#ifndef BG_ANALYSIS_OUTPUT_EVALUATION_H
#define BG_ANALYSIS_OUTPUT_EVALUATION_H

#include "analysis/output/perplexity.h"
#include "analysis/output/questions.h"
#include "analysis/output/speed.h"
#include "quant/parser/parser.h"

typedef struct bg_evaluation_options {
    const char *text, *qa;                           /* files; NULL: that part is left out */
    const char *calibration;                         /* of the model, for the specs that need one; NULL */
    int context, stride;                             /* 0: the model's context, at most 2048; half the context */
    int64_t windows;                                 /* of the perplexity; 0: all */
    unsigned conventions;                            /* bit 1 << bg_convention */
    int prompts, prompt_tokens, new_tokens, repeats; /* of the benchmark; prompts 0: none */
    uint64_t seed;
} bg_evaluation_options;

typedef struct bg_evaluation_kind {
    char *kind;
    int items, choice_items, choice_right, greedy_right;
} bg_evaluation_kind;

/* One generated text against the base's on the same prompt. */
typedef struct bg_evaluation_drift {
    int32_t *id; /* [n] generated tokens */
    int n;
    char *text;
    size_t units, first_difference, edits; /* in tokens, or in words where the base has another tokenizer */
    double rouge_l;                        /* of words */
} bg_evaluation_drift;

typedef struct bg_evaluation_row {
    char *model, *spec;
    double rate_bits, model_bits, bytes, mse; /* mse NaN for the weights as they are */
    double quantize_seconds;                  /* NaN for the weights as they are */
    bg_loss loss[BG_CONVENTIONS];             /* tokens 0: not measured */
    double bits_per_byte;                     /* NaN without text */
    double log_change, log_change_se;         /* of ln perplexity against the base row; NaN where tokens differ */
    char token_hash[65];                      /* sha256 of the text's ids; "" without text */
    bg_evaluation_kind *kinds;                /* [n_kinds], the last one of them "all" */
    int n_kinds;
    bg_speed speed;             /* runs 0: not measured */
    bg_evaluation_drift *drift; /* [n_drift] */
    int n_drift;
    double bleu;
    uint64_t peak_bytes;
    char *note;
} bg_evaluation_row;

/* A figure measured elsewhere. */
typedef struct bg_evaluation_import {
    char *model, *task, *metric;
    double value, se; /* se NaN where the file has none */
} bg_evaluation_import;

typedef struct bg_evaluation {
    bg_evaluation_row *rows; /* the first is the base of every comparison */
    int n;
    bg_evaluation_import *imports;
    int n_imports;
} bg_evaluation;

/* Appends the rows of one model: as it is, then under each spec. Comparisons are against rows[0]. */
int bg_evaluate_model(const char *path, const bg_spec *specs, int n_specs, const bg_evaluation_options *o,
                      bg_evaluation *out, bg_provenance *p, bg_err *e);
void bg_evaluation_free(bg_evaluation *v);

/* Appends the results of a file of lm-evaluation-harness: {"results": {task: {"metric,filter": value,
 * "metric_stderr,filter": value}}, …}. `model` is what to call it; NULL: as the file says. */
int bg_evaluation_import_file(bg_evaluation *v, const char *path, const char *model, bg_provenance *p, bg_err *e);

/* The same rows as a document, as CSV and as a Markdown table. */
int bg_evaluation_write(const bg_evaluation *v, const bg_evaluation_options *o, const char *path,
                        const bg_provenance *p, bg_err *e);
int bg_evaluation_write_csv(const bg_evaluation *v, const char *path, bg_err *e);
int bg_evaluation_write_markdown(const bg_evaluation *v, const char *path, bg_err *e);

#endif
