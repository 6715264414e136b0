/* Owns patterns: literal strings and regular expressions, matched by PCRE2 with Unicode classes.
 *
 * tokenizer.json is written for Oniguruma. The constructs the two engines read differently are refused by name rather
 * than matched differently. A pattern from a file is hostile: matching is bounded, so a catastrophic one ends in an
 * error. */
#define _GNU_SOURCE
#include "io/tokenizer/parts.h"

#include <stdlib.h>
#include <string.h>

enum { MATCH_LIMIT = 20000000, HEAP_LIMIT_KIB = 65536, JIT_STACK_START = 32 * 1024, JIT_STACK_MOST = 8 << 20 };

int bg_pattern_literal(bg_pattern *p, const char *s, bg_err *e)
{
    p->length = strlen(s);
    if (!p->length)
        return bg_fail(e, BG_INPUT, "an empty string as a pattern");
    p->literal = strdup(s);
    return p->literal ? BG_OK : bg_no_memory(e, "a pattern", p->length);
}

static int same_in_both_engines(const char *s, bg_err *e)
{
    int in_class = 0;
    for (const char *c = s; *c; c++) {
        const char *foreign = NULL;
        if (c[0] == '\\' && c[1]) {
            if (strchr("hHORXyY", c[1]))
                foreign = "\\h, \\H, \\O, \\R, \\X, \\y or \\Y";
            c++;
            if (strchr("pPxo", c[0]) && c[1] == '{') /* its closing brace ends no interval */
                c += strcspn(c, "}") - (strchr(c, '}') ? 0 : 1);
        } else if (c[0] == '[') {
            in_class++;
        } else if (c[0] == ']' && in_class) {
            in_class--;
        } else if (in_class && c[0] == '&' && c[1] == '&') {
            foreign = "a class intersection &&";
        } else if (!in_class && c[0] == '}' && c[1] == '+') {
            foreign = "a repeated interval {}+";
        }
        if (foreign)
            return bg_fail(e, BG_INPUT, "the pattern '%.60s' uses %s, which is not supported", s, foreign);
    }
    return BG_OK;
}

int bg_pattern_regex(bg_pattern *p, const char *s, bg_err *e)
{
    size_t length = strlen(s);
    if (!length || length > BG_TOK_PATTERN_LIMIT)
        return bg_fail(e, BG_INPUT, "a pattern of %zu bytes; 1 to %d are allowed", length, BG_TOK_PATTERN_LIMIT);
    int status = same_in_both_engines(s, e);
    if (status)
        return status;
    int code;
    PCRE2_SIZE at;
    p->regex = pcre2_compile((PCRE2_SPTR)s, length, PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C,
                             &code, &at, NULL);
    if (!p->regex) {
        char message[160] = "";
        pcre2_get_error_message(code, (PCRE2_UCHAR *)message, sizeof message);
        return bg_fail(e, BG_INPUT, "the pattern '%.60s' does not compile at byte %zu: %s", s, (size_t)at, message);
    }
    pcre2_jit_compile(p->regex, PCRE2_JIT_COMPLETE); /* where there is no JIT, matching interprets */
    return BG_OK;
}

int bg_pattern_load(bg_pattern *p, const cJSON *node, bg_err *e)
{
    const char *s = bg_json_string(node, "String", NULL);
    if (s)
        return bg_pattern_literal(p, s, e);
    s = bg_json_string(node, "Regex", NULL);
    return s ? bg_pattern_regex(p, s, e) : bg_fail(e, BG_INPUT, "a pattern is neither a String nor a Regex");
}

void bg_pattern_free(bg_pattern *p)
{
    free(p->literal);
    pcre2_code_free(p->regex);
    *p = (bg_pattern){0};
}

void bg_matcher_free(bg_matcher *m)
{
    pcre2_match_data_free(m->data);
    pcre2_match_context_free(m->context);
    pcre2_jit_stack_free(m->stack);
    *m = (bg_matcher){0};
}

static int matcher_ready(bg_matcher *m, bg_err *e)
{
    if (m->data && m->context && m->stack)
        return BG_OK;
    bg_matcher_free(m);
    m->data = pcre2_match_data_create(1, NULL);
    m->context = pcre2_match_context_create(NULL);
    m->stack = pcre2_jit_stack_create(JIT_STACK_START, JIT_STACK_MOST, NULL);
    if (!m->data || !m->context || !m->stack)
        return bg_no_memory(e, "matching a pattern", JIT_STACK_START);
    pcre2_set_match_limit(m->context, MATCH_LIMIT);
    pcre2_set_heap_limit(m->context, HEAP_LIMIT_KIB);
    pcre2_jit_stack_assign(m->context, NULL, m->stack);
    return BG_OK;
}

int bg_pattern_next(const bg_pattern *p, bg_matcher *m, const char *text, size_t length, size_t from, int *found,
                    size_t *a, size_t *b, bg_err *e)
{
    *found = 0;
    if (p->literal) {
        const char *hit = from < length ? memmem(text + from, length - from, p->literal, p->length) : NULL;
        if (hit) {
            *found = 1;
            *a = (size_t)(hit - text);
            *b = *a + p->length;
        }
        return BG_OK;
    }
    int status = matcher_ready(m, e);
    if (status || from > length)
        return status;
    /* The text is valid UTF-8 by construction; checking it again at every word would be quadratic. */
    int n = pcre2_match(p->regex, (PCRE2_SPTR)text, length, from, PCRE2_NO_UTF_CHECK, m->data, m->context);
    if (n == PCRE2_ERROR_NOMATCH)
        return BG_OK;
    if (n < 0) {
        char message[160] = "";
        pcre2_get_error_message(n, (PCRE2_UCHAR *)message, sizeof message);
        return bg_fail(e, BG_INPUT, "a pattern of the tokenizer gives up on this text: %s", message);
    }
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(m->data);
    if (at[0] > at[1] || at[0] < from) /* \K in a lookaround */
        return bg_fail(e, BG_INPUT, "a pattern of the tokenizer matches backwards");
    *found = 1;
    *a = at[0];
    *b = at[1];
    return BG_OK;
}
