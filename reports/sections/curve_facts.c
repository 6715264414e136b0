/* Owns the facts about methods that several sections give to their templates. */
#include <math.h>
#include <string.h>
#include "io/documents/document.h"
#include "reports/pages/report.h"

/* Codes whose names do not say what they are. */
static const char *kind_of(const bg_curve *c)
{
    static const char *const kinds[][2] = {
        {"tcq", "trellis code"}, {"bitshift", "trellis code"}, {"vq", "vector code"},   {"pq", "vector code"},
        {"rvq", "vector code"},  {"lattice", "lattice code"},  {"e8p", "lattice code"}, {"ecsq", "scalar code"}};
    size_t name = strcspn(c->quantizer, ":");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strlen(kinds[i][0]) == name && !strncmp(kinds[i][0], c->quantizer, name))
            return kinds[i][1];
    return NULL;
}

static void put_method_facts(bg_report *r, bg_facts *set, const bg_curve *c, const bg_step *step)
{
    const char *where = r->all.where;
    bg_interval interval = bg_interval_over(&r->docs, "gap_bits", step->spec, NULL);
    bg_fact_text(set, "label", c->label);
    bg_fact_text(set, "quantizer", c->quantizer);
    bg_fact_text(set, "family", c->family);
    bg_fact_text(set, "kind", kind_of(c));
    bg_fact_text(set, "spec", step->spec);
    bg_fact_number(set, "gap", bg_mean(r, "gap_bits", where, step->spec), BG_SIG3);
    bg_fact_number(set, "gap_low", interval.low, BG_SIG3);
    bg_fact_number(set, "gap_high", interval.high, BG_SIG3);
    bg_fact_number(set, "rate", bg_mean(r, "rate_bits", where, step->spec), BG_SIG3);
    bg_fact_number(set, "sqnr", bg_mean(r, "sqnr_db", where, step->spec), BG_SIG3);
}

void bg_fact_method(bg_report *r, bg_facts *facts, const char *name, const bg_curve *c, const bg_step *step)
{
    if (c && step)
        put_method_facts(r, bg_fact_set(facts, name), c, step);
    else
        bg_fact_no_set(facts, name);
}

bg_facts *bg_fact_add_method(bg_report *r, bg_facts *facts, const char *list, const bg_curve *c, const bg_step *step)
{
    bg_facts *set = bg_fact_add_row(facts, list);
    put_method_facts(r, set, c, step);
    return set;
}

void bg_fact_spec(const bg_report *r, bg_facts *facts, const char *name, const char *spec)
{
    char label[BG_LABEL];
    bg_num bits = {.value = NAN};
    int n = 0;
    if (!spec) {
        bg_fact_no_set(facts, name);
        return;
    }
    const bg_point *p = bg_docset_spec(&r->docs, spec, &n);
    bg_facts *set = bg_fact_set(facts, name);
    bg_method_label(n ? p->quantizer : spec, label);
    if (n)
        bits.value = bg_row_number(p->curve, "bits");
    bg_fact_text(set, "label", label);
    bg_fact_number(set, "bits", bits, BG_PLAIN);
}

void bg_fact_page(bg_report *r, bg_facts *facts)
{
    bg_num none = {.from = ""}, rate = {.value = r->rate};
    bg_fact_number(facts, "rate", rate, BG_PLAIN);
    bg_fact_text(facts, "title", r->title);
    bg_fact_text(facts, "version", bg_version);
    none.value = r->docs.filter.n_layers;
    bg_fact_number(facts, "chosen_layer_count", none, BG_COUNT);
    bg_fact_rows(facts, "chosen_layers");
    for (int i = 0; i < r->docs.filter.n_layers; i++) {
        none.value = r->docs.filter.layers[i];
        bg_fact_number(bg_fact_add_row(facts, "chosen_layers"), "layer", none, BG_PLAIN);
    }
    bg_fact_rows(facts, "chosen_roles");
    for (int i = 0; i < r->docs.filter.n_roles; i++)
        bg_fact_text(bg_fact_add_row(facts, "chosen_roles"), "role", r->docs.filter.roles[i]);
}
