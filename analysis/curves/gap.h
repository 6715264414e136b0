/* Gaps: the points of the curves set against the bounds, and what follows for curves, layers, roles and pairs of
 * curves.
 *
 * gap_bits = R − ½·log2(σ²/D). Against the bound of the weights themselves R(D) is taken between the rows of the bounds
 * document: the saving over the Gaussian, ½·log2(σ²/D) − R(D), is interpolated linearly in log D. A distortion outside
 * the rows has no such gap: nothing is extrapolated.
 */
#ifndef BG_ANALYSIS_CURVES_GAP_H
#define BG_ANALYSIS_CURVES_GAP_H

#include "io/documents/document.h"

typedef struct bg_gap_point {
    const char *tensor, *role, *quantizer, *spec;         /* borrowed from the curves document */
    int layer, tensor_at, quantizer_at, spec_at, role_at; /* numbered in order of appearance */
    double weights, rate_bits, mse, sigma2, gap_bits, output_gap_bits, max_error, max_relative;
} bg_gap_point;

typedef struct bg_bound_row {
    double log2_d, gaussian, lower_slb, upper; /* NaN where the document has none */
} bg_bound_row;

typedef struct bg_gaps {
    bg_gap_point *points;
    int n_points, n_tensors, n_quantizers, n_specs, n_roles;
    const char **tensors, **quantizers, **specs, **roles; /* names by number */
    const bg_gap_point **first; /* [n_tensors] any point of the tensor: its place and variance */
    bg_bound_row **bounds;      /* [n_tensors] rows by rising D */
    int *n_bounds;
} bg_gaps;

/* From a curves document and, if not NULL, a bounds document; both must outlive g. */
int bg_gaps_init(bg_gaps *g, const cJSON *curves, const cJSON *bounds, bg_err *e);
void bg_gaps_free(bg_gaps *g);

/* Gap above the bound of the tensor's own weights at distortion D, rate R: Blahut–Arimoto (upper curve) or Shannon
 * lower bound. NaN where the bounds do not reach. */
double bg_gap_empirical(const bg_gaps *g, int tensor, double D, double R);
double bg_gap_shannon_lower(const bg_gaps *g, int tensor, double D, double R);

/* Writes all sections of a gaps document. sensitivity: spec by which layers are ranked. */
int bg_gaps_write(const bg_gaps *g, bg_doc *d, const char *sensitivity, bg_err *e);

#endif
