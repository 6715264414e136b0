/* Randomised Hadamard rotation of any size.
 *
 * For n = 2^k·m, m odd: T = diag(s)·(H_{2^k} ⊗ Q_m), H the normalised Sylvester–Hadamard matrix, Q_m the orthonormal
 * DCT-II of size m (1 for m = 1), s random signs. T is orthogonal, so plain squared error does not change; what changes
 * is the shape of the marginals (QuIP#, Tseng et al. 2024; QuaRot, Ashkboos et al. 2024).
 */
#ifndef BG_QUANT_KERNEL_HADAMARD_H
#define BG_QUANT_KERNEL_HADAMARD_H

#include <stdint.h>
#include "io/base/error.h"

typedef struct bg_rotation {
    int64_t n, power, odd; /* n = power·odd */
    signed char *sign;     /* [n] */
    double *dct;           /* [odd × odd]; NULL when odd is 1 */
} bg_rotation;

/* Signs from `seed`; signs != NULL: given outright ([n] of ±1). */
int bg_rotation_init(bg_rotation *t, int64_t n, uint64_t seed, const signed char *signs, bg_err *e);
void bg_rotation_free(bg_rotation *t);

/* x (n doubles, in place) → xT, and y → yTᵀ. `scratch`: n doubles. */
void bg_rotate(const bg_rotation *t, double *x, double *scratch);
void bg_rotate_back(const bg_rotation *t, double *y, double *scratch);
/* The same by the definition, n² products; out must not be x. */
void bg_rotate_ref(const bg_rotation *t, const double *x, double *out);

/* Σ → TᵀΣT, n × n, in place. */
int bg_rotate_moment(const bg_rotation *t, double *sigma, bg_err *e);

#endif
