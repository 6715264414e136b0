/* Owns the GPTQ layout (AutoGPTQ, GPTQModel): codes packed along the input, zero points along the output.
 *
 *     W[o][i] = scales[g][o]·(code(i,o) − zero(g,o)),  g = g_idx[i]
 *
 * 32 codes take `bits` words of 32 bits: a little-endian bit string, or, in format gptq_p and for 5, 6 and 7 bits,
 * planes. The first version of the format stores zero − 1, with the borrow running through the whole word. Source:
 * ModelCloud/GPTQModel 7.7 nn_modules/qlinear, utils/planar_packing.py, utils/model.py.
 *
 * AutoRound's own files are the same with a bit string at every width, without g_idx, and bits and groups by layer.
 * Source: intel/auto-round 0.16 export/export_to_autoround/export.py, auto_round_extension/torch, utils/bit_packing.py.
 */
#include "io/checkpoints/formats/packed.h"

#include <stdlib.h>

typedef struct layout {
    bg_packed packed;
    const bg_raw *qweight, *qzeros, *scales;
    int planar, version1;
    int32_t groups_of_inputs[]; /* act-order only */
} layout;

/* ---- unpacking ---- */

/* Planes of a planar code, lowest bits first: widths that add up to the bits. */
static const int planes[8][3] = {{0}, {1}, {2}, {2, 1}, {4}, {4, 1}, {4, 2}, {4, 2, 1}};

static void unpack_planar(const uint32_t *words, int bits, uint8_t out[32])
{
    int shift = 0;
    for (int i = 0; i < 32; i++)
        out[i] = 0;
    for (int p = 0; p < 3 && planes[bits][p]; p++) {
        int width = planes[bits][p], per = 32 / width;
        for (int i = 0; i < 32; i++)
            out[i] |= (uint8_t)(((words[i / per] >> (width * (i % per))) & ((1u << width) - 1)) << shift);
        words += width;
        shift += width;
    }
}

/* 32 codes of `bits` words. */
static void unpack_chunk(const layout *l, const uint32_t *words, uint8_t out[32])
{
    int bits = l->packed.bits;
    if (l->planar)
        unpack_planar(words, bits, out);
    else
        bg_unpack_bits((const uint8_t *)words, bits, 32, out);
}

/* Eight nibbles to eight bytes. */
static inline uint64_t spread(uint32_t word)
{
    uint64_t x = word;
    x = (x | x << 16) & 0x0000ffff0000ffffu;
    x = (x | x << 8) & 0x00ff00ff00ff00ffu;
    return (x | x << 4) & 0x0f0f0f0f0f0f0f0fu;
}

/* words [W × n] (one column an output) → codes [n × cols]. */
static void turn_codes(const layout *l, const uint32_t *words, int64_t W, int64_t n, int64_t cols, uint8_t *codes)
{
    int bits = l->packed.bits;
    if (bits == 4 && cols == 8 * W) {
        for (int64_t o = 0; o < n; o++)
            for (int64_t k = 0; k < W; k++) {
                uint64_t eight = spread(words[k * n + o]);
                memcpy(codes + o * cols + 8 * k, &eight, sizeof eight);
            }
        return;
    }
    for (int64_t o = 0; o < n; o++)
        for (int64_t i = 0; i < cols; i += 32) {
            uint32_t chunk[8] = {0};
            uint8_t out[32];
            for (int64_t k = 0; k < bits && i / 32 * bits + k < W; k++)
                chunk[k] = words[(i / 32 * bits + k) * n + o];
            unpack_chunk(l, chunk, out);
            memcpy(codes + o * cols + i, out, (size_t)(cols - i < 32 ? cols - i : 32));
        }
}

static int fill_codes(const bg_tensor *t, const layout *l, int64_t first, bg_tile *tile, bg_err *e)
{
    int64_t W = l->qweight->shape[0], O = l->qweight->shape[1], n = tile->rows;
    uint32_t *words = malloc((size_t)(W * n) * sizeof *words);
    if (!words)
        return bg_no_memory(e, t->name, (size_t)(W * n) * sizeof *words);
    int status = BG_OK;
    if (n == O)
        status = bg_raw_read(t->ckpt->impl, l->qweight, 0, words, l->qweight->bytes, e);
    for (int64_t k = 0; !status && n < O && k < W; k++)
        status =
            bg_raw_read(t->ckpt->impl, l->qweight, (uint64_t)(k * O + first) * 4, words + k * n, (uint64_t)n * 4, e);
    if (!status)
        turn_codes(l, words, W, n, tile->cols, tile->codes);
    if (first + n == O)
        bg_raw_release(t->ckpt->impl, l->qweight);
    free(words);
    return status;
}

/* Adds 1 to the zero points of a word as version 1 took it away: with carry through the whole word where fields are
 * powers of two wide, field by field otherwise. */
static uint32_t undo_version1(uint32_t word, int bits)
{
    return word + (bits == 2 ? 0x55555555u : bits == 4 ? 0x11111111u : bits == 8 ? 0x01010101u : 0);
}

/* Zero points of outputs [first, first + n) of group g into every groups-th place of `out`. */
static int fill_zeros(const bg_tensor *t, const layout *l, int64_t first, int64_t g, bg_tile *tile, bg_err *e)
{
    int bits = l->packed.bits, fieldwise = l->version1 && (bits & (bits - 1));
    int64_t width = l->qzeros->shape[1];
    for (int64_t o = first & ~(int64_t)31; o < first + tile->rows; o += 32) {
        uint32_t words[8] = {0};
        uint8_t zeros[32];
        int64_t at = o / 32 * bits, n = width - at < bits ? width - at : bits;
        int status = bg_raw_read(t->ckpt->impl, l->qzeros, (uint64_t)(g * width + at) * 4, words, (uint64_t)n * 4, e);
        if (status)
            return status;
        for (int k = 0; l->version1 && k < bits; k++)
            words[k] = undo_version1(words[k], bits);
        unpack_chunk(l, words, zeros);
        for (int k = 0; k < 32; k++)
            if (o + k >= first && o + k < first + tile->rows)
                tile->zeros[(o + k - first) * tile->groups + g] = (float)((zeros[k] + fieldwise) & ((1 << bits) - 1));
    }
    return BG_OK;
}

static int fill(const bg_tensor *t, int64_t first, bg_tile *tile, bg_err *e)
{
    const layout *l = t->layout;
    int status = fill_codes(t, l, first, tile, e);
    float *row = malloc((size_t)tile->rows * sizeof *row);
    if (!row)
        return bg_no_memory(e, t->name, (size_t)tile->rows * sizeof *row);
    for (int64_t g = 0; !status && g < tile->groups; g++) {
        status = bg_raw_some(t->ckpt->impl, l->scales, g * t->rows + first, tile->rows, row, e);
        for (int64_t r = 0; !status && r < tile->rows; r++)
            tile->scales[r * tile->groups + g] = row[r];
        if (!status)
            status = fill_zeros(t, l, first, g, tile, e);
    }
    free(row);
    return status;
}

const bg_format bg_format_gptq = {
    .name = "gptq",
    .help = "GPTQ 2 to 8 bits, act-order, zero points of both versions, planar packing; AutoRound",
    .rows = bg_packed_rows,
    .indices = bg_packed_indices,
    .scales = bg_packed_scales,
};

/* ---- claiming ---- */

typedef struct parts {
    bg_raw *qweight, *qzeros, *scales, *g_idx;
    int64_t inputs, outputs, groups, group_size;
    int bits, planar, version1, auto_round;
} parts;

int bg_auto_round_version(const cJSON *quantization)
{
    const char *packing = bg_json_string(quantization, "packing_format", "");
    if (strcmp(bg_json_string(quantization, "quant_method", ""), "auto-round") ||
        strcmp(bg_json_string(quantization, "data_type", "int"), "int"))
        return 0;
    return !strcmp(packing, "auto_round:auto_gptq")                                     ? 1
           : !strcmp(packing, "auto_round") || !strcmp(packing, "auto_round:gptqmodel") ? 2
                                                                                        : 0;
}

static int read_format(const bg_load *l, parts *p, bg_err *e)
{
    int version = bg_auto_round_version(l->quantization);
    p->auto_round = version > 0;
    p->version1 = version == 1;
    if (p->auto_round)
        return BG_OK;
    const cJSON *q = l->quantization;
    const char *format = bg_json_string(q, "checkpoint_format", bg_json_string(q, "format", "gptq"));
    const char *words = bg_json_string(q, "pack_dtype", "int32");
    if (bg_json_bool(q, "is_marlin_format", 0) || !strcmp(format, "marlin"))
        return bg_fail(e, BG_INPUT,
                       "%s: GPTQ repacked for Marlin kernels, which Bitgap cannot decode; use the original GPTQ files",
                       l->ckpt->title);
    if (strcmp(words, "int32"))
        return bg_fail(e, BG_INPUT, "%s: GPTQ packed into %s; only int32 is read", l->ckpt->title, words);
    if (strcmp(format, "gptq") && strcmp(format, "gptq_v2") && strcmp(format, "gptq_p"))
        return bg_fail(e, BG_INPUT, "%s: GPTQ checkpoint format '%s', which Bitgap cannot decode", l->ckpt->title,
                       format);
    p->version1 = !strcmp(format, "gptq");
    p->planar = !strcmp(format, "gptq_p");
    return BG_OK;
}

/* Bits and inputs: from g_idx when it is there (a layer may override the configuration), with AutoRound from the words
 * of the zero points, else from the configuration. */
static int find_bits(const bg_load *l, parts *p, bg_err *e)
{
    int64_t W = p->qweight->shape[0], bits = 4;
    int status = bg_json_integer(l->quantization, "bits", &bits, e);
    if (status)
        return bg_context(e, "%s", l->ckpt->title);
    if (p->g_idx) {
        if (p->g_idx->rank != 1 || p->g_idx->shape[0] < 1 || W > INT64_MAX / 32 || 32 * W % p->g_idx->shape[0])
            return bg_raw_wrong(l->store, p->g_idx, e, "its length does not fit %lld rows of packed words",
                                (long long)W);
        bits = 32 * W / p->g_idx->shape[0];
    } else if (p->auto_round) {
        if (p->qzeros->rank != 2 || p->qzeros->shape[1] > INT64_MAX / 32 || 32 * p->qzeros->shape[1] % p->outputs)
            return bg_raw_wrong(l->store, p->qzeros, e, "holds no whole bits for each of %lld outputs",
                                (long long)p->outputs);
        bits = 32 * p->qzeros->shape[1] / p->outputs;
    }
    if (bits < 2 || bits > 8)
        return bg_raw_wrong(l->store, p->qweight, e, "%lld bits; GPTQ has 2 to 8", (long long)bits);
    p->bits = (int)bits;
    p->inputs = p->g_idx ? p->g_idx->shape[0] : 32 * W / bits;
    if (p->bits > 4 && p->bits < 8 && !p->auto_round)
        p->planar = 1;
    if (p->planar && (p->bits & (p->bits - 1)) && (p->inputs % 32 || p->outputs % 32))
        return bg_raw_wrong(l->store, p->qweight, e,
                            "planar packing of %lld × %lld weights, which are not multiples of 32",
                            (long long)p->outputs, (long long)p->inputs);
    return BG_OK;
}

static int find_groups(const bg_load *l, const char *prefix, parts *p, bg_err *e)
{
    const bg_store *s = l->store;
    const cJSON *own = cJSON_GetObjectItemCaseSensitive(l->quantization, "extra_config");
    double asked = bg_json_number(cJSON_GetObjectItemCaseSensitive(own, prefix), "group_size",
                                  bg_json_number(l->quantization, "group_size", 128));
    p->groups = p->scales->shape[0];
    p->group_size = asked >= 1 && asked < (double)p->inputs ? (int64_t)asked : p->inputs;
    int64_t needed = (p->inputs + p->group_size - 1) / p->group_size;
    if (needed != p->groups) { /* a layer of its own, or a file without a configuration */
        if (l->quantization && !own && !cJSON_HasObjectItem(l->quantization, "dynamic"))
            return bg_raw_wrong(s, p->scales, e,
                                "%lld groups where group_size %lld needs %lld; the file and its configuration disagree",
                                (long long)p->groups, (long long)p->group_size, (long long)needed);
        if (p->groups < 1 || p->groups > p->inputs)
            return bg_raw_wrong(s, p->scales, e, "%lld groups of %lld inputs", (long long)p->groups,
                                (long long)p->inputs);
        p->group_size = (p->inputs + p->groups - 1) / p->groups;
    }
    int status = bg_raw_expect(s, p->scales, BG_DTYPES, 2, p->groups, p->outputs, e);
    if (!status)
        status = bg_raw_expect(s, p->qzeros, BG_I32, 2, p->groups, (p->outputs * p->bits + 31) / 32, e);
    return status;
}

/* A stored zero of all ones is a true zero point of 0: only the carry rule restores it. */
static int warn_of_wrapping(const bg_load *l, const parts *p, bg_err *e)
{
    if (!p->version1 || bg_json_bool(l->quantization, "sym", 1) || p->bits == 3)
        return BG_OK;
    void *data;
    int status = bg_raw_bytes(l->store, p->qzeros, &data, e), wraps = 0;
    if (status)
        return status;
    uint8_t codes[4];
    for (uint64_t i = 0; !wraps && (p->bits == 2 || p->bits == 4 || p->bits == 8) && i < p->qzeros->bytes; i++) {
        bg_unpack_bits((const uint8_t *)data + i, p->bits, (size_t)(8 / p->bits), codes);
        for (int k = 0; k < 8 / p->bits; k++)
            wraps |= codes[k] == (1 << p->bits) - 1;
    }
    if (wraps)
        bg_warn("%s: its version-1 zero points wrap around; written with sym=false, decoded with carry",
                p->qzeros->name);
    free(data);
    return BG_OK;
}

static int add(bg_load *l, const char *prefix, const parts *p, bg_err *e)
{
    bg_tensor *t = bg_packed_add(l, prefix, ".weight", &bg_format_gptq, (int64_t[]){p->outputs, p->inputs}, 2,
                                 sizeof(layout) + (size_t)p->inputs * sizeof(int32_t), e);
    if (!t)
        return e ? e->code : BG_INPUT;
    layout *y = t->layout;
    *y = (layout){.packed = {.fill = fill, .groups = p->groups, .group_size = p->group_size, .bits = p->bits},
                  .qweight = p->qweight,
                  .qzeros = p->qzeros,
                  .scales = p->scales,
                  .planar = p->planar,
                  .version1 = p->version1};
    int ordered = 1, status = BG_OK;
    if (p->g_idx) {
        status = bg_raw_groups(l->store, p->g_idx, p->inputs, p->groups, y->groups_of_inputs, e);
        for (int64_t i = 0; !status && ordered && i < p->inputs; i++)
            ordered = y->groups_of_inputs[i] == i / p->group_size;
        if (!ordered)
            y->packed.group_of = y->groups_of_inputs;
    }
    if (status)
        return status;
    bg_store_map(l->store, p->qweight);
    bg_packed_take(t, BG_PART_INDICES, p->qweight);
    bg_packed_take(t, BG_PART_SCALES, p->scales);
    bg_packed_take(t, BG_PART_ZEROS, p->qzeros);
    bg_packed_take(t, BG_PART_ORDER, p->g_idx);
    t->index_levels = 1 << p->bits;
    t->group_size = p->groups == 1 ? -1 : (int)p->group_size;
    char group[32];
    if (p->groups == 1)
        snprintf(group, sizeof group, "rows");
    else
        snprintf(group, sizeof group, "g%d", t->group_size);
    return bg_tensor_storage(t, e, "GPTQ %d-bit %s%s%s", p->bits, group, ordered ? "" : " act-order",
                             p->planar     ? " planar"
                             : p->version1 ? ""
                                           : " v2");
}

int bg_claim_gptq(bg_load *l, const char *prefix, bg_raw *anchor, bg_err *e)
{
    const bg_store *s = l->store;
    parts p = {.qweight = anchor,
               .qzeros = bg_store_find2(s, prefix, ".qzeros"),
               .scales = bg_store_find2(s, prefix, ".scales"),
               .g_idx = bg_store_find2(s, prefix, ".g_idx")};
    if (!p.scales || p.scales->rank != 2 || anchor->rank != 2 || anchor->shape[1] != p.scales->shape[1])
        return BG_OK;
    if (!p.qzeros)
        return bg_raw_wrong(s, anchor, e, "there is no '%s.qzeros' beside it; fetch the checkpoint again", prefix);
    p.outputs = anchor->shape[1];
    if (!anchor->count)
        return bg_raw_wrong(s, anchor, e, "is empty");
    int status = bg_raw_expect(s, anchor, BG_I32, 2, -1, -1, e);
    if (!status)
        status = read_format(l, &p, e);
    if (!status)
        status = find_bits(l, &p, e);
    if (!status)
        status = bg_raw_expect(s, anchor, BG_I32, 2, (p.inputs * p.bits + 31) / 32, p.outputs, e);
    if (!status)
        status = find_groups(l, prefix, &p, e);
    if (!status)
        status = warn_of_wrapping(l, &p, e);
    return status ? status : add(l, prefix, &p, e);
}
