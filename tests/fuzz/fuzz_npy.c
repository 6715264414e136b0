/* NumPy's files. Seeds: tests/fuzz/seeds/npy/?* */
#include "io/base/npy.h"
#include "tests/fuzz/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { ROWS = 3, COLS = 4 };
    char path[FUZZ_PATH];
    float w[ROWS * COLS];
    bg_err e = {0};
    fuzz_path(path, ".npy");
    put_file(path, data, size);
    bg_npy_read(path, w, ROWS, COLS, &e);
    unlink(path);
    return 0;
}
