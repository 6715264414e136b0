/* Owns the contract between stages: writing a document field by field against its table, and reading it back. */
#define _GNU_SOURCE
#include "io/documents/document.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char bg_version[] = "0.1.0";

enum { DOCUMENT_LIMIT = 1 << 30 };

const bg_doc_kind *bg_doc_kind_find(const char *name)
{
    for (const bg_doc_kind *k = bg_doc_kinds; k->name; k++)
        if (!strcmp(k->name, name))
            return k;
    return NULL;
}

static const bg_section *find_section(const bg_doc_kind *kind, const char *name)
{
    for (const bg_section *s = kind->sections; s->name; s++)
        if (!strcmp(s->name, name))
            return s;
    return NULL;
}

/* ---- provenance ---- */

int bg_provenance_add(bg_provenance *p, const char *path, uint64_t limit, bg_err *e)
{
    bg_sha256 hash;
    uint64_t size;
    const char *base = bg_path_base(path);
    int status = bg_sha256_file(path, limit, &hash, &size, e);
    if (status)
        return status;
    for (int i = 0; i < p->n_inputs; i++)
        if (!strcmp(p->inputs[i].name, base) && !strcmp(p->inputs[i].sha256, hash.hex))
            return BG_OK;
    bg_input *grown = realloc(p->inputs, (size_t)(p->n_inputs + 1) * sizeof *grown);
    if (!grown)
        return bg_no_memory(e, "inputs", sizeof *grown);
    p->inputs = grown;
    bg_input *in = &grown[p->n_inputs];
    *in = (bg_input){.name = strdup(base), .size = size};
    if (!in->name)
        return bg_no_memory(e, "inputs", strlen(base));
    memcpy(in->sha256, hash.hex, sizeof in->sha256);
    p->n_inputs++;
    return BG_OK;
}

void bg_provenance_free(bg_provenance *p)
{
    for (int i = 0; i < p->n_inputs; i++)
        free(p->inputs[i].name);
    free(p->inputs);
    p->inputs = NULL;
    p->n_inputs = 0;
}

/* ---- writer ---- */

static void complain(bg_doc *d, const char *what, const char *field)
{
    if (!d->status)
        snprintf(d->complaint, sizeof d->complaint, "%s: section '%s', field '%s': %s", d->kind->name,
                 d->section ? d->section->name : "?", field, what);
    d->status = BG_INPUT;
}

int bg_doc_begin(bg_doc *d, const char *kind, const char *path, const bg_provenance *p, bg_err *e)
{
    *d = (bg_doc){.kind = bg_doc_kind_find(kind)};
    if (!d->kind)
        return bg_fail(e, BG_USAGE, "internal: no document of the name '%s'", kind);
    int status = bg_out_open(&d->out, path, e);
    if (status)
        return status;
    bg_jsonw *w = &d->json;
    bg_jsonw_init(w, d->out.file);
    bg_jsonw_object(w, NULL);
    bg_jsonw_object(w, "bitgap");
    bg_jsonw_string(w, "document", d->kind->name);
    bg_jsonw_integer(w, "schema", d->kind->schema);
    bg_jsonw_string(w, "version", bg_version);
    bg_jsonw_array(w, "arguments");
    for (int i = 0; i < p->argc; i++)
        bg_jsonw_string(w, NULL, p->argv[i]);
    bg_jsonw_end(w, ']');
    bg_jsonw_integer(w, "seed", (int64_t)p->seed);
    bg_jsonw_array(w, "inputs");
    for (int i = 0; i < p->n_inputs; i++) {
        bg_jsonw_object(w, NULL);
        bg_jsonw_string(w, "name", p->inputs[i].name);
        bg_jsonw_integer(w, "size", (int64_t)p->inputs[i].size);
        bg_jsonw_string(w, "sha256", p->inputs[i].sha256);
        bg_jsonw_end(w, '}');
    }
    bg_jsonw_end(w, ']');
    bg_jsonw_end(w, '}');
    return BG_OK;
}

static void close_section(bg_doc *d)
{
    if (d->section)
        bg_jsonw_end(&d->json, ']');
    d->section = NULL;
}

void bg_doc_section(bg_doc *d, const char *name)
{
    close_section(d);
    d->section = find_section(d->kind, name);
    if (!d->section) {
        complain(d, "is not a section of this document", name);
        return;
    }
    bg_jsonw_array(&d->json, name);
}

void bg_doc_row(bg_doc *d)
{
    bg_jsonw_object(&d->json, NULL);
    d->seen = 0;
}

void bg_doc_row_end(bg_doc *d)
{
    bg_jsonw_end(&d->json, '}');
    for (int i = 0; d->section && d->section->fields[i].name; i++)
        if (!d->section->fields[i].optional && !(d->seen >> i & 1))
            complain(d, "is required and was not written", d->section->fields[i].name);
}

static const bg_field *take(bg_doc *d, const char *name, bg_type type)
{
    for (int i = 0; d->section && d->section->fields[i].name; i++) {
        const bg_field *f = &d->section->fields[i];
        if (strcmp(f->name, name))
            continue;
        if (f->type != type)
            complain(d, "is declared with another type", name);
        else if (d->seen >> i & 1)
            complain(d, "was written twice in one row", name);
        d->seen |= 1ull << i;
        return f;
    }
    complain(d, "is not declared in the document table", name);
    return NULL;
}

void bg_doc_string(bg_doc *d, const char *field, const char *value)
{
    take(d, field, BG_STRING);
    bg_jsonw_string(&d->json, field, value);
}

void bg_doc_number(bg_doc *d, const char *field, double value)
{
    const bg_field *f = take(d, field, BG_NUMBER);
    if (isfinite(value))
        bg_jsonw_number(&d->json, field, value);
    else if (!f || !f->optional)
        complain(d, "is not finite", field);
}

void bg_doc_integer(bg_doc *d, const char *field, int64_t value)
{
    take(d, field, BG_INTEGER);
    bg_jsonw_integer(&d->json, field, value);
}

void bg_doc_bool(bg_doc *d, const char *field, int value)
{
    take(d, field, BG_BOOL);
    bg_jsonw_bool(&d->json, field, value);
}

void bg_doc_numbers(bg_doc *d, const char *field, const double *values, size_t n)
{
    take(d, field, BG_NUMBERS);
    bg_jsonw_array(&d->json, field);
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[i]))
            complain(d, "holds a number that is not finite", field);
        bg_jsonw_number(&d->json, NULL, isfinite(values[i]) ? values[i] : 0);
    }
    bg_jsonw_end(&d->json, ']');
}

static int finish_document(bg_doc *d, bg_err *e)
{
    close_section(d);
    bg_jsonw_end(&d->json, '}');
    int status = bg_jsonw_finish(&d->json, e);
    if (!status && d->status)
        status = bg_fail(e, d->status, "internal: %s", d->complaint);
    if (!status)
        status = bg_out_finish(&d->out, e);
    return status;
}

int bg_doc_commit_with(bg_doc *d, bg_out *side, bg_err *e)
{
    int status = finish_document(d, e);
    if (!status && side)
        status = bg_out_commit(side, e);
    if (!status)
        status = bg_out_commit(&d->out, e);
    bg_out_abandon(&d->out);
    if (side)
        bg_out_abandon(side);
    return status;
}

int bg_doc_commit(bg_doc *d, bg_err *e)
{
    return bg_doc_commit_with(d, NULL, e);
}

void bg_doc_abandon(bg_doc *d)
{
    bg_out_abandon(&d->out);
}

/* ---- reader ---- */

static int type_matches(const cJSON *v, bg_type type)
{
    switch (type) {
    case BG_STRING:
        return cJSON_IsString(v);
    case BG_NUMBER:
        return cJSON_IsNumber(v) && isfinite(v->valuedouble);
    case BG_INTEGER:
        return cJSON_IsNumber(v) && v->valuedouble == floor(v->valuedouble);
    case BG_BOOL:
        return cJSON_IsBool(v);
    case BG_NUMBERS:
        if (!cJSON_IsArray(v))
            return 0;
        for (const cJSON *c = v->child; c; c = c->next)
            if (!cJSON_IsNumber(c) || !isfinite(c->valuedouble))
                return 0;
        return 1;
    }
    return 0;
}

static int check_rows(const bg_section *s, const cJSON *rows, const bg_doc_kind *k, const char *path, bg_err *e)
{
    static const char *const words[] = {"a string", "a finite number", "a whole number", "a boolean", "numbers"};
    if (!cJSON_IsArray(rows))
        return bg_fail(e, BG_INPUT, "%s: '%s' is not an array; re-run bitgap %s", path, s->name, k->stage);
    int i = 0;
    for (const cJSON *row = rows->child; row; row = row->next, i++) {
        if (!cJSON_IsObject(row))
            return bg_fail(e, BG_INPUT, "%s: %s[%d] is not an object; re-run bitgap %s", path, s->name, i, k->stage);
        for (const bg_field *f = s->fields; f->name; f++) {
            const cJSON *v = cJSON_GetObjectItemCaseSensitive(row, f->name);
            if (!v && f->optional)
                continue;
            if (!v || !type_matches(v, f->type))
                return bg_fail(e, BG_INPUT, "%s: %s[%d].%s %s; re-run bitgap %s", path, s->name, i, f->name,
                               v ? "has another type than the schema" : "is missing", k->stage);
        }
        for (const cJSON *v = row->child; v; v = v->next) {
            const bg_field *f = s->fields;
            while (f->name && strcmp(f->name, v->string))
                f++;
            if (!f->name)
                return bg_fail(e, BG_INPUT, "%s: %s[%d] has '%s', which schema %s/%d does not know (expected e.g. %s)",
                               path, s->name, i, v->string, k->name, k->schema, words[s->fields[0].type]);
        }
    }
    return BG_OK;
}

const bg_doc_kind *bg_doc_kind_of(const cJSON *root)
{
    const char *name = bg_json_string(cJSON_GetObjectItemCaseSensitive(root, "bitgap"), "document", NULL);
    return name ? bg_doc_kind_find(name) : NULL;
}

/* ---- names of earlier versions ---- */

/* The new name is no longer than the old one, so that it fits into its memory. */
static void rename_item(cJSON *object, const char *old_name, const char *name)
{
    cJSON *item = cJSON_GetObjectItemCaseSensitive(object, old_name);
    if (item && !cJSON_HasObjectItem(object, name))
        memcpy(item->string, name, strlen(name) + 1);
}

/* A role (mlp.down_proj) was called a group: the section of all roles, the field of a row, and what `over` names. */
static void rename_groups(cJSON *root)
{
    rename_item(root, "groups", "roles");
    for (cJSON *section = root->child; section; section = section->next)
        for (cJSON *row = cJSON_IsArray(section) ? section->child : NULL; row; row = row->next) {
            cJSON *over = cJSON_GetObjectItemCaseSensitive(row, "over");
            rename_item(row, "group", "role");
            if (cJSON_IsString(over) && !strcmp(over->valuestring, "group"))
                memcpy(over->valuestring, "role", sizeof "role");
        }
}

static int check_document(const char *path, const char *wanted, const cJSON *root, bg_err *e)
{
    const cJSON *head = cJSON_GetObjectItemCaseSensitive(root, "bitgap");
    const char *name = bg_json_string(head, "document", NULL);
    if (!name)
        return bg_fail(e, BG_INPUT, "%s: not a Bitgap document (no 'bitgap' header)", path);
    const bg_doc_kind *kind = bg_doc_kind_find(wanted ? wanted : name);
    if (!kind)
        return bg_fail(e, BG_INPUT, "%s: a document of the unknown kind '%s'", path, name);
    if (strcmp(kind->name, name))
        return bg_fail(e, BG_INPUT, "%s: holds '%s' where '%s' is wanted; run bitgap %s", path, name, kind->name,
                       kind->stage);
    double schema = bg_json_number(head, "schema", -1);
    if (schema != kind->schema)
        return bg_fail(e, BG_INPUT, "%s: schema %s/%g, this program reads %s/%d; re-run bitgap %s", path, name, schema,
                       name, kind->schema, kind->stage);
    int status = BG_OK;
    for (const cJSON *part = root->child; !status && part; part = part->next) {
        if (!strcmp(part->string, "bitgap"))
            continue;
        const bg_section *s = find_section(kind, part->string);
        status =
            s ? check_rows(s, part, kind, path, e)
              : bg_fail(e, BG_INPUT, "%s: unknown section '%s'; re-run bitgap %s", path, part->string, kind->stage);
    }
    return status;
}

int bg_doc_read(const char *path, const char *kind, cJSON **root, bg_provenance *p, bg_err *e)
{
    int status = bg_json_read(path, DOCUMENT_LIMIT, root, e);
    if (!status) {
        rename_groups(*root);
        status = check_document(path, kind, *root, e);
    }
    if (!status && p)
        status = bg_provenance_add(p, path, 0, e);
    if (status) {
        cJSON_Delete(*root);
        *root = NULL;
    }
    return status;
}

const cJSON *bg_doc_rows(const cJSON *root, const char *section)
{
    return cJSON_GetObjectItemCaseSensitive(root, section);
}

void bg_doc_reference(FILE *f)
{
    static const char *const types[] = {"string", "number", "integer", "boolean", "numbers"};
    for (const bg_doc_kind *k = bg_doc_kinds; k->name; k++) {
        fprintf(f, "## %s (schema %d, written by `bitgap %s`)\n\n", k->name, k->schema, k->stage);
        for (const bg_section *s = k->sections; s->name; s++) {
            fprintf(f, "### %s: %s\n\n| field | type | unit | meaning |\n|---|---|---|---|\n", s->name, s->help);
            for (const bg_field *d = s->fields; d->name; d++)
                fprintf(f, "| %s%s | %s | %s | %s |\n", d->name, d->optional ? " (optional)" : "", types[d->type],
                        d->unit, d->help);
            putc('\n', f);
        }
    }
}
