/* Owns the trellis stream: header, hash, steps, and the coding of integers by the model's expectations. The format is
 * in trellis_stream.h. One function codes in both directions, so that the encoder and the decoder cannot differ. */
#include "io/checkpoints/formats/trellis_stream.h"
#include "io/checkpoints/formats/stream_model.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    LANES = BG_STREAM_LANES,
    VERSION = 1,
    SHIFT_FROM = 48 /* 16ths: log2 of s = 8 */,
    SPREAD_BIN = 4,
    LOWEST_BIN = -48
};
enum { HASH_AT = 14, UNARY = BG_STREAM_UNARY, PLACES = BG_STREAM_PLACES, FIRST_COUNT = 12 };

/* ---- the trellis ---- */

/* Parity checks of Ungerboeck 1982, table I (one dimension), in octal: h0, h1 for 4 … 256 states. */
static const int checks[][2] = {{05, 02}, {013, 04}, {023, 04}, {045, 010}, {0103, 024}, {0235, 0126}, {0515, 0362}};

static int parity(unsigned x)
{
    int odd = 0;
    for (; x; x &= x - 1)
        odd ^= 1;
    return odd;
}

int bg_stream_trellis_init(bg_stream_trellis *t, int states)
{
    for (int i = 0; i < 7; i++)
        if (states == 4 << i) {
            t->states = states;
            for (int j = 0; j < states / 2; j++)
                t->pair[j] = (uint8_t)(parity((unsigned)(checks[i][1] & j << 1)) |
                                       parity((unsigned)(checks[i][0] & j << 1)) << 1);
            return 1;
        }
    return 0;
}

float bg_stream_step(const bg_stream_matrix *m, int64_t column)
{
    static const float quarter[4] = {1.0F, 1.18920711500272F, 1.41421356237310F, 1.68179283050743F};
    int step = m->step[column], part = (step + 4 * BG_STREAM_STEP_MAX) % 4;
    return m->base * ldexpf(quarter[part], (step - part) / 4);
}

/* ---- contexts ---- */

/* The Gaussian distribution function in Q16 at 0, 1/32, … 8: sums of 2^(−u²/(2 ln 2)), by the trapezium rule. */
enum { NORMAL_STEPS = 256 };
typedef struct normal {
    int64_t above[NORMAL_STEPS + 2]; /* the half above zero: 32768 · (2F − 1) */
} normal;

static void tabulate_normal(normal *t)
{
    int64_t density = (int64_t)1 << 30, sum = 0;
    t->above[0] = 0;
    for (int64_t i = 1; i <= NORMAL_STEPS; i++) {
        int64_t at = 28854 * i * i / 10000, part = at % 256; /* 256ths of a 16th of an octave */
        int64_t next =
            (bg_exp2_16ths((int)(-at / 256), 30) * (256 - part) + bg_exp2_16ths((int)(-at / 256) - 1, 30) * part) / 256;
        sum += (density + next) / 2;
        density = next;
        t->above[i] = sum;
    }
    for (int i = 0; i <= NORMAL_STEPS; i++)
        t->above[i] = t->above[i] * 32768 / sum;
    t->above[NORMAL_STEPS + 1] = 32768;
}

/* 65536·F at x/64 for a deviation of 2^(q/16). */
static int64_t gaussian(const normal *t, int64_t x, int q)
{
    int64_t size = (x < 0 ? -x : x) * bg_exp2_16ths(-q, 16) / 2; /* Q16 of steps of 1/32 */
    int64_t i = size >> 16 < NORMAL_STEPS ? size >> 16 : NORMAL_STEPS, part = size & 65535;
    int64_t half = t->above[i] + (t->above[i + 1] - t->above[i]) * part / 65536;
    return x < 0 ? 32768 - half : 32768 + half;
}

static bg_bit first_bit(int64_t part, int64_t whole)
{
    int64_t p = whole > 0 ? part * 65536 / whole : 32768;
    p = p < 64 ? 64 : p > 65472 ? 65472 : p;
    return (bg_bit){(uint16_t)p, FIRST_COUNT};
}

static int low_bits(int spread)
{
    return spread < SHIFT_FROM ? 0 : spread / 16 - SHIFT_FROM / 16 + 1;
}

/* Contexts of one bin of the spread, whose middle is q. */
static void init_bin(bg_stream_contexts *x, const normal *t, int b, int q)
{
    int64_t cell = (int64_t)128 << low_bits(q);
    for (int f = 0; f < PLACES; f++) {
        int64_t far = 16 * f + 8, off = 32 * f - 48; /* of the mean from the centre; towards the side of d */
        for (int s = 0; s < 3; s++)
            x->zero[s][b][f] = first_bit(gaussian(t, 64 - far, q) - gaussian(t, -64 - far, q), 65536);
        for (int64_t i = 0; i < UNARY; i++)
            x->more[b][f][i] = first_bit(65536 - gaussian(t, 64 + cell * (i + 1) - off, q),
                                         65536 - gaussian(t, 64 + cell * i - off, q));
    }
    for (int f = 0; f < 2 * PLACES; f++) {
        int64_t above = 65536 - gaussian(t, 64 - (16 * f - 56), q), below = gaussian(t, -64 - (16 * f - 56), q);
        x->up[b][f] = first_bit(above, above + below);
    }
}

void bg_stream_contexts_init(bg_stream_contexts *x)
{
    normal t;
    tabulate_normal(&t);
    for (int b = 0; b < BG_STREAM_SPREADS; b++) {
        init_bin(x, &t, b, SPREAD_BIN * b + LOWEST_BIN + SPREAD_BIN / 2);
        for (int i = 0; i < 3; i++)
            x->low[b][i] = (bg_bit){32768, 0};
    }
    for (int i = 0; i < 24; i++)
        x->length[i] = (bg_bit){32768, 0};
}

typedef struct place {
    int centre;       /* the integer of the parity that is nearest to the mean */
    int bin, far, at; /* contexts: of the spread, of |mean − centre|, of mean − centre */
    int side;         /* of mean − centre, from the side of d */
} place;

static place locate(int odd, int32_t mean, int spread)
{
    place p;
    int32_t up = mean - 64 * odd + 64 + (1 << 22);
    p.centre = odd + 2 * (up / 128 - (1 << 15));
    int32_t off = mean - 64 * p.centre, size = off < 0 ? -off : off;
    p.far = size / 16 < PLACES ? size / 16 : PLACES - 1;
    p.at = (off + 64) / 16 < 2 * PLACES ? (off + 64) / 16 : 2 * PLACES - 1;
    p.bin = spread < LOWEST_BIN ? 0 : (spread - LOWEST_BIN) / SPREAD_BIN;
    p.bin = p.bin < BG_STREAM_SPREADS ? p.bin : BG_STREAM_SPREADS - 1;
    p.side = 0;
    return p;
}

/* ---- integers ---- */

/* |d| − 1 ≥ 0, without its low bits in unary. */
static int code_magnitude(bg_range_coder *c, bg_stream_contexts *x, place p, int spread, int value)
{
    int low = low_bits(spread), high = value >> low, n = 0;
    bg_bit *more = x->more[p.bin][p.side];
    while (n < UNARY && bg_code_bit(c, &more[n], high > n))
        n++;
    if (n == UNARY)
        n += bg_code_golomb(c, x->length, high - UNARY);
    int result = n;
    for (int i = low; i-- > 0;) {
        int bit = value >> i & 1;
        bit = i == low - 1 ? bg_code_bit(c, &x->low[p.bin][n < 2 ? n : 2], bit) : bg_code_fixed(c, 32768, bit);
        result = result * 2 + bit;
    }
    return result;
}

/* A damaged stream decodes to integers beyond every limit: they are brought back to it. */
static int within(int k, int odd)
{
    int max = BG_STREAM_MAX - 1 + odd;
    return k > max ? max : k < -max ? -max : k;
}

static int code_value(bg_range_coder *c, bg_stream_contexts *x, bg_stream_state state, const bg_stream_walk *w,
                      int lane, int k)
{
    int odd = state == BG_STREAM_ODD_STATE, spread = w->spread[lane];
    place p = locate(odd, w->mean[lane], spread);
    int d = (k - p.centre) / 2;
    if (bg_code_bit(c, &x->zero[state][p.bin][p.far], d == 0))
        return within(p.centre, odd);
    int up = bg_code_bit(c, &x->up[p.bin][p.at], d > 0);
    p.side = up ? p.at / 2 : PLACES - 1 - p.at / 2;
    int size = 1 + code_magnitude(c, x, p, spread, d < 0 ? -d - 1 : d > 0 ? d - 1 : 0);
    return within(p.centre + 2 * (up ? size : -size), odd);
}

/* −log2(x/65536), 0 < x ≤ 65536, by additions, products and quotients alone: the same digits from any mathematical
 * library. */
static float price_of(uint32_t x)
{
    int octaves = 16;
    double m = (double)x / 65536;
    for (; m < 1; m *= 2)
        octaves--;
    double t = (m - 1) / (m + 1), square = t * t, sum = 0, power = t;
    for (int i = 1; i < 16; i += 2, power *= square)
        sum += power / i;
    return (float)(16 - octaves - 2 * sum / 0.69314718055994530942);
}

void bg_stream_prices_init(bg_stream_prices *p, const bg_stream_contexts *x)
{
    const bg_bit *bits[] = {&x->zero[0][0][0], &x->up[0][0]};
    float *prices[] = {&p->zero[0][0][0][0], &p->up[0][0][0]};
    const int counts[] = {3 * BG_STREAM_SPREADS * PLACES, 2 * BG_STREAM_SPREADS * PLACES};
    for (int t = 0; t < 2; t++)
        for (int i = 0; i < counts[t]; i++) {
            prices[t][2 * i] = price_of(65536u - bits[t][i].p);
            prices[t][2 * i + 1] = price_of(bits[t][i].p);
        }
    for (int b = 0; b < BG_STREAM_SPREADS * PLACES; b++) {
        const bg_bit *more = x->more[b / PLACES][b % PLACES];
        float sum = 0;
        for (int i = 0; i <= UNARY; i++) {
            p->more[b / PLACES][b % PLACES][i] = sum + (i < UNARY ? price_of(65536u - more[i].p) : 0.0F);
            sum += i < UNARY ? price_of(more[i].p) : 0.0F;
        }
    }
}

float bg_stream_price(const bg_stream_prices *t, bg_stream_state state, int32_t mean, int spread, int k)
{
    place p = locate(state == BG_STREAM_ODD_STATE, mean, spread);
    int d = (k - p.centre) / 2, size = d < 0 ? -d : d;
    const float *zero = t->zero[state][p.bin][p.far];
    if (!d)
        return zero[1];
    int low = low_bits(spread), high = (size - 1) >> low, side = d > 0 ? p.at / 2 : PLACES - 1 - p.at / 2;
    float bits = zero[0] + t->up[p.bin][p.at][d > 0] + (float)low;
    for (int above = high - UNARY + 1; above > 1; above /= 2)
        bits += 2;
    return bits + t->more[p.bin][side][high < UNARY ? high : UNARY];
}

/* ---- a matrix ---- */

typedef struct stream {
    bg_stream_matrix *m; /* a decoder fills k and step */
    bg_range_coder coder;
    bg_stream_contexts contexts;
    bg_stream_trellis trellis;
    bg_stream_trace *trace; /* of an encoder; NULL */
    int32_t *kept;          /* [cols] columns that are not left out */
    int64_t n_kept;
    int16_t *segment;     /* [rows × n_kept] of the rows that are walked, kept columns alone */
    uint8_t *state;       /* [n_kept] of the trellis */
    int decoding, astray; /* astray: an integer that its trellis path does not have */
} stream;

static int column_is_zero(const bg_stream_matrix *m, int64_t c)
{
    for (int64_t r = 0; r < m->rows; r++)
        if (m->k[r * m->cols + c])
            return 0;
    return 1;
}

/* Which columns are kept, and their steps as differences. */
static void code_steps(stream *s)
{
    bg_integer_contexts difference;
    bg_bit out[2] = {{32768, 0}, {32768, 0}};
    int last = 0, step = 0;
    bg_integer_contexts_init(&difference);
    for (int64_t c = 0; c < s->m->cols; c++) {
        last = bg_code_bit(&s->coder, &out[last], s->decoding ? 0 : column_is_zero(s->m, c));
        if (last) {
            s->m->step[c] = 0;
            continue;
        }
        step += bg_code_integer(&s->coder, &difference, s->decoding ? 0 : s->m->step[c] - step);
        step = step > BG_STREAM_STEP_MAX ? BG_STREAM_STEP_MAX : step < -BG_STREAM_STEP_MAX ? -BG_STREAM_STEP_MAX : step;
        s->m->step[c] = (int16_t)step;
        s->kept[s->n_kept++] = (int32_t)c;
    }
}

static void code_column(stream *s, const bg_stream_walk *w, int64_t row, int lanes, int64_t at, int32_t *k)
{
    const bg_stream_trellis *t = &s->trellis;
    int64_t cell = row * s->m->cols + s->kept[at];
    for (int r = 0; r < lanes; r++, cell += s->m->cols) {
        int state = s->state[at], odd = bg_stream_is_odd(t, state);
        int known = s->decoding ? 0 : s->m->k[cell];
        s->astray |= (known & 1) != odd && !s->decoding;
        if (s->trace) {
            s->trace->mean[cell] = w->mean[r];
            s->trace->spread[cell] = (int16_t)w->spread[r];
        }
        k[r] = code_value(&s->coder, &s->contexts,
                          odd     ? BG_STREAM_ODD_STATE
                          : state ? BG_STREAM_EVEN_STATE
                                  : BG_STREAM_ZERO_STATE,
                          w, r, known);
        s->m->k[cell] = (int16_t)k[r];
        s->segment[(int64_t)r * s->n_kept + at] = (int16_t)k[r];
        s->state[at] = (uint8_t)bg_stream_next(t, state, k[r]);
    }
}

static void code_rows(stream *s, bg_stream_model *model, bg_stream_walk *w)
{
    int16_t *begin = s->segment;
    while (model->seen < model->rows && !s->astray && !s->coder.overrun) {
        int64_t n = bg_stream_model_segment(model), first = model->seen;
        bg_stream_model_learn(model);
        for (int64_t r = 0; r < n; r += LANES) {
            int lanes = (int)(n - r < LANES ? n - r : LANES);
            s->segment = begin + (first + r) * s->n_kept;
            bg_stream_walk_start(model, w);
            for (int64_t at = 0; at < s->n_kept; at++) {
                int32_t k[LANES] = {0};
                bg_stream_walk_expect(model, w, at);
                code_column(s, w, first + r, lanes, at, k);
                bg_stream_walk_tell(model, w, at, k);
            }
            bg_stream_walk_end(model, w, first + r, lanes);
        }
        bg_stream_model_add(model, begin + first * s->n_kept, n);
    }
    s->segment = begin;
}

/* Codes steps and integers in either direction. */
static int code_matrix(stream *s, int log2_rms, bg_err *e)
{
    bg_stream_model model = {0};
    bg_stream_walk *w = malloc(sizeof *w);
    size_t cols = (size_t)s->m->cols;
    int16_t *step = malloc((cols + 1) * sizeof *step);
    s->kept = malloc((cols + 1) * sizeof *s->kept), s->state = calloc(cols + 1, 1);
    int status = w && step && s->kept && s->state ? BG_OK : bg_no_memory(e, "columns", cols * 8);
    if (!status) {
        bg_stream_contexts_init(&s->contexts);
        code_steps(s);
        for (int64_t i = 0; i < s->n_kept; i++)
            step[i] = s->m->step[s->kept[i]];
        size_t cells = (size_t)s->m->rows * (size_t)s->n_kept;
        s->segment = malloc((cells + 1) * sizeof *s->segment);
        status = s->segment ? bg_stream_model_init(&model, s->m->rows, s->n_kept, log2_rms, step, e)
                            : bg_no_memory(e, "integers", cells * sizeof *s->segment);
    }
    if (!status && s->n_kept) {
        code_rows(s, &model, w);
        if (s->trace)
            s->trace->contexts = s->contexts;
    }
    bg_stream_model_free(&model);
    free(w), free(step), free(s->kept), free(s->state), free(s->segment);
    return status;
}

/* ---- bytes ---- */

static void put_number(uint8_t *at, uint64_t x, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (uint8_t)(x >> 8 * i);
}

static uint64_t get_number(const uint8_t *at, int bytes)
{
    uint64_t x = 0;
    for (int i = bytes; i-- > 0;)
        x = x << 8 | at[i];
    return x;
}

/* FNV-1a of 64 bits (Fowler, Noll and Vo) over all bytes but the hash's own: each byte is a bijection of the hash. */
static uint64_t hash_stream(const uint8_t *bytes, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++)
        if (i < HASH_AT || i >= BG_STREAM_HEADER)
            h = (h ^ bytes[i]) * 0x100000001b3u;
    return h;
}

static int check_matrix(const bg_stream_matrix *m, bg_err *e)
{
    if (m->rows < 1 || m->cols < 1 || m->rows > 1 << 22 || m->cols > 1 << 22)
        return bg_fail(e, BG_USAGE, "a trellis stream holds 1 to 2^22 rows and columns, not %lld by %lld",
                       (long long)m->rows, (long long)m->cols);
    for (int64_t i = 0; i < m->rows * m->cols; i++)
        if (m->k[i] > BG_STREAM_MAX || m->k[i] < -BG_STREAM_MAX)
            return bg_fail(e, BG_USAGE, "the step is too small: a weight lies more than %d steps from zero",
                           BG_STREAM_MAX);
    for (int64_t c = 0; c < m->cols; c++)
        if (m->step[c] > BG_STREAM_STEP_MAX || m->step[c] < -BG_STREAM_STEP_MAX)
            return bg_fail(e, BG_USAGE, "a column's step lies more than %d quarters of an octave from the matrix's",
                           BG_STREAM_STEP_MAX);
    return BG_OK;
}

/* Quarters of log2 of the rms of k·2^(step/4), rounded; within a byte. */
static int measure_rms(const bg_stream_matrix *m)
{
    double sum = 0;
    int64_t kept = 0;
    for (int64_t c = 0; c < m->cols; c++) {
        double own = 0;
        for (int64_t r = 0; r < m->rows; r++)
            own += (double)m->k[r * m->cols + c] * (double)m->k[r * m->cols + c];
        kept += own > 0;
        sum += own * exp2(m->step[c] / 2.0);
    }
    double rms = sum > 0 ? sum / ((double)kept * (double)m->rows) : 1;
    return (int)fmax(fmin(lrint(2 * log2(rms)), 127), -127);
}

int bg_stream_encode(const bg_stream_matrix *m, uint8_t **bytes, size_t *n, bg_stream_trace *trace, bg_err *e)
{
    bg_stream_matrix copy = *m;
    stream s = {.m = &copy, .trace = trace};
    *bytes = NULL;
    int status = check_matrix(m, e);
    if (!status && !bg_stream_trellis_init(&s.trellis, m->states))
        status = bg_fail(e, BG_USAGE, "a trellis has 4, 8, 16, 32, 64, 128 or 256 states, not %d", m->states);
    if (status)
        return status;
    int log2_rms = measure_rms(m);
    size_t room = (size_t)(m->rows * m->cols) / 4 + (size_t)m->cols + 64, words = 0;
    for (; !status && !words && !s.astray; room *= 2) {
        uint8_t *more = realloc(*bytes, BG_STREAM_HEADER + 4 * room + 4);
        uint32_t *out = malloc(room * sizeof *out);
        status = more && out ? BG_OK : bg_no_memory(e, "a coded matrix", 8 * room);
        *bytes = more ? more : *bytes;
        if (!status) {
            s.n_kept = 0;
            bg_range_encode_to(&s.coder, out, room);
            status = code_matrix(&s, log2_rms, e);
            words = bg_range_finish(&s.coder);
        }
        for (size_t i = 0; !status && i < words; i++)
            put_number(*bytes + BG_STREAM_HEADER + 4 * i, out[i], 4);
        free(out);
    }
    if (!status && s.astray)
        status = bg_fail(e, BG_USAGE, "the integers of a column do not follow the trellis");
    if (status) {
        free(*bytes);
        *bytes = NULL;
        return status;
    }
    uint32_t base;
    memcpy(&base, &m->base, 4);
    uint8_t *h = *bytes;
    h[0] = (uint8_t)(VERSION << 4 | (int)lrint(log2(m->states)));
    put_number(h + 1, (uint64_t)m->rows, 4), put_number(h + 5, (uint64_t)m->cols, 4);
    put_number(h + 9, base, 4), put_number(h + 13, (uint64_t)(log2_rms & 255), 1);
    *n = BG_STREAM_HEADER + 4 * words;
    put_number(h + HASH_AT, hash_stream(h, *n), 8);
    return BG_OK;
}

int bg_stream_open(const uint8_t *bytes, size_t n, bg_stream_matrix *out, bg_err *e)
{
    if (n < BG_STREAM_HEADER + 8 || (n - BG_STREAM_HEADER) % 4 || bytes[0] >> 4 != VERSION)
        return bg_fail(e, BG_INPUT, "not a trellis stream of version %d", VERSION);
    if (get_number(bytes + HASH_AT, 8) != hash_stream(bytes, n))
        return bg_fail(e, BG_INPUT, "the trellis stream is damaged: its hash differs from its data's");
    uint32_t base = (uint32_t)get_number(bytes + 9, 4);
    out->rows = (int64_t)get_number(bytes + 1, 4), out->cols = (int64_t)get_number(bytes + 5, 4);
    out->states = 1 << (bytes[0] & 15);
    memcpy(&out->base, &base, 4);
    bg_stream_trellis t;
    if (out->rows < 1 || out->cols < 1 || out->rows > 1 << 22 || out->cols > 1 << 22 || !isfinite(out->base) ||
        !bg_stream_trellis_init(&t, out->states))
        return bg_fail(e, BG_INPUT, "the header of the trellis stream makes no sense");
    return BG_OK;
}

int bg_stream_decode(const uint8_t *bytes, size_t n, bg_stream_matrix *m, bg_err *e)
{
    stream s = {.m = m, .decoding = 1};
    size_t words = (n - BG_STREAM_HEADER) / 4;
    int rms = (int)get_number(bytes + 13, 1);
    bg_stream_trellis_init(&s.trellis, m->states);
    memset(m->k, 0, (size_t)m->rows * (size_t)m->cols * sizeof *m->k);
    bg_range_decode_from(&s.coder, bytes + BG_STREAM_HEADER, words);
    int status = code_matrix(&s, rms > 127 ? rms - 256 : rms, e);
    if (!status && (s.coder.overrun || s.coder.at != words))
        status = bg_fail(e, BG_INPUT, "the trellis stream ends at another place than its data");
    return status;
}
