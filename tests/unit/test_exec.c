/* exec: what a program stores is its rate; its crash, silence, lie or wrong shape is its own failure. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "quant/engine/quantize.h"

enum { ROWS = 3, COLS = 8, NPY_HEADER = 128 };
static char program[] = "/tmp/bitgap-exec-XXXXXX";
static const float weights[ROWS * COLS] = {1, -2, 3, 0.5f, -0.25f, 7,  -7, 0, 1, 1, 1, 1,
                                           2, 2,  2, 2,    -1,     -1, 4,  4, 5, 5, 6, 6};

static bg_measure measure(const char *script, const char *keys)
{
    char text[160];
    float out[ROWS * COLS];
    bg_spec s;
    bg_measure r;
    bg_err e = {0};
    FILE *f = fopen(program, "w");
    assert_non_null(f);
    fprintf(f, "#!/bin/sh\n%s\n", script);
    fclose(f);
    assert_int_equal(chmod(program, 0700), 0);
    snprintf(text, sizeof text, "exec:cmd=%s%s", program, keys);
    if (bg_spec_parse(text, &s, &e))
        fail_msg("%s", e.text);
    bg_matrix m = {.rows = ROWS, .cols = COLS, .seed = 7};
    if (bg_reconstruct(&m, &s, weights, out, &r, NULL, &e))
        fail_msg("%s", e.text);
    if (!r.skipped && r.mse < 1e-30)
        assert_memory_equal(out, weights, sizeof out);
    return r;
}

static void stored_bytes_are_the_rate(void **state)
{
    (void)state;
    bg_measure r = measure("cp \"$2\" \"$3\"", "");
    assert_null(r.skipped);
    assert_true(r.mse == 0);
    assert_true(r.rate_bits == 8.0 * (NPY_HEADER + sizeof weights) / (ROWS * COLS));
    r = measure("cp \"$2\" \"$3\"; echo bytes 1000", "");
    assert_null(r.skipped);
    assert_true(r.rate_bits == 8000.0 / (ROWS * COLS));
}

static void settings_reach_the_program(void **state)
{
    (void)state;
    bg_measure r = measure(
        "test \"$BITGAP_BITS $BITGAP_ROWS $BITGAP_COLS $BITGAP_SEED\" = '2.5 3 8 7' && cp \"$2\" \"$3\"", ",bits=2.5");
    assert_null(r.skipped);
}

static void failures_are_its_own(void **state)
{
    (void)state;
    static const struct {
        const char *script, *keys, *reason;
    } cases[] = {
        {"kill -SEGV $$", "", "crashed"},
        {"exit 5", "", "failure of its own"},
        {"sleep 20", ",timeout=0.2", "timeout"},
        {"true", "", "stored nothing"},
        {"cp \"$2\" \"$3\"; echo bytes 10", "", "fewer bytes"},
        {"if [ $1 = encode ]; then cp \"$2\" \"$3\"; else head -c 100 \"$2\" > \"$3\"; fi", "", "shape"},
        {"if [ $1 = encode ]; then cp \"$2\" \"$3\"; fi", "", "shape"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bg_measure r = measure(cases[i].script, cases[i].keys);
        if (!r.skipped || !strstr(r.skipped, cases[i].reason))
            fail_msg("%s: '%s', not '%s'", cases[i].script, r.skipped ? r.skipped : "no failure", cases[i].reason);
    }
}

static void needs_a_program(void **state)
{
    (void)state;
    bg_spec s;
    bg_err e = {0};
    assert_int_equal(bg_spec_parse("exec", &s, &e), BG_USAGE);
    assert_int_equal(bg_spec_parse("exec:cmd=/nowhere/program", &s, &e), BG_USAGE);
    assert_non_null(strstr(e.text, "/nowhere/program"));
    assert_int_equal(bg_spec_parse("exec:cmd=/bin/true,lib=/bin/true", &s, &e), BG_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stored_bytes_are_the_rate),
        cmocka_unit_test(settings_reach_the_program),
        cmocka_unit_test(failures_are_its_own),
        cmocka_unit_test(needs_a_program),
    };
    int fd = mkstemp(program);
    if (fd < 0)
        return 1;
    close(fd);
    bg_set_quiet(1);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(program);
    return failed;
}
