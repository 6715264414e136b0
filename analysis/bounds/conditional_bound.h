/* Conditional R(D): the least rate of weights whose scales are known, by Blahut–Arimoto.
 *
 * Every weight is its scope's scale times a number from one common law, w = σ_s·z + μ_s: rows, or groups of a row. With
 * the scales as side information at both ends, R(D | scales) = min Σ_s w_s·R_z(D_s/σ_s²) over Σ w_s·D_s = D, R_z the
 * rate-distortion function of the weights over their scales, pooled into one histogram (bins of BG_SCALE_BIN, 1e-4 bit
 * and less of R at the distortions here). Gray 1973, IEEE Trans. IT 19 (conditional rate-distortion); for Gaussian z it
 * is reverse water-filling.
 *
 * Both ends are certified. Upper: every scope takes one of the codes of the table of R_z (upper bounds, a factor √2
 * apart in D) by a common slope; between two slopes codes are mixed in time. Lower: for every slope t < 0, R(D) ≥ tD +
 * Σ w_s·c(tσ_s²) with c(t) = min_d R_z(d) − td, which is concave, so that chords between the tangents that
 * Blahut–Arimoto certified lie below it.
 *
 * The scales themselves cost what a code stores for them; they are in no bound. Known scales estimated from g weights
 * of a source without scales gain about 0.72/g bits that are no gain.
 */
#ifndef BG_ANALYSIS_BOUNDS_CONDITIONAL_BOUND_H
#define BG_ANALYSIS_BOUNDS_CONDITIONAL_BOUND_H

#include "io/checkpoints/checkpoint.h"
#include "quant/kernel/histogram.h"

#define BG_SCALE_BIN (1.0 / 512)

/* The scales of a tensor's scopes and what is left of its weights without them. */
typedef struct bg_scales {
    size_t n;
    double *variance, *share; /* [n]; shares add to 1 */
    bg_hist standard;         /* (w − μ)/σ of all scopes with σ > 0 */
} bg_scales;

/* group 0: rows; else groups of so many weights along a row. Reads the tensor once. */
int bg_scales_of(const bg_tensor *t, int group, bg_scales *out, bg_err *e);
void bg_scales_free(bg_scales *s);

/* The table of R_z that conditional bounds are made of. */
enum { BG_SCALE_CODES = 24 };
typedef struct bg_scale_codes {
    double distortion[BG_SCALE_CODES + 1],
        upper_bits[BG_SCALE_CODES + 1]; /* falling distortion; 0: one point, D = variance at rate 0 */
    double slope[BG_SCALE_CODES + 1], intercept[BG_SCALE_CODES + 1]; /* R_z(d) ≥ slope·d + intercept, bits */
    int n;
} bg_scale_codes;
int bg_scale_codes_of(const bg_hist *standard, double nats, int max, bg_scale_codes *out, bg_err *e);

/* Bounds of R(distortion | scales); NaN below what the table reaches. */
void bg_conditional_rate(const bg_scales *s, const bg_scale_codes *c, double distortion, double *lower_bits,
                         double *upper_bits);

#endif
