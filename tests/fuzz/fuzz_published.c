/* Tables of the literature. Sources of samples are left out: they would take their time.
 * Seeds: tests/fuzz/seeds/published/?* */
#include "tests/fuzz/stage.h"

extern const bg_stage bg_stage_published;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[FUZZ_PATH];
    if (memmem(data, size, "n=", 2) || memmem(data, size, "ar1", 3) || memmem(data, size, "\\u", 2))
        return 0;
    fuzz_path(path, ".json");
    put_file(path, data, size);
    fuzz_stage(&bg_stage_published, (const char *[]){"published", path, "-o", "-", NULL});
    unlink(path);
    return 0;
}
