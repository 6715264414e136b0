/* The engine in a page: every scope fitted by its row, every weight rounded, in order, on one thread. What the fast
 * paths are compared with. */
#include <math.h>
#include <stdlib.h>
#include "quant/engine/engine.h"

int bg_measure_ref(const bg_matrix *m, const bg_spec *s, bg_measure *out, bg_err *e)
{
    int64_t C = m->cols, all = m->rows * C, size = bg_scope_size(s, m->rows, C);
    int flat = bg_scope_is_flat(s);
    double sse = 0, clipped = 0;
    float most = 0;
    bg_code_room room;
    float *w = malloc((size_t)all * sizeof *w);
    if (!w)
        return bg_no_memory(e, "a matrix", (unsigned long long)all * sizeof *w);
    int status = bg_code_room_init(&room, s, e);
    if (!status)
        status = bg_matrix_read(m, 0, m->rows, w, e);
    for (int64_t row = 0; row < (flat ? 1 : m->rows) && !status; row++) {
        const float *x = w + row * C;
        int64_t length = flat ? all : C;
        for (int64_t first = 0; first < length && !status; first += size) {
            int64_t n = length - first < size ? length - first : size;
            status = bg_scope_error(s, &room, x + first, (size_t)n, &sse, &most, &clipped, e);
        }
    }
    free(w);
    bg_code_room_free(&room);
    *out = (bg_measure){.count = (double)all,
                        .mse = sse / (double)all,
                        .max_error = (double)most,
                        .clipped = clipped / (double)all,
                        .index_entropy = NAN,
                        .output_mse = NAN,
                        .rate = bg_spec_rate(s, m->rows, C)};
    out->rate_bits = bg_rate_total(&out->rate) / (double)all;
    return status;
}
