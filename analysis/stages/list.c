/* bitgap list: every row of the five registries, its keys, ranges, defaults and paper, from the tables that parse them.
 */
#include "io/base/options.h"
#include "quant/engine/quantize.h"
#include "quant/probability/distribution.h"

static void print_keys(const bg_key *k)
{
    for (; k && k->name; k++) {
        printf("      %-12s", k->name);
        if (k->words)
            printf(" %s", k->words);
        else if (k->type == BG_KEY_BOOL)
            printf(" true|false");
        else if (k->type != BG_KEY_TEXT)
            printf(" %g..%g", k->min, k->max);
        printf("%s%s%s  %s\n", k->default_text ? " [" : "", k->default_text ? k->default_text : "",
               k->default_text ? "]" : "", k->help);
    }
}

static void print_row(const char *name, const char *title, const char *paper, const bg_key *keys)
{
    printf("  %-14s %s\n", name, title);
    if (paper)
        printf("      %s\n", paper);
    print_keys(keys);
}

/* Scopes are a word of the spec, not a registry: their rows are these. */
static void print_scopes(void)
{
    puts("\nscopes (scope=…)");
    print_row("tensor", "all weights of the tensor share one scale", NULL, NULL);
    print_row("channel", "one scale for each output row", NULL, NULL);
    print_row("N", "one scale for N neighbours of a row; the last group of a row may be short", NULL, NULL);
    print_row("blocks",
              "N of the flattened tensor, across row ends: nf and fp; scales of scales: double=true, scale=e4m3", NULL,
              NULL);
}

/* What `source:NAME` may be in place of a model. */
static void print_sources(void)
{
    puts("\nsources (source:NAME[,key=value...] in place of a model; keys n, cols, sigma, seed)");
    for (const bg_distribution *d = bg_distributions; d->name; d++)
        print_row(d->name, d->help, NULL, NULL);
}

static void print_names(void)
{
    puts("\npresets (further keys may follow)");
    for (const bg_preset *p = bg_presets; p->name; p++)
        printf("  %-14s %s\n      = %s\n      %s\n", p->name, p->help, p->expansion, p->paper);
    puts("\naliases");
    for (const bg_alias *a = bg_aliases; a->name; a++)
        printf("  %-14s %s\n      %s\n", a->name, a->help, a->specs);
}

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    (void)a, (void)p, (void)e;
    puts("A quantizer is NAME[:key=value[,key=value...]]; a value may be a range 2..8 or a list 2/3/4.\n\n"
         "keys of every grid that does not say otherwise");
    print_keys(bg_common_keys);
    print_scopes();
    puts("\ntransforms");
    for (const bg_transform *const *t = bg_transforms; *t; t++)
        print_row((*t)->name, (*t)->title, (*t)->paper, (*t)->keys);
    puts("\ngrids");
    for (const bg_grid *const *g = bg_grids; *g; g++)
        print_row((*g)->name, (*g)->title, (*g)->paper, (*g)->keys);
    puts("\nroundings");
    for (const bg_rounding *const *r = bg_roundings; *r; r++)
        print_row((*r)->name, (*r)->title, (*r)->paper, (*r)->keys);
    puts("\ncodings");
    for (const bg_coding *const *c = bg_codings; *c; c++)
        print_row((*c)->name, (*c)->title, (*c)->paper, (*c)->keys);
    print_names();
    print_sources();
    return BG_OK;
}

const bg_stage bg_stage_list = {
    .name = "list",
    .arguments = "",
    .max_words = 0,
    .summary = "every quantizer row, its keys, ranges, defaults and paper; every source",
    .example = "bitgap list",
    .is_tool = 1,
    .run = run,
};
