/* Owns checking a configuration against its table of settings, and printing that table for a person. */
#define _GNU_SOURCE
#include "io/base/settings.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "io/base/options.h"

enum { KEY = 160, NAMES = 64, LINE = 1024 };

/* ---- what is allowed, in words ---- */

/* "a, b, c" of the members of the object named by `prefix`, or of a list of words. */
static const char *list_names(const char *const *names, int n, char *out, size_t room)
{
    size_t at = 0;
    out[0] = 0;
    for (int i = 0; i < n && at + 4 < room; i++)
        at += (size_t)snprintf(out + at, room - at, "%s%s", i ? ", " : "", names[i]);
    if (at + 4 >= room)
        memcpy(out + room - 5, " …", 4), out[room - 1] = 0;
    return out;
}

static int count_words(const char *const *words)
{
    int n = 0;
    while (words && words[n])
        n++;
    return n;
}

/* Name of a setting inside the object `prefix` ("", "data.", "specs[]."), or NULL when it belongs elsewhere. */
static const char *member_of(const bg_setting *s, const char *prefix)
{
    size_t n = strlen(prefix);
    if (strncmp(s->key, prefix, n) != 0 || strpbrk(s->key + n, ".["))
        return NULL;
    return s->key + n;
}

static const char *kind_of(const bg_setting *s, char *out, size_t room)
{
    static const char *const names[] = {"a text",
                                        "an integer",
                                        "true or false",
                                        "an object {…}",
                                        "a text or a list of texts",
                                        "a list",
                                        "a text, a number, true or false"};
    if (s->type == BG_SET_INTEGER)
        snprintf(out, room, "an integer in %.0f..%.0f", s->least, s->most);
    else
        snprintf(out, room, "%s", names[s->type]);
    return out;
}

static int wrong(const char *path, const char *key, const bg_setting *s, bg_err *e)
{
    char kind[64];
    return bg_fail(e, BG_INPUT, "%s: '%s' wants %s: %s", path, key, kind_of(s, kind, sizeof kind), s->help);
}

static int no_word(const char *path, const char *key, const char *text, const bg_setting *s, bg_err *e)
{
    char all[LINE];
    int n = count_words(s->words);
    const char *near = bg_nearest(text, s->words, n);
    return bg_fail(e, BG_INPUT, "%s: '%s' may not be '%.60s'%s%s%s Allowed: %s", path, key, text,
                   near ? ", did you mean " : ".", near ? near : "", near ? "?" : "",
                   list_names(s->words, n, all, sizeof all));
}

/* ---- checking ---- */

static int check_object(const cJSON *o, const char *path, const char *prefix, const char *shown,
                        const bg_setting *table, bg_err *e);

static int check_text(const cJSON *item, const char *path, const char *key, const bg_setting *s, bg_err *e)
{
    if (!cJSON_IsString(item) || !item->valuestring[0])
        return wrong(path, key, s, e);
    for (int i = 0; s->words && s->words[i]; i++)
        if (!strcmp(s->words[i], item->valuestring))
            return BG_OK;
    return s->words ? no_word(path, key, item->valuestring, s, e) : BG_OK;
}

static int check_list(const cJSON *list, const char *path, const char *shown, const bg_setting *s,
                      const bg_setting *table, bg_err *e)
{
    char prefix[KEY], item_name[KEY];
    int i = 0, status = BG_OK;
    const cJSON *item;
    if (!cJSON_IsArray(list) || !cJSON_GetArraySize(list))
        return wrong(path, shown, s, e);
    snprintf(prefix, sizeof prefix, "%s[].", s->key);
    cJSON_ArrayForEach(item, list)
    {
        snprintf(item_name, sizeof item_name, "%s[%d]", shown, i++);
        if (status)
            break;
        if (s->type == BG_SET_LIST && cJSON_IsObject(item)) {
            char inside[KEY + 1];
            snprintf(inside, sizeof inside, "%s.", item_name);
            status = check_object(item, path, prefix, inside, table, e);
        } else {
            status = check_text(item, path, item_name, s, e);
        }
    }
    return status;
}

static int check_value(const cJSON *v, const char *path, const char *shown, const bg_setting *s,
                       const bg_setting *table, bg_err *e)
{
    char inside[KEY + 1];
    int good = 1;
    switch (s->type) {
    case BG_SET_TEXT:
        return check_text(v, path, shown, s, e);
    case BG_SET_INTEGER:
        good = cJSON_IsNumber(v) && v->valuedouble >= s->least && v->valuedouble <= s->most &&
               v->valuedouble == (double)(int64_t)v->valuedouble;
        break;
    case BG_SET_BOOL:
        good = cJSON_IsBool(v);
        break;
    case BG_SET_OBJECT:
        snprintf(inside, sizeof inside, "%s.", shown);
        return cJSON_IsObject(v) ? check_object(v, path, inside, inside, table, e) : wrong(path, shown, s, e);
    case BG_SET_TEXTS:
        if (cJSON_IsString(v))
            return check_text(v, path, shown, s, e);
        return check_list(v, path, shown, s, table, e);
    case BG_SET_LIST:
        return check_list(v, path, shown, s, table, e);
    case BG_SET_ANY:
        good = cJSON_IsNumber(v) || cJSON_IsBool(v) || cJSON_IsString(v);
        break;
    }
    return good ? BG_OK : wrong(path, shown, s, e);
}

static const bg_setting *find(const bg_setting *table, const char *prefix, const char *name)
{
    const bg_setting *any = NULL;
    for (const bg_setting *s = table; s->key; s++) {
        const char *member = member_of(s, prefix);
        if (member && !strcmp(member, name))
            return s;
        if (member && !strcmp(member, "*"))
            any = s;
    }
    return any;
}

static int unknown(const char *path, const char *prefix, const char *shown, const char *name, const bg_setting *table,
                   bg_err *e)
{
    const char *names[NAMES];
    char all[LINE];
    int n = 0;
    for (const bg_setting *s = table; s->key && n < NAMES; s++)
        if (member_of(s, prefix))
            names[n++] = member_of(s, prefix);
    const char *near = bg_nearest(name, names, n);
    return bg_fail(e, BG_INPUT, "%s: unknown key '%s%.60s'%s%s%s Allowed: %s; a note begins with _", path, shown, name,
                   near ? ", did you mean " : ".", near ? near : "", near ? "?" : "",
                   list_names(names, n, all, sizeof all));
}

static int check_object(const cJSON *o, const char *path, const char *prefix, const char *shown,
                        const bg_setting *table, bg_err *e)
{
    const cJSON *member;
    int status = BG_OK;
    cJSON_ArrayForEach(member, o)
    {
        if (member->string[0] == '_')
            continue;
        const bg_setting *s = find(table, prefix, member->string);
        if (!s)
            return unknown(path, prefix, shown, member->string, table, e);
        char name[KEY];
        snprintf(name, sizeof name, "%s%.60s", shown, member->string);
        status = check_value(member, path, name, s, table, e);
        if (status)
            return status;
    }
    for (const bg_setting *s = table; s->key; s++) {
        const char *name = member_of(s, prefix);
        if (name && s->required && !cJSON_GetObjectItemCaseSensitive(o, name))
            return bg_fail(e, BG_INPUT, "%s: '%s%s' is missing: %s", path, shown, name, s->help);
    }
    return BG_OK;
}

int bg_settings_check(const cJSON *root, const char *path, const bg_setting *table, bg_err *e)
{
    if (!cJSON_IsObject(root))
        return bg_fail(e, BG_INPUT, "%s: a configuration is an object {…}", path);
    return check_object(root, path, "", "", table, e);
}

const char *bg_settings_nth(const cJSON *object, const char *key, int n)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, key);
    if (cJSON_IsString(member))
        return n ? NULL : member->valuestring;
    const cJSON *item = cJSON_IsArray(member) ? cJSON_GetArrayItem(member, n) : NULL;
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

/* ---- for a person ---- */

static void put_note(const bg_setting *s, const char *name, int depth, FILE *f)
{
    char all[LINE], kind[64];
    fprintf(f, "%*s\"_%s\": \"%s; %s", 2 * depth, "", name, s->help, kind_of(s, kind, sizeof kind));
    if (s->words)
        fprintf(f, "; allowed: %s", list_names(s->words, count_words(s->words), all, sizeof all));
    fputs("\",\n", f);
}

static void put_members(const bg_setting *table, const char *prefix, int depth, FILE *f)
{
    int some = 0;
    for (const bg_setting *s = table; s->key; s++) {
        const char *name = member_of(s, prefix);
        if (!name || (!s->start && s->type != BG_SET_OBJECT))
            continue;
        fputs(some++ ? ",\n" : "", f);
        put_note(s, name, depth, f);
        fprintf(f, "%*s\"%s\": ", 2 * depth, "", name);
        if (s->type == BG_SET_OBJECT) {
            char inside[KEY + 1];
            snprintf(inside, sizeof inside, "%s.", s->key);
            fputs("{\n", f);
            put_members(table, inside, depth + 1, f);
            fprintf(f, "\n%*s}", 2 * depth, "");
        } else {
            fputs(s->start, f);
        }
    }
}

void bg_settings_start(const bg_setting *table, FILE *f)
{
    fputs("{\n  \"_\": \"Members that begin with _ are notes and are skipped; delete or keep them.\",\n", f);
    put_members(table, "", 1, f);
    fputs("\n}\n", f);
}

void bg_settings_reference(const bg_setting *table, FILE *f)
{
    char kind[64], all[LINE];
    for (const bg_setting *s = table; s->key; s++) {
        fprintf(f, "  %-24s %s; %s%s\n", s->key, s->help, kind_of(s, kind, sizeof kind),
                s->required ? "; required" : "");
        if (s->words)
            fprintf(f, "  %-24s allowed: %s\n", "", list_names(s->words, count_words(s->words), all, sizeof all));
    }
}
