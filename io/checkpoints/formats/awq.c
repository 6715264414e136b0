/* Owns the AWQ layouts of 4 bits (AutoAWQ): GEMM packs outputs in the order 0,2,4,6,1,3,5,7, GEMV packs inputs in
 * natural order; zero points are stored as they are.
 *
 *     W[o][i] = (code(i,o) − zero(i/gs,o))·scales[i/gs][o]
 *
 * Source: casper-hansen/AutoAWQ 0.2.9 utils/packing_utils.py, modules/linear/{gemm,gemv}.py.
 */
#include "io/checkpoints/formats/packed.h"

#include <stdlib.h>
#include <strings.h>

typedef struct layout {
    bg_packed packed;
    const bg_raw *qweight, *qzeros, *scales; /* qzeros NULL: every zero point is 8 */
    int64_t width;                           /* GEMV: scales of a row as stored, padding included */
} layout;

/* Nibbles of a GEMM word to bytes in the order of the outputs: output j is in nibble 0,4,1,5,2,6,3,7. */
static inline uint64_t spread(uint32_t word)
{
    uint64_t low = word & 0xffffu, high = word >> 16; /* nibbles 0..3 are outputs 0,2,4,6; 4..7 are 1,3,5,7 */
    low = (low | low << 24) & 0x000000ff000000ffu;
    low = (low | low << 12) & 0x000f000f000f000fu;
    high = (high | high << 24) & 0x000000ff000000ffu;
    high = (high | high << 12) & 0x000f000f000f000fu;
    return low | high << 8;
}

/* Turns an 8 × 8 matrix of bytes, one row a word. */
static inline void turn8(uint64_t m[8])
{
    for (int half = 4; half; half /= 2) {
        const uint64_t mask = half == 4 ? 0x00000000ffffffffu : half == 2 ? 0x0000ffff0000ffffu : 0x00ff00ff00ff00ffu;
        for (int i = 0; i < 8; i++)
            if (!(i & half)) {
                uint64_t a = m[i], b = m[i + half];
                m[i] = (a & mask) | (b & mask) << (8 * half);
                m[i + half] = (a >> (8 * half) & mask) | (b & ~mask);
            }
    }
}

/* words [I × W], one word eight outputs → codes of outputs [skip, skip + n). */
static void turn_codes(const uint32_t *words, int64_t W, int64_t skip, int64_t n, int64_t cols, uint8_t *codes)
{
    for (int64_t w = 0; w < W; w++)
        for (int64_t i = 0; i < cols; i += 8) {
            uint64_t m[8] = {0};
            int64_t k = cols - i < 8 ? cols - i : 8;
            for (int64_t j = 0; j < k; j++)
                m[j] = spread(words[(i + j) * W + w]);
            turn8(m);
            for (int64_t j = 0; j < 8; j++) {
                int64_t row = 8 * w + j - skip;
                if (row >= 0 && row < n)
                    memcpy(codes + row * cols + i, &m[j], (size_t)k);
            }
        }
}

/* Words of the outputs [first, first + n) in `rows` rows of a packed matrix (malloc'ed): *W words a row, the first
 * `*skip` outputs of which come before `first`. */
static int read_words(const bg_tensor *t, const bg_raw *r, int64_t first, int64_t n, uint32_t **out, int64_t *W,
                      int64_t *skip, bg_err *e)
{
    int64_t rows = r->shape[0], width = r->shape[1], begin = first / 8;
    *W = (first + n + 7) / 8 - begin;
    *skip = first - 8 * begin;
    uint32_t *words = malloc((size_t)(rows * *W) * sizeof *words);
    if (!words)
        return bg_no_memory(e, t->name, (size_t)(rows * *W) * sizeof *words);
    int status = BG_OK;
    if (*W == width)
        status = bg_raw_read(t->ckpt->impl, r, 0, words, r->bytes, e);
    for (int64_t k = 0; !status && *W < width && k < rows; k++)
        status = bg_raw_read(t->ckpt->impl, r, (uint64_t)(k * width + begin) * 4, words + k * *W, (uint64_t)*W * 4, e);
    if (status)
        free(words);
    else
        *out = words;
    return status;
}

static int fill_gemm(const bg_tensor *t, int64_t first, bg_tile *tile, bg_err *e)
{
    const layout *l = t->layout;
    uint32_t *words = NULL;
    int64_t W, skip, n = tile->rows;
    int status = read_words(t, l->qweight, first, n, &words, &W, &skip, e);
    if (status)
        return status;
    turn_codes(words, W, skip, n, tile->cols, tile->codes);
    if (first + n == t->rows)
        bg_raw_release(t->ckpt->impl, l->qweight);
    free(words);
    words = NULL;
    if (l->qzeros && (status = read_words(t, l->qzeros, first, n, &words, &W, &skip, e)))
        return status;
    float *row = malloc((size_t)n * sizeof *row);
    if (!row)
        status = bg_no_memory(e, t->name, (size_t)n * sizeof *row);
    for (int64_t g = 0; !status && g < tile->groups; g++) {
        status = bg_raw_some(t->ckpt->impl, l->scales, g * t->rows + first, n, row, e);
        for (int64_t r = 0; !status && r < n; r++) {
            uint64_t eight = words ? spread(words[g * W + (skip + r) / 8]) : 0x0808080808080808u;
            tile->scales[r * tile->groups + g] = row[r];
            tile->zeros[r * tile->groups + g] = (float)((eight >> (8 * ((skip + r) % 8))) & 15);
        }
    }
    free(row);
    free(words);
    return status;
}

static int fill_gemv(const bg_tensor *t, int64_t first, bg_tile *tile, bg_err *e)
{
    const layout *l = t->layout;
    const bg_store *s = t->ckpt->impl;
    int64_t n = tile->rows, packed = tile->cols / 2, zeros = l->width / 2; /* bytes a row */
    uint8_t *raw = malloc((size_t)(n * (packed + zeros)) + (size_t)l->width);
    float *row = malloc((size_t)l->width * sizeof *row);
    int status = raw && row ? BG_OK : bg_no_memory(e, t->name, (size_t)(n * packed));
    uint8_t *z = raw + n * packed, *unpacked = z + n * zeros;
    if (!status)
        status = bg_raw_read(s, l->qweight, (uint64_t)(first * packed), raw, (uint64_t)(n * packed), e);
    if (!status)
        status = bg_raw_read(s, l->qzeros, (uint64_t)(first * zeros), z, (uint64_t)(n * zeros), e);
    if (!status)
        bg_unpack_bits(raw, 4, (size_t)(n * tile->cols), tile->codes);
    for (int64_t r = 0; !status && r < n; r++) {
        status = bg_raw_some(s, l->scales, (first + r) * l->width, l->width, row, e);
        bg_unpack_bits(z + r * zeros, 4, (size_t)l->width, unpacked);
        for (int64_t g = 0; !status && g < tile->groups; g++) {
            tile->scales[r * tile->groups + g] = row[g];
            tile->zeros[r * tile->groups + g] = (float)unpacked[g];
        }
    }
    free(raw);
    free(row);
    return status;
}

const bg_format bg_format_awq = {
    .name = "awq",
    .help = "AWQ 4 bits, GEMM and GEMV packing",
    .rows = bg_packed_rows,
    .indices = bg_packed_indices,
    .scales = bg_packed_scales,
};

/* ---- claiming ---- */

static int add(bg_load *l, const char *prefix, bg_raw *qweight, bg_raw *qzeros, bg_raw *scales, int gemv, int64_t O,
               int64_t I, int64_t groups, int64_t size, bg_err *e)
{
    bg_tensor *t = bg_packed_add(l, prefix, ".weight", &bg_format_awq, (int64_t[]){O, I}, 2, sizeof(layout), e);
    if (!t)
        return e ? e->code : BG_INPUT;
    layout *y = t->layout;
    *y = (layout){.packed = {.fill = gemv ? fill_gemv : fill_gemm, .groups = groups, .group_size = size, .bits = 4},
                  .qweight = qweight,
                  .qzeros = qzeros,
                  .scales = scales,
                  .width = scales->shape[1]};
    if (!gemv)
        bg_store_map(l->store, qweight);
    bg_packed_take(t, BG_PART_INDICES, qweight);
    bg_packed_take(t, BG_PART_SCALES, scales);
    bg_packed_take(t, BG_PART_ZEROS, qzeros);
    if (gemv) { /* scales and zero points beyond the last group fill up words */
        uint64_t unused = (uint64_t)(O * (y->width - groups)), element = bg_dtypes[scales->dtype].bits / 8;
        t->bytes[BG_PART_SCALES] -= unused * element;
        t->bytes[BG_PART_ZEROS] -= unused / 2;
        t->bytes[BG_PART_PADDING] += unused * element + unused / 2;
    }
    t->index_levels = 16;
    t->group_size = size == I ? -1 : (int)size;
    return size == I ? bg_tensor_storage(t, e, "AWQ 4-bit rows%s", gemv ? " gemv" : "")
                     : bg_tensor_storage(t, e, "AWQ 4-bit g%lld%s", (long long)size, gemv ? " gemv" : "");
}

/* Group size: as configured when it gives the groups that are there, else inputs ÷ groups. */
static int64_t size_of_groups(const bg_load *l, int64_t I, int64_t groups)
{
    double asked = bg_json_number(l->quantization, "group_size", bg_json_number(l->quantization, "q_group_size", 128));
    int64_t size = asked >= 1 && asked < (double)I ? (int64_t)asked : I;
    if (groups > 0 && (I + size - 1) / size != groups)
        size = I % groups ? 0 : I / groups;
    return size;
}

static int claim_gemv(bg_load *l, const char *prefix, bg_raw *qweight, bg_raw *qzeros, bg_raw *scales, bg_err *e)
{
    const bg_store *s = l->store;
    int64_t O = qweight->shape[0], I, size = 0;
    if (__builtin_mul_overflow(qweight->shape[1], (int64_t)8, &I) || !qweight->count)
        return bg_raw_wrong(s, qweight, e, "is empty or too large");
    int status = qzeros ? bg_raw_expect(s, scales, BG_DTYPES, 2, O, 8 * (qzeros->rank == 2 ? qzeros->shape[1] : 0), e)
                        : bg_raw_wrong(s, qweight, e, "there is no '%s.qzeros' beside it", prefix);
    if (!status)
        status = bg_raw_expect(s, qzeros, BG_I32, 2, O, -1, e);
    if (!status && ((size = size_of_groups(l, I, 0)) < 1 || (I + size - 1) / size > scales->shape[1]))
        status = bg_raw_wrong(s, scales, e, "groups of %lld do not fit; the file and its configuration disagree",
                              (long long)size);
    return status ? status : add(l, prefix, qweight, qzeros, scales, 1, O, I, (I + size - 1) / size, size, e);
}

int bg_claim_awq(bg_load *l, const char *prefix, bg_raw *anchor, bg_err *e)
{
    const bg_store *s = l->store;
    bg_raw *qzeros = bg_store_find2(s, prefix, ".qzeros"), *scales = bg_store_find2(s, prefix, ".scales");
    const char *version = bg_json_string(l->quantization, "version", bg_json_string(l->quantization, "format", "gemm"));
    if (!scales || scales->rank != 2 || anchor->rank != 2)
        return bg_raw_wrong(s, anchor, e, "there is no matrix '%s.scales' beside it; fetch the checkpoint again",
                            prefix);
    if (anchor->dtype != BG_I32 || (strcasecmp(version, "gemm") && strcasecmp(version, "gemv")))
        return bg_raw_wrong(s, anchor, e, "AWQ version '%s' packed into %s, which Bitgap cannot decode", version,
                            bg_dtypes[anchor->dtype].name);
    int64_t I = anchor->shape[0], O = scales->shape[1], bits = 4;
    int status =
        bg_json_integer(l->quantization, bg_json_number(l->quantization, "bits", -1) >= 0 ? "bits" : "w_bit", &bits, e);
    if (!status && bits != 4)
        status = bg_raw_wrong(s, anchor, e, "AWQ of %lld bits; only 4 exist", (long long)bits);
    if (status)
        return status;
    if (!strcasecmp(version, "gemv") || (anchor->shape[0] == scales->shape[0] && anchor->shape[1] > O / 8))
        return claim_gemv(l, prefix, anchor, qzeros, scales, e);
    int64_t groups = scales->shape[0], size = size_of_groups(l, I, groups);
    if (!anchor->count || groups < 1 || size < 1)
        return bg_raw_wrong(s, scales, e, "%lld groups of %lld inputs", (long long)groups, (long long)I);
    status = bg_raw_expect(s, anchor, BG_I32, 2, I, O / 8, e);
    if (!status && O % 8)
        status = bg_raw_wrong(s, scales, e, "%lld outputs are not a multiple of 8", (long long)O);
    if (!status)
        status = bg_raw_expect(s, scales, BG_DTYPES, 2, groups, O, e);
    if (!status && qzeros)
        status = bg_raw_expect(s, qzeros, BG_I32, 2, groups, O / 8, e);
    return status ? status : add(l, prefix, anchor, qzeros, scales, 0, O, I, groups, size, e);
}
