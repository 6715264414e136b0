/* The configuration of evaluate; the model that it is for is not there. Seeds: tests/fuzz/seeds/config/?* */
#include "tests/fuzz/stage.h"

extern const bg_stage bg_stage_evaluate;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[FUZZ_PATH];
    fuzz_path(path, ".json");
    put_file(path, data, size);
    fuzz_stage(&bg_stage_evaluate, (const char *[]){"evaluate", "-c", path, "-o", "/dev/null/x", "/nonexistent", NULL});
    unlink(path);
    return 0;
}
