/* AWQ in GEMM and GEMV order.
 * Seeds: tests/fuzz/seeds/awq/?* */
#include "tests/fuzz/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode_directory(data, size);
    return 0;
}
