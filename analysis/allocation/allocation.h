/* Bit allocation: one choice for each item under a budget, with the least total loss.
 *
 * An item is a tensor, its choices the points measured for it: a cost (bits) and a loss (what its error does).
 *
 * Lagrangian (Shoham & Gersho 1988): only vertices of each item's lower convex hull are chosen, in the order of their
 * slopes, until the next does not fit. Its multiplier gives the dual bound: no allocation within the budget has less
 * loss than Σ min(loss + λ·cost) − λ·budget. Optimum: dynamic programming over partial sums of cost and loss that no
 * other partial sum beats, with every partial sum dropped whose own dual bound is above the best allocation known.
 * Exact as long as no more than `limit` partial sums remain; beyond that, of those of nearly equal cost the best is
 * kept, and `exact` says so.
 */
#ifndef BG_ANALYSIS_ALLOCATION_ALLOCATION_H
#define BG_ANALYSIS_ALLOCATION_ALLOCATION_H

#include "io/base/error.h"

typedef struct bg_choice {
    double cost, loss;
} bg_choice;

typedef struct bg_item {
    const bg_choice *choices; /* any order; [n] */
    int n;
} bg_item;

typedef struct bg_allocation {
    int *chosen;       /* [items] the optimum; bg_allocation_free */
    int *lagrangian;   /* [items] */
    double loss, cost; /* of the optimum */
    double lagrangian_loss, lagrangian_cost;
    double dual_bound; /* no allocation within the budget loses less */
    double multiplier; /* λ: loss per bit at the border */
    int exact;
} bg_allocation;

/* limit: partial sums kept per item (0: 50,000). BG_USAGE when even the cheapest choices exceed the budget, BG_INPUT
 * for an item without choices or a number that is not finite. */
int bg_allocate(const bg_item *items, int n, double budget, int limit, bg_allocation *out, bg_err *e);
void bg_allocation_free(bg_allocation *a);

#endif
