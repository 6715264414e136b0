/* bitgap calibrate: second moments of every linear layer's input, as calibration.json and a side file. */
#include <stdlib.h>
#include <string.h>
#include "analysis/output/calibrate.h"
#include "analysis/output/corpus.h"
#include "io/base/options.h"
#include "quant/source/weights.h"

enum { LENGTH_MOST = 2048, FOLD_COLS = 4096, STATES_MB = 64 };

/* "out/calibration.json" → "out/calibration.bin" */
static char *side_path(const char *path)
{
    size_t n = strlen(path);
    if (n > 5 && !strcmp(path + n - 5, ".json"))
        n -= 5;
    char *side = malloc(n + 5);
    if (side) {
        memcpy(side, path, n);
        strcpy(side + n, ".bin");
    }
    return side;
}

static int write_document(const char *path, bg_out *side, const bg_model *m, const bg_calibrate_options *o,
                          const bg_calibrate_result *r, const bg_provenance *p, bg_err *e)
{
    bg_sha256 *tensor = calloc((size_t)m->n_linears + 1, sizeof *tensor), hash;
    bg_doc d;
    int status = tensor ? bg_out_finish(side, e) : bg_no_memory(e, "hashes", (unsigned)m->n_linears);
    if (!status)
        status = bg_sha256_file(side->temporary ? side->temporary : side->path, 0, &hash, NULL, e);
    for (int i = 0; i < m->n_linears && !status; i++)
        status = bg_calibration_tensor_hash(m->linears[i].tensor, &tensor[i], e);
    if (!status)
        status = bg_doc_begin(&d, "calibration", path, p, e);
    if (status) {
        free(tensor);
        return status;
    }
    bg_doc_section(&d, "settings");
    bg_doc_row(&d);
    bg_doc_string(&d, "model", m->ckpt->title);
    bg_doc_integer(&d, "samples", r->samples);
    bg_doc_integer(&d, "length", r->samples ? r->tokens / r->samples : 0);
    bg_doc_integer(&d, "tokens", r->tokens);
    bg_doc_string(&d, "sequential", o->sequential ? o->sequential->text : "none");
    bg_doc_string(&d, "side_file", bg_path_base(side->path));
    bg_doc_integer(&d, "side_bytes", (int64_t)r->side_bytes);
    bg_doc_string(&d, "side_sha256", hash.hex);
    bg_doc_row_end(&d);
    bg_doc_section(&d, "layers");
    for (int i = 0; i < m->n_linears; i++) {
        const bg_calibrated *l = &r->layers[i];
        if (!l->linear)
            continue;
        bg_doc_row(&d);
        bg_doc_string(&d, "tensor", l->linear->name);
        bg_doc_string(&d, "role", l->linear->tensor->role);
        bg_doc_integer(&d, "layer", l->linear->layer);
        bg_doc_string(&d, "tensor_sha256", tensor[i].hex);
        bg_doc_integer(&d, "cols", l->linear->in);
        bg_doc_string(&d, "shares", l->shares->name);
        bg_doc_integer(&d, "tokens", l->tokens);
        bg_doc_integer(&d, "offset", (int64_t)l->offset);
        if (l->folds)
            bg_doc_integer(&d, "folds", l->folds);
        bg_doc_number(&d, "trace", l->trace);
        bg_doc_number(&d, "mean_abs", l->mean_abs);
        bg_doc_number(&d, "max_abs", l->max_abs);
        bg_doc_row_end(&d);
    }
    free(tensor);
    return bg_doc_commit_with(&d, side, e);
}

static int read_options(const bg_args *a, const bg_provenance *p, bg_model *m, bg_calibrate_options *o, bg_spec *spec,
                        bg_err *e)
{
    int max = bg_model_context(m);
    int64_t samples = 128, length = max < LENGTH_MOST ? max : LENGTH_MOST, folds = 0, memory = STATES_MB;
    int status = bg_arg_integer(a, "samples", 0, INT64_C(1) << 40, &samples, e);
    if (!status)
        status = bg_arg_integer(a, "length", 1, 1 << 24, &length, e);
    if (!status)
        status = bg_arg_integer(a, "folds", 0, BG_FOLDS_MOST, &folds, e);
    if (!status)
        status = bg_arg_integer(a, "memory", 0, 1 << 30, &memory, e);
    if (!status && length > max)
        status = bg_fail(e, BG_INPUT, "--length %lld is longer than the model's context of %d", (long long)length, max);
    if (!status && bg_arg(a, "sequential"))
        status = bg_spec_parse(bg_arg(a, "sequential"), spec, e);
    *o = (bg_calibrate_options){.samples = samples,
                                .length = (int)length,
                                .folds = (int)folds,
                                .fold_cols = FOLD_COLS,
                                .states_bytes = (uint64_t)memory * 1000000,
                                .sequential = bg_arg(a, "sequential") ? spec : NULL,
                                .seed = p->seed};
    return status;
}

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    const char *path = bg_arg_output(a, "calibration.json");
    bg_ckpt *c = NULL;
    bg_model *m = NULL;
    bg_corpus text = {0};
    bg_out side = {0};
    bg_calibrate_options o;
    bg_calibrate_result r = {0};
    bg_spec spec;
    if (!bg_arg(a, "text"))
        return bg_fail(e, BG_USAGE, "calibrate: give a text with --text FILE");
    if (!strcmp(path, "-"))
        return bg_fail(e, BG_USAGE, "calibrate writes two files; give -o FILE.json");
    char *side_name = side_path(path);
    int status = side_name ? bg_weights_open(bg_args_word(a, 0), &(bg_ckpt_options){0}, &c, e)
                           : bg_no_memory(e, path, strlen(path));
    if (!status)
        status = bg_ckpt_provenance(c, p, e);
    if (!status)
        status = bg_model_open(c, &m, e);
    if (!status)
        status = read_options(a, p, m, &o, &spec, e);
    if (!status)
        status = bg_corpus_read(c, bg_arg(a, "text"), 0, &text, p, e);
    if (!status)
        status = bg_out_open(&side, side_name, e);
    if (!status)
        status = bg_calibrate(m, text.ids, text.n, &o, &side, &r, e);
    if (!status && o.samples > r.samples)
        bg_warn("%s gives %lld samples of %lld tokens, not %lld", bg_arg(a, "text"), (long long)r.samples,
                (long long)(r.tokens / r.samples), (long long)o.samples);
    if (!status)
        status = write_document(path, &side, m, &o, &r, p, e);
    bg_out_abandon(&side);
    free(r.layers);
    free(side_name);
    bg_corpus_free(&text);
    bg_model_close(m);
    bg_ckpt_close(c);
    return status;
}

static const bg_option options[] = {
    {.name = "text", .letter = 't', .argument = "FILE", .help = "calibration text"},
    {.name = "samples",
     .argument = "N",
     .default_note = "128",
     .help = "windows of the text, drawn by the seed; 0 takes all"},
    {.name = "length",
     .argument = "T",
     .default_note = "the model's context, at most 2048",
     .help = "tokens in a window"},
    {.name = "folds",
     .argument = "N",
     .help =
         "parts of the text whose moments are kept too, for inputs of at most 4096 columns: the band of the functional "
         "bound",
     .default_note = "0"},
    {.name = "memory",
     .argument = "MB",
     .help = "hidden states that may stay in memory; more go to a temporary file in $TMPDIR or beside the output",
     .default_note = "64"},
    {.name = "sequential",
     .argument = "SPEC",
     .help = "quantize each layer with SPEC before computing the inputs of the next"},
    {0},
};

const bg_stage bg_stage_calibrate = {
    .name = "calibrate",
    .arguments = "MODEL",
    .min_words = 1,
    .max_words = 1,
    .summary = "second moments of every linear layer's input",
    .about = "Runs the model layer by layer over windows of a text and writes, for the input x of every linear layer, "
             "Σ = E[xxᵀ], "
             "E|x| and max|x| to a side file (.bin) beside the document, which names its sha256. Memory is one layer's "
             "weights, half of each of its Σ, and a block of samples, however many there are.",
    .example = "bitgap calibrate data/austen-3.7m --text data/text/calib.txt --samples 32 -o calibration.json",
    .options = options,
    .run = run,
};
