/* A page that is verified: its manifest, its numbers and their origins, its text.
 * Seeds: tests/fuzz/seeds/verify/?* */
#include "tests/fuzz/stage.h"

extern const bg_stage bg_stage_verify;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[FUZZ_PATH];
    fuzz_path(path, ".html");
    put_file(path, data, size);
    fuzz_stage(&bg_stage_verify, (const char *[]){"verify", path, "--documents", "tests/cli/report", NULL});
    unlink(path);
    return 0;
}
