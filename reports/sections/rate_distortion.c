/* Which code is nearest the bound: methods ranked at equal rate, and average distances between curves. */
#include <math.h>
#include <stdlib.h>
#include "reports/pages/report.h"

static const double HALF_A_BIT = 0.5;

/* The methods of the finding: the best, the next and the last near the rate, and what parts the first two. */
static void put_finding(bg_report *r, bg_facts *facts)
{
    int *order, n = bg_summary_rank(&r->all, r->rate, r->within, &order);
    const char *names[] = {"best", "next", "last"};
    const int places[] = {0, 1, n - 1};
    const bg_step *steps[3] = {NULL, NULL, NULL};
    for (int i = 0; i < 3; i++) {
        const bg_curve *c = places[i] >= 0 && places[i] < n ? &r->all.curves[order[places[i]]] : NULL;
        steps[i] = c ? bg_curve_near(c, r->rate, r->within) : NULL;
        bg_fact_method(r, facts, names[i], c, steps[i]);
    }
    bg_fact_number(facts, "methods", (bg_num){.value = n}, BG_PLAIN);
    bg_fact_flag(facts, "indistinct", n > 1 && bg_indistinct(r, steps[0], steps[1]));
    bg_num absent = {.value = NAN}, lead = absent;
    bg_interval ends = {absent, absent};
    if (n > 1) {
        lead = bg_num_difference(&r->docs, "mean", "gap_bits", steps[1]->spec, steps[0]->spec);
        ends = bg_interval_over(&r->docs, "gap_bits", steps[1]->spec, steps[0]->spec);
    }
    bg_fact_number(facts, "lead", lead, BG_SIG3);
    bg_fact_number(facts, "lead_low", ends.low, BG_SIG3);
    bg_fact_number(facts, "lead_high", ends.high, BG_SIG3);
    free(order);
}

/* The methods within half a bit of a rate, smallest gap first, as a row of `rankings`; nothing where there are none. */
static void add_ranking(bg_report *r, bg_facts *facts, const char *list, double rate)
{
    int *order, n = bg_summary_rank(&r->all, rate, HALF_A_BIT, &order);
    bg_fact_rows(facts, list);
    if (n) {
        bg_facts *ranking = bg_fact_add_row(facts, list);
        bg_fact_number(ranking, "rate", (bg_num){.value = rate}, BG_PLAIN);
        for (int i = 0; i < n; i++) {
            const bg_curve *c = &r->all.curves[order[i]];
            bg_fact_add_method(r, ranking, "methods", c, bg_curve_near(c, rate, HALF_A_BIT));
        }
    }
    free(order);
}

/* Calibrated methods, which are not ranked where others were measured. */
static void list_unranked(bg_report *r, bg_facts *facts)
{
    int others = 0;
    bg_fact_rows(facts, "unranked");
    for (int i = 0; i < r->all.n; i++)
        others += !bg_curve_serves_output(&r->all.curves[i]);
    for (int i = 0; others && i < r->all.n; i++)
        if (bg_curve_serves_output(&r->all.curves[i]))
            bg_fact_text(bg_fact_add_row(facts, "unranked"), "label", r->all.curves[i].label);
}

static int collect(bg_report *r, bg_facts *facts, int *present, bg_err *e)
{
    static const double others[] = {2, 3, 4, 5, 6, 8};
    const bg_curve *reference = bg_reference_curve(r);
    (void)e;
    if (!r->all.n)
        return BG_OK;
    *present = 1;
    put_finding(r, facts);
    add_ranking(r, facts, "ranking", r->rate);
    list_unranked(r, facts);
    bg_fact_rows(facts, "rankings");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (others[i] < r->rate || others[i] > r->rate)
            add_ranking(r, facts, "rankings", others[i]);
    bg_fact_method(r, facts, "reference", reference, reference ? bg_curve_near(reference, r->rate, r->within) : NULL);
    return BG_OK;
}

const bg_report_section bg_section_rate_distortion = {.id = "rate-distortion", .collect = collect};
