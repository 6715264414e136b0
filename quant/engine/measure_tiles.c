/* Owns the pass over the rows: a tile is read once, and while a row is in cache every spec of the sweep runs on it.
 *
 * Specs are sorted into what their scopes cost: SYMMETRIC and TABLE codes follow from the largest magnitude of a scope
 * (one fit at magnitude 1 tells them all), RANGE codes from its two ends, FIXED codes are known before the pass, and
 * whatever is left is FITTED scope by scope by its own row. Ranges are found once for each scope size. Errors are added
 * up by tile and the tiles in order, so that the digits do not depend on the number of threads.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "io/base/failure.h"
#include "quant/engine/engine.h"
#include "quant/kernel/group.h"
#include "quant/kernel/simd.h"
#include "quant/engine/measure.h"

enum { TILE = 1 << 18 /* weights of a tile: 512 KiB of bf16, which is also the piece that reads fastest */ };

typedef enum how { SYMMETRIC, TABLE, RANGE, FITTED, FIXED } how;

typedef struct item {
    const bg_spec *s;
    bg_measure *out;
    how how;
    int scope;         /* index of its scope size */
    bg_code unit;      /* the code at magnitude 1, or the fixed code */
    bg_code_room room; /* its tables */
    int two_level;
    enum { F32, F16, OTHER } type; /* of scales */
    int asym;                      /* RANGE: zero=asym, else zero=min */
    float M;                       /* RANGE: points − 1 */
    float *scales;                 /* two-level: of all scopes, first as they are wanted, then as stored */
} item;

typedef struct scope_size {
    int64_t size;
    int across; /* runs over row ends: the tile is one long row */
} scope_size;

/* What the mean grid of a spec is made of: sums over scopes of the step and of the point that stands for 0. */
typedef struct grid_sum {
    double scale, offset, scopes;
} grid_sum;

typedef struct pass {
    const bg_matrix *m;
    item *items;
    int n;
    scope_size *scopes;
    int n_scopes;
    int64_t tile_rows, tiles, least_scope;
    int collect;      /* first pass of two-level specs: gather scales, measure the others */
    bg_error *errors; /* [tiles × n] */
    double *clipped;  /* [tiles × n] */
    grid_sum *grids;  /* [tiles × n] */
    float *most;      /* [tiles] largest magnitude */
    uint64_t *counts;
    int not_finite;
} pass;

/* What a thread needs for a tile; all arrays of scopes hold as many as a tile has at most, made up to eights so that
 * loops over scopes may run on to a multiple of 8. */
typedef struct room {
    uint16_t *codes;
    float *x, *row;
    float **least, **largest; /* [n_scopes] */
    float *scale, *inverse, *shift, *low, *high, *rest;
    bg_code_room *fitted; /* [n] */
    uint32_t *counts;
    uint64_t counted;
    float *block;
    size_t bytes;
} room;

/* ---- planning ---- */

static int classify(item *it, bg_err *e)
{
    if (it->s->scope.kind == BG_SCOPE_TENSOR)
        it->how = FIXED;
    bg_needs needs = bg_spec_needs(it->s);
    bg_scope_stats unit = {.n = 2, .min = -1, .max = 1, .sigma = 1, .ideal = 1};
    it->two_level = it->s->two_level;
    int status = bg_code_room_init(&it->room, it->s, e);
    if (status || it->how == FIXED)
        return status;
    it->how = FITTED;
    it->type = it->s->scale == BG_SCALE_F32 ? F32 : it->s->scale == BG_SCALE_F16 ? F16 : OTHER;
    it->asym = it->s->zero == BG_ZERO_ASYM;
    it->M = (float)(it->s->points - 1);
    if (needs == BG_NEEDS_RANGE && it->s->grid->fit == bg_grid_uniform.fit && it->s->zero != BG_ZERO_SYM)
        it->how = RANGE;
    if (needs == BG_NEEDS_ABSMAX && !(it->s->grid->flags & BG_GRID_STORES_LEVELS)) {
        status = bg_code_fit(it->s, &unit, &it->room, &it->unit, e);
        if (!status && it->unit.offset == 0)
            it->how = it->unit.affine ? SYMMETRIC : TABLE;
    }
    return status;
}

static int find_scope(pass *p, int64_t size, int across)
{
    for (int i = 0; i < p->n_scopes; i++)
        if (p->scopes[i].size == size && p->scopes[i].across == across)
            return i;
    p->scopes[p->n_scopes] = (scope_size){size, across};
    return p->n_scopes++;
}

/* The scope size of an item, entered into the list when it is new. */
static int scope_of(pass *p, const item *it)
{
    int64_t C = p->m->cols, size = it->how == FIXED ? C : bg_scope_size(it->s, p->m->rows, C);
    return find_scope(p, size, it->s->scope.kind == BG_SCOPE_BLOCK && it->how != FIXED && C % size != 0);
}

static int by_size(const void *a, const void *b)
{
    int64_t x = ((const scope_size *)a)->size, y = ((const scope_size *)b)->size;
    return (x > y) - (x < y);
}

static int64_t gcd(int64_t a, int64_t b)
{
    return b ? gcd(b, a % b) : a;
}

/* Rows of a tile: about TILE weights, and whole blocks where blocks run across rows. */
static int64_t rows_of_tile(const pass *p)
{
    int64_t C = p->m->cols, together = 1;
    for (int i = 0; i < p->n_scopes; i++)
        if (p->scopes[i].across) {
            int64_t need = p->scopes[i].size / gcd(p->scopes[i].size, C);
            together = together / gcd(together, need) * need;
        }
    int64_t rows = TILE / C > 1 ? TILE / C : 1;
    rows = (rows + together - 1) / together * together;
    return rows < p->m->rows ? rows : p->m->rows;
}

static int plan(pass *p, bg_err *e)
{
    const bg_matrix *m = p->m;
    p->scopes = calloc((size_t)p->n + 1, sizeof *p->scopes);
    if (!p->scopes)
        return bg_no_memory(e, "a sweep", (unsigned long long)p->n * sizeof *p->scopes);
    p->least_scope = m->cols;
    for (int i = 0; i < p->n; i++) {
        item *it = &p->items[i];
        int status = classify(it, e);
        if (status)
            return bg_context(e, "%s", it->s->text);
        scope_of(p, it);
        if (it->two_level && it->how == FITTED)
            return bg_fail(e, BG_USAGE, "%s: this grid has no scales to quantize", it->s->text);
        if (it->two_level) {
            size_t scopes = (size_t)bg_scope_count(it->s, m->rows, m->cols);
            it->scales = malloc(scopes * sizeof *it->scales);
            if (!it->scales)
                return bg_no_memory(e, "block scales", scopes * sizeof *it->scales);
        }
    }
    qsort(p->scopes, (size_t)p->n_scopes, sizeof *p->scopes,
          by_size); /* so that ranges can be joined from smaller ones */
    for (int i = 0; i < p->n; i++)
        p->items[i].scope = scope_of(p, &p->items[i]);
    if (p->n_scopes && p->scopes[0].size < p->least_scope)
        p->least_scope = p->scopes[0].size;
    p->tile_rows = rows_of_tile(p);
    p->tiles = p->tile_rows ? (m->rows + p->tile_rows - 1) / p->tile_rows : 0;
    p->errors = calloc((size_t)(p->tiles * (p->n + 1)), sizeof *p->errors);
    p->clipped = calloc((size_t)(p->tiles * (p->n + 1)), sizeof *p->clipped);
    p->most = calloc((size_t)p->tiles + 1, sizeof *p->most);
    p->grids = calloc((size_t)(p->tiles * (p->n + 1)), sizeof *p->grids);
    if (!p->errors || !p->clipped || !p->most || !p->grids)
        return bg_no_memory(e, "errors by tile", (unsigned long long)(p->tiles * p->n) * sizeof *p->errors);
    return BG_OK;
}

static void pass_free(pass *p)
{
    for (int i = 0; i < p->n; i++) {
        bg_code_room_free(&p->items[i].room);
        free(p->items[i].scales);
    }
    free(p->scopes);
    free(p->errors);
    free(p->clipped);
    free(p->grids);
    free(p->most);
}

/* ---- a thread's room ---- */

static float *take(float **at, size_t n)
{
    float *got = *at;
    *at += n;
    return got;
}

static void room_free(room *r, const pass *p)
{
    for (int i = 0; r->fitted && i < p->n; i++)
        bg_code_room_free(&r->fitted[i]);
    free(r->fitted);
    free(r->least);
    free(r->block);
    free(r->codes);
    free(r->counts);
}

static int room_init(room *r, const pass *p, bg_err *e)
{
    size_t weights = (size_t)(p->tile_rows * p->m->cols), row = (size_t)p->m->cols;
    size_t groups = (weights / (size_t)p->least_scope + (size_t)p->tile_rows + 8) / 8 * 8,
           lists = 6 + 2 * (size_t)p->n_scopes;
    int codes = p->m->codes16 != NULL;
    *r = (room){.bytes = (weights + row + groups * lists + 64) * sizeof(float)};
    r->block = malloc(r->bytes);
    r->least = malloc(2 * ((size_t)p->n_scopes + 1) * sizeof *r->least);
    r->fitted = calloc((size_t)p->n + 1, sizeof *r->fitted);
    r->codes = codes ? malloc(weights * sizeof *r->codes) : NULL;
    r->counts = p->counts ? calloc(65536, sizeof *r->counts) : NULL;
    if (!r->block || !r->least || !r->fitted || (codes && !r->codes) || (p->counts && !r->counts))
        return bg_no_memory(e, "a tile", r->bytes);
    float *at = r->block;
    r->largest = r->least + p->n_scopes + 1;
    r->x = take(&at, weights);
    r->row = take(&at, row);
    for (int i = 0; i < p->n_scopes; i++) {
        r->least[i] = take(&at, groups);
        r->largest[i] = take(&at, groups);
    }
    r->scale = take(&at, groups);
    r->inverse = take(&at, groups);
    r->shift = take(&at, groups);
    r->low = take(&at, groups);
    r->high = take(&at, groups);
    r->rest = take(&at, groups);
    for (int i = 0; i < p->n; i++)
        if (p->items[i].how == FITTED && bg_code_room_init(&r->fitted[i], p->items[i].s, e))
            return BG_RESOURCE;
    return BG_OK;
}

/* ---- one spec on one row ---- */

/* A row and its scopes. */
typedef struct row_scopes {
    const float *x;
    size_t n, size, count;        /* weights of the row, of a scope; scopes */
    const float *least, *largest; /* ends of the scopes */
    room *r;
} row_scopes;

/* What a spec adds up over a tile. */
typedef struct row_sums {
    bg_error *error;
    double *clipped;
    grid_sum *grid;
} row_sums;

static void fill(float *x, size_t n, float value)
{
    for (size_t i = 0; i < n; i++)
        x[i] = value;
}

/* Scales of an ABSMAX code as they are stored. */
static void scales_of(const item *it, const float *least, const float *largest, size_t groups, float *scale)
{
    float unit = it->unit.scale;
    for (size_t k = 0; k < groups; k++)
        scale[k] = (-least[k] > largest[k] ? -least[k] : largest[k]) * unit;
    if (it->two_level || it->type == F32)
        return;
    if (it->type == F16) {
        bg_round_f16(scale, groups);
        return;
    }
    float top = it->unit.affine ? (float)it->unit.hi - it->unit.zero : it->unit.levels[it->unit.K - 1];
    for (size_t k = 0; k < groups; k++)
        scale[k] = bg_scale_round(it->s, scale[k], top);
}

static void round_symmetric(const item *it, const row_scopes *z, bg_error *e)
{
    room *r = z->r;
    size_t groups = z->count;
    int shifted = it->unit.zero < 0 || it->unit.zero > 0;
    if (shifted)
        fill(r->shift, groups, -it->unit.zero);
    fill(r->low, groups, (float)it->unit.lo);
    fill(r->high, groups, (float)it->unit.hi);
    fill(r->rest, groups, 0);
    bg_affine a = {r->scale, r->inverse, shifted ? r->shift : NULL, r->low, r->high, r->rest, z->least, z->largest};
    bg_group_affine(z->x, z->n, z->size, &a, e);
}

static void round_table(const item *it, const float *x, size_t n, size_t g, room *r, bg_error *e)
{
    if (it->unit.K <= 16) {
        bg_table_code table = {r->scale, r->inverse, it->unit.levels, it->unit.cuts, it->unit.K};
        bg_group_table(x, n, g, &table, e);
        return;
    }
    bg_code c = it->unit;
    for (size_t i = 0, k = 0; i < n; i += g, k++) {
        c.scale = r->scale[k];
        for (size_t j = i; j < n && j < i + g; j++) {
            double d = fabs((double)x[j] - (double)bg_code_value(&c, bg_code_index(&c, x[j])));
            e->sse += d * d;
            e->most = (float)d > e->most ? (float)d : e->most;
        }
    }
}

/* Ends of the scopes, zero included where the code must hold it, and (high − low)/M between them. */
static void range_scales(const item *it, const float *least, const float *largest, size_t groups, room *r)
{
    bg_f8 reach = bg_f8_all(it->asym ? 0 : HUGE_VALF);
    for (size_t k = 0; k < groups; k += 8) {
        bg_f8 low = bg_f8_min(bg_f8_load(least + k), reach), high = bg_f8_max(bg_f8_load(largest + k), -reach);
        bg_f8_store(r->low + k, low);
        bg_f8_store(r->scale + k, bg_d8_to((bg_d8_from(high) - bg_d8_from(low)) / (double)it->M));
    }
    if (it->type == F16)
        bg_round_f16(r->scale, groups);
    for (size_t k = 0; k < groups && it->type == OTHER; k++)
        r->scale[k] = bg_scale_round(it->s, r->scale[k], it->M);
}

/* Zero points z = round(−low/scale) within [0, M], as the range −z … M−z of codes about 0. */
static void integer_zeros(room *r, size_t groups, float M)
{
    bg_f8 most = bg_f8_all(M), zero = bg_f8_all(0);
    for (size_t k = 0; k < groups; k += 8) {
        bg_f8 scale = bg_f8_load(r->scale + k), low = bg_f8_load(r->low + k);
        bg_f8 divisor = bg_f8_either(scale > 0, scale, bg_f8_all(1));
        bg_f8 z = bg_f8_round(-low / divisor);
        z = bg_f8_either(scale > 0, bg_f8_min(bg_f8_max(z, zero), most), zero);
        bg_f8_store(r->low + k, -z);
        bg_f8_store(r->high + k, most - z);
    }
    fill(r->rest, groups, 0);
}

/* zero=asym and zero=min with clip=max: grid_uniform.c's rule for all scopes of the row at once. */
static void round_range(const item *it, const row_scopes *z, bg_error *e)
{
    room *r = z->r;
    size_t groups = z->count;
    range_scales(it, z->least, z->largest, groups, r);
    bg_invert(r->scale, r->inverse, groups);
    if (it->asym) {
        integer_zeros(r, groups, it->M);
    } else {
        for (size_t k = 0; k < groups; k++) {
            r->rest[k] = bg_scale_round(it->s, z->least[k], 1);
            r->shift[k] = r->rest[k] * r->inverse[k];
        }
        fill(r->low, groups, 0);
        fill(r->high, groups, it->M);
    }
    bg_affine a = {r->scale, r->inverse, it->asym ? NULL : r->shift, r->low, r->high, r->rest, z->least, z->largest};
    bg_group_affine(z->x, z->n, z->size, &a, e);
}

static int round_fitted(const item *it, bg_code_room *cr, const row_scopes *z, row_sums *sums, bg_err *e)
{
    bg_error *total = sums->error;
    for (size_t first = 0; first < z->n; first += z->size) {
        size_t n = z->n - first < z->size ? z->n - first : z->size;
        bg_scope_sum one = {0};
        int status = bg_scope_error(it->s, cr, z->x + first, n, &one, e);
        if (status)
            return status;
        total->sse += one.sse;
        total->most = one.max > total->most ? one.max : total->most;
        *sums->clipped += one.clipped;
    }
    return BG_OK;
}

static void round_fixed(const item *it, const float *x, size_t n, bg_error *total, double *clipped)
{
    const bg_code *c = &it->unit;
    bg_reach reach = bg_code_reach(c);
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)x[i] - (double)bg_code_value(c, bg_code_index(c, x[i])));
        total->sse += d * d;
        total->most = (float)d > total->most ? (float)d : total->most;
        *clipped += bg_clips(reach, x[i]);
    }
}

/* A scope's points are scale·k + offset; in a range code k counts from its lowest, low·scale + rest. Only grids that
 * can be shown are summed. */
static void add_grids(int points, const float *scale, const float *low, const float *rest, size_t groups,
                      grid_sum *grid)
{
    if (points > BG_SHOWN)
        return;
    for (size_t k = 0; k < groups; k++)
        grid->scale += (double)scale[k];
    for (size_t k = 0; low && k < groups; k++)
        grid->offset += (double)low[k] * (double)scale[k] + (double)rest[k];
    grid->scopes += (double)groups;
}

/* first_scope: number of the row's first scope in the tensor. */
static int round_item(pass *p, int i, row_scopes z, int64_t first_scope, row_sums *sums, bg_err *e)
{
    item *it = &p->items[i];
    room *r = z.r;
    z.size = (size_t)p->scopes[it->scope].size;
    z.count = (z.n + z.size - 1) / z.size;
    z.least = r->least[it->scope];
    z.largest = r->largest[it->scope];
    if (it->how == FIXED) {
        round_fixed(it, z.x, z.n, sums->error, sums->clipped);
        return BG_OK;
    }
    if (it->how == FITTED)
        return round_fitted(it, &r->fitted[i], &z, sums, e);
    if (it->how == RANGE) {
        round_range(it, &z, sums->error);
        add_grids((int)it->M + 1, r->scale, r->low, r->rest, z.count, sums->grid);
        return BG_OK;
    }
    if (it->two_level && p->collect) {
        scales_of(it, z.least, z.largest, z.count, it->scales + first_scope);
        return BG_OK;
    }
    if (it->two_level)
        memcpy(r->scale, it->scales + first_scope, z.count * sizeof *r->scale);
    else
        scales_of(it, z.least, z.largest, z.count, r->scale);
    bg_invert(r->scale, r->inverse, z.count);
    add_grids(it->unit.K, r->scale, NULL, NULL, z.count, sums->grid);
    if (it->how == SYMMETRIC)
        round_symmetric(it, &z, sums->error);
    else
        round_table(it, z.x, z.n, z.size, r, sums->error);
    return BG_OK;
}

/* ---- one tile ---- */

/* Ranges of the scopes of one size: joined from the largest size already known that divides it, or from the weights. */
static void find_ranges(const pass *p, int s, const float *x, size_t n, room *r)
{
    size_t size = (size_t)p->scopes[s].size, part = 1, from = 0;
    for (size_t i = 0; i < (size_t)s; i++) {
        size_t known = (size_t)p->scopes[i].size;
        if (p->scopes[i].across == p->scopes[s].across && known > part && size % known == 0)
            part = known, from = i;
    }
    if (part > 1)
        bg_range_join(r->least[from], r->largest[from], (n + part - 1) / part, size / part, r->least[s], r->largest[s]);
    else
        bg_group_range(x, n, size, r->least[s], r->largest[s]);
}

/* A row of the matrix in a tile, or, where scopes run over row ends, the whole tile as one long row. */
typedef struct tile_row {
    const float *x;
    size_t n;
    int64_t tile, row;
    int across;
} tile_row;

static int round_row(pass *p, const tile_row *at, room *r, bg_err *e)
{
    int64_t row = at->row, tile = at->tile;
    int across = at->across;
    bg_error *errors = p->errors + tile * p->n;
    double *clipped = p->clipped + tile * p->n;
    grid_sum *grids = p->grids + tile * p->n;
    for (int s = 0; s < p->n_scopes; s++)
        if (p->scopes[s].across == across)
            find_ranges(p, s, at->x, at->n, r);
    for (int i = 0; i < p->n; i++) {
        const scope_size *s = &p->scopes[p->items[i].scope];
        if (s->across != across || (!p->collect && p->items[i].out == NULL))
            continue;
        int64_t scopes_before = across ? row * p->m->cols / s->size : row * ((p->m->cols + s->size - 1) / s->size);
        row_sums sums = {&errors[i], &clipped[i], &grids[i]};
        int status = round_item(p, i, (row_scopes){.x = at->x, .n = at->n, .r = r}, scopes_before, &sums, e);
        if (status)
            return bg_context(e, "%s", p->items[i].s->text);
    }
    return BG_OK;
}

static void drain(pass *p, room *r)
{
#pragma omp critical(bg_counts)
    for (size_t c = 0; c < 65536; c++)
        p->counts[c] += r->counts[c];
    memset(r->counts, 0, 65536 * sizeof *r->counts);
    r->counted = 0;
}

static void count(pass *p, room *r, const uint16_t *codes, size_t n)
{
    if (r->counted + n > UINT32_MAX)
        drain(p, r);
    bg_count_codes(codes, n, r->counts);
    r->counted += n;
}

static void widen(const bg_matrix *m, const uint16_t *codes, float *out, size_t n)
{
    if (m->code_dtype == BG_BF16)
        bg_widen_bf16(codes, out, n);
    else
        bg_dtypes[m->code_dtype].decode(codes, out, n);
}

static int has_across(const pass *p)
{
    for (int s = 0; s < p->n_scopes; s++)
        if (p->scopes[s].across)
            return 1;
    return 0;
}

static int run_tile(pass *p, int64_t tile, room *r, bg_err *e)
{
    const bg_matrix *m = p->m;
    int64_t first = tile * p->tile_rows, rows = m->rows - first < p->tile_rows ? m->rows - first : p->tile_rows;
    size_t C = (size_t)m->cols, n = (size_t)rows * C;
    int across = has_across(p), whole = across || !m->codes16;
    int status = m->codes16 ? m->codes16(m->self, first, rows, r->codes, e) : bg_matrix_read(m, first, rows, r->x, e);
    if (status)
        return status;
    if (r->counts)
        count(p, r, r->codes, n);
    if (m->codes16 && whole)
        widen(m, r->codes, r->x, n);
    for (int64_t i = 0; i < rows && !status; i++) {
        float *x = whole ? r->x + (size_t)i * C : r->row;
        if (!whole)
            widen(m, r->codes + (size_t)i * C, x, C);
        if (bg_any_not_finite(x, C)) {
#pragma omp atomic write
            p->not_finite = 1;
            return BG_OK;
        }
        float least, largest;
        bg_group_range(x, C, C, &least, &largest);
        p->most[tile] = fmaxf(p->most[tile], fmaxf(-least, largest));
        status = round_row(p, &(tile_row){.x = x, .n = C, .tile = tile, .row = first + i}, r, e);
    }
    if (across && !status)
        status = round_row(p, &(tile_row){.x = r->x, .n = n, .tile = tile, .row = first, .across = 1}, r, e);
    return status;
}

static int run_pass(pass *p, bg_err *e)
{
    bg_failure failure = {0};
#pragma omp parallel
    {
        room r = {0};
        bg_err mine = {0};
        int failed = room_init(&r, p, &mine);
        if (failed)
            bg_failure_note(&failure, 0, &mine);
#pragma omp for schedule(dynamic, 1)
        for (int64_t tile = 0; tile < p->tiles; tile++) {
            if (failed || bg_interrupted || bg_failure_before(&failure, tile))
                continue;
            if (run_tile(p, tile, &r, &mine))
                bg_failure_note(&failure, tile, &mine);
        }
        if (r.counts)
            drain(p, &r);
        room_free(&r, p);
    }
    if (!failure.status && bg_interrupted)
        return bg_fail(e, BG_RESOURCE, "interrupted");
    return bg_failure_status(&failure, e);
}

/* ---- the two passes ---- */

/* The points of the mean scope. */
static void show_grid(const pass *p, int i, bg_measure *out)
{
    const item *it = &p->items[i];
    grid_sum sum = {0};
    for (int64_t t = 0; t < p->tiles; t++) {
        sum.scale += p->grids[t * p->n + i].scale;
        sum.offset += p->grids[t * p->n + i].offset;
        sum.scopes += p->grids[t * p->n + i].scopes;
    }
    bg_code c = it->unit;
    if (it->how == RANGE)
        c = (bg_code){.K = (int)it->M + 1, .affine = 1, .hi = (int)it->M};
    if (it->how == FITTED || c.K > BG_SHOWN || (it->how != FIXED && !(sum.scopes > 0)))
        return;
    if (it->how != FIXED) {
        c.scale = (float)(sum.scale / sum.scopes);
        c.offset = (float)(sum.offset / sum.scopes);
    }
    for (int k = 0; k < c.K; k++)
        out->levels[out->points++] = bg_code_value(&c, k);
}

static void collect_results(const pass *p)
{
    double most = 0, weights = (double)p->m->rows * (double)p->m->cols;
    for (int64_t t = 0; t < p->tiles; t++)
        most = fmax(most, (double)p->most[t]);
    for (int i = 0; i < p->n; i++) {
        bg_measure *out = p->items[i].out;
        if (!out)
            continue;
        double sse = 0, clipped = 0, worst = 0;
        for (int64_t t = 0; t < p->tiles; t++) {
            sse += p->errors[t * p->n + i].sse;
            clipped += p->clipped[t * p->n + i];
            worst = fmax(worst, (double)p->errors[t * p->n + i].most);
        }
        int type = p->items[i].s->scale;
        int counted = p->items[i].how >= FITTED || (type != BG_SCALE_E8M0 && type != BG_SCALE_E4M3);
        *out = (bg_measure){.count = weights,
                            .mse = sse / weights,
                            .max_error = worst,
                            .max_relative = most > 0 ? worst / most : 0,
                            .clipped = counted ? clipped / weights : (double)NAN,
                            .index_entropy = NAN,
                            .output_mse = NAN,
                            .rate = bg_spec_rate(p->items[i].s, p->m->rows, p->m->cols)};
        out->rate_bits = bg_rate_total(&out->rate) / weights;
        show_grid(p, i, out);
    }
}

/* Second pass: only the specs whose scales waited for the whole tensor. */
static int second_pass(pass *p, bg_err *e)
{
    int waiting = 0;
    for (int i = 0; i < p->n; i++) {
        item *it = &p->items[i];
        if (it->two_level) {
            bg_two_level_scales(it->s, it->scales, (size_t)bg_scope_count(it->s, p->m->rows, p->m->cols));
            waiting++;
        } else {
            it->out = NULL;
        }
    }
    if (!waiting)
        return BG_OK;
    p->collect = 0;
    p->counts = NULL;
    return run_pass(p, e);
}

/* Range, mean and variance of the whole matrix: Σ x and Σ (x − mean of the tile)² by tile, joined in order. */
typedef struct tile_moments {
    double n, mean, squares, least, most;
} tile_moments;

static void join(tile_moments *a, const tile_moments *b)
{
    double n = a->n + b->n, d = b->mean - a->mean;
    if (!(b->n > 0))
        return;
    *a = (tile_moments){n, a->mean + d * b->n / n, a->squares + b->squares + d * d * a->n * b->n / n,
                        fmin(a->least, b->least), fmax(a->most, b->most)};
}

static int whole_moments(pass *p, bg_scope_stats *st, bg_err *e)
{
    const bg_matrix *m = p->m;
    size_t weights = (size_t)(p->tile_rows * m->cols);
    float *x = malloc(weights * sizeof *x);
    if (!x)
        return bg_no_memory(e, "a tile", weights * sizeof *x);
    tile_moments all = {.least = HUGE_VAL, .most = -HUGE_VAL};
    int status = BG_OK;
    for (int64_t t = 0; t < p->tiles && !status && !p->not_finite; t++) {
        int64_t first = t * p->tile_rows, rows = m->rows - first < p->tile_rows ? m->rows - first : p->tile_rows;
        size_t n = (size_t)(rows * m->cols);
        status = bg_matrix_read(m, first, rows, x, e);
        if (!status && bg_any_not_finite(x, n))
            p->not_finite = 1;
        if (!status && !p->not_finite) {
            bg_scope_stats_of(st, x, n);
            tile_moments one = {(double)n, st->mean, st->sigma * st->sigma * (double)n, st->min, st->max};
            join(&all, &one);
        }
    }
    free(x);
    *st = (bg_scope_stats){.n = (size_t)all.n,
                           .min = all.least,
                           .max = all.most,
                           .mean = all.mean,
                           .sigma = all.n > 0 ? sqrt(all.squares / all.n) : 0.0};
    return status;
}

/* Fits the codes of scope=tensor before the pass, where no histogram has done it. */
static int fit_fixed(pass *p, bg_err *e)
{
    int wanted = 0;
    bg_scope_stats st;
    for (int i = 0; i < p->n; i++)
        wanted |= p->items[i].how == FIXED;
    int status = wanted ? whole_moments(p, &st, e) : BG_OK;
    for (int i = 0; wanted && i < p->n && !status && !p->not_finite; i++)
        if (p->items[i].how == FIXED)
            status = bg_code_fit(p->items[i].s, &st, &p->items[i].room, &p->items[i].unit, e);
    return status;
}

int bg_measure_tiles(const bg_matrix *m, const bg_spec *const *specs, int n, bg_measure *const *out, uint64_t *counts,
                     int *not_finite, bg_err *e)
{
    pass p = {.m = m, .n = n, .collect = 1, .counts = counts};
    *not_finite = 0;
    p.items = calloc((size_t)n + 1, sizeof *p.items);
    if (!p.items)
        return bg_no_memory(e, "a sweep", (unsigned long long)n * sizeof *p.items);
    for (int i = 0; i < n; i++)
        p.items[i] = (item){.s = specs[i], .out = out[i]};
    int status = plan(&p, e);
    if (!status)
        status = fit_fixed(&p, e);
    if (!status && !p.not_finite)
        status = run_pass(&p, e);
    if (!status && !p.not_finite)
        status = second_pass(&p, e);
    for (int i = 0; i < n; i++)
        p.items[i].out = out[i];
    if (!status && !p.not_finite)
        collect_results(&p);
    *not_finite = p.not_finite;
    pass_free(&p);
    free(p.items);
    return status;
}
