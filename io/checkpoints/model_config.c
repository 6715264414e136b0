/* Owns config.json and the quantization descriptions that older writers put into files of their own beside it. */
#include "io/checkpoints/loading.h"

#include <stdlib.h>
#include <string.h>

enum { CONFIG_LIMIT = 64 << 20 };

static int read_beside(const char *directory, const char *name, cJSON **out, bg_err *e)
{
    char *path = bg_path_join(directory, name);
    *out = NULL;
    if (!path)
        return bg_no_memory(e, directory, strlen(directory));
    int status = BG_OK;
    if (bg_is_file(path)) {
        status = bg_json_read(path, CONFIG_LIMIT, out, e);
        if (!status && !cJSON_IsObject(*out)) {
            status = bg_fail(e, BG_INPUT, "%s: not a JSON object", path);
            cJSON_Delete(*out);
            *out = NULL;
        }
    }
    free(path);
    return status;
}

/* Puts `block` (which becomes the config's) under quantization_config, naming its method when it does not itself. */
static int adopt(cJSON **config, cJSON *block, const char *method, bg_err *e)
{
    if (!*config)
        *config = cJSON_CreateObject();
    int ok = *config &&
             (cJSON_HasObjectItem(block, "quant_method") || cJSON_AddStringToObject(block, "quant_method", method));
    if (!ok || !cJSON_AddItemToObject(*config, "quantization_config", block)) {
        cJSON_Delete(block);
        return bg_no_memory(e, "the configuration", 64);
    }
    return BG_OK;
}

int bg_config_read(const char *directory, cJSON **out, bg_err *e)
{
    static const struct {
        const char *file, *method;
    } older[] = {{"quantize_config.json", "gptq"}, {"quant_config.json", "awq"}, {"hf_quant_config.json", "modelopt"}};
    int status = read_beside(directory, "config.json", out, e);
    if (status)
        return status;
    if (cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(*out, "quantization_config")))
        return BG_OK;
    cJSON *block = cJSON_DetachItemFromObjectCaseSensitive(*out, "compression_config");
    if (block && cJSON_IsObject(block))
        status = adopt(out, block, "compressed-tensors", e);
    else if (*out && cJSON_IsString(cJSON_GetObjectItemCaseSensitive(*out, "quant_method")) &&
             (block = cJSON_Duplicate(*out, 1))) /* the file is the block itself */
        status = adopt(out, block, "", e);
    for (size_t i = 0; !block && !status && i < sizeof older / sizeof *older; i++) {
        status = read_beside(directory, older[i].file, &block, e);
        if (!status && block)
            status = adopt(out, block, older[i].method, e);
    }
    if (status) {
        cJSON_Delete(*out);
        *out = NULL;
    }
    return status;
}
