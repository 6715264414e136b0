/* Owns notebooks: their command blocks, and their text with every placeholder answered. */
#define _GNU_SOURCE
#include "reports/pages/notebook.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "io/base/file.h"
#include "reports/page/query.h"

enum { NOTEBOOK_LIMIT = 4 << 20, OUTPUT_LIMIT = 1 << 20 };

/* A notebook while it is read, line by line. */
typedef struct reader {
    const char *path;
    char *text, *at;
    int line;
    int fenced;   /* inside ``` */
    int commands; /* inside ```sh */
    int block;    /* number of the command block, from 1 */
} reader;

typedef enum kind { TEXT, FENCE_OPENS, FENCED, FENCE_CLOSES } kind;

static int open_notebook(reader *r, const char *path, bg_err *e)
{
    *r = (reader){.path = path};
    int status = bg_file_read(path, NOTEBOOK_LIMIT, &r->text, NULL, e);
    r->at = r->text;
    return status;
}

/* The next line without its end, or NULL; what it is in *k. */
static char *next_line(reader *r, kind *k)
{
    if (!*r->at)
        return NULL;
    char *line = r->at, *end = strchrnul(line, '\n');
    r->at = *end ? end + 1 : end;
    *end = 0;
    r->line++;
    int fence = !strncmp(line, "```", 3);
    *k = fence ? (r->fenced ? FENCE_CLOSES : FENCE_OPENS) : r->fenced ? FENCED : TEXT;
    if (fence) {
        r->fenced = !r->fenced;
        r->commands = r->fenced && !strcmp(line, "```sh");
        r->block += r->commands;
    }
    return line;
}

/* ---- commands ---- */

int bg_notebook_commands(const char *path, const char *output, bg_err *e)
{
    reader r;
    bg_out out = {0};
    kind k;
    char *line;
    int status = open_notebook(&r, path, e), was = 0;
    if (!status)
        status = bg_out_open(&out, output, e);
    if (!status)
        fprintf(out.file, "# The commands of %s\nset -eu\n", bg_path_base(path));
    while (!status && (line = next_line(&r, &k))) {
        if (k == FENCE_OPENS && r.commands)
            fputs("{\n", out.file);
        else if (k == FENCED && r.commands)
            fprintf(out.file, "%s\n", line);
        else if (k == FENCE_CLOSES && was)
            fprintf(out.file, "} > \"$OUT/block-%d.txt\"\n", r.block);
        was = r.commands;
    }
    if (!status)
        status = bg_out_commit(&out, e);
    bg_out_abandon(&out);
    free(r.text);
    return status;
}

/* ---- pages ---- */

/* Plain characters of a line: none of the stream's marks. */
static void put_plain(bg_text *t, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        bg_text_add_n(t, (unsigned char)s[i] < 0x20 && s[i] != '\t' && s[i] != '\n' ? " " : s + i, 1);
}

static int put_line(bg_report *report, const reader *r, char *line, bg_text *stream, bg_err *e)
{
    char *open, *close;
    int status = BG_OK;
    while (!status && (open = strstr(line, "{{"))) {
        put_plain(stream, line, (size_t)(open - line));
        close = strstr(open, "}}");
        if (!close) {
            status = bg_fail(e, BG_INPUT, "a placeholder does not end on its line");
        } else {
            *close = 0;
            status = bg_query_answer(report, open + 2, stream, e);
            line = close + 2;
        }
    }
    if (status)
        return bg_context(e, "%s:%d", r->path, r->line);
    put_plain(stream, line, strlen(line));
    bg_text_add(stream, "\n");
    return BG_OK;
}

/* "## Title": a section of the page with an anchor, and a line of the contents. */
static void put_heading(const char *title, int sections, bg_text *stream, bg_text *contents)
{
    bg_text slug = {0};
    bg_text_slug(&slug, title);
    if (sections)
        bg_put_section_end(stream);
    bg_put_section(stream, bg_text_string(&slug));
    bg_text_format(contents, "<li><a href=\"#%s\">", bg_text_string(&slug));
    bg_text_html(contents, title);
    bg_text_add(contents, "</a></li>\n");
    bg_text_free(&slug);
}

/* What a block of commands printed, if anything. */
static int put_output(const bg_report *report, int block, bg_text *stream, bg_err *e)
{
    char name[32], *path, *said = NULL;
    size_t n = 0;
    snprintf(name, sizeof name, "block-%d.txt", block);
    path = bg_path_join(report->page.directory, name);
    if (!path)
        return bg_no_memory(e, name, sizeof name);
    int status = bg_is_file(path) ? bg_file_read(path, OUTPUT_LIMIT, &said, &n, e) : BG_OK;
    if (!status && n) {
        bg_text_add(stream, "\n````text\n");
        put_plain(stream, said, n);
        bg_text_add(stream, said[n - 1] == '\n' ? "````\n" : "\n````\n");
    }
    free(said);
    free(path);
    return status;
}

static int compose(bg_report *report, reader *r, bg_text *title, bg_text *stream, bg_text *contents, bg_err *e)
{
    int status = BG_OK, sections = 0, was = 0;
    char *line;
    kind k;
    while (!status && (line = next_line(r, &k))) {
        if (k == TEXT && !title->length && !strncmp(line, "# ", 2))
            bg_text_add(title, line + 2);
        if (k == TEXT && !strncmp(line, "## ", 3))
            put_heading(line + 3, sections++, stream, contents);
        if (k == TEXT) {
            status = put_line(report, r, line, stream, e);
        } else {
            put_plain(stream, line, strlen(line));
            bg_text_add(stream, "\n");
        }
        if (!status && k == FENCE_CLOSES && was)
            status = put_output(report, r->block, stream, e);
        was = r->commands;
    }
    if (sections)
        bg_put_section_end(stream);
    if (!status && (stream->failed || title->failed || contents->failed))
        status = bg_no_memory(e, r->path, stream->length);
    return status;
}

int bg_notebook_render(const char *path, const char *const *documents, int n, const bg_notebook_options *o, bg_err *e)
{
    const bg_report_options options = {
        .directory = o->directory, .templates = o->templates, .rate = o->rate, .name = o->name, .depends = o->depends};
    bg_report report = {0};
    bg_text stream = {0}, contents = {0}, title = {0};
    reader r;
    int status = open_notebook(&r, path, e);
    if (!status)
        status = bg_report_open(&report, documents, n, &options, e);
    if (!status)
        status = bg_make_directories(o->directory, e);
    if (!status)
        status = compose(&report, &r, &title, &stream, &contents, e);
    if (!status) {
        report.title = bg_text_string(&title);
        report.notebook = 1;
        status = bg_report_put_pages(&report, o->name, &stream, &contents, e);
    }
    bg_text_free(&stream);
    bg_text_free(&contents);
    bg_text_free(&title);
    bg_report_close(&report);
    free(r.text);
    return status;
}
