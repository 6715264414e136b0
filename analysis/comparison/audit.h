/* Audit: what a shipped checkpoint costs and what it lost, tensor by tensor, against the weights it was made of.
 *
 * For weights w, stored values ŵ, n of them:
 *     mse = Σ(w − ŵ)²/n,  rate_bits = 8·bytes/n,  gap_bits = rate_bits − ½·log2(σ²/mse)
 *     mse = mse_clipping + mse_rounding: a weight is clipped when it lies more than half a step outside the levels of
 * its scale Of either, what it would take to avoid it: mse_scale   what the best real scale of each group would save
 * with the same codes mse_zero    what a free offset beside it would save further, where the format has zero points or
 * minima mse_choice  what the nearest level of the same grid would save (error feedback and scaled columns pay it on
 * purpose)
 */
#ifndef BG_ANALYSIS_COMPARISON_AUDIT_H
#define BG_ANALYSIS_COMPARISON_AUDIT_H

#include "io/checkpoints/checkpoint.h"

typedef struct bg_tensor_loss {
    double count;                   /* finite pairs */
    double sigma2, kurtosis_excess; /* of the base, population */
    double mse, max_error;
    double clipped; /* share of the weights; NaN where the format has no levels */
    double mse_clipping, mse_rounding, mse_scale, mse_choice; /* NaN likewise */
    double mse_zero;                                          /* NaN without zero points too */
    uint64_t unfinite;                                        /* pairs left out because one of them is NaN or Inf */
} bg_tensor_loss;

/* Compares two tensors of the same rows and columns. Same digits for any number of threads. */
int bg_audit_compare(const bg_tensor *base, const bg_tensor *stored, bg_tensor_loss *out, bg_err *e);

/* Order-0 entropy of a tensor's stored codes, bits per weight; NaN for a format without codes. */
int bg_audit_entropy(const bg_tensor *t, double *bits, bg_err *e);

/* The tensor of `base` that `t` stores: of the same name, under another prefix, or the embedding for a tied lm_head.
 * *how is "same", "renamed", "tied"; NULL and "missing" or "shape" when there is none. */
const bg_tensor *bg_audit_match(const bg_ckpt *base, const bg_tensor *t, const char **how);

/* One tensor of an audited checkpoint. Without a base only the entropy is known and `base` is NULL. */
typedef struct bg_audit_row {
    const bg_tensor *tensor, *base;
    const char *match;                                        /* as bg_audit_match; "none" without a base checkpoint */
    bg_tensor_loss loss;                                      /* when base is set */
    double entropy_bits;                                      /* NaN for plain tensors */
    double rate_bits, relative, gap_bits, gap_empirical_bits; /* NaN where they do not exist */
} bg_audit_row;

/* Audits every tensor of c (count > 0), worst D/σ² first. *rows is malloc'ed, the caller frees; base may be NULL. */
int bg_audit_all(const bg_ckpt *base, const bg_ckpt *c, bg_audit_row **rows, int *n, bg_err *e);

#endif
