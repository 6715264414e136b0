/* Owns reading a study's plan: the table of its settings, its methods as specs, its metrics and figures. */
#define _POSIX_C_SOURCE 200809L
#include "analysis/study/plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "io/base/options.h"
#include "quant/engine/quantize.h"

enum { PLAN_LIMIT = 1 << 20 };

static const char *const measures[] = {"mse", "output_mse", NULL};
static const char *const conventions[] = {"windows", "llama.cpp", "strided", NULL};

/* clang-format off */
const bg_setting bg_plan_settings[] = {
    {"title", BG_SET_TEXT, 1, 0, 0, NULL, "\"My study\"", "heading of the page"},
    {"question", BG_SET_TEXT, 0, 0, 0, NULL, "\"Which of these would I ship?\"", "what the study answers, a sentence under the heading"},
    {"models", BG_SET_TEXTS, 1, 0, 0, NULL, "[\"$MODEL\"]", "checkpoints, each measured as it is and under every spec; $MODEL is what make was given"},
    {"specs", BG_SET_LIST, 1, 0, 0, NULL,
     "[\n    {\"name\": \"raw\", \"spec\": \"none\"},\n    \"nf4\",\n    {\"name\": \"RTN\", \"spec\": \"rtn\", \"bits\": 4, \"scope\": 128},\n"
     "    {\"name\": \"GPTQ\", \"spec\": \"gptq\", \"bits\": 4, \"percdamp\": 0.01, \"order\": \"act\"}\n  ]",
     "quantizers, as texts or as objects of a name, a spec and its keys (bitgap list); none is the model as it is"},
    {"specs[].name", BG_SET_TEXT, 0, 0, 0, NULL, NULL, "what the tables call it"},
    {"specs[].spec", BG_SET_TEXT, 1, 0, 0, NULL, NULL, "a spec, a preset or none"},
    {"specs[].*", BG_SET_ANY, 0, 0, 0, NULL, NULL, "a key of the spec"},
    {"reference", BG_SET_TEXT, 0, 0, 0, NULL, "\"RTN\"", "name of the method that improvements are over"},
    {"measure", BG_SET_TEXT, 0, 0, 0, measures, NULL, "error that improvements compare: of the weights or, with a calibration, of the outputs"},
    {"data", BG_SET_OBJECT, 0, 0, 0, NULL, NULL, "texts, and how much of them"},
    {"data.calibration", BG_SET_TEXT, 0, 0, 0, NULL, "\"$TEXT\"", "text that calibrated methods look at"},
    {"data.samples", BG_SET_INTEGER, 0, 0, 1e9, NULL, "32", "windows of it; 0 takes all"},
    {"data.length", BG_SET_INTEGER, 0, 1, 1 << 20, NULL, NULL, "tokens of each; the model's context without it"},
    {"data.sequential", BG_SET_TEXT, 0, 0, 0, NULL, NULL, "spec whose outputs the later layers see"},
    {"data.test", BG_SET_TEXT, 0, 0, 0, NULL, "\"$TEST\"", "text whose perplexity is measured"},
    {"data.context", BG_SET_INTEGER, 0, 2, 1 << 20, NULL, NULL, "tokens of a window; the model's context without it"},
    {"data.windows", BG_SET_INTEGER, 0, 0, 1e9, NULL, "40", "windows that are scored; 0 takes all"},
    {"data.conventions", BG_SET_TEXTS, 0, 0, 0, conventions, NULL, "further ways to count perplexity"},
    {"data.stride", BG_SET_INTEGER, 0, 1, 1 << 20, NULL, NULL, "tokens between windows of the strided convention"},
    {"data.qa", BG_SET_TEXT, 0, 0, 0, NULL, "\"$QA\"", "questions, one JSON object a line"},
    {"data.prompts", BG_SET_INTEGER, 0, 1, 10000, NULL, "4", "excerpts the models go on from, for speed"},
    {"data.prompt_tokens", BG_SET_INTEGER, 0, 1, 1 << 20, NULL, NULL, "tokens of each"},
    {"data.new_tokens", BG_SET_INTEGER, 0, 1, 1 << 20, NULL, NULL, "tokens generated after each"},
    {"data.repeats", BG_SET_INTEGER, 0, 1, 1000, NULL, "3", "runs; the median is printed"},
    {"data.seed", BG_SET_INTEGER, 0, 0, 1e15, NULL, NULL, "seed of everything random"},
    {"metrics", BG_SET_TEXTS, 1, 0, 0, NULL, "[\"bytes\", \"compression\", \"perplexity\", \"perplexity_se\", \"log_perplexity_change\", \"log_perplexity_change_se\"]",
     "columns of the table, in this order (bitgap new-study --keys lists them)"},
    {"figures", BG_SET_TEXTS, 0, 0, 0, NULL, "[\"perplexity against bytes\", \"perplexity\"]",
     "a metric: bars; 'Y against X': points and what nothing beats; improvement; improvement histogram; or a section of the report"},
    {0},
};
/* clang-format on */

/* ---- specs ---- */

static int is_base(const char *spec)
{
    static const char *const names[] = {"none", "raw", "fp16", "bf16", "fp32"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(spec, names[i]))
            return 1;
    return 0;
}

/* "awq" and {"bits": 4, "duo": true} → "awq:bits=4,duo=true". */
static int compose(const cJSON *item, char *out, size_t capacity, bg_err *e)
{
    size_t at = (size_t)snprintf(out, capacity, "%s", bg_json_string(item, "spec", ""));
    char separator = strchr(out, ':') ? ',' : ':';
    const cJSON *member;
    cJSON_ArrayForEach(member, item)
    {
        char number[32];
        const char *key = member->string;
        if (key[0] == '_' || !strcmp(key, "name") || !strcmp(key, "spec"))
            continue;
        const char *value = cJSON_IsString(member) ? member->valuestring
                            : cJSON_IsBool(member) ? (cJSON_IsTrue(member) ? "true" : "false")
                                                   : bg_print_double(number, member->valuedouble);
        at += at < capacity ? (size_t)snprintf(out + at, capacity - at, "%c%s=%s", separator, key, value) : 0;
        separator = ',';
    }
    return at < capacity ? BG_OK : bg_fail(e, BG_INPUT, "a spec of more than %zu characters", capacity - 1);
}

static int add_method(bg_plan *p, const char *name, const bg_spec *spec, bg_err *e)
{
    bg_plan_method *more = realloc(p->methods, (size_t)(p->n_methods + 1) * sizeof *more);
    if (!more)
        return bg_no_memory(e, "methods", (size_t)(p->n_methods + 1) * sizeof *more);
    p->methods = more;
    for (int i = 0; i < p->n_methods; i++)
        if (!strcmp(more[i].name, name) || (spec && !more[i].base && !strcmp(more[i].spec.text, spec->text)))
            return bg_fail(e, BG_INPUT, "'%s' is there twice", strcmp(more[i].name, name) ? spec->text : name);
    bg_plan_method *m = &more[p->n_methods++];
    *m = (bg_plan_method){.base = !spec};
    snprintf(m->name, sizeof m->name, "%s", name);
    if (spec)
        m->spec = *spec;
    return BG_OK;
}

/* One entry of `specs`; a range makes a method of each point. */
static int add_entry(bg_plan *p, const cJSON *item, bg_err *e)
{
    char text[512], name[64];
    bg_spec *specs = NULL;
    int n = 0, object = cJSON_IsObject(item), status = BG_OK;
    if (object)
        status = compose(item, text, sizeof text, e);
    else
        snprintf(text, sizeof text, "%.500s", item->valuestring);
    const char *given = object ? bg_json_string(item, "name", NULL) : NULL;
    if (!status && is_base(text)) {
        snprintf(p->methods[0].name, sizeof p->methods[0].name, "%.60s", given ? given : text);
        return BG_OK;
    }
    if (!status)
        status = bg_specs_parse(text, &specs, &n, e) ? BG_INPUT : BG_OK;
    for (int i = 0; i < n && !status; i++) {
        if (!given)
            snprintf(name, sizeof name, "%.63s", specs[i].text);
        else if (n > 1)
            snprintf(name, sizeof name, "%.50s %g", given, specs[i].nominal_bits);
        else
            snprintf(name, sizeof name, "%.63s", given);
        status = add_method(p, name, &specs[i], e);
    }
    free(specs);
    return status;
}

static int read_methods(bg_plan *p, bg_err *e)
{
    int i = 0, status = add_method(p, "raw", NULL, e);
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(p->root, "specs"))
    {
        if (!status && add_entry(p, item, e)) {
            bg_context(e, "%s: specs[%d]", p->path, i);
            status = e ? e->code = BG_INPUT : BG_INPUT;
        }
        i++;
    }
    for (i = 1; i < p->n_methods && !status; i++)
        if (bg_spec_needs_calibration(&p->methods[i].spec) && !bg_plan_is_calibrated(p))
            status =
                bg_fail(e, BG_INPUT, "%s: '%s' looks at activations: name a text as data.calibration, e.g. \"$TEXT\"",
                        p->path, p->methods[i].name);
    return status;
}

/* ---- metrics and figures ---- */

static int no_metric(const bg_plan *p, const char *where, int i, const char *text, int figure, bg_err *e)
{
    const char *names[64], *near;
    char all[1400];
    int n = 0;
    size_t at = 0;
    for (const bg_metric *m = bg_metrics; m->name && n < 64; m++)
        names[n++] = m->name;
    all[0] = 0;
    for (int k = 0; k < n && at + 2 < sizeof all; k++)
        at += (size_t)snprintf(all + at, sizeof all - at, "%s%s", k ? ", " : "", names[k]);
    near = bg_nearest(text, names, n);
    return bg_fail(e, BG_INPUT, "%s: '%s[%d]' may not be '%.60s'%s%s%s Allowed: %s%s", p->path, where, i, text,
                   near ? ", did you mean " : ".", near ? near : "", near ? "?" : "",
                   figure ? "METRIC, METRIC against METRIC, improvement, improvement histogram, weights, "
                            "rate-distortion, gap, layers, "
                            "groups, codebooks, output, cost; metrics are "
                          : "",
                   all);
}

static int read_metrics(bg_plan *p, bg_err *e)
{
    enum { MOST = sizeof p->metrics / sizeof *p->metrics };
    const char *text;
    for (int i = 0; (text = bg_settings_nth(p->root, "metrics", i)); i++) {
        const bg_metric *m = bg_metric_find(text, strlen(text));
        if (!m || p->n_metrics == MOST)
            return no_metric(p, "metrics", i, text, 0, e);
        p->metrics[p->n_metrics++] = m;
        p->needs |= m->needs;
    }
    return BG_OK;
}

/* The sections of the report that a study can make the documents of. */
static int section_needs(const char *name)
{
    static const struct {
        const char *name;
        int needs;
    } sections[] = {{"weights", BG_PLAN_CURVES},
                    {"rate-distortion", BG_PLAN_GAPS},
                    {"gap", BG_PLAN_GAPS},
                    {"layers", BG_PLAN_GAPS},
                    {"groups", BG_PLAN_GAPS},
                    {"codebooks", BG_PLAN_CURVES},
                    {"output", BG_PLAN_LOGITS | BG_PLAN_CURVES},
                    {"cost", BG_PLAN_COST | BG_PLAN_PERPLEXITY}};
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++)
        if (!strcmp(sections[i].name, name))
            return sections[i].needs;
    return 0;
}

static int read_figure(const char *text, bg_plan_figure *f)
{
    static const char word[] = " against ";
    const char *against = strstr(text, word);
    *f = (bg_plan_figure){.text = text, .section = ""};
    if (!strcmp(text, "improvement") || !strcmp(text, "improvement histogram")) {
        f->kind = strchr(text, ' ') ? "histogram" : "tensors";
        return BG_PLAN_CURVES;
    }
    if (against) {
        f->kind = "against";
        f->y = bg_metric_find(text, (size_t)(against - text));
        f->x = bg_metric_find(against + sizeof word - 1, strlen(against + sizeof word - 1));
        return f->x && f->y ? f->x->needs | f->y->needs : 0;
    }
    f->y = bg_metric_find(text, strlen(text));
    f->kind = f->y ? "bars" : "section";
    f->section = f->y ? "" : text;
    return f->y ? f->y->needs : section_needs(text);
}

static int read_figures(bg_plan *p, bg_err *e)
{
    enum { MOST = sizeof p->figures / sizeof *p->figures };
    const char *text;
    for (int i = 0; (text = bg_settings_nth(p->root, "figures", i)); i++) {
        if (i == MOST)
            return bg_fail(e, BG_INPUT, "%s: 'figures' has more than %d entries", p->path, MOST);
        int needs = read_figure(text, &p->figures[i]);
        if (!needs)
            return no_metric(p, "figures", i, text, 1, e);
        p->needs |= needs;
        p->n_figures = i + 1;
        if (strstr(text, "improvement") && bg_settings_nth(p->root, "models", 1))
            return bg_fail(e, BG_INPUT, "%s: 'figures[%d]' compares the tensors of one model: name one in 'models'",
                           p->path, i);
        if (!p->reference && strstr(text, "improvement"))
            return bg_fail(e, BG_INPUT,
                           "%s: 'figures[%d]' is improvement over a reference: name one of the specs as 'reference'",
                           p->path, i);
    }
    return BG_OK;
}

/* ---- the whole ---- */

static int check_whole(const bg_plan *p, bg_err *e)
{
    int known = !p->reference;
    for (int i = 0; i < p->n_methods; i++)
        known |= p->reference && !p->methods[i].base && !strcmp(p->methods[i].name, p->reference);
    if (!known)
        return bg_fail(e, BG_INPUT, "%s: 'reference' is '%.60s', which none of the specs is called", p->path,
                       p->reference);
    if (!strcmp(p->measure, "output_mse") && !bg_plan_is_calibrated(p))
        return bg_fail(e, BG_INPUT, "%s: 'measure' output_mse needs a text as data.calibration", p->path);
    if ((p->needs & (BG_PLAN_PERPLEXITY | BG_PLAN_SPEED | BG_PLAN_LOGITS)) && !bg_json_string(p->data, "test", NULL))
        return bg_fail(e, BG_INPUT, "%s: 'data.test' is missing: the text whose perplexity is measured, e.g. \"$TEST\"",
                       p->path);
    if ((p->needs & BG_PLAN_QA) && !bg_json_string(p->data, "qa", NULL))
        return bg_fail(e, BG_INPUT, "%s: 'data.qa' is missing: questions, e.g. \"$QA\"", p->path);
    return BG_OK;
}

int bg_plan_is_calibrated(const bg_plan *p)
{
    return bg_json_string(p->data, "calibration", NULL) != NULL;
}

static int replace(cJSON *root, const char *key, const char *const *texts, int n, bg_err *e)
{
    cJSON *list = n ? cJSON_CreateStringArray(texts, n) : NULL;
    if (!n || !cJSON_IsObject(root))
        return BG_OK;
    cJSON_DeleteItemFromObjectCaseSensitive(root, key);
    return list && cJSON_AddItemToObject(root, key, list) ? BG_OK : bg_no_memory(e, key, (size_t)n);
}

int bg_plan_read(const char *path, const bg_plan_instead *instead, bg_plan *out, bg_err *e)
{
    *out = (bg_plan){.path = path};
    int status = bg_json_read(path, PLAN_LIMIT, &out->root, e);
    if (!status && instead)
        status = replace(out->root, "specs", instead->specs, instead->n_specs, e);
    if (!status && instead)
        status = replace(out->root, "models", instead->models, instead->n_models, e);
    if (!status)
        status = bg_settings_check(out->root, path, bg_plan_settings, e);
    if (status)
        return status;
    out->data = cJSON_GetObjectItemCaseSensitive(out->root, "data");
    out->reference = bg_json_string(out->root, "reference", NULL);
    out->measure = bg_json_string(out->root, "measure", "mse");
    status = read_methods(out, e);
    if (!status)
        status = read_metrics(out, e);
    if (!status)
        status = read_figures(out, e);
    return status ? status : check_whole(out, e);
}

void bg_plan_free(bg_plan *p)
{
    free(p->methods);
    cJSON_Delete(p->root);
    *p = (bg_plan){0};
}
