/* The tokenizer's edges: what is refused and by what name, repair of invalid UTF-8, ties of merges, threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "io/base/json.h"
#include "io/tokenizer/parts.h"

#define MODEL "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]}"

static int parse(const char *json, bg_tokenizer **t, bg_err *e)
{
    return bg_tokenizer_parse(json, strlen(json), "t.json", t, e);
}

/* Each is refused with BG_INPUT, and the line names what is wrong. */
static void refuses(void **state)
{
    static const struct {
        const char *json, *says;
    } cases[] = {
        {"{}", "no model"},
        {"[]", "an object"},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[]}}", "Unigram"},
        {"{\"model\":{\"type\":\"WordPiece\"}}", "WordPiece"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[]}}", "no vocabulary"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0}}}", "no merges"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}}", "not an integer"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":1e18},\"merges\":[]}}", "not an integer"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0.5},\"merges\":[]}}", "not an integer"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":\"0\"},\"merges\":[]}}", "not an integer"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]}}", "two tokens have the id 0"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1},\"merges\":[\"a b\"]}}", "what they become"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"ab\":1},\"merges\":[\"a b\"]}}", "the right part"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"aa\":1},\"merges\":[\"a  a\"]}}", "one space"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"aa\":1},\"merges\":[\"aa\"]}}", "one space"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]}}", "neither a string nor a pair"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[],\"unk_token\":\"u\"}}", "unknown token"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[],\"dropout\":0.1}}", "dropout"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[],\"end_of_word_suffix\":\"</w>\"}}", "suffix"},
        {"{\"normalizer\":{\"type\":\"Precompiled\"}," MODEL "}", "Precompiled"},
        {"{\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\"\"},\"content\":\"x\"}," MODEL "}", "empty"},
        {"{\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"}," MODEL "}", "BertPreTokenizer"},
        {"{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\"},\"behavior\":\"Isolated\"}," MODEL "}",
         "compile"},
        {"{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Glob\":\"(\"},\"behavior\":\"Isolated\"}," MODEL "}",
         "neither"},
        {"{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[a&&b]\"},\"behavior\":\"Isolated\"}," MODEL
         "}",
         "&&"},
        {"{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\h\"},\"behavior\":\"Isolated\"}," MODEL
         "}",
         "\\h"},
        {"{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\"a\"},\"behavior\":\"Odd\"}," MODEL "}",
         "Odd"},
        {"{\"decoder\":{\"type\":\"CTC\"}," MODEL "}", "CTC"},
        {"{\"post_processor\":{\"type\":\"Odd\"}," MODEL "}", "Odd"},
        {"{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[]}," MODEL "}", "0 times"},
        {"{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"x\"}}]}," MODEL
         "}",
         "'x'"},
        {"{\"post_processor\":{\"type\":\"RobertaProcessing\",\"cls\":[\"s\",9],\"sep\":[\"s\",0]}," MODEL "}",
         "outside"},
        {"{\"added_tokens\":[{\"id\":99999999,\"content\":\"x\"}]," MODEL "}", "added token"},
        {"{\"added_tokens\":[{\"content\":\"x\"}]," MODEL "}", "added token"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bg_err e = {0};
        bg_tokenizer *t = NULL;
        if (parse(cases[i].json, &t, &e) != BG_INPUT || !strstr(e.text, cases[i].says) || !strstr(e.text, "t.json"))
            fail_msg("case %zu: %s: says '%s', should say '%s'", i, cases[i].json, e.text, cases[i].says);
        assert_null(t);
    }
}

static void deep_nesting(void **state)
{
    (void)state;
    char json[4096] = "{\"pre_tokenizer\":";
    for (int i = 0; i < 12; i++)
        strcat(json, "{\"type\":\"Sequence\",\"pretokenizers\":[");
    for (int i = 0; i < 12; i++)
        strcat(json, "]}");
    strcat(json, "," MODEL "}");
    bg_err e = {0};
    bg_tokenizer *t = NULL;
    assert_int_equal(parse(json, &t, &e), BG_INPUT);
    assert_non_null(strstr(e.text, "Sequence"));
}

/* A pattern that backtracks exponentially ends in an error, not in a hang. */
static void catastrophic_pattern(void **state)
{
    (void)state;
    bg_err e = {0};
    bg_tokenizer *t = NULL;
    bg_ids ids;
    assert_int_equal(parse("{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(a|a)*[bd]\"},\"behavior\":"
                           "\"Isolated\"}," MODEL "}",
                           &t, &e),
                     BG_OK);
    assert_int_equal(bg_tokenizer_encode(t, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", 41, 0, &ids, &e), BG_INPUT);
    assert_non_null(strstr(e.text, "gives up"));
    bg_tokenizer_close(t);
}

static void repair(void **state)
{
    /* Table 3-8 of the Unicode standard, and the ends of the ranges. */
    static const struct {
        const char *in, *out;
        size_t replaced;
    } cases[] = {
        {"plain", "plain", 0},
        {"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x8E\x89", "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x8E\x89", 0},
        {"a\xF1\x80\x80\xE1\x80\xC2"
         "b\x80"
         "c\x80\xBF"
         "d",
         "a???b?c??d", 6},
        {"\xC0\xAF", "??", 2},
        {"\xED\xA0\x80", "???", 3},
        {"\xF4\x90\x80\x80", "????", 4},
        {"\xF4\x8F\xBF\xBF", "\xF4\x8F\xBF\xBF", 0},
        {"x\xE2\x82", "x?", 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bg_bytes out = {0}, want = {0};
        assert_int_equal(bg_utf8_repair(cases[i].in, strlen(cases[i].in), &out), cases[i].replaced);
        for (const char *s = cases[i].out; *s; s++)
            bg_bytes_add(&want, *s == '?' ? "\xEF\xBF\xBD" : s, *s == '?' ? 3 : 1);
        assert_int_equal(out.length, want.length);
        assert_memory_equal(out.bytes, want.bytes, want.length);
        bg_bytes_free(&out);
        bg_bytes_free(&want);
    }
}

static void byte_alphabet(void **state)
{
    (void)state;
    unsigned char seen[0x200] = {0};
    uint32_t next = 0x100;
    for (int b = 0; b < 256; b++) {
        uint32_t c = bg_byte_stand_in((unsigned char)b);
        assert_true(c < 0x144 && !seen[c]++);
        assert_int_equal(bg_stand_in_byte(c), b);
        if (c >= 0x100)
            assert_int_equal(c, next++); /* the unprintable ones in increasing order */
    }
    assert_int_equal(next, 0x144);
    assert_int_equal(bg_stand_in_byte(' '), -1);
    assert_int_equal(bg_stand_in_byte(0x144), -1);
}

/* Lowest rank first, leftmost among equals: aaa with the merge a a is (aa) a; and a merge made stale by another is
 * dropped. Checked against the definition, run naively, on all strings of a, b up to length 8. */
static size_t naive(const bg_tokenizer *t, const char *s, int32_t *ids)
{
    static const char *const merges[][2] = {{"a", "b"}, {"a", "a"}, {"ab", "aa"}, {"b", "ab"}};
    char parts[16][32], joined[32];
    size_t n = 0;
    for (; s[n]; n++)
        parts[n][0] = s[n], parts[n][1] = 0;
    for (;;) {
        size_t best_at = 0, best = 4;
        for (size_t i = 0; i + 1 < n; i++)
            for (size_t r = 0; r < best; r++)
                if (!strcmp(parts[i], merges[r][0]) && !strcmp(parts[i + 1], merges[r][1]))
                    best = r, best_at = i;
        if (best == 4)
            break;
        snprintf(joined, sizeof joined, "%.15s%.15s", parts[best_at], parts[best_at + 1]);
        memcpy(parts[best_at], joined, sizeof joined);
        memmove(parts + best_at + 1, parts + best_at + 2, (n - best_at - 2) * sizeof *parts);
        n--;
    }
    for (size_t i = 0; i < n; i++)
        ids[i] = bg_tokenizer_find(t, parts[i], strlen(parts[i]));
    return n;
}

static void merges_by_definition(void **state)
{
    (void)state;
    bg_err e = {0};
    bg_tokenizer *t = NULL;
    assert_int_equal(
        parse("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"aa\":3,\"abaa\":4,\"bab\":5},"
              "\"merges\":[\"a b\",[\"a\",\"a\"],\"ab aa\",\"b ab\"]}}",
              &t, &e),
        BG_OK);
    for (int length = 1; length <= 10; length++)
        for (int bits = 0; bits < 1 << length; bits++) {
            char s[16] = {0};
            int32_t expected[16];
            bg_ids ids;
            for (int i = 0; i < length; i++)
                s[i] = bits >> i & 1 ? 'b' : 'a';
            size_t n = naive(t, s, expected);
            assert_int_equal(bg_tokenizer_encode(t, s, (size_t)length, 0, &ids, &e), BG_OK);
            assert_int_equal(ids.n, n);
            assert_memory_equal(ids.id, expected, n * sizeof *expected);
            bg_ids_free(&ids);
        }
    bg_tokenizer_close(t);
}

static void ids_and_strings(void **state)
{
    (void)state;
    bg_err e = {0};
    bg_tokenizer *t = NULL;
    bg_ids ids;
    char *text;
    size_t n;
    assert_int_equal(bg_tokenizer_open("data/austen-3.7m", &t, &e), BG_OK);
    assert_int_equal(bg_tokenizer_size(t), 2048);
    assert_true(bg_tokenizer_is_special(t, bg_tokenizer_bos(t)));
    for (int32_t id = 0; id < bg_tokenizer_size(t); id++) {
        const char *s = bg_tokenizer_string(t, id, &n);
        assert_non_null(s);
        assert_int_equal(bg_tokenizer_find(t, s, n), id);
    }
    assert_null(bg_tokenizer_string(t, 2048, &n));
    assert_int_equal(bg_tokenizer_find(t, "no such token", 13), -1);
    int32_t bad = 2048;
    assert_int_equal(bg_tokenizer_decode(t, &bad, 1, 0, &text, &n, &e), BG_INPUT);
    assert_non_null(strstr(e.text, "2048"));
    assert_int_equal(bg_tokenizer_encode(t, "", 0, 1, &ids, &e), BG_OK);
    assert_int_equal(ids.n, 1);
    assert_int_equal(bg_tokenizer_decode(t, ids.id, ids.n, 1, &text, &n, &e), BG_OK);
    assert_int_equal(n, 0);
    free(text);
    bg_ids_free(&ids);
    bg_tokenizer_close(t);
}

/* One tokenizer, many threads: the same ids. */
static void threads(void **state)
{
    (void)state;
    static const char text[] = "Sir Walter Elliot, of Kellynch Hall, in Somersetshire, 1811";
    bg_err e = {0};
    bg_tokenizer *t = NULL;
    bg_ids first;
    int wrong = 0;
    assert_int_equal(bg_tokenizer_open("data/austen-3.7m", &t, &e), BG_OK);
    assert_int_equal(bg_tokenizer_encode(t, text, sizeof text - 1, 0, &first, &e), BG_OK);
#pragma omp parallel for num_threads(4) reduction(+ : wrong)
    for (int i = 0; i < 400; i++) {
        bg_ids ids;
        if (bg_tokenizer_encode(t, text, sizeof text - 1, 0, &ids, NULL) || ids.n != first.n ||
            memcmp(ids.id, first.id, ids.n * sizeof *ids.id))
            wrong++;
        bg_ids_free(&ids);
    }
    assert_int_equal(wrong, 0);
    bg_ids_free(&first);
    bg_tokenizer_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses),         cmocka_unit_test(deep_nesting),  cmocka_unit_test(catastrophic_pattern),
        cmocka_unit_test(repair),          cmocka_unit_test(byte_alphabet), cmocka_unit_test(merges_by_definition),
        cmocka_unit_test(ids_and_strings), cmocka_unit_test(threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
