/* Sources: the distribution, its keys, and the samples of a small one.
 * Seeds: tests/fuzz/seeds/source/?* */
#include "quant/source/source.h"
#include "tests/fuzz/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { SAMPLES = 16 };
    char text[256];
    float samples[SAMPLES];
    bg_err e = {0};
    bg_source s;
    size = size < sizeof text ? size : sizeof text - 1;
    memcpy(text, data, size);
    text[size] = 0;
    if (!bg_source_parse(text, &s, &e) && s.n >= SAMPLES && s.n < 1 << 12)
        bg_source_samples(&s, 0, SAMPLES, samples);
    return 0;
}
