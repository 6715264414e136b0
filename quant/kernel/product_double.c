/* Owns bg_dgemm: the product's body over double. */
#include "quant/kernel/product.h"

#define REAL             double
#define OPERAND          bg_d_operand
#define PRODUCT          bg_dgemm
#define PRODUCT_REF      bg_dgemm_ref
#define FMA_512(a, b, c) _mm512_fmadd_pd(_mm512_set1_pd(a), (__m512d)(b), (__m512d)(c))
#define FMA_256(a, b, c) _mm256_fmadd_pd(_mm256_set1_pd(a), (__m256d)(b), (__m256d)(c))
#include "quant/kernel/product_body.h"
