/* bitsandbytes NF4, FP4 and 8 bits, plain and nested.
 * Seeds: tests/golden/data/bnb/[fn]*[0-9].safetensors tests/golden/data/bnb/int8.safetensors */
#include "tests/fuzz/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode_directory(data, size);
    return 0;
}
