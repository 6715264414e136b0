/* Owns curves averaged over part of a study, their names and their order. */
#define _GNU_SOURCE
#include "reports/page/curve_summary.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- names ---- */

static void add_word(char out[BG_LABEL], const char *prefix, const char *word, size_t n)
{
    size_t at = strlen(out);
    snprintf(out + at, BG_LABEL - at, "%s%s%.*s", at ? " " : "", prefix, (int)n, word);
}

static void add_key(char out[BG_LABEL], const char *item, size_t n)
{
    const char *equals = memchr(item, '=', n);
    if (!equals) {
        add_word(out, "", item, n);
        return;
    }
    size_t key = (size_t)(equals - item), value = n - key - 1;
    const char *v = equals + 1;
    const char *slash = memrchr(v, '/', value);
    if ((key == 3 && (!strncmp(item, "cmd", 3) || !strncmp(item, "lib", 3))) && slash)
        add_word(out, "", slash + 1, value - (size_t)(slash + 1 - v));
    else if (key == 5 && !strncmp(item, "scope", 5))
        add_word(out, *v >= '0' && *v <= '9' ? "g" : "", v, value);
    else if (key == 5 && !strncmp(item, "block", 5))
        add_word(out, "b", v, value);
    else if (key == 4 && !strncmp(item, "clip", 4))
        add_word(out, "clip ", v, value);
    else if ((key == 4 && !strncmp(item, "zero", 4)) || (key == 4 && !strncmp(item, "step", 4)))
        add_word(out, key == 4 && *item == 's' ? "step " : "", v, value);
    else if (key == 6 && !strncmp(item, "states", 6))
        add_word(out, "s=", v, value);
    else if (key == 3 && !strncmp(item, "dim", 3))
        add_word(out, "d=", v, value);
    else if (value == 4 && !strncmp(v, "true", 4))
        add_word(out, "", item, key);
    else if ((key == 5 && !strncmp(item, "round", 5)) || (key == 4 && !strncmp(item, "code", 4)) ||
             (key == 9 && !strncmp(item, "transform", 9)))
        add_word(out, "+", v, value);
    else
        add_word(out, "", item, n);
}

void bg_method_label(const char *quantizer, char out[BG_LABEL])
{
    size_t name = strcspn(quantizer, ":");
    out[0] = 0;
    add_word(out, "", quantizer, name);
    for (const char *p = quantizer + name; *p;) {
        p++;
        size_t n = strcspn(p, ",");
        if (n)
            add_key(out, p, n);
        p += n;
    }
}

/* ---- curves ---- */

static int by_rate(const void *a, const void *b)
{
    const bg_step *x = a, *y = b;
    int c = (x->rate > y->rate) - (x->rate < y->rate);
    return c ? c : strcmp(x->spec, y->spec);
}

static bg_curve *curve_for(bg_summary *m, const bg_point *p)
{
    int within = 0;
    for (int i = 0; i < m->n; i++) {
        if (!strcmp(m->curves[i].quantizer, p->quantizer))
            return &m->curves[i];
        within += !strcmp(m->curves[i].family, p->family);
    }
    bg_curve *grown = realloc(m->curves, (size_t)(m->n + 1) * sizeof *grown);
    if (!grown)
        return NULL;
    m->curves = grown;
    bg_curve *c = &grown[m->n++];
    *c = (bg_curve){.quantizer = p->quantizer, .family = p->family, .within = within};
    bg_method_label(p->quantizer, c->label);
    return c;
}

static int add_step(bg_summary *m, const bg_docset *s, const bg_point *p, bg_err *e)
{
    bg_step step = {.spec = p->spec, .bits = bg_row_number(p->curve, "bits")};
    step.rate = bg_num_over(s, "mean", "rate_bits", m->where, p->spec).value;
    if (!isfinite(step.rate))
        return BG_OK;
    step.gap = bg_num_over(s, "mean", "gap_bits", m->where, p->spec).value;
    step.sqnr = bg_num_over(s, "mean", "sqnr_db", m->where, p->spec).value;
    step.side = step.rate - bg_num_over(s, "mean", "index_bits", m->where, p->spec).value;
    step.tensors = (int)bg_num_over(s, "count", "rate_bits", m->where, p->spec).value;
    bg_curve *c = curve_for(m, p);
    bg_step *steps = c ? realloc(c->steps, (size_t)(c->n + 1) * sizeof *steps) : NULL;
    if (!steps)
        return bg_no_memory(e, "curves", sizeof *steps);
    c->steps = steps;
    steps[c->n++] = step;
    return BG_OK;
}

int bg_summary_init(bg_summary *m, const bg_docset *s, const char *where, bg_err *e)
{
    *m = (bg_summary){.where = where};
    int status = BG_OK;
    for (int i = 0; !status && i < s->n_points; i++)
        if (!i || strcmp(s->points[i].spec, s->points[i - 1].spec))
            status = add_step(m, s, &s->points[i], e);
    for (int i = 0; i < m->n; i++)
        qsort(m->curves[i].steps, (size_t)m->curves[i].n, sizeof *m->curves[i].steps, by_rate);
    return status;
}

void bg_summary_free(bg_summary *m)
{
    for (int i = 0; i < m->n; i++)
        free(m->curves[i].steps);
    free(m->curves);
    *m = (bg_summary){0};
}

const bg_step *bg_curve_near(const bg_curve *c, double rate, double within)
{
    const bg_step *best = NULL;
    for (int i = 0; i < c->n; i++)
        if (fabs(c->steps[i].rate - rate) <= (best ? fabs(best->rate - rate) - 1e-12 : within))
            best = &c->steps[i];
    return best;
}

int bg_curve_serves_output(const bg_curve *c)
{
    return !strcmp(c->family, "calibrated");
}

/* Calibrated methods give weight error away for output error: their place is beside the functional bound. They are
 * ranked here only when there is nothing else. */
static int ranks_calibrated(const bg_summary *m)
{
    for (int i = 0; i < m->n; i++)
        if (!bg_curve_serves_output(&m->curves[i]))
            return 0;
    return 1;
}

int bg_summary_rank(const bg_summary *m, double rate, double within, int **order)
{
    int n = 0, calibrated = ranks_calibrated(m);
    *order = malloc(((size_t)m->n + 1) * sizeof **order);
    if (!*order)
        return 0;
    for (int i = 0; i < m->n; i++) {
        const bg_step *step = bg_curve_near(&m->curves[i], rate, within);
        if (!step || (!calibrated && bg_curve_serves_output(&m->curves[i])))
            continue;
        int at = n++;
        while (at > 0 && bg_curve_near(&m->curves[(*order)[at - 1]], rate, within)->gap > step->gap) {
            (*order)[at] = (*order)[at - 1];
            at--;
        }
        (*order)[at] = i;
    }
    return n;
}

int bg_curve_is_fixed_rate(const bg_curve *c)
{
    return strcmp(c->family, "entropy-coded") && !bg_curve_serves_output(c) && strcmp(c->family, "shipped") &&
           !strstr(c->quantizer, "code=");
}

static int is_common(const char *label)
{
    static const char *const common[] = {"uniform g128", "uniform channel", "uniform", "nf4", "lloyd"};
    for (size_t i = 0; i < sizeof common / sizeof *common; i++)
        if (!strcmp(common[i], label))
            return 1;
    return 0;
}

void bg_summary_pick(bg_summary *m, double rate, int most)
{
    int *order, n = bg_summary_rank(m, rate, 0.75, &order), picked = 0;
    for (int pass = 0; pass < 3; pass++) {
        for (int i = 0; i < n && picked < most; i++) {
            bg_curve *c = &m->curves[order[i]];
            int take = pass == 2 || (pass == 1 && is_common(c->label));
            if (pass == 0) {
                take = 1;
                for (int k = 0; k < i; k++)
                    take &= strcmp(m->curves[order[k]].family, c->family) != 0;
            }
            if (take && !c->picked) {
                c->picked = 1;
                picked++;
            }
        }
    }
    for (int i = 0; i < m->n && picked < most; i++) {
        if (bg_curve_serves_output(&m->curves[i]))
            continue;
        picked += !m->curves[i].picked;
        m->curves[i].picked = 1;
    }
    free(order);
}
