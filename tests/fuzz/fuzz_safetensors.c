/* The safetensors container and its plain types.
 * Seeds: tests/golden/data/safetensors_bad/?*.safetensors tests/golden/data/dtypes/in.safetensors */
#include <unistd.h>
#include "tests/fuzz/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[FUZZ_PATH];
    fuzz_path(path, ".safetensors");
    put_file(path, data, size);
    decode_all(path);
    unlink(path);
    return 0;
}
