/* GGUF block types as quantizers: what llama.cpp's files hold, at their true bytes a block (formats as in
 * io/checkpoints/formats/gguf_blocks.c).
 *
 *     Q4_0 Q5_0   the element of largest magnitude, sign and all, is the lowest code: d = m/−8 (−16)
 *     Q4_1 Q5_1   minimum and step of the block;  Q8_0  step = max/127;  TQ1_0 TQ2_0  −1, 0, 1 times the largest
 *     MXFP4 NVFP4 E2M1 under E8M0 (32) and E4M3 (16) scales;  IQ4_NL, IQ4_XS  a fixed table of 16 values
 *     Q2_K … Q6_K super-blocks of 256: sub-blocks of 16 or 32 whose scales (and minima) are integers times one float16
 * The first group encodes as the reference encoders do, bit for bit (scales rounded to float16 after the codes are
 * chosen). The others search: for each sub-block the step of least squared error over trial ranges, then the integers
 * of scales and minima a few steps either way, then the super-block's two float16 by least squares. Their plain squared
 * error is at most that of the C library's own search (golden blocks; tests/peer/gguf_encoders.py). A row that is no
 * multiple of the block is refused, as GGUF does.
 */
#include <ctype.h>
#include <float.h>
#include <math.h>
#include <string.h>
#include "io/checkpoints/writers/gguf_writer.h"
#include "quant/scope/scope.h"

enum { SUPER = 256, STEPS = 2 /* of an integer scale or minimum, tried either way */ };

typedef struct type {
    const char *name;
    int block, bytes;
    double bits;    /* of them, index bits a weight */
    const char *as; /* the spec that is the same on a density; NULL: needs samples */
    void (*encode)(const float *x, float *out, bg_gguf_fields *f); /* f: what is stored of it, where bg_gguf_encode does
                                                                    * not make the same block */
} type;

static float f16(float x)
{
    return bg_f16_to_f32(bg_f32_to_f16(fminf(fmaxf(x, -65504), 65504)));
}

static int clamp(float q, int low, int high)
{
    return q < (float)low ? low : q > (float)high ? high : (int)q;
}

static float largest(const float *x, int n)
{
    float signed_most = 0, most = 0;
    for (int i = 0; i < n; i++)
        if (fabsf(x[i]) > most) {
            most = fabsf(x[i]);
            signed_most = x[i];
        }
    return signed_most;
}

static void ends(const float *x, int n, float *low, float *high)
{
    *low = *high = x[0];
    for (int i = 1; i < n; i++) {
        *low = x[i] < *low ? x[i] : *low;
        *high = x[i] > *high ? x[i] : *high;
    }
}

static float inverse(float d)
{
    return fabsf(d) > FLT_MIN ? 1 / d : 0; /* a smaller one stores as 0 */
}

/* ---- blocks of 32 with one scale: the reference encoders ---- */

static void signed_block(const float *x, float *out, int half)
{
    float d = largest(x, 32) / (float)-half, id = inverse(d), stored = f16(d);
    for (int i = 0; i < 32; i++)
        out[i] = stored * (float)(clamp(truncf(x[i] * id + ((float)half + 0.5f)), 0, 2 * half - 1) - half);
}

static void ranged_block(const float *x, float *out, int M)
{
    float low, high;
    ends(x, 32, &low, &high);
    float d = (high - low) / (float)M, id = inverse(d), stored = f16(d), minimum = f16(low);
    for (int i = 0; i < 32; i++)
        out[i] = stored * (float)clamp(truncf((x[i] - low) * id + 0.5f), 0, M) + minimum;
}

static void q4_0(const float *x, float *out, bg_gguf_fields *f)
{
    (void)f;
    signed_block(x, out, 8);
}
static void q5_0(const float *x, float *out, bg_gguf_fields *f)
{
    (void)f;
    signed_block(x, out, 16);
}
static void q4_1(const float *x, float *out, bg_gguf_fields *f)
{
    (void)f;
    ranged_block(x, out, 15);
}
static void q5_1(const float *x, float *out, bg_gguf_fields *f)
{
    (void)f;
    ranged_block(x, out, 31);
}

static void q8_0(const float *x, float *out, bg_gguf_fields *f)
{
    (void)f;
    float d = fabsf(largest(x, 32)) / 127, id = inverse(d), stored = f16(d);
    for (int i = 0; i < 32; i++)
        out[i] = stored * roundf(x[i] * id);
}

static void ternary(const float *x, float *out, bg_gguf_fields *f)
{
    float d = fabsf(largest(x, SUPER)), id = inverse(d), stored = f16(d);
    f->d = stored;
    for (int i = 0; i < SUPER; i++) {
        float q = roundf(x[i] * id);
        f->q[i] = (uint8_t)((int)q + 1);
        out[i] = stored * q;
    }
}

static const float e2m1[8] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};

/* Code of the nearest of ±e2m1; of two equally near the smaller magnitude, which comes first. */
static uint8_t code_e2m1(float y)
{
    int best = 0;
    for (int k = 1; k < 8; k++)
        if (fabsf(fabsf(y) - e2m1[k]) < fabsf(fabsf(y) - e2m1[best]))
            best = k;
    return (uint8_t)(y < 0 && best ? best + 8 : best);
}

static float value_e2m1(uint8_t code)
{
    return code & 8 ? -e2m1[code & 7] : e2m1[code];
}

static void mxfp4(const float *x, float *out, bg_gguf_fields *f)
{
    float most = fabsf(largest(x, 32));
    int exponent = 0;
    frexpf(most, &exponent); /* most = m·2^exponent, ½ ≤ m < 1: ⌊log2⌋ is exponent − 1 */
    exponent = exponent - 3 < -127 || most == 0 ? -127 : exponent - 3;
    float d = most > 0 ? ldexpf(1, exponent) : 0;
    f->scale[0] = (int16_t)(exponent + 127);
    for (int i = 0; i < 32; i++) {
        f->q[i] = d > 0 ? code_e2m1(x[i] / d) : 0;
        out[i] = d * value_e2m1(f->q[i]);
    }
}

static void nvfp4(const float *x, float *out, bg_gguf_fields *f)
{
    for (int b = 0; b < 64; b += 16) {
        uint8_t byte = bg_f32_to_e4m3(fabsf(largest(x + b, 16)) / 6);
        float d = bg_e4m3_to_f32(byte);
        f->scale[b / 16] = byte;
        for (int i = b; i < b + 16; i++) {
            f->q[i] = d > 0 ? code_e2m1(x[i] / d) : 0;
            out[i] = d * value_e2m1(f->q[i]);
        }
    }
}

/* ---- searches over one sub-block ---- */

/* Signed codes −half … half−1: the scale of least squared error over 19 trial ranges, each followed by least squares.
 */
static float search_signed(const float *x, int n, int half)
{
    float m = largest(x, n), best_scale = 0;
    double best = 0;
    for (int trial = -9; trial <= 9 && m != 0; trial++) {
        float id = -((float)half + 0.1f * (float)trial) / m;
        double xq = 0, qq = 0;
        for (int i = 0; i < n; i++) {
            double q = clamp(rintf(x[i] * id), -half, half - 1);
            xq += (double)x[i] * q;
            qq += q * q;
        }
        if (qq > 0 && xq * xq > best * qq) { /* what least squares takes off Σ x² */
            best = xq * xq / qq;
            best_scale = (float)(xq / qq);
        }
    }
    return best_scale;
}

/* Codes 0 … M above −minimum ≤ 0: scale and minimum of least squared error over 21 trial ranges. */
static void search_ranged(const float *x, int n, int M, float *scale, float *minimum)
{
    float low, high;
    ends(x, n, &low, &high);
    low = low < 0 ? low : 0;
    *scale = 0;
    *minimum = -low;
    double best = DBL_MAX;
    for (int trial = -10; trial <= 10 && high > low; trial++) {
        float id = ((float)M + 0.1f * (float)trial) / (high - low);
        double sq = 0, sqq = 0, sx = 0, sxq = 0, sxx = 0;
        for (int i = 0; i < n; i++) {
            double q = clamp(rintf((x[i] - low) * id), 0, M), v = (double)x[i];
            sq += q, sqq += q * q, sx += v, sxq += v * q, sxx += v * v;
        }
        double det = n * sqq - sq * sq, s = det > 0 ? (n * sxq - sq * sx) / det : 0, m = (s * sq - sx) / n;
        if (m < 0 && sqq > 0) {
            m = 0;
            s = sxq / sqq;
        }
        double error = sxx + s * s * sqq + n * m * m - 2 * s * sxq + 2 * m * sx - 2 * s * m * sq;
        if (s > 0 && error < best) {
            best = error;
            *scale = (float)s;
            *minimum = (float)m;
        }
    }
}

static const float iq4[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

/* The code is the number of midpoints below y; of two equally near the lower comes first. */
static int nearest_iq4(float y)
{
    static const float middle[15] = {-115.5f, -93.5f, -74,   -57,   -42, -28.5f, -16, -4.5f,
                                     7,       19,     31.5f, 45.5f, 61,  79,     101};
    int below = 0;
    for (int k = 0; k < 15; k++)
        below += y > middle[k];
    return below;
}

/* Codes of the table iq4: the scale of least squared error over 29 trial ranges, either sign, each followed by least
 * squares. */
static float search_table(const float *x, int n)
{
    float m = largest(x, n), best_scale = 0;
    double best = 0;
    for (int trial = -14; trial <= 14 && m != 0; trial++) {
        float id = (trial < 0 ? -127.0f - (float)(trial + 7) * 2 : 113.0f + (float)(trial - 7) * 2) / m;
        double xt = 0, tt = 0;
        for (int i = 0; i < n; i++) {
            double t = (double)iq4[nearest_iq4(x[i] * id)];
            xt += (double)x[i] * t;
            tt += t * t;
        }
        if (xt * xt > best * tt) {
            best = xt * xt / tt;
            best_scale = (float)(xt / tt);
        }
    }
    return best_scale;
}

/* ---- super-blocks with scales and minima ---- */

typedef struct shape {
    int sub, low, high; /* weights of a sub-block; least and largest code */
    int scale_low, scale_high, has_minimum;
    const float *table; /* values of the codes; NULL: the codes themselves */
} shape;

typedef struct super {
    float d, dmin;
    int S[16], M[16], q[SUPER];
} super;

static float value_of(const shape *h, int q)
{
    return h->table ? h->table[q] : (float)q;
}

/* Nearest code of y in units of the sub-block's scale. */
static int code_of(const shape *h, float y)
{
    return h->table ? nearest_iq4(y) : clamp(rintf(y), h->low, h->high);
}

/* Squared error of a sub-block under integers S and M. */
static double error_sub(const shape *h, const super *b, const float *x, int S, int M)
{
    float d = b->d * (float)S, m = b->dmin * (float)M, id = inverse(d), low = (float)h->low, high = (float)h->high,
          sum = 0;
    if (h->table) {
        for (int i = 0; i < h->sub; i++) {
            float e = x[i] + m - d * h->table[code_of(h, (x[i] + m) * id)];
            sum += e * e;
        }
        return (double)sum;
    }
#pragma omp simd reduction(+ : sum)
    for (int i = 0; i < h->sub; i++) {
        float q = __builtin_rintf((x[i] + m) * id);
        q = q < low ? low : q;
        q = q > high ? high : q;
        float e = x[i] + m - d * q;
        sum += e * e;
    }
    return (double)sum;
}

static void codes_sub(const shape *h, const super *b, const float *x, int S, int M, int *q)
{
    float id = inverse(b->d * (float)S), m = b->dmin * (float)M;
    for (int i = 0; i < h->sub; i++)
        q[i] = code_of(h, (x[i] + m) * id);
}

static int inside(int v, int low, int high)
{
    return v < low ? low : v > high ? high : v;
}

/* The integers of each sub-block, a few steps either way. Returns the squared error of the super-block. */
static double round_super(const shape *h, super *b, const float *x)
{
    double sum = 0;
    for (int j = 0; j < SUPER / h->sub; j++) {
        const float *p = x + j * h->sub;
        int S0 = b->S[j], M0 = b->M[j];
        double best = DBL_MAX;
        for (int ds = -STEPS; ds <= STEPS; ds++)
            for (int dm = h->has_minimum ? -STEPS : 0; dm <= (h->has_minimum ? STEPS : 0); dm++) {
                int S = inside(S0 + ds, h->scale_low, h->scale_high), M = inside(M0 + dm, 0, h->scale_high);
                double error = error_sub(h, b, p, S, h->has_minimum ? M : 0);
                if (error < best) {
                    best = error;
                    b->S[j] = S;
                    b->M[j] = h->has_minimum ? M : 0;
                }
            }
        codes_sub(h, b, p, b->S[j], b->M[j], b->q + j * h->sub);
        sum += best;
    }
    return sum;
}

/* d and dmin by least squares for the codes and integers as they are: x ≈ d·S·v − dmin·M. */
static void refit_super(const shape *h, super *b, const float *x)
{
    double uu = 0, uv = 0, vv = 0, xu = 0, xv = 0;
    for (int i = 0; i < SUPER; i++) {
        int j = i / h->sub;
        double u = (double)b->S[j] * (double)value_of(h, b->q[i]), v = b->M[j], w = (double)x[i];
        uu += u * u, uv += u * v, vv += v * v, xu += w * u, xv += w * v;
    }
    double det = uu * vv - uv * uv;
    if (h->has_minimum && det > 1e-9 * uu * vv) {
        b->d = f16((float)((xu * vv - xv * uv) / det));
        b->dmin = f16((float)((xu * uv - xv * uu) / det));
    } else if (uu > 0) {
        b->d = f16((float)((xu + (double)b->dmin * uv) / uu));
    }
}

static void first_guess(const shape *h, super *b, const float *x)
{
    float scale[16], minimum[16] = {0}, top = 0, top_minimum = 0;
    int n = SUPER / h->sub;
    for (int j = 0; j < n; j++) {
        if (h->has_minimum)
            search_ranged(x + j * h->sub, h->sub, h->high, &scale[j], &minimum[j]);
        else
            scale[j] =
                h->table ? search_table(x + j * h->sub, h->sub) : search_signed(x + j * h->sub, h->sub, h->high + 1);
        top = fabsf(scale[j]) > fabsf(top) ? scale[j] : top;
        top_minimum = minimum[j] > top_minimum ? minimum[j] : top_minimum;
    }
    b->d = f16(top / (float)(h->scale_low < 0 ? h->scale_low : h->scale_high));
    b->dmin = f16(top_minimum / (float)h->scale_high);
    for (int j = 0; j < n; j++) {
        b->S[j] = inside((int)rintf(scale[j] * inverse(b->d)), h->scale_low, h->scale_high);
        b->M[j] = inside((int)rintf(minimum[j] * inverse(b->dmin)), 0, h->scale_high);
    }
}

static void super_block(const shape *h, const float *x, float *out, bg_gguf_fields *f)
{
    super b = {0}, best;
    first_guess(h, &b, x);
    double least = round_super(h, &b, x);
    best = b;
    for (int round = 0; round < 4; round++) {
        refit_super(h, &b, x);
        double error = round_super(h, &b, x);
        if (!(error < least))
            break;
        least = error;
        best = b;
    }
    for (int i = 0; i < SUPER; i++) {
        int j = i / h->sub;
        out[i] = best.d * (float)best.S[j] * value_of(h, best.q[i]) - best.dmin * (float)best.M[j];
        f->q[i] = (uint8_t)(best.q[i] - h->low);
        f->scale[j] = (int16_t)best.S[j];
        f->minimum[j] = (int16_t)best.M[j];
    }
    f->d = best.d;
    f->dmin = best.dmin;
}

static const shape q2_k_shape = {16, 0, 3, 0, 15, 1, NULL}, q3_k_shape = {16, -4, 3, -32, 31, 0, NULL},
                   q4_k_shape = {32, 0, 15, 0, 63, 1, NULL}, q5_k_shape = {32, 0, 31, 0, 63, 1, NULL},
                   q6_k_shape = {16, -32, 31, -128, 127, 0, NULL}, iq4_xs_shape = {32, 0, 15, -32, 31, 0, iq4};

static void q2_k(const float *x, float *out, bg_gguf_fields *f)
{
    super_block(&q2_k_shape, x, out, f);
}
static void q3_k(const float *x, float *out, bg_gguf_fields *f)
{
    super_block(&q3_k_shape, x, out, f);
}
static void q4_k(const float *x, float *out, bg_gguf_fields *f)
{
    super_block(&q4_k_shape, x, out, f);
}
static void q5_k(const float *x, float *out, bg_gguf_fields *f)
{
    super_block(&q5_k_shape, x, out, f);
}
static void q6_k(const float *x, float *out, bg_gguf_fields *f)
{
    super_block(&q6_k_shape, x, out, f);
}
static void iq4_xs(const float *x, float *out, bg_gguf_fields *f)
{
    super_block(&iq4_xs_shape, x, out, f);
}

static void iq4_nl(const float *x, float *out, bg_gguf_fields *f)
{
    float stored = f16(search_table(x, 32)), id = inverse(stored);
    f->d = stored;
    for (int i = 0; i < 32; i++) {
        f->q[i] = (uint8_t)(stored != 0 ? nearest_iq4(x[i] * id) : 0);
        out[i] = stored * iq4[f->q[i]];
    }
}

/* ---- the row ---- */

static const type types[] = {
    {"q4_0", 32, 18, 4, "uniform:bits=4,scope=32,step=signed", q4_0},
    {"q4_1", 32, 20, 4, "uniform:bits=4,scope=32,zero=min", q4_1},
    {"q5_0", 32, 22, 5, "uniform:bits=5,scope=32,step=signed", q5_0},
    {"q5_1", 32, 24, 5, "uniform:bits=5,scope=32,zero=min", q5_1},
    {"q8_0", 32, 34, 8, "uniform:bits=8,scope=32", q8_0},
    {"iq4_nl", 32, 18, 4, NULL, iq4_nl},
    {"mxfp4", 32, 17, 4, "mxfp4", mxfp4},
    {"nvfp4", 64, 36, 4, NULL, nvfp4},
    {"tq1_0", SUPER, 54, 1.625, "uniform:levels=3,scope=256", ternary},
    {"tq2_0", SUPER, 66, 2, "uniform:levels=3,scope=256", ternary},
    {"q2_k", SUPER, 84, 2, NULL, q2_k},
    {"q3_k", SUPER, 110, 3, NULL, q3_k},
    {"q4_k", SUPER, 144, 4, NULL, q4_k},
    {"q5_k", SUPER, 176, 5, NULL, q5_k},
    {"q6_k", SUPER, 210, 6, NULL, q6_k},
    {"iq4_xs", SUPER, 136, 4, NULL, iq4_xs},
    {0},
};

typedef struct gguf_params {
    int type; /* place in types[], which is in the order of the key's words */
} gguf_params;

static const type *type_of(const bg_spec *s)
{
    return &types[((const gguf_params *)bg_grid_params(s))->type];
}

static void add_rate(const type *t, double weights, bg_rate *rate)
{
    rate->indices += weights * t->bits;
    rate->scales += weights * (8.0 * t->bytes / t->block - t->bits);
}

static int code_tile(const bg_spec *s, const bg_trained *trained, const bg_targets *tile, bg_rate *rate, bg_err *e)
{
    (void)trained;
    int64_t n = tile->rows, C = tile->cols;
    const float *w = tile->w;
    float *out = tile->out;
    const type *t = type_of(s);
    if (C % t->block)
        return bg_fail(e, BG_USAGE, "rows of %lld weights are no multiple of a block of %d", (long long)C, t->block);
    for (int64_t i = 0; i < n * C; i += t->block) {
        float block[SUPER];
        bg_gguf_fields fields;
        t->encode(w + i, block, &fields);
        memcpy(out + i, block, (size_t)t->block * sizeof *block);
    }
    add_rate(t, (double)(n * C), rate);
    return BG_OK;
}

uint32_t bg_gguf_type_of_spec(const bg_spec *s)
{
    const type *t = type_of(s);
    char name[16] = "";
    uint32_t id = 0;
    for (size_t i = 0; t->name[i] && i + 1 < sizeof name; i++)
        name[i] = (char)toupper((unsigned char)t->name[i]);
    bg_gguf_type_named(name, &id);
    return id;
}

int bg_gguf_blocks(const bg_spec *s, const float *w, int64_t n, uint8_t *out, bg_err *e)
{
    const type *t = type_of(s);
    uint32_t id = bg_gguf_type_of_spec(s);
    if (t->block == 32 && strcmp(t->name, "iq4_nl") && strcmp(t->name, "mxfp4"))
        return bg_gguf_encode(id, w, n, out, e);
    int status = BG_OK;
    for (int64_t i = 0; i < n && !status; i += t->block, out += t->bytes) {
        float block[SUPER];
        bg_gguf_fields fields;
        t->encode(w + i, block, &fields);
        status = bg_gguf_pack_fields(id, &fields, out, e);
    }
    return status;
}

static int on_distribution(const bg_spec *s, const bg_matrix *m, bg_on_density *out, bg_err *e)
{
    (void)m, (void)e;
    const type *t = type_of(s);
    *out = (bg_on_density){.same_as = t->as, .skipped = t->as ? NULL : "needs samples: give the source n="};
    add_rate(t, 1, &out->rate);
    return BG_OK;
}

static double bits(const bg_spec *s)
{
    return type_of(s)->bits;
}

static const bg_key keys[] = {
    {.name = "type",
     .type = BG_KEY_WORD,
     .words = "q4_0|q4_1|q5_0|q5_1|q8_0|iq4_nl|mxfp4|nvfp4|tq1_0|tq2_0|q2_k|q3_k|q4_k|q5_k|q6_k|iq4_xs",
     .default_text = "q4_0",
     .help = "ggml's block type",
     BG_PARAM(gguf_params, type)},
    {0},
};

const bg_grid bg_grid_gguf = {
    .name = "gguf",
    .title = "GGUF block types",
    .paper = "ggml-org/ggml, src/ggml-common.h (layouts); Q4_0 of 2023, K-quants of June 2023",
    .family = "deployed",
    .keys = keys,
    .refuses = "bits levels scope zero clip scale code",
    .kind = BG_GRID_VECTOR,
    .bits = bits,
    .tile = code_tile,
    .on_distribution = on_distribution,
    .gguf_type = bg_gguf_type_of_spec,
};
