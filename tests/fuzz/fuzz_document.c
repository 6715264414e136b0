/* The reader of documents: header, schema, sections, every field. Seeds: tests/fuzz/seeds/document/* */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include "io/doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/bitgap-fuzz-%ld.json", (long)getpid());
    FILE *f = fopen(path, "w");
    if (!f)
        return 0;
    fwrite(data, 1, size, f);
    fclose(f);
    bg_err e = {0};
    cJSON *root = NULL;
    if (!bg_doc_read(path, NULL, &root, NULL, &e))
        cJSON_Delete(root);
    unlink(path);
    return 0;
}
