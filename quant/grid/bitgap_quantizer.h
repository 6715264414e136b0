/* Your own quantizer for Bitgap, as a shared object. `bitgap curve MODEL -q exec:lib=./mine.so,bits=4` then puts it on
 * every chart beside the built-in ones. Build with: cc -shared -fPIC mine.c -o mine.so $(pkg-config --cflags bitgap)
 *
 *     #include <bitgap_quantizer.h>
 *     static int encode(const bitgap_matrix *m, const float *w, uint8_t *stored, size_t room, size_t *bytes) { … }
 *     static int decode(const bitgap_matrix *m, const uint8_t *stored, size_t bytes, float *out) { … }
 *     const bitgap_quantizer bitgap_quantizer_here = {BITGAP_QUANTIZER_ABI, encode, decode};
 *
 * Everything that decode needs, except what bitgap_matrix holds, must be in the stored bytes: they are the rate,
 * 8·bytes bits over rows·cols weights. The two are called in processes of their own, so nothing can be kept in a
 * variable.
 */
#ifndef BG_QUANT_GRID_BITGAP_QUANTIZER_H
#define BG_QUANT_GRID_BITGAP_QUANTIZER_H

#include <stddef.h>
#include <stdint.h>

enum { BITGAP_QUANTIZER_ABI = 1 };

typedef struct bitgap_matrix {
    size_t rows, cols; /* row-major: outputs by inputs */
    double bits;       /* bits=… of the spec: what the user asks for; the stored bytes decide the rate */
    uint64_t seed;
} bitgap_matrix;

typedef struct bitgap_quantizer {
    int abi; /* BITGAP_QUANTIZER_ABI */
    /* Quantizes w into `stored` (room bytes, at least 8 a weight, all zero) and says in *bytes how many it used. 0:
     * done. */
    int (*encode)(const bitgap_matrix *m, const float *w, uint8_t *stored, size_t room, size_t *bytes);
    /* Writes the rows·cols weights that the stored bytes mean. 0: done. */
    int (*decode)(const bitgap_matrix *m, const uint8_t *stored, size_t bytes, float *out);
} bitgap_quantizer;

/* The one symbol that a quantizer's shared object defines. */
extern const bitgap_quantizer bitgap_quantizer_here;

#endif
