/* .npy files: what is written reads back; every damaged header and length is refused. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "io/base/npy.h"

static char path[] = "/tmp/bitgap-npy-XXXXXX";

static int put(const char *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    return fclose(f);
}

static void round_trip(void **state)
{
    (void)state;
    float w[6] = {1, -2.5f, 3e-40f, 0, 1e30f, -0.0f}, back[6];
    bg_err e = {0};
    assert_int_equal(bg_npy_write(path, w, 2, 3, &e), BG_OK);
    assert_int_equal(bg_npy_read(path, back, 2, 3, &e), BG_OK);
    assert_memory_equal(w, back, sizeof w);
    assert_int_equal(bg_npy_read(path, back, 3, 2, &e), BG_INPUT);
    assert_non_null(strstr(e.text, "(3, 2)"));
}

static void refusals(void **state)
{
    (void)state;
    float back[6];
    bg_err e = {0};
    char good[256];
    size_t n;
    float w[6] = {0};
    assert_int_equal(bg_npy_write(path, w, 2, 3, &e), BG_OK);
    FILE *f = fopen(path, "rb");
    n = fread(good, 1, sizeof good, f);
    fclose(f);
    assert_int_equal(n, 128 + sizeof w);
    for (size_t cut = 0; cut < n; cut++) {
        put(good, cut);
        assert_int_equal(bg_npy_read(path, back, 2, 3, &e), BG_INPUT);
    }
    char longer[257];
    memcpy(longer, good, n);
    longer[n] = 0;
    put(longer, n + 1);
    assert_int_equal(bg_npy_read(path, back, 2, 3, &e), BG_INPUT);
    char changed[256];
    memcpy(changed, good, n);
    memcpy(strstr(changed + 10, "<f4"), "<f8", 3);
    put(changed, n);
    assert_int_equal(bg_npy_read(path, back, 2, 3, &e), BG_INPUT);
    assert_non_null(strstr(e.text, "float32"));
    memcpy(changed, good, n);
    memcpy(strstr(changed + 10, "False"), "True ", 5);
    put(changed, n);
    assert_int_equal(bg_npy_read(path, back, 2, 3, &e), BG_INPUT);
    memcpy(changed, good, n);
    memset(changed + 8, 0xff, 2);
    put(changed, n);
    assert_int_equal(bg_npy_read(path, back, 2, 3, &e), BG_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(round_trip), cmocka_unit_test(refusals)};
    int fd = mkstemp(path);
    if (fd < 0)
        return 1;
    close(fd);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
