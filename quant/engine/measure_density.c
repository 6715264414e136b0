/* Owns specs on a density: expectations over the law of a scope, by quadrature, without sampling.
 *
 * scope=tensor is the density's own histogram. For scopes of g weights whose code follows from the largest magnitude a
 * (its density g·p_|x|(a)·G(a)^(g−1), G(a) = P(|x| ≤ a)):
 *
 *     D = (1/g)·E_a[ e(±a) + (g−1)·∫_{−a}^{a} (x − Q_a(x))² p(x) dx / G(a) ]
 *
 * and for codes that follow from both ends (b < t, joint density g(g−1)·p(b)·p(t)·(F(t)−F(b))^(g−2)):
 *
 *     D = (1/g)·E_{b,t}[ e(b) + e(t) + (g−2)·∫_b^t (x − Q(x))² p(x) dx / (F(t)−F(b)) ] .
 *
 * The integrals over x are sums over cells of the law's closed-form partial moments. The outer ones are Gauss–Legendre
 * panels split where the code jumps: at powers of two for E8M0 scales, where the integer zero point of zero=asym steps.
 * Check: 4 bits, g = 32, N(0,1): symmetric .009409726, min–max .006116027 (tests/reference/absmax_groups.json).
 */
#include <gsl/gsl_integration.h>
#include <math.h>
#include <stdlib.h>
#include "io/base/failure.h"
#include "quant/engine/engine.h"
#include "quant/probability/distribution.h"

enum { NODES = 8, MOST_EDGES = 1 << 11 };

typedef struct problem {
    const bg_spec *s;
    const bg_distribution *l;
    double sigma, g;
    bg_code_room room;
    bg_err *e;
} problem;

/* ---- one scope whose ends are known ---- */

static double value_at(const bg_code *c, int k)
{
    double step = (double)c->scale;
    return c->affine ? step * ((double)(k + c->lo) - (double)c->zero) + (double)c->offset
                     : step * (double)c->levels[k] + (double)c->offset;
}

static double cut_at(const bg_code *c, int k)
{
    return c->affine ? 0.5 * (value_at(c, k) + value_at(c, k + 1))
                     : (double)c->scale * (double)c->cuts[k] + (double)c->offset;
}

static double error_at(const bg_code *c, double x)
{
    double d = x - value_at(c, bg_code_index(c, (float)x));
    return d * d;
}

/* ∫_b^t (x − Q(x))² p(x) dx of the scaled law. */
static double inner(const problem *p, const bg_code *c, double b, double t)
{
    double sum = 0, w0 = p->l->cdf(p->l, b / p->sigma), m0 = p->l->moment1(p->l, b / p->sigma),
           s0 = p->l->moment2(p->l, b / p->sigma);
    for (int k = 0; k < c->K; k++) {
        double end = k + 1 < c->K ? cut_at(c, k) : t;
        if (end <= b)
            continue;
        end = end < t ? end : t;
        double w = p->l->cdf(p->l, end / p->sigma), m = p->l->moment1(p->l, end / p->sigma),
               s = p->l->moment2(p->l, end / p->sigma), v = value_at(c, k) / p->sigma;
        double part = (s - s0) - 2 * v * (m - m0) + v * v * (w - w0);
        sum += part > 0 ? part : 0;
        w0 = w, m0 = m, s0 = s;
        if (end >= t)
            break;
    }
    return sum * p->sigma * p->sigma;
}

static int code_of(const problem *p, const bg_code_room *room, double b, double t, bg_code *c, bg_err *e)
{
    bg_scope_stats st = {.n = (size_t)p->g, .min = b, .max = t, .ideal = 1};
    bg_code_room mine = *room;
    int status = bg_code_fit(p->s, &st, &mine, c, e);
    if (!status && p->s->scale == BG_SCALE_E8M0) {
        float top = c->affine ? (float)c->hi - c->zero : fabsf(c->levels[c->K - 1]);
        c->scale = bg_scale_round(p->s, c->scale, top);
    }
    return status;
}

/* ---- the largest magnitude ---- */

/* Upper end of |x| that is passed with probability q. */
static double magnitude(const problem *p, double q)
{
    return -p->l->quantile(p->l, 0.5 * q) * p->sigma;
}

static double share_within(const problem *p, double a)
{
    return 1 - 2 * p->l->cdf(p->l, -a / p->sigma);
}

/* Panel edges over log a: even ones, and powers of two where scales jump. Returns how many. */
static int edges_of_maximum(const problem *p, double *edge)
{
    double low = magnitude(p, -expm1(log(1e-13) / p->g)), high = magnitude(p, 1e-17 / p->g);
    int jumps = p->s->scale == BG_SCALE_E8M0, n = 0, panels = 24;
    if (!(low > 0))
        low = high * 1e-9;
    for (int i = 0; i <= panels; i++)
        edge[n++] = log(low) + (log(high) - log(low)) * i / panels;
    for (int k = (int)floor(log2(low)); jumps && k <= (int)ceil(log2(high)); k++) {
        double x = k * M_LN2;
        if (x > edge[0] && x < edge[panels])
            edge[n++] = x;
    }
    return n;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int at_maximum(const problem *p, const bg_code_room *room, double a, double *density, double *error, bg_err *e)
{
    bg_code c = {0};
    double G = share_within(p, a);
    int status = code_of(p, room, -a, a, &c, e);
    *density = p->g * 2 * p->l->pdf(p->l, a / p->sigma) / p->sigma * pow(G, p->g - 1);
    /* step=signed turns its grid to the side of the largest weight, which the law's symmetry lets us call the upper
     * one. */
    if (status)
        return status;
    double at_end = p->s->step.word == BG_STEP_SIGNED ? error_at(&c, a) : 0.5 * (error_at(&c, a) + error_at(&c, -a));
    *error = (at_end + (p->g - 1) * inner(p, &c, -a, a) / G) / p->g;
    return BG_OK;
}

/* The total weight is 1; dividing by the sum of weights takes away what the panels leave out. */
static int over_maximum(problem *p, double *mse)
{
    double edge[MOST_EDGES], sum = 0, weight = 0;
    int n = edges_of_maximum(p, edge);
    qsort(edge, (size_t)n, sizeof *edge, ascending);
    gsl_integration_glfixed_table *t = gsl_integration_glfixed_table_alloc(NODES);
    if (!t)
        return bg_no_memory(p->e, "quadrature", 0);
    int status = BG_OK;
    for (int i = 0; i + 1 < n && !status; i++)
        for (size_t k = 0; k < NODES && !status; k++) {
            double u, w, density = 0, error = 0;
            gsl_integration_glfixed_point(edge[i], edge[i + 1], k, &u, &w, t);
            double a = exp(u);
            status = at_maximum(p, &p->room, a, &density, &error, p->e);
            weight += w * a * density;
            sum += w * a * density * error;
        }
    gsl_integration_glfixed_table_free(t);
    *mse = sum / weight;
    return status;
}

/* ---- both ends ---- */

/* Panels for the lower end given the upper one: even in the logarithm of its probability, and where −b/(t−b) passes
 * (z + ½)/M, at which the integer zero point steps. */
static int edges_of_minimum(const problem *p, double t, double F, double *edge)
{
    int n = 0, panels = 20;
    double g = p->g - 1;
    double first = log(1e-17 / p->g), last = log(F * -expm1(log(1e-13) / g));
    for (int i = 0; i <= panels; i++)
        edge[n++] = fmin(p->l->quantile(p->l, exp(first + (last - first) * i / panels)) * p->sigma, t);
    double low = edge[0], high = edge[n - 1];
    if (p->s->zero != BG_ZERO_ASYM)
        return n;
    int M = p->s->points - 1;
    double top = fmax(t, 0);
    for (int z = 0; z < M && n < MOST_EDGES - 1; z++) {
        double r = (z + 0.5) / M, b = -top * r / (1 - r);
        if (b > low && b < high)
            edge[n++] = b;
    }
    if (low < 0 && high > 0)
        edge[n++] = 0;
    return n;
}

/* What happens with both ends of a scope given: how likely that is, and the error of its weights then. */
typedef struct given_ends {
    double density, error;
} given_ends;

static int at_ends(const problem *p, const bg_code_room *room, double b, double t, double F, given_ends *out, bg_err *e)
{
    bg_code c;
    double between = F - p->l->cdf(p->l, b / p->sigma);
    int status = between > 0 ? code_of(p, room, b, t, &c, e) : BG_OK;
    *out = (given_ends){0};
    if (status || !(between > 0))
        return status;
    out->density = (p->g - 1) * p->l->pdf(p->l, b / p->sigma) / p->sigma * pow(between / F, p->g - 2) / F;
    out->error = (error_at(&c, b) + error_at(&c, t) + (p->g - 2) * inner(p, &c, b, t) / between) / p->g;
    return BG_OK;
}

static int at_top(const problem *p, const bg_code_room *room, double t, const gsl_integration_glfixed_table *table,
                  double *mean, bg_err *e)
{
    double edge[MOST_EDGES], F = p->l->cdf(p->l, t / p->sigma), sum = 0, weight = 0;
    int n = edges_of_minimum(p, t, F, edge), status = BG_OK;
    qsort(edge, (size_t)n, sizeof *edge, ascending);
    for (int i = 0; i + 1 < n && !status; i++)
        for (size_t k = 0; k < NODES && !status; k++) {
            double b, w;
            given_ends at;
            gsl_integration_glfixed_point(edge[i], edge[i + 1], k, &b, &w, table);
            status = at_ends(p, room, b, t, F, &at, e);
            weight += w * at.density;
            sum += w * at.density * at.error;
        }
    *mean = weight > 0 ? sum / weight : 0;
    return status;
}

enum { TOP_PANELS = 20 };

/* Upper end number i of the quadrature and its weight; panels even in the logarithm of the probability above it. */
static double top_node(const problem *p, const gsl_integration_glfixed_table *table, int i, double *weight)
{
    double first = log(-expm1(log(1e-13) / p->g)), last = log(1e-17 / p->g), width = (last - first) / TOP_PANELS;
    double from = -p->l->quantile(p->l, exp(first + width * (i / NODES))) * p->sigma;
    double to = -p->l->quantile(p->l, exp(first + width * (i / NODES + 1))) * p->sigma, t, w;
    gsl_integration_glfixed_point(from, to, (size_t)(i % NODES), &t, &w, table);
    *weight = w * p->g * p->l->pdf(p->l, t / p->sigma) * pow(p->l->cdf(p->l, t / p->sigma), p->g - 1);
    return t;
}

static int over_ends(problem *p, double *mse)
{
    double means[TOP_PANELS * NODES], weights[TOP_PANELS * NODES], sum = 0, weight = 0;
    gsl_integration_glfixed_table *table = gsl_integration_glfixed_table_alloc(NODES);
    if (!table)
        return bg_no_memory(p->e, "quadrature", 0);
    bg_failure failure = {0};
#pragma omp parallel
    {
        bg_code_room room;
        bg_err mine = {0};
        int bad = bg_code_room_init(&room, p->s, &mine);
#pragma omp for schedule(dynamic, 1)
        for (int i = 0; i < TOP_PANELS * NODES; i++) {
            double t = top_node(p, table, i, &weights[i]);
            means[i] = 0;
            if (bad || at_top(p, &room, t, table, &means[i], &mine))
                bg_failure_note(&failure, i, &mine);
        }
        bg_code_room_free(&room);
    }
    gsl_integration_glfixed_table_free(table);
    for (int i = 0; i < TOP_PANELS * NODES; i++) {
        sum += weights[i] * means[i];
        weight += weights[i];
    }
    *mse = sum / weight;
    return bg_failure_status(&failure, p->e);
}

/* ---- the choice ---- */

static int bounded(const bg_distribution *l)
{
    return isfinite(l->quantile(l, 1)) && l->cdf(l, l->quantile(l, 1) * (1 + 1e-9)) >= 1;
}

static const char *reason_not_to(const bg_matrix *m, const bg_spec *s)
{
    bg_needs needs = bg_spec_needs(s);
    if (s->grid->kind != BG_GRID_SCALAR || s->transform->forward || s->rounding->run || s->rounding->choose)
        return "needs samples: give the source n=";
    if (s->fits_importance)
        return "a density has no inputs to weigh by";
    if (s->scope.kind == BG_SCOPE_CHANNEL || s->scope.kind == BG_SCOPE_ROWS)
        return "a density has no rows: give the source n=, or scope=N";
    if (s->two_level)
        return "scales of scales need samples: give the source n=";
    if (s->scope.kind == BG_SCOPE_TENSOR && (needs == BG_NEEDS_ABSMAX || needs == BG_NEEDS_RANGE) &&
        !bounded(m->distribution))
        return "a density has no largest weight: give the source n=, scope=N or clip=";
    if (s->scope.kind != BG_SCOPE_TENSOR && needs > BG_NEEDS_RANGE)
        return "needs the weights of each scope: give the source n=";
    if (s->scope.kind != BG_SCOPE_TENSOR && s->scope.size < 2)
        return "one weight a scope";
    if (s->scope.kind != BG_SCOPE_TENSOR && s->coding->bits)
        return "entropy-coded groups need samples: give the source n=";
    return NULL;
}

static int on_scope(const bg_matrix *m, const bg_spec *s, bg_measure *out, bg_err *e)
{
    problem p = {.s = s, .l = m->distribution, .sigma = m->distribution_sigma, .g = s->scope.size, .e = e};
    int status = bg_code_room_init(&p.room, s, e);
    if (!status)
        status = bg_spec_needs(s) == BG_NEEDS_RANGE && s->step.word != BG_STEP_SIGNED ? over_ends(&p, &out->mse)
                                                                                      : over_maximum(&p, &out->mse);
    bg_code_room_free(&p.room);
    out->count = 1;
    out->max_error = out->max_relative = out->clipped = out->index_entropy = out->output_mse = NAN;
    out->rate = bg_rate_of(s, 1, 1 / p.g);
    out->rate_bits = bg_rate_total(&out->rate);
    return status;
}

/* What the grid itself makes of the density, or what another spec of the same error does. */
static int measure_by_grid(const bg_matrix *m, const bg_hist *h, const bg_spec *s, bg_measure *out, bg_err *e)
{
    bg_on_density d = {0};
    bg_spec same;
    int status = s->grid->on_distribution(s, m, &d, e);
    out->skipped = d.skipped;
    if (status || d.skipped)
        return status;
    if (d.same_as) {
        status = bg_spec_parse(d.same_as, &same, e);
        if (!status)
            status = bg_measure_distribution(m, h, &same, out, e);
    } else {
        *out = (bg_measure){.count = 1,
                            .mse = d.mse,
                            .max_error = (double)NAN,
                            .max_relative = (double)NAN,
                            .output_mse = (double)NAN,
                            .index_entropy = d.index_entropy};
    }
    out->rate = d.rate;
    out->rate_bits = bg_rate_total(&out->rate);
    return status;
}

int bg_measure_distribution(const bg_matrix *m, const bg_hist *h, const bg_spec *s, bg_measure *out, bg_err *e)
{
    if (s->grid->on_distribution && !s->transform->forward && !s->rounding->run && !s->rounding->choose)
        return measure_by_grid(m, h, s, out, e);
    out->skipped = reason_not_to(m, s);
    if (out->skipped)
        return BG_OK;
    if (s->scope.kind != BG_SCOPE_TENSOR && bg_spec_needs(s) != BG_NEEDS_NOTHING)
        return on_scope(m, s, out, e);
    bg_code_room room;
    bg_code code;
    int status = bg_code_room_init(&room, s, e);
    if (!status)
        status = bg_measure_hist(h, s, &room, &code, out, e);
    bg_code_room_free(&room);
    return status;
}
