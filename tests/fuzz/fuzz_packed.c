/* Packed formats that a configuration describes: the input is a config.json, a NUL byte, and a safetensors file.
 * Seeds: tests/fuzz/seeds/packed/?* */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tests/fuzz/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char directory[64], config[96], model[96];
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    if (!nul)
        return 0;
    snprintf(directory, sizeof directory, "/tmp/bitgap-fuzz-%ld", (long)getpid());
    snprintf(config, sizeof config, "%s/config.json", directory);
    snprintf(model, sizeof model, "%s/model.safetensors", directory);
    mkdir(directory, 0700);
    put_file(config, data, (size_t)(nul - data));
    put_file(model, nul + 1, size - (size_t)(nul - data) - 1);
    decode_all(directory);
    unlink(config);
    unlink(model);
    rmdir(directory);
    return 0;
}
