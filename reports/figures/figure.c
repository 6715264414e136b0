/* Owns making a figure's files and taking its drawing into the page. */
#define _POSIX_C_SOURCE 200809L
#include "reports/figures/figure.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "io/base/overwrite.h"

enum { TIME_LIMIT = 30, SVG_LIMIT = 1 << 26 };

int bg_strings_add(bg_strings *s, const char *text)
{
    char *copy = strdup(text), **grown = realloc(s->items, (size_t)(s->n + 1) * sizeof *grown);
    if (grown)
        s->items = grown;
    if (!copy || !grown) {
        free(copy);
        s->failed = 1;
        return 0;
    }
    s->items[s->n] = copy;
    return s->n++;
}

void bg_strings_free(bg_strings *s)
{
    for (int i = 0; i < s->n; i++)
        free(s->items[i]);
    free(s->items);
    *s = (bg_strings){0};
}

/* ---- colours: Okabe and Ito (2008), one a family ---- */

static const struct {
    const char *family, *line, *text;
} colours[] = {
    {"uniform", "#0072B2", "#00598C"},    {"non-uniform", "#D55E00", "#A34700"},
    {"vector", "#009E73", "#00664B"},     {"trellis", "#CC79A7", "#93407A"},
    {"lattice", "#CC79A7", "#93407A"},    {"entropy-coded", "#E69F00", "#855B00"},
    {"calibrated", "#56B4E9", "#1E6A97"}, {"deployed", "#B8A900", "#655D00"},
    {"shipped", "#B8A900", "#655D00"},    {"", "#767676", "#595959"},
};

static int colour_of(const char *family)
{
    int i = 0, last = (int)(sizeof colours / sizeof *colours) - 1;
    while (i < last && (!family || strcmp(colours[i].family, family)))
        i++;
    return i;
}

const char *bg_family_colour(const char *family)
{
    return colours[colour_of(family)].line;
}

const char *bg_family_text_colour(const char *family)
{
    return colours[colour_of(family)].text;
}

const char *bg_family_in_turn(int i)
{
    static const char *const turn[] = {"uniform",       "non-uniform", "vector",   "trellis",
                                       "entropy-coded", "calibrated",  "deployed", ""};
    return turn[i % (int)(sizeof turn / sizeof *turn)];
}

/* ---- a figure ---- */

int bg_figure_begin(bg_figure *f, bg_page *page, const char *name, const char *title, bg_err *e)
{
    *f = (bg_figure){.page = page, .index = page->n_figures, .name = name};
    if (page->n_figures == BG_FIGURES)
        return bg_fail(e, BG_RESOURCE, "internal: more than %d figures", BG_FIGURES);
    f->shown = calloc(1, sizeof *f->shown);
    if (!f->shown)
        return bg_no_memory(e, name, sizeof *f->shown);
    page->figures[page->n_figures++] = f->shown;
    snprintf(f->shown->name, sizeof f->shown->name, "%s%s", page->prefix ? page->prefix : "", name);
    f->facts = bg_facts_new();
    if (!f->facts)
        return bg_no_memory(e, name, sizeof *f->facts);
    bg_text_add(&f->shown->title, title ? title : "");
    bg_text_add(bg_slots_at(&f->slots, "name"), f->shown->name);
    bg_slots_at(&f->slots, "styles");
    return BG_OK;
}

int bg_figure_tip(bg_figure *f, const char *text)
{
    return bg_strings_add(&f->tips, text);
}

void bg_figure_panels(bg_figure *f, int n)
{
    int columns = n < 4 ? n : 4;
    bg_text_format(bg_slots_at(&f->slots, "panels"), "%d", n);
    bg_text_format(bg_slots_at(&f->slots, "columns"), "%d", columns);
    bg_text_format(bg_slots_at(&f->slots, "rows"), "%d", (n + columns - 1) / columns);
}

int bg_figure_curve(bg_figure *f, const char *name, const char *family, int within, int faint)
{
    static const int dashes[] = {1, 4, 5, 3}, points[] = {7, 5, 9, 13, 11, 6, 4, 8};
    int i = bg_strings_add(&f->curves, name);
    bg_text *styles = bg_slots_at(&f->slots, "styles");
    if (faint)
        bg_text_format(styles, "set linetype %d lc rgb '#B0B0B0' lw 1 dt 1 pt 7 ps 0.3\n", i + 1);
    else
        bg_text_format(styles, "set linetype %d lc rgb '%s' lw 2 dt %d pt %d ps 0.6\n", i + 1, bg_family_colour(family),
                       dashes[within % 4], points[within % 8]);
    return i;
}

static int write_text(const char *directory, const char *name, const char *ending, const bg_text *text, bg_err *e)
{
    bg_text file = {0};
    bg_out out;
    bg_text_format(&file, "%s/%s.%s", directory, name, ending);
    int status = file.failed || text->failed ? bg_no_memory(e, name, text->length) : BG_OK;
    if (!status)
        status = bg_out_open(&out, bg_text_string(&file), e);
    if (!status) {
        fwrite(bg_text_string(text), 1, text->length, out.file);
        status = bg_out_commit(&out, e);
    }
    bg_text_free(&file);
    return status;
}

/* The drawing: raw SVG from gnuplot, then the page's and the file's version of it. *absent: there is no gnuplot. */
static int draw(bg_figure *f, const char *directory, int *absent, bg_err *e)
{
    bg_page_figure *s = f->shown;
    char file[64], *raw = NULL;
    bg_text path = {0}, alone = {0};
    snprintf(file, sizeof file, "%s.gp", s->name);
    bg_text_format(&path, "%s/%s.svg", directory, s->name);
    unlink(bg_text_string(&path));
    int status = bg_gnuplot_run(directory, file, TIME_LIMIT, absent, e);
    if (!status)
        status = bg_file_read(bg_text_string(&path), SVG_LIMIT, &raw, NULL, e);
    if (!status)
        bg_output_made(bg_text_string(&path)); /* by gnuplot: what follows replaces it */
    for (int standalone = 0; !status && standalone < 2; standalone++)
        status = bg_svg_adopt(raw, s->name, bg_text_string(&s->title), bg_text_string(&s->alt), &f->tips, &f->curves,
                              standalone, standalone ? &alone : &s->svg, e);
    if (!status)
        status = write_text(directory, s->name, "svg", &alone, e);
    if (status)
        unlink(bg_text_string(&path)); /* what gnuplot left is no figure */
    free(raw);
    bg_text_free(&path);
    bg_text_free(&alone);
    return status;
}

static int make_files(bg_figure *f, const char *directory, bg_err *e)
{
    bg_text gp = {0};
    char name[80];
    snprintf(name, sizeof name, "figures/%s.gp", f->name);
    int status = bg_make_directories(directory, e);
    bg_text_gnuplot(bg_slots_at(&f->slots, "title"), bg_text_string(&f->shown->title));
    if (!status)
        status = bg_page_fill(f->page, name, &f->slots, &gp, e);
    if (!status)
        status = write_text(directory, f->shown->name, "gp", &gp, e);
    if (!status)
        status = write_text(directory, f->shown->name, "dat", &f->data, e);
    bg_text_free(&gp);
    return status;
}

static void release(bg_figure *f)
{
    bg_text_free(&f->data);
    bg_slots_free(&f->slots);
    bg_strings_free(&f->tips);
    bg_strings_free(&f->curves);
    bg_facts_free(f->facts);
    f->facts = NULL;
}

/* The .dat beside the page must be the one its documents give; a drawing counts as there when its file is. */
static int check_files(bg_figure *f, const char *directory, bg_err *e)
{
    bg_text path = {0};
    char *held = NULL;
    size_t length = 0;
    bg_text_format(&path, "%s/%s.dat", directory, f->shown->name);
    int status = bg_file_read(bg_text_string(&path), SVG_LIMIT, &held, &length, e);
    const char *want = bg_text_string(&f->data);
    if (!status && (length != f->data.length || memcmp(held, want, length))) {
        size_t same = 0, line = 1;
        for (; same < length && held[same] == want[same]; same++)
            line += want[same] == '\n';
        status = bg_fail(e, BG_INPUT, "%s:%zu: differs from what the documents give", bg_text_string(&path), line);
    }
    free(held);
    bg_text_clear(&path);
    bg_text_format(&path, "%s/%s.svg", directory, f->shown->name);
    if (bg_is_file(bg_text_string(&path)))
        bg_text_add(&f->shown->svg, "checked");
    bg_text_free(&path);
    return status;
}

int bg_figure_finish(bg_figure *f, bg_err *e)
{
    bg_page *p = f->page;
    char *directory = f->shown ? bg_path_join(p->directory, "figures") : NULL;
    int status = directory ? BG_OK : bg_no_memory(e, "figure", sizeof *f->shown);
    if (!status && (f->tips.failed || f->curves.failed))
        status = bg_no_memory(e, "figure", 0);
    if (!status)
        status = p->drawing == BG_FIGURES_CHECK ? check_files(f, directory, e) : make_files(f, directory, e);
    /* Where no gnuplot is, a page without drawings is still a page: its tables hold every number. A drawing that failed
     * ends the report, so that a page with its figures is not replaced by one without. */
    bg_err why = {0};
    int absent = 0;
    if (status || p->drawing == BG_FIGURES_CHECK) {
        free(directory);
        release(f);
        return status;
    }
    if (p->gnuplot_reason[0]) {
        bg_text_add(&f->shown->missing, p->gnuplot_reason);
    } else if (draw(f, directory, &absent, &why) && absent) {
        bg_warn("figure %s: %s", f->shown->name, why.text);
        bg_text_format(&f->shown->missing, "%s.", why.text);
        snprintf(p->gnuplot_reason, sizeof p->gnuplot_reason, "%.250s.", why.text);
    } else if (why.code) {
        status = bg_fail(e, BG_RESOURCE, "figure %s: %s", f->shown->name, why.text);
    }
    free(directory);
    release(f);
    return status;
}

void bg_figure_abandon(bg_figure *f)
{
    bg_page *p = f->page;
    if (f->shown && p->n_figures && p->figures[p->n_figures - 1] == f->shown) {
        bg_page_figure_free(f->shown);
        p->n_figures--;
    }
    release(f);
}

/* ---- figures whose words are in a template ---- */

bg_facts *bg_figure_point(bg_figure *f, int *number)
{
    const bg_fact *tips = bg_fact_find(f->facts, "tips");
    *number = tips ? tips->n : 0;
    return bg_fact_add_row(f->facts, "tips");
}

static void add_tip(void *self, const char *text)
{
    bg_figure_tip(self, text);
}

static int finish_figure(void *self, bg_err *e)
{
    return bg_figure_finish(self, e);
}

static void release_figure(void *self)
{
    release(self);
    free(self);
}

int bg_figure_offer(bg_figure *f, bg_facts *facts, const char *name, bg_err *e)
{
    bg_figure *own = malloc(sizeof *own);
    if (!own) {
        release(f);
        return bg_no_memory(e, name, sizeof *own);
    }
    bg_facts *words = f->facts;
    f->facts = NULL;
    *own = *f;
    bg_fact_drawing(facts, name,
                    &(bg_drawing){.shown = f->shown,
                                  .index = f->index,
                                  .self = own,
                                  .add_tip = add_tip,
                                  .finish = finish_figure,
                                  .release = release_figure},
                    words);
    return BG_OK;
}

int bg_figure_withhold(bg_figure *f, bg_facts *facts, const char *name)
{
    bg_fact_no_set(facts, name);
    bg_figure_abandon(f);
    return BG_OK;
}
