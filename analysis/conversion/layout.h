/* Layouts: how other programs store a quantized matrix. A row says what it can hold, packs a matrix into tensors of a
 * safetensors file, and writes the part of config.json that describes them. To add one: its row in layout.c; readers
 * are the files of io/checkpoints/formats.
 *
 *     dense               the reconstructed weights in a plain float type
 *     compressed-tensors  packed integers (llm-compressor, vLLM, transformers)
 *     gptq, awq           packed integers, float16 scales (GPTQModel, AutoAWQ, vLLM)
 *     bitsandbytes        NF4 and FP4 blocks, plain or double quantized
 *     gguf                one file for llama.cpp (quantize_gguf.c)
 */
#ifndef BG_ANALYSIS_CONVERSION_LAYOUT_H
#define BG_ANALYSIS_CONVERSION_LAYOUT_H

#include "analysis/output/calibration.h"
#include "analysis/conversion/recipe.h"
#include "io/checkpoints/writers/packed_writer.h"

typedef struct bg_layout bg_layout;

typedef struct bg_quantize_options {
    const bg_spec *spec;     /* of every matrix that the recipe does not name; NULL: those stay as they are */
    const bg_recipe *recipe; /* NULL */
    const bg_layout *layout;
    bg_dtype dtype; /* of dense matrices, and what bitsandbytes rounds to when it computes: BG_F32, BG_F16, BG_BF16;
                     * BG_DTYPES: each tensor's own */
    bg_calibration *calibration;  /* NULL */
    const char *calibration_hash; /* of it; "" */
    uint64_t seed;
} bg_quantize_options;

/* A quantized matrix on its way into a file. */
typedef struct bg_packing {
    const bg_tensor *tensor;
    const bg_quantize_options *options;
    const float *w;    /* [count] the weights */
    float *hat;        /* [count] what was made of them; a layout that rounds it does so here */
    bg_stored *stored; /* of layouts that take codes; codes and zeros become the layout's fields in place */
} bg_packing;

struct bg_layout {
    const char *name;
    /* Why a spec cannot be stored so, a literal; NULL: it can. */
    const char *(*refusal)(const bg_spec *s);
    int takes_codes;
    int mixes; /* matrices of one file may have specs of their own, or stay as they are */
    /* Adds the tensors that replace ….weight. NULL: not made of safetensors. */
    int (*pack)(const bg_packing *k, bg_parcel *out, bg_err *e);
    /* Fills quantization_config for the checkpoint's matrices; where they do not mix, o->spec is that of all. NULL:
     * there is none. */
    void (*configure)(const bg_quantize_options *o, const bg_ckpt *c, cJSON *root);
};

extern const bg_layout *const bg_layouts[]; /* ends with NULL */
extern const bg_layout bg_layout_gguf;

/* BG_USAGE names the ones there are. */
int bg_layout_find(const char *name, const bg_layout **out, bg_err *e);
/* The one a spec gets when none is asked for: compressed-tensors or bitsandbytes where it can be, else dense. */
const bg_layout *bg_layout_for(const bg_spec *s);
/* Can this spec be stored in the layout? BG_USAGE says why not. */
int bg_layout_check(const bg_layout *l, const bg_spec *s, bg_err *e);

/* Whether a tensor is a matrix inside the layers, called ….weight: only those are quantized. */
int bg_is_layer_matrix(const bg_tensor *t);
/* The spec that a tensor is quantized by: a matrix inside the layers, called ….weight. NULL: it stays as it is. */
const bg_spec *bg_quantize_spec(const bg_quantize_options *o, const bg_tensor *t);
/* Can the layout hold what every matrix gets? BG_USAGE says why not. */
int bg_layout_check_model(const bg_ckpt *c, const bg_quantize_options *o, bg_err *e);

/* The type a matrix is written in where it is written dense. */
bg_dtype bg_written_dtype(const bg_tensor *t, const bg_quantize_options *o);

#endif
