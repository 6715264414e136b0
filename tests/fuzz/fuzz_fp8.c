/* 8-bit floats with scales of tensors and blocks.
 * Seeds: tests/fuzz/seeds/fp8/?* */
#include "tests/fuzz/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode_directory(data, size);
    return 0;
}
