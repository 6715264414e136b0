/* The atlas: what every format pays on sources whose shape, correlation, outliers are known, and how far the shape of a
 * real tensor foretells what the format pays there.
 *
 * A point is one spec on one source. Where the engine measures densities the point is exact; else it is a mean over
 * SEEDS samples of BG_ATLAS_WEIGHTS weights, with its standard error. own_gap_bits = gap_bits + h(Gaussian) −
 * h(source): the distance from the Shannon lower bound of the source itself, for a source with memory of its entropy
 * rate.
 *
 * A tensor is placed by the exponent β of the generalised Gaussian fitted to it: D/σ² is read between the points of
 * that axis, linear in (ln β, ln D), and nothing is said outside.
 */
#ifndef BG_ANALYSIS_CURVES_ATLAS_H
#define BG_ANALYSIS_CURVES_ATLAS_H

#include "io/documents/document.h"
#include "quant/engine/quantize.h"

enum { BG_ATLAS_WEIGHTS = 1 << 16, BG_ATLAS_SEEDS = 3 };

typedef struct bg_atlas_point {
    const char
        *axis; /* student, ggd, ar1, outliers: its distribution; block: weights that share a scale, on a Gaussian */
    char source[48];  /* "student,nu=5" */
    double parameter; /* ν, β, ρ, share, weights of a block */
    const bg_spec *spec;
    const char *skipped; /* why nothing else is set */
    int exact;
    double rate_bits, relative, gap_bits, own_gap_bits,
        error_bits; /* relative: D/σ²; error: standard error, NaN when exact */
} bg_atlas_point;

typedef struct bg_atlas {
    bg_atlas_point *points;
    int n;
    bg_spec *blocks; /* specs of the block axis */
    int n_blocks;
} bg_atlas;

/* Runs n specs on every source. specs must outlive the atlas; the caller frees with bg_atlas_free. Same digits for any
 * number of threads. */
int bg_atlas_make(bg_atlas *a, const bg_spec *specs, int n, uint64_t seed, bg_err *e);
void bg_atlas_free(bg_atlas *a);

/* D/σ² that the axis of generalised Gaussians foretells for exponent β; NaN outside the axis or without the spec. */
double bg_atlas_predict(const bg_atlas *a, const char *spec, double beta);

/* Writes the sections of an atlas document; curves and groups (both or NULL) give the tensors to place. */
int bg_atlas_write(const bg_atlas *a, const cJSON *curves, const cJSON *groups, uint64_t seed, bg_doc *d, bg_err *e);

#endif
