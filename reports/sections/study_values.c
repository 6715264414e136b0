/* Owns what a study measures: its metrics, its methods by model, and the numbers of other documents that they name. */
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
int bg_study_rows(const bg_report *r, bg_study_row *out, int max)
{
    bg_rows methods = bg_docset_rows(&r->docs, "study", "methods"),
            models = bg_docset_rows(&r->docs, "study", "models");
    int n = 0, run = bg_docset_has(&r->docs, "evaluation");
    for (int m = 0; m < (models.n > 1 ? models.n : 1); m++) {
        const char *model = models.n > 1 ? bg_row_string(&models.rows[m], "model") : NULL;
        for (int i = 0; i < methods.n && n < max; i++)
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
