/* bitgap gap: bits above the bounds, for every point, curve, layer, role and pair of curves. */
#include "analysis/curves/gap.h"
#include "io/base/options.h"

/* The two documents in any order; bounds may be missing. */
static int read_documents(const bg_args *a, cJSON **curves, cJSON **bounds, bg_provenance *p, bg_err *e)
{
    for (int i = 0; i < bg_args_words(a); i++) {
        const char *path = bg_args_word(a, i);
        cJSON *root;
        int status = bg_doc_read(path, NULL, &root, p, e);
        if (status)
            return status;
        const char *kind = bg_doc_kind_of(root)->name;
        cJSON **slot = kind[0] == 'c' ? curves : bounds;
        if ((slot == curves ? bg_doc_rows(root, "points") : bg_doc_rows(root, "rows")) == NULL || *slot) {
            cJSON_Delete(root);
            return bg_fail(e, BG_INPUT, "%s: holds '%s'; gap reads one curves and one bounds document", path, kind);
        }
        *slot = root;
    }
    return *curves ? BG_OK : bg_fail(e, BG_USAGE, "gap: no curves document given; run bitgap curve first");
}

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    cJSON *curves = NULL, *bounds = NULL;
    bg_gaps g = {0};
    bg_doc d;
    int status = read_documents(a, &curves, &bounds, p, e);
    if (!status)
        status = bg_gaps_init(&g, curves, bounds, e);
    if (!status)
        status = bg_doc_begin(&d, "gaps", bg_arg_output(a, "gaps.json"), p, e);
    if (!status) {
        status = bg_gaps_write(&g, &d, bg_arg(a, "sensitivity"), e);
        if (status)
            bg_doc_abandon(&d);
        else
            status = bg_doc_commit(&d, e);
    }
    bg_gaps_free(&g);
    cJSON_Delete(curves);
    cJSON_Delete(bounds);
    return status;
}

static const bg_option options[] = {
    {.name = "sensitivity",
     .argument = "SPEC",
     .default_value = "uniform:bits=4,scope=channel",
     .help = "point by which layers are ranked"},
    {0},
};

const bg_stage bg_stage_gap = {
    .name = "gap",
    .arguments = "curves.json [bounds.json]",
    .min_words = 1,
    .max_words = 2,
    .summary = "bits above the bounds: points, curves, layers, roles, pairs",
    .about =
        "Sets every point against the Gaussian bound and, with a bounds document, against the bound of the weights\n"
        "themselves; interpolates each curve in log D at D = 0.01σ² and 0.001σ² (a curve that does not reach it says "
        "so);\n"
        "ranks layers; averages roles over at most six evenly spaced layers and over all; and gives the Bjøntegaard\n"
        "distance of every pair of curves with an interval over the tensors of each role.",
    .example = "bitgap gap out/austen-3.7m/curves.json out/austen-3.7m/bounds.json -o -",
    .options = options,
    .run = run,
};
