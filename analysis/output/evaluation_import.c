/* Owns reading the result files of EleutherAI's lm-evaluation-harness, of both its layouts: "acc,none" and "acc". */
#define _POSIX_C_SOURCE 200809L
#include "analysis/output/evaluation.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_LIMIT = 256 << 20, METRICS_MOST = 100000 };

static int add(bg_evaluation *v, const char *model, const char *task, const char *metric, double value, double se,
               bg_err *e)
{
    if (v->n_imports >= METRICS_MOST)
        return bg_fail(e, BG_INPUT, "more than %d imported figures", METRICS_MOST);
    if (!(v->n_imports & (v->n_imports - 1))) { /* grow at powers of two */
        size_t capacity = v->n_imports ? 2 * (size_t)v->n_imports : 1;
        void *more = realloc(v->imports, capacity * sizeof *v->imports);
        if (!more)
            return bg_no_memory(e, "imported figures", capacity * sizeof *v->imports);
        v->imports = more;
    }
    bg_evaluation_import one = {strdup(model), strdup(task), strdup(metric), value, se};
    if (!one.model || !one.task || !one.metric) {
        free(one.model);
        free(one.task);
        free(one.metric);
        return bg_no_memory(e, "an imported figure", strlen(task));
    }
    v->imports[v->n_imports++] = one;
    return BG_OK;
}

/* "acc_norm,none" is a metric and a filter; its standard error is "acc_norm_stderr,none". */
static double error_of(const cJSON *task, const char *name)
{
    char key[256];
    const char *comma = strchr(name, ',');
    int stem = comma ? (int)(comma - name) : (int)strlen(name);
    snprintf(key, sizeof key, "%.*s_stderr%s", stem < 200 ? stem : 200, name, comma ? comma : "");
    return bg_json_number(task, key, (double)NAN);
}

static int import_task(bg_evaluation *v, const char *model, const cJSON *task, bg_err *e)
{
    const cJSON *figure;
    int status = BG_OK;
    cJSON_ArrayForEach(figure, task)
    {
        if (status || !cJSON_IsNumber(figure) || strstr(figure->string, "_stderr") || !isfinite(figure->valuedouble))
            continue;
        char metric[128];
        const char *comma = strchr(figure->string, ',');
        int plain = comma && !strcmp(comma, ",none");
        snprintf(metric, sizeof metric, "%.*s", plain ? (int)(comma - figure->string) : 120, figure->string);
        status = add(v, model, task->string, metric, figure->valuedouble, error_of(task, figure->string), e);
    }
    return status;
}

/* The name the file gives the model: "model_name", or pretrained=… of config.model_args. Only its last path component.
 */
static void model_name(const cJSON *root, char *out, size_t capacity)
{
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(root, "config");
    const char *name = bg_json_string(root, "model_name", NULL);
    const char *args = bg_json_string(config, "model_args", NULL);
    const char *at = args ? strstr(args, "pretrained=") : NULL;
    if (!name && at)
        name = at + strlen("pretrained=");
    if (!name)
        name = bg_json_string(config, "model", "imported");
    size_t n = strcspn(name, ",");
    while (n && name[n - 1] == '/')
        n--;
    size_t from = n;
    while (from && name[from - 1] != '/')
        from--;
    snprintf(out, capacity, "%.*s", (int)(n - from), name + from);
}

int bg_evaluation_import_file(bg_evaluation *v, const char *path, const char *model, bg_provenance *p, bg_err *e)
{
    cJSON *root;
    char name[256];
    int before = v->n_imports, status = bg_json_read(path, FILE_LIMIT, &root, e);
    if (status)
        return status;
    const cJSON *task, *results = cJSON_GetObjectItemCaseSensitive(root, "results");
    model_name(root, name, sizeof name);
    if (!cJSON_IsObject(results))
        status = bg_fail(e, BG_INPUT, "it has no results; a file of lm-evaluation-harness has");
    cJSON_ArrayForEach(task, results) if (!status && cJSON_IsObject(task)) status =
        import_task(v, model ? model : name, task, e);
    if (!status && v->n_imports == before)
        status = bg_fail(e, BG_INPUT, "its results hold no numbers");
    cJSON_Delete(root);
    return status ? bg_context(e, "%s", path) : bg_provenance_add(p, path, 0, e);
}
