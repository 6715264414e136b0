/* bitgap curve: one rate-distortion point for each tensor and spec. */
#include <stdlib.h>
#include "analysis/output/calibration.h"
#include "analysis/curves/curve.h"
#include "analysis/stages/timings.h"

static int parse_specs(const bg_args *a, bg_spec **specs, int *n, bg_err *e)
{
    int status = BG_OK, given = bg_arg_count(a, "spec");
    for (int i = 0; i < given && !status; i++)
        status = bg_specs_parse(bg_arg_nth(a, "spec", i), specs, n, e);
    return given ? status : bg_specs_parse("scalar", specs, n, e);
}

/* Seconds of each spec over all tensors, and of the whole. */
static int write_timings(const bg_curves *c, const char *path, double began, const bg_provenance *p, bg_err *e)
{
    bg_timing *rows = calloc((size_t)c->n_specs + 1, sizeof *rows);
    if (!rows)
        return bg_no_memory(e, "timings", (size_t)c->n_specs * sizeof *rows);
    for (int k = 0; k < c->n_specs; k++) {
        rows[k] = (bg_timing){c->specs[k].text, 0, c->selection->weights};
        for (int i = 0; i < c->selection->n; i++)
            rows[k].seconds += c->at[i * c->n_specs + k].seconds;
    }
    rows[c->n_specs] = (bg_timing){"all", bg_now() - began, c->selection->weights};
    int status = bg_timings_write("curve", path, rows, c->n_specs + 1, p, e);
    free(rows);
    return status;
}

/* A document without a point helps nobody: the first reason says what to do. */
static int check_points(const bg_curves *c, bg_err *e)
{
    int points = c->selection->n * c->n_specs;
    for (int i = 0; i < points; i++)
        if (!c->at[i].skipped)
            return BG_OK;
    return points ? bg_fail(e, BG_USAGE, "curve: no point was measured: tensor '%s' with '%s' %s",
                            c->selection->tensors[0]->name, c->specs[0].text, c->at[0].skipped)
                  : BG_OK;
}

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    double began = bg_now();
    const char *path = bg_arg_output(a, "curves.json");
    bg_selection selection = {0};
    bg_curves c = {0};
    bg_calibration *calibration = NULL;
    bg_spec *specs = NULL;
    bg_doc d;
    int n = 0, status = parse_specs(a, &specs, &n, e);
    if (!status)
        status = bg_selection_open(&selection, bg_args_word(a, 0), a, p, e);
    if (!status && bg_arg(a, "calibration"))
        status = bg_calibration_open(bg_arg(a, "calibration"), selection.ckpt, &calibration, p, e);
    if (!status)
        status = bg_curves_measure(&c, &selection, specs, n, p->seed,
                                   (bg_curve_dress){calibration ? bg_calibration_dress : NULL, calibration}, e);
    if (!status)
        status = check_points(&c, e);
    if (!status)
        status = bg_doc_begin(&d, "curves", path, p, e);
    if (!status) {
        bg_curves_write(&c, &d);
        status = bg_doc_commit(&d, e);
    }
    if (!status)
        status = write_timings(&c, path, began, p, e);
    bg_curves_free(&c);
    bg_calibration_close(calibration);
    bg_selection_close(&selection);
    free(specs);
    return status;
}

static const bg_option options[] = {
    {.name = "spec",
     .letter = 'q',
     .argument = "SPEC",
     .repeats = 2,
     .default_note = "scalar",
     .help = "quantizers, presets, aliases or sweeps (bitgap list)"},
    {.name = "calibration",
     .argument = "FILE",
     .help = "calibration.json of this model: output errors, and the specs that need one"},
    BG_SELECTION_OPTIONS,
    {0},
};

const bg_stage bg_stage_curve = {
    .name = "curve",
    .arguments = "MODEL|groups.json",
    .min_words = 1,
    .max_words = 1,
    .summary = "rate and distortion of every tensor under every quantizer",
    .about =
        "Reads each weight matrix once and runs the whole sweep on it. Rates count everything stored: indices, scales, "
        "zero\n"
        "points, codebooks. Per-tensor results are exact over all weights; a source without n is its density, and its\n"
        "table needs no sampling. How long each spec took goes to timings.json beside the document.",
    .example = "bitgap curve source:gaussian -q uniform:bits=2..8,clip=mse nf4 -o -",
    .options = options,
    .run = run,
};
