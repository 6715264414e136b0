/* Owns turning one matrix into the pieces a file holds: dense values, or compressed-tensors' packed integers. */
#include "analysis/quantize_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const bg_layout_names[BG_LAYOUTS] = {"dense", "compressed-tensors"};

int bg_layout_check(bg_layout layout, const bg_spec *s, bg_err *e)
{
    if (layout == BG_LAYOUT_DENSE)
        return BG_OK;
    const char *reason = NULL, *scale = bg_spec_word(s, "scale");
    int K = bg_spec_points(s);
    if (strcmp(s->grid->name, "uniform"))
        reason = "its points are not evenly spaced integers";
    else if (s->transform && strcmp(s->transform->name, "none"))
        reason = "the weights stay in transformed coordinates";
    else if (bg_spec_is(s, "zero", "min"))
        reason = "its zero point is no integer (zero=asym is)";
    else if (strcmp(scale, "f32") && strcmp(scale, "f16") && strcmp(scale, "bf16"))
        reason = "its scales are not f32, f16 or bf16";
    else if (K < 2 || K > 256)
        reason = "it has more than 8 bits";
    else if (s->scope.kind == BG_SCOPE_BLOCK)
        reason = "its blocks run across rows";
    return reason ? bg_fail(e, BG_USAGE, "%s cannot be stored as %s: %s; use --layout dense", s->text,
                            bg_layout_names[layout], reason)
                  : BG_OK;
}

int bg_quantize_takes(const bg_tensor *t)
{
    size_t n = strlen(t->name);
    return t->is_linear && t->layer >= 0 && n > 7 && !strcmp(t->name + n - 7, ".weight");
}

static void *new_piece(bg_piece *p, const char *name, const char *suffix, bg_dtype dtype, int64_t rows, int64_t cols,
                       bg_err *e)
{
    size_t cut = strlen(name) - strlen(".weight");
    *p = (bg_piece){.dtype = dtype, .rank = cols ? 2 : 1, .shape = {rows, cols}};
    if (cut + strlen(suffix) >= sizeof p->name) {
        bg_fail(e, BG_INPUT, "the name '%.60s…' is too long", name);
        return NULL;
    }
    memcpy(p->name, name, cut);
    strcpy(p->name + cut, suffix);
    p->bytes = (size_t)rows * (size_t)(cols ? cols : 1) * bg_dtypes[dtype].bits / 8;
    p->data = calloc(1, p->bytes + 1);
    if (!p->data)
        bg_no_memory(e, name, p->bytes);
    return p->data;
}

/* n floats as the type holds them. */
static void encode(bg_dtype dtype, const float *x, size_t n, void *out)
{
    uint16_t *half = out;
    if (dtype == BG_F32)
        memcpy(out, x, n * sizeof *x);
    else
        for (size_t i = 0; i < n; i++)
            half[i] = dtype == BG_F16 ? bg_f32_to_f16(x[i]) : bg_f32_to_bf16(x[i]);
}

/* ---- dense ---- */

static int lay_dense(const bg_tensor *t, const bg_quantize_options *o, const float *w, const float *hat, bg_piece *piece,
                     double *mse, bg_err *e)
{
    bg_dtype dtype = o->dtype != BG_DTYPES ? o->dtype : t->dtype;
    if (dtype != BG_F16 && dtype != BG_BF16)
        dtype = BG_F32;
    if (!new_piece(piece, t->name, ".weight", dtype, t->rows, t->cols, e))
        return BG_RESOURCE;
    encode(dtype, hat, t->count, piece->data);
    double sum = 0;
    const uint16_t *half = piece->data;
    for (uint64_t i = 0; i < t->count; i++) {
        float written = dtype == BG_F32 ? hat[i] : dtype == BG_F16 ? bg_f16_to_f32(half[i]) : bg_bf16_to_f32(half[i]);
        sum += ((double)w[i] - (double)written) * ((double)w[i] - (double)written);
    }
    *mse = sum / (double)t->count;
    return BG_OK;
}

/* ---- compressed-tensors, pack-quantized ---- */

/* Field i of a string of b-bit fields in 32-bit words, lowest bits first; fields may straddle words. */
static void pack(uint32_t *words, int64_t i, int bits, uint32_t value)
{
    int64_t at = i * bits;
    words[at / 32] |= value << (at % 32);
    if (at % 32 + bits > 32)
        words[at / 32 + 1] |= value >> (32 - at % 32);
}

static int index_bits(int K)
{
    int bits = 1;
    while (1 << bits < K)
        bits++;
    return bits;
}

typedef struct packer {
    const bg_tensor *t;
    const bg_stored *s;
    int bits, shift; /* stored field = code + shift */
    int64_t G;       /* groups of a row; 0: one scale for the tensor */
} packer;

static int64_t scope_of(const packer *p, int64_t row, int64_t col)
{
    int64_t per_group = p->G ? (p->t->cols + p->G - 1) / p->G : 0;
    if (!p->G)
        return 0;
    return row * p->G + (p->s->column_group ? p->s->column_group[col] : col / per_group);
}

/* What a reader will compute must be what the engine reconstructed, to the last bit. */
static int check_exact(const packer *p, const float *hat, bg_err *e)
{
    for (int64_t r = 0; r < p->t->rows; r++)
        for (int64_t c = 0; c < p->t->cols; c++) {
            int64_t i = r * p->t->cols + c, scope = scope_of(p, r, c);
            float q = (float)(p->s->codes[i] + p->s->lo), zero = p->s->zeros ? p->s->zeros[scope] : 0;
            if ((q - zero) * p->s->scales[scope] != hat[i] || zero != rintf(zero))
                return bg_fail(e, BG_INPUT, "weight (%lld, %lld) is %.9g as stored and %.9g as quantized: this spec does not "
                               "fit compressed-tensors; use --layout dense", (long long)r, (long long)c,
                               (double)((q - zero) * p->s->scales[scope]), (double)hat[i]);
        }
    return BG_OK;
}

static int lay_codes(const packer *p, bg_piece *piece, bg_err *e)
{
    int64_t words = (p->t->cols * p->bits + 31) / 32;
    uint32_t *out = new_piece(piece, p->t->name, ".weight_packed", BG_I32, p->t->rows, words, e);
    if (!out)
        return BG_RESOURCE;
    for (int64_t r = 0; r < p->t->rows; r++)
        for (int64_t c = 0; c < p->t->cols; c++)
            pack(out + r * words, c, p->bits, (uint32_t)(p->s->codes[r * p->t->cols + c] + p->shift));
    return BG_OK;
}

/* Column g of the zero points is one bit string down the words of dimension 0. */
static int lay_zeros(const packer *p, bg_piece *piece, bg_err *e)
{
    int64_t rows = p->G ? p->t->rows : 1, G = p->G ? p->G : 1, words = (rows * p->bits + 31) / 32;
    uint32_t *out = new_piece(piece, p->t->name, ".weight_zero_point", BG_I32, words, G, e);
    uint32_t *column = calloc((size_t)words + 1, sizeof *column);
    for (int64_t g = 0; out && column && g < G; g++) {
        memset(column, 0, (size_t)words * sizeof *column);
        for (int64_t r = 0; r < rows; r++) {
            int64_t field = (int64_t)p->s->zeros[r * G + g] - p->s->lo + p->shift;
            if (field < 0 || field >= 1 << p->bits) {
                free(column);
                return bg_fail(e, BG_INPUT, "the zero point %g of row %lld does not fit %d bits; use --layout dense",
                               (double)p->s->zeros[r * G + g], (long long)r, p->bits);
            }
            pack(column, r, p->bits, (uint32_t)field);
        }
        for (int64_t i = 0; i < words; i++)
            out[i * G + g] = column[i];
    }
    if (!column)
        bg_no_memory(e, p->t->name, (unsigned long long)words * sizeof *column);
    free(column);
    return out && column ? BG_OK : BG_RESOURCE;
}

static int is_natural_order(const packer *p)
{
    int64_t per_group = p->G ? (p->t->cols + p->G - 1) / p->G : 0;
    for (int64_t c = 0; p->G && p->s->column_group && c < p->t->cols; c++)
        if (p->s->column_group[c] != c / per_group)
            return 0;
    return 1;
}

static int lay_packed(const bg_tensor *t, const bg_quantize_options *o, const bg_stored *s, const float *hat,
                      bg_piece *pieces, int *n, bg_err *e)
{
    packer p = {.t = t, .s = s, .bits = index_bits(s->K)};
    p.G = o->spec->scope.kind == BG_SCOPE_TENSOR ? 0 : s->groups_per_row > 0 ? s->groups_per_row : 1;
    /* The stored field is q + 2^(b−1) for signed q; codes of an unsigned grid (lo = 0) are moved with their zero points. */
    p.shift = s->lo < 0 ? s->lo + (1 << (p.bits - 1)) : 0;
    const char *word = bg_spec_word(o->spec, "scale");
    bg_dtype scale = !strcmp(word, "f16") ? BG_F16 : !strcmp(word, "bf16") ? BG_BF16 : BG_F32;
    if (!s->codes || !s->scales || s->levels)
        return bg_fail(e, BG_INPUT, "the quantizer gives no integer codes of this tensor; use --layout dense");
    if (p.G > 1 && t->cols % p.G)
        return bg_fail(e, BG_INPUT, "%lld inputs are not a multiple of the group; use --layout dense", (long long)t->cols);
    int status = check_exact(&p, hat, e);
    if (!status)
        status = lay_codes(&p, &pieces[(*n)++], e);
    int64_t rows = p.G ? t->rows : 1;
    if (!status && !new_piece(&pieces[(*n)++], t->name, ".weight_scale", scale, rows, p.G, e))
        status = BG_RESOURCE;
    if (!status)
        encode(scale, s->scales, (size_t)(rows * (p.G ? p.G : 1)), pieces[*n - 1].data);
    int64_t *shape = status ? NULL : new_piece(&pieces[(*n)++], t->name, ".weight_shape", BG_I64, 2, 0, e);
    if (shape)
        memcpy(shape, (int64_t[]){t->rows, t->cols}, 2 * sizeof *shape);
    else if (!status)
        status = BG_RESOURCE;
    if (!status && s->zeros && !bg_spec_is(o->spec, "zero", "sym"))
        status = lay_zeros(&p, &pieces[(*n)++], e);
    if (!status && !is_natural_order(&p)) {
        int32_t *order = new_piece(&pieces[(*n)++], t->name, ".weight_g_idx", BG_I32, t->cols, 0, e);
        if (order)
            memcpy(order, s->column_group, (size_t)t->cols * sizeof *order);
        else
            status = BG_RESOURCE;
    }
    return status;
}

/* ---- one tensor ---- */

int bg_quantize_tensor(const bg_tensor *t, const bg_quantize_options *o, bg_piece *pieces, int *n,
                       bg_quantized_tensor *out, bg_err *e)
{
    bg_measure measure = {0};
    bg_stored stored = {0};
    *n = 0;
    *out = (bg_quantized_tensor){.tensor = t};
    float *w = malloc(t->count * sizeof *w + 1), *hat = malloc(t->count * sizeof *hat + 1);
    int status = w && hat ? bg_tensor_rows(t, 0, t->rows, w, e) : bg_no_memory(e, t->name, 2 * t->count * sizeof *w);
    if (!status) {
        bg_matrix m = bg_matrix_of(w, t->rows, t->cols);
        m.seed = o->seed;
        if (o->calibration)
            status = bg_calibration_dress(o->calibration, t, &m, e);
        if (!status)
            status = bg_reconstruct(&m, o->spec, w, hat, &measure,
                                    o->layout == BG_LAYOUT_COMPRESSED_TENSORS ? &stored : NULL, e);
    }
    if (!status && measure.skipped)
        status = bg_fail(e, BG_INPUT, "%s cannot run here: %s", o->spec->text, measure.skipped);
    if (!status) {
        out->rate_bits = measure.rate_bits;
        out->mse = measure.mse;
        out->output_mse = measure.output_mse;
        if (o->layout == BG_LAYOUT_DENSE)
            status = lay_dense(t, o, w, hat, &pieces[(*n)++], &out->mse, e);
        else
            status = lay_packed(t, o, &stored, hat, pieces, n, e);
    }
    for (int i = 0; i < *n; i++)
        out->bytes += (double)pieces[i].bytes;
    bg_stored_free(&stored);
    free(w);
    free(hat);
    return status ? bg_context(e, "tensor '%s'", t->name) : BG_OK;
}
