/* Owns turning a plan into the commands that make its documents: a POSIX script a reader can run line by line. */
#define _GNU_SOURCE
#include <string.h>
#include "analysis/study/plan.h"
#include "io/base/file.h"

/* A word of the shell: quoted so that nothing in it is a command, but for the variables that stand for make's settings.
 */
static void word(const char *s, FILE *f)
{
    static const char *const variables[] = {"$MODEL", "$TEXT", "$TEST", "$QA"};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        if (!strcmp(s, variables[i])) {
            fprintf(f, "\"%s\"", s);
            return;
        }
    if (s[0] && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=,+@") == strlen(s)) {
        fputs(s, f);
        return;
    }
    putc('\'', f);
    for (; *s; s++)
        if (*s == '\'')
            fputs("'\\''", f);
        else
            putc(*s, f);
    putc('\'', f);
}

static void option(const char *name, const char *value, FILE *f)
{
    if (!value)
        return;
    fprintf(f, " --%s ", name);
    word(value, f);
}

static void number(const bg_plan *p, const char *key, const char *name, FILE *f)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(p->data, key);
    if (v)
        fprintf(f, " --%s %.0f", name, v->valuedouble);
}

static void specs(const bg_plan *p, FILE *f)
{
    if (p->n_methods > 1)
        fputs(" \\\n    -q", f);
    for (int i = 1; i < p->n_methods; i++) {
        putc(' ', f);
        word(p->methods[i].spec.text, f);
    }
}

/* "$OUT/curves.json", and for the second model "$OUT/curves-2.json". */
static void document(const char *name, int model, FILE *f)
{
    if (model)
        fprintf(f, "\"$OUT/%s-%d.json\"", name, model + 1);
    else
        fprintf(f, "\"$OUT/%s.json\"", name);
}

static void output(const char *name, int model, FILE *f)
{
    fputs(!strcmp(name, "evaluation") || !strcmp(name, "logits") || !strcmp(name, "curves") ? " \\\n    -o " : " -o ",
          f);
    document(name, model, f);
    putc('\n', f);
}

static void calibrated_with(const bg_plan *p, int model, FILE *f)
{
    if (!bg_plan_is_calibrated(p))
        return;
    fputs(" \\\n    --calibration ", f);
    document("calibration", model, f);
}

static void weights(const bg_plan *p, int model, FILE *f)
{
    fputs("bitgap curve ", f);
    document("groups", model, f);
    calibrated_with(p, model, f);
    number(p, "seed", "seed", f);
    specs(p, f);
    output("curves", model, f);
    if (!(p->needs & BG_PLAN_GAPS))
        return;
    fputs("bitgap bound ", f);
    document("groups", model, f);
    calibrated_with(p, model, f);
    output("bounds", model, f);
    fputs("bitgap gap ", f);
    document("curves", model, f);
    putc(' ', f);
    document("bounds", model, f);
    output("gaps", model, f);
}

static void logits(const bg_plan *p, const char *path, int model, FILE *f)
{
    fputs("bitgap logits ", f);
    word(path, f);
    option("text", bg_json_string(p->data, "test", NULL), f);
    number(p, "context", "context", f);
    number(p, "windows", "windows", f);
    calibrated_with(p, model, f);
    number(p, "seed", "seed", f);
    specs(p, f);
    output("logits", model, f);
    if (!(p->needs & BG_PLAN_CURVES))
        return;
    fputs("bitgap correlate ", f);
    document("logits", model, f);
    putc(' ', f);
    document("curves", model, f);
    output("correlation", model, f);
}

static void evaluate(const bg_plan *p, const char *path, int model, FILE *f)
{
    const char *convention;
    fputs("bitgap evaluate ", f);
    word(path, f);
    option("text", bg_json_string(p->data, "test", NULL), f);
    number(p, "context", "context", f);
    number(p, "windows", "windows", f);
    for (int i = 0; (convention = bg_settings_nth(p->data, "conventions", i)); i++)
        option("conventions", convention, f);
    number(p, "stride", "stride", f);
    if (p->needs & BG_PLAN_QA)
        option("qa", bg_json_string(p->data, "qa", NULL), f);
    if (p->needs & BG_PLAN_SPEED) {
        number(p, "prompts", "num-prompts", f);
        number(p, "prompt_tokens", "prompt-tokens", f);
        number(p, "new_tokens", "max-tokens", f);
        number(p, "repeats", "repeats", f);
    } else {
        fputs(" --skip-benchmark", f);
    }
    if (!(p->needs & (BG_PLAN_PERPLEXITY | BG_PLAN_QA)))
        fputs(" --skip-evaluation", f);
    calibrated_with(p, model, f);
    number(p, "seed", "seed", f);
    specs(p, f);
    output("evaluation", model, f);
}

static void calibrate(const bg_plan *p, const char *path, int model, FILE *f)
{
    fputs("bitgap calibrate ", f);
    word(path, f);
    option("text", bg_json_string(p->data, "calibration", NULL), f);
    number(p, "samples", "samples", f);
    number(p, "length", "length", f);
    option("sequential", bg_json_string(p->data, "sequential", NULL), f);
    number(p, "seed", "seed", f);
    output("calibration", model, f);
}

int bg_plan_commands(const bg_plan *p, FILE *f, bg_err *e)
{
    const char *path;
    fprintf(f, "# The commands of %s; documents go to the directory $OUT.\nset -eu\n", bg_path_base(p->path));
    for (int model = 0; (path = bg_settings_nth(p->root, "models", model)); model++) {
        if (p->needs & (BG_PLAN_CURVES | BG_PLAN_GAPS)) {
            fputs("bitgap extract ", f);
            word(path, f);
            output("groups", model, f);
        }
        if (bg_plan_is_calibrated(p))
            calibrate(p, path, model, f);
        if (p->needs & (BG_PLAN_CURVES | BG_PLAN_GAPS))
            weights(p, model, f);
        if (p->needs & BG_PLAN_LOGITS)
            logits(p, path, model, f);
        if (p->needs & BG_PLAN_EVALUATION)
            evaluate(p, path, model, f);
    }
    fputs("bitgap study ", f);
    word(p->path, f);
    fputs(" -o \"$OUT/study.json\"\n", f);
    return ferror(f) ? bg_fail(e, BG_RESOURCE, "%s: the commands cannot be written", p->path) : BG_OK;
}
