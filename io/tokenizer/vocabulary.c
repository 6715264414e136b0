/* Owns the vocabulary: strings by id, and ids by string through open addressing at a load of at most one half. */
#include "io/tokenizer/parts.h"

#include <stdlib.h>
#include <string.h>

uint64_t bg_mix64(uint64_t x) /* finaliser of splitmix64 (Steele, Lea, Flood 2014) */
{
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

static uint64_t hash_bytes(const char *s, size_t n)
{
    uint64_t h = n, word;
    for (; n >= 8; s += 8, n -= 8) {
        memcpy(&word, s, 8);
        h = bg_mix64(h ^ word);
    }
    word = 0;
    if (n)
        memcpy(&word, s, n);
    return bg_mix64(h + 0x9E3779B97F4A7C15u + word);
}

/* The slot that holds s, or the empty one where it belongs. */
static size_t slot_of(const bg_vocab *v, const char *s, size_t n)
{
    size_t at = hash_bytes(s, n) & (v->n_slots - 1);
    for (; v->slots[at]; at = (at + 1) & (v->n_slots - 1)) {
        const struct bg_vocab_entry *entry = &v->entries[v->slots[at] - 1];
        if (entry->length == n && !memcmp(v->bytes.bytes + entry->start, s, n))
            break;
    }
    return at;
}

int32_t bg_vocab_find(const bg_vocab *v, const char *s, size_t n)
{
    return v->n_slots && n ? (int32_t)v->slots[slot_of(v, s, n)] - 1 : -1;
}

const char *bg_vocab_string(const bg_vocab *v, int32_t id, size_t *n)
{
    if (id < 0 || id >= v->size || !v->entries[id].used)
        return NULL;
    *n = v->entries[id].length;
    return v->bytes.bytes + v->entries[id].start;
}

static int rehash(bg_vocab *v, bg_err *e)
{
    size_t n = v->n_slots ? 2 * v->n_slots : 1024;
    uint32_t *slots = calloc(n, sizeof *slots);
    if (!slots)
        return bg_no_memory(e, "the vocabulary", n * sizeof *slots);
    free(v->slots);
    v->slots = slots;
    v->n_slots = n;
    for (int32_t id = 0; id < v->size; id++) {
        const struct bg_vocab_entry *entry = &v->entries[id];
        if (entry->used && entry->length)
            v->slots[slot_of(v, v->bytes.bytes + entry->start, entry->length)] = (uint32_t)id + 1;
    }
    return BG_OK;
}

static int room_for_id(bg_vocab *v, int32_t id, bg_err *e)
{
    size_t want = v->room ? v->room : 1024;
    while (want <= (size_t)id)
        want *= 2;
    if (want > v->room) {
        void *p = realloc(v->entries, want * sizeof *v->entries);
        if (!p)
            return bg_no_memory(e, "the vocabulary", want * sizeof *v->entries);
        v->entries = p;
        memset(v->entries + v->room, 0, (want - v->room) * sizeof *v->entries);
        v->room = want;
    }
    return BG_OK;
}

int bg_vocab_add(bg_vocab *v, const char *s, size_t n, int64_t id, bg_err *e)
{
    if (id < 0 || id >= BG_TOK_ID_LIMIT)
        return bg_fail(e, BG_INPUT, "token '%.40s' has the id %lld, outside 0..%d", s, (long long)id,
                       BG_TOK_ID_LIMIT - 1);
    if (n > UINT32_MAX / 2)
        return bg_fail(e, BG_INPUT, "the token with id %lld is %zu bytes long", (long long)id, n);
    int status = room_for_id(v, (int32_t)id, e);
    if (!status && 2 * (v->count + 1) > v->n_slots)
        status = rehash(v, e);
    if (status)
        return status;
    if (v->entries[id].used)
        return bg_fail(e, BG_INPUT, "two tokens have the id %lld, one of them '%.40s'", (long long)id, s);
    size_t slot = slot_of(v, s, n);
    if (n && v->slots[slot])
        return bg_fail(e, BG_INPUT, "the token '%.40s' has two ids, %lld and %u", s, (long long)id, v->slots[slot] - 1);
    size_t start = v->bytes.length;
    bg_bytes_add(&v->bytes, s, n);
    if (v->bytes.failed)
        return bg_no_memory(e, "the vocabulary", n);
    v->entries[id] = (struct bg_vocab_entry){start, (uint32_t)n, 1};
    if (id >= v->size)
        v->size = (int32_t)id + 1;
    if (n) {
        v->slots[slot] = (uint32_t)id + 1;
        v->count++;
    }
    return BG_OK;
}

void bg_vocab_free(bg_vocab *v)
{
    bg_bytes_free(&v->bytes);
    free(v->entries);
    free(v->slots);
    *v = (bg_vocab){0};
}
