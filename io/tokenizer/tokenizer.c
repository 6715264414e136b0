/* Owns the tokenizer as a whole: opening, the order of the steps of encoding and decoding, and look-ups. */
#include "io/tokenizer/parts.h"

#include <stdlib.h>
#include <string.h>
#include "io/base/file.h"

void bg_ids_free(bg_ids *ids)
{
    free(ids->id);
    *ids = (bg_ids){0};
}

void bg_tokenizer_close(bg_tokenizer *t)
{
    if (!t)
        return;
    bg_added_free(&t->added);
    free(t->added_of_id);
    bg_normalizers_free(&t->normalizers);
    bg_pretokenizers_free(&t->pretokenizers);
    bg_bpe_free(&t->bpe);
    bg_post_free(&t->post);
    bg_decoders_free(&t->decoders);
    free(t);
}

/* ---- opening ---- */

/* Tokens with `normalized` are looked for in normalized text, so their contents are normalized first. */
static int build_tries(bg_tokenizer *t, bg_err *e)
{
    bg_bytes text = {0}, spare = {0};
    bg_matcher m = {0};
    int status = BG_OK;
    for (int i = 0; i < t->added.n && !status; i++) {
        const bg_added *a = &t->added.tokens[i];
        if (a->unmatched)
            continue;
        text.length = 0;
        bg_bytes_add(&text, a->content, a->length);
        if (text.failed)
            status = bg_no_memory(e, "an added token", a->length);
        else if (a->normalized)
            status = bg_normalize(&t->normalizers, &m, &text, &spare, e);
        if (!status)
            status =
                bg_trie_insert(a->normalized ? &t->added.normalized : &t->added.raw, text.bytes, text.length, i, e);
    }
    bg_matcher_free(&m);
    bg_bytes_free(&text);
    bg_bytes_free(&spare);
    return status;
}

int bg_tokenizer_finish(bg_tokenizer *t, bg_err *e)
{
    t->size = t->bpe.vocab.size;
    for (int i = 0; i < t->added.n; i++)
        if (t->added.tokens[i].id >= t->size)
            t->size = t->added.tokens[i].id + 1;
    for (size_t i = 0; i < t->post.before.n + t->post.after.n; i++) {
        int32_t id = i < t->post.before.n ? t->post.before.id[i] : t->post.after.id[i - t->post.before.n];
        if (id >= t->size)
            return bg_fail(e, BG_INPUT, "the post-processor adds the id %d, outside the vocabulary of %d", id, t->size);
    }
    t->added_of_id = malloc(((size_t)t->size + 1) * sizeof *t->added_of_id);
    if (!t->added_of_id)
        return bg_no_memory(e, "the vocabulary", (size_t)t->size * sizeof *t->added_of_id);
    for (int32_t i = 0; i < t->size; i++)
        t->added_of_id[i] = -1;
    for (int i = 0; i < t->added.n; i++)
        t->added_of_id[t->added.tokens[i].id] = i;
    return build_tries(t, e);
}

/* ---- encoding ---- */

typedef struct bg_encoder {
    const bg_tokenizer *t;
    bg_matcher matcher;
    bg_merger merger;
    bg_pieces pieces, spare;
    bg_bytes text, spare_text;
    bg_stretches stretches;
    bg_id_list ids;
} bg_encoder;

static void encoder_free(bg_encoder *c)
{
    bg_matcher_free(&c->matcher);
    bg_merger_free(&c->merger);
    bg_pieces_free(&c->pieces);
    bg_pieces_free(&c->spare);
    bg_bytes_free(&c->text);
    bg_bytes_free(&c->spare_text);
    free(c->stretches.at);
}

/* Words and ids of a stretch of normalized text without added tokens. */
static int encode_plain(bg_encoder *c, const char *text, size_t length, int at_start, bg_err *e)
{
    bg_pieces *p = &c->pieces;
    p->n = 0;
    p->text.length = 0;
    p->at_start = at_start;
    bg_bytes_add(&p->text, text, length);
    bg_pieces_add(p, 0, length);
    if (p->text.failed)
        return bg_no_memory(e, "a text", length);
    int status = bg_pretokenize(&c->t->pretokenizers, &c->matcher, p, &c->spare, e);
    for (size_t i = 0; i < p->n && !status; i++)
        status =
            bg_bpe_encode(&c->t->bpe, &c->merger, p->text.bytes + p->spans[i].start, p->spans[i].length, &c->ids, e);
    return status;
}

/* A stretch of raw text between added tokens: normalize, then cut out the added tokens of normalized text. */
static int encode_raw(bg_encoder *c, const char *text, size_t length, int at_start, bg_err *e)
{
    const bg_tokenizer *t = c->t;
    c->text.length = 0;
    bg_bytes_add(&c->text, text, length);
    if (c->text.failed)
        return bg_no_memory(e, "a text", length);
    int status = bg_normalize(&t->normalizers, &c->matcher, &c->text, &c->spare_text, e);
    if (status)
        return status;
    if (!t->added.normalized.n)
        return c->text.length ? encode_plain(c, c->text.bytes, c->text.length, at_start, e) : BG_OK;
    bg_stretches s = {0};
    bg_added_cut(&t->added, &t->added.normalized, c->text.bytes, c->text.length, &s);
    if (s.failed)
        status = bg_no_memory(e, "the stretches of a text", s.n * sizeof *s.at);
    for (size_t i = 0; i < s.n && !status; i++)
        if (s.at[i].id >= 0)
            bg_id_list_add(&c->ids, s.at[i].id);
        else
            status = encode_plain(c, c->text.bytes + s.at[i].span.start, s.at[i].span.length, at_start && !i, e);
    free(s.at);
    return status;
}

static int encode_text(bg_encoder *c, const char *text, size_t length, bg_err *e)
{
    int status = BG_OK;
    bg_added_cut(&c->t->added, &c->t->added.raw, text, length, &c->stretches);
    if (c->stretches.failed)
        return bg_no_memory(e, "the stretches of a text", c->stretches.n * sizeof *c->stretches.at);
    for (size_t i = 0; i < c->stretches.n && !status; i++) {
        bg_stretch s = c->stretches.at[i];
        if (s.id >= 0)
            bg_id_list_add(&c->ids, s.id);
        else
            status = encode_raw(c, text + s.span.start, s.span.length, !s.span.start, e);
    }
    return status;
}

static void add_all(bg_id_list *to, const bg_id_list *from)
{
    for (size_t i = 0; i < from->n; i++)
        bg_id_list_add(to, from->id[i]);
}

int bg_tokenizer_encode(const bg_tokenizer *t, const char *text, size_t length, int with_special, bg_ids *out,
                        bg_err *e)
{
    bg_encoder c = {.t = t};
    bg_bytes clean = {0};
    *out = (bg_ids){0};
    size_t replaced = bg_utf8_repair(text, length, &clean);
    int status = clean.failed ? bg_no_memory(e, "a text", length) : BG_OK;
    if (with_special)
        add_all(&c.ids, &t->post.before);
    if (!status)
        status = encode_text(&c, clean.bytes, clean.length, e);
    if (with_special)
        add_all(&c.ids, &t->post.after);
    if (!status && c.ids.failed)
        status = bg_no_memory(e, "token ids", c.ids.n * sizeof *c.ids.id);
    encoder_free(&c);
    bg_bytes_free(&clean);
    if (status)
        free(c.ids.id);
    else
        *out = (bg_ids){c.ids.id, c.ids.n, replaced};
    return status;
}

/* ---- decoding ---- */

int bg_tokenizer_decode(const bg_tokenizer *t, const int32_t *ids, size_t n, int skip_special, char **text,
                        size_t *length, bg_err *e)
{
    bg_pieces p = {0}, spare = {0};
    bg_matcher m = {0};
    int status = BG_OK;
    *text = NULL;
    for (size_t i = 0; i < n && !status; i++) {
        size_t size, start = p.text.length;
        if (ids[i] < 0 || ids[i] >= t->size)
            status = bg_fail(e, BG_INPUT, "token id %d is outside the vocabulary of %d", ids[i], t->size);
        else if (!(skip_special && bg_tokenizer_is_special(t, ids[i]))) {
            const char *s = bg_tokenizer_string(t, ids[i], &size);
            if (s) {
                bg_bytes_add(&p.text, s, size);
                bg_pieces_add(&p, start, size);
            }
        }
    }
    if (!status && p.text.failed)
        status = bg_no_memory(e, "decoding", p.text.length);
    if (!status)
        status = bg_decode(&t->decoders, &m, &p, &spare, e);
    if (!status) {
        *length = p.text.length;
        bg_bytes_add(&p.text, "", 1);
        if (p.text.failed)
            status = bg_no_memory(e, "decoding", *length);
    }
    bg_matcher_free(&m);
    bg_pieces_free(&spare);
    if (!status) {
        *text = p.text.bytes;
        p.text.bytes = NULL;
    }
    bg_pieces_free(&p);
    return status;
}

/* ---- look-ups ---- */

int32_t bg_tokenizer_size(const bg_tokenizer *t)
{
    return t->size;
}

int32_t bg_tokenizer_find(const bg_tokenizer *t, const char *token, size_t length)
{
    for (int i = t->added.n - 1; i >= 0; i--)
        if (t->added.tokens[i].length == length && !memcmp(t->added.tokens[i].content, token, length))
            return t->added.tokens[i].id;
    return bg_vocab_find(&t->bpe.vocab, token, length);
}

const char *bg_tokenizer_string(const bg_tokenizer *t, int32_t id, size_t *length)
{
    if (id < 0 || id >= t->size)
        return NULL;
    if (t->added_of_id[id] >= 0) {
        const bg_added *a = &t->added.tokens[t->added_of_id[id]];
        *length = a->length;
        return a->content;
    }
    return bg_vocab_string(&t->bpe.vocab, id, length);
}

int bg_tokenizer_is_special(const bg_tokenizer *t, int32_t id)
{
    return id >= 0 && id < t->size && t->added_of_id[id] >= 0 && t->added.tokens[t->added_of_id[id]].special;
}

int32_t bg_tokenizer_bos(const bg_tokenizer *t)
{
    return t->bos;
}

int32_t bg_tokenizer_eos(const bg_tokenizer *t)
{
    return t->eos;
}
