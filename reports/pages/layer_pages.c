/* Owns the pages of single layers: the same sections for one layer, with its neighbours and the way back. */
#include <stdio.h>
#include <stdlib.h>
#include "reports/pages/report.h"

typedef struct names {
    char self[32], prefix[32], previous[40], next[40], home[96];
} names;

static int write_one(const char *const *documents, int n, const bg_report_options *options, const int *layers, int i,
                     int count, bg_err *e)
{
    names f = {{0}, {0}, {0}, {0}, {0}};
    bg_filter filter = options->filter ? *options->filter : (bg_filter){0};
    filter.layers[0] = layers[i];
    filter.n_layers = 1;
    snprintf(f.self, sizeof f.self, "layer-%d", layers[i]);
    snprintf(f.prefix, sizeof f.prefix, "layer-%d-", layers[i]);
    snprintf(f.home, sizeof f.home, "%.80s.html#layers", options->name);
    if (i > 0)
        snprintf(f.previous, sizeof f.previous, "layer-%d.html", layers[i - 1]);
    if (i + 1 < count)
        snprintf(f.next, sizeof f.next, "layer-%d.html", layers[i + 1]);
    bg_report_options o = *options;
    o.filter = &filter;
    o.name = f.self;
    o.prefix = f.prefix;
    o.home = f.home;
    o.previous = i > 0 ? f.previous : NULL;
    o.next = i + 1 < count ? f.next : NULL;
    o.pages = 0;
    return bg_report_write(documents, n, &o, e);
}

int bg_report_write_layers(const char *const *documents, int n, const bg_report_options *options, bg_err *e)
{
    enum { MOST = 1024 };
    bg_docset s;
    int *layers = malloc(MOST * sizeof *layers), count = 0;
    if (!layers)
        return bg_no_memory(e, "layers", MOST * sizeof *layers);
    int status = bg_docset_open(&s, documents, n, options->filter, e);
    if (!status)
        count = bg_docset_layers(&s, layers, MOST);
    bg_docset_close(&s);
    for (int i = 0; !status && i < count; i++)
        status = bg_interrupted ? bg_fail(e, BG_RESOURCE, "interrupted")
                                : write_one(documents, n, options, layers, i, count, e);
    free(layers);
    return status;
}
