/* bitgap quantize: a model under a spec, as a checkpoint that other programs load. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/conversion/quantize_model.h"
#include "io/base/file.h"
#include "io/base/options.h"
#include "quant/source/weights.h"

/* ---- sums over matrices ---- */

typedef struct total {
    double weights, bits, error, power, clipped, written;
    double output, output_power, bound; /* Σ tr(…) over the matrices */
    int unbounded;                      /* matrices without a Babai bound */
} total;

static void add(total *s, const bg_quantized_tensor *t)
{
    double n = (double)t->tensor->count, rows = (double)t->tensor->rows;
    s->weights += n;
    s->bits += n * t->rate_bits;
    s->error += n * t->mse;
    s->power += n * t->power;
    s->clipped += n * t->clipped;
    s->written += t->bytes;
    s->output += rows * t->output_mse;
    s->output_power += rows * t->output_power;
    s->bound += rows * t->babai_bound;
    s->unbounded += !(t->babai_bound > 0);
}

/* ---- the document ---- */

static const char *spec_name(const bg_quantize_options *o)
{
    return o->recipe ? bg_recipe_name(o->recipe) : o->spec->text;
}

static void write_model(const bg_ckpt *c, const bg_quantize_options *o, const bg_quantized_model *q, bg_doc *d)
{
    total s = {0};
    for (int i = 0; i < q->n; i++)
        add(&s, &q->tensors[i]);
    bg_doc_section(d, "models");
    bg_doc_row(d);
    bg_doc_string(d, "model", c->title);
    bg_doc_string(d, "spec", spec_name(o));
    bg_doc_string(d, "layout", o->layout->name);
    bg_doc_integer(d, "weights", (int64_t)s.weights);
    bg_doc_number(d, "rate_bits", s.bits / s.weights);
    bg_doc_integer(d, "bytes", (int64_t)q->bytes);
    bg_doc_integer(d, "original_bytes", (int64_t)c->file_bytes);
    bg_doc_number(d, "mse", s.error / s.weights);
    if (isfinite(s.clipped))
        bg_doc_number(d, "clipped", s.clipped / s.weights);
    if (s.output_power > 0) {
        bg_doc_number(d, "output_relative", s.output / s.output_power);
        if (!s.unbounded)
            bg_doc_number(d, "babai_relative", s.bound / s.output_power);
    }
    bg_doc_integer(d, "shards", q->shards);
    bg_doc_row_end(d);
}

static void write_tensor(const bg_quantized_tensor *t, bg_doc *d)
{
    bg_doc_row(d);
    bg_doc_string(d, "tensor", t->tensor->name);
    bg_doc_string(d, "role", t->tensor->role);
    bg_doc_integer(d, "layer", t->tensor->layer);
    bg_doc_string(d, "spec", t->spec->text);
    bg_doc_integer(d, "weights", (int64_t)t->tensor->count);
    bg_doc_number(d, "rate_bits", t->rate_bits);
    bg_doc_number(d, "mse", t->mse);
    if (isfinite(t->clipped))
        bg_doc_number(d, "clipped", t->clipped);
    if (isfinite(t->output_mse))
        bg_doc_number(d, "output_mse", t->output_mse);
    if (t->output_power > 0)
        bg_doc_number(d, "output_relative", t->output_mse / t->output_power);
    if (t->babai_bound > 0)
        bg_doc_number(d, "babai_bound", t->babai_bound);
    bg_doc_integer(d, "bytes", (int64_t)t->bytes);
    bg_doc_row_end(d);
}

static int write_document(const bg_ckpt *c, const bg_quantize_options *o, const bg_quantized_model *q,
                          const char *directory, const bg_provenance *p, bg_err *e)
{
    char *path = bg_path_join(directory, "quantization.json");
    bg_doc d;
    int status = path ? bg_doc_begin(&d, "quantization", path, p, e) : bg_no_memory(e, "a path", strlen(directory));
    free(path);
    if (status)
        return status;
    write_model(c, o, q, &d);
    bg_doc_section(&d, "tensors");
    for (int i = 0; i < q->n; i++)
        write_tensor(&q->tensors[i], &d);
    return bg_doc_commit(&d, e);
}

/* ---- the dry run ---- */

static void say(const bg_ckpt *c, const bg_quantize_options *o, const total *s, double all, double other,
                double seconds, int layer)
{
    printf("%s under %s as %s, judged by ", c->title, spec_name(o), o->layout->name);
    if (o->recipe)
        printf("all layers:\n");
    else
        printf("layer %d:\n", layer);
    printf("  %.0f weights at %.4f bits; %.0f bytes to write (the original has %.0f)\n", all, s->bits / s->weights,
           s->written * all / s->weights + other, (double)c->file_bytes);
    printf("  about %.1f s; relative error of the weights %.4g", seconds * all / s->weights,
           s->power > 0 ? s->error / s->power : 0);
    if (isfinite(s->clipped))
        printf(", %.4g %% of them clipped", 100 * s->clipped / s->weights);
    if (s->output_power > 0)
        printf("\n  relative error of the outputs %.4g", s->output / s->output_power);
    if (s->output_power > 0 && !s->unbounded)
        printf(" (error feedback that clips nothing: at most %.4g)", s->bound / s->output_power);
    putchar('\n');
}

/* Quantizes the first layer's matrices (under a recipe, in which layers differ, all of them), writes nothing, and says
 * what the whole would take. */
static int dry_run(const bg_ckpt *c, const bg_quantize_options *o, bg_err *e)
{
    total s = {0};
    double all = 0, other = 0, start = bg_now();
    int layer = -1, status = bg_layout_check_model(c, o, e);
    for (int i = 0; i < c->n_tensors && !status; i++) {
        const bg_tensor *t = &c->tensors[i];
        if (!bg_quantize_spec(o, t)) {
            other += (double)t->count * (t->dtype == BG_F16 || t->dtype == BG_BF16 ? 2 : 4);
            continue;
        }
        all += (double)t->count;
        layer = layer < 0 ? t->layer : layer;
        if (t->layer != layer && !o->recipe)
            continue;
        bg_quantized_tensor q;
        bg_parcel parcel = {0};
        uint8_t *blocks = NULL;
        size_t size;
        status = o->layout->pack ? bg_quantize_tensor(t, o, &parcel, &q, e)
                                 : bg_quantize_blocks(t, o, 0, &blocks, &size, &q, e);
        bg_parcel_free(&parcel);
        free(blocks);
        if (!status)
            add(&s, &q);
    }
    if (!status && !(s.weights > 0))
        status = bg_fail(e, BG_INPUT, "%s: there is no matrix inside a layer to quantize%s", c->path,
                         o->recipe ? " that the recipe names" : "");
    if (!status)
        say(c, o, &s, all, other, bg_now() - start, layer);
    return status;
}

/* ---- options ---- */

/* The one asked for, or the one that suits all specs alike. */
static int choose_layout(const bg_args *a, const bg_ckpt *c, bg_quantize_options *o, bg_err *e)
{
    if (bg_arg_given(a, "layout"))
        return bg_layout_find(bg_arg(a, "layout"), &o->layout, e);
    o->layout = o->spec ? bg_layout_for(o->spec) : NULL;
    for (int i = 0; i < c->n_tensors && o->recipe; i++) {
        const bg_spec *s = bg_quantize_spec(o, &c->tensors[i]);
        const bg_layout *its = s ? bg_layout_for(s) : o->layout;
        o->layout = o->layout ? o->layout : its;
        if (its != o->layout || (its && !its->mixes))
            return bg_layout_find("dense", &o->layout, e);
    }
    return o->layout ? BG_OK : bg_layout_find("dense", &o->layout, e);
}

static int read_dtype(const bg_args *a, bg_dtype *out, bg_err *e)
{
    static const struct {
        const char *name;
        bg_dtype dtype;
    } names[] = {{"f32", BG_F32}, {"f16", BG_F16}, {"bf16", BG_BF16}};
    const char *name = bg_arg(a, "dtype");
    *out = BG_DTYPES;
    for (int i = 0; name && i < 3; i++)
        if (!strcmp(name, names[i].name))
            *out = names[i].dtype;
    return !name || *out != BG_DTYPES
               ? BG_OK
               : bg_fail(e, BG_USAGE, "quantize: --dtype is f32, f16 or bf16, not '%.40s'", name);
}

static int read_options(const bg_args *a, bg_provenance *p, bg_spec *spec, bg_recipe **recipe, bg_quantize_options *o,
                        bg_err *e)
{
    const char *file = bg_arg(a, "recipe");
    int specs = bg_arg_count(a, "spec");
    if (specs > 1 || (!specs && !file))
        return bg_fail(e, BG_USAGE, "quantize: give one spec with -q SPEC, or --recipe FILE");
    if (!bg_arg_given(a, "output") && !bg_arg_given(a, "dry-run"))
        return bg_fail(e, BG_USAGE, "quantize: where to? give -o DIR");
    *o = (bg_quantize_options){.spec = specs ? spec : NULL, .seed = p->seed, .calibration_hash = ""};
    int status = specs ? bg_spec_parse(bg_arg_nth(a, "spec", 0), spec, e) : BG_OK;
    if (!status && file)
        status = bg_recipe_read(file, recipe, p, e);
    o->recipe = *recipe;
    return status ? status : read_dtype(a, &o->dtype, e);
}

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    const char *calibration = bg_arg(a, "calibration"), *directory = bg_arg_output(a, NULL);
    bg_spec spec;
    bg_quantize_options o;
    bg_quantized_model q = {0};
    bg_ckpt *c = NULL;
    bg_recipe *recipe = NULL;
    bg_sha256 hash;
    int status = read_options(a, p, &spec, &recipe, &o, e);
    if (!status)
        status = bg_weights_open(bg_args_word(a, 0), &(bg_ckpt_options){0}, &c, e);
    if (!status)
        status = bg_ckpt_provenance(c, p, e);
    if (!status)
        status = choose_layout(a, c, &o, e);
    if (!status && calibration)
        status = bg_calibration_open(calibration, c, &o.calibration, p, e);
    if (!status && calibration) {
        status = bg_sha256_file(calibration, 0, &hash, NULL, e);
        o.calibration_hash = hash.hex;
    }
    if (!status && bg_arg_given(a, "dry-run"))
        status = dry_run(c, &o, e);
    else if (!status) {
        status = bg_quantize_model(c, &o, directory, &q, e);
        if (!status && q.resumed)
            bg_warn("%s: %d of %d shards were there already, from this same run", directory, q.resumed, q.shards);
        if (!status)
            status = write_document(c, &o, &q, directory, p, e);
    }
    bg_quantized_model_free(&q);
    bg_calibration_close(o.calibration);
    bg_ckpt_close(c);
    bg_recipe_free(recipe);
    return status;
}

static const bg_option options[] = {
    {.name = "spec", .letter = 'q', .argument = "SPEC", .help = "the quantizer (bitgap list)"},
    {.name = "recipe",
     .argument = "FILE",
     .help = "a spec for each matrix: allocation.json, or lines PATTERN SPEC; the others get "
             "-q, without it they stay as they are"},
    {.name = "calibration",
     .argument = "FILE",
     .help = "calibration.json of this model: for the specs that need one, and for the error of the outputs"},
    {.name = "layout",
     .argument = "NAME",
     .help = "dense, compressed-tensors, gptq, awq, bitsandbytes, gguf or bitgap",
     .default_note =
         "compressed-tensors or bitsandbytes where they can hold the specs, bitgap for streams, else dense"},
    {.name = "dtype",
     .argument = "TYPE",
     .help = "of dense matrices, and what bitsandbytes computes in: f32, f16 or bf16",
     .default_note = "each tensor's own"},
    {.name = "dry-run",
     .help = "say size, time and error, judged by the first layer, with --recipe by all; write nothing"},
    {0},
};

const bg_stage bg_stage_quantize = {
    .name = "quantize",
    .arguments = "MODEL",
    .min_words = 1,
    .max_words = 1,
    .summary = "a quantized checkpoint that other programs load",
    .about =
        "Quantizes the matrices inside the layers and writes a directory (-o DIR): a shard a layer, index, config, the "
        "tokenizer's files, and quantization.json with every tensor's rate and error; as gguf one file, "
        "DIR/model.gguf, "
        "with its metadata and tokenizer. Integers of a uniform spec are packed as compressed-tensors unless --layout "
        "says gptq or awq, NF4 and FP4 as bitsandbytes; llama.cpp's types and integers in blocks of 32 go into gguf; "
        "anything can be written dense, its values rounded to --dtype. What was written is read back and compared bit "
        "for bit. With --recipe every matrix has a spec of its own: dense, compressed-tensors and gguf hold that. A "
        "run that was interrupted goes on after its last whole shard.",
    .example = "bitgap quantize data/austen-3.7m -q uniform:bits=4,scope=128 -o austen-int4",
    .options = options,
    .run = run,
};
