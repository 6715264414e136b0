/* Owns the table of architectures as a whole: which row a config means. */
#include "analysis/model/arch_rows.h"

#include <string.h>
#include "io/base/json.h"
#include "io/base/options.h"

const bg_arch *bg_arch_at(int i)
{
    const bg_arch *const tables[] = {bg_arch_dense, bg_arch_experts, bg_arch_special};
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (const bg_arch *a = tables[t]; a->name; a++)
            if (!i--)
                return a;
    return NULL;
}

const cJSON *bg_arch_text(const cJSON *config)
{
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(config, "text_config");
    return cJSON_IsObject(text) ? text : config;
}

/* "LlamaForCausalLM" names the row "llama": letters and digits compared without case and underscores. */
static int class_matches(const char *class_name, const char *row)
{
    for (; *row; row++) {
        if (*row == '_')
            continue;
        if ((*class_name | 0x20) != *row && *class_name != *row)
            return 0;
        class_name++;
    }
    return !strncmp(class_name, "For", 3) || !strncmp(class_name, "LMHead", 6);
}

int bg_arch_find(const cJSON *config, const char *path, const bg_arch **out, bg_err *e)
{
    if (!config)
        return bg_fail(e, BG_INPUT, "%s: no config.json beside the weights; the model's architecture is unknown", path);
    config = bg_arch_text(config);
    const char *type = bg_json_string(config, "model_type", NULL);
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(config, "architectures");
    const char *class_name = cJSON_IsArray(list) && list->child ? cJSON_GetStringValue(list->child) : NULL;
    const bg_arch *a;
    for (int i = 0; (a = bg_arch_at(i)); i++)
        if (type ? !strcmp(a->name, type) : class_name && class_matches(class_name, a->name)) {
            *out = a;
            return BG_OK;
        }
    char known[1024] = "";
    for (int i = 0; (a = bg_arch_at(i)); i++) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", a->name);
    }
    return bg_fail(e, BG_INPUT, "%s: config.json: architecture '%.80s' cannot be run; those that can: %s", path,
                   type         ? type
                   : class_name ? class_name
                                : "(none named)",
                   known);
}
