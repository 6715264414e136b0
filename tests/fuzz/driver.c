/* Drives a fuzz target without a fuzzing engine: replays its seeds, then mutates them for a number of seconds with a
 * fixed seed. Linked with each fuzz_NAME.c, which defines LLVMFuzzerTestOneInput, so that libFuzzer can drive the same
 * targets.
 *
 *     fuzz_NAME SECONDS SEED-FILE…
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "io/base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LONGEST = 1 << 20 };

static uint64_t state = 0x9e3779b97f4a7c15u;

static uint64_t draw(uint64_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % below;
}

/* One change: a bit, a byte, a number at the edge of its range, a cut, a piece copied elsewhere, a digit, a mark of
 * JSON. */
static size_t mutate(uint8_t *data, size_t size)
{
    static const uint64_t edges[] = {0,
                                     1,
                                     0x7f,
                                     0x80,
                                     0xff,
                                     0x7fff,
                                     0x8000,
                                     0xffff,
                                     0x7fffffff,
                                     0x80000000u,
                                     0xffffffffu,
                                     INT64_MAX,
                                     (uint64_t)INT64_MAX + 1,
                                     UINT64_MAX};
    if (size < 16)
        return size;
    size_t at = (size_t)draw(size - 8), length = 1 + (size_t)draw(64);
    switch (draw(7)) {
    case 0:
        data[at] ^= (uint8_t)(1u << draw(8));
        break;
    case 1:
        data[at] = (uint8_t)draw(256);
        break;
    case 2:
        memcpy(data + at, &edges[draw(sizeof edges / sizeof *edges)], (size_t)1 << draw(4));
        break;
    case 3:
        return at;
    case 4: {
        size_t from = (size_t)draw(size - 8);
        length = length < size - from ? length : size - from;
        length = length < size - at ? length : size - at;
        memmove(data + at, data + from, length);
        break;
    }
    case 5: { /* a number of a text stays one */
        size_t digit = at;
        while (digit < size - 1 && (data[digit] < '0' || data[digit] > '9'))
            digit++;
        data[digit] = (uint8_t)('0' + draw(10));
        break;
    }
    default:
        data[at] = (uint8_t) "0123456789\",:[]{}.-\\e "[draw(22)];
    }
    return size;
}

/* The target sees a block of exactly `size` bytes, so that the sanitizer sees one byte too many. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    if (!exact)
        return;
    memcpy(exact, data, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

int main(int argc, char **argv)
{
    bg_err e = {0};
    double seconds = argc > 1 ? atof(argv[1]) : 0;
    unsigned long long inputs = 0;
    static uint8_t changed[LONGEST];
    if (argc < 3) {
        fputs("usage: fuzz_NAME SECONDS SEED-FILE…\n", stderr);
        return BG_USAGE;
    }
    bg_set_quiet(1);
    double end = bg_now() + seconds;
    for (int pass = 0; pass == 0 || bg_now() < end; pass++)
        for (int i = 2; i < argc; i++) {
            char *seed;
            size_t length;
            if (bg_file_read(argv[i], LONGEST, &seed, &length, &e)) {
                if (pass == 0)
                    fprintf(stderr, "left out: %s\n", e.text);
                continue;
            }
            if (pass == 0)
                run((const uint8_t *)seed, length);
            for (int round = 0; round < 64 && bg_now() < end; round++, inputs++) {
                size_t size = length;
                memcpy(changed, seed, length);
                for (uint64_t changes = 1 + draw(8); changes; changes--)
                    size = mutate(changed, size);
                run(changed, size);
            }
            free(seed);
        }
    printf("%llu inputs in %.0f s, none crashed\n", inputs, seconds);
    return BG_OK;
}
