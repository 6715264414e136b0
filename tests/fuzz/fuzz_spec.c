/* Specs: presets, aliases, ranges, lists, keys of every row; what is accepted reads back as the same spec.
 * Seeds: tests/fuzz/seeds/spec/?* */
#include "quant/parser/parser.h"
#include "tests/fuzz/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[512], buffer[BG_SPEC_TEXT];
    bg_err e = {0};
    bg_spec *specs = NULL, again;
    int n = 0;
    size = size < sizeof text ? size : sizeof text - 1;
    memcpy(text, data, size);
    text[size] = 0;
    if (!bg_specs_parse(text, &specs, &n, &e))
        for (int i = 0; i < n && i < 64; i++) {
            bg_spec_quantizer(&specs[i], buffer);
            if (bg_spec_parse(specs[i].text, &again, &e) || strcmp(again.text, specs[i].text))
                abort();
        }
    free(specs);
    return 0;
}
