/* HQQ along either axis.
 * Seeds: tests/fuzz/seeds/hqq/?* */
#include "tests/fuzz/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode_directory(data, size);
    return 0;
}
