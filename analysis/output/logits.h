/* The logits document: everything one run of `bitgap logits` holds, and its writer. */
#ifndef BG_ANALYSIS_OUTPUT_LOGITS_H
#define BG_ANALYSIS_OUTPUT_LOGITS_H

#include "analysis/output/calibration.h"
#include "analysis/output/linearity.h"

typedef struct bg_logits {
    bg_ckpt *ckpt, **others;
    bg_model *base, **candidates;
    int n_candidates;
    const char *text_name; /* of the file; NULL: the built-in sentences */
    bg_corpus text, part;  /* part: its first sequences, borrowed */
    bg_spec *specs;
    int n_specs;
    bg_recipe **recipe; /* recipes: a trial each, behind the specs' */
    int n_recipes;
    bg_trial *v; /* [n]: the specs' families, then the candidates */
    int n;
    bg_trial noise[2];      /* float64 sums, bfloat16 activations; no tokens: not measured */
    bg_linearity linearity; /* n 0: not measured */
    double tolerance;       /* of linearity: largest |predicted/measured − 1| that counts as holding */
    int per_token;          /* write each token's error */
    bg_functional_options options;
    int64_t activation_bits;
    double activation_keep;
    bg_calibration *calibration;
} bg_logits;

int bg_logits_write(const bg_logits *j, const char *path, const bg_provenance *p, bg_err *e);

#endif
