/* bitgap quantize: a model under a spec, as a checkpoint that other programs load. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/quantize_model.h"
#include "io/file.h"
#include "io/opt.h"

/* ---- the document ---- */

static int write_document(const bg_ckpt *c, const bg_quantize_options *o, const bg_quantized *q, const char *directory,
                          const bg_provenance *p, bg_err *e)
{
    double weights = 0, bits = 0, error = 0;
    for (int i = 0; i < q->n; i++) {
        double n = (double)q->tensors[i].tensor->count;
        weights += n;
        bits += n * q->tensors[i].rate_bits;
        error += n * q->tensors[i].mse;
    }
    char *path = bg_path_join(directory, "quantization.json");
    bg_doc d;
    int status = path ? bg_doc_begin(&d, "quantization", path, p, e) : bg_no_memory(e, "a path", strlen(directory));
    free(path);
    if (status)
        return status;
    bg_doc_section(&d, "models");
    bg_doc_row(&d);
    bg_doc_string(&d, "model", c->title);
    bg_doc_string(&d, "spec", o->spec->text);
    bg_doc_string(&d, "layout", o->layout->name);
    bg_doc_integer(&d, "weights", (int64_t)weights);
    bg_doc_number(&d, "rate_bits", bits / weights);
    bg_doc_integer(&d, "bytes", (int64_t)q->bytes);
    bg_doc_integer(&d, "original_bytes", (int64_t)c->file_bytes);
    bg_doc_number(&d, "mse", error / weights);
    bg_doc_integer(&d, "shards", q->shards);
    bg_doc_row_end(&d);
    bg_doc_section(&d, "tensors");
    for (int i = 0; i < q->n; i++) {
        const bg_quantized_tensor *t = &q->tensors[i];
        bg_doc_row(&d);
        bg_doc_string(&d, "tensor", t->tensor->name);
        bg_doc_string(&d, "group", t->tensor->group);
        bg_doc_integer(&d, "layer", t->tensor->layer);
        bg_doc_string(&d, "spec", o->spec->text);
        bg_doc_integer(&d, "weights", (int64_t)t->tensor->count);
        bg_doc_number(&d, "rate_bits", t->rate_bits);
        bg_doc_number(&d, "mse", t->mse);
        if (o->calibration && isfinite(t->output_mse))
            bg_doc_number(&d, "output_mse", t->output_mse);
        bg_doc_integer(&d, "bytes", (int64_t)t->bytes);
        bg_doc_row_end(&d);
    }
    return bg_doc_commit(&d, e);
}

/* ---- the dry run ---- */

/* Quantizes the first layer's matrices, writes nothing, and says what the whole would take. */
static int dry_run(const bg_ckpt *c, const bg_quantize_options *o, bg_err *e)
{
    double all = 0, seen = 0, bits = 0, error = 0, energy = 0, written = 0, other = 0, start = bg_now();
    int layer = -1, status = bg_layout_check(o->layout, o->spec, e);
    for (int i = 0; i < c->n_tensors && !status; i++) {
        const bg_tensor *t = &c->tensors[i];
        if (!bg_quantize_takes(t)) {
            other += (double)t->count * (t->dtype == BG_F16 || t->dtype == BG_BF16 ? 2 : 4);
            continue;
        }
        all += (double)t->count;
        layer = layer < 0 ? t->layer : layer;
        if (t->layer != layer)
            continue;
        bg_quantized_tensor q;
        bg_parcel parcel = {0};
        uint8_t *blocks = NULL;
        size_t size;
        status = o->layout->pack ? bg_quantize_tensor(t, o, &parcel, &q, e)
                                 : bg_quantize_blocks(t, o, 0, &blocks, &size, &q, e);
        bg_parcel_free(&parcel);
        free(blocks);
        float *w = status ? NULL : malloc(t->count * sizeof *w);
        if (!status && !w)
            status = bg_no_memory(e, t->name, t->count * sizeof *w);
        if (!status)
            status = bg_tensor_rows(t, 0, t->rows, w, e);
        for (uint64_t k = 0; k < t->count && !status; k++)
            energy += (double)w[k] * (double)w[k];
        free(w);
        seen += (double)t->count;
        bits += q.rate_bits * (double)t->count;
        error += q.mse * (double)t->count;
        written += q.bytes;
    }
    if (!status && !(seen > 0))
        status = bg_fail(e, BG_INPUT, "%s: there is no matrix inside a layer to quantize", c->path);
    if (status)
        return status;
    printf("%s under %s as %s, judged by layer %d:\n", c->title, o->spec->text, o->layout->name, layer);
    printf("  %.0f weights at %.4f bits; %.0f bytes to write (the original has %.0f)\n", all, bits / seen,
           written * all / seen + other, (double)c->file_bytes);
    printf("  about %.1f s; relative error of the weights %.4g\n", (bg_now() - start) * all / seen,
           energy > 0 ? error / energy : 0);
    return BG_OK;
}

/* ---- options ---- */

static int read_layout(const bg_args *a, const bg_spec *s, const bg_layout **out, bg_err *e)
{
    const char *name = bg_arg(a, "layout");
    if (name)
        return bg_layout_find(name, out, e);
    *out = bg_layout_for(s);
    return BG_OK;
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
    return !name || *out != BG_DTYPES ? BG_OK
                                      : bg_fail(e, BG_USAGE, "quantize: --dtype is f32, f16 or bf16, not '%.40s'", name);
}

static int read_options(const bg_args *a, const bg_provenance *p, bg_spec *spec, bg_quantize_options *o, bg_err *e)
{
    if (bg_arg_count(a, "spec") != 1)
        return bg_fail(e, BG_USAGE, "quantize: give one spec with -q SPEC");
    if (!bg_arg_given(a, "output") && !bg_arg_given(a, "dry-run"))
        return bg_fail(e, BG_USAGE, "quantize: where to? give -o DIR");
    *o = (bg_quantize_options){.spec = spec, .seed = p->seed, .calibration_hash = ""};
    int status = bg_spec_parse(bg_arg_nth(a, "spec", 0), spec, e);
    if (!status)
        status = read_layout(a, spec, &o->layout, e);
    return status ? status : read_dtype(a, &o->dtype, e);
}

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    const char *calibration = bg_arg(a, "calibration"), *directory = bg_arg_output(a, NULL);
    bg_spec spec;
    bg_quantize_options o;
    bg_quantized q = {0};
    bg_ckpt *c = NULL;
    bg_sha256 hash;
    int status = read_options(a, p, &spec, &o, e);
    if (!status)
        status = bg_ckpt_open(bg_args_word(a, 0), &(bg_ckpt_options){0}, &c, e);
    if (!status)
        status = bg_ckpt_provenance(c, p, e);
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
    bg_quantized_free(&q);
    bg_calibration_close(o.calibration);
    bg_ckpt_close(c);
    return status;
}

static const bg_option options[] = {
    {.name = "spec", .letter = 'q', .argument = "SPEC", .help = "the quantizer (bitgap list)"},
    {.name = "calibration", .argument = "FILE", .help = "calibration.json of this model, for the specs that need one"},
    {.name = "layout", .argument = "NAME", .help = "dense, compressed-tensors, gptq, awq, bitsandbytes or gguf (default: "
                                                   "compressed-tensors or bitsandbytes where the spec can be, else dense)"},
    {.name = "dtype", .argument = "TYPE", .help = "of dense matrices, and what bitsandbytes computes in: f32, f16, bf16 "
                                                  "(default: each tensor's own)"},
    {.name = "dry-run", .help = "say size, time and error, judged by the first layer; write nothing"},
    {0},
};

const bg_stage bg_stage_quantize = {
    .name = "quantize",
    .arguments = "MODEL",
    .least = 1,
    .most = 1,
    .summary = "a quantized checkpoint that other programs load",
    .about = "Quantizes the matrices inside the layers and writes a directory (-o DIR): a shard a layer, index, config, the "
             "tokenizer's files, and quantization.json with every tensor's rate and error; as gguf one file, DIR/model.gguf, "
             "with its metadata and tokenizer. Integers of a uniform spec are packed as compressed-tensors unless --layout "
             "says gptq or awq, NF4 and FP4 as bitsandbytes; llama.cpp's types and integers in blocks of 32 go into gguf; "
             "anything can be written dense, its values rounded to --dtype. What was written is read back and compared bit "
             "for bit. A run that was interrupted goes on after its last whole shard.",
    .example = "bitgap quantize data/austen-3.7m -q uniform:bits=4,scope=128 -o austen-int4",
    .options = options,
    .run = run,
};
