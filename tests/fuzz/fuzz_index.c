/* A sharded checkpoint: the index, a NUL byte, the first of the shards it names (the second is not there).
 * Seeds: tests/fuzz/seeds/index/?* */
#include "tests/fuzz/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char directory[FUZZ_PATH], index[FUZZ_PATH + 64], shard[FUZZ_PATH + 64];
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL, *rest = nul ? nul + 1 : data + size;
    fuzz_path(directory, "");
    snprintf(index, sizeof index, "%s/model.safetensors.index.json", directory);
    snprintf(shard, sizeof shard, "%s/model-00001-of-00002.safetensors", directory);
    mkdir(directory, 0700);
    put_file(index, data, nul ? (size_t)(nul - data) : size);
    put_file(shard, rest, size - (size_t)(rest - data));
    decode_all(directory);
    unlink(index);
    unlink(shard);
    rmdir(directory);
    return 0;
}
