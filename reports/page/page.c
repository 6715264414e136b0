/* Owns the stream a page is written in: numbers with origins, tables, directives. */
#define _POSIX_C_SOURCE 200809L
#include "reports/page/page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "reports/page/marks.h"
#include "reports/page/template_tree.h"

void bg_page_figure_free(bg_page_figure *f)
{
    bg_text *parts[] = {&f->title, &f->alt, &f->caption, &f->table, &f->svg, &f->missing};
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++)
        bg_text_free(parts[k]);
    free(f);
}

void bg_page_uses(bg_page *p, const char *name)
{
    char line[96];
    snprintf(line, sizeof line, "%.90s\n", name);
    if (!strstr(bg_text_string(&p->used), line))
        bg_text_add(&p->used, line);
}

int bg_page_fill(bg_page *p, const char *name, const bg_slots *s, bg_text *out, bg_err *e)
{
    bg_page_uses(p, name);
    return bg_template_fill(p->templates, name, s, out, e);
}

void bg_page_free(bg_page *p)
{
    for (int i = 0; i < p->n_references; i++)
        free(p->references[i].from);
    free(p->references);
    bg_text_free(&p->used);
    bg_text_free(&p->entry);
    if (p->phrases)
        bg_tree_free(p->phrases);
    free(p->phrases);
    for (int i = 0; i < p->n_figures; i++)
        bg_page_figure_free(p->figures[i]);
    *p = (bg_page){0};
}

static int remember(bg_page *p, bg_num n, bg_style style)
{
    if (p->n_references == p->room) {
        int room = p->room ? 2 * p->room : 256;
        bg_reference *grown = realloc(p->references, (size_t)room * sizeof *grown);
        if (!grown)
            return p->failed = 1, -1;
        p->references = grown;
        p->room = room;
    }
    char *from = strdup(n.from);
    if (!from)
        return p->failed = 1, -1;
    p->references[p->n_references] = (bg_reference){from, n.value, style};
    return p->n_references++;
}

void bg_put_number(bg_page *p, bg_text *t, bg_num n, bg_style style)
{
    char buf[BG_NUMBER_TEXT];
    bg_number_text(buf, n.value, style);
    int i = isfinite(n.value) && n.from[0] ? remember(p, n, style) : -1;
    if (i < 0)
        bg_text_add(t, buf);
    else
        bg_text_format(t, "%c%d%c%s%c", BG_MARK_NUMBER, i, BG_MARK_TEXT, buf, BG_MARK_NUMBER_END);
}

void bg_put_method(bg_text *t, const char *label)
{
    bg_text_add(t, "**");
    bg_text_markdown(t, label);
    bg_text_add(t, "**");
}

static void directive(bg_text *t, const char *kind, const char *argument)
{
    bg_text_format(t, "\n\n%c%s:", BG_MARK_BLOCK, kind);
    for (; *argument; argument++)
        bg_text_add_n(t, (unsigned char)*argument < 0x20 ? " " : argument, 1);
    bg_text_format(t, "%c\n\n", BG_MARK_BLOCK_END);
}

void bg_put_figure(bg_page *p, bg_text *t, int figure)
{
    char index[16];
    if (figure < 0 || figure >= p->n_figures)
        return;
    snprintf(index, sizeof index, "%d", figure);
    directive(t, "figure", index);
}

void bg_put_fold(bg_text *t, const char *summary)
{
    directive(t, "fold", summary);
}

void bg_put_fold_end(bg_text *t)
{
    directive(t, "fold-end", "");
}

void bg_put_table_title(bg_text *t, const char *title)
{
    directive(t, "table", title);
}

void bg_put_page_only(bg_text *t)
{
    directive(t, "page-only", "");
}

void bg_put_page_only_end(bg_text *t)
{
    directive(t, "page-only-end", "");
}

void bg_put_class(bg_text *t, const char *name)
{
    directive(t, "class", name);
}

void bg_put_class_end(bg_text *t)
{
    directive(t, "class-end", "");
}

void bg_put_section(bg_text *t, const char *id)
{
    directive(t, "section", id);
}

void bg_put_section_end(bg_text *t)
{
    directive(t, "section-end", "");
}

/* ---- tables ---- */

/* What the page's script calls a column; nothing for most. */
static void put_column_key(bg_text *t, const char *heading, size_t n)
{
    static const char *const keys[][2] = {{"role", "role"}, {"layer", "layer"}, {"bits/weight", "rate"}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strlen(keys[i][0]) == n && !strncmp(keys[i][0], heading, n))
            bg_text_format(t, "%c%s%c", BG_MARK_COLUMN, keys[i][1], BG_MARK_COLUMN_END);
}

void bg_table_begin(bg_table *b, bg_page *p, bg_text *out, const char *title, const char *columns)
{
    *b = (bg_table){.page = p, .out = out};
    directive(out, "table", title);
    bg_text rule = {0};
    for (const char *c = columns; *c;) {
        size_t n = strcspn(c, "|");
        int right = n && c[n - 1] == '>';
        bg_text_add(out, "| ");
        put_column_key(out, c, n - (size_t)right);
        bg_text_add_n(out, c, n - (size_t)right);
        bg_text_add(out, " ");
        bg_text_add(&rule, right ? "|---:" : "|---");
        b->columns++;
        c += n + (c[n] == '|');
    }
    bg_text_format(out, "|\n%s|\n", bg_text_string(&rule));
    bg_text_free(&rule);
}

bg_text *bg_table_cell(bg_table *b)
{
    bg_text_add(b->out, b->column ? " | " : "| ");
    return b->out;
}

void bg_table_cell_end(bg_table *b)
{
    if (++b->column == b->columns) {
        bg_text_add(b->out, " |\n");
        b->column = 0;
        b->rows++;
    }
}

void bg_table_text(bg_table *b, const char *s)
{
    bg_text_markdown(bg_table_cell(b), s);
    bg_table_cell_end(b);
}

void bg_table_code(bg_table *b, const char *s)
{
    bg_text_code(bg_table_cell(b), s);
    bg_table_cell_end(b);
}

void bg_table_dash(bg_table *b, const char *reason)
{
    bg_text *t = bg_table_cell(b);
    bg_text_add(t, "–");
    if (*reason) {
        bg_text_add(t, " ");
        bg_text_markdown(t, reason);
    }
    bg_table_cell_end(b);
}

void bg_table_number_or(bg_table *b, bg_num n, bg_style style, const char *reason)
{
    if (!isfinite(n.value)) {
        bg_table_dash(b, reason);
        return;
    }
    bg_put_number(b->page, bg_table_cell(b), n, style);
    bg_table_cell_end(b);
}

void bg_table_number(bg_table *b, bg_num n, bg_style style)
{
    bg_table_number_or(b, n, style, "");
}

void bg_table_end(bg_table *b)
{
    while (b->column)
        bg_table_dash(b, "");
    bg_text_add(b->out, "\n");
}
