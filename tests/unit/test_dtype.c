/* Rounding to the small float types: every value round-trips, midpoints go to even, the ends saturate or overflow. */
#include "tests/golden/golden.h"

#include <string.h>

static float next_up(float f)
{
    return nextafterf(f, INFINITY);
}

/* Between two neighbouring codes: at the midpoint the even code wins, just beside it the nearer one. */
static void check_between(uint32_t code, float low, float high, uint32_t (*encode)(float))
{
    float middle = (float)(((double)low + (double)high) / 2);
    assert_int_equal(encode(low), code);
    assert_int_equal(encode(middle), code + (code & 1));
    assert_int_equal(encode(next_up(middle)), code + 1);
    assert_int_equal(encode(nextafterf(middle, -INFINITY)), code);
}

static uint32_t encode_f16(float f)
{
    return bg_f32_to_f16(f);
}
static uint32_t encode_bf16(float f)
{
    return bg_f32_to_bf16(f);
}
static uint32_t encode_e4m3(float f)
{
    return bg_f32_to_e4m3(f);
}
static uint32_t encode_e5m2(float f)
{
    return bg_f32_to_e5m2(f);
}

static void test_f16(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x7bff; c++)
        check_between(c, bg_f16_to_f32((uint16_t)c), bg_f16_to_f32((uint16_t)(c + 1)), encode_f16);
    assert_int_equal(bg_f32_to_f16(65519.996f), 0x7bff);
    assert_int_equal(bg_f32_to_f16(-65520.0f), 0xfc00);
    assert_true(isnan(bg_f16_to_f32(bg_f32_to_f16(NAN))));
    assert_int_equal(bg_f32_to_f16(-0.0f), 0x8000);
}

static void test_bf16(void **state)
{
    (void)state;
    for (uint32_t c = 1; c < 0x7f7f; c++)
        check_between(c, bg_bf16_to_f32((uint16_t)c), bg_bf16_to_f32((uint16_t)(c + 1)), encode_bf16);
    assert_true(isnan(bg_bf16_to_f32(bg_f32_to_bf16(NAN))));
}

static void test_f8(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x7e; c++)
        check_between(c, bg_e4m3_to_f32((uint8_t)c), bg_e4m3_to_f32((uint8_t)(c + 1)), encode_e4m3);
    for (uint32_t c = 0; c < 0x7b; c++)
        check_between(c, bg_e5m2_to_f32((uint8_t)c), bg_e5m2_to_f32((uint8_t)(c + 1)), encode_e5m2);
    assert_int_equal(bg_f32_to_e4m3(1e9f), 0x7e);
    assert_int_equal(bg_f32_to_e4m3(-INFINITY), 0xfe);
    assert_int_equal(bg_f32_to_e5m2(1e9f), 0x7b);
    assert_true(isnan(bg_e4m3_to_f32(bg_f32_to_e4m3(NAN))));
    assert_true(bg_e2m1_to_f32(15) == -6 && signbit(bg_e2m1_to_f32(8)));
}

/* Values in the tail of their own output: what bg_tensor_rows relies on to need no second buffer. */
static void test_decodes_in_place(void **state)
{
    (void)state;
    enum { N = 1000 };
    static const bg_dtype types[] = {BG_F32, BG_BF16, BG_F16, BG_F8_E4M3, BG_I32, BG_I16, BG_I8};
    for (size_t k = 0; k < sizeof types / sizeof *types; k++)
        for (size_t n = 1; n < N; n += 1 + n / 3) {
            const bg_dtype_row *t = &bg_dtypes[types[k]];
            float out[N], apart[N];
            unsigned char raw[4 * N];
            for (size_t i = 0; i < sizeof raw; i++)
                raw[i] = (unsigned char)(i * 37 + i / 7);
            t->decode(raw, apart, n);
            memcpy((char *)out + n * (4 - t->bits / 8), raw, n * t->bits / 8);
            t->decode((char *)out + n * (4 - t->bits / 8), out, n);
            assert_floats_equal(t->name, out, apart, n);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f16),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_f8),
        cmocka_unit_test(test_decodes_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
