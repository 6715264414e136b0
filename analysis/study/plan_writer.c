/* Owns the document `study`: what a plan asks, in the words of the documents that answer. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include "analysis/study/plan.h"
#include "io/base/file.h"

/* $TEXT and its like as make set them; a document tells names, not places. */
static const char *shown(const char *value)
{
    const char *set = value[0] == '$' ? getenv(value + 1) : NULL;
    return strchr(value, ' ') ? value : bg_path_base(set && *set ? set : value);
}

static void write_settings(const bg_plan *p, bg_doc *d)
{
    bg_doc_section(d, "settings");
    bg_doc_row(d);
    bg_doc_string(d, "title", bg_json_string(p->root, "title", ""));
    if (bg_json_string(p->root, "question", NULL))
        bg_doc_string(d, "question", bg_json_string(p->root, "question", NULL));
    if (p->reference)
        bg_doc_string(d, "reference", p->reference);
    bg_doc_string(d, "measure", p->measure);
    bg_doc_row_end(d);
}

static void write_data(const bg_plan *p, bg_doc *d)
{
    bg_doc_section(d, "data");
    const cJSON *member;
    cJSON_ArrayForEach(member, p->data)
    {
        char number[32], key[80];
        if (member->string[0] == '_')
            continue;
        const bg_setting *s = bg_plan_settings;
        snprintf(key, sizeof key, "data.%.60s", member->string);
        while (s->key && strcmp(s->key, key))
            s++;
        const char *text =
            cJSON_IsString(member) ? shown(member->valuestring) : bg_settings_nth(p->data, member->string, 0);
        bg_doc_row(d);
        bg_doc_string(d, "setting", member->string);
        bg_doc_string(d, "value", text ? text : bg_print_double(number, member->valuedouble));
        bg_doc_string(d, "help", s->key ? s->help : "");
        bg_doc_row_end(d);
    }
}

/* Which documents are whose: those of the second model are curves-2.json and its like. */
static void write_models(const bg_plan *p, bg_doc *d)
{
    const char *path;
    char suffix[16] = "";
    bg_doc_section(d, "models");
    for (int i = 0; (path = bg_settings_nth(p->root, "models", i)); i++) {
        if (i)
            snprintf(suffix, sizeof suffix, "-%d", i + 1);
        bg_doc_row(d);
        bg_doc_string(d, "model", strncmp(path, "source:", 7) ? shown(path) : path + 7);
        bg_doc_string(d, "suffix", suffix);
        bg_doc_row_end(d);
    }
}

static void write_methods(const bg_plan *p, bg_doc *d)
{
    bg_doc_section(d, "methods");
    for (int i = 0; i < p->n_methods; i++) {
        const bg_plan_method *m = &p->methods[i];
        bg_doc_row(d);
        bg_doc_string(d, "name", m->name);
        bg_doc_string(d, "spec", m->base ? "none" : m->spec.text);
        bg_doc_row_end(d);
    }
    bg_doc_section(d, "knobs");
    for (int i = 0; i < p->n_methods; i++)
        for (int k = 0; !p->methods[i].base && k < p->methods[i].spec.n_values; k++) {
            const bg_value *v = &p->methods[i].spec.values[k];
            if (!v->text[0])
                continue;
            bg_doc_row(d);
            bg_doc_string(d, "name", p->methods[i].name);
            bg_doc_string(d, "knob", v->key->name);
            bg_doc_string(d, "value", v->text);
            bg_doc_bool(d, "given", v->given);
            bg_doc_string(d, "help", v->key->help);
            bg_doc_row_end(d);
        }
}

static void write_metric(const bg_metric *m, const char *prefix, bg_doc *d)
{
    const struct {
        const char *field, *value;
    } parts[] = {{"metric", m->name}, {"heading", m->heading},   {"section", m->section}, {"field", m->field},
                 {"as", m->as},       {"relation", m->relation}, {"better", m->better}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s%s", prefix, parts[i].field);
        bg_doc_string(d, name, parts[i].value);
    }
}

static void write_figures(const bg_plan *p, bg_doc *d)
{
    bg_doc_section(d, "columns");
    for (int i = 0; i < p->n_metrics; i++) {
        bg_doc_row(d);
        write_metric(p->metrics[i], "", d);
        bg_doc_row_end(d);
    }
    bg_doc_section(d, "figures");
    for (int i = 0; i < p->n_figures; i++) {
        const bg_plan_figure *f = &p->figures[i];
        bg_doc_row(d);
        bg_doc_string(d, "figure", f->text);
        bg_doc_string(d, "kind", f->kind);
        bg_doc_string(d, "report_section", f->section);
        if (f->y)
            write_metric(f->y, "y_", d);
        if (f->x)
            write_metric(f->x, "x_", d);
        bg_doc_row_end(d);
    }
}

int bg_plan_write(const bg_plan *p, const char *path, bg_provenance *provenance, bg_err *e)
{
    bg_doc d;
    int status = bg_provenance_add(provenance, p->path, 0, e);
    if (!status)
        status = bg_doc_begin(&d, "study", path, provenance, e);
    if (status)
        return status;
    write_settings(p, &d);
    write_data(p, &d);
    write_models(p, &d);
    write_methods(p, &d);
    write_figures(p, &d);
    return bg_doc_commit(&d, e);
}
