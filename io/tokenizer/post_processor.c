/* Owns post-processors: the special tokens that go before and after the ids of a text. */
#include "io/tokenizer/parts.h"

#include <stdlib.h>
#include <string.h>

static int add_id(bg_id_list *l, const cJSON *id, bg_err *e)
{
    double v = cJSON_IsNumber(id) ? id->valuedouble : -1;
    if (!(v >= 0 && v < BG_TOK_ID_LIMIT) || v != (double)(int64_t)v)
        return bg_fail(e, BG_INPUT, "a special token of the post-processor has no id in 0..%d", BG_TOK_ID_LIMIT - 1);
    bg_id_list_add(l, (int32_t)v);
    return l->failed ? bg_no_memory(e, "the post-processor", sizeof v) : BG_OK;
}

/* The ids of template item {"SpecialToken": {"id": name}} are special_tokens[name].ids. */
static int add_special(bg_id_list *l, const cJSON *node, const cJSON *special, bg_err *e)
{
    const char *name = bg_json_string(special, "id", "");
    const cJSON *table = cJSON_GetObjectItemCaseSensitive(node, "special_tokens");
    const cJSON *entry = cJSON_GetObjectItemCaseSensitive(table, name);
    const cJSON *id, *ids = cJSON_GetObjectItemCaseSensitive(entry, "ids");
    if (!cJSON_IsArray(ids))
        return bg_fail(e, BG_INPUT, "the post-processor's template names '%.40s', which its special_tokens lack", name);
    int status = BG_OK;
    cJSON_ArrayForEach(id, ids) if (!status) status = add_id(l, id, e);
    return status;
}

static int load_template(bg_post *p, const cJSON *node, bg_err *e)
{
    const cJSON *item, *single = cJSON_GetObjectItemCaseSensitive(node, "single");
    bg_id_list before = {0}, after = {0};
    int texts = 0, status = BG_OK;
    cJSON_ArrayForEach(item, single)
    {
        const cJSON *special = cJSON_GetObjectItemCaseSensitive(item, "SpecialToken");
        if (status)
            break;
        if (special)
            status = add_special(texts ? &after : &before, node, special, e);
        else if (cJSON_GetObjectItemCaseSensitive(item, "Sequence"))
            texts++;
        else
            status = bg_fail(e, BG_INPUT, "an item of the post-processor's template is of no known kind");
    }
    if (!status && texts != 1)
        status = bg_fail(e, BG_INPUT, "the post-processor's template holds the text %d times, not once", texts);
    /* A later processor wraps what the earlier ones made: its begin tokens come first. */
    for (size_t i = 0; i < p->before.n; i++)
        bg_id_list_add(&before, p->before.id[i]);
    for (size_t i = 0; i < after.n; i++)
        bg_id_list_add(&p->after, after.id[i]);
    free(after.id);
    free(p->before.id);
    p->before = before;
    if (!status && (before.failed || p->after.failed))
        status = bg_no_memory(e, "the post-processor", before.n * sizeof *before.id);
    return status;
}

/* RobertaProcessing and BertProcessing: cls text sep, each as [string, id]. */
static int load_pair(bg_post *p, const cJSON *node, bg_err *e)
{
    const cJSON *cls = cJSON_GetObjectItemCaseSensitive(node, "cls"),
                *sep = cJSON_GetObjectItemCaseSensitive(node, "sep");
    int status = add_id(&p->before, cJSON_GetArrayItem(cls, 1), e);
    return status ? status : add_id(&p->after, cJSON_GetArrayItem(sep, 1), e);
}

int bg_post_load(bg_post *p, const cJSON *node, int depth, bg_err *e)
{
    if (!node || cJSON_IsNull(node))
        return BG_OK;
    const char *type = bg_json_string(node, "type", "without a type");
    if (!strcmp(type, "ByteLevel")) /* changes offsets only */
        return BG_OK;
    if (!strcmp(type, "TemplateProcessing"))
        return load_template(p, node, e);
    if (!strcmp(type, "RobertaProcessing") || !strcmp(type, "BertProcessing"))
        return load_pair(p, node, e);
    if (strcmp(type, "Sequence") || depth >= 8)
        return bg_fail(e, BG_INPUT, "the post-processor '%.40s' is not supported", type);
    const cJSON *child, *list = cJSON_GetObjectItemCaseSensitive(node, "processors");
    int status = BG_OK;
    cJSON_ArrayForEach(child, list) if (!status) status = bg_post_load(p, child, depth + 1, e);
    return status;
}

void bg_post_free(bg_post *p)
{
    free(p->before.id);
    free(p->after.id);
    *p = (bg_post){0};
}
