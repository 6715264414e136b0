/* Which cell of an ascending list of thresholds a number falls into, in constant time for cells of like width: a table
 * over equal stretches says where the search starts. */
#ifndef BG_QUANT_KERNEL_CUTS_H
#define BG_QUANT_KERNEL_CUTS_H

#include <stddef.h>
#include <stdint.h>

enum { BG_CUTS_STRETCHES = 1024 };

typedef struct bg_cuts {
    int n;            /* thresholds; cells 0…n */
    const float *cut; /* [n] ascending, borrowed */
    float from, per;
    uint16_t start[BG_CUTS_STRETCHES + 1];
} bg_cuts;

static inline void bg_cuts_init(bg_cuts *c, const float *cut, int n)
{
    c->n = n, c->cut = cut;
    c->from = n ? cut[0] : 0;
    float width = n ? cut[n - 1] - cut[0] : 0;
    c->per = width > 0 ? BG_CUTS_STRETCHES / width : 0;
    int at = 0;
    for (int i = 0; i <= BG_CUTS_STRETCHES; i++) {
        /* a little early: rounding must not start a search past its answer */
        float x = c->per > 0 && i > 0 ? c->from + ((float)i - 0.01f) / c->per : -3e38f;
        while (at < n && cut[at] < x)
            at++;
        c->start[i] = (uint16_t)at;
    }
}

/* How many thresholds lie below x: x ≤ cut[i] goes to cell i or below. NaN: cell 0. */
static inline int bg_cuts_find(const bg_cuts *c, float x)
{
    float s = (x - c->from) * c->per;
    int i = c->start[s > 0 ? (s < BG_CUTS_STRETCHES ? (int)s : BG_CUTS_STRETCHES) : 0];
    while (i < c->n && x > c->cut[i])
        i++;
    return i;
}

#endif
