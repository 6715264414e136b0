/* The safetensors container and the formats that need no configuration.
 * Seeds: tests/golden/data/safetensors_bad/?*.safetensors tests/golden/data/bnb/[fn]*[0-9].safetensors tests/golden/data/bnb/int8.safetensors tests/golden/data/mxfp4/gptoss.safetensors tests/golden/data/dtypes/in.safetensors */
#include <unistd.h>
#include "tests/fuzz/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/bitgap-fuzz-%ld.safetensors", (long)getpid());
    put_file(path, data, size);
    decode_all(path);
    unlink(path);
    return 0;
}
