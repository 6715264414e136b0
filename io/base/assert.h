/* Assertions of debug builds (make SAN=1 defines BG_DEBUG): what no input can bring about, only a mistake in the code.
 */
#ifndef BG_IO_BASE_ASSERT_H
#define BG_IO_BASE_ASSERT_H

#ifdef BG_DEBUG
#include <stdio.h>
#include <stdlib.h>
#define BG_ASSERT(condition)                                                                                           \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);                              \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)
#else
#define BG_ASSERT(condition) ((void)sizeof((condition) ? 1 : 0))
#endif

#endif
