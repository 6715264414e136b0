/* What is written reads back to the same bits; encoders make the reference's bytes; formats return the gap that theory
 * gives them on N(0,1). */
#define _GNU_SOURCE
#include "tests/golden/golden.h"

#include <string.h>
#include <unistd.h>
#include "analysis/comparison/audit.h"
#include "io/checkpoints/formats/bitsandbytes_tables.h"
#include "quant/source/source.h"
#include "quant/probability/random.h"
#include "io/checkpoints/writers/gguf_writer.h"
#include "io/checkpoints/writers/packed_writer.h"
#include "quant/engine/quantize.h"

enum { ROWS = 64, COLS = 160 };

static char scratch[] = "/tmp/bitgap-writers-XXXXXX";

static const char *at(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", scratch, name);
    return path;
}

static void put_config(const char *text)
{
    FILE *f = fopen(at("config.json"), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* Any codes, scales and zero points. */
typedef struct sample {
    uint16_t codes[ROWS * COLS];
    float scales[ROWS * COLS], zeros[ROWS * COLS];
    bg_codes q;
} sample;

static void fill(sample *s, int bits, int64_t group, int zeros)
{
    for (int i = 0; i < ROWS * COLS; i++) {
        uint64_t r = bg_bits_at(7, (uint64_t)i);
        s->codes[i] = (uint16_t)(r & ((1u << bits) - 1));
        s->zeros[i] = (float)((r >> 20) & ((1u << bits) - 1));
        s->scales[i] = bg_f16_to_f32((uint16_t)(0x2000 + (r >> 40) % 0x1000));
    }
    s->q = (bg_codes){.rows = ROWS,
                      .cols = COLS,
                      .group_size = group,
                      .bits = bits,
                      .codes = s->codes,
                      .scales = s->scales,
                      .zeros = zeros ? s->zeros : NULL};
}

static void read_back(const sample *s, bg_parcel *p)
{
    bg_err e = {0};
    if (bg_parcel_write(p, at("model.safetensors"), &e))
        fail_msg("%s", e.text);
    bg_parcel_free(p);
    bg_ckpt *c = open_or_fail(scratch);
    const bg_tensor *t = tensor_or_fail(c, "l.weight");
    float *values = values_of(t);
    int64_t groups = (COLS + s->q.group_size - 1) / s->q.group_size;
    for (int64_t r = 0; r < ROWS; r++)
        for (int64_t i = 0; i < COLS; i++) {
            int64_t g = r * groups + i / s->q.group_size;
            float zero = s->q.zeros ? s->zeros[g] : (float)(1 << (s->q.bits - 1));
            float want = ((float)s->codes[r * COLS + i] - zero) * s->scales[g];
            if (values[r * COLS + i] != want)
                fail_msg("%s: [%d][%d] is %g, not %g", t->storage, (int)r, (int)i, (double)values[r * COLS + i],
                         (double)want);
        }
    free(values);
    bg_ckpt_close(c);
}

static void test_gptq(void **state)
{
    static const int bits[] = {2, 3, 4, 8};
    (void)state;
    for (size_t i = 0; i < 4; i++)
        for (int zeros = 0; zeros < 2; zeros++) {
            sample s;
            char config[200];
            bg_parcel p = {0};
            bg_err e = {0};
            fill(&s, bits[i], 32, zeros);
            for (int version = 1; version <= 2; version++) {
                snprintf(config, sizeof config,
                         "{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":%d,\"group_size\":32,"
                         "\"checkpoint_format\":\"%s\"}}",
                         bits[i], version == 1 ? "gptq" : "gptq_v2");
                put_config(config);
                assert_int_equal(bg_pack_gptq(&p, "l", &s.q, version, &e), BG_OK);
                read_back(&s, &p);
            }
        }
}

static void test_awq(void **state)
{
    (void)state;
    for (int zeros = 0; zeros < 2; zeros++) {
        sample s;
        bg_parcel p = {0};
        bg_err e = {0};
        fill(&s, 4, 32, zeros);
        put_config("{\"quantization_config\":{\"quant_method\":\"awq\",\"bits\":4,\"group_size\":32}}");
        assert_int_equal(bg_pack_awq(&p, "l", &s.q, &e), BG_OK);
        read_back(&s, &p);
    }
}

static void test_compressed_tensors(void **state)
{
    (void)state;
    for (int bits = 1; bits <= 8; bits++)
        for (int zeros = 0; zeros < 2; zeros++) {
            sample s;
            char config[200];
            bg_parcel p = {0};
            bg_err e = {0};
            fill(&s, bits, bits % 2 ? COLS : 32, zeros);
            snprintf(config, sizeof config,
                     "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"config_groups\":{\"a\":{"
                     "\"weights\":{\"num_bits\":%d}}}}}",
                     bits);
            put_config(config);
            assert_int_equal(bg_pack_ct(&p, "l", &s.q, bits % 3 ? BG_F16 : BG_F32, &e), BG_OK);
            read_back(&s, &p);
        }
}

static void test_what_layouts_cannot_hold(void **state)
{
    (void)state;
    sample s;
    bg_parcel p = {0};
    bg_err e = {0};
    fill(&s, 5, 32, 0);
    assert_int_equal(bg_pack_gptq(&p, "l", &s.q, 1, &e), BG_USAGE);
    assert_int_equal(bg_pack_awq(&p, "l", &s.q, &e), BG_USAGE);
    fill(&s, 4, 32, 1);
    s.zeros[3] = 16;
    assert_int_equal(bg_pack_ct(&p, "l", &s.q, BG_F16, &e), BG_USAGE);
    s.zeros[3] = 0;
    s.codes[5] = 16;
    assert_int_equal(bg_pack_gptq(&p, "l", &s.q, 1, &e), BG_USAGE);
    assert_int_equal(bg_pack_bnb(&p, "l", &s.q, 0, 0, "float32", &e), BG_USAGE);
    assert_int_equal(p.n, 0);
}

static void test_dynamic_map(void **state)
{
    (void)state;
    float map[256];
    bg_bnb_dynamic_map(map);
    bg_ckpt *c = open_or_fail(GOLDEN "bnb/dynamic_map.safetensors");
    float *want = values_of(tensor_or_fail(c, "signed"));
    assert_floats_equal("dynamic map", map, want, 256);
    free(want);
    bg_ckpt_close(c);
}

static void test_bitsandbytes(void **state)
{
    (void)state;
    put_config("{}");
    for (int kind = 0; kind < 4; kind++) {
        int fp4 = kind & 1, nested = kind >> 1;
        sample s;
        bg_parcel p = {0};
        bg_err e = {0};
        fill(&s, 4, 64, 0);
        assert_int_equal(bg_pack_bnb(&p, "l", &s.q, fp4, nested, "float32", &e), BG_OK);
        assert_int_equal(bg_parcel_write(&p, at("model.safetensors"), &e), BG_OK);
        bg_parcel_free(&p);
        bg_ckpt *c = open_or_fail(scratch);
        const bg_tensor *t = tensor_or_fail(c, "l.weight");
        float *values = values_of(t), *scales = malloc((size_t)t->count * sizeof *scales);
        assert_int_equal(t->format->scales(t, 0, t->rows, scales, &e), BG_OK);
        for (int i = 0; i < ROWS * COLS; i++) {
            float scale = nested ? scales[i] : s.scales[i / 64];
            assert_true(values[i] == (fp4 ? bg_fp4_levels : bg_nf4_levels)[s.codes[i]] * scale);
            if (nested) /* the map's widest gap near 1 is 1/64 of the largest deviation */
                assert_true(fabsf(scale - s.scales[i / 64]) < 0.01f);
        }
        free(values);
        free(scales);
        bg_ckpt_close(c);
    }
}

/* The golden encoder bytes are those of the gguf package and of the C library. */
static void test_gguf_encoders(void **state)
{
    (void)state;
    static const char *const names[] = {"BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"};
    bg_ckpt *c = open_or_fail(GOLDEN "gguf/encoder.safetensors");
    const bg_tensor *x = tensor_or_fail(c, "X");
    float *weights = values_of(x);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        uint32_t id;
        bg_err e = {0};
        const bg_gguf_type *type = bg_gguf_type_named(names[i], &id);
        const bg_tensor *t = tensor_or_fail(c, names[i]);
        float *want = values_of(t);
        uint8_t *bytes = malloc((size_t)t->count), *again = malloc((size_t)t->count);
        assert_int_equal(bg_gguf_encode(id, weights, (int64_t)x->count, bytes, &e), BG_OK);
        for (uint64_t k = 0; k < t->count; k++)
            if (bytes[k] != (uint8_t)want[k])
                fail_msg("%s: byte %d is %d, not %d", names[i], (int)k, bytes[k], (int)want[k]);
        for (uint64_t b = 0; type->element && b < t->count / (uint64_t)type->bytes; b++) { /* codes packed again */
            uint16_t codes[32];
            bg_gguf_element one;
            for (int n = 0; n < 32; n++) {
                type->element(bytes + b * (uint64_t)type->bytes, n, &one);
                codes[n] = (uint16_t)one.code;
            }
            float minimum = -one.minimum;
            assert_int_equal(bg_gguf_pack(id, codes, &one.scale, type->zero_bytes ? &minimum : NULL, 1, again, &e),
                             BG_OK);
            assert_memory_equal(again, bytes + b * (uint64_t)type->bytes, (size_t)type->bytes);
        }
        free(want);
        free(bytes);
        free(again);
    }
    float bad[32] = {0, NAN};
    uint8_t out[64];
    assert_int_equal(bg_gguf_encode(2, bad, 32, out, &(bg_err){0}), BG_INPUT);
    free(weights);
    bg_ckpt_close(c);
}

static void test_gguf_container(void **state)
{
    (void)state;
    bg_gguf_pair pairs[] = {{.key = "general.architecture", .kind = BG_GGUF_STRING, .text = "qwen2"},
                            {.key = "qwen2.block_count", .kind = BG_GGUF_U32, .number = 1},
                            {.key = "qwen2.attention.layer_norm_rms_epsilon", .kind = BG_GGUF_F32, .number = 1e-6},
                            {.key = "tokenizer.ggml.add_bos_token", .kind = BG_GGUF_BOOL, .number = 1}};
    bg_gguf_entry entries[] = {{"blk.0.attn_q.weight", 8, 2, {3, 64}},
                               {"output_norm.weight", 0, 1, {5}},
                               {"token_embd.weight", 30, 2, {7, 3}}};
    float x[192], norm[5] = {1, 2, 3, 4, 5};
    uint8_t blocks[6 * 34];
    uint16_t codes[21];
    bg_err e = {0};
    for (int i = 0; i < 192; i++)
        x[i] = (float)bg_uniform_at(3, (uint64_t)i) - 0.5f;
    for (int i = 0; i < 21; i++)
        codes[i] = (uint16_t)(0x3f80 + i);
    assert_int_equal(bg_gguf_encode(8, x, 192, blocks, &e), BG_OK);
    bg_gguf_writer w;
    assert_int_equal(bg_gguf_begin(&w, at("a.gguf"), pairs, 4, entries, 3, &e), BG_OK);
    assert_int_equal(bg_gguf_put(&w, blocks, 100, &e), BG_OK);
    assert_int_equal(bg_gguf_put(&w, blocks + 100, sizeof blocks - 100, &e), BG_OK);
    assert_int_equal(bg_gguf_put(&w, norm, sizeof norm, &e), BG_OK);
    assert_int_equal(bg_gguf_put(&w, codes, sizeof codes, &e), BG_OK);
    assert_int_equal(bg_gguf_commit(&w, &e), BG_OK);
    bg_ckpt *c = open_or_fail(at("a.gguf"));
    assert_string_equal(bg_json_string(c->config, "model_type", ""), "qwen2");
    assert_true(bg_json_number(c->config, "rms_norm_eps", 0) == (double)1e-6f);
    float *q = values_of(tensor_or_fail(c, "model.layers.0.self_attn.q_proj.weight")),
          *n = values_of(tensor_or_fail(c, "model.norm.weight"));
    float *embed = values_of(tensor_or_fail(c, "model.embed_tokens.weight")), want[192];
    bg_gguf_decode_ref(bg_gguf_type_of(8), blocks, want, 6);
    assert_floats_equal("q", q, want, 192);
    assert_floats_equal("norm", n, norm, 5);
    for (int i = 0; i < 21; i++)
        assert_true(embed[i] == bg_bf16_to_f32(codes[i]));
    free(q);
    free(n);
    free(embed);
    bg_ckpt_close(c);
    bg_gguf_abandon(&w);
}

/* ---- gaps ---- */

enum { WEIGHTS = 1 << 21, WIDTH = 1 << 12 };

static void check_gap(const char *path, const char *name, double rate, double gap)
{
    bg_ckpt *base = open_or_fail("source:gaussian,n=2097152,cols=4096"), *c = open_or_fail(path);
    const bg_tensor *t = tensor_or_fail(c, name);
    bg_tensor_loss loss;
    bg_err e = {0};
    assert_int_equal(bg_audit_compare(&base->tensors[0], t, &loss, &e), BG_OK);
    double r = 8 * ((double)t->bytes[BG_PART_INDICES] + (double)t->bytes[BG_PART_SCALES]) / (double)t->count;
    double got = r + 0.5 * log2(loss.mse / loss.sigma2);
    if (fabs(r - rate) > 0.001 || fabs(got - gap) > 0.005)
        fail_msg("%s: rate %.4f and gap %.4f, expected %.4f and %.4f", t->storage, r, got, rate, gap);
    assert_true(fabs(loss.sigma2 - 1) < 0.01 && fabs(loss.kurtosis_excess) < 0.02);
    assert_true(fabs(loss.mse_clipping + loss.mse_rounding - loss.mse) < 1e-12);
    if (!(loss.mse_choice < 1e-2 * loss.mse && loss.mse_scale >= 0 && loss.mse_scale < 0.2 * loss.mse))
        fail_msg("%s: of mse %g, %g by choice and %g by scale", t->storage, loss.mse, loss.mse_choice, loss.mse_scale);
    bg_ckpt_close(base);
    bg_ckpt_close(c);
}

static void test_gguf_gaps(void **state)
{
    static const struct {
        const char *spec;
        double rate, gap;
    } cases[] = {{"q4_0", 4.5, 0.959}, {"q8_0", 8.5, 0.955}, {"gguf:type=mxfp4", 4.25, 1.129}};
    (void)state;
    float *x = malloc(WEIGHTS * sizeof *x);
    bg_source s;
    bg_err e = {0};
    assert_int_equal(bg_source_parse("gaussian,n=2097152,cols=4096", &s, &e), BG_OK);
    bg_source_samples(&s, 0, WEIGHTS, x);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bg_spec spec;
        assert_int_equal(bg_spec_parse(cases[i].spec, &spec, &e), BG_OK);
        uint32_t type = bg_gguf_type_of_spec(&spec);
        size_t size = (size_t)WEIGHTS / 32 * (size_t)bg_gguf_type_of(type)->bytes;
        uint8_t *blocks = malloc(size);
        bg_gguf_entry entry = {"l.weight", type, 2, {WEIGHTS / WIDTH, WIDTH}};
        bg_gguf_writer w;
        assert_int_equal(bg_gguf_blocks(&spec, x, WEIGHTS, blocks, &e), BG_OK);
        assert_int_equal(bg_gguf_begin(&w, at("gap.gguf"), NULL, 0, &entry, 1, &e), BG_OK);
        assert_int_equal(bg_gguf_put(&w, blocks, size, &e), BG_OK);
        assert_int_equal(bg_gguf_commit(&w, &e), BG_OK);
        check_gap(at("gap.gguf"), "l.weight", cases[i].rate, cases[i].gap);
        free(blocks);
    }
    free(x);
}

static void test_packed_gaps(void **state)
{
    (void)state;
    float *x = malloc(WEIGHTS * sizeof *x), *scales = malloc(WEIGHTS / 64 * sizeof *scales);
    uint16_t *codes = malloc(WEIGHTS * sizeof *codes);
    bg_source s;
    bg_err e = {0};
    assert_int_equal(bg_source_parse("gaussian,n=2097152,cols=4096", &s, &e), BG_OK);
    bg_source_samples(&s, 0, WEIGHTS, x);
    for (int kind = 0; kind < 3; kind++) { /* NF4, NF4 nested, int4 of groups of 128 */
        int block = kind < 2 ? 64 : 128;
        for (int b = 0; b < WEIGHTS / block; b++) {
            float most = 0, *w = x + b * block;
            for (int i = 0; i < block; i++)
                most = fmaxf(most, fabsf(w[i]));
            scales[b] = kind < 2 ? most : bg_f16_to_f32(bg_f32_to_f16(most / 7));
            for (int i = 0; i < block; i++) {
                int best = 0;
                for (int k = 1; k < 16 && kind < 2; k++)
                    if (fabsf(bg_nf4_levels[k] * most - w[i]) < fabsf(bg_nf4_levels[best] * most - w[i]))
                        best = k;
                codes[b * block + i] = (uint16_t)(kind < 2 ? best : (int)nearbyintf(w[i] / scales[b]) + 8);
            }
        }
        bg_codes q = {
            .rows = WEIGHTS / WIDTH, .cols = WIDTH, .group_size = block, .bits = 4, .codes = codes, .scales = scales};
        bg_parcel p = {0};
        put_config("{}");
        assert_int_equal(
            kind < 2 ? bg_pack_bnb(&p, "l", &q, 0, kind, "float32", &e) : bg_pack_ct(&p, "l", &q, BG_F16, &e), BG_OK);
        assert_int_equal(bg_parcel_write(&p, at("model.safetensors"), &e), BG_OK);
        bg_parcel_free(&p);
        static const double rate[] = {4.5, 4.0 + 8.0 / 64 + 32.0 / 16384, 4.125}, gap[] = {1.057, 0.684, 1.033};
        if (kind == 1) { /* the nearest level of the nested scale is not always the code */
            bg_ckpt *base = open_or_fail("source:gaussian,n=2097152,cols=4096"), *c = open_or_fail(scratch);
            const bg_tensor *t = tensor_or_fail(c, "l.weight");
            bg_tensor_loss loss;
            assert_int_equal(bg_audit_compare(&base->tensors[0], t, &loss, &e), BG_OK);
            double r = 8 * ((double)t->bytes[BG_PART_INDICES] + (double)t->bytes[BG_PART_SCALES]) / (double)t->count;
            assert_true(fabs(r - rate[kind]) < 0.001);
            assert_true(fabs(r + 0.5 * log2(loss.mse / loss.sigma2) - gap[kind]) < 0.005);
            bg_ckpt_close(base);
            bg_ckpt_close(c);
        } else {
            check_gap(scratch, "l.weight", rate[kind], gap[kind]);
        }
    }
    free(x);
    free(scales);
    free(codes);
}

static int make_scratch(void **state)
{
    (void)state;
    return !mkdtemp(scratch);
}

static int remove_scratch(void **state)
{
    char command[64];
    (void)state;
    snprintf(command, sizeof command, "rm -r %s", scratch);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gptq),
        cmocka_unit_test(test_awq),
        cmocka_unit_test(test_compressed_tensors),
        cmocka_unit_test(test_what_layouts_cannot_hold),
        cmocka_unit_test(test_dynamic_map),
        cmocka_unit_test(test_bitsandbytes),
        cmocka_unit_test(test_gguf_encoders),
        cmocka_unit_test(test_gguf_container),
        cmocka_unit_test(test_gguf_gaps),
        cmocka_unit_test(test_packed_gaps),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
