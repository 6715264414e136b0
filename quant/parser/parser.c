/* Owns the grammar of specs: NAME[:key=value[,key=value…]], ranges, lists, presets and aliases.
 *
 * A point is parsed in three steps: the name gives a grid (a preset puts its own keys before the user's); the keys
 * transform, round and code give the other rows; then every key is looked up in the keys of those rows and in the
 * common ones, with its type and range. Values that equal the default are left out of the canonical text, so that two
 * ways of writing a spec are one curve.
 */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "io/base/assert.h"
#include "io/base/options.h"
#include "quant/parser/parser.h"

const bg_key bg_common_keys[] = {
    {.name = "bits",
     .type = BG_KEY_INTEGER,
     .min = 1,
     .max = 16,
     .default_text = "4",
     BG_SPEC_PARAM(bits),
     .help = "index bits a weight"},
    {.name = "levels",
     .type = BG_KEY_INTEGER,
     .min = 2,
     .max = 65536,
     BG_SPEC_PARAM(levels),
     .help = "number of points, instead of bits"},
    {.name = "scope",
     .type = BG_KEY_WORD,
     .words = "tensor|channel|N",
     .help = "weights that share a scale: all, a row, N of a row"},
    {.name = "zero",
     .type = BG_KEY_WORD,
     .words = "sym|asym|min",
     .default_text = "sym",
     BG_SPEC_PARAM(zero),
     .help = "no zero point; an integer one of as many bits as an index; the minimum, in the scale's type"},
    {.name = "clip",
     .type = BG_KEY_WORD,
     .words = "max|mse|output|Nsigma",
     .default_text = "max",
     BG_SPEC_PARAM(clip),
     .help = "range of the grid: all weights; of least squared error; the same, each weight counting by its input "
             "(--calibration); N standard deviations"},
    {.name = "scale",
     .type = BG_KEY_WORD,
     .words = "f32|f16|bf16|e8m0|e4m3",
     .default_text = "f16",
     BG_SPEC_PARAM(scale),
     .help = "storage type of scales, minima and fitted levels, rounded to it before use"},
    {.name = "round", .type = BG_KEY_TEXT, .default_text = "nearest", .help = "row of the rounding registry"},
    {.name = "transform", .type = BG_KEY_TEXT, .default_text = "none", .help = "row of the transform registry"},
    {.name = "code", .type = BG_KEY_TEXT, .default_text = "fixed", .help = "row of the coding registry"},
    {0},
};

enum { PAIRS = 24, LIST = 64 };

/* key=value as written. */
typedef struct pair {
    char key[24], value[BG_VALUE_TEXT];
} pair;

typedef struct pairs {
    pair at[PAIRS];
    int n;
} pairs;

/* ---- splitting ---- */

static int split_pairs(const char *text, const char *whole, pairs *out, bg_err *e)
{
    while (text && *text) {
        const char *end = strchr(text, ',');
        size_t length = end ? (size_t)(end - text) : strlen(text);
        const char *equals = memchr(text, '=', length);
        size_t k = equals ? (size_t)(equals - text) : 0;
        size_t v = equals ? length - k - 1 : 0;
        if (!equals || !k || !v)
            return bg_fail(e, BG_USAGE, "spec '%s': '%.*s' is not key=value", whole, (int)length, text);
        if (k >= sizeof out->at[0].key || v >= BG_VALUE_TEXT || out->n >= PAIRS)
            return bg_fail(e, BG_USAGE, "spec '%s' is too long at '%.*s'", whole, (int)length, text);
        pair *p = &out->at[out->n++];
        memcpy(p->key, text, k);
        p->key[k] = 0;
        memcpy(p->value, equals + 1, v);
        p->value[v] = 0;
        text = end ? end + 1 : NULL;
        if (text && !*text)
            return bg_fail(e, BG_USAGE, "spec '%s' ends in a comma", whole);
    }
    return BG_OK;
}

/* A range 2..8 of integers or a list a/b/c into words[LIST]; returns how many, 0 when the text is malformed. A path,
 * /a, ./a or ../a, is one word. */
static int expand(const char *value, char words[][BG_VALUE_TEXT])
{
    int n = 0;
    const char *at = value;
    if (*value == '/' || !strncmp(value, "./", 2) || !strncmp(value, "../", 3)) {
        memcpy(words[0], value, strlen(value) + 1);
        return 1;
    }
    while (n < LIST) {
        const char *end = strchr(at, '/');
        size_t length = end ? (size_t)(end - at) : strlen(at);
        char item[BG_VALUE_TEXT];
        if (!length)
            return 0;
        memcpy(item, at, length);
        item[length] = 0;
        char *dots = strstr(item, ".."), *stop;
        if (dots) {
            long first = strtol(item, &stop, 10), last;
            if (stop != dots || dots == item)
                return 0;
            last = strtol(dots + 2, &stop, 10);
            if (*stop || stop == dots + 2 || last < first || last - first >= LIST - n)
                return 0;
            for (long i = first; i <= last; i++)
                snprintf(words[n++], BG_VALUE_TEXT, "%ld", i);
        } else {
            memcpy(words[n++], item, length + 1);
        }
        if (!end)
            return n;
        at = end + 1;
    }
    return 0;
}

/* ---- looking up ---- */

static const bg_grid *find_grid(const char *name)
{
    for (const bg_grid *const *g = bg_grids; *g; g++)
        if (!strcmp((*g)->name, name))
            return *g;
    return NULL;
}

static const bg_preset *find_preset(const char *name)
{
    for (const bg_preset *p = bg_presets; p->name; p++)
        if (!strcmp(p->name, name))
            return p;
    return NULL;
}

static const bg_alias *find_alias(const char *name)
{
    for (const bg_alias *a = bg_aliases; a->name; a++)
        if (!strcmp(a->name, name))
            return a;
    return NULL;
}

static int unknown_name(const char *name, bg_err *e)
{
    const char *names[256];
    int n = 0;
    for (const bg_grid *const *g = bg_grids; *g && n < 256; g++)
        names[n++] = (*g)->name;
    for (const bg_preset *p = bg_presets; p->name && n < 256; p++)
        names[n++] = p->name;
    for (const bg_alias *a = bg_aliases; a->name && n < 256; a++)
        names[n++] = a->name;
    const char *near = bg_nearest(name, names, n);
    return bg_fail(e, BG_USAGE, "no quantizer '%s'%s%s%s; `bitgap list` shows them all", name,
                   near ? ", did you mean " : "", near ? near : "", near ? "?" : "");
}

/* Finds a row by name in a registry whose rows begin with `const char *name`. */
static const void *find_row(const void *const *rows, const char *name, const char *what, bg_err *e)
{
    const char *names[128];
    int n = 0;
    for (; rows[n] && n < 128; n++) {
        memcpy(&names[n], rows[n], sizeof names[n]);
        if (!strcmp(names[n], name))
            return rows[n];
    }
    const char *near = bg_nearest(name, names, n);
    bg_fail(e, BG_USAGE, "no %s '%s'%s%s%s; `bitgap list` shows them all", what, name, near ? ", did you mean " : "",
            near ? near : "", near ? "?" : "");
    return NULL;
}

static int refused(const bg_grid *g, const char *key)
{
    size_t length = strlen(key);
    for (const char *at = g->refuses; at && *at; at += strcspn(at, " "), at += strspn(at, " "))
        if (strcspn(at, " ") == length && !strncmp(at, key, length))
            return 1;
    return 0;
}

static void add_keys(bg_spec *s, const bg_key *keys, int check_refusal)
{
    for (const bg_key *k = keys; k && k->name; k++) {
        int seen = check_refusal && refused(s->grid, k->name);
        for (int i = 0; i < s->n_values; i++)
            seen |= !strcmp(s->values[i].key->name, k->name);
        if (seen || s->n_values >= BG_SPEC_KEYS)
            continue;
        bg_value *v = &s->values[s->n_values++];
        *v = (bg_value){.key = k};
    }
}

static bg_value *value_of(const bg_spec *s, const char *key)
{
    return (bg_value *)bg_spec_value(s, key);
}

/* ---- values ---- */

static int number_in(const bg_key *k, const char *text, double *out)
{
    char *end;
    if (isspace((unsigned char)*text))
        return 0;
    double x = strtod(text, &end);
    if (end == text || *end || !isfinite(x) || (k->type == BG_KEY_INTEGER && x != floor(x)))
        return 0;
    *out = x;
    return x >= k->min && x <= k->max;
}

/* One of the words, or a positive number with the suffix that the last word asks for ("N", "Nsigma"). */
static int word_in(const bg_key *k, const char *text, bg_value *v)
{
    v->word = 0;
    for (const char *w = k->words; *w; v->word++) {
        size_t length = strcspn(w, "|");
        if (w[0] == 'N' && (length == 1 || islower((unsigned char)w[1]))) {
            char *end;
            double x = strtod(text, &end);
            if (isdigit((unsigned char)*text) && end != text && strlen(end) == length - 1 &&
                !strncmp(end, w + 1, length - 1) && isfinite(x) && x > 0 &&
                (length > 1 || (x == floor(x) && x <= INT32_MAX))) {
                v->number = x;
                snprintf(v->text, sizeof v->text, "%.15g%.*s", x, (int)length - 1, w + 1);
                return 1;
            }
        } else if (strlen(text) == length && !strncmp(text, w, length)) {
            snprintf(v->text, sizeof v->text, "%s", text);
            return 1;
        }
        w += length + (w[length] == '|');
    }
    return 0;
}

static int set_value(bg_value *v, const char *text, const char *whole, bg_err *e)
{
    const bg_key *k = v->key;
    v->number = 0;
    switch (k->type) {
    case BG_KEY_NUMBER:
    case BG_KEY_INTEGER:
        if (!number_in(k, text, &v->number))
            return bg_fail(e, BG_USAGE, "spec '%s': %s must be %s from %.9g to %.9g, got %s", whole, k->name,
                           k->type == BG_KEY_INTEGER ? "an integer" : "a number", k->min, k->max, text);
        snprintf(v->text, sizeof v->text, "%.15g", v->number);
        return BG_OK;
    case BG_KEY_WORD:
        if (!word_in(k, text, v))
            return bg_fail(e, BG_USAGE, "spec '%s': %s must be one of %s, got %s", whole, k->name, k->words, text);
        return BG_OK;
    case BG_KEY_BOOL:
        v->number = !strcmp(text, "true") || !strcmp(text, "1");
        if (!v->number && strcmp(text, "false") && strcmp(text, "0"))
            return bg_fail(e, BG_USAGE, "spec '%s': %s must be true or false, got %s", whole, k->name, text);
        snprintf(v->text, sizeof v->text, "%s", v->number != 0 ? "true" : "false");
        return BG_OK;
    case BG_KEY_TEXT:
        snprintf(v->text, sizeof v->text, "%s", text);
        return BG_OK;
    }
    return BG_OK;
}

static int unknown_key(const bg_spec *s, const char *key, const char *whole, bg_err *e)
{
    if (refused(s->grid, key))
        return bg_fail(e, BG_USAGE, "spec '%s': %s takes no '%s'", whole, s->name, key);
    const char *names[BG_SPEC_KEYS];
    for (int i = 0; i < s->n_values; i++)
        names[i] = s->values[i].key->name;
    const char *near = bg_nearest(key, names, s->n_values);
    char all[256] = "";
    for (int i = 0; i < s->n_values && strlen(all) + 20 < sizeof all; i++)
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? " " : "", names[i]);
    return bg_fail(e, BG_USAGE, "spec '%s': %s has no key '%s'%s%s%s; its keys: %s", whole, s->name, key,
                   near ? ", did you mean " : "", near ? near : "", near ? "?" : "", all);
}

/* ---- one point ---- */

static const char *last_value(const pairs *p, const char *key, const char *otherwise)
{
    for (int i = 0; i < p->n; i++)
        if (!strcmp(p->at[i].key, key))
            otherwise = p->at[i].value;
    return otherwise;
}

static int choose_rows(bg_spec *s, const pairs *p, bg_err *e)
{
    s->transform = find_row((const void *const *)bg_transforms, last_value(p, "transform", "none"), "transform", e);
    if (s->transform)
        s->rounding = find_row((const void *const *)bg_roundings, last_value(p, "round", "nearest"), "rounding", e);
    if (s->transform && s->rounding)
        s->coding = find_row((const void *const *)bg_codings, last_value(p, "code", "fixed"), "coding", e);
    if (!s->transform || !s->rounding || !s->coding)
        return BG_USAGE;
    return BG_OK;
}

/* The keys of all rows, in the order of the canonical text: bits, levels, scope, the grid's, the common ones, the
 * others'. */
static void gather_keys(bg_spec *s)
{
    s->n_values = 0;
    static const char *const first[] = {"bits", "levels", "scope"};
    for (int f = 0; f < 3; f++) {
        const bg_key *own = NULL;
        for (const bg_key *k = s->grid->keys; k && k->name; k++)
            if (!strcmp(k->name, first[f]))
                own = k;
        for (const bg_key *k = bg_common_keys; k->name && !own; k++)
            if (!strcmp(k->name, first[f]) && !refused(s->grid, k->name))
                own = k;
        if (own)
            s->values[s->n_values++] = (bg_value){.key = own};
    }
    add_keys(s, s->grid->keys, 0);
    add_keys(s, bg_common_keys, 1);
    add_keys(s, s->transform->keys, 0);
    add_keys(s, s->rounding->keys, 0);
    add_keys(s, s->coding->keys, 0);
}

static int apply_defaults(bg_spec *s, const char *whole, bg_err *e)
{
    for (int i = 0; i < s->n_values; i++) {
        bg_value *v = &s->values[i];
        const char *d = v->key->default_text;
        if (!d && !strcmp(v->key->name, "scope"))
            d = s->grid->default_scope ? s->grid->default_scope : "tensor";
        int status = d ? set_value(v, d, whole, e) : BG_OK;
        if (status)
            return status;
    }
    return BG_OK;
}

static int apply_pairs(bg_spec *s, const pairs *p, int from, int to, const char *whole, bg_err *e)
{
    for (int i = from; i < to; i++) {
        bg_value *v = value_of(s, p->at[i].key);
        if (!v)
            return unknown_key(s, p->at[i].key, whole, e);
        int status = set_value(v, p->at[i].value, whole, e);
        if (status)
            return status;
        v->given = 1;
    }
    return BG_OK;
}

/* Entropy-coded with a given step: the grid is as long as the weights need, and bits, unless given, say nothing. */
static int open_ended(const bg_spec *s)
{
    const bg_value *step = value_of(s, "step");
    return step && step->number > 0 && s->coding->bits && !bg_spec_given(s, "bits") && !bg_spec_given(s, "levels");
}

/* Writes the canonical text: values that differ from `base` (the same spec without the user's keys). Bits are always
 * shown where they are the user's choice. */
static int canonical(bg_spec *s, const bg_spec *base, bg_err *e)
{
    size_t at = (size_t)snprintf(s->text, sizeof s->text, "%s", s->name);
    char sep = ':';
    for (int i = 0; i < s->n_values; i++) {
        const bg_value *v = &s->values[i], *b = value_of(base, v->key->name);
        int show = !b || strcmp(b->text, v->text) != 0;
        if (!strcmp(v->key->name, "bits"))
            show = (show || !b->given) && v->text[0] && !bg_spec_given(s, "levels") && !open_ended(s);
        if (!show)
            continue;
        int wrote = snprintf(s->text + at, sizeof s->text - at, "%c%s=%s", sep, v->key->name, v->text);
        sep = ',';
        at += (size_t)wrote;
        if (at >= sizeof s->text)
            return bg_fail(e, BG_USAGE, "spec '%s…' is too long", s->name);
    }
    return BG_OK;
}

static int set_scope(bg_spec *s, bg_err *e)
{
    const bg_value *v = value_of(s, "scope");
    s->scope = (bg_scope){.kind = BG_SCOPE_TENSOR};
    if (!v)
        return BG_OK;
    if (v->number > 0)
        s->scope = (bg_scope){s->grid->flags & BG_GRID_FLAT ? BG_SCOPE_BLOCK : BG_SCOPE_GROUP, (int)v->number};
    else if (!strcmp(v->text, "channel"))
        s->scope.kind = BG_SCOPE_CHANNEL;
    if (s->shared_rows > 1 && s->scope.kind != BG_SCOPE_CHANNEL)
        return bg_fail(e, BG_USAGE, "rows=%d belongs to scope=channel: that many rows share", s->shared_rows);
    if (s->shared_rows > 1)
        s->scope = (bg_scope){BG_SCOPE_ROWS, s->shared_rows};
    return BG_OK;
}

static int check_composition(const bg_spec *s, const char *whole, bg_err *e)
{
    if (s->grid->kind != BG_GRID_SCALAR && bg_spec_given(s, "round") && s->rounding->scalar_only)
        return bg_fail(e, BG_USAGE, "spec '%s': round=%s needs a scalar grid", whole, s->rounding->name);
    int status = s->grid->check ? s->grid->check(s, e) : BG_OK;
    return !status && s->rounding->check ? s->rounding->check(s, e) : status;
}

/* ---- compiling ---- */

static const bg_key *common_key(const char *name)
{
    for (const bg_key *k = bg_common_keys; k->name; k++)
        if (!strcmp(k->name, name))
            return k;
    return NULL;
}

static int is_key_of(const bg_key *keys, const bg_key *key)
{
    for (const bg_key *k = keys; k && k->name; k++)
        if (k == key)
            return 1;
    return 0;
}

/* The place of a word in the list of another key: a grid may take only some of the words of a common key. */
static int word_index(const bg_key *k, const bg_value *v)
{
    bg_value again = {.key = k};
    return word_in(k, v->text, &again) ? again.word : v->word;
}

static void store_value(const bg_key *k, const bg_value *v, unsigned char *at)
{
    int whole = k->type == BG_KEY_WORD ? word_index(k, v) : (int)v->number;
    bg_word choice = {.word = whole, .number = v->number};
    switch (k->store) {
    case BG_AS_NOTHING:
        return;
    case BG_AS_DOUBLE:
        memcpy(at, &v->number, sizeof v->number);
        return;
    case BG_AS_INT:
        memcpy(at, &whole, sizeof whole);
        return;
    case BG_AS_CHOICE:
        memcpy(at, &choice, sizeof choice);
        return;
    case BG_AS_TEXT:
        memcpy(at, v->text, sizeof v->text);
        return;
    }
}

static bg_params *params_of(bg_spec *s, const bg_key *k)
{
    if (is_key_of(s->grid->keys, k))
        return &s->grid_params;
    return is_key_of(s->transform->keys, k) ? &s->transform_params : &s->rounding_params;
}

/* Every value to where its key says. A key that two rows declare belongs to the first of them: the other keeps its
 * default. */
static void store_values(bg_spec *s)
{
    const bg_key *lists[] = {s->transform->keys, s->rounding->keys};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        for (const bg_key *k = lists[i]; k && k->name; k++) {
            bg_value v = {.key = k};
            if (!k->in_spec && k->default_text && !set_value(&v, k->default_text, s->name, NULL))
                store_value(k, &v, params_of(s, k)->bytes + k->offset);
        }
    for (int i = 0; i < s->n_values; i++) {
        const bg_value *v = &s->values[i];
        const bg_key *common = common_key(v->key->name), *k = common ? common : v->key;
        BG_ASSERT(common || k->store != BG_AS_NOTHING); /* a row reads every key that it declares */
        if (v->text[0])
            store_value(k, v, k->in_spec ? (unsigned char *)s + k->offset : params_of(s, k)->bytes + k->offset);
    }
}

static int points_of(const bg_spec *s)
{
    if (s->grid->kind != BG_GRID_SCALAR && s->grid->bits)
        return 0; /* its points are vectors or paths */
    if (s->levels)
        return s->levels;
    if (s->grid->points)
        return s->grid->points;
    return 1 << (value_of(s, "bits") ? (int)s->bits : s->grid->bits ? (int)s->grid->bits(s) : 0);
}

/* What follows from the values of a point that passed its checks. */
static void derive(bg_spec *s)
{
    s->points = points_of(s);
    s->nominal_bits = s->open_ended ? (double)NAN : s->grid->bits ? s->grid->bits(s) : log2(s->points);
    s->two_level = s->double_quantized || s->scale == BG_SCALE_E4M3;
    s->fits_importance = s->weighted || s->clip.word == BG_CLIP_OUTPUT;
}

/* A point whose pairs hold no ranges. The first `preset` pairs are the preset's. */
static int parse_point(const char *name, const bg_grid *grid, const pairs *p, int preset, const char *whole,
                       bg_spec *out, bg_err *e)
{
    bg_spec *base = calloc(1, sizeof *base);
    if (!base)
        return bg_no_memory(e, "a spec", sizeof *base);
    memset(out, 0, sizeof *out);
    snprintf(out->name, sizeof out->name, "%s", name);
    out->grid = grid;
    int status = choose_rows(out, p, e);
    if (!status) {
        gather_keys(out);
        status = apply_defaults(out, whole, e);
    }
    if (!status) {
        status = apply_pairs(out, p, 0, preset, whole, e);
        *base = *out;
    }
    if (!status)
        status = apply_pairs(out, p, preset, p->n, whole, e);
    if (!status)
        status = canonical(out, base, e);
    if (!status) {
        store_values(out);
        out->open_ended = open_ended(out);
        status = set_scope(out, e);
    }
    if (!status)
        status = check_composition(out, whole, e);
    if (!status)
        derive(out);
    free(base);
    return status;
}

/* ---- sweeps ---- */

static int append(bg_spec **specs, int *n, const bg_spec *s, bg_err *e)
{
    for (int i = 0; i < *n; i++)
        if (!strcmp((*specs)[i].text, s->text))
            return BG_OK; /* the same point, written twice */
    if (*n >= 4096)
        return bg_fail(e, BG_USAGE, "more than 4096 specs in one sweep");
    bg_spec *more = realloc(*specs, ((size_t)*n + 1) * sizeof **specs);
    if (!more)
        return bg_no_memory(e, "specs", ((size_t)*n + 1) * sizeof **specs);
    *specs = more;
    more[(*n)++] = *s;
    return BG_OK;
}

/* One argument that is swept: its pairs, of which the first `preset` are the preset's, and where its points go. */
typedef struct sweep {
    const char *name, *whole;
    const bg_grid *grid;
    pairs *pairs;
    int preset;
    bg_spec **specs;
    int *n;
} sweep;

static int add_point(const sweep *w, bg_err *e)
{
    bg_spec *one = malloc(sizeof *one);
    if (!one)
        return bg_no_memory(e, "a spec", sizeof *one);
    int status = parse_point(w->name, w->grid, w->pairs, w->preset, w->whole, one, e);
    if (!status)
        status = append(w->specs, w->n, one, e);
    free(one);
    return status;
}

/* Runs through the values of pair `at` and of those behind it; the last runs fastest. */
static int add_points(const sweep *w, int at, bg_err *e)
{
    if (at == w->pairs->n)
        return add_point(w, e);
    char(*words)[BG_VALUE_TEXT] = malloc(sizeof(char[LIST][BG_VALUE_TEXT]));
    if (!words)
        return bg_no_memory(e, "a sweep", sizeof(char[LIST][BG_VALUE_TEXT]));
    pair saved = w->pairs->at[at];
    int count = expand(saved.value, words), status = BG_OK;
    if (!count)
        status = bg_fail(e, BG_USAGE,
                         "spec '%s': '%s' is no range a..b of whole numbers and no list a/b/c (at most %d values)",
                         w->whole, saved.value, LIST);
    for (int i = 0; i < count && !status; i++) {
        memcpy(w->pairs->at[at].value, words[i], BG_VALUE_TEXT);
        status = add_points(w, at + 1, e);
    }
    w->pairs->at[at] = saved;
    free(words);
    return status;
}

static int parse_named(const char *name, const char *rest, const char *whole, bg_spec **specs, int *n, bg_err *e)
{
    pairs p = {0};
    const bg_preset *preset = find_preset(name);
    const bg_grid *grid = find_grid(name);
    char grid_name[32];
    int status = BG_OK, of_preset = 0;
    if (preset) {
        const char *colon = strchr(preset->expansion, ':');
        size_t length = colon ? (size_t)(colon - preset->expansion) : strlen(preset->expansion);
        snprintf(grid_name, sizeof grid_name, "%.*s", (int)length, preset->expansion);
        grid = find_grid(grid_name);
        if (colon)
            status = split_pairs(colon + 1, preset->expansion, &p, e);
        of_preset = p.n;
    }
    if (!grid)
        return unknown_name(name, e);
    if (!status && rest)
        status = split_pairs(rest, whole, &p, e);
    sweep w = {.name = name, .whole = whole, .grid = grid, .pairs = &p, .preset = of_preset, .specs = specs, .n = n};
    return status ? status : add_points(&w, 0, e);
}

/* Each word of an alias, with the user's further keys behind its own. */
static int parse_alias(const bg_alias *a, const char *rest, bg_spec **specs, int *n, bg_err *e)
{
    const char *at = a->specs;
    while (*at) {
        size_t length = strcspn(at, " ");
        char word[BG_SPEC_TEXT * 2];
        snprintf(word, sizeof word, "%.*s%s%s", (int)length, at, rest ? (memchr(at, ':', length) ? "," : ":") : "",
                 rest ? rest : "");
        int status = bg_specs_parse(word, specs, n, e);
        if (status)
            return bg_context(e, "%s", a->name);
        at += length;
        at += strspn(at, " ");
    }
    return BG_OK;
}

int bg_specs_parse(const char *text, bg_spec **specs, int *n, bg_err *e)
{
    char name[32];
    const char *colon = strchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : strlen(text);
    if (!length || length >= sizeof name || strlen(text) >= 2 * BG_SPEC_TEXT)
        return bg_fail(e, BG_USAGE, "'%.80s' is no spec NAME[:key=value,…]", text);
    memcpy(name, text, length);
    name[length] = 0;
    if (colon && !colon[1])
        return bg_fail(e, BG_USAGE, "spec '%s' ends in a colon", text);
    const bg_alias *alias = find_alias(name);
    return alias ? parse_alias(alias, colon ? colon + 1 : NULL, specs, n, e)
                 : parse_named(name, colon ? colon + 1 : NULL, text, specs, n, e);
}

int bg_spec_parse(const char *text, bg_spec *out, bg_err *e)
{
    bg_spec *specs = NULL;
    int n = 0, status = bg_specs_parse(text, &specs, &n, e);
    if (!status && n != 1)
        status = bg_fail(e, BG_USAGE, "'%s' names %d specs where one is expected", text, n);
    if (!status)
        *out = specs[0];
    free(specs);
    return status;
}
