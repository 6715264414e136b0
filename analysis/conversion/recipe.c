/* Owns recipes: which spec a tensor's name stands for. */
#define _POSIX_C_SOURCE 200809L
#include "analysis/conversion/recipe.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>
#include "io/base/file.h"
#include "io/base/json.h"

enum { TEXT_LIMIT = 64 << 20, RULES_MOST = 1 << 20 };

typedef struct rule {
    char *tensor; /* exact name; NULL: code decides */
    pcre2_code *code;
    const bg_spec *spec; /* in specs */
} rule;

struct bg_recipe {
    rule *rules;
    int n;
    bg_spec **specs; /* each text once */
    int n_specs;
    char *name;
};

static int intern(bg_recipe *m, const char *text, const bg_spec **out, bg_err *e)
{
    bg_spec *s = malloc(sizeof *s);
    void *more = realloc(m->specs, ((size_t)m->n_specs + 1) * sizeof *m->specs);
    if (more)
        m->specs = more;
    int status = s && more ? bg_spec_parse(text, s, e) : bg_no_memory(e, "specs", sizeof *s);
    for (int i = 0; i < m->n_specs && !status; i++)
        if (!strcmp(m->specs[i]->text, s->text)) {
            *out = m->specs[i];
            free(s);
            return BG_OK;
        }
    if (status) {
        free(s);
        return status;
    }
    *out = m->specs[m->n_specs++] = s;
    return BG_OK;
}

static int add(bg_recipe *m, const char *tensor, pcre2_code *code, const char *spec, bg_err *e)
{
    rule r = {.tensor = tensor ? strdup(tensor) : NULL, .code = code};
    void *more = m->n < RULES_MOST ? realloc(m->rules, ((size_t)m->n + 1) * sizeof *m->rules) : NULL;
    if (more)
        m->rules = more;
    int status = more && (r.tensor || code) ? intern(m, spec, &r.spec, e)
                                            : bg_no_memory(e, "a recipe", ((size_t)m->n + 1) * sizeof r);
    if (status) {
        free(r.tensor);
        pcre2_code_free(code);
        return status;
    }
    m->rules[m->n++] = r;
    return BG_OK;
}

/* ---- text ---- */

static int add_line(bg_recipe *m, char *line, const char *path, int number, bg_err *e)
{
    line[strcspn(line, "#\r")] = 0;
    char *pattern = line + strspn(line, " \t"), *spec = pattern + strcspn(pattern, " \t");
    if (!*pattern)
        return BG_OK;
    if (*spec)
        *spec++ = 0;
    spec += strspn(spec, " \t");
    spec[strcspn(spec, " \t")] = 0;
    if (!*spec)
        return bg_fail(e, BG_INPUT, "%s:%d: a line is PATTERN SPEC", path, number);
    int code = 0;
    PCRE2_SIZE at = 0;
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF, &code, &at, NULL);
    if (!compiled) {
        PCRE2_UCHAR why[128];
        pcre2_get_error_message(code, why, sizeof why);
        return bg_fail(e, BG_INPUT, "%s:%d: '%s' is no regular expression: %s", path, number, pattern,
                       (const char *)why);
    }
    int status = add(m, NULL, compiled, spec, e);
    if (status && e && e->code == BG_USAGE)
        e->code = BG_INPUT; /* the mistake is in the file, not on the command line */
    return status ? bg_context(e, "%s:%d", path, number) : BG_OK;
}

static int read_text(bg_recipe *m, char *text, const char *path, bg_err *e)
{
    int number = 0, status = BG_OK;
    for (char *line = text, *end; line && !status; line = end) {
        end = strchr(line, '\n');
        if (end)
            *end++ = 0;
        status = add_line(m, line, path, ++number, e);
    }
    return status;
}

/* ---- an allocation ---- */

static int read_allocation(bg_recipe *m, const char *path, bg_provenance *p, bg_err *e)
{
    cJSON *root = NULL;
    const cJSON *row;
    int status = bg_doc_read(path, "allocation", &root, p, e);
    const cJSON *rows = status ? NULL : bg_doc_rows(root, "layers");
    cJSON_ArrayForEach(row, rows)
    {
        const char *tensor = bg_json_string(row, "tensor", "");
        if (!status)
            status = add(m, tensor, NULL, bg_json_string(row, "spec", ""), e);
        if (status) {
            if (e && e->code == BG_USAGE)
                e->code = BG_INPUT;
            status = bg_context(e, "%s: '%.80s'", path, tensor);
        }
    }
    cJSON_Delete(root);
    return status;
}

int bg_recipe_read(const char *path, bg_recipe **out, bg_provenance *p, bg_err *e)
{
    char *text = NULL;
    size_t length = 0;
    bg_recipe *m = calloc(1, sizeof *m);
    int status = m ? bg_file_read(path, TEXT_LIMIT, &text, &length, e) : bg_no_memory(e, path, sizeof *m);
    int document = !status && text[strspn(text, " \t\r\n")] == '{';
    if (!status && document)
        status = read_allocation(m, path, p, e);
    else if (!status) {
        status = p ? bg_provenance_add(p, path, 0, e) : BG_OK;
        if (!status)
            status = read_text(m, text, path, e);
    }
    if (!status && !(m->name = strdup(bg_path_base(path))))
        status = bg_no_memory(e, path, strlen(path));
    if (!status && !m->n)
        status = bg_fail(e, BG_INPUT, "%s: the recipe names no tensor", path);
    free(text);
    if (status)
        bg_recipe_free(m);
    else
        *out = m;
    return status;
}

int bg_recipe_make(const char *name, const char *const *tensors, const char *const *specs, int n, bg_recipe **out,
                   bg_err *e)
{
    bg_recipe *m = calloc(1, sizeof *m);
    int status = m && (m->name = strdup(name)) ? BG_OK : bg_no_memory(e, "a recipe", sizeof *m);
    for (int i = 0; i < n && !status; i++)
        status = add(m, tensors[i], NULL, specs[i], e);
    if (status)
        bg_recipe_free(m);
    else
        *out = m;
    return status;
}

void bg_recipe_free(bg_recipe *m)
{
    if (!m)
        return;
    for (int i = 0; i < m->n; i++) {
        free(m->rules[i].tensor);
        pcre2_code_free(m->rules[i].code);
    }
    for (int i = 0; i < m->n_specs; i++)
        free(m->specs[i]);
    free(m->rules);
    free(m->specs);
    free(m->name);
    free(m);
}

const char *bg_recipe_name(const bg_recipe *m)
{
    return m->name;
}

static int matches(const rule *r, const char *tensor)
{
    if (r->tensor)
        return !strcmp(r->tensor, tensor);
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(r->code, NULL);
    int found = data && pcre2_match(r->code, (PCRE2_SPTR)tensor, PCRE2_ZERO_TERMINATED, 0, 0, data, NULL) >= 0;
    pcre2_match_data_free(data);
    return found;
}

const bg_spec *bg_recipe_spec(const bg_recipe *m, const char *tensor)
{
    for (int i = 0; i < m->n; i++)
        if (matches(&m->rules[i], tensor))
            return m->rules[i].spec;
    return NULL;
}
