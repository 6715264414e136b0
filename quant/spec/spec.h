/* Specs: the grammar NAME[:key=value[,key=value…]] and the five registries it composes.
 *
 * Every weight quantizer is the same five choices: transform, scope, grid, rounding, coding. A registry is a table of
 * const rows, one file a row; keys are declared in the row with type, range, default and help, and that declaration
 * parses, checks and documents them (`bitgap list`). A value may be a range `2..8` or a list `2/3/4`: bg_specs_parse
 * expands them.
 */
#ifndef BG_QUANT_SPEC_SPEC_H
#define BG_QUANT_SPEC_SPEC_H

#include <stdint.h>
#include <stdio.h>
#include "io/base/error.h"

typedef enum bg_key_type { BG_KEY_NUMBER, BG_KEY_INTEGER, BG_KEY_WORD, BG_KEY_BOOL, BG_KEY_TEXT } bg_key_type;

typedef struct bg_key {
    const char *name;
    bg_key_type type;
    double least, most; /* of numbers */
    const char *words; /* of words: "sym|asym|min"; a trailing "|N" or "|Nsigma" also takes a positive number (with that
                          suffix) */
    const char *otherwise; /* default as text; NULL: none, the row decides */
    const char *help;
} bg_key;

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

enum { BG_SPEC_TEXT = 192, BG_SPEC_KEYS = 40, BG_VALUE_TEXT = 96 };

typedef struct bg_value {
    const bg_key *key;
    double number; /* of numbers, integers, booleans, and of words with a number in them */
    char text[BG_VALUE_TEXT];
    int given; /* the user (or a preset) wrote it */
} bg_value;

typedef struct bg_spec {
    char text[BG_SPEC_TEXT]; /* canonical: what the user wrote for one point, ranges expanded, defaults left out */
    char name[32];           /* preset or grid name as written */
    const bg_transform *transform;
    bg_scope scope;
    const bg_grid *grid;
    const bg_rounding *rounding;
    const bg_coding *coding;
    bg_value values[BG_SPEC_KEYS];
    int n_values;
} bg_spec;

/* Parses one argument, which may hold a range or list, an alias of a set ("scalar", "deployed"), and appends to *specs
 * (realloc'ed; the caller frees). BG_USAGE names the nearest known name or key. */
int bg_specs_parse(const char *text, bg_spec **specs, int *n, bg_err *e);
/* Parses exactly one point. */
int bg_spec_parse(const char *text, bg_spec *out, bg_err *e);

/* Value of a key, with its default applied. Asking for a key no row declares is a bug: 0 or "". */
double bg_spec_number(const bg_spec *s, const char *key);
const char *bg_spec_word(const bg_spec *s, const char *key);
int bg_spec_is(const bg_spec *s, const char *key, const char *word);
int bg_spec_given(const bg_spec *s, const char *key);
/* Nominal index bits per weight: `bits`, or log2 of `levels` / of the grid's own number of points. NaN where the
 * weights decide (an entropy-coded grid with a given step). */
double bg_spec_bits(const bg_spec *s);

/* "uniform:scope=128" of "uniform:bits=4,scope=128": the curve a point is on. buf of BG_SPEC_TEXT bytes; returns buf.
 */
const char *bg_spec_quantizer(const bg_spec *s, char *buf);

/* Keys every composition takes (bits, levels, scope, zero, clip, scale, round, transform, code …). */
extern const bg_key bg_common_keys[];

typedef struct bg_preset {
    const char *name, *expansion, *help, *paper;
} bg_preset;
extern const bg_preset bg_presets[];

typedef struct bg_alias {
    const char *name, *help;
    const char *specs; /* space separated */
} bg_alias;
extern const bg_alias bg_aliases[];

#endif
