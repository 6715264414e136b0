/* bitsandbytes' code books, in the order of their codes (bitsandbytes 0.50.2 functional.py; QLoRA, arXiv 2305.14314). */
#ifndef BG_IO_BNB_H
#define BG_IO_BNB_H

extern const float bg_nf4_levels[16];
/* Not the order of OCP's E2M1; code 8 is +0. */
extern const float bg_fp4_levels[16];

#endif
