/* Owns timings.json. */
#define _POSIX_C_SOURCE 200809L
#include "analysis/stages/timings.h"
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include "io/base/overwrite.h"

static void copy_row(bg_doc *d, const cJSON *row)
{
    bg_doc_row(d);
    bg_doc_string(d, "stage", bg_json_string(row, "stage", ""));
    bg_doc_string(d, "document", bg_json_string(row, "document", ""));
    bg_doc_string(d, "what", bg_json_string(row, "what", ""));
    bg_doc_number(d, "seconds", bg_json_number(row, "seconds", 0));
    if (cJSON_HasObjectItem(row, "weights"))
        bg_doc_number(d, "weights", bg_json_number(row, "weights", 0));
    if (cJSON_HasObjectItem(row, "threads"))
        bg_doc_integer(d, "threads", (int64_t)bg_json_number(row, "threads", 1));
    bg_doc_row_end(d);
}

static void write_rows(bg_doc *d, const char *stage, const char *name, const bg_timing *rows, int n)
{
    for (int i = 0; i < n; i++) {
        bg_doc_row(d);
        bg_doc_string(d, "stage", stage);
        bg_doc_string(d, "document", name);
        bg_doc_string(d, "what", rows[i].what);
        bg_doc_number(d, "seconds", rows[i].seconds);
        if (rows[i].weights > 0)
            bg_doc_number(d, "weights", rows[i].weights);
        bg_doc_integer(d, "threads", omp_get_max_threads());
        bg_doc_row_end(d);
    }
}

int bg_timings_write(const char *stage, const char *document, const bg_timing *rows, int n, const bg_provenance *p,
                     bg_err *e)
{
    const char *name = bg_path_base(document);
    if (bg_is_special(document))
        return BG_OK;
    char *directory = strndup(document, (size_t)(name - document)), *path = NULL;
    if (directory)
        path = bg_path_join(*directory ? directory : ".", "timings.json");
    free(directory);
    if (!path)
        return bg_no_memory(e, "a path", strlen(document));
    cJSON *old = NULL;
    bg_err ignored = {0}; /* a damaged or foreign old file is replaced: it held measurements only */
    if (bg_is_file(path) && bg_doc_read(path, "timings", &old, NULL, &ignored))
        old = NULL;
    bg_output_made(path); /* read in order to be replaced */
    bg_doc d;
    int status = bg_doc_begin(&d, "timings", path, p, e);
    if (!status) {
        bg_doc_section(&d, "rows");
        const cJSON *row;
        cJSON_ArrayForEach(row, bg_doc_rows(old, "rows")) if (strcmp(bg_json_string(row, "document", ""), name) != 0)
            copy_row(&d, row);
        write_rows(&d, stage, name, rows, n);
        status = bg_doc_commit(&d, e);
    }
    cJSON_Delete(old);
    free(path);
    return status;
}
