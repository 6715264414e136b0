/* What tests of reference values share: a case of tests/reference/NAME.json, and |x − value| ≤ atol + rtol·|value|.
 * Include after cmocka.h. */
#ifndef BG_TESTS_REFERENCE_H
#define BG_TESTS_REFERENCE_H

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "io/base/json.h"

static inline cJSON *reference_open(const char *name)
{
    char path[256];
    bg_err e = {0};
    cJSON *root = NULL;
    snprintf(path, sizeof path, "tests/reference/%s.json", name);
    if (bg_json_read(path, 1 << 24, &root, &e))
        fail_msg("%s", e.text);
    return root;
}

static inline const cJSON *reference_cases(const cJSON *root)
{
    return cJSON_GetObjectItemCaseSensitive(root, "cases");
}

static inline const cJSON *reference_case(const cJSON *root, const char *id)
{
    const cJSON *c;
    cJSON_ArrayForEach(c, reference_cases(root)) if (!strcmp(bg_json_string(c, "id", ""), id)) return c;
    fail_msg("no reference case %s", id);
    return NULL;
}

static inline const cJSON *reference_expect(const cJSON *c, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(c, "expect"), name);
}

static inline void reference_near(const cJSON *c, const cJSON *expect, const char *name, double value, double x)
{
    double room = bg_json_number(expect, "atol", 0) + bg_json_number(expect, "rtol", 0) * fabs(value);
    if (!(fabs(x - value) <= room))
        fail_msg("%s %s: %.12g, reference %.12g, tolerance %.3g", bg_json_string(c, "id", "?"), name, x, value, room);
}

/* One number of a case; every such name must be there. */
static inline void reference_check(const cJSON *c, const char *name, double x)
{
    const cJSON *expect = reference_expect(c, name);
    if (!expect)
        fail_msg("%s: no expected %s", bg_json_string(c, "id", "?"), name);
    reference_near(c, expect, name, bg_json_number(expect, "value", (double)NAN), x);
}

/* A list of numbers, element by element. */
static inline void reference_check_list(const cJSON *c, const char *name, const double *x, int n)
{
    const cJSON *expect = reference_expect(c, name), *list = cJSON_GetObjectItemCaseSensitive(expect, "value");
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) != n)
        fail_msg("%s %s: not a list of %d", bg_json_string(c, "id", "?"), name, n);
    for (int i = 0; i < n; i++)
        reference_near(c, expect, name, cJSON_GetArrayItem(list, i)->valuedouble, x[i]);
}

#endif
