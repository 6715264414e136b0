/* A study's plan: a configuration that names models, specs, data, metrics and figures. plan.c reads and checks it
 * against one table of settings; from it come the commands that make the documents (plan_commands.c) and the document
 * `study` (plan_write.c), which tells the page what to show: rows are specs, columns are metrics.
 *
 *     bg_plan p;
 *     status = bg_plan_read("notebooks/seven-methods.json", NULL, &p, &e);
 *     status = bg_plan_commands(&p, stdout, &e);
 *     bg_plan_free(&p);
 */
#ifndef BG_ANALYSIS_STUDY_PLAN_H
#define BG_ANALYSIS_STUDY_PLAN_H

#include "io/base/settings.h"
#include "io/documents/document.h"
#include "quant/parser/parser.h"

/* Documents that a metric or figure needs, as bits. */
enum {
    BG_PLAN_CURVES = 1,
    BG_PLAN_GAPS = 2,
    BG_PLAN_LOGITS = 4,
    BG_PLAN_PERPLEXITY = 8,
    BG_PLAN_QA = 16,
    BG_PLAN_SPEED = 32,
    BG_PLAN_COST = 64
};
#define BG_PLAN_EVALUATION (BG_PLAN_PERPLEXITY | BG_PLAN_QA | BG_PLAN_SPEED | BG_PLAN_COST)

/* A column of a study's table. */
typedef struct bg_metric {
    const char *name, *heading;
    const char *section;  /* "evaluation.rows", "curves.points" (mean over the tensors), "logits.rows" */
    const char *field;    /* in it */
    const char *as;       /* printed form: a style of the report */
    const char *relation; /* to the model as it is: "none", "minus", "percent" */
    const char *better;   /* "less", "more" or "none" */
    int needs;
} bg_metric;
extern const bg_metric bg_metrics[]; /* ends with a NULL name */
const bg_metric *bg_metric_find(const char *name, size_t length);

/* A figure of a study: bars of a metric, one metric against another, improvements tensor by tensor, or a section of the
 * report. */
typedef struct bg_plan_figure {
    const char *text; /* as written */
    const char *kind; /* "bars", "against", "tensors", "histogram", "section" */
    const bg_metric *y, *x;
    const char *section; /* of the report; else "" */
} bg_plan_figure;

typedef struct bg_plan_method {
    char name[64];
    bg_spec spec; /* unused when `base` */
    int base;     /* the model as it is */
} bg_plan_method;

typedef struct bg_plan {
    const char *path;
    cJSON *root, *data;      /* data: NULL when absent */
    bg_plan_method *methods; /* methods[0] is the model as it is */
    int n_methods;
    const bg_metric *metrics[64];
    int n_metrics;
    bg_plan_figure figures[32];
    int n_figures, needs;
    const char *reference; /* name of the method that improvements are over; NULL: none */
    const char *measure;   /* field of curves.points that improvements compare */
} bg_plan;

extern const bg_setting bg_plan_settings[];

/* BG_INPUT names the file, the key and what is allowed. `specs`, `models`: [n] in place of those of the file, where n
 * is not 0. The caller frees, after failure too. `path` must outlive *out. */
typedef struct bg_plan_instead {
    const char *const *specs, *const *models;
    int n_specs, n_models;
} bg_plan_instead;
int bg_plan_read(const char *path, const bg_plan_instead *instead, bg_plan *out, bg_err *e);
void bg_plan_free(bg_plan *p);
/* A POSIX script that makes every document in the directory $OUT, and study.json with them. Strings of the plan are
 * quoted; only the whole texts $MODEL, $TEXT, $TEST and $QA stand for the variables of that name. */
int bg_plan_commands(const bg_plan *p, FILE *f, bg_err *e);
int bg_plan_write(const bg_plan *p, const char *path, bg_provenance *provenance, bg_err *e);
int bg_plan_is_calibrated(const bg_plan *p);

#endif
