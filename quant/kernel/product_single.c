/* Owns bg_sgemm: the product's body over float. */
#include "quant/kernel/product.h"

#define REAL             float
#define OPERAND          bg_s_operand
#define PRODUCT          bg_sgemm
#define PRODUCT_REF      bg_sgemm_ref
#define FMA_512(a, b, c) _mm512_fmadd_ps(_mm512_set1_ps(a), (__m512)(b), (__m512)(c))
#define FMA_256(a, b, c) _mm256_fmadd_ps(_mm256_set1_ps(a), (__m256)(b), (__m256)(c))
#include "quant/kernel/product_body.h"
