/* Entropy coding of index streams with everything a decoder needs: tables are written too, and streams are read back
 * before their length is believed.
 */
#ifndef BG_QUANT_CODING_INDEX_STREAM_H
#define BG_QUANT_CODING_INDEX_STREAM_H

#include "io/base/error.h"
#include "quant/kernel/rans.h"

/* A table with its arrays. */
int bg_rans_new(bg_rans_table *t, int K, bg_err *e);
void bg_rans_free(bg_rans_table *t);
/* From counts; `all`: every symbol gets at least one slot. All counts zero: uniform. */
int bg_rans_fit(bg_rans_table *t, const double *count, int all, bg_err *e);
/* Bits of a description of the table: precision, the range of symbols used, then the frequencies in Elias' gamma code
 * (zero as 1). Written, read back and compared: BG_INPUT if that fails. */
int bg_rans_describe(const bg_rans_table *t, double *bits, bg_err *e);

/* Codes n symbols with a finished table, decodes and compares. *bits: of the stream with its 32-bit length. */
int bg_rans_stream(const bg_rans_table *t, const uint16_t *symbols, size_t n, double *bits, bg_err *e);

/* Codes n symbols below K with one static table, decodes and compares. *bits: of the stream with its 32-bit length;
 * *table_bits: of the table. */
int bg_entropy_static(const uint16_t *symbols, size_t n, int K, double *bits, double *table_bits, bg_err *e);
/* The same with a table that follows the symbols seen so far: nothing but the stream is stored. */
int bg_entropy_adaptive(const uint16_t *symbols, size_t n, int K, double *bits, double *table_bits, bg_err *e);

/* BG_INPUT when K has more than 16 bits or a symbol is not below K. */
int bg_entropy_check(const uint16_t *symbols, size_t n, int K, bg_err *e);

#endif
