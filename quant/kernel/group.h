/* Kernels over the scopes of a row: range, squared error of affine and table codes. None allocates.
 *
 * x[n] is cut into groups of g (the last may be short): group k is x[k·g … min(n, (k+1)·g)). Errors are in original
 * units: each kernel adds Σ (x − x̂)² to e->sse group by group and keeps the largest |x − x̂| in e->most. A _ref says in
 * a few lines what the fast version computes; they agree to float rounding inside a group.
 */
#ifndef BG_QUANT_KERNEL_GROUP_H
#define BG_QUANT_KERNEL_GROUP_H

#include <stddef.h>
#include <stdint.h>

typedef struct bg_error {
    double sse;
    float most;
} bg_error;

/* Smallest weight min[k] and largest weight max[k] of each group. A NaN gives NaN in one of them. */
void bg_group_range(const float *x, size_t n, size_t g, float *min, float *max);
void bg_group_range_ref(const float *x, size_t n, size_t g, float *min, float *max);

/* Joins the ranges of `together` neighbouring groups at a time; n groups in all. */
void bg_range_join(const float *min, const float *max, size_t n, size_t together, float *joined_min, float *joined_max);

/* Affine codes: y = x·inverse[k] − shift[k] (shift NULL: 0); q = clamp(round(y), low[k], high[k]); error scale[k]·(y −
 * q). Where scale is 0 every weight becomes rest[k]. */
typedef struct bg_affine {
    const float *scale, *inverse, *shift, *low, *high, *rest;
    /* Range of the weights, as bg_group_range tells: groups that stay inside their bounds are not clamped. */
    const float *min, *max;
} bg_affine;
void bg_group_affine(const float *x, size_t n, size_t g, const bg_affine *a, bg_error *e);
/* a->min and a->max are not used. */
void bg_group_affine_ref(const float *x, size_t n, size_t g, const bg_affine *a, bg_error *e);

/* Tables of K ≤ 16 ascending levels: y = x·inverse[k]; error scale[k]·(y − nearest level by cuts). */
typedef struct bg_table_code {
    const float *scale, *inverse; /* of each group */
    const float *levels, *cuts;   /* [K], [K − 1] */
    int K;
} bg_table_code;
void bg_group_table(const float *x, size_t n, size_t g, const bg_table_code *t, bg_error *e);
void bg_group_table_ref(const float *x, size_t n, size_t g, const bg_table_code *t, bg_error *e);

/* Rounds n non-negative floats to float16 precision in place (saturating at 65504), as bg_f32_to_f16 and back. */
void bg_round_f16(float *x, size_t n);
/* 1/x, or 0 where x is 0. */
void bg_invert(const float *x, float *inverse, size_t n);

/* counts[code]++ for n codes; counts[65536] wraps at 2³², so call it on less between drains. */
void bg_count_codes(const uint16_t *codes, size_t n, uint32_t *counts);
/* bf16 codes to float32. */
void bg_widen_bf16(const uint16_t *codes, float *out, size_t n);
/* Nonzero when a value is NaN or infinite. */
int bg_any_not_finite(const float *x, size_t n);

#endif
