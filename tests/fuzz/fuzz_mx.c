/* MXFP4 of gpt-oss and NVFP4 of ModelOpt.
 * Seeds: tests/fuzz/seeds/mx/?* tests/golden/data/mxfp4/gptoss.safetensors */
#include "tests/fuzz/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode_directory(data, size);
    return 0;
}
