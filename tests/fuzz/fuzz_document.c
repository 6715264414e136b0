/* The reader of documents: header, schema, sections, every field. Seeds: tests/fuzz/seeds/document/?* */
#include <unistd.h>
#include "io/documents/document.h"
#include "tests/fuzz/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[FUZZ_PATH];
    bg_err e = {0};
    cJSON *root = NULL;
    fuzz_path(path, ".json");
    put_file(path, data, size);
    if (!bg_doc_read(path, NULL, &root, NULL, &e))
        cJSON_Delete(root);
    unlink(path);
    return 0;
}
