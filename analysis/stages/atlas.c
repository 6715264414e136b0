/* bitgap atlas: every named format over shape, correlation, outliers and block size; real tensors placed on it. */
#include <stdlib.h>
#include <string.h>
#include "analysis/curves/atlas.h"
#include "io/base/options.h"

/* Min-max formats (rtn, q4_1) are left to whoever asks: their exact expectation over two extremes takes seconds. */
static const char *const usual[] = {"nf4",
                                    "nf4:double=true",
                                    "fp4",
                                    "mxfp4",
                                    "nvfp4",
                                    "mxfp6",
                                    "fp8",
                                    "int8",
                                    "q4_0",
                                    "q4_k",
                                    "q6_k",
                                    "iq4_xs",
                                    "uniform:bits=4,scope=128",
                                    "uniform:bits=4,clip=mse",
                                    "lloyd:bits=4",
                                    "ecsq:rate=4,form=uniform",
                                    "tcq:bits=4,states=8",
                                    "tcq:rate=4,states=256,code=entropy",
                                    NULL};

static int read_documents(const bg_args *a, cJSON **curves, cJSON **groups, bg_provenance *p, bg_err *e)
{
    for (int i = 0; i < bg_args_words(a); i++) {
        cJSON *root;
        int status = bg_doc_read(bg_args_word(a, i), NULL, &root, p, e);
        if (status)
            return status;
        const char *kind = bg_doc_kind_of(root)->name;
        cJSON **slot = !strcmp(kind, "curves") ? curves : !strcmp(kind, "groups") ? groups : NULL;
        if (!slot || *slot) {
            cJSON_Delete(root);
            return bg_fail(e, BG_INPUT,
                           "%s: holds '%s'; atlas places the tensors of one curves and one groups document",
                           bg_args_word(a, i), kind);
        }
        *slot = root;
    }
    return !*curves == !*groups ? BG_OK
                                : bg_fail(e, BG_USAGE, "atlas: to place tensors give both curves.json and groups.json");
}

static int parse_specs(const bg_args *a, bg_spec **specs, int *n, bg_err *e)
{
    int status = BG_OK, given = bg_arg_count(a, "spec");
    for (int i = 0; i < given && !status; i++)
        status = bg_specs_parse(bg_arg_nth(a, "spec", i), specs, n, e);
    for (int i = 0; !given && usual[i] && !status; i++)
        status = bg_specs_parse(usual[i], specs, n, e);
    return status;
}

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    cJSON *curves = NULL, *groups = NULL;
    bg_spec *specs = NULL;
    bg_atlas atlas = {0};
    bg_doc d = {0};
    int n = 0, status = parse_specs(a, &specs, &n, e);
    if (!status)
        status = read_documents(a, &curves, &groups, p, e);
    if (!status)
        status = bg_atlas_make(&atlas, specs, n, p->seed, e);
    if (!status)
        status = bg_doc_begin(&d, "atlas", bg_arg_output(a, "atlas.json"), p, e);
    if (!status)
        status = bg_atlas_write(&atlas, curves, groups, p->seed, &d, e);
    if (!status)
        status = bg_doc_commit(&d, e);
    bg_doc_abandon(&d);
    bg_atlas_free(&atlas);
    free(specs);
    cJSON_Delete(curves);
    cJSON_Delete(groups);
    return status;
}

static const bg_option options[] = {
    {.name = "spec",
     .letter = 'q',
     .argument = "SPEC",
     .repeats = 2,
     .default_note = "eighteen named formats, most of them near 4 bits per weight",
     .help = "formats to compare"},
    {0},
};

const bg_stage bg_stage_atlas = {
    .name = "atlas",
    .arguments = "[curves.json groups.json]",
    .min_words = 0,
    .max_words = 2,
    .summary = "every format over shape, correlation, outliers and block size",
    .about = "Runs every format on sources with known answers: Student-t and generalised Gaussians of growing tails, "
             "correlated Gaussians, a "
             "share of outliers, and blocks of 16 to 512 weights that share a scale. Points are exact on the density "
             "where that can be "
             "done, else means over three samples with their standard error. With the documents of a model each tensor "
             "is placed by its fitted "
             "shape, and what the atlas foretells stands beside what was measured.",
    .example = "bitgap atlas -q nf4 uniform:bits=4,scope=128 -o -",
    .options = options,
    .run = run,
};
