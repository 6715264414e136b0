/* Owns the count of what is stored: R_eff = all stored bits over the weights of the tensor (never the padded ones).
 *
 *     indices  N·⌈log2 K⌉            scales  scopes × bits of the scale's type
 *     zeros    scopes × (⌈log2 K⌉ for integer zero points, the scale's type for minima)
 *     codebook scopes × K × the scale's type, where levels are fitted
 * Double quantization (QLoRA, Dettmers et al. 2023): 8 bits a scale, one float32 for 256 of them, one offset.
 * Check: 4 bits, groups of 128 with float16 scales: 4.125 bits a weight; NF4, blocks of 64, doubly quantized: 4.126953.
 */
#include <math.h>
#include "io/checkpoints/formats/bitsandbytes_tables.h"
#include "quant/scope/scope.h"

enum { DOUBLE_BLOCK = BG_BNB_NESTED }; /* scales that share a second-level scale */

double bg_scale_bits(const bg_spec *s)
{
    static const double bits[] = {
        [BG_SCALE_F32] = 32, [BG_SCALE_F16] = 16, [BG_SCALE_BF16] = 16, [BG_SCALE_E8M0] = 8, [BG_SCALE_E4M3] = 8};
    return bits[s->scale];
}

int bg_scope_is_flat(const bg_spec *s)
{
    return s->scope.kind == BG_SCOPE_TENSOR || s->scope.kind == BG_SCOPE_BLOCK || s->scope.kind == BG_SCOPE_ROWS;
}

int64_t bg_scope_size(const bg_spec *s, int64_t rows, int64_t cols)
{
    switch (s->scope.kind) {
    case BG_SCOPE_TENSOR:
        return rows * cols;
    case BG_SCOPE_CHANNEL:
        return cols;
    case BG_SCOPE_GROUP:
        return s->scope.size < cols ? s->scope.size : cols;
    case BG_SCOPE_BLOCK:
        return s->scope.size < rows * cols ? s->scope.size : rows * cols;
    case BG_SCOPE_ROWS:
        return (s->scope.size < rows ? s->scope.size : rows) * cols;
    }
    return rows * cols;
}

int64_t bg_scope_count(const bg_spec *s, int64_t rows, int64_t cols)
{
    int64_t size = bg_scope_size(s, rows, cols);
    if (size <= 0)
        return 0;
    if (bg_scope_is_flat(s))
        return (rows * cols + size - 1) / size;
    return rows * ((cols + size - 1) / size);
}

bg_scopes bg_scopes_of(const bg_spec *s, int64_t rows, int64_t cols)
{
    bg_scopes z = {.rows = rows, .cols = cols, .size = bg_scope_size(s, rows, cols)};
    z.per_row = bg_scope_is_flat(s) ? 0 : (cols + z.size - 1) / z.size;
    z.count = bg_scope_count(s, rows, cols);
    return z;
}

static double index_bits(const bg_spec *s)
{
    return ceil(log2(s->points));
}

bg_rate bg_rate_of(const bg_spec *s, double weights, double scopes)
{
    bg_rate r = {.indices = weights * index_bits(s)};
    double scale = bg_scale_bits(s), tensor = weights > 1 ? 32 : 0;
    if (s->grid->flags & BG_GRID_STORES_LEVELS)
        r.codebook = scopes * s->points * scale;
    else if (s->double_quantized)
        r.scales = scopes * 8 + (weights > 1 ? ceil(scopes / DOUBLE_BLOCK) : scopes / DOUBLE_BLOCK) * 32 + tensor;
    else
        r.scales = scopes * scale + (s->scale == BG_SCALE_E4M3 ? tensor : 0);
    if (s->zero == BG_ZERO_ASYM)
        r.zeros = scopes * index_bits(s);
    else if (s->zero == BG_ZERO_MIN)
        r.zeros = scopes * scale;
    return r;
}

bg_rate bg_spec_rate(const bg_spec *s, int64_t rows, int64_t cols)
{
    return bg_rate_of(s, (double)rows * (double)cols, (double)bg_scope_count(s, rows, cols));
}
