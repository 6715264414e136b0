/* Owns the recipes for other engines. */
#include "analysis/allocation/recipe_formats.h"

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

static const char *ggml_name(const char *role)
{
    static const char *const names[][2] = {{"attn.q_proj", "attn_q"},     {"attn.k_proj", "attn_k"},
                                           {"attn.v_proj", "attn_v"},     {"attn.o_proj", "attn_output"},
                                           {"attn.qkv_proj", "attn_qkv"}, {"mlp.gate_proj", "ffn_gate"},
                                           {"mlp.up_proj", "ffn_up"},     {"mlp.down_proj", "ffn_down"},
                                           {"embed", "token_embd"},       {"lm_head", "output"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(names[i][0], role))
            return names[i][1];
    return NULL;
}

static const char *ggml_type(double bits)
{
    static const struct {
        double max;
        const char *type;
    } types[] = {{2.5, "q2_k"}, {3.5, "q3_k"}, {4.5, "q4_k"}, {5.5, "q5_k"}, {7, "q6_k"}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (bits <= types[i].max)
            return types[i].type;
    return "q8_0";
}

/* A --tensor-type is searched for as a regular expression in the tensor's name, and the first that is found decides:
 * anchored and quoted, or "output" would take attn_output as well. Embeddings and head have options of their own, which
 * come first. Source: llama.cpp tools/quantize/quantize.cpp (parse_tensor_type) and src/llama-quant.cpp
 * (llama_tensor_get_type). */
static void llama_cpp(const bg_recipe_row *r, int n, bg_doc *d)
{
    static const char engine[] = "llama.cpp";
    for (int i = 0; i < n; i++) {
        const char *name = ggml_name(r[i].role);
        if (name && r[i].layer >= 0)
            line(d, engine, "--tensor-type '^blk\\.%d\\.%s\\.weight$=%s'", r[i].layer, name, ggml_type(r[i].bits));
        else if (name)
            line(d, engine, "--%s-type %s", !strcmp(name, "output") ? "output-tensor" : "token-embedding",
                 ggml_type(r[i].bits));
    }
}

/* ---- the others name modules as Hugging Face does ---- */

static int module_length(const char *tensor)
{
    const char *end = strstr(tensor, ".weight");
    return (int)(end && !end[7] ? (size_t)(end - tensor) : strlen(tensor));
}

/* A key must match the whole name of a stored tensor, of which a matrix has several (….trellis, ….suh): * stands for
 * them. Source: exllamav3 util/recompile.py, loader/safetensors.py (VariantSafetensorsCollection). */
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
            line(d, engine, "  - {key: \"%.*s.*\", source: %ld}", module_length(r[i].tensor), r[i].tensor,
                 lround(r[i].bits));
}

/* It packs no fewer than 2 bits and refuses zero points at 8; group_size −1 is a row. Source: auto-round
 * auto_round/schemes.py (QuantizationScheme), compressors/layer_config_resolver.py, auto_round_extension/torch and
 * docs/step_by_step.md. */
static void autoround(const bg_recipe_row *r, int n, bg_doc *d)
{
    static const char engine[] = "AutoRound";
    int last = n - 1;
    while (last >= 0 && r[last].layer < 0)
        last--;
    line(d, engine, "{");
    for (int i = 0; i <= last; i++) {
        long bits = lround(fmax(r[i].bits, 2));
        if (r[i].layer >= 0)
            line(d, engine, "  \"%.*s\": {\"bits\": %ld, \"group_size\": %d, \"sym\": %s}%s",
                 module_length(r[i].tensor), r[i].tensor, bits, r[i].group_size ? r[i].group_size : -1,
                 r[i].symmetric || bits >= 8 ? "true" : "false", i < last ? "," : "");
    }
    line(d, engine, "}");
}

static int same_grid(const bg_recipe_row *a, const bg_recipe_row *b)
{
    return a->layer >= 0 && b->layer >= 0 && lround(a->bits) == lround(b->bits) && a->group_size == b->group_size &&
           !a->symmetric == !b->symmetric;
}

/* Source: llm-compressor modifiers/gptq (GPTQModifier) and examples/quantization_non_uniform; compressed-tensors
 * quantization/quant_args.py (QuantizationArgs). A target is a module's name; a group has one grid. */
static void llm_compressor(const bg_recipe_row *r, int n, bg_doc *d)
{
    static const char engine[] = "llm-compressor";
    int groups = 0;
    line(d, engine, "quant_stage:");
    line(d, engine, "  quant_modifiers:");
    line(d, engine, "    GPTQModifier:");
    line(d, engine, "      ignore: [lm_head]");
    line(d, engine, "      config_groups:");
    for (int i = 0; i < n; i++) {
        int first = 0;
        while (first < i && !same_grid(&r[first], &r[i]))
            first++;
        if (r[i].layer < 0 || first < i)
            continue;
        line(d, engine, "        group_%d:", groups++);
        if (r[i].group_size)
            line(d, engine,
                 "          weights: {num_bits: %ld, type: int, symmetric: %s, strategy: group, group_size: %d}",
                 lround(r[i].bits), r[i].symmetric ? "true" : "false", r[i].group_size);
        else
            line(d, engine, "          weights: {num_bits: %ld, type: int, symmetric: %s, strategy: channel}",
                 lround(r[i].bits), r[i].symmetric ? "true" : "false");
        line(d, engine, "          targets:");
        for (int k = i; k < n; k++)
            if (same_grid(&r[i], &r[k]))
                line(d, engine, "            - \"%.*s\"", module_length(r[k].tensor), r[k].tensor);
    }
}

void bg_recipes_write(const bg_recipe_row *rows, int n, bg_doc *d)
{
    bg_doc_section(d, "recipes");
    llama_cpp(rows, n, d);
    exllamav3(rows, n, d);
    autoround(rows, n, d);
    llm_compressor(rows, n, d);
}
