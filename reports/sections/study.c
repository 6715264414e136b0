/* A study's comparison: one row a method, one column a metric, as the document `study` asks; what is drawn of it is in
 * study_figures.c. */
#include "reports/sections/study.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- numbers ---- */

static int style_named(const char *name)
{
    for (int i = 0; i < BG_STYLES; i++)
        if (name && !strcmp(bg_style_names[i], name))
            return i;
    return BG_SIG3;
}

bg_measured bg_measured_of(const bg_row *row, const char *prefix)
{
    static const char *const parts[] = {"metric", "heading", "section", "field", "as", "relation", "better"};
    const char *values[7];
    for (int i = 0; i < 7; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s%s", prefix, parts[i]);
        values[i] = bg_row_string(row, name) ? bg_row_string(row, name) : "";
    }
    return (bg_measured){.metric = values[0],
                         .heading = values[1],
                         .section = values[2],
                         .field = values[3],
                         .style = (bg_style)style_named(values[4]),
                         .relation = values[5],
                         .better = values[6]};
}

/* Where the study has several models: the document of a kind that is this model's, curves-2.json for the second.
 * Without a model any is (NULL in *out); 0 when it is not there. */
static int document_of(const bg_report *r, const char *kind, const char *model, const bg_document **out)
{
    bg_rows models = bg_docset_rows(&r->docs, "study", "models");
    char file[128] = "";
    *out = NULL;
    if (!model)
        return 1;
    for (int i = 0; i < models.n; i++) /* by place: two models may have the same name */
        if (bg_row_string(&models.rows[i], "model") == model)
            snprintf(file, sizeof file, "%.60s%.16s.json", kind, bg_row_string(&models.rows[i], "suffix"));
    for (int i = 0; i < r->docs.n && !*out; i++)
        if (!strcmp(bg_path_base(r->docs.documents[i].path), file))
            *out = &r->docs.documents[i];
    return *out != NULL;
}

/* The row of DOCUMENT.SECTION that belongs to a spec of a model; NULL. */
static const bg_row *row_of(const bg_report *r, const char *section, const char *spec, const char *model)
{
    const bg_document *document;
    char name[64];
    snprintf(name, sizeof name, "%.60s", section);
    char *dot = strchr(name, '.');
    if (!dot)
        return NULL;
    *dot++ = 0;
    if (!document_of(r, name, model, &document))
        return NULL;
    bg_rows rows = bg_docset_rows(&r->docs, name, dot);
    for (int i = 0; i < rows.n; i++) {
        const char *s = bg_row_string(&rows.rows[i], "spec"), *over = bg_row_string(&rows.rows[i], "over");
        if (s && !strcmp(s, spec) && (!document || document == &r->docs.documents[rows.rows[i].document]) &&
            (!over || !strcmp(over, "all")))
            return &rows.rows[i];
    }
    return NULL;
}

bg_num bg_measured_value(const bg_report *r, const bg_measured *m, const char *spec, const char *model)
{
    const bg_num none = {.value = NAN};
    if (!strcmp(m->section, "curves.points")) {
        const bg_document *document;
        char where[64] = "";
        if (!document_of(r, "curves", model, &document))
            return none;
        if (document)
            snprintf(where, sizeof where, "=%s", document->label);
        return bg_num_over(&r->docs, "mean", m->field, where, spec);
    }
    const bg_row *row = row_of(r, m->section, spec, model);
    if (!row)
        return none;
    bg_num n = bg_num_cell(&r->docs, row, m->field);
    if (!strcmp(m->relation, "none"))
        return n;
    const bg_row *base = row_of(r, m->section, "none", model);
    return base ? bg_num_operate(n, m->relation[0] == 'm' ? '-' : '/', bg_num_cell(&r->docs, base, m->field)) : none;
}

/* ---- rows ---- */

/* The model as it is has a row where models were run: it is no point of a curve. */
int bg_study_rows(const bg_report *r, bg_study_row *out, int most)
{
    bg_rows methods = bg_docset_rows(&r->docs, "study", "methods"),
            models = bg_docset_rows(&r->docs, "study", "models");
    int n = 0, run = bg_docset_has(&r->docs, "evaluation");
    for (int m = 0; m < (models.n > 1 ? models.n : 1); m++) {
        const char *model = models.n > 1 ? bg_row_string(&models.rows[m], "model") : NULL;
        for (int i = 0; i < methods.n && n < most; i++)
            if (run || strcmp(bg_row_string(&methods.rows[i], "spec"), "none"))
                out[n++] = (bg_study_row){bg_row_string(&methods.rows[i], "name"),
                                          bg_row_string(&methods.rows[i], "spec"), model, models.n};
    }
    return n;
}

const bg_row *bg_study_settings(const bg_report *r)
{
    bg_rows rows = bg_docset_rows(&r->docs, "study", "settings");
    return rows.n ? &rows.rows[0] : NULL;
}

const char *bg_study_spec(const bg_report *r, const char *name)
{
    bg_rows methods = bg_docset_rows(&r->docs, "study", "methods");
    for (int i = 0; i < methods.n; i++)
        if (!strcmp(bg_row_string(&methods.rows[i], "name"), name))
            return bg_row_string(&methods.rows[i], "spec");
    return name;
}

int bg_study_shows(const bg_report *r, const char *section)
{
    bg_rows figures = bg_docset_rows(&r->docs, "study", "figures");
    if (!bg_study_settings(r) || !strcmp(section, "study") || !strcmp(section, "provenance"))
        return 1;
    for (int i = 0; i < figures.n; i++)
        if (!strcmp(bg_row_string(&figures.rows[i], "report_section"), section))
            return 1;
    return 0;
}

/* ---- the finding ---- */

static int is_base(const bg_study_row *row)
{
    return !strcmp(row->spec, "none");
}

/* Of the methods of the first model, the one with the least (sign 1) or largest (−1) value; −1 when none has one. */
static int best_of(const bg_report *r, const bg_measured *m, const bg_study_row *rows, int n, double sign, int but)
{
    int best = -1;
    double least = INFINITY;
    for (int i = 0; i < n; i++) {
        double v = sign * bg_measured_value(r, m, rows[i].spec, rows[i].model).value;
        if (i == but || is_base(&rows[i]) || rows[i].model != rows[0].model || !(v < least))
            continue;
        least = v;
        best = i;
    }
    return best;
}

static void say_perplexity(bg_report *r, bg_text *t, const bg_study_row *rows, int n)
{
    static const bg_measured
        perplexity = {.section = "evaluation.rows", .field = "perplexity", .relation = "none", .style = BG_TWO},
        change = {.section = "evaluation.rows", .field = "log_perplexity_change", .relation = "none"},
        error = {.section = "evaluation.rows", .field = "log_perplexity_change_se", .relation = "none"};
    int best = best_of(r, &perplexity, rows, n, 1, -1), next = best_of(r, &perplexity, rows, n, 1, best);
    if (best < 0)
        return;
    const bg_study_row *b = &rows[best];
    bg_num base = bg_measured_value(r, &perplexity, "none", b->model),
           d = bg_measured_value(r, &change, b->spec, b->model), se = bg_measured_value(r, &error, b->spec, b->model);
    bg_put_method(t, b->name);
    bg_text_add(t, " has the least perplexity of the methods, ");
    bg_put_number(&r->page, t, bg_measured_value(r, &perplexity, b->spec, b->model), BG_TWO);
    bg_text_add(t, " where the model as it is has ");
    bg_put_number(&r->page, t, base, BG_TWO);
    if (isfinite(d.value) && isfinite(se.value)) {
        bg_text_add(t, " (its logarithm changes by ");
        bg_put_number(&r->page, t, d, BG_SIGNED);
        bg_text_add(t, " ± ");
        bg_put_number(&r->page, t, se, BG_SIG3);
        bg_text_add(t, fabs(d.value) < 2 * se.value ? ": inside the error)" : ")");
    }
    if (next >= 0) {
        double e2 = bg_measured_value(r, &error, rows[next].spec, rows[next].model).value,
               d2 = bg_measured_value(r, &change, rows[next].spec, rows[next].model).value;
        if (fabs(d2 - d.value) < 2 * sqrt(e2 * e2 + se.value * se.value)) {
            bg_text_add(t, "; this text cannot tell it from ");
            bg_put_method(t, rows[next].name);
        }
    }
    bg_text_add(t, ".");
}

/* What a clock or the system measured differs from run to run: no best is named. */
static int is_measured_by_clock(const bg_measured *m)
{
    return strstr(m->field, "second") || strstr(m->field, "ms_per") || !strcmp(m->field, "peak_bytes");
}

/* "Best by column: MB **X** 1.23, tokens/s **Y** 456." */
static void say_best(bg_report *r, bg_text *t, const bg_study_row *rows, int n)
{
    bg_rows columns = bg_docset_rows(&r->docs, "study", "columns");
    int said = 0;
    for (int i = 0; i < columns.n; i++) {
        bg_measured m = bg_measured_of(&columns.rows[i], "");
        int best = !strcmp(m.better, "none") || is_measured_by_clock(&m) || !strcmp(m.relation, "percent") ||
                           !strcmp(m.field, "perplexity")
                       ? -1
                       : best_of(r, &m, rows, n, !strcmp(m.better, "more") ? -1 : 1, -1);
        int next = best < 0 ? -1 : best_of(r, &m, rows, n, !strcmp(m.better, "more") ? -1 : 1, best);
        /* Two that share the first place are no best. */
        if (best < 0 || (next >= 0 && bg_measured_value(r, &m, rows[next].spec, rows[next].model).value ==
                                          bg_measured_value(r, &m, rows[best].spec, rows[best].model).value))
            continue;
        if (!said++) {
            bg_text_add(t, *bg_text_string(t) ? " " : "");
            bg_text_add(t, rows[best].model ? "Best by column on " : "Best by column");
            bg_text_markdown(t, rows[best].model ? rows[best].model : "");
            bg_text_add(t, ": ");
        } else {
            bg_text_add(t, "; ");
        }
        bg_text_markdown(t, m.heading);
        bg_text_add(t, " ");
        bg_put_method(t, rows[best].name);
        bg_text_add(t, " ");
        bg_put_number(&r->page, t, bg_measured_value(r, &m, rows[best].spec, rows[best].model), m.style);
    }
    bg_text_add(t, said ? "." : "");
}

/* ---- tables ---- */

/* A name as the head of a column: '|' parts columns there. */
static void put_head(bg_text *heads, const char *name, const char *end)
{
    char plain[128];
    snprintf(plain, sizeof plain, "%s", name);
    for (char *c = plain; *c; c++)
        *c = *c == '|' ? '/' : *c;
    bg_text_add(heads, "|");
    bg_text_markdown(heads, plain);
    bg_text_add(heads, end);
}

static void put_table(bg_report *r, bg_text *t, const bg_study_row *rows, int n)
{
    bg_rows columns = bg_docset_rows(&r->docs, "study", "columns");
    int several = n && rows[0].models > 1;
    bg_text heads = {0};
    bg_table b;
    bg_text_add(&heads, several ? "model|method|spec" : "method|spec");
    for (int i = 0; i < columns.n; i++)
        put_head(&heads, bg_row_string(&columns.rows[i], "heading"), ">");
    bg_table_begin(&b, &r->page, t, "Methods", bg_text_string(&heads));
    for (int i = 0; i < n; i++) {
        if (several)
            bg_table_text(&b, rows[i].model ? rows[i].model : "");
        bg_table_text(&b, rows[i].name);
        bg_table_code(&b, rows[i].spec);
        for (int c = 0; c < columns.n; c++) {
            bg_measured m = bg_measured_of(&columns.rows[c], "");
            bg_table_number(&b, bg_measured_value(r, &m, rows[i].spec, rows[i].model), m.style);
        }
    }
    bg_table_end(&b);
    bg_text_free(&heads);
}

/* What the program remarked on a row, e.g. layers that a spec could not run on. */
static void put_notes(bg_report *r, bg_text *t)
{
    bg_rows measured = bg_docset_rows(&r->docs, "evaluation", "rows"),
            skipped = bg_docset_rows(&r->docs, "curves", "skipped");
    for (int i = 0; i < measured.n; i++)
        if (bg_row_string(&measured.rows[i], "note")) {
            bg_text_add(t, "- ");
            bg_text_code(t, bg_row_string(&measured.rows[i], "spec"));
            bg_text_add(t, ": ");
            bg_text_markdown(t, bg_row_string(&measured.rows[i], "note"));
            bg_text_add(t, "\n");
        }
    for (int i = 0; i < skipped.n; i++) {
        if (i && !strcmp(bg_row_string(&skipped.rows[i], "spec"), bg_row_string(&skipped.rows[i - 1], "spec")))
            continue;
        bg_text_add(t, "- ");
        bg_text_code(t, bg_row_string(&skipped.rows[i], "spec"));
        bg_text_add(t, " could not run on ");
        bg_text_code(t, bg_row_string(&skipped.rows[i], "tensor"));
        bg_text_add(t, ": ");
        bg_text_markdown(t, bg_row_string(&skipped.rows[i], "reason"));
        bg_text_add(t, "\n");
    }
}

static const bg_row *knob_of(bg_rows knobs, const char *name, const char *knob)
{
    for (int i = 0; i < knobs.n; i++)
        if (!strcmp(bg_row_string(&knobs.rows[i], "name"), name) &&
            !strcmp(bg_row_string(&knobs.rows[i], "knob"), knob))
            return &knobs.rows[i];
    return NULL;
}

/* One row a knob, one column a method; what it means last. */
static void put_knobs(bg_report *r, bg_text *t)
{
    bg_rows knobs = bg_docset_rows(&r->docs, "study", "knobs"), methods = bg_docset_rows(&r->docs, "study", "methods");
    bg_text heads = {0};
    bg_table b;
    bg_text_add(&heads, "knob");
    for (int i = 0; i < methods.n; i++)
        if (strcmp(bg_row_string(&methods.rows[i], "spec"), "none"))
            put_head(&heads, bg_row_string(&methods.rows[i], "name"), "");
    bg_text_add(&heads, "|what it is");
    bg_table_begin(&b, &r->page, t, "Every knob", bg_text_string(&heads));
    for (int i = 0; i < knobs.n; i++) {
        const char *knob = bg_row_string(&knobs.rows[i], "knob");
        int first = 1;
        for (int k = 0; k < i; k++)
            first &= strcmp(bg_row_string(&knobs.rows[k], "knob"), knob) != 0;
        if (!first)
            continue;
        bg_table_code(&b, knob);
        for (int k = 0; k < methods.n; k++) {
            const bg_row *of = knob_of(knobs, bg_row_string(&methods.rows[k], "name"), knob);
            if (!strcmp(bg_row_string(&methods.rows[k], "spec"), "none"))
                continue;
            if (of)
                bg_table_text(&b, bg_row_string(of, "value"));
            else
                bg_table_text(&b, "–"); /* the method has no such knob */
        }
        bg_table_text(&b, bg_row_string(&knobs.rows[i], "help"));
    }
    bg_table_end(&b);
    bg_text_free(&heads);
}

static void put_data(bg_report *r, bg_text *t)
{
    bg_rows data = bg_docset_rows(&r->docs, "study", "data");
    bg_table b;
    if (!data.n)
        return;
    bg_table_begin(&b, &r->page, t, "Texts and amounts", "setting|value|what it is");
    for (int i = 0; i < data.n; i++) {
        bg_table_code(&b, bg_row_string(&data.rows[i], "setting"));
        bg_table_text(&b, bg_row_string(&data.rows[i], "value"));
        bg_table_text(&b, bg_row_string(&data.rows[i], "help"));
    }
    bg_table_end(&b);
}

static int write(bg_report *r, bg_slots *s, int *present, bg_err *e)
{
    bg_study_row rows[BG_STUDY_ROWS];
    bg_text *question = bg_slots_at(s, "question"), *finding = bg_slots_at(s, "finding"),
            *table = bg_slots_at(s, "table"), *notes = bg_slots_at(s, "notes"), *figures = bg_slots_at(s, "figures"),
            *knobs = bg_slots_at(s, "knobs"), *data = bg_slots_at(s, "data");
    const bg_row *settings = bg_study_settings(r);
    if (!settings)
        return BG_OK;
    *present = 1;
    int n = bg_study_rows(r, rows, BG_STUDY_ROWS);
    if (bg_row_string(settings, "question"))
        bg_text_markdown(question, bg_row_string(settings, "question"));
    say_perplexity(r, finding, rows, n);
    say_best(r, finding, rows, n);
    put_table(r, table, rows, n);
    put_notes(r, notes);
    put_knobs(r, knobs);
    put_data(r, data);
    return bg_study_draw(r, figures, rows, n, e);
}

const bg_report_section bg_section_study = {.id = "study", .title = "Comparison", .write = write};
