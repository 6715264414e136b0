/* Owns the recipes for other engines. */
#include "analysis/recipe.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

static void __attribute__((format(printf, 3, 4))) line(bg_doc *d, const char *engine, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    bg_doc_row(d);
    bg_doc_string(d, "engine", engine);
    bg_doc_string(d, "line", text);
    bg_doc_row_end(d);
}

/* ---- llama.cpp: GGUF's name of the tensor and the type nearest in bits ---- */

static const char *ggml_name(const char *group)
{
    static const char *const names[][2] = {
        {"attn.q_proj", "attn_q"}, {"attn.k_proj", "attn_k"}, {"attn.v_proj", "attn_v"}, {"attn.o_proj", "attn_output"},
        {"attn.qkv_proj", "attn_qkv"}, {"mlp.gate_proj", "ffn_gate"}, {"mlp.up_proj", "ffn_up"},
        {"mlp.down_proj", "ffn_down"}, {"embed", "token_embd"}, {"lm_head", "output"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(names[i][0], group))
            return names[i][1];
    return NULL;
}

static const char *ggml_type(double bits)
{
    static const struct {
        double most;
        const char *type;
    } types[] = {{2.5, "q2_k"}, {3.5, "q3_k"}, {4.5, "q4_k"}, {5.5, "q5_k"}, {7, "q6_k"}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (bits <= types[i].most)
            return types[i].type;
    return "q8_0";
}

static void llama_cpp(const bg_recipe_row *r, int n, bg_doc *d)
{
    for (int i = 0; i < n; i++) {
        const char *name = ggml_name(r[i].group);
        if (name && r[i].layer >= 0)
            line(d, "llama.cpp", "--tensor-type blk\\.%d\\.%s=%s", r[i].layer, name, ggml_type(r[i].bits));
        else if (name)
            line(d, "llama.cpp", "--tensor-type %s=%s", name, ggml_type(r[i].bits));
    }
}

/* ---- the others name modules as Hugging Face does ---- */

static int module_length(const char *tensor)
{
    const char *end = strstr(tensor, ".weight");
    return (int)(end && !end[7] ? (size_t)(end - tensor) : strlen(tensor));
}

static void exllamav3(const bg_recipe_row *r, int n, bg_doc *d)
{
    static const char engine[] = "exllamav3";
    line(d, engine, "sources:");
    for (int bits = 1; bits <= 8; bits++) {
        int used = 0;
        for (int i = 0; i < n; i++)
            used |= r[i].layer >= 0 && lround(r[i].bits) == bits;
        if (used)
            line(d, engine, "  - {id: %d, model_dir: MODEL-exl3-%dbpw}", bits, bits);
    }
    line(d, engine, "overrides:");
    for (int i = 0; i < n; i++)
        if (r[i].layer >= 0)
            line(d, engine, "  - {key: \"%.*s\", source: %ld}", module_length(r[i].tensor), r[i].tensor, lround(r[i].bits));
}

static void autoround(const bg_recipe_row *r, int n, bg_doc *d)
{
    static const char engine[] = "AutoRound";
    int last = n - 1;
    while (last >= 0 && r[last].layer < 0)
        last--;
    line(d, engine, "{");
    for (int i = 0; i <= last; i++)
        if (r[i].layer >= 0)
            line(d, engine, "  \"%.*s\": {\"bits\": %ld, \"group_size\": %d}%s", module_length(r[i].tensor), r[i].tensor,
                 lround(r[i].bits), r[i].group_size ? r[i].group_size : -1, i < last ? "," : "");
    line(d, engine, "}");
}

static void compressor_group(const bg_recipe_row *r, int n, int bits, bg_doc *d)
{
    static const char engine[] = "llm-compressor";
    int first = 1;
    for (int i = 0; i < n; i++) {
        if (r[i].layer < 0 || lround(r[i].bits) != bits)
            continue;
        if (first) {
            line(d, engine, "        bits_%d:", bits);
            if (r[i].group_size)
                line(d, engine, "          weights: {num_bits: %d, type: int, strategy: group, group_size: %d}", bits,
                     r[i].group_size);
            else
                line(d, engine, "          weights: {num_bits: %d, type: int, strategy: channel}", bits);
            line(d, engine, "          targets:");
        }
        first = 0;
        line(d, engine, "            - \"%.*s\"", module_length(r[i].tensor), r[i].tensor);
    }
}

static void llm_compressor(const bg_recipe_row *r, int n, bg_doc *d)
{
    static const char engine[] = "llm-compressor";
    line(d, engine, "quant_stage:");
    line(d, engine, "  quant_modifiers:");
    line(d, engine, "    GPTQModifier:");
    line(d, engine, "      ignore: [lm_head]");
    line(d, engine, "      config_groups:");
    for (int bits = 1; bits <= 8; bits++)
        compressor_group(r, n, bits, d);
}

void bg_recipes_write(const bg_recipe_row *rows, int n, bg_doc *d)
{
    bg_doc_section(d, "recipes");
    llama_cpp(rows, n, d);
    exllamav3(rows, n, d);
    autoround(rows, n, d);
    llm_compressor(rows, n, d);
}
