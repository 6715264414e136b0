/* Owns the section `outputs` of a bounds document (output_rows.h). */
#include "analysis/bounds/output_bound_rows.h"

#include <math.h>
#include <stdlib.h>
#include "analysis/bounds/output_bound_interval.h"

enum { AT_FOUR = 7 /* rates[7] is 4 bits */ };

struct bg_output_rows {
    const bg_calibration *calibration;
    uint64_t seed;
    double rates[BG_BAND_RATES];
    /* of the input at `place` of the side file; −1: none yet */
    int64_t place;
    bg_output_bound bound;
    bg_output_band band;                                   /* folds = 0: none */
    double effective_rank, feedback_loss, feedback_factor; /* NaN: not positive definite */
};

int bg_output_rows_open(bg_output_rows **o, const bg_calibration *k, uint64_t seed, bg_err *e)
{
    *o = calloc(1, sizeof **o);
    if (!*o)
        return bg_no_memory(e, "bounds of layers", sizeof **o);
    (*o)->calibration = k;
    (*o)->seed = seed;
    (*o)->place = -1;
    for (int r = 0; r < BG_BAND_RATES; r++)
        (*o)->rates[r] = 0.5 * (r + 1);
    return BG_OK;
}

void bg_output_rows_close(bg_output_rows *o)
{
    if (o)
        bg_output_bound_free(&o->bound);
    free(o);
}

/* An input whose moments are singular has a bound at low rates still, and no losses at high rate. */
static int losses(bg_output_rows *o, const double *second_moment, bg_err *e)
{
    double *pivots = malloc((size_t)o->bound.n * sizeof *pivots);
    o->feedback_loss = o->feedback_factor = (double)NAN;
    o->effective_rank = bg_effective_rank(&o->bound);
    if (!pivots)
        return bg_no_memory(e, "pivots", (size_t)o->bound.n * sizeof *pivots);
    if (isfinite(o->bound.log2_geometric_mean) &&
        !bg_feedback_pivots(second_moment, o->bound.n, pivots, &o->feedback_factor, NULL))
        o->feedback_loss = bg_feedback_loss_bits(&o->bound, pivots);
    free(pivots);
    return BG_OK;
}

static int load(bg_output_rows *o, const bg_tensor *t, bg_err *e)
{
    bg_activations x = {0};
    bg_folds folds = {0};
    bg_output_bound_free(&o->bound);
    o->band = (bg_output_band){0};
    int status = bg_calibration_load(o->calibration, t->name, t->cols, &x, e);
    if (!status)
        status = bg_output_bound_init(&o->bound, x.second_moment, t->cols, e);
    if (!status)
        status = losses(o, x.second_moment, e);
    if (!status)
        status = bg_calibration_load_folds(o->calibration, t->name, t->cols, &folds, e);
    if (!status && folds.n)
        status = bg_output_band_of(&folds, x.second_moment, &o->bound, o->rates, BG_BAND_RATES, o->seed, &o->band, e);
    bg_folds_free(&folds);
    bg_activations_free(&x);
    return status;
}

static void put_losses(const bg_output_rows *o, bg_doc *d)
{
    const bg_output_bound *b = &o->bound;
    bg_doc_number(d, "mean_diagonal", b->mean_diagonal);
    bg_doc_number(d, "effective_rank", o->effective_rank);
    if (!isfinite(b->log2_geometric_mean))
        return;
    bg_doc_number(d, "geometric_mean", exp2(b->log2_geometric_mean));
    bg_doc_number(d, "nearest_loss_bits", bg_nearest_loss_bits(b));
    bg_doc_number(d, "feedback_loss_bits", o->feedback_loss);
    bg_doc_number(d, "feedback_weight_factor", o->feedback_factor);
}

static void put_scaled(bg_doc *d, const char *field, const double *relative, double sigma2)
{
    double at[BG_BAND_RATES];
    for (int r = 0; r < BG_BAND_RATES; r++)
        at[r] = sigma2 * relative[r];
    bg_doc_numbers(d, field, at, BG_BAND_RATES);
}

static void put_band(const bg_output_rows *o, bg_doc *d, const double *distortions, double sigma2)
{
    const bg_output_band *b = &o->band;
    double at = distortions[AT_FOUR] / sigma2;
    if (!b->folds)
        return;
    bg_doc_integer(d, "folds", b->folds);
    bg_doc_number(d, "shrinkage", b->shrinkage);
    bg_doc_number(d, "shrinkage_bits", 0.5 * log2(b->shrunk[AT_FOUR] / at));
    bg_doc_number(d, "held_out_bits", 0.5 * log2(b->held_out[AT_FOUR] / at));
    bg_doc_number(d, "held_out_low_bits", 0.5 * log2(b->low[AT_FOUR] / at));
    bg_doc_number(d, "held_out_high_bits", 0.5 * log2(b->high[AT_FOUR] / at));
    put_scaled(d, "shrunk_distortions", b->shrunk, sigma2);
    put_scaled(d, "held_out_distortions", b->held_out, sigma2);
    put_scaled(d, "low_distortions", b->low, sigma2);
    put_scaled(d, "high_distortions", b->high, sigma2);
}

int bg_output_rows_put(bg_output_rows *o, bg_doc *d, const bg_tensor *t, double sigma2, bg_err *e)
{
    int64_t place = bg_calibration_place(o->calibration, t->name);
    double distortions[BG_BAND_RATES];
    int status = BG_OK;
    if (place < 0 || !(sigma2 > 0))
        return BG_OK;
    if (place != o->place || o->bound.n != t->cols) {
        o->place = -1;
        status = load(o, t, e);
        if (!status)
            o->place = place;
    }
    for (int r = 0; r < BG_BAND_RATES && !status; r++) {
        bg_water w;
        status = bg_output_bound_at_rate(&o->bound, sigma2, o->rates[r], &w, e);
        distortions[r] = w.distortion;
    }
    if (status)
        return bg_context(e, "tensor '%s'", t->name);
    bg_doc_row(d);
    bg_doc_string(d, "tensor", t->name);
    bg_doc_string(d, "role", t->role);
    bg_doc_integer(d, "layer", t->layer);
    put_losses(o, d);
    bg_doc_numbers(d, "rates", o->rates, BG_BAND_RATES);
    bg_doc_numbers(d, "distortions", distortions, BG_BAND_RATES);
    put_band(o, d, distortions, sigma2);
    bg_doc_row_end(d);
    return BG_OK;
}
