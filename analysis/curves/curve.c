/* Owns rate-distortion points. gap_bits = R + ½·log2(D/σ²) and sqnr_db = 10·log10(σ²/D), σ² about the mean: theory in
 * analysis/README.md and tests/reference. A point without distortion (D = 0) or of a constant tensor has neither. */
#include "analysis/curves/curve.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/bounds/output_bound.h"
#include "quant/engine/quantize.h"

const char *bg_spec_family(const bg_spec *s)
{
    if (s->rounding->needs_calibration || s->transform->needs_calibration)
        return "calibrated";
    if (s->coding->bits)
        return "entropy-coded";
    return s->grid->family ? s->grid->family : "non-uniform";
}

/* The bound of an input, kept for the next tensors that read the same one (q, k, v; gate, up). */
typedef struct kept_bound {
    bg_output_bound bound;
    double trace, square; /* of its Σ */
} kept_bound;

static int output_bound_of(const bg_matrix *m, kept_bound *k, bg_err *e)
{
    double trace = 0, square = 0;
    for (int64_t i = 0; i < m->cols; i++) {
        trace += m->second_moment[i * m->cols + i];
        for (int64_t j = 0; j <= i; j++)
            square += m->second_moment[i * m->cols + j] * m->second_moment[i * m->cols + j];
    }
    if (k->bound.n == m->cols && trace <= k->trace && trace >= k->trace && square <= k->square && square >= k->square)
        return BG_OK;
    bg_output_bound_free(&k->bound);
    k->trace = trace, k->square = square;
    return bg_output_bound_init(&k->bound, m->second_moment, m->cols, e);
}

/* Rates against the least one that reaches the same output error per weight. */
static int output_gaps(const bg_matrix *m, const bg_measure *at, int n, kept_bound *k, double *gap, bg_err *e)
{
    int status = output_bound_of(m, k, e);
    for (int i = 0; i < n && !status; i++) {
        double d = at[i].output_mse / (double)m->cols;
        bg_water w;
        if (at[i].skipped || !(d > 0) || !(at[i].sigma2 > 0))
            continue;
        status = bg_output_bound_at_distortion(&k->bound, at[i].sigma2, d, &w, e);
        gap[i] = at[i].rate_bits - w.rate_bits;
    }
    return status;
}

int bg_curves_measure(bg_curves *c, const bg_selection *selection, const bg_spec *specs, int n, uint64_t seed,
                      bg_curve_dress dress, bg_err *e)
{
    size_t points = (size_t)selection->n * (size_t)n;
    *c = (bg_curves){selection, specs, n, calloc(points + 1, sizeof *c->at),
                     malloc((points + 1) * sizeof *c->output_gap)};
    if (!c->at || !c->output_gap)
        return bg_no_memory(e, "points", points * sizeof *c->at);
    for (size_t i = 0; i < points; i++)
        c->output_gap[i] = (double)NAN;
    kept_bound kept = {0};
    bg_progress p;
    int status = BG_OK;
    bg_progress_begin(&p, "curve", (unsigned long long)selection->weights);
    for (int i = 0; i < selection->n && !status; i++) {
        const bg_tensor *t = selection->tensors[i];
        bg_matrix m = bg_selection_matrix(selection, t, seed);
        status = dress.dress ? dress.dress(dress.self, t, &m, e) : BG_OK;
        if (!status)
            status = bg_measure_specs(&m, specs, n, c->at + (size_t)i * (size_t)n, e);
        if (!status && m.second_moment)
            status = output_gaps(&m, c->at + (size_t)i * (size_t)n, n, &kept, c->output_gap + (size_t)i * (size_t)n, e);
        if (!status && bg_interrupted)
            status = bg_fail(e, BG_RESOURCE, "interrupted");
        if (status)
            bg_context(e, "tensor '%s'", t->name);
        bg_progress_step(&p, t->count);
    }
    bg_progress_end(&p);
    bg_output_bound_free(&kept.bound);
    return status;
}

void bg_curves_free(bg_curves *c)
{
    free(c->at);
    free(c->output_gap);
    *c = (bg_curves){0};
}

static void write_place(bg_doc *d, const bg_tensor *t)
{
    bg_doc_string(d, "tensor", t->name);
    bg_doc_string(d, "role", t->role);
    bg_doc_integer(d, "layer", t->layer);
}

static void write_rate(bg_doc *d, const bg_measure *r)
{
    bg_doc_number(d, "index_bits", r->rate.indices / r->count);
    bg_doc_number(d, "scale_bits", (r->rate.scales + r->rate.zeros) / r->count);
    bg_doc_number(d, "codebook_bits", (r->rate.codebook + r->rate.table) / r->count);
    bg_doc_number(d, "other_bits", (r->rate.positions + r->rate.order + r->rate.padding) / r->count);
}

static void write_point(bg_doc *d, const bg_tensor *t, const bg_spec *s, const bg_measure *r, double output_gap)
{
    char quantizer[BG_SPEC_TEXT];
    double relative = r->sigma2 > 0 ? r->mse / r->sigma2 : 0;
    bg_doc_row(d);
    write_place(d, t);
    bg_doc_string(d, "spec", s->text);
    bg_doc_string(d, "quantizer", bg_spec_quantizer(s, quantizer));
    bg_doc_string(d, "family", bg_spec_family(s));
    bg_doc_number(d, "bits", s->nominal_bits);
    bg_doc_integer(d, "weights", (int64_t)t->count);
    bg_doc_number(d, "rate_bits", r->rate_bits);
    bg_doc_number(d, "mse", r->mse);
    bg_doc_number(d, "sigma2", r->sigma2);
    bg_doc_number(d, "sqnr_db", relative > 0 ? -10 * log10(relative) : (double)NAN);
    bg_doc_number(d, "gap_bits", relative > 0 ? r->rate_bits + 0.5 * log2(relative) : (double)NAN);
    bg_doc_number(d, "max_error", r->max_error);
    bg_doc_number(d, "max_relative_error", r->max_relative);
    bg_doc_number(d, "clipped", r->clipped);
    bg_doc_number(d, "index_entropy_bits", r->index_entropy);
    bg_doc_number(d, "output_mse", r->output_mse);
    if (r->babai_bound > 0)
        bg_doc_number(d, "babai_bound", r->babai_bound);
    bg_doc_number(d, "output_gap_bits", output_gap);
    write_rate(d, r);
    bg_doc_row_end(d);
}

/* ---- grids, for figures ---- */

/* The 4-bit scalar grids that can be shown. */
static int shows(const bg_spec *s, const bg_measure *r)
{
    return !r->skipped && r->points > 0 && r->sigma2 > 0 && fabs(s->nominal_bits - 4) < 0.1;
}

/* Mean over the tensors of a role, from its first tensor on, of the points in σ about the mean. */
static void write_grid(const bg_curves *c, int first, int k, bg_doc *d)
{
    double level[BG_SHOWN] = {0};
    const char *role = c->selection->tensors[first]->role;
    int points = c->at[first * c->n_specs + k].points, many = 0;
    for (int i = first; i < c->selection->n; i++) {
        const bg_measure *r = &c->at[i * c->n_specs + k];
        if (strcmp(c->selection->tensors[i]->role, role) || !shows(&c->specs[k], r) || r->points != points)
            continue;
        for (int q = 0; q < points; q++)
            level[q] += ((double)r->levels[q] - r->mean) / sqrt(r->sigma2);
        many++;
    }
    char quantizer[BG_SPEC_TEXT];
    for (int q = 0; q < points; q++)
        level[q] /= many;
    bg_doc_row(d);
    bg_doc_string(d, "role", role);
    bg_doc_string(d, "spec", c->specs[k].text);
    bg_doc_string(d, "quantizer", bg_spec_quantizer(&c->specs[k], quantizer));
    bg_doc_numbers(d, "levels", level, (size_t)points);
    bg_doc_row_end(d);
}

static int first_of_its_role(const bg_selection *s, int i)
{
    for (int j = 0; j < i; j++)
        if (!strcmp(s->tensors[j]->role, s->tensors[i]->role))
            return 0;
    return 1;
}

static void write_grids(const bg_curves *c, bg_doc *d)
{
    bg_doc_section(d, "grids");
    for (int i = 0; i < c->selection->n; i++)
        for (int k = 0; first_of_its_role(c->selection, i) && k < c->n_specs; k++)
            if (shows(&c->specs[k], &c->at[i * c->n_specs + k]))
                write_grid(c, i, k, d);
}

void bg_curves_write(const bg_curves *c, bg_doc *d)
{
    bg_doc_section(d, "points");
    for (int i = 0; i < c->selection->n; i++)
        for (int k = 0; k < c->n_specs; k++) {
            const bg_measure *r = &c->at[i * c->n_specs + k];
            if (!r->skipped)
                write_point(d, c->selection->tensors[i], &c->specs[k], r, c->output_gap[i * c->n_specs + k]);
        }
    write_grids(c, d);
    bg_doc_section(d, "skipped");
    for (int i = 0; i < c->selection->n; i++)
        for (int k = 0; k < c->n_specs; k++) {
            const bg_measure *r = &c->at[i * c->n_specs + k];
            if (!r->skipped)
                continue;
            bg_doc_row(d);
            write_place(d, c->selection->tensors[i]);
            bg_doc_string(d, "spec", c->specs[k].text);
            bg_doc_string(d, "reason", r->skipped);
            bg_doc_row_end(d);
        }
}
