/* bitgap estimate: shapes of models and specs → size, memory and the speed that the memory's bandwidth allows. */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <string.h>
#include "analysis/allocation/size_estimate.h"
#include "io/base/file.h"
#include "io/checkpoints/loading.h"
#include "io/base/options.h"

enum { SHAPES_LIMIT = 1 << 20 };

typedef struct question {
    bg_doc d;
    const bg_spec *specs;
    int n_specs;
    double context, bandwidth;
    const char *given, *path; /* the argument, and the file that it means */
} question;

static void write_row(question *q, const char *name, const bg_model_config *c, const bg_spec *spec)
{
    bg_estimate v = bg_estimate_of(c, spec, q->context, q->bandwidth);
    bg_doc_row(&q->d);
    bg_doc_string(&q->d, "model", name);
    bg_doc_string(&q->d, "spec", spec ? spec->text : "none");
    bg_doc_number(&q->d, "parameters", v.parameters);
    bg_doc_number(&q->d, "matrices", v.matrices);
    bg_doc_number(&q->d, "rate_bits", v.rate_bits);
    bg_doc_number(&q->d, "bytes", v.bytes);
    bg_doc_number(&q->d, "cache_bytes", v.cache_bytes);
    bg_doc_number(&q->d, "memory_bytes", v.memory_bytes);
    bg_doc_number(&q->d, "token_bytes", v.token_bytes);
    bg_doc_number(&q->d, "tokens_per_second", v.tokens_per_second);
    bg_doc_row_end(&q->d);
}

static int estimate(question *q, const cJSON *config, const char *otherwise, bg_err *e)
{
    const bg_arch *arch;
    bg_model_config c;
    const char *name = bg_json_string(config, "name", otherwise);
    int status = bg_arch_find(config, q->path, &arch, e);
    if (!status)
        status = bg_arch_config(arch, config, q->path, &c, e);
    if (!status && (arch->router || arch->mixer))
        status =
            bg_fail(e, BG_INPUT, "sizes are estimated of dense attention and MLPs; %s has other blocks", arch->name);
    if (status)
        return bg_context(e, "model '%s'", name);
    for (int i = -1; i < q->n_specs; i++)
        write_row(q, name, &c, i < 0 ? NULL : &q->specs[i]);
    return BG_OK;
}

/* The file that an argument means: itself, or the config.json of a model's directory or of a name in the hub cache. The
 * caller frees. */
static int shapes_of(const char *given, char **out, bg_err *e)
{
    size_t n = strlen(given);
    char *hub = bg_is_directory(given) || bg_is_file(given) ? NULL : bg_hub_find(given);
    const char *directory = hub ? hub : bg_is_directory(given) ? given : NULL;
    *out = directory ? bg_path_join(directory, "config.json") : strdup(given);
    int is_named = *out != NULL, is_json = directory || (n > 5 && !strcmp(given + n - 5, ".json"));
    free(hub);
    if (!is_named)
        return bg_no_memory(e, given, n);
    return is_json ? BG_OK
                   : bg_fail(e, BG_INPUT,
                             "%s: has no shapes to estimate from; name a directory or hub model with its config.json, "
                             "or a JSON file "
                             "like data/shapes.json",
                             given);
}

static int estimate_path(question *q, bg_err *e)
{
    cJSON *root = NULL;
    int status = bg_json_read(q->path, SHAPES_LIMIT, &root, e);
    const cJSON *models = cJSON_GetObjectItemCaseSensitive(root, "models"), *model;
    if (!status && !cJSON_IsArray(models))
        status = estimate(q, root, bg_path_base(q->given), e);
    cJSON_ArrayForEach(model, models)
    {
        if (!status)
            status = estimate(q, model, "without a name", e);
    }
    cJSON_Delete(root);
    return status;
}

/* The rate of other compositions is known where they run. */
static int check_specs(const question *q, bg_err *e)
{
    for (int i = 0; i < q->n_specs; i++) {
        const bg_spec *s = &q->specs[i];
        if (s->grid->kind != BG_GRID_SCALAR || s->coding->bits || s->transform->forward)
            return bg_fail(e, BG_USAGE,
                           "estimate: the rate of '%s' is known only where it runs (bitgap curve); scalar grids with "
                           "codes of fixed length and no transform can be estimated",
                           s->text);
    }
    return BG_OK;
}

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    question q = {.context = 4096};
    bg_spec *specs = NULL;
    double gigabytes = 100;
    int64_t context = 4096;
    int status = bg_arg_integer(a, "context", 1, 1 << 24, &context, e);
    if (!status)
        status = bg_arg_number(a, "bandwidth", 0.001, 1e6, &gigabytes, e);
    for (int i = 0; !status && i < bg_arg_count(a, "spec"); i++)
        status = bg_specs_parse(bg_arg_nth(a, "spec", i), &specs, &q.n_specs, e);
    for (int i = 0; !status && i < bg_args_words(a); i++) { /* inputs before the document's header is written */
        char *path = NULL;
        status = shapes_of(bg_args_word(a, i), &path, e);
        if (!status)
            status = bg_provenance_add(p, path, 0, e);
        free(path);
    }
    q.specs = specs;
    if (!status)
        status = check_specs(&q, e);
    q.context = (double)context;
    q.bandwidth = 1e9 * gigabytes;
    if (!status)
        status = bg_doc_begin(&q.d, "estimates", bg_arg_output(a, "estimates.json"), p, e);
    if (!status) {
        bg_doc_section(&q.d, "settings");
        bg_doc_row(&q.d);
        bg_doc_integer(&q.d, "context", context);
        bg_doc_number(&q.d, "bandwidth", q.bandwidth);
        bg_doc_row_end(&q.d);
        bg_doc_section(&q.d, "rows");
        for (int i = 0; !status && i < bg_args_words(a); i++) {
            char *path = NULL;
            q.given = bg_args_word(a, i);
            status = shapes_of(q.given, &path, e);
            q.path = path;
            if (!status)
                status = estimate_path(&q, e);
            free(path);
        }
        if (status)
            bg_doc_abandon(&q.d);
        else
            status = bg_doc_commit(&q.d, e);
    }
    free(specs);
    return status;
}

static const bg_option options[] = {
    {.name = "spec",
     .letter = 'q',
     .argument = "SPEC",
     .repeats = 2,
     .help = "quantizers to estimate, one row per spec, beside the weights in 16 bits"},
    {.name = "context", .argument = "N", .default_note = "4096", .help = "tokens whose keys and values are kept"},
    {.name = "bandwidth",
     .argument = "GB/S",
     .default_note = "100",
     .help = "bandwidth of the memory that the weights are read from"},
    {0},
};

const bg_stage bg_stage_estimate = {
    .name = "estimate",
    .arguments = "MODEL|SHAPES.json…",
    .min_words = 1,
    .max_words = -1,
    .summary = "size, memory and the least time a token, by arithmetic on shapes",
    .about =
        "Needs no weights: a config.json is enough, or a file like data/shapes.json with several. Matrices inside the "
        "layers "
        "take the spec's rate, all else 16 bits. Each token reads every matrix once, so that no program is faster than "
        "the bandwidth over those bytes.",
    .example = "bitgap estimate data/shapes.json -q int8 rtn:bits=4 nf4:double=true -o -",
    .options = options,
    .run = run,
};
