/* Owns checking a page against its documents.
 *
 * Three questions, in this order: is every number that carries an origin what the origin comes to; is the page's text,
 * number for number, what this program writes from the documents; do the figures' data files hold what was drawn. */
#define _GNU_SOURCE
#include "reports/pages/verify.h"
#include "reports/pages/run_comparison.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_LIMIT = 1 << 28, DOCUMENTS = 64 };

/* ---- a number ---- */

static int attribute(const char *tag, const char *close, const char *name, char *out, size_t room)
{
    char start[32];
    int n = snprintf(start, sizeof start, " %s=\"", name);
    const char *p = memmem(tag, (size_t)(close - tag), start, (size_t)n);
    if (!p)
        return 0;
    size_t at = 0;
    for (p += n; p < close && *p != '"'; p++) {
        static const char *const entities[][2] = {
            {"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&#39;", "'"}};
        const char *from = p;
        size_t length = 1;
        for (size_t i = 0; i < sizeof entities / sizeof *entities; i++)
            if (!strncmp(p, entities[i][0], strlen(entities[i][0]))) {
                from = entities[i][1];
                length = strlen(entities[i][0]);
            }
        if (at + 1 >= room)
            return 0;
        out[at++] = *from;
        p += length - 1;
    }
    out[at] = 0;
    return 1;
}

static int style_of(const char *name)
{
    int i = 0;
    while (i < BG_STYLES && strcmp(bg_style_names[i], name))
        i++;
    return i;
}

int bg_verify_number(const bg_docset *s, const char *tag, const char **end, bg_err *e)
{
    char from[BG_ORIGIN], as[16], value[40], want[BG_NUMBER_TEXT];
    const char *close = strchr(tag, '>'), *after = close ? strstr(close, "</data>") : NULL;
    if (!after || !attribute(tag, close, "data-from", from, sizeof from) ||
        !attribute(tag, close, "data-as", as, sizeof as) || !attribute(tag, close, "value", value, sizeof value) ||
        style_of(as) == BG_STYLES)
        return bg_fail(e, BG_INPUT, "a <data> element without value, data-as and data-from");
    *end = after + strlen("</data>");
    double computed = NAN;
    int status = bg_num_evaluate(s, from, &computed, e);
    if (status)
        return status;
    bg_number_text(want, computed, (bg_style)style_of(as));
    size_t n = (size_t)(after - close - 1);
    if (strlen(want) != n || memcmp(want, close + 1, n))
        return bg_fail(e, BG_INPUT, "prints %.*s where %s gives %s", (int)(n < 40 ? n : 40), close + 1, from, want);
    if (!(fabs(strtod(value, NULL) - computed) <= 1e-12 * fabs(computed)))
        return bg_fail(e, BG_INPUT, "carries the value %s where %s gives %.17g", value, from, computed);
    return BG_OK;
}

static int check_numbers(const bg_docset *s, const char *path, const char *page, int *count, bg_err *e)
{
    int line = 1;
    const char *seen = page;
    for (const char *p = page; (p = strstr(p, "<data ")) != NULL;) {
        for (; seen < p; seen++)
            line += *seen == '\n';
        if (bg_verify_number(s, p, &p, e))
            return bg_context(e, "%s:%d", path, line);
        ++*count;
    }
    return BG_OK;
}

/* ---- the manifest ---- */

typedef struct manifest {
    cJSON *json;
    bg_filter filter;
    char *documents[DOCUMENTS];
    int n;
} manifest;

static void manifest_free(manifest *m)
{
    cJSON_Delete(m->json);
    for (int i = 0; i < m->n; i++)
        free(m->documents[i]);
    *m = (manifest){0};
}

static int find_document(manifest *m, const cJSON *item, const char *page, const char *const *directories, int n,
                         bg_err *e)
{
    const char *file = bg_json_string(item, "file", ""), *sha = bg_json_string(item, "sha256", "");
    char *beside = strdup(page), *slash = beside ? strrchr(beside, '/') : NULL, *other = NULL;
    if (slash)
        *slash = 0;
    for (int i = -1; i < n && m->n < DOCUMENTS && strchr(file, '/') == NULL && *file; i++) {
        bg_sha256 hash;
        bg_err ignored = {0};
        char *path = bg_path_join(i >= 0 ? directories[i] : slash ? beside : ".", file);
        if (!path || !bg_is_file(path) || bg_sha256_file(path, 0, &hash, NULL, &ignored)) {
            free(path);
            continue;
        }
        if (!strcmp(hash.hex, sha) || !other) {
            free(other);
            other = path;
            path = NULL;
        }
        free(path);
        if (!strcmp(hash.hex, sha))
            break;
    }
    free(beside);
    if (!other)
        return bg_fail(e, BG_INPUT,
                       "%s: made from '%.200s', which is not beside it; give its directory with --documents", page,
                       file);
    m->documents[m->n++] = other;
    return BG_OK;
}

static int read_manifest(manifest *m, const char *path, const char *page, const char *const *directories, int n,
                         bg_err *e)
{
    *m = (manifest){0};
    const char *start = strstr(page, "<meta name=\"bitgap-page\" content='"), *end;
    start = start ? start + strlen("<meta name=\"bitgap-page\" content='") : strstr(page, "\n<!-- bitgap {");
    if (!start)
        return bg_fail(e, BG_INPUT, "%s: not a page of bitgap report (it does not say what it was made from)", path);
    start = strchr(start, '{');
    end = start ? strchr(start, '\n') : NULL;
    while (end && end > start && end[-1] != '}')
        end--;
    char *text = start && end ? strndup(start, (size_t)(end - start)) : NULL;
    int status = text ? bg_json_parse(text, strlen(text), path, &m->json, e)
                      : bg_fail(e, BG_INPUT, "%s: damaged manifest", path);
    free(text);
    const cJSON *item;
    if (status)
        return status;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(
                                 m->json, "layers")) if (m->filter.n_layers < (int)(sizeof m->filter.layers /
                                                                                    sizeof *m->filter.layers) &&
                                                         cJSON_IsNumber(item)) m->filter.layers[m->filter.n_layers++] =
        item->valueint;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(
                                 m->json, "roles")) if (m->filter.n_roles <
                                                            (int)(sizeof m->filter.roles / sizeof *m->filter.roles) &&
                                                        cJSON_IsString(item))
        snprintf(m->filter.roles[m->filter.n_roles++], sizeof m->filter.roles[0], "%s", item->valuestring);
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(m->json, "documents")) if (!status) status =
        find_document(m, item, path, directories, n, e);
    return status;
}

/* ---- the text ---- */

/* Copies a page without its drawings: those are gnuplot's, and their numbers are in the data files. */
static void without_drawings(const char *page, bg_text *out)
{
    const char *open = "<div class=\"drawing\">", *shut = "</div>\n<figcaption>";
    for (const char *p = page; *p;) {
        const char *a = strstr(p, open), *b = a ? strstr(a, shut) : NULL;
        bg_text_add_n(out, p, b ? (size_t)(a - p) : strlen(p));
        if (!b)
            break;
        p = b;
    }
}

static int compare_text(const char *path, const char *held, const char *want, bg_err *e)
{
    size_t same = 0, start = 0;
    int line = 1;
    for (; held[same] && held[same] == want[same]; same++)
        if (held[same] == '\n') {
            line++;
            start = same + 1;
        }
    if (held[same] == want[same])
        return BG_OK;
    size_t from = same > start + 30 ? same - 30 : start;
    return bg_fail(e, BG_INPUT, "%s: text line %d reads '%.60s' where the documents give '%.60s'", path, line,
                   held + from, want + from);
}

static int is_html(const char *page)
{
    return !strncmp(page, "<!doctype html>", 15);
}

static int check_stream(bg_report *r, const char *stream, const char *path, const char *page, bg_err *e)
{
    bg_text made = {0}, held = {0}, want = {0};
    int html = is_html(page),
        status = html ? bg_report_body(r, stream, &made, e) : bg_report_markdown(r, stream, &made, e);
    if (!status && html) {
        const char *main = strstr(page, "<main id=\"content\">\n"), *end = main ? strstr(main, "\n</main>") : NULL;
        char *body = end ? strndup(main + 20, (size_t)(end - main - 20)) : NULL;
        without_drawings(body ? body : "", &held);
        without_drawings(bg_text_string(&made), &want);
        free(body);
        status = compare_text(path, bg_text_string(&held), bg_text_string(&want), e);
    } else if (!status) {
        status = compare_text(path, page, bg_text_string(&made), e);
    }
    bg_text_free(&made);
    bg_text_free(&held);
    bg_text_free(&want);
    return status;
}

static int check_text(bg_report *r, const char *path, const char *page, bg_err *e)
{
    bg_text stream = {0}, contents = {0};
    int status = bg_report_compose(r, &stream, &contents, e);
    if (!status)
        status = check_stream(r, bg_text_string(&stream), path, page, e);
    bg_text_free(&stream);
    bg_text_free(&contents);
    return status;
}

/* ---- an index of runs: its numbers have no origins, its text is made again from the runs' documents ---- */

typedef struct index_page {
    const char *path, *text;
    bg_verified *out;
} index_page;

static int check_index(bg_report *r, const bg_text *stream, const bg_text *contents, void *self, bg_err *e)
{
    index_page *page = self;
    (void)contents;
    page->out->figures = r->page.n_figures;
    page->out->documents = r->n_runs;
    return check_stream(r, bg_text_string(stream), page->path, page->text, e);
}

static int verify_index(const bg_report_options *o, const cJSON *runs, index_page *page, bg_err *e)
{
    int n = cJSON_GetArraySize(runs), status = BG_OK;
    char *directories[DOCUMENTS] = {0};
    for (int i = 0; i < n && i < DOCUMENTS && !status; i++) {
        const cJSON *item = cJSON_GetArrayItem(runs, i);
        const char *way = cJSON_IsString(item) ? item->valuestring : "";
        directories[i] = *way == '/' ? strdup(way) : bg_path_join(o->directory, way);
        status = directories[i] ? BG_OK : bg_no_memory(e, way, strlen(way));
    }
    if (!status)
        status = bg_compare_compose((const char *const *)directories, n < DOCUMENTS ? n : DOCUMENTS, o, check_index,
                                    page, e);
    for (int i = 0; i < DOCUMENTS; i++)
        free(directories[i]);
    return status;
}

static int verify_page(const char *path, const char *const *directories, int n, const char *templates, bg_verified *out,
                       bg_err *e)
{
    char *page = NULL, *directory = strdup(path);
    manifest m = {0};
    bg_report r = {0};
    int status = directory ? bg_file_read(path, PAGE_LIMIT, &page, NULL, e) : bg_no_memory(e, path, strlen(path));
    if (!status)
        status = read_manifest(&m, path, page, directories, n, e);
    char *slash = directory ? strrchr(directory, '/') : NULL;
    if (slash)
        *slash = 0;
    bg_report_options o = {.directory = slash ? directory : ".",
                           .templates = templates,
                           .filter = &m.filter,
                           .rate = bg_json_number(m.json, "rate", 0),
                           .prefix = bg_json_string(m.json, "prefix", ""),
                           .pages = bg_json_bool(m.json, "pages", 0),
                           .figures = BG_FIGURES_CHECK};
    const cJSON *runs = cJSON_GetObjectItemCaseSensitive(m.json, "runs");
    if (!status && runs) {
        status = verify_index(&o, runs, &(index_page){path, page, out}, e);
    } else if (!status) {
        status = bg_report_open(&r, (const char *const *)m.documents, m.n, &o, e);
        if (!status && is_html(page))
            status = check_numbers(&r.docs, path, page, &out->numbers, e);
        if (bg_json_bool(m.json, "notebook", 0))
            out->notebook = 1;
        else if (!status)
            status = check_text(&r, path, page, e);
        out->documents = m.n;
        out->figures = r.page.n_figures;
    }
    bg_report_close(&r);
    manifest_free(&m);
    free(page);
    free(directory);
    return status;
}

int bg_verify(const char *path, const char *const *directories, int n, const char *templates, bg_verified *out,
              bg_err *e)
{
    *out = (bg_verified){0};
    if (!bg_is_directory(path))
        return verify_page(path, directories, n, templates, out, e);
    static const char *const names[] = {"report.md", "report.html"};
    int status = BG_OK;
    for (size_t i = 0; !status && i < 2; i++) {
        char *page = bg_path_join(path, names[i]);
        status = page ? verify_page(page, directories, n, templates, out, e) : bg_no_memory(e, path, strlen(path));
        free(page);
    }
    return status;
}
