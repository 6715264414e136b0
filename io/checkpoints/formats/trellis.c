/* Owns matrices stored as trellis streams (trellis_stream.h): ….weight_trellis, a U8 tensor with the bytes of one
 * stream, whose header holds the matrix's shape.
 *
 * A stream decodes from its first row to its last, so the first tile that is asked for decodes the matrix, and the tile
 * with the last row lets the integers go again: a pass over the rows decodes once and holds two bytes per weight. */
#include <pthread.h>
#include <stdlib.h>
#include "io/checkpoints/formats/packed.h"
#include "io/checkpoints/formats/trellis_stream.h"

typedef struct trellis_layout {
    const bg_store *store;
    bg_raw *raw;
    pthread_mutex_t lock;
    bg_stream_matrix matrix; /* k and step NULL: not decoded */
} trellis_layout;

static void drop_integers(bg_stream_matrix *m)
{
    free(m->k), free(m->step);
    m->k = m->step = NULL;
}

static int decode_stream(trellis_layout *l, bg_err *e)
{
    void *bytes = NULL;
    bg_stream_matrix *m = &l->matrix;
    size_t cells = (size_t)m->rows * (size_t)m->cols;
    m->k = malloc(cells * sizeof *m->k), m->step = malloc((size_t)m->cols * sizeof *m->step);
    int status = m->k && m->step ? bg_raw_bytes(l->store, l->raw, &bytes, e)
                                 : bg_no_memory(e, l->raw->name, cells * sizeof *m->k);
    if (!status)
        status = bg_stream_open(bytes, l->raw->bytes, m, e);
    if (!status)
        status = bg_stream_decode(bytes, l->raw->bytes, m, e);
    free(bytes);
    if (status)
        drop_integers(m);
    return status;
}

static int decode_rows(const bg_tensor *t, int64_t first, int64_t n, float *out, bg_err *e)
{
    trellis_layout *l = t->layout;
    pthread_mutex_lock(&l->lock);
    const bg_stream_matrix *m = &l->matrix;
    int status = m->k ? BG_OK : decode_stream(l, e);
    for (int64_t c = 0; !status && c < t->cols; c++) {
        float step = bg_stream_step(m, c);
        for (int64_t r = 0; r < n; r++)
            out[r * t->cols + c] = (float)m->k[(first + r) * t->cols + c] * step;
    }
    if (first + n == t->rows)
        drop_integers(&l->matrix);
    pthread_mutex_unlock(&l->lock);
    return status ? bg_context(e, "tensor '%s'", t->name) : BG_OK;
}

static void release_trellis(bg_tensor *t)
{
    trellis_layout *l = t->layout;
    drop_integers(&l->matrix);
    pthread_mutex_destroy(&l->lock);
}

const bg_format bg_format_trellis = {
    .name = "trellis",
    .help = "entropy-coded trellises, a stream for each matrix (bitgap quantize --layout bitgap)",
    .rows = decode_rows,
    .release = release_trellis,
};

int bg_claim_trellis(bg_load *l, const char *prefix, bg_raw *anchor, bg_err *e)
{
    void *bytes = NULL;
    bg_stream_matrix m = {0};
    int status = bg_raw_expect(l->store, anchor, BG_U8, 1, -1, -1, e);
    if (!status)
        status = bg_raw_bytes(l->store, anchor, &bytes, e);
    if (!status && (status = bg_stream_open(bytes, anchor->bytes, &m, e)))
        bg_context(e, "tensor '%s'", anchor->name);
    free(bytes);
    if (status)
        return status;
    bg_tensor *t = bg_packed_add(l, prefix, ".weight", &bg_format_trellis, (int64_t[]){m.rows, m.cols}, 2,
                                 sizeof(trellis_layout), e);
    if (!t)
        return e ? e->code : BG_INPUT;
    trellis_layout *own = t->layout;
    own->store = l->store, own->raw = anchor, own->matrix = m;
    pthread_mutex_init(&own->lock, NULL);
    bg_packed_take(t, BG_PART_INDICES, anchor);
    return bg_tensor_storage(t, e, "trellis stream, %d states", m.states);
}
