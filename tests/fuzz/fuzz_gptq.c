/* GPTQ: every width, both forms of zero points, act-order.
 * Seeds: tests/fuzz/seeds/gptq/?* */
#include "tests/fuzz/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode_directory(data, size);
    return 0;
}
