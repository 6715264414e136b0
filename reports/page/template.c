/* Owns finding templates and filling their placeholders. */
#define _GNU_SOURCE
#include "reports/page/template.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "io/base/file.h"
#include "io/base/options.h"

#ifndef BG_TEMPLATES
#define BG_TEMPLATES "/usr/local/share/bitgap/templates"
#endif

enum { TEMPLATE_LIMIT = 1 << 22 };

bg_text *bg_slots_at(bg_slots *s, const char *name)
{
    for (int i = 0; i < s->n; i++)
        if (!strcmp(s->slots[i].name, name))
            return &s->slots[i].text;
    if (s->n == BG_SLOTS) {
        s->slots[s->n - 1].text.failed = 1;
        return &s->slots[s->n - 1].text;
    }
    s->slots[s->n] = (bg_slot){.name = name};
    return &s->slots[s->n++].text;
}

void bg_slots_free(bg_slots *s)
{
    for (int i = 0; i < s->n; i++)
        bg_text_free(&s->slots[i].text);
    s->n = 0;
}

static char *beside_program(const char *relative)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n <= 0)
        return NULL;
    path[n] = 0;
    char *slash = strrchr(path, '/');
    if (slash)
        *slash = 0;
    return bg_path_join(path, relative);
}

int bg_templates_find(const char *given, char **out, bg_err *e)
{
    *out = NULL;
    if (given) {
        *out = bg_is_directory(given) ? strdup(given) : NULL;
        return *out ? BG_OK : bg_fail(e, BG_INPUT, "%s: no such directory of templates", given);
    }
    const char *environment = getenv("BITGAP_TEMPLATES");
    char *places[] = {environment ? strdup(environment) : NULL, beside_program("../templates"),
                      beside_program("../share/bitgap/templates"), strdup(BG_TEMPLATES)};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (!*out && places[i] && bg_is_directory(places[i]))
            *out = places[i];
        else
            free(places[i]);
    }
    return *out ? BG_OK : bg_fail(e, BG_INPUT, "no templates in %s; give --templates DIR", BG_TEMPLATES);
}

static const bg_slot *find_slot(const bg_slots *s, const char *name, size_t n)
{
    for (int i = 0; i < s->n; i++)
        if (strlen(s->slots[i].name) == n && !strncmp(s->slots[i].name, name, n))
            return &s->slots[i];
    return NULL;
}

static int unknown(const char *path, int line, const bg_slots *s, const char *name, size_t n, bg_err *e)
{
    const char *names[BG_SLOTS];
    char word[64];
    snprintf(word, sizeof word, "%.*s", (int)(n < 63 ? n : 63), name);
    for (int i = 0; i < s->n; i++)
        names[i] = s->slots[i].name;
    const char *near = bg_nearest(word, names, s->n);
    return bg_fail(e, BG_INPUT, "%s:%d: unknown placeholder {{%s}}%s%s%s", path, line, word,
                   near ? ", did you mean {{" : "", near ? near : "", near ? "}}?" : "");
}

/* From p on, whether nothing but spaces precedes the end of the line. */
static int blank_until_newline(const char *p)
{
    while (*p == ' ')
        p++;
    return !*p || *p == '\n';
}

static int fill(const char *path, const char *text, const bg_slots *s, bg_text *out, bg_err *e)
{
    int line = 1;
    for (const char *p = text; *p;) {
        const char *open = strstr(p, "{{");
        size_t n = open ? (size_t)(open - p) : strlen(p);
        bg_text_add_n(out, p, n);
        for (size_t i = 0; i < n; i++)
            line += p[i] == '\n';
        if (!open)
            break;
        const char *close = strstr(open, "}}");
        if (!close)
            return bg_fail(e, BG_INPUT, "%s:%d: '{{' without '}}'", path, line);
        const bg_slot *slot = find_slot(s, open + 2, (size_t)(close - open - 2));
        if (!slot)
            return unknown(path, line, s, open + 2, (size_t)(close - open - 2), e);
        if (slot->text.failed)
            return bg_no_memory(e, slot->name, 0);
        bg_text_add(out, bg_text_string(&slot->text));
        p = close + 2;
        int alone = open == text || open[-1] == '\n';
        if (alone && !slot->text.length && blank_until_newline(p)) {
            p += strcspn(p, "\n");
            p += *p == '\n';
            line++;
        }
    }
    return out->failed ? bg_no_memory(e, path, out->length) : BG_OK;
}

int bg_template_fill(const char *directory, const char *name, const bg_slots *s, bg_text *out, bg_err *e)
{
    char *path = bg_path_join(directory, name), *text = NULL;
    if (!path)
        return bg_no_memory(e, name, PATH_MAX);
    int status = bg_file_read(path, TEMPLATE_LIMIT, &text, NULL, e);
    if (!status)
        status = fill(path, text, s, out, e);
    free(text);
    free(path);
    return status;
}
