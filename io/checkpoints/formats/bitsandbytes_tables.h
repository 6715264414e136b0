/* bitsandbytes' code books, in the order of their codes, and its 8-bit form of block maxima (bitsandbytes 0.50.2
 * functional.py; QLoRA, arXiv 2305.14314; arXiv 2110.02861). */
#ifndef BG_IO_CHECKPOINTS_FORMATS_BITSANDBYTES_TABLES_H
#define BG_IO_CHECKPOINTS_FORMATS_BITSANDBYTES_TABLES_H

#include <stdint.h>

extern const float bg_nf4_levels[16];
/* Not the order of OCP's E2M1; code 8 is +0. */
extern const float bg_fp4_levels[16];

enum { BG_BNB_NESTED = 256 }; /* maxima that share a scale */

/* The signed dynamic map, ascending: for i = 0…6 the midpoints of 2^i equal intervals of [0.1, 1], times ±10^(i−6), and
 * 0 and 1. */
void bg_bnb_dynamic_map(float out[256]);
/* The mean of n maxima, which nesting takes off. */
float bg_bnb_offset(const float *absmax, int64_t n);
/* At most BG_BNB_NESTED maxima without their offset as bytes of the map, in units of the largest, which is returned. */
float bg_bnb_nest(const float *absmax, int n, const float map[256], float offset, uint8_t *bytes);
/* What such a byte is worth: a product and a sum, each rounded to float32. */
float bg_bnb_unnest(const float map[256], uint8_t byte, float nested, float offset);

#endif
