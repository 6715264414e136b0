/* compressed-tensors: packed and plain integers, 8-bit floats, NVFP4 and MXFP4.
 * Seeds: tests/fuzz/seeds/compressed_tensors/?* */
#include "tests/fuzz/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode_directory(data, size);
    return 0;
}
