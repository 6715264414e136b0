/* Specs: the grammar NAME[:key=value[,key=value…]] and the five registries it composes.
 *
 * Every weight quantizer is the same five choices: transform, scope, grid, rounding, coding. A registry is a table of
 * const rows, one file a row; keys are declared in the row with type, range, default and help, and that declaration
 * parses, checks and documents them (`bitgap list`). A value may be a range `2..8` or a list `2/3/4`: bg_specs_parse
 * expands them.
 */
#ifndef BG_QUANT_SPEC_SPEC_H
#define BG_QUANT_SPEC_SPEC_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "io/base/error.h"

typedef enum bg_key_type { BG_KEY_NUMBER, BG_KEY_INTEGER, BG_KEY_WORD, BG_KEY_BOOL, BG_KEY_TEXT } bg_key_type;

/* A word of a key that takes a number as well ("max|mse|Nsigma"): its place in the list from 0, and the number where
 * the word is the last one; otherwise 0. */
typedef struct bg_word {
    int word;
    double number;
} bg_word;

/* How a compiled value is stored; BG_PARAM derives it from the type of the member. */
typedef enum bg_value_store { BG_AS_NOTHING, BG_AS_DOUBLE, BG_AS_INT, BG_AS_CHOICE, BG_AS_TEXT } bg_value_store;

typedef struct bg_key {
    const char *name;
    bg_key_type type;
    double min, max;   /* of numbers */
    const char *words; /* of words: "sym|asym|min"; a trailing "|N" or "|Nsigma" also takes a positive number (with that
                          suffix) */
    const char *default_text; /* NULL: none, and then a value that is not given is 0 or "" (or the row decides) */
    const char *help;
    /* Where the value goes: a member of the row's own parameters, or of bg_spec itself. Words become their place in the
     * list, booleans 0 or 1. */
    bg_value_store store;
    int in_spec;
    size_t offset;
} bg_key;

#define BG_VALUE_STORE(type, member)                                                                                   \
    _Generic(((type *)0)->member, double : BG_AS_DOUBLE, int : BG_AS_INT, bg_word : BG_AS_CHOICE, char * : BG_AS_TEXT)
/* In a key of a row: its value is member `member` of the row's parameters, a struct `type` (at most BG_PARAMS bytes).
 */
#define BG_PARAM(type, member) .store = BG_VALUE_STORE(type, member), .offset = offsetof(type, member)
/* Its value is a member of bg_spec: what other rows or the engine must know of it. */
#define BG_SPEC_PARAM(member)                                                                                          \
    .store = BG_VALUE_STORE(bg_spec, member), .offset = offsetof(bg_spec, member), .in_spec = 1

typedef struct bg_transform bg_transform;
typedef struct bg_grid bg_grid;
typedef struct bg_rounding bg_rounding;
typedef struct bg_coding bg_coding;

typedef enum bg_scope_kind {
    BG_SCOPE_TENSOR,
    BG_SCOPE_CHANNEL,
    BG_SCOPE_GROUP,
    BG_SCOPE_BLOCK,
    BG_SCOPE_ROWS
} bg_scope_kind;
typedef struct bg_scope {
    bg_scope_kind kind;
    int size; /* GROUP: weights of one row that share a scale; BLOCK: of the flattened tensor, across row ends
               * (bitsandbytes); ROWS: whole rows that share */
} bg_scope;

/* The words of the keys that bg_spec holds, in the order of their lists. */
typedef enum bg_zero { BG_ZERO_SYM, BG_ZERO_ASYM, BG_ZERO_MIN } bg_zero;
typedef enum bg_clip { BG_CLIP_MAX, BG_CLIP_MSE, BG_CLIP_OUTPUT, BG_CLIP_SIGMA } bg_clip;
typedef enum bg_scale_type { BG_SCALE_F32, BG_SCALE_F16, BG_SCALE_BF16, BG_SCALE_E8M0, BG_SCALE_E4M3 } bg_scale_type;
typedef enum bg_step { BG_STEP_INT, BG_STEP_RANGE, BG_STEP_SIGNED, BG_STEP_SIGMA } bg_step;
typedef enum bg_column_order { BG_COLUMNS_NATURAL, BG_COLUMNS_ACT, BG_COLUMNS_GROUPS } bg_column_order;

enum { BG_SPEC_TEXT = 192, BG_SPEC_KEYS = 40, BG_VALUE_TEXT = 96, BG_PARAMS = 256 };

/* A key and its value as text, for whoever prints a spec. */
typedef struct bg_value {
    const bg_key *key;
    double number; /* of numbers, integers, booleans, and of words with a number in them */
    int word;      /* of words: the place in the list */
    char text[BG_VALUE_TEXT];
    int given; /* the user (or a preset) wrote it */
} bg_value;

/* Parameters of one row, as its keys place them. */
typedef union bg_params {
    max_align_t align;
    unsigned char bytes[BG_PARAMS];
} bg_params;

/* A compiled spec. The parser fills it once; whatever runs reads members and compares no text. */
typedef struct bg_spec {
    char text[BG_SPEC_TEXT]; /* canonical: what the user wrote for one point, ranges expanded, defaults left out */
    char name[32];           /* preset or grid name as written */
    const bg_transform *transform;
    bg_scope scope;
    const bg_grid *grid;
    const bg_rounding *rounding;
    const bg_coding *coding;

    /* Common keys. Of a grid that refuses one it is 0. */
    double bits;  /* as written; nominal_bits is what the grid makes of it */
    int levels;   /* 0: not given */
    int zero;     /* bg_zero */
    bg_word clip; /* bg_clip; number: standard deviations */
    int scale;    /* bg_scale_type */

    /* Keys of rows that others must know. */
    bg_word step;         /* uniform: bg_step; number: standard deviations */
    int double_quantized; /* nf, fp: scales are quantized to 8 bits */
    int weighted;         /* kmeans: each weight counts by the importance of its input */
    int shared_rows;      /* kmeans: rows that share a table */
    int dim;              /* vq, pq, rvq: weights of a vector; 0: none */
    int column_order;     /* gptq: bg_column_order */
    int water_steps;      /* gptq: steps=water */
    int activations;      /* smooth, outliers: bits of the layer's inputs; 0: not rounded */

    /* What follows from them. */
    double nominal_bits; /* index bits per weight: `bits`, or log2 of `levels` or of the grid's own number of points.
                            NaN where the weights decide (an entropy-coded grid with a given step) */
    int points;          /* K of a scalar grid: levels, the grid's own, or 2^bits */
    int open_ended;      /* entropy-coded with a given step: as many points as the weights need */
    int two_level;       /* scales are known only when all scopes are: double quantization, or E4M3 scales under one of
                            the tensor */
    int fits_importance; /* fits its grid to what matters at the output: weighted=true or clip=output; needs a second
                            moment */

    bg_params grid_params, transform_params, rounding_params;
    bg_value values[BG_SPEC_KEYS];
    int n_values;
} bg_spec;

/* The parameters of a row, as the struct that its keys name. */
static inline const void *bg_grid_params(const bg_spec *s)
{
    return &s->grid_params;
}

static inline const void *bg_transform_params(const bg_spec *s)
{
    return &s->transform_params;
}

static inline const void *bg_rounding_params(const bg_spec *s)
{
    return &s->rounding_params;
}

/* A key and its value as text; NULL: no row declares it. For the parser and for printing. */
const bg_value *bg_spec_value(const bg_spec *s, const char *key);
/* Did the user (or a preset) write this key? For a row's check, which is a part of the parser. */
int bg_spec_given(const bg_spec *s, const char *key);
/* A value as text, "" where no row declares the key: for printing. */
const char *bg_spec_word(const bg_spec *s, const char *key);

/* "uniform:scope=128" of "uniform:bits=4,scope=128": the curve a point is on. buf of BG_SPEC_TEXT bytes; returns buf.
 */
const char *bg_spec_quantizer(const bg_spec *s, char *buf);

#endif
