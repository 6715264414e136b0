/* The engine in a page: every scope fitted by its row, every weight rounded, in order, on one thread. What the fast
 * paths are compared with. */
#include <math.h>
#include <stdlib.h>
#include "quant/engine/engine.h"

int bg_measure_ref(const bg_matrix *m, const bg_spec *s, bg_measure *out, bg_err *e)
{
    bg_scopes z = bg_scopes_of(s, m->rows, m->cols);
    int64_t all = m->rows * m->cols;
    bg_scope_sum sum = {0};
    bg_code_room room;
    float *w = malloc((size_t)all * sizeof *w);
    if (!w)
        return bg_no_memory(e, "a matrix", (unsigned long long)all * sizeof *w);
    int status = bg_code_room_init(&room, s, e);
    if (!status)
        status = bg_matrix_read(m, 0, m->rows, w, e);
    for (int64_t k = 0; k < z.count && !status; k++) {
        size_t n;
        int64_t first = bg_scope_at(&z, k, &n);
        status = bg_scope_error(s, &room, w + first, n, &sum, e);
    }
    free(w);
    bg_code_room_free(&room);
    *out = (bg_measure){.count = (double)all,
                        .mse = sum.sse / (double)all,
                        .max_error = (double)sum.max,
                        .clipped = sum.clipped / (double)all,
                        .index_entropy = NAN,
                        .output_mse = NAN,
                        .rate = bg_spec_rate(s, m->rows, m->cols)};
    out->rate_bits = bg_rate_total(&out->rate) / (double)all;
    return status;
}
