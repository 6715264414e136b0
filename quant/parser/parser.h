/* The grammar of specs and the registries it composes: parse once, then read members of bg_spec. */
#ifndef BG_QUANT_PARSER_PARSER_H
#define BG_QUANT_PARSER_PARSER_H

#include "quant/spec/quantizer.h"

/* Parses one argument, which may hold a range or list, an alias of a set ("scalar", "deployed"), and appends to *specs
 * (realloc'ed; the caller frees). BG_USAGE names the nearest known name or key. */
int bg_specs_parse(const char *text, bg_spec **specs, int *n, bg_err *e);
/* Parses exactly one point. */
int bg_spec_parse(const char *text, bg_spec *out, bg_err *e);

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

/* The registries, ending with NULL. To add a row: its file, one line in registry.c. */
extern const bg_transform *const bg_transforms[];
extern const bg_grid *const bg_grids[];
extern const bg_rounding *const bg_roundings[];
extern const bg_coding *const bg_codings[];

#endif
