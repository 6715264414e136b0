/* config.json as a model: architecture, sizes, rope scaling, windows, the rotation table of what was accepted.
 * Seeds: tests/golden/data/models/?*[a-z0-9]/config.json */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/model/rows.h"
#include "io/base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const bg_arch *a, const cJSON *root)
{
    enum { POSITIONS = 4, WIDEST = 4096 };
    static float c[POSITIONS * WIDEST], s[POSITIONS * WIDEST];
    bg_err e = {0};
    bg_model_config config;
    bg_layer_rules rules;
    if (bg_arch_config(a, root, "config.json", &config, &e))
        return;
    for (int l = 0; l < 3; l++)
        if (bg_arch_layer(a, root, &config, l, &rules, &e))
            return;
    for (int i = 0; i < BG_LINEARS; i++)
        bg_arch_bias(root, &a->bias[i]);
    if (config.rope.kind && config.rope.dims <= WIDEST) {
        bg_rope_table(&config.rope, NULL, 100000, 5, POSITIONS, c, s);
        bg_rope_key(&config.rope, 100000);
    }
    if (config.rope_local.kind && config.rope_local.dims <= WIDEST)
        bg_rope_table(&config.rope_local, NULL, 100000, 5, POSITIONS, c, s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bg_err e = {0};
    cJSON *root = NULL;
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = 0;
    if (!bg_json_parse(text, size, "config.json", &root, &e)) {
        const bg_arch *a = NULL;
        if (!bg_arch_find(root, "model", &a, &e))
            use(a, root);
        else
            for (int i = 0; (a = bg_arch_at(i)); i++) /* a damaged name must not hide the rest */
                use(a, root);
        cJSON_Delete(root);
    }
    free(text);
    return 0;
}
