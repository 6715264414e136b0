/* Owns turning a stream into report.md and into the body of report.html (cmark-gfm with its table extension). */
#define _GNU_SOURCE
#include <cmark-gfm-core-extensions.h>
#include <cmark-gfm.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "reports/page/marks.h"
#include "reports/page/page.h"

/* ---- walking the stream ---- */

typedef struct walker {
    const bg_page *page;
    bg_text *out;
    char table[160]; /* title of the table that follows */
    int depth;       /* of figures inside figures: refused */
    int page_only;   /* Markdown: inside a part that only the HTML page shows */
    bg_err *e;
} walker;

typedef int plain(walker *w, const char *text, size_t n);
typedef int block(walker *w, const char *kind, const char *argument);

static int walk(walker *w, const char *stream, plain *on_text, block *on_block)
{
    int status = BG_OK;
    while (!status && *stream) {
        const char *mark = strchr(stream, BG_MARK_BLOCK);
        size_t n = mark ? (size_t)(mark - stream) : strlen(stream);
        status = on_text(w, stream, n);
        if (!mark)
            break;
        const char *end = strchr(mark, BG_MARK_BLOCK_END);
        if (!end)
            return bg_fail(w->e, BG_INPUT, "internal: a directive does not end");
        char *kind = strndup(mark + 1, (size_t)(end - mark - 1)), *colon = kind ? strchr(kind, ':') : NULL;
        if (!kind)
            return bg_no_memory(w->e, "page", (size_t)(end - mark));
        if (colon)
            *colon++ = 0;
        if (!status)
            status = on_block(w, kind, colon ? colon : "");
        free(kind);
        stream = end + 1;
    }
    if (!status && (w->out->failed || w->page->failed))
        status = bg_no_memory(w->e, "page", w->out->length);
    return status;
}

static const bg_page_figure *figure_at(const walker *w, const char *argument)
{
    int i = atoi(argument);
    return i >= 0 && i < w->page->n_figures ? w->page->figures[i] : NULL;
}

/* ---- Markdown ---- */

/* A Markdown file is read from top to bottom: of a table longer than LONGEST only the first rows stand in it. */
enum { LONGEST = 40, SHOWN = 8 };

/* Rows of the table whose line begins at text[i], rule and head not counted; its end in *end. */
static int table_rows(const char *text, size_t i, size_t n, size_t *end)
{
    int lines = 0;
    while (i < n && text[i] == '|') {
        while (i < n && text[i] != '\n')
            i++;
        i += i < n;
        lines++;
    }
    *end = i;
    return lines - 2;
}

static void shorten(bg_text *out, int rows)
{
    bg_text_format(out, "\n*The first %d of %d rows; the HTML page beside this file has them all.*\n", SHOWN, rows);
}

/* Drops number marks, squeezes more than one empty line to one, shortens long tables. */
static int markdown_text(walker *w, const char *text, size_t n)
{
    size_t end = 0, cut = 0; /* of the table that is being written; where its rest begins, 0: nowhere */
    int rows = 0, line = 0;
    if (w->page_only)
        return BG_OK;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '|' && i >= end && (i == 0 || text[i - 1] == '\n')) {
            rows = table_rows(text, i, n, &end);
            line = 0;
            cut = 0;
        }
        if (i < end && rows > LONGEST && (i == 0 || text[i - 1] == '\n') && line++ == SHOWN + 2)
            cut = i;
        if (cut && i == cut) {
            shorten(w->out, rows);
            i = end - 1;
            continue;
        }
        char c = text[i];
        if (c == BG_MARK_NUMBER) {
            while (i < n && text[i] != BG_MARK_TEXT)
                i++;
            continue;
        }
        if (c == BG_MARK_COLUMN) {
            while (i < n && text[i] != BG_MARK_COLUMN_END)
                i++;
            continue;
        }
        const bg_text *o = w->out;
        int empty =
            o->length == 0 || (o->length > 1 && o->data[o->length - 1] == '\n' && o->data[o->length - 2] == '\n');
        if (c == BG_MARK_NUMBER_END || (c == '\n' && empty))
            continue;
        bg_text_add_n(w->out, &c, 1);
    }
    return BG_OK;
}

static int markdown_stream(walker *w, const char *stream);

static int markdown_figure(walker *w, const bg_page_figure *f)
{
    int status = BG_OK;
    if (f->svg.length) {
        bg_text_add(w->out, "![");
        bg_text_markdown(w->out, bg_text_string(&f->alt));
        bg_text_format(w->out, "](figures/%s.svg)\n\n", f->name);
    } else {
        bg_text_add(w->out, "*This figure is missing: ");
        bg_text_markdown(w->out, bg_text_string(&f->missing));
        bg_text_add(w->out, "*\n\n");
    }
    status = markdown_stream(w, bg_text_string(&f->caption));
    bg_text_add(w->out, "\n\n<details><summary>Data of this figure</summary>\n\n");
    if (!status)
        status = markdown_stream(w, bg_text_string(&f->table));
    bg_text_format(w->out, "\n\nSource: figures/%s.gp and figures/%s.dat; run gnuplot there.\n\n</details>\n\n",
                   f->name, f->name);
    return status;
}

static int markdown_block(walker *w, const char *kind, const char *argument)
{
    if (!strcmp(kind, "page-only") || !strcmp(kind, "page-only-end")) {
        w->page_only = !strcmp(kind, "page-only");
        return BG_OK;
    }
    if (w->page_only)
        return BG_OK;
    const bg_page_figure *f = !strcmp(kind, "figure") ? figure_at(w, argument) : NULL;
    if (f && w->depth++)
        return bg_fail(w->e, BG_INPUT, "internal: a figure inside a figure");
    int status = f ? markdown_figure(w, f) : BG_OK;
    w->depth -= f != NULL;
    if (!strcmp(kind, "fold")) {
        bg_text_add(w->out, "<details><summary>");
        bg_text_html(w->out, argument);
        bg_text_add(w->out, "</summary>\n\n");
    } else if (!strcmp(kind, "fold-end")) {
        bg_text_add(w->out, "</details>\n\n");
    }
    return status;
}

static int markdown_stream(walker *w, const char *stream)
{
    return walk(w, stream, markdown_text, markdown_block);
}

int bg_page_markdown(const bg_page *p, const char *stream, bg_text *out, bg_err *e)
{
    walker w = {.page = p, .out = out, .e = e};
    return markdown_stream(&w, stream);
}

/* ---- HTML ---- */

static char *to_html(const char *text, size_t n)
{
    cmark_gfm_core_extensions_ensure_registered();
    int options = CMARK_OPT_DEFAULT | CMARK_OPT_VALIDATE_UTF8;
    cmark_parser *parser = cmark_parser_new(options);
    cmark_parser_attach_syntax_extension(parser, cmark_find_syntax_extension("table"));
    cmark_parser_feed(parser, text, n);
    cmark_node *root = cmark_parser_finish(parser);
    char *html = cmark_render_html(root, options, cmark_parser_get_syntax_extensions(parser));
    cmark_node_free(root);
    cmark_parser_free(parser);
    return html;
}

static const char *number_html(walker *w, const char *p)
{
    int i = atoi(p + 1);
    const char *text = strchr(p, BG_MARK_TEXT), *end = text ? strchr(text, BG_MARK_NUMBER_END) : NULL;
    if (!end || i < 0 || i >= w->page->n_references)
        return p;
    const bg_reference *r = &w->page->references[i];
    char value[32];
    bg_text_format(w->out, "<data value=\"%s\" data-as=\"%s\" data-from=\"", bg_print_double(value, r->value),
                   bg_style_names[r->style]);
    bg_text_html(w->out, r->from);
    bg_text_add(w->out, "\">");
    bg_text_add_n(w->out, text + 1, (size_t)(end - text - 1));
    bg_text_add(w->out, "</data>");
    return end;
}

static void table_html(walker *w)
{
    bg_text_add(w->out, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"");
    bg_text_html(w->out, *w->table ? w->table : "table");
    bg_text_add(w->out, "\"><table>");
    w->table[0] = 0;
}

/* A heading of a table whose text begins with what the column holds: that becomes an attribute. Returns the last
 * character taken. */
static const char *column_html(walker *w, const char *p)
{
    const char *shut = strchr(p, '>');
    if (!shut || shut[1] != BG_MARK_COLUMN) {
        bg_text_add(w->out, "<th");
        return p + 2;
    }
    const char *end = strchr(shut, BG_MARK_COLUMN_END);
    bg_text_add(w->out, "<th data-column=\"");
    bg_text_add_n(w->out, shut + 2, end ? (size_t)(end - shut - 2) : 0);
    bg_text_add(w->out, "\"");
    bg_text_add_n(w->out, p + 3, (size_t)(shut + 1 - p - 3));
    return end ? end : shut;
}

static void heading_html(walker *w, const char *p, char level)
{
    const char *text = p + 4, *end = strstr(text, "</h");
    bg_text_format(w->out, "<h%c id=\"", level);
    bg_text slug = {0};
    char *title = strndup(text, end ? (size_t)(end - text) : 0);
    bg_text_slug(&slug, title ? title : "");
    bg_text_format(w->out, "h-%s\"><a class=\"anchor\" href=\"#h-%s\" aria-hidden=\"true\" tabindex=\"-1\">#</a>",
                   bg_text_string(&slug), bg_text_string(&slug));
    free(title);
    bg_text_free(&slug);
}

static int html_text(walker *w, const char *text, size_t n)
{
    size_t blank = 0;
    while (blank < n && isspace((unsigned char)text[blank]))
        blank++;
    if (blank == n)
        return BG_OK;
    char *html = to_html(text, n);
    if (!html)
        return bg_no_memory(w->e, "HTML", n);
    for (const char *p = html; *p; p++) {
        if (*p == BG_MARK_NUMBER) {
            p = number_html(w, p);
        } else if (!strncmp(p, "<table>", 7)) {
            table_html(w);
            p += 6;
        } else if (!strncmp(p, "</table>", 8)) {
            bg_text_add(w->out, "</table></div>");
            p += 7;
        } else if (!strncmp(p, "<th", 3) && (p[3] == '>' || p[3] == ' ')) {
            p = column_html(w, p);
        } else if (!strncmp(p, "<h2>", 4) || !strncmp(p, "<h3>", 4)) {
            heading_html(w, p, p[2]);
            p += 3;
        } else {
            bg_text_add_n(w->out, p, 1);
        }
    }
    free(html);
    return BG_OK;
}

static int html_stream(walker *w, const char *stream);

static int html_figure(walker *w, const bg_page_figure *f)
{
    bg_text_format(w->out, "<figure id=\"fig-%s\">\n", f->name);
    if (f->svg.length) {
        bg_text_format(w->out, "<div class=\"drawing\">%s</div>\n", bg_text_string(&f->svg));
    } else {
        bg_text_add(w->out, "<p class=\"missing\">This figure is missing: ");
        bg_text_html(w->out, bg_text_string(&f->missing));
        bg_text_add(w->out, "</p>\n");
    }
    bg_text_add(w->out, "<figcaption>");
    int status = html_stream(w, bg_text_string(&f->caption));
    bg_text_format(w->out, "</figcaption>\n<details%s><summary>Data of this figure</summary>\n",
                   f->svg.length ? "" : " open");
    if (!status)
        status = html_stream(w, bg_text_string(&f->table));
    bg_text_format(w->out,
                   "<p class=\"source\">Source: figures/%s.gp and figures/%s.dat; run gnuplot there.</p>\n"
                   "</details></figure>\n",
                   f->name, f->name);
    return status;
}

static int html_block(walker *w, const char *kind, const char *argument)
{
    static const struct {
        const char *kind, *before, *after;
    } tags[] = {{"fold", "<details><summary>", "</summary>\n"},
                {"fold-end", "</details>\n", ""},
                {"class", "<div class=\"", "\">\n"},
                {"class-end", "</div>\n", ""},
                {"section", "<section id=\"", "\">\n"},
                {"section-end", "</section>\n", ""}};
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        if (strcmp(tags[i].kind, kind))
            continue;
        bg_text_add(w->out, tags[i].before);
        bg_text_html(w->out, argument);
        bg_text_add(w->out, tags[i].after);
        return BG_OK;
    }
    if (!strcmp(kind, "table"))
        snprintf(w->table, sizeof w->table, "%s", argument);
    const bg_page_figure *f = !strcmp(kind, "figure") ? figure_at(w, argument) : NULL;
    if (f && w->depth++)
        return bg_fail(w->e, BG_INPUT, "internal: a figure inside a figure");
    int status = f ? html_figure(w, f) : BG_OK;
    w->depth -= f != NULL;
    return status;
}

static int html_stream(walker *w, const char *stream)
{
    return walk(w, stream, html_text, html_block);
}

int bg_page_html(const bg_page *p, const char *stream, bg_text *out, bg_err *e)
{
    walker w = {.page = p, .out = out, .e = e};
    return html_stream(&w, stream);
}
