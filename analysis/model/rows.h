/* Row operations of the forward pass: norms, activations, rotations, softmax. Each takes dense rows and works on them
 * alone, single-threaded; the forward pass spreads rows over threads.
 *
 * Where a fast version exists, `_ref` is the definition with libm.
 */
#ifndef BG_ANALYSIS_MODEL_ROWS_H
#define BG_ANALYSIS_MODEL_ROWS_H

#include <stdint.h>
#include "analysis/model/arch.h"

/* y = norm(x)·w (+ b); x and y may be the same. Sums in double. w NULL: no scaling. */
void bg_norm_row(bg_norm_kind kind, const float *x, const float *w, const float *b, int64_t n, double eps, float *y);

/* xIELU (Huang & Schlag 2024): αp·x² + βx above 0, αn·(e^min(x,ε) − 1 − x) + βx below; the parameters as stored. */
void bg_xielu(float *x, int64_t n, float p, float negative, float beta, float eps);
/* gate = (clamp(up, ±limit) + 1)·g·σ(α·g) with g = min(gate, limit): gpt-oss. */
void bg_clamped_gate(float *gate, const float *up, int64_t n, float limit, float alpha);

/* x = f(x), or with `times` x = f(x)·times (the gated MLP). exp within 2 ulp. */
void bg_activate(bg_activation f, float *x, const float *times, int64_t n);
void bg_activate_ref(bg_activation f, float *x, const float *times, int64_t n);

/* x[i] = exp(x[i] − max) and their sum (double); divides by it when `divide`. Returns the sum. */
double bg_softmax_row(float *x, int64_t n, int divide);
double bg_softmax_row_ref(float *x, int64_t n, int divide);

/* The same, divided, with one more number in the sum that has no place in x. */
void bg_softmax_sink_row(float *x, int64_t n, float sink);

/* x = cap·tanh(x/cap) */
void bg_soft_cap(float *x, int64_t n, double cap);

/* ---- rotary positions ---- */

/* cos and sin of every angle: [n × dims/2] for positions first … first+n−1 of a sequence that is `length` long in all
 * (dynamic and long scalings look at it). divisors [dims/2] (GGUF's rope_freqs) or NULL. Angles in float32, as trained.
 */
void bg_rope_table(const bg_rope_config *r, const float *divisors, int64_t length, int64_t first, int64_t n,
                   float *cosines, float *sines);
/* Turns one head of one token in place: c and s are that position's rows of the table. */
void bg_rope_turn(const bg_rope_config *r, const float *c, const float *s, float *x);
/* By what frequency j is divided under the scaling of Llama 3: GGUF's rope_freqs. */
double bg_rope_divisor(const bg_rope_config *r, int j);
/* Two sequence lengths with the same answer share a table. */
int64_t bg_rope_key(const bg_rope_config *r, int64_t length);

#endif
