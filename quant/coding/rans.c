/* Entropy coding of the indices by rANS: `entropy` with one static table for the tensor, which is stored and counted,
 * and `adaptive` with a table that follows the stream. Real streams are written, read back and compared, and the rate
 * is their length. Within a thousandth of the order-0 entropy on long tensors. */
#include "quant/coding/index_stream.h"
#include "quant/coding/column_coding.h"
#include "quant/spec/quantizer.h"

const bg_coding bg_coding_entropy = {
    .name = "entropy",
    .title = "rANS with a static table, which is stored",
    .paper = "Duda 2013, arXiv 1311.2540",
    .bits = bg_entropy_static,
    .bits_of_columns = bg_columns_code,
};

const bg_coding bg_coding_adaptive = {
    .name = "adaptive",
    .title = "rANS with a table that follows what was coded",
    .paper = "Duda 2013, arXiv 1311.2540",
    .bits = bg_entropy_adaptive,
};
