/* Nearest points of lattices, and the E8P codebook.
 *
 * Points are given by integers v, the coordinates in the lattice's own unit (Conway and Sloane 1982, 1999):
 *     Z     v                                  any
 *     A2    (v0, v1·√3)/2                       v0 ≡ v1 mod 2
 *     D4    v                                  Σv even
 *     E8    v/2                                all v even or all odd, Σv ≡ 0 mod 4
 *     Leech v/√8                               v ≡ m mod 2; where v ≡ m + 2 mod 4 stands, a word of the Golay code; Σv
 * ≡ 4m mod 8 with volumes 1, √3/2, 2, 1, 1. G = mean squared error / (d·volume^(2/d)): .083333 .080188 .076603 .071682
 * .065771.
 */
#ifndef BG_QUANT_KERNEL_LATTICE_H
#define BG_QUANT_KERNEL_LATTICE_H

#include <stddef.h>
#include <stdint.h>

enum { BG_LATTICE_MAX_DIM = 24, BG_GOLAY_WORDS = 4096, BG_E8P_PATTERNS = 256 };

typedef enum bg_lattice_kind {
    BG_LATTICE_Z,
    BG_LATTICE_A2,
    BG_LATTICE_D4,
    BG_LATTICE_E8,
    BG_LATTICE_LEECH,
    BG_LATTICES
} bg_lattice_kind;

typedef struct bg_lattice {
    bg_lattice_kind kind;
    int dim;
    double volume;
    double unit[2];                 /* coordinate i is v·unit[i % 2] */
    uint32_t golay[BG_GOLAY_WORDS]; /* Leech: word number i has i in its low 12 bits */
} bg_lattice;

void bg_lattice_init(bg_lattice *l, bg_lattice_kind kind);
/* The nearest point to x[dim], as integers. */
void bg_lattice_nearest(const bg_lattice *l, const float *x, int32_t *v);

/* E8P of QuIP# (Tseng and others 2024, arXiv 2402.04396): 2^16 words in eight dimensions. A word is a pattern of 256
 * (half-integers of D8 + ½: the 227 of norm² ≤ 10 and 29 of norm² 12), seven signs, the eighth from the parity of D8,
 * and a shift of all coordinates by ±¼. */
typedef struct bg_e8p {
    float pattern[BG_E8P_PATTERNS][8]; /* ascending norm */
    uint8_t odd[BG_E8P_PATTERNS];      /* 1: an odd number of minus signs makes the sum even */
} bg_e8p;

void bg_e8p_init(bg_e8p *b);
/* Index of the nearest word to x[8]: pattern in the low byte, then 7 signs (coordinates 0…6), then the shift. */
uint16_t bg_e8p_nearest(const bg_e8p *b, const float *x);
/* The word itself. */
void bg_e8p_word(const bg_e8p *b, uint16_t index, float *x);

#endif
