/* Owns adopting gnuplot's SVG into the page. gnuplot repeats ids in every file, writes black and fixed colours, and
 * puts hover text into calls of its own script; here ids get the figure's name in front, colours become variables of
 * the page's theme, and hover text becomes a title and a data attribute. */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <string.h>
#include "reports/figures/figure.h"

/* What the templates draw with, and the variable of report.css that replaces it. */
static const struct {
    unsigned rgb;
    const char *variable;
} themed[] = {
    {0x0072B2, "--uniform"},    {0x00598C, "--uniform-text"},
    {0xD55E00, "--nonuniform"}, {0xA34700, "--nonuniform-text"},
    {0x009E73, "--vector"},     {0x00664B, "--vector-text"},
    {0xCC79A7, "--trellis"},    {0x93407A, "--trellis-text"},
    {0xE69F00, "--entropy"},    {0x855B00, "--entropy-text"},
    {0x56B4E9, "--calibrated"}, {0x1E6A97, "--calibrated-text"},
    {0xB8A900, "--deployed"},   {0x655D00, "--deployed-text"},
    {0xB0B0B0, "--faint"},      {0xE4E4E4, "--grid"},
    {0xEFEFEF, "--shade"},      {0x767676, "--bound"},
    {0x595959, "--muted"},
};

typedef struct adoption {
    bg_text *out;
    const char *name;
    const bg_strings *tips, *curves;
    int groups; /* gnuplot numbers them anew in each panel */
} adoption;

static int starts(const char *p, const char *word)
{
    return !strncmp(p, word, strlen(word));
}

static const char *colour(adoption *a, const char *p)
{
    unsigned r, g, b;
    int n = 0;
    if (sscanf(p, "rgb(%u,%u,%u)%n", &r, &g, &b, &n) != 3 || !n)
        return NULL;
    unsigned rgb = (r & 255) << 16 | (g & 255) << 8 | (b & 255);
    for (size_t i = 0; i < sizeof themed / sizeof *themed; i++) {
        if (themed[i].rgb == rgb) {
            bg_text_format(a->out, "var(%s,#%06X)", themed[i].variable, rgb);
            return p + n;
        }
    }
    bg_text_format(a->out, "#%06X", rgb);
    return p + n;
}

static int index_after(const char *p, const char *word, const bg_strings *s)
{
    char *end;
    if (!starts(p, word))
        return -1;
    long i = strtol(p + strlen(word), &end, 10);
    return end == p + strlen(word) || i < 0 || i >= s->n ? -1 : (int)i;
}

/* <g id="gnuplot_plot_3" ><title>curve 2</title>: the group of a plot. */
static const char *plot_group(adoption *a, const char *p)
{
    static const char *const roles[] = {"curve ", "label ", "tips "};
    const char *id_end = strstr(p, "\" ><title>"), *end = id_end ? strstr(id_end, "</title>") : NULL;
    if (!starts(p, "<g id=\"gnuplot_plot_") || !end)
        return NULL;
    const char *title = id_end + strlen("\" ><title>");
    bg_text_format(a->out, "<g id=\"%s-plot-%d\"", a->name, ++a->groups);
    for (int i = 0; i < 3; i++) {
        int curve = index_after(title, roles[i], a->curves);
        if (curve < 0)
            continue;
        bg_text_format(a->out, " class=\"%.*s\" data-curve=\"", (int)strlen(roles[i]) - 1, roles[i]);
        bg_text_html(a->out, a->curves->items[curve]);
        bg_text_add(a->out, "\"");
    }
    /* Points that only carry hover text over something drawn before. */
    if (starts(title, "cells<"))
        bg_text_add(a->out, " opacity=\"0\"");
    bg_text_add(a->out, ">");
    return end + strlen("</title>");
}

/* <g onmousemove="gnuplot_svg.showHypertext(evt,'17')" onmouseout="…"><title> </title> */
static const char *hypertext(adoption *a, const char *p)
{
    const char *start = "<g onmousemove=\"gnuplot_svg.showHypertext(evt,'";
    const char *end = starts(p, start) ? strstr(p, "</title>") : NULL;
    if (!end)
        return NULL;
    int tip = index_after(p, start, a->tips);
    bg_text_add(a->out, "<g class=\"tip\"><title>");
    bg_text_html(a->out, tip >= 0 ? a->tips->items[tip] : "");
    bg_text_add(a->out, "</title>");
    return end + strlen("</title>");
}

/* A group with nothing in it: gnuplot writes one at every change of pen. */
static const char *empty_group(const char *p)
{
    if (!starts(p, "<g fill=\"none\""))
        return NULL;
    const char *end = strchr(p, '>');
    return end && starts(end, ">\n</g>\n") ? end + strlen(">\n</g>\n") : NULL;
}

static const char *attribute(adoption *a, const char *p)
{
    static const char *const words[][2] = {{"xlink:href='#", "href='#"}, {"id='", "id='"}, {"url(#", "url(#"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (starts(p, words[i][0])) {
            bg_text_format(a->out, "%s%s-", words[i][1], a->name);
            return p + strlen(words[i][0]);
        }
    }
    static const char *const blacks[] = {"'black'", "\"black\""};
    for (size_t i = 0; i < 2; i++) {
        if (starts(p, blacks[i])) {
            bg_text_format(a->out, "%ccurrentColor%c", *p, *p);
            return p + strlen(blacks[i]);
        }
    }
    return starts(p, "rgb(") ? colour(a, p) : NULL;
}

static void opening(adoption *a, const char *raw, const char *title, const char *description, int standalone)
{
    const char *box = strstr(raw, "viewBox=\""), *end = box ? strchr(box + 9, '"') : NULL;
    if (standalone)
        bg_text_add(a->out, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n");
    bg_text_format(
        a->out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot\" role=\"img\" aria-labelledby=\"%s-title %s-desc\" ",
        a->name, a->name);
    if (end)
        bg_text_add_n(a->out, box, (size_t)(end - box) + 1);
    bg_text_format(a->out, ">\n<title id=\"%s-title\">", a->name);
    bg_text_html(a->out, title);
    bg_text_format(a->out, "</title>\n<desc id=\"%s-desc\">", a->name);
    bg_text_html(a->out, description);
    bg_text_add(a->out, "</desc>\n");
    if (standalone)
        bg_text_add(
            a->out,
            "<style>svg{color:#1b1b1b}@media (prefers-color-scheme:dark){svg{color:#e8e8e8;--uniform:#4FA8DE;"
            "--uniform-text:#7CC0EA;--nonuniform:#F07F2E;--nonuniform-text:#F7A468;--vector:#2FC79B;--vector-text:"
            "#5FD6B3;--trellis:#DE97BE;--trellis-text:#E8B4D0;--entropy-text:#F0B947;--calibrated-text:#8ACBF1;"
            "--deployed:#D9CB3A;--deployed-text:#E3D869;--faint:#5a5a5a;--grid:#333;--shade:#262626;--bound:#9a9a9a;"
            "--muted:#b0b0b0}}</style>\n");
}

int bg_svg_adopt(const char *raw, const char *name, const char *title, const char *description, const bg_strings *tips,
                 const bg_strings *curves, int standalone, bg_text *out, bg_err *e)
{
    adoption a = {out, name, tips, curves, 0};
    const char *p = strstr(raw, "<g id=\"gnuplot_canvas\">");
    if (!strstr(raw, "<svg") || !p || !strstr(p, "</svg>"))
        return bg_fail(e, BG_RESOURCE, "gnuplot wrote no SVG for %s", name);
    opening(&a, raw, title, description, standalone);
    bg_text_add(out, "<g>");
    p += strlen("<g id=\"gnuplot_canvas\">");
    while (*p) {
        const char *next = *p == '<' ? empty_group(p) : NULL;
        if (!next && *p == '<')
            next = plot_group(&a, p);
        if (!next && *p == '<')
            next = hypertext(&a, p);
        if (!next)
            next = attribute(&a, p);
        if (!next)
            bg_text_add_n(out, next = p, 1), next++;
        p = next;
    }
    return out->failed ? bg_no_memory(e, name, out->length) : BG_OK;
}
