/* Owns the table of layouts: what each can hold, how codes become its fields, and its configuration. */
#include "analysis/conversion/layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "io/checkpoints/formats/bitsandbytes_tables.h"
#include "quant/grid/codebook.h"

bg_dtype bg_written_dtype(const bg_tensor *t, const bg_quantize_options *o)
{
    bg_dtype dtype = o->dtype != BG_DTYPES ? o->dtype : t->dtype;
    return dtype == BG_F16 || dtype == BG_BF16 ? dtype : BG_F32;
}

/* n floats as the type holds them, into out; they become what was written. */
static void encode(bg_dtype dtype, float *x, size_t n, void *out)
{
    uint16_t *half = out;
    for (size_t i = 0; i < n && dtype != BG_F32; i++) {
        uint16_t h = dtype == BG_F16 ? bg_f32_to_f16(x[i]) : bg_f32_to_bf16(x[i]);
        x[i] = dtype == BG_F16 ? bg_f16_to_f32(h) : bg_bf16_to_f32(h);
        half[i] = h;
    }
    if (dtype == BG_F32)
        memcpy(out, x, n * sizeof *x);
}

/* "model.layers.0.mlp.up_proj" of "….weight". BG_INPUT when the name is too long. */
static int module_of(const bg_tensor *t, char out[512], bg_err *e)
{
    size_t n = strlen(t->name) - strlen(".weight");
    if (n >= 512)
        return bg_fail(e, BG_INPUT, "the name '%.60s…' is too long", t->name);
    memcpy(out, t->name, n);
    out[n] = 0;
    return BG_OK;
}

/* ---- dense ---- */

static const char *refuse_nothing(const bg_spec *s)
{
    (void)s;
    return NULL;
}

static int pack_dense(const bg_packing *k, bg_parcel *out, bg_err *e)
{
    const bg_tensor *t = k->tensor;
    bg_dtype dtype = bg_written_dtype(t, k->options);
    void *data = malloc(t->count * bg_dtypes[dtype].bits / 8 + 1);
    if (data)
        encode(dtype, k->hat, t->count, data);
    return bg_parcel_add(out, t->name, "", dtype, 2, (int64_t[]){t->rows, t->cols}, data, e);
}

/* ---- integers: compressed-tensors, GPTQ, AWQ ---- */

static const char *no_integers(const bg_spec *s)
{
    if (!(s->grid->flags & BG_GRID_INTEGER) || s->step.word == BG_STEP_SIGNED)
        return "its points are not evenly spaced integers";
    if (s->transform && s->transform->forward)
        return "the weights stay in transformed coordinates";
    if (s->rounding->makes_stream)
        return "its points are coded as a stream";
    if (s->zero == BG_ZERO_MIN)
        return "its zero point is no integer (zero=asym is)";
    if (s->water_steps)
        return "every column has a step of its own";
    if (s->points < 2 || s->points > 256)
        return "it has more than 8 bits";
    return s->scope.kind == BG_SCOPE_BLOCK || s->scope.kind == BG_SCOPE_ROWS ? "its blocks run across rows" : NULL;
}

static const char *no_compressed(const bg_spec *s)
{
    const char *reason = no_integers(s);
    return reason ? reason
           : s->scale != BG_SCALE_F32 && s->scale != BG_SCALE_F16 && s->scale != BG_SCALE_BF16
               ? "its scales are not f32, f16 or bf16"
               : NULL;
}

static const char *no_gptq(const bg_spec *s)
{
    const char *reason = no_integers(s);
    int bits = reason ? 0 : bg_index_bits(s->points);
    return reason                                             ? reason
           : bits != 2 && bits != 3 && bits != 4 && bits != 8 ? "its codes are not of 2, 3, 4 or 8 bits"
           : s->scale != BG_SCALE_F16                         ? "its scales are not f16"
                                                              : NULL;
}

static const char *no_awq(const bg_spec *s)
{
    const char *reason = no_integers(s);
    return reason                              ? reason
           : bg_index_bits(s->points) != 4     ? "its codes are not of 4 bits"
           : s->scale != BG_SCALE_F16          ? "its scales are not f16"
           : s->column_order == BG_COLUMNS_ACT ? "its columns have an order of their own"
                                               : NULL;
}

/* Turns the engine's codes and zero points into unsigned fields: signed q becomes q + 2^(b−1), codes of an unsigned
 * grid (lo = 0) stay, zero points move with them. A tensor's one scale is repeated for every row where `rows` asks for
 * it; then *scales and *zeros are malloc'ed. */
static int fields_of(const bg_packing *k, int rows, bg_codes *q, float **scales, float **zeros, bg_err *e)
{
    const bg_tensor *t = k->tensor;
    bg_stored *s = k->stored;
    int bits = bg_index_bits(s->K), shift = s->lo < 0 ? s->lo + (1 << (bits - 1)) : 0;
    int one = k->options->spec->scope.kind == BG_SCOPE_TENSOR,
        per_row = one || s->groups_per_row < 1 ? 1 : s->groups_per_row;
    *scales = *zeros = NULL;
    if (!s->codes || !s->scales || s->levels)
        return bg_fail(e, BG_INPUT, "the quantizer gives no integer codes of this tensor; use --layout dense");
    if (t->cols % per_row)
        return bg_fail(e, BG_INPUT, "%lld inputs are not a multiple of the group; use --layout dense",
                       (long long)t->cols);
    for (uint64_t i = 0; i < t->count && shift; i++)
        s->codes[i] = (uint16_t)(s->codes[i] + shift);
    int64_t n = one ? 1 : t->rows * per_row;
    int asymmetric = s->zeros && k->options->spec->zero != BG_ZERO_SYM;
    for (int64_t i = 0; i < n && asymmetric; i++)
        s->zeros[i] += (float)(shift - s->lo);
    *q = (bg_codes){.rows = t->rows, .cols = t->cols, .bits = bits, .codes = s->codes, .scales = s->scales};
    q->group_size = one && !rows ? 0 : t->cols / per_row;
    q->zeros = asymmetric ? s->zeros : NULL;
    for (int64_t c = 0; s->column_group && c < t->cols; c++) /* only an order of its own is worth its bytes */
        if (s->column_group[c] != c / q->group_size)
            q->column_group = s->column_group;
    if (!one || !rows)
        return BG_OK;
    *scales = malloc((size_t)t->rows * sizeof **scales);
    *zeros = malloc((size_t)t->rows * sizeof **zeros);
    for (int64_t i = 0; *scales && *zeros && i < t->rows; i++) {
        (*scales)[i] = s->scales[0];
        (*zeros)[i] = asymmetric ? s->zeros[0] : 0;
    }
    q->scales = *scales;
    q->zeros = asymmetric ? *zeros : NULL;
    return *scales && *zeros ? BG_OK : bg_no_memory(e, t->name, 2 * (size_t)t->rows * sizeof **scales);
}

typedef int packer(bg_parcel *p, const char *module, const bg_codes *q, const bg_spec *s, bg_err *e);

static int pack_integers(const bg_packing *k, bg_parcel *out, int rows, packer *pack, bg_err *e)
{
    bg_codes q;
    float *scales, *zeros;
    char module[512];
    int status = module_of(k->tensor, module, e);
    if (status)
        return status;
    status = fields_of(k, rows, &q, &scales, &zeros, e);
    if (!status)
        status = pack(out, module, &q, k->options->spec, e);
    free(scales);
    free(zeros);
    return status;
}

static int ct(bg_parcel *p, const char *module, const bg_codes *q, const bg_spec *s, bg_err *e)
{
    return bg_pack_ct(p, module, q,
                      s->scale == BG_SCALE_F16    ? BG_F16
                      : s->scale == BG_SCALE_BF16 ? BG_BF16
                                                  : BG_F32,
                      e);
}

/* Only version 2 is read alike by everybody when a zero point is 0; symmetric ones are the same for all. */
static int gptq_version(const bg_spec *s)
{
    return s->zero == BG_ZERO_SYM ? 1 : 2;
}

static int gptq(bg_parcel *p, const char *module, const bg_codes *q, const bg_spec *s, bg_err *e)
{
    return bg_pack_gptq(p, module, q, gptq_version(s), e);
}

static int awq(bg_parcel *p, const char *module, const bg_codes *q, const bg_spec *s, bg_err *e)
{
    (void)s;
    return bg_pack_awq(p, module, q, e);
}

static int pack_compressed(const bg_packing *k, bg_parcel *out, bg_err *e)
{
    return pack_integers(k, out, 0, ct, e);
}
static int pack_gptq(const bg_packing *k, bg_parcel *out, bg_err *e)
{
    return pack_integers(k, out, 1, gptq, e);
}
static int pack_awq(const bg_packing *k, bg_parcel *out, bg_err *e)
{
    return pack_integers(k, out, 1, awq, e);
}

static cJSON *add_ignored(cJSON *root, const char *key)
{
    cJSON *list = cJSON_AddArrayToObject(root, key);
    cJSON_AddItemToArray(list, cJSON_CreateString("lm_head"));
    return list;
}

/* One configuration group: a spec and the modules it is for. */
static void add_group(cJSON *groups, int number, const bg_spec *s, cJSON *targets)
{
    static const char *const strategies[] = {"tensor", "channel", "group", "group"};
    char name[32];
    snprintf(name, sizeof name, "group_%d", number);
    cJSON *group = cJSON_AddObjectToObject(groups, name);
    cJSON_AddItemToObject(group, "targets", targets);
    cJSON *weights = cJSON_AddObjectToObject(group, "weights");
    cJSON_AddNumberToObject(weights, "num_bits", bg_index_bits(s->points));
    cJSON_AddStringToObject(weights, "type", "int");
    cJSON_AddBoolToObject(weights, "symmetric", s->zero == BG_ZERO_SYM);
    cJSON_AddStringToObject(weights, "strategy", strategies[s->scope.kind]);
    if (s->scope.kind == BG_SCOPE_GROUP)
        cJSON_AddNumberToObject(weights, "group_size", s->scope.size);
    else
        cJSON_AddNullToObject(weights, "group_size");
    cJSON_AddBoolToObject(weights, "dynamic", 0);
    cJSON_AddNullToObject(group, "input_activations");
    cJSON_AddNullToObject(group, "output_activations");
}

/* Modules of the matrices under this spec; NULL: of those inside the layers that stay. */
static void add_modules(const bg_quantize_options *o, const bg_ckpt *c, const bg_spec *s, cJSON *array)
{
    char module[512];
    for (int i = 0; i < c->n_tensors; i++)
        if (bg_is_layer_matrix(&c->tensors[i]) && bg_quantize_spec(o, &c->tensors[i]) == s &&
            !module_of(&c->tensors[i], module, NULL))
            cJSON_AddItemToArray(array, cJSON_CreateString(module));
}

/* A group a spec. Source: compressed-tensors quantization/quant_config.py and utils/match.py: a target is the name of a
 * class of modules or of one module; what is in `ignore` has no group. */
static void configure_compressed(const bg_quantize_options *o, const bg_ckpt *c, cJSON *root)
{
    cJSON *groups = cJSON_AddObjectToObject(root, "config_groups"), *ignored, *targets;
    const bg_spec **seen = calloc((size_t)c->n_tensors + 1, sizeof *seen);
    int n = 0;
    for (int i = 0; seen && i < c->n_tensors && o->recipe; i++) {
        const bg_spec *s = bg_quantize_spec(o, &c->tensors[i]);
        int k = 0;
        while (k < n && seen[k] != s)
            k++;
        if (!s || k < n)
            continue;
        seen[n++] = s;
        targets = cJSON_CreateArray();
        add_modules(o, c, s, targets);
        add_group(groups, n - 1, s, targets);
    }
    free(seen);
    if (!o->recipe) {
        targets = cJSON_CreateArray();
        cJSON_AddItemToArray(targets, cJSON_CreateString("Linear"));
        add_group(groups, 0, o->spec, targets);
    }
    ignored = add_ignored(root, "ignore");
    add_modules(o, c, NULL, ignored);
    cJSON_AddStringToObject(root, "quant_method", "compressed-tensors");
    cJSON_AddStringToObject(root, "format", "pack-quantized");
    cJSON_AddStringToObject(root, "quantization_status", "compressed");
}

static int group_size(const bg_spec *s)
{
    return s->scope.kind == BG_SCOPE_GROUP ? (int)s->scope.size : -1;
}

static void configure_gptq(const bg_quantize_options *o, const bg_ckpt *c, cJSON *root)
{
    (void)c;
    cJSON_AddStringToObject(root, "quant_method", "gptq");
    cJSON_AddNumberToObject(root, "bits", bg_index_bits(o->spec->points));
    cJSON_AddNumberToObject(root, "group_size", group_size(o->spec));
    cJSON_AddBoolToObject(root, "desc_act", o->spec->column_order == BG_COLUMNS_ACT);
    cJSON_AddBoolToObject(root, "sym", o->spec->zero == BG_ZERO_SYM);
    cJSON_AddBoolToObject(root, "lm_head", 0);
    cJSON_AddStringToObject(root, "checkpoint_format", gptq_version(o->spec) == 1 ? "gptq" : "gptq_v2");
    cJSON_AddStringToObject(root, "pack_dtype", "int32");
}

static void configure_awq(const bg_quantize_options *o, const bg_ckpt *c, cJSON *root)
{
    (void)c;
    cJSON_AddStringToObject(root, "quant_method", "awq");
    cJSON_AddNumberToObject(root, "bits", 4);
    cJSON_AddNumberToObject(root, "group_size", group_size(o->spec));
    cJSON_AddBoolToObject(root, "zero_point", 1);
    cJSON_AddStringToObject(root, "version", "gemm");
    add_ignored(root, "modules_to_not_convert");
}

/* ---- bitsandbytes ---- */

static const char *bitsandbytes_name(const bg_spec *s)
{
    return s->grid->bitsandbytes ? s->grid->bitsandbytes(s) : NULL;
}

static int is_fp4(const bg_spec *s)
{
    return !strcmp(bitsandbytes_name(s), "fp4");
}

static const char *no_bitsandbytes(const bg_spec *s)
{
    if (!bitsandbytes_name(s))
        return "it is neither NF4 nor bitsandbytes' FP4";
    if (s->transform && s->transform->forward)
        return "the weights stay in transformed coordinates";
    if (s->scale != BG_SCALE_F32)
        return "its block maxima are not f32";
    if (s->rounding && (s->rounding->run || s->rounding->choose) && s->double_quantized)
        return "its block maxima are known only after they were quantized";
    int64_t n = s->scope.size;
    return s->scope.kind != BG_SCOPE_BLOCK || n < 64 || n > 4096 || (n & (n - 1))
               ? "its blocks are not of 64, 128, … 4096"
               : NULL;
}

/* Ascending levels, as the engine counts them, in the order of bitsandbytes' codes. */
static int renumber(const bg_stored *s, uint16_t *codes, uint64_t n, int fp4, bg_err *e)
{
    const float *levels = fp4 ? bg_fp4_levels : bg_nf4_levels;
    uint16_t code[16];
    for (int k = 0; k < s->K; k++) {
        int c = 0;
        while (c < 16 && levels[c] != s->levels[k])
            c++;
        if (c == 16)
            return bg_fail(e, BG_INPUT, "level %g is none of bitsandbytes'; use --layout dense", (double)s->levels[k]);
        code[k] = (uint16_t)c;
    }
    for (uint64_t i = 0; i < n; i++)
        codes[i] = code[codes[i]];
    return BG_OK;
}

static int pack_bitsandbytes(const bg_packing *k, bg_parcel *out, bg_err *e)
{
    static const char *const names[] = {[BG_F32] = "float32", [BG_F16] = "float16", [BG_BF16] = "bfloat16"};
    const bg_tensor *t = k->tensor;
    const bg_spec *spec = k->options->spec;
    bg_dtype dtype = bg_written_dtype(t, k->options);
    int fp4 = is_fp4(spec), nested = spec->double_quantized;
    int64_t block = spec->scope.size, blocks = ((int64_t)t->count + block - 1) / block;
    char module[512];
    if (!k->stored->codes || !k->stored->scales || !k->stored->levels || k->stored->K > 16)
        return bg_fail(e, BG_INPUT, "the quantizer gives no codes of a table; use --layout dense");
    int status = module_of(t, module, e);
    if (!status)
        status = renumber(k->stored, k->stored->codes, t->count, fp4, e);
    for (int64_t b = 0; b < blocks && nested && !status; b++) { /* nested maxima are stored from what they were */
        float max = 0;
        for (int64_t i = b * block; i < (b + 1) * block && i < (int64_t)t->count; i++)
            max = k->w[i] > max ? k->w[i] : -k->w[i] > max ? -k->w[i] : max;
        k->stored->scales[b] = max;
    }
    bg_codes q = {.rows = t->rows,
                  .cols = t->cols,
                  .group_size = block,
                  .bits = 4,
                  .codes = k->stored->codes,
                  .scales = k->stored->scales};
    if (!status)
        status = bg_pack_bnb(out, module, &q, fp4, nested, names[dtype], e);
    return status;
}

static void configure_bitsandbytes(const bg_quantize_options *o, const bg_ckpt *c, cJSON *root)
{
    (void)c;
    cJSON_AddStringToObject(root, "quant_method", "bitsandbytes");
    cJSON_AddBoolToObject(root, "load_in_4bit", 1);
    cJSON_AddBoolToObject(root, "load_in_8bit", 0);
    cJSON_AddStringToObject(root, "bnb_4bit_quant_type", bitsandbytes_name(o->spec));
    cJSON_AddBoolToObject(root, "bnb_4bit_use_double_quant", o->spec->double_quantized);
    cJSON_AddStringToObject(root, "bnb_4bit_compute_dtype",
                            o->dtype == BG_F16    ? "float16"
                            : o->dtype == BG_BF16 ? "bfloat16"
                                                  : "float32");
    cJSON_AddStringToObject(root, "bnb_4bit_quant_storage", "uint8");
    add_ignored(root, "llm_int8_skip_modules");
}

/* ---- Bitgap's own: a coded stream for each matrix ---- */

static const char *no_stream(const bg_spec *s)
{
    if (!s->rounding->makes_stream)
        return "it makes no stream; watertrellis does";
    return s->transform && s->transform->forward ? "the weights stay in transformed coordinates" : NULL;
}

static int pack_stream(const bg_packing *k, bg_parcel *out, bg_err *e)
{
    char module[512];
    int status = module_of(k->tensor, module, e);
    if (!status && !k->stored->stream)
        status = bg_fail(e, BG_INPUT, "the quantizer gives no stream; use --layout dense");
    if (status)
        return status;
    uint8_t *bytes = k->stored->stream; /* becomes the parcel's */
    k->stored->stream = NULL;
    return bg_parcel_add(out, module, ".weight_trellis", BG_U8, 1, (int64_t[]){(int64_t)k->stored->stream_bytes}, bytes,
                         e);
}

static void configure_stream(const bg_quantize_options *o, const bg_ckpt *c, cJSON *root)
{
    (void)o, (void)c;
    cJSON_AddStringToObject(root, "quant_method", "bitgap");
    cJSON_AddStringToObject(root, "format", "trellis-stream");
}

/* ---- the table ---- */

static const bg_layout dense = {"dense", refuse_nothing, 0, 1, pack_dense, NULL},
                       compressed = {"compressed-tensors", no_compressed, 1, 1, pack_compressed, configure_compressed},
                       gptq_layout = {"gptq", no_gptq, 1, 0, pack_gptq, configure_gptq},
                       awq_layout = {"awq", no_awq, 1, 0, pack_awq, configure_awq},
                       bitsandbytes = {"bitsandbytes",    no_bitsandbytes,       1, 0,
                                       pack_bitsandbytes, configure_bitsandbytes},
                       stream_layout = {"bitgap", no_stream, 1, 0, pack_stream, configure_stream};

const bg_layout *const bg_layouts[] = {&dense,        &compressed,    &gptq_layout,    &awq_layout,
                                       &bitsandbytes, &stream_layout, &bg_layout_gguf, NULL};

int bg_layout_find(const char *name, const bg_layout **out, bg_err *e)
{
    char known[256] = "";
    for (const bg_layout *const *l = bg_layouts; *l; l++) {
        if (!strcmp((*l)->name, name)) {
            *out = *l;
            return BG_OK;
        }
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", (*l)->name);
    }
    return bg_fail(e, BG_USAGE, "quantize: no layout '%.40s'; there are %s", name, known);
}

const bg_layout *bg_layout_for(const bg_spec *s)
{
    return !no_compressed(s)     ? &compressed
           : !no_bitsandbytes(s) ? &bitsandbytes
           : !no_stream(s)       ? &stream_layout
                                 : &dense;
}

int bg_layout_check(const bg_layout *l, const bg_spec *s, bg_err *e)
{
    const char *reason = l->refusal(s);
    return reason ? bg_fail(e, BG_USAGE, "%s cannot be stored as %s: %s; use --layout dense", s->text, l->name, reason)
                  : BG_OK;
}

int bg_layout_check_model(const bg_ckpt *c, const bg_quantize_options *o, bg_err *e)
{
    const bg_tensor *first = NULL;
    int status = BG_OK;
    for (int i = 0; i < c->n_tensors && !status; i++) {
        const bg_tensor *t = &c->tensors[i];
        if (!bg_is_layer_matrix(t))
            continue;
        first = first ? first : t;
        const bg_spec *s = bg_quantize_spec(o, t), *other = bg_quantize_spec(o, first);
        if (!o->layout->mixes && s != other)
            return bg_fail(e, BG_USAGE,
                           "the layout %s holds one spec for all matrices, and the recipe gives '%s' %s but '%s' %s; "
                           "use --layout dense, compressed-tensors or gguf",
                           o->layout->name, first->name, other ? other->text : "none", t->name, s ? s->text : "none");
        if (s && bg_layout_check(o->layout, s, e))
            status = o->recipe ? bg_context(e, "tensor '%s'", t->name) : e->code;
    }
    return status;
}
