/* Owns the packing of codes into the layouts of other programs; the readers in fmt_gptq.c, fmt_awq.c,
 * fmt_bitsandbytes.c and fmt_compressed_tensors.c define each layout. */
#define _GNU_SOURCE
#include "io/checkpoints/writers/packed_writer.h"

#include <math.h>
#include <stdlib.h>
#include "io/checkpoints/formats/bitsandbytes_tables.h"
#include "io/checkpoints/tensor_store.h"

/* ---- parcels ---- */

static int add(bg_parcel *p, const char *prefix, const char *suffix, bg_dtype dtype, int rank, const int64_t *shape,
               void *data, bg_err *e)
{
    char *name = NULL;
    if (p->n == p->room) {
        int room = p->room ? 2 * p->room : 64;
        bg_safetensors_entry *entries = realloc(p->entries, (size_t)room * sizeof *entries);
        p->entries = entries ? entries : p->entries;
        void **all = entries ? realloc(p->data, (size_t)room * sizeof *all) : NULL;
        p->data = all ? all : p->data;
        p->room = all ? room : p->room;
    }
    if (p->n == p->room || asprintf(&name, "%s%s", prefix, suffix) < 0) {
        free(data);
        return bg_no_memory(e, prefix, 256);
    }
    p->entries[p->n] = (bg_safetensors_entry){.name = name, .dtype = dtype, .rank = rank};
    memcpy(p->entries[p->n].shape, shape, (size_t)rank * sizeof *shape);
    p->data[p->n++] = data;
    return BG_OK;
}

int bg_parcel_add(bg_parcel *p, const char *prefix, const char *suffix, bg_dtype dtype, int rank, const int64_t *shape,
                  void *data, bg_err *e)
{
    return data ? add(p, prefix, suffix, dtype, rank, shape, data, e) : bg_no_memory(e, prefix, 256);
}

int bg_parcel_promise(bg_parcel *p, const char *name, bg_dtype dtype, int rank, const int64_t *shape, bg_err *e)
{
    return add(p, name, "", dtype, rank, shape, NULL, e);
}

uint64_t bg_parcel_bytes(const bg_parcel *p, int i)
{
    uint64_t count, bytes = 0;
    const bg_safetensors_entry *t = &p->entries[i];
    return bg_shape_size(t->shape, t->rank, bg_dtypes[t->dtype].bits, &count, &bytes, NULL) ? 0 : bytes;
}

int bg_parcel_write(const bg_parcel *p, const char *path, bg_err *e)
{
    bg_safetensors_writer w;
    int status = bg_safetensors_begin(&w, path, p->entries, p->n, (const char *const[]){"format", "pt", NULL}, e);
    for (int i = 0; !status && i < p->n; i++)
        status = bg_safetensors_put(&w, p->data[i], bg_parcel_bytes(p, i), e);
    if (!status)
        status = bg_safetensors_commit(&w, e);
    bg_safetensors_abandon(&w);
    return status;
}

void bg_parcel_free(bg_parcel *p)
{
    for (int i = 0; i < p->n; i++) {
        free((char *)p->entries[i].name);
        free(p->data[i]);
    }
    free(p->entries);
    free(p->data);
    *p = (bg_parcel){0};
}

/* ---- fields ---- */

/* Rows and columns of the matrix of scales. */
static int64_t groups_of(const bg_codes *q)
{
    return q->group_size ? (q->cols + q->group_size - 1) / q->group_size : 1;
}

static int64_t scale_rows(const bg_codes *q)
{
    return q->group_size ? q->rows : 1;
}

static unsigned zero_at(const bg_codes *q, int64_t row, int64_t group)
{
    return q->zeros ? (unsigned)q->zeros[row * groups_of(q) + group] : 1u << (q->bits - 1);
}

static int check(const bg_codes *q, const char *layout, int64_t rows_of, int64_t cols_of, bg_err *e)
{
    if (q->rows < 1 || q->cols < 1 || q->group_size < 0 || q->rows % rows_of || q->cols % cols_of)
        return bg_fail(e, BG_USAGE,
                       "%s cannot hold %lld × %lld weights: rows must be a multiple of %lld, columns of %lld", layout,
                       (long long)q->rows, (long long)q->cols, (long long)rows_of, (long long)cols_of);
    for (int64_t i = 0; i < q->rows * q->cols; i++)
        if (q->codes[i] >> q->bits)
            return bg_fail(e, BG_USAGE, "%s: code %u does not fit %d bits", layout, q->codes[i], q->bits);
    for (int64_t i = 0; q->zeros && i < scale_rows(q) * groups_of(q); i++)
        if (!(q->zeros[i] >= 0 && q->zeros[i] < (float)(1 << q->bits) && q->zeros[i] == floorf(q->zeros[i])))
            return bg_fail(e, BG_USAGE, "%s: zero point %g is no whole number of %d bits", layout, (double)q->zeros[i],
                           q->bits);
    return BG_OK;
}

/* Field `index` of a little-endian bit string of words `stride` apart. */
static void put_field(uint32_t *words, int64_t stride, int64_t index, int bits, unsigned value)
{
    int64_t at = index * bits;
    uint64_t pair = (uint64_t)value << (at % 32);
    words[at / 32 * stride] |= (uint32_t)pair;
    if (pair >> 32)
        words[(at / 32 + 1) * stride] |= (uint32_t)(pair >> 32);
}

/* Scales in their stored type, [rows × groups], or turned to [groups × rows]. */
static void *stored_scales(const bg_codes *q, bg_dtype dtype, int turned)
{
    int64_t R = scale_rows(q), G = groups_of(q);
    char *out = malloc((size_t)(R * G) * (bg_dtypes[dtype].bits / 8));
    for (int64_t r = 0; out && r < R; r++)
        for (int64_t g = 0; g < G; g++) {
            float s = q->scales[r * G + g];
            int64_t at = turned ? g * R + r : r * G + g;
            uint16_t half = dtype == BG_F16 ? bg_f32_to_f16(s) : bg_f32_to_bf16(s);
            if (dtype == BG_F32)
                memcpy(out + 4 * at, &s, 4);
            else
                memcpy(out + 2 * at, &half, 2);
        }
    return out;
}

/* ---- GPTQ ---- */

static uint32_t *gptq_zeros(const bg_codes *q, int64_t W, int version)
{
    int64_t G = groups_of(q);
    uint32_t *words = calloc((size_t)(G * W), sizeof *words);
    for (int64_t g = 0; words && g < G; g++) {
        for (int64_t o = 0; o < q->rows; o++) { /* 3 bits wrap field by field, the others borrow through the word */
            unsigned z = zero_at(q, o, g);
            put_field(words + g * W, 1, o, q->bits, version == 1 && q->bits == 3 ? (z - 1) & 7 : z);
        }
        for (int64_t k = 0; version == 1 && q->bits != 3 && k < W; k++)
            words[g * W + k] -= q->bits == 2 ? 0x55555555u : q->bits == 4 ? 0x11111111u : 0x01010101u;
    }
    return words;
}

/* Group of each column. */
static int32_t *order_of(const bg_codes *q)
{
    int32_t *order = malloc((size_t)q->cols * sizeof *order);
    for (int64_t i = 0; order && i < q->cols; i++)
        order[i] = q->column_group ? q->column_group[i] : (int32_t)(i / q->group_size);
    return order;
}

int bg_pack_gptq(bg_parcel *p, const char *module, const bg_codes *q, int version, bg_err *e)
{
    if (q->bits != 2 && q->bits != 3 && q->bits != 4 && q->bits != 8)
        return bg_fail(e, BG_USAGE, "GPTQ cannot hold %d bits", q->bits);
    int status =
        q->group_size ? check(q, "GPTQ", 32, 32, e) : bg_fail(e, BG_USAGE, "GPTQ stores the scales of each row");
    if (status)
        return status;
    int64_t I = q->cols, O = q->rows, G = groups_of(q), W = I * q->bits / 32, Z = O * q->bits / 32;
    uint32_t *words = calloc((size_t)(W * O), sizeof *words);
    for (int64_t o = 0; words && o < O; o++)
        for (int64_t i = 0; i < I; i++)
            put_field(words + o, O, i, q->bits, q->codes[o * I + i]);
    status = bg_parcel_add(p, module, ".qweight", BG_I32, 2, (int64_t[]){W, O}, words, e);
    if (!status)
        status = bg_parcel_add(p, module, ".qzeros", BG_I32, 2, (int64_t[]){G, Z}, gptq_zeros(q, Z, version), e);
    if (!status)
        status = bg_parcel_add(p, module, ".scales", BG_F16, 2, (int64_t[]){G, O}, stored_scales(q, BG_F16, 1), e);
    return status ? status : bg_parcel_add(p, module, ".g_idx", BG_I32, 1, (int64_t[]){I}, order_of(q), e);
}

/* ---- AWQ ---- */

/* Nibble of output column o in its word. */
static int awq_shift(int64_t o)
{
    static const int place[8] = {0, 4, 1, 5, 2, 6, 3, 7};
    return 4 * place[o % 8];
}

int bg_pack_awq(bg_parcel *p, const char *module, const bg_codes *q, bg_err *e)
{
    if (q->bits != 4)
        return bg_fail(e, BG_USAGE, "AWQ cannot hold %d bits", q->bits);
    if (q->group_size < 1 || q->column_group)
        return bg_fail(e, BG_USAGE, "AWQ stores the scales of consecutive columns of each row");
    int status = check(q, "AWQ", 8, q->group_size, e);
    if (status)
        return status;
    int64_t I = q->cols, O = q->rows, G = groups_of(q), W = O / 8;
    uint32_t *words = calloc((size_t)(I * W), sizeof *words), *zeros = calloc((size_t)(G * W), sizeof *zeros);
    for (int64_t o = 0; words && zeros && o < O; o++) {
        for (int64_t i = 0; i < I; i++)
            words[i * W + o / 8] |= (uint32_t)q->codes[o * I + i] << awq_shift(o);
        for (int64_t g = 0; g < G; g++)
            zeros[g * W + o / 8] |= (uint32_t)zero_at(q, o, g) << awq_shift(o);
    }
    status = bg_parcel_add(p, module, ".qweight", BG_I32, 2, (int64_t[]){I, W}, words, e);
    if (status) {
        free(zeros);
        return status;
    }
    status = bg_parcel_add(p, module, ".qzeros", BG_I32, 2, (int64_t[]){G, W}, zeros, e);
    return status ? status
                  : bg_parcel_add(p, module, ".scales", BG_F16, 2, (int64_t[]){G, O}, stored_scales(q, BG_F16, 1), e);
}

/* ---- compressed-tensors ---- */

int bg_pack_ct(bg_parcel *p, const char *module, const bg_codes *q, bg_dtype scale, bg_err *e)
{
    if (q->bits < 1 || q->bits > 8 || (scale != BG_F32 && scale != BG_F16 && scale != BG_BF16))
        return bg_fail(e, BG_USAGE, "compressed-tensors cannot hold %d bits with scales of %s", q->bits,
                       bg_dtypes[scale].name);
    int status = check(q, "compressed-tensors", 1, 1, e);
    if (status)
        return status;
    int64_t I = q->cols, O = q->rows, G = groups_of(q), R = scale_rows(q);
    int64_t W = (I * q->bits + 31) / 32, D = (R * q->bits + 31) / 32;
    uint32_t *words = calloc((size_t)(O * W), sizeof *words);
    for (int64_t o = 0; words && o < O; o++)
        for (int64_t i = 0; i < I; i++)
            put_field(words + o * W, 1, i, q->bits, q->codes[o * I + i]);
    int64_t *shape = malloc(2 * sizeof *shape);
    if (shape) {
        shape[0] = O;
        shape[1] = I;
    }
    status = bg_parcel_add(p, module, ".weight_packed", BG_I32, 2, (int64_t[]){O, W}, words, e);
    if (!status)
        status = bg_parcel_add(p, module, ".weight_scale", scale, q->group_size ? 2 : 1, (int64_t[]){R, G},
                               stored_scales(q, scale, 0), e);
    if (status) {
        free(shape);
        return status;
    }
    status = bg_parcel_add(p, module, ".weight_shape", BG_I64, 1, (int64_t[]){2}, shape, e);
    if (!status && q->column_group)
        status = bg_parcel_add(p, module, ".weight_g_idx", BG_I32, 1, (int64_t[]){I}, order_of(q), e);
    if (status || !q->zeros)
        return status;
    uint32_t *zeros = calloc((size_t)(D * G), sizeof *zeros);
    for (int64_t o = 0; zeros && o < R; o++)
        for (int64_t g = 0; g < G; g++)
            put_field(zeros + g, G, o, q->bits, zero_at(q, o, g));
    return bg_parcel_add(p, module, ".weight_zero_point", BG_I32, 2, (int64_t[]){D, G}, zeros, e);
}

/* ---- bitsandbytes ---- */

static void *copy_of(const void *data, size_t bytes)
{
    void *out = malloc(bytes + 1);
    return out ? memcpy(out, data, bytes) : NULL;
}

static int add_state(bg_parcel *p, const char *module, const bg_codes *q, int fp4, int nested, float offset,
                     const char *dtype, bg_err *e)
{
    char *text = NULL, more[128] = "";
    const char *type = fp4 ? "fp4" : "nf4";
    if (nested)
        snprintf(more, sizeof more,
                 ", \"nested_blocksize\": 256, \"nested_dtype\": \"float32\", \"nested_offset\": %.17g",
                 (double)offset);
    int n =
        asprintf(&text, "{\"quant_type\": \"%s\", \"blocksize\": %lld, \"dtype\": \"%s\", \"shape\": [%lld, %lld]%s}",
                 type, (long long)q->group_size, dtype, (long long)q->rows, (long long)q->cols, more);
    if (n < 0)
        return bg_no_memory(e, module, 256);
    return bg_parcel_add(p, module,
                         fp4 ? ".weight.quant_state.bitsandbytes__fp4" : ".weight.quant_state.bitsandbytes__nf4", BG_U8,
                         1, (int64_t[]){n}, text, e);
}

static int add_absmax(bg_parcel *p, const char *module, const float *absmax, int64_t blocks, int nested, float *offset,
                      bg_err *e)
{
    *offset = 0;
    if (!nested)
        return bg_parcel_add(p, module, ".weight.absmax", BG_F32, 1, (int64_t[]){blocks},
                             copy_of(absmax, (size_t)blocks * 4), e);
    int64_t outer = (blocks + BG_BNB_NESTED - 1) / BG_BNB_NESTED;
    float map[256], *maxima = malloc((size_t)outer * sizeof *maxima);
    uint8_t *bytes = malloc((size_t)blocks);
    bg_bnb_dynamic_map(map);
    *offset = bg_bnb_offset(absmax, blocks);
    for (int64_t k = 0; maxima && bytes && k < blocks; k += BG_BNB_NESTED) {
        int n = blocks - k < BG_BNB_NESTED ? (int)(blocks - k) : BG_BNB_NESTED;
        maxima[k / BG_BNB_NESTED] = bg_bnb_nest(absmax + k, n, map, *offset, bytes + k);
    }
    int status = bg_parcel_add(p, module, ".weight.absmax", BG_U8, 1, (int64_t[]){blocks}, bytes, e);
    if (status) {
        free(maxima);
        return status;
    }
    status = bg_parcel_add(p, module, ".weight.nested_absmax", BG_F32, 1, (int64_t[]){outer}, maxima, e);
    return status ? status
                  : bg_parcel_add(p, module, ".weight.nested_quant_map", BG_F32, 1, (int64_t[]){256},
                                  copy_of(map, sizeof map), e);
}

int bg_pack_bnb(bg_parcel *p, const char *module, const bg_codes *q, int fp4, int nested, const char *dtype, bg_err *e)
{
    int64_t count = q->rows * q->cols;
    if (q->bits != 4 || q->zeros || q->group_size < 64 || (q->group_size & (q->group_size - 1)))
        return bg_fail(
            e, BG_USAGE,
            "bitsandbytes holds 4-bit codes of a table in blocks of 64, 128, …; not %d bits in blocks of %lld", q->bits,
            (long long)q->group_size);
    int64_t blocks = (count + q->group_size - 1) / q->group_size, bytes = (count + 1) / 2;
    uint8_t *packed = calloc((size_t)bytes, 1);
    for (int64_t i = 0; packed && i < count; i++)
        packed[i / 2] |= (uint8_t)((q->codes[i] & 15) << (i % 2 ? 0 : 4)); /* even elements are the high nibbles */
    float offset;
    int status = bg_parcel_add(p, module, ".weight", BG_U8, 2, (int64_t[]){bytes, 1}, packed, e);
    if (!status)
        status = add_absmax(p, module, q->scales, blocks, nested, &offset, e);
    if (!status)
        status = bg_parcel_add(p, module, ".weight.quant_map", BG_F32, 1, (int64_t[]){16},
                               copy_of(fp4 ? bg_fp4_levels : bg_nf4_levels, sizeof bg_nf4_levels), e);
    return status ? status : add_state(p, module, q, fp4, nested, offset, dtype, e);
}
