/* bitgap evaluate: models and specs against a text, questions and the clock. */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <string.h>
#include "analysis/output/evaluation.h"
#include "io/base/options.h"

/* Settings come from the command line, else from the configuration (-c), whose members are the long options with '_'
 * for
 * '-'. */
typedef struct settings {
    const bg_args *args;
    cJSON *config;
} settings;

static const char *const config_keys[] = {
    "model",      "types",       "text",       "context",        "stride",
    "windows",    "conventions", "qa",         "num_prompts",    "prompt_tokens",
    "max_tokens", "repeats",     "output_dir", "skip_benchmark", "skip_evaluation",
    "import",     "calibration",
};
enum { CONFIG_KEYS = sizeof config_keys / sizeof *config_keys };

static int read_config(settings *s, bg_provenance *p, bg_err *e)
{
    enum { CONFIG_LIMIT = 1 << 20 };
    const char *path = bg_arg(s->args, "config");
    if (!path)
        return BG_OK;
    int status = bg_json_read(path, CONFIG_LIMIT, &s->config, e);
    if (!status && !cJSON_IsObject(s->config))
        status = bg_fail(e, BG_INPUT, "%s: a configuration is an object", path);
    if (status)
        return status;
    const cJSON *member;
    cJSON_ArrayForEach(member, s->config)
    {
        int k = 0;
        while (k < CONFIG_KEYS && strcmp(config_keys[k], member->string))
            k++;
        if (k < CONFIG_KEYS)
            continue;
        const char *near = bg_nearest(member->string, config_keys, CONFIG_KEYS);
        return bg_fail(e, BG_INPUT, "%s: unknown key '%.40s'%s%s%s; see bitgap help evaluate", path, member->string,
                       near ? ", did you mean " : "", near ? near : "", near ? "?" : "");
    }
    return bg_provenance_add(p, path, 0, e);
}

static const cJSON *member_of(const settings *s, const char *option)
{
    char key[64];
    size_t n = strlen(option);
    for (size_t i = 0; i <= n && i < sizeof key; i++)
        key[i] = option[i] == '-' ? '_' : option[i];
    return cJSON_GetObjectItemCaseSensitive(s->config, key);
}

static const char *word(const settings *s, const char *option)
{
    const cJSON *member = member_of(s, option);
    return !bg_arg_given(s->args, option) && cJSON_IsString(member) ? member->valuestring : bg_arg(s->args, option);
}

static int flag(const settings *s, const char *option)
{
    return bg_arg_given(s->args, option) || cJSON_IsTrue(member_of(s, option));
}

static int integer(const settings *s, const char *option, int64_t min, int64_t max, int64_t *out, bg_err *e)
{
    const cJSON *member = member_of(s, option);
    int status = bg_arg_integer(s->args, option, min, max, out, e);
    if (status || bg_arg_given(s->args, option) || !member)
        return status;
    double v = cJSON_IsNumber(member) ? member->valuedouble : -1;
    if (!(v >= (double)min && v <= (double)max) || v != (double)(int64_t)v)
        return bg_fail(e, BG_INPUT, "%s: '%s' is not an integer in %lld..%lld", bg_arg(s->args, "config"),
                       member->string, (long long)min, (long long)max);
    *out = (int64_t)v;
    return BG_OK;
}

/* The n-th word of a list: of the option when it is given, else of the configuration's string or array of strings. */
static const char *nth(const settings *s, const char *option, int n)
{
    const cJSON *member = member_of(s, option);
    if (bg_arg_count(s->args, option) || !member)
        return n < bg_arg_count(s->args, option) ? bg_arg_nth(s->args, option, n) : NULL;
    if (cJSON_IsString(member))
        return n ? NULL : member->valuestring;
    const cJSON *item = cJSON_IsArray(member) ? cJSON_GetArrayItem(member, n) : NULL;
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

static const char *model_at(const settings *s, int n)
{
    int words = bg_args_words(s->args);
    return n < words ? bg_args_word(s->args, n) : nth(s, "model", n - words);
}

/* "none" (as some tools say: fp16, raw) is always measured and needs no spec. */
static int is_base(const char *spec)
{
    static const char *const names[] = {"none", "raw", "base", "fp16", "bf16", "fp32"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(spec, names[i]))
            return 1;
    return 0;
}

static int read_specs(const settings *s, bg_spec **specs, int *n, bg_err *e)
{
    static const char *const options[] = {"spec", "types"};
    int status = BG_OK;
    for (int o = 0; o < 2; o++) {
        const char *text;
        for (int i = 0; !status && (text = nth(s, options[o], i)); i++)
            if (!is_base(text))
                status = bg_specs_parse(text, specs, n, e);
    }
    return status;
}

static int read_conventions(const settings *s, unsigned *out, bg_err *e)
{
    const char *name;
    for (int i = 0; (name = nth(s, "conventions", i)); i++) {
        int c = 0;
        while (c < BG_CONVENTIONS && strcmp(name, bg_convention_names[c]))
            c++;
        if (c == BG_CONVENTIONS)
            return bg_fail(e, BG_USAGE, "no perplexity convention '%.40s'; there are windows, llama.cpp and strided",
                           name);
        *out |= 1u << c;
    }
    *out = *out ? *out | 1u << BG_WINDOWS : 1u << BG_WINDOWS;
    return BG_OK;
}

static int read_options(const settings *s, const bg_provenance *p, bg_evaluation_options *o, bg_err *e)
{
    int64_t context = 0, stride = 0, prompts = 4, prompt_tokens = 64, new_tokens = 64, repeats = 3;
    *o = (bg_evaluation_options){
        .text = word(s, "text"), .qa = word(s, "qa"), .calibration = word(s, "calibration"), .seed = p->seed};
    int status = integer(s, "context", 2, 1 << 24, &context, e);
    if (!status)
        status = integer(s, "stride", 1, 1 << 24, &stride, e);
    if (!status)
        status = integer(s, "windows", 0, INT64_C(1) << 40, &o->windows, e);
    if (!status)
        status = integer(s, "num-prompts", 0, 10000, &prompts, e);
    if (!status)
        status = integer(s, "prompt-tokens", 1, 1 << 20, &prompt_tokens, e);
    if (!status)
        status = integer(s, "max-tokens", 1, 1 << 20, &new_tokens, e);
    if (!status)
        status = integer(s, "repeats", 1, 1000, &repeats, e);
    if (!status)
        status = read_conventions(s, &o->conventions, e);
    if (flag(s, "skip-benchmark"))
        prompts = 0;
    if (flag(s, "skip-evaluation")) {
        o->conventions = 0;
        o->qa = NULL;
    }
    o->context = (int)context;
    o->stride = (int)stride;
    o->prompts = o->text ? (int)prompts : 0;
    o->prompt_tokens = (int)prompt_tokens;
    o->new_tokens = (int)new_tokens;
    o->repeats = (int)repeats;
    return status;
}

/* MODEL=FILE or FILE. */
static int import_all(const settings *s, bg_evaluation *v, bg_provenance *p, bg_err *e)
{
    const char *text;
    int status = BG_OK;
    for (int i = 0; !status && (text = nth(s, "import", i)); i++) {
        const char *equals = strchr(text, '=');
        char *model = equals ? strndup(text, (size_t)(equals - text)) : NULL;
        status = equals && !model ? bg_no_memory(e, "a name", strlen(text))
                                  : bg_evaluation_import_file(v, equals ? equals + 1 : text, model, p, e);
        free(model);
    }
    return status;
}

static int write_into(const char *directory, const char *name, const bg_evaluation *v,
                      int (*write)(const bg_evaluation *, const char *, bg_err *), bg_err *e)
{
    char *path = bg_path_join(directory, name);
    int status = path ? write(v, path, e) : bg_no_memory(e, name, strlen(directory));
    free(path);
    return status;
}

static int write_all(const settings *s, const bg_evaluation *v, const bg_evaluation_options *o, const bg_provenance *p,
                     bg_err *e)
{
    const char *directory = word(s, "output-dir");
    if (!directory || bg_arg_given(s->args, "output")) {
        int status = bg_evaluation_write(v, o, bg_arg_output(s->args, "evaluation.json"), p, e);
        if (status || !directory)
            return status;
    }
    int status = bg_make_directories(directory, e);
    char *path = bg_path_join(directory, "evaluation.json");
    if (!status && !path)
        status = bg_no_memory(e, "a path", strlen(directory));
    if (!status && !bg_arg_given(s->args, "output"))
        status = bg_evaluation_write(v, o, path, p, e);
    free(path);
    if (!status)
        status = write_into(directory, "evaluation.csv", v, bg_evaluation_write_csv, e);
    if (!status)
        status = write_into(directory, "evaluation.md", v, bg_evaluation_write_markdown, e);
    return status;
}

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    settings s = {.args = a};
    bg_evaluation_options o;
    bg_evaluation v = {0};
    bg_spec *specs = NULL;
    int n_specs = 0, status = read_config(&s, p, e);
    const char *model;
    if (!status)
        status = read_options(&s, p, &o, e);
    if (!status)
        status = read_specs(&s, &specs, &n_specs, e);
    if (!status && !model_at(&s, 0))
        status =
            bg_fail(e, BG_USAGE, "evaluate: no MODEL is given, here or in a configuration; see bitgap help evaluate");
    for (int i = 0; !status && (model = model_at(&s, i)); i++)
        status = bg_evaluate_model(model, specs, n_specs, &o, &v, p, e);
    if (!status)
        status = import_all(&s, &v, p, e);
    if (!status)
        status = write_all(&s, &v, &o, p, e);
    bg_evaluation_free(&v);
    free(specs);
    cJSON_Delete(s.config);
    return status;
}

static const bg_option options[] = {
    {.name = "spec",
     .letter = 'q',
     .argument = "SPEC",
     .repeats = 2,
     .help = "quantizers to evaluate, one result row per spec"},
    {.name = "text",
     .letter = 't',
     .argument = "FILE",
     .help = "text for perplexity, and for the prompts of the benchmark"},
    {.name = "context",
     .argument = "N",
     .default_note = "the model's context, at most 2048",
     .help = "tokens in a window"},
    {.name = "windows", .argument = "N", .default_note = "all", .help = "score at most this many windows"},
    {.name = "conventions", .argument = "NAME", .repeats = 2, .help = "further perplexities: llama.cpp, strided"},
    {.name = "stride",
     .argument = "N",
     .default_note = "half the context",
     .help = "tokens from one window of the strided convention to the next"},
    {.name = "qa",
     .argument = "FILE",
     .help = "questions, one JSON object a line: prompt, answer, choices, answer_index"},
    {.name = "calibration", .argument = "FILE", .help = "calibration.json of the model, for the specs that need one"},
    {.name = "config", .letter = 'c', .argument = "FILE", .help = "JSON with the long options as members, '_' for '-'"},
    {.name = "model", .argument = "MODEL", .repeats = 2, .help = "further models, as if named as arguments"},
    {.name = "types",
     .argument = "SPEC",
     .repeats = 2,
     .help = "the same as -q; fp16, raw and none mean the weights as they are"},
    {.name = "num-prompts", .argument = "N", .default_note = "4", .help = "prompts of the benchmark"},
    {.name = "prompt-tokens", .argument = "N", .default_note = "64", .help = "tokens of each prompt"},
    {.name = "max-tokens", .argument = "N", .default_note = "64", .help = "tokens generated after each prompt"},
    {.name = "repeats", .argument = "N", .default_note = "3", .help = "runs over all prompts"},
    {.name = "skip-benchmark", .help = "no speed, no generated text"},
    {.name = "skip-evaluation", .help = "no perplexity, no questions"},
    {.name = "import",
     .argument = "[MODEL=]FILE",
     .repeats = 2,
     .help = "result files of lm-evaluation-harness, as further columns"},
    {.name = "output-dir", .argument = "DIR", .help = "also write evaluation.csv and evaluation.md there"},
    {0},
};

const bg_stage bg_stage_evaluate = {
    .name = "evaluate",
    .arguments = "MODEL…",
    .min_words = 0,
    .max_words = -1,
    .summary = "perplexity, questions, speed and drift of models and specs",
    .about =
        "One row for each model as it is and one for it under each spec: perplexity with its standard error and the "
        "paired "
        "error of the difference to the first row, accuracy on questions, tokens per second of prompt and generation, "
        "memory, size, and how far generated text drifts from the first row's. The model runs in float32 with the "
        "quantized matrices put in place, so speed and peak memory are this program's; bytes are what storing them "
        "would "
        "take.",
    .example =
        "bitgap evaluate data/austen-3.7m -q nf4 --text data/text/val.txt --windows 8 --qa data/text/qa.jsonl -o -",
    .options = options,
    .run = run,
};
