/* Owns the order of the sections and the files of a report. */
#define _GNU_SOURCE
#include "io/base/options.h"
#include "reports/sections/study.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The table of sections, in the order in which a reader asks. To add one: its file, its template, its line. */
static const bg_report_section *const sections[] = {
    &bg_section_study,      &bg_section_overview, &bg_section_weights, &bg_section_rate_distortion,
    &bg_section_gap,        &bg_section_layers,   &bg_section_groups,  &bg_section_codebooks,
    &bg_section_shipped,    &bg_section_output,   &bg_section_bounds,  &bg_section_cost,
    &bg_section_allocation, &bg_section_lossless, &bg_section_atlas,   &bg_section_published,
    &bg_section_provenance,
};

/* The rate of the comparison: as asked, else the first of the common widths near which anything was measured. */
static double choose_rate(const bg_report *r, double asked)
{
    static const double usual[] = {4, 3, 2, 5, 6, 8, 1};
    if (asked > 0)
        return asked;
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        for (int k = 0; k < r->all.n; k++)
            if (bg_curve_near(&r->all.curves[k], usual[i], r->within))
                return usual[i];
    return 4;
}

int bg_report_open(bg_report *r, const char *const *documents, int n, const bg_report_options *options, bg_err *e)
{
    *r = (bg_report){.within = 0.75,
                     .depends = options->depends,
                     .pages = options->pages,
                     .home = options->home,
                     .previous = options->previous,
                     .next = options->next};
    int status = bg_docset_open(&r->docs, documents, n, options->filter, e);
    if (!status)
        status = bg_templates_find(options->templates, &r->templates, e);
    if (!status)
        status = bg_summary_init(&r->all, &r->docs, NULL, e);
    if (status)
        return status;
    r->rate = choose_rate(r, options->rate);
    bg_summary_pick(&r->all, r->rate, 8);
    bg_rows models = bg_docset_rows(&r->docs, "groups", "models");
    bg_rows audited = bg_docset_rows(&r->docs, "audit", "models");
    r->title = models.n    ? bg_row_string(&models.rows[0], "title")
               : audited.n ? bg_row_string(&audited.rows[0], "model")
                           : "weights";
    if (bg_study_settings(r))
        r->title = bg_row_string(bg_study_settings(r), "title");
    r->page = (bg_page){.docs = &r->docs,
                        .templates = r->templates,
                        .directory = options->directory,
                        .prefix = options->prefix,
                        .drawing = options->figures};
    return BG_OK;
}

void bg_report_close(bg_report *r)
{
    bg_page_free(&r->page);
    bg_summary_free(&r->all);
    bg_docset_close(&r->docs);
    free(r->templates);
    *r = (bg_report){0};
}

/* A section whose template has its own language. */
static int render_section(bg_report *r, const bg_report_section *section, bg_text *stream, int *present, bg_err *e)
{
    char name[80];
    bg_facts *facts = bg_facts_new();
    if (!facts)
        return bg_no_memory(e, section->id, sizeof *facts);
    bg_fact_page(r, facts);
    int status = section->collect(r, facts, present, e);
    if (!status && *present) {
        bg_put_section(stream, section->id);
        snprintf(name, sizeof name, "sections/%s.md", section->id);
        status = bg_page_render(&r->page, name, facts, stream, e);
        bg_put_section_end(stream);
    }
    bg_facts_free(facts);
    return status;
}

static int put_section(bg_report *r, const bg_report_section *section, bg_text *stream, int *present, bg_err *e)
{
    if (section->collect)
        return render_section(r, section, stream, present, e);
    bg_slots slots = {0};
    char name[80];
    int status = section->write(r, &slots, present, e);
    if (!status && *present) {
        bg_put_section(stream, section->id);
        snprintf(name, sizeof name, "sections/%s.md", section->id);
        status = bg_page_fill(&r->page, name, &slots, stream, e);
        bg_put_section_end(stream);
    }
    bg_slots_free(&slots);
    return status;
}

int bg_report_put_section(bg_report *r, const char *id, bg_text *stream, bg_err *e)
{
    enum { SECTIONS = sizeof sections / sizeof *sections };
    const char *names[SECTIONS];
    for (size_t i = 0; i < SECTIONS; i++) {
        int present = 0;
        names[i] = sections[i]->id;
        if (strcmp(id, sections[i]->id) != 0)
            continue;
        int status = put_section(r, sections[i], stream, &present, e);
        return status || present ? status
                                 : bg_fail(e, BG_INPUT, "the documents of section '%s' are not among those given", id);
    }
    const char *near = bg_nearest(id, names, SECTIONS);
    return bg_fail(e, BG_INPUT, "no section '%s'%s%s%s", id, near ? ", did you mean " : "", near ? near : "",
                   near ? "?" : "");
}

int bg_report_compose(bg_report *r, bg_text *stream, bg_text *contents, bg_err *e)
{
    int status = BG_OK;
    if (bg_study_settings(r)) {
        bg_text_add(stream, "# ");
        bg_text_markdown(stream, r->title);
        bg_text_add(stream, "\n\n");
    }
    for (size_t i = 0; !status && i < sizeof sections / sizeof *sections; i++) {
        int present = 0;
        if (!bg_study_shows(r, sections[i]->id))
            continue;
        status = put_section(r, sections[i], stream, &present, e);
        if (!status && present)
            bg_text_format(contents, "<li><a href=\"#%s\">%s</a></li>\n", sections[i]->id,
                           sections[i]->title ? sections[i]->title : bg_text_string(&r->page.entry));
    }
    if (!status && (r->page.failed || stream->failed))
        status = bg_no_memory(e, "report", stream->length);
    return status;
}

/* ---- files ---- */

static int write_file(const bg_report *r, const char *name, const char *ending, const bg_text *text, bg_err *e)
{
    bg_text path = {0};
    bg_out out;
    bg_text_format(&path, "%s/%s.%s", r->page.directory, name, ending);
    int status = path.failed || text->failed ? bg_no_memory(e, name, text->length) : BG_OK;
    if (!status)
        status = bg_out_open(&out, bg_text_string(&path), e);
    if (!status) {
        fwrite(bg_text_string(text), 1, text->length, out.file);
        status = bg_out_commit(&out, e);
    }
    bg_text_free(&path);
    return status;
}

static void neighbours(const bg_report *r, bg_text *out)
{
    const struct {
        const char *file, *rel, *words;
    } links[] = {
        {r->previous, "prev", "previous layer"}, {r->home, "up", "whole model"}, {r->next, "next", "next layer"}};
    if (!r->home)
        return;
    bg_text_add(out, "<p class=\"neighbours\">");
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        if (!links[i].file)
            continue;
        bg_text_format(out, "<a rel=\"%s\" href=\"", links[i].rel);
        bg_text_html(out, links[i].file);
        bg_text_format(out, "\">%s</a> ", links[i].words);
    }
    bg_text_add(out, "</p>");
}

/* What verify needs to make the same page of the same documents: JSON without the characters that would end a comment
 * or an attribute. */
static int manifest(const bg_report *r, bg_text *out, bg_err *e)
{
    cJSON *o = cJSON_CreateObject(), *layers = cJSON_AddArrayToObject(o, "layers"),
          *roles = cJSON_AddArrayToObject(o, "roles"), *documents = cJSON_AddArrayToObject(o, "documents");
    for (int i = 0; i < r->docs.filter.n_layers; i++)
        cJSON_AddItemToArray(layers, cJSON_CreateNumber(r->docs.filter.layers[i]));
    for (int i = 0; i < r->docs.filter.n_roles; i++)
        cJSON_AddItemToArray(roles, cJSON_CreateString(r->docs.filter.roles[i]));
    for (int i = 0; i < r->docs.n; i++) {
        cJSON *d = cJSON_CreateObject();
        cJSON_AddStringToObject(d, "label", r->docs.documents[i].label);
        cJSON_AddStringToObject(d, "file", bg_path_base(r->docs.documents[i].path));
        cJSON_AddStringToObject(d, "sha256", r->docs.documents[i].hash.hex);
        cJSON_AddItemToArray(documents, d);
    }
    cJSON *runs = r->n_runs ? cJSON_AddArrayToObject(o, "runs") : NULL;
    for (int i = 0; i < r->n_runs; i++)
        cJSON_AddItemToArray(runs, cJSON_CreateString(r->runs[i]));
    cJSON_AddNumberToObject(o, "rate", r->rate);
    cJSON_AddBoolToObject(o, "pages", r->pages);
    if (r->notebook)
        cJSON_AddBoolToObject(o, "notebook", 1);
    cJSON_AddStringToObject(o, "prefix", r->page.prefix ? r->page.prefix : "");
    char *text = cJSON_PrintUnformatted(o);
    cJSON_Delete(o);
    if (!text)
        return bg_no_memory(e, "report", 0);
    for (const char *p = text; *p; p++) {
        if (strchr("-<>&'", *p))
            bg_text_format(out, "\\u%04x", (unsigned)*p);
        else
            bg_text_add_n(out, p, 1);
    }
    free(text);
    return BG_OK;
}

/* ---- the two pages ---- */

int bg_report_body(bg_report *r, const char *stream, bg_text *out, bg_err *e)
{
    return bg_page_html(&r->page, stream, out, e);
}

int bg_report_markdown(bg_report *r, const char *stream, bg_text *out, bg_err *e)
{
    int status = bg_page_markdown(&r->page, stream, out, e);
    bg_text_add(out, "\n<!-- bitgap ");
    if (!status)
        status = manifest(r, out, e);
    bg_text_add(out, " -->\n");
    return status;
}

static int write_html(bg_report *r, const char *name, const char *stream, const bg_text *contents, bg_err *e)
{
    bg_slots slots = {0};
    bg_text html = {0};
    const bg_slots none = {0};
    bg_text_html(bg_slots_at(&slots, "title"), r->title);
    bg_text_add(bg_slots_at(&slots, "contents"), bg_text_string(contents));
    int status = manifest(r, bg_slots_at(&slots, "manifest"), e);
    neighbours(r, bg_slots_at(&slots, "neighbours"));
    bg_text_html(bg_slots_at(&slots, "version"), bg_version);
    if (!status)
        status = bg_page_fill(&r->page, "report.css", &none, bg_slots_at(&slots, "style"), e);
    if (!status)
        status = bg_page_fill(&r->page, "report.js", &none, bg_slots_at(&slots, "script"), e);
    if (!status)
        status = bg_report_body(r, stream, bg_slots_at(&slots, "body"), e);
    if (!status)
        status = bg_page_fill(&r->page, "report.html", &slots, &html, e);
    if (!status)
        status = write_file(r, name, "html", &html, e);
    bg_text_free(&html);
    bg_slots_free(&slots);
    return status;
}

static int write_markdown(bg_report *r, const char *name, const char *stream, bg_err *e)
{
    bg_text markdown = {0};
    int status = bg_report_markdown(r, stream, &markdown, e);
    if (!status)
        status = write_file(r, name, "md", &markdown, e);
    bg_text_free(&markdown);
    return status;
}

/* A name as make reads it in a rule. */
static void put_make_name(bg_text *t, const char *directory, const char *name, const char *ending)
{
    const char *parts[] = {directory, "/", name, ending};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        for (const char *c = parts[i]; *c; c++) {
            bg_text_add(t, *c == '$' ? "$" : strchr(" #:%", *c) ? "\\" : "");
            bg_text_add_n(t, c, 1);
        }
}

/* "out/index.html: templates/report.html …", then an empty rule for each, so that a template may go. */
static int write_depends(bg_report *r, const char *name, const char *path, bg_err *e)
{
    bg_out out;
    bg_text rule = {0}, empty = {0};
    char *lines = strdup(bg_text_string(&r->page.used)), *save = NULL;
    put_make_name(&rule, r->page.directory, name, ".html");
    bg_text_add(&rule, ":");
    for (char *line = lines ? strtok_r(lines, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
        bg_text_add(&rule, " \\\n  ");
        put_make_name(&rule, r->templates, line, "");
        put_make_name(&empty, r->templates, line, "");
        bg_text_add(&empty, ":\n");
    }
    int status =
        rule.failed || empty.failed || !lines ? bg_no_memory(e, path, rule.length) : bg_out_open(&out, path, e);
    if (!status) {
        fprintf(out.file, "%s\n%s", bg_text_string(&rule), bg_text_string(&empty));
        status = bg_out_commit(&out, e);
    }
    free(lines);
    bg_text_free(&rule);
    bg_text_free(&empty);
    return status;
}

int bg_report_put_pages(bg_report *r, const char *name, const bg_text *stream, const bg_text *contents, bg_err *e)
{
    int status = write_markdown(r, name, bg_text_string(stream), e);
    if (!status)
        status = write_html(r, name, bg_text_string(stream), contents, e);
    return status || !r->depends ? status : write_depends(r, name, r->depends, e);
}

/* All points, one a line: the required and optional fields of curves.points, then the bounds of gaps.points. */
static int write_csv(bg_report *r, const char *name, bg_err *e)
{
    static const char *const words[] = {"tensor", "role", "spec", "quantizer", "family"};
    static const char *const numbers[] = {"layer",
                                          "bits",
                                          "weights",
                                          "rate_bits",
                                          "mse",
                                          "sigma2",
                                          "sqnr_db",
                                          "gap_bits",
                                          "gap_empirical_bits",
                                          "max_error",
                                          "max_relative_error",
                                          "clipped",
                                          "index_entropy_bits",
                                          "index_bits",
                                          "scale_bits",
                                          "codebook_bits",
                                          "other_bits",
                                          "output_mse",
                                          "output_gap_bits"};
    enum { WORDS = sizeof words / sizeof *words, NUMBERS = sizeof numbers / sizeof *numbers };
    bg_text csv = {0};
    char buf[32];
    for (int k = 0; k < WORDS + NUMBERS; k++)
        bg_text_format(&csv, "%s%s", k ? "," : "", k < WORDS ? words[k] : numbers[k - WORDS]);
    bg_text_add(&csv, "\n");
    for (int i = 0; i < r->docs.n_points; i++) {
        const bg_point *p = &r->docs.points[i];
        for (int k = 0; k < WORDS; k++) {
            bg_text_add(&csv, k ? "," : "");
            bg_text_csv(&csv, bg_row_string(p->curve, words[k]));
        }
        for (int k = 0; k < NUMBERS; k++) {
            double v = bg_row_number(p->curve, numbers[k]);
            v = isfinite(v) ? v : bg_row_number(p->gap, numbers[k]);
            bg_text_format(&csv, ",%s", isfinite(v) ? bg_print_double(buf, v) : "");
        }
        bg_text_add(&csv, "\n");
    }
    int status = r->docs.n_points ? write_file(r, name, "csv", &csv, e) : BG_OK;
    bg_text_free(&csv);
    return status;
}

int bg_report_write(const char *const *documents, int n, const bg_report_options *options, bg_err *e)
{
    bg_report r;
    bg_text stream = {0}, contents = {0};
    int status = bg_report_open(&r, documents, n, options, e);
    if (!status)
        status = bg_make_directories(options->directory, e);
    if (!status)
        status = bg_report_compose(&r, &stream, &contents, e);
    if (!status)
        status = bg_report_put_pages(&r, options->name, &stream, &contents, e);
    if (!status)
        status = write_csv(&r, options->name, e);
    bg_text_free(&stream);
    bg_text_free(&contents);
    bg_report_close(&r);
    return status;
}
