/* Results of lm-evaluation-harness. Seeds: tests/fuzz/seeds/import/?* */
#include "analysis/output/evaluation.h"
#include "tests/fuzz/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[FUZZ_PATH];
    bg_err e = {0};
    bg_evaluation v = {0};
    bg_provenance p = {0};
    fuzz_path(path, ".json");
    put_file(path, data, size);
    bg_evaluation_import_file(&v, path, NULL, &p, &e);
    bg_evaluation_free(&v);
    bg_provenance_free(&p);
    unlink(path);
    return 0;
}
