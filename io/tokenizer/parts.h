/* The parts of the tokenizer, for io/tokenizer_*.c only. Text runs through them in this order:
 *
 *     text.c        UTF-8 repair, growable text and pieces
 *     added.c       cuts added tokens out of the raw text, and out of the normalized text
 *     normalize.c   normal forms, Prepend, Replace, …
 *     pretokenize.c cuts the text into words: Split, ByteLevel, Metaspace, …
 *     bpe.c         a word to ids, by merges (tokenizer.json) or by scores (SentencePiece in GGUF)
 *     post.c        special tokens around the ids
 *     decode.c      ids back to text
 *
 * vocab.c holds strings and ids, regex.c the patterns, json.c and gguf.c fill everything from a file.
 * Behaviour: huggingface/tokenizers 0.23 and, for scores, google/sentencepiece.
 */
#ifndef BG_IO_TOKENIZER_PARTS_H
#define BG_IO_TOKENIZER_PARTS_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include "io/base/json.h"
#include "io/tokenizer/tokenizer.h"

enum {
    BG_TOK_FILE_LIMIT = 512 << 20, /* bytes of a tokenizer.json */
    BG_TOK_ID_LIMIT = 1 << 24,     /* ids are below this */
    BG_TOK_STEPS = 32,             /* normalizers, pre-tokenizers or decoders in a sequence */
    BG_TOK_PATTERN_LIMIT = 16384,  /* bytes of a regular expression */
};

/* ---- text.c ---- */

/* Bytes that grow. Running out of memory sticks in `failed`, looked at once after a series of adds. */
typedef struct bg_bytes {
    char *bytes;
    size_t length, room;
    int failed;
} bg_bytes;
void bg_bytes_add(bg_bytes *t, const char *bytes, size_t n);
void bg_bytes_add_code_point(bg_bytes *t, uint32_t c);
void bg_bytes_free(bg_bytes *t);

typedef struct bg_span {
    size_t start, length;
} bg_span;

/* A text and the pieces it has been cut into. Empty pieces are never kept. */
typedef struct bg_pieces {
    bg_bytes text;
    bg_span *spans;
    size_t n, room;
    int at_start; /* the first piece begins where the whole input begins */
} bg_pieces;
void bg_pieces_add(bg_pieces *p, size_t start, size_t length);
void bg_pieces_free(bg_pieces *p);

/* Code point at s (valid UTF-8, n ≥ 1 bytes left); *used receives its bytes. */
uint32_t bg_utf8_at(const char *s, size_t n, size_t *used);
/* Bytes of the UTF-8 sequence that begins with this byte. */
static inline size_t bg_utf8_width(unsigned char first)
{
    return first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}
/* Appends text with every maximal invalid sequence replaced by U+FFFD (Unicode 15, section 3.9, as Rust and WHATWG do);
 * returns how many there were. */
size_t bg_utf8_repair(const char *text, size_t length, bg_bytes *out);
/* Unicode White_Space; \w of Unicode TS 18. */
int bg_is_space(uint32_t c);
int bg_is_word(uint32_t c);

/* ---- vocab.c ---- */

typedef struct bg_vocab {
    bg_bytes bytes;
    struct bg_vocab_entry {
        size_t start;
        uint32_t length;
        uint32_t used;
    } * entries;  /* by id */
    int32_t size; /* one more than the largest id */
    size_t room;
    uint32_t *slots; /* open addressing: id + 1, 0 when empty */
    size_t n_slots, count;
} bg_vocab;
/* A string or an id that is already there is BG_INPUT. */
int bg_vocab_add(bg_vocab *v, const char *s, size_t n, int64_t id, bg_err *e);
int32_t bg_vocab_find(const bg_vocab *v, const char *s, size_t n);
const char *bg_vocab_string(const bg_vocab *v, int32_t id, size_t *n);
void bg_vocab_free(bg_vocab *v);
uint64_t bg_mix64(uint64_t x);

/* ---- regex.c ---- */

/* Where a pattern is looked for: a literal string or a regular expression. */
typedef struct bg_pattern {
    char *literal;
    size_t length;
    pcre2_code *regex;
} bg_pattern;
/* What one thread needs to match; zeroed at first. */
typedef struct bg_matcher {
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
} bg_matcher;
int bg_pattern_literal(bg_pattern *p, const char *s, bg_err *e);
int bg_pattern_regex(bg_pattern *p, const char *s, bg_err *e);
/* {"String": s} or {"Regex": s}. */
int bg_pattern_load(bg_pattern *p, const cJSON *node, bg_err *e);
void bg_pattern_free(bg_pattern *p);
/* Leftmost match in text[from..length), at [*a, *b) in *found. */
int bg_pattern_next(const bg_pattern *p, bg_matcher *m, const char *text, size_t length, size_t from, int *found,
                    size_t *a, size_t *b, bg_err *e);
void bg_matcher_free(bg_matcher *m);

/* ---- added.c ---- */

typedef struct bg_added {
    char *content;
    size_t length;
    int32_t id;
    unsigned char single_word, lstrip, rstrip, normalized, special;
    unsigned char unmatched; /* never cut out of a text, only decoded */
} bg_added;

/* A byte trie over the contents of some added tokens; node 0 is the root. */
typedef struct bg_trie {
    struct bg_trie_node {
        uint32_t child, sibling;
        int32_t token; /* index into the added tokens, −1 */
        unsigned char byte;
    } * nodes;
    uint32_t n, room;
    uint32_t first[256]; /* children of the root */
} bg_trie;

typedef struct bg_added_tokens {
    bg_added *tokens;
    int n, room;
    bg_trie raw, normalized;
} bg_added_tokens;

/* A stretch of text: an added token (id ≥ 0) or plain (−1). */
typedef struct bg_stretch {
    bg_span span;
    int32_t id;
} bg_stretch;
typedef struct bg_stretches {
    bg_stretch *at;
    size_t n, room;
    int failed;
} bg_stretches;
int bg_added_append(bg_added_tokens *a, const bg_added *token, bg_err *e);
int bg_trie_insert(bg_trie *t, const char *s, size_t n, int32_t token, bg_err *e);
void bg_added_cut(const bg_added_tokens *a, const bg_trie *which, const char *text, size_t length, bg_stretches *out);
void bg_added_free(bg_added_tokens *a);

/* ---- normalize.c ---- */

typedef enum bg_normalizer_kind {
    BG_NORM_NFC,
    BG_NORM_NFD,
    BG_NORM_NFKC,
    BG_NORM_NFKD,
    BG_NORM_PREPEND,
    BG_NORM_REPLACE,
    BG_NORM_LOWERCASE,
    BG_NORM_STRIP
} bg_normalizer_kind;
typedef struct bg_normalizer {
    bg_normalizer_kind kind;
    bg_pattern pattern; /* Replace */
    char *content;      /* Prepend, Replace */
    int left, right;    /* Strip */
} bg_normalizer;
typedef struct bg_normalizers {
    bg_normalizer at[BG_TOK_STEPS];
    int n;
} bg_normalizers;
int bg_normalizers_load(bg_normalizers *s, const cJSON *node, int depth, bg_err *e);
int bg_normalizers_add(bg_normalizers *s, bg_normalizer_kind kind, const char *from, const char *to, bg_err *e);
/* Normalizes *text in place; *spare is working space that may be swapped with it. */
int bg_normalize(const bg_normalizers *s, bg_matcher *m, bg_bytes *text, bg_bytes *spare, bg_err *e);
void bg_normalizers_free(bg_normalizers *s);

/* ---- pretokenize.c ---- */

typedef enum bg_behavior {
    BG_ISOLATED,
    BG_REMOVED,
    BG_MERGED_WITH_PREVIOUS,
    BG_MERGED_WITH_NEXT,
    BG_CONTIGUOUS
} bg_behavior;
typedef enum bg_pretokenizer_kind {
    BG_PRE_SPLIT,
    BG_PRE_SPACE_PREFIX,
    BG_PRE_BYTES,
    BG_PRE_METASPACE
} bg_pretokenizer_kind;
typedef struct bg_pretokenizer {
    bg_pretokenizer_kind kind;
    bg_pattern pattern; /* SPLIT */
    bg_behavior behavior;
    int invert;
    int prefix;          /* METASPACE: prefixes 0 no piece, 1 the first, 2 every one */
    char replacement[5]; /* METASPACE: what stands for a space */
} bg_pretokenizer;
typedef struct bg_pretokenizers {
    bg_pretokenizer at[BG_TOK_STEPS];
    int n;
} bg_pretokenizers;
int bg_pretokenizers_load(bg_pretokenizers *s, const cJSON *node, int depth, bg_err *e);
/* The patterns that files name instead of spelling: appends Split by the regular expression, Isolated. */
int bg_pretokenizers_add_regex(bg_pretokenizers *s, const char *regex, bg_err *e);
int bg_pretokenizers_add_bytes(bg_pretokenizers *s, bg_err *e);
extern const char bg_pattern_gpt2[];
/* Cuts *p into words; *spare is working space that may be swapped with it. */
int bg_pretokenize(const bg_pretokenizers *s, bg_matcher *m, bg_pieces *p, bg_pieces *spare, bg_err *e);
void bg_pretokenizers_free(bg_pretokenizers *s);
/* Code point that stands for a byte in a byte-level vocabulary, and back (−1). */
uint32_t bg_byte_stand_in(unsigned char b);
int bg_stand_in_byte(uint32_t c);

/* ---- bpe.c ---- */

typedef struct bg_merge {
    uint64_t pair; /* left id << 32 | right id */
    uint32_t rank;
    int32_t id; /* −1: empty slot */
} bg_merge;

typedef struct bg_bpe {
    bg_vocab vocab;
    bg_bytes joined;  /* of a merge, while loading */
    bg_merge *merges; /* open addressing */
    size_t n_slots, n_merges;
    uint32_t *score_rank; /* by id: place in the order of falling scores; NULL unless the file has scores */
    int32_t unknown;      /* −1: none */
    int32_t bytes[256];   /* ids of <0x00> … <0xFF>, −1 where absent */
    int byte_fallback, fuse_unknown, ignore_merges;
} bg_bpe;

/* Working space of one thread. */
typedef struct bg_symbol {
    int32_t id; /* −1: not in the vocabulary (scores only) */
    int32_t previous, next;
    uint32_t start, length; /* of the word's bytes */
} bg_symbol;
typedef struct bg_candidate {
    uint32_t rank;
    int32_t left, id;
} bg_candidate;
typedef struct bg_merger {
    bg_symbol *symbols;
    size_t n, room;
    bg_candidate *heap;
    size_t heap_n, heap_room;
    int failed;
} bg_merger;

typedef struct bg_id_list {
    int32_t *id;
    size_t n, room;
    int failed;
} bg_id_list;
void bg_id_list_add(bg_id_list *l, int32_t id);

int bg_bpe_reserve_merges(bg_bpe *b, size_t n, bg_err *e);
/* The merge of rank `rank`: left and right and their concatenation must be in the vocabulary. */
int bg_bpe_add_merge(bg_bpe *b, const char *left, size_t n_left, const char *right, size_t n_right, uint32_t rank,
                     bg_err *e);
/* "left right" with exactly one space. */
int bg_bpe_add_merge_line(bg_bpe *b, const char *line, size_t n, uint32_t rank, bg_err *e);
void bg_bpe_find_bytes(bg_bpe *b);
int bg_bpe_load(bg_bpe *b, const cJSON *model, bg_err *e);
/* Appends the ids of one word. */
int bg_bpe_encode(const bg_bpe *b, bg_merger *m, const char *word, size_t length, bg_id_list *out, bg_err *e);
void bg_bpe_free(bg_bpe *b);
void bg_merger_free(bg_merger *m);

/* ---- post.c ---- */

typedef struct bg_post {
    bg_id_list before, after;
} bg_post;
int bg_post_load(bg_post *p, const cJSON *node, int depth, bg_err *e);
void bg_post_free(bg_post *p);

/* ---- decode.c ---- */

typedef enum bg_decoder_kind {
    BG_DEC_BYTES,
    BG_DEC_REPLACE,
    BG_DEC_BYTE_FALLBACK,
    BG_DEC_FUSE,
    BG_DEC_STRIP,
    BG_DEC_METASPACE
} bg_decoder_kind;
typedef struct bg_decoder_step {
    bg_decoder_kind kind;
    bg_pattern pattern;  /* Replace */
    char *content;       /* Replace, Strip */
    int64_t start, stop; /* Strip */
    char replacement[5]; /* Metaspace */
    int prefix;
} bg_decoder_step;
typedef struct bg_decoders {
    bg_decoder_step at[BG_TOK_STEPS];
    int n;
} bg_decoders;
int bg_decoders_load(bg_decoders *s, const cJSON *node, int depth, bg_err *e);
int bg_decoders_add(bg_decoders *s, bg_decoder_kind kind, const char *from, const char *to, bg_err *e);
/* Runs the decoders over the token strings in *p (pieces of its text, empty ones kept); the joined text replaces them.
 */
int bg_decode(const bg_decoders *s, bg_matcher *m, bg_pieces *p, bg_pieces *spare, bg_err *e);
void bg_decoders_free(bg_decoders *s);

/* ---- tokenizer.c, json.c, gguf.c ---- */

struct bg_tokenizer {
    bg_added_tokens added;
    int32_t *added_of_id; /* by id: index into added.tokens, −1; `size` long */
    int32_t size;
    bg_normalizers normalizers;
    bg_pretokenizers pretokenizers;
    bg_bpe bpe;
    bg_post post;
    bg_decoders decoders;
    int32_t bos, eos;
};
/* Fills a zeroed tokenizer from a tokenizer.json. */
int bg_tokenizer_load_json(bg_tokenizer *t, const cJSON *root, bg_err *e);
/* After loading: normalizes the contents of added tokens, builds their tries and the index by id. */
int bg_tokenizer_finish(bg_tokenizer *t, bg_err *e);
/* bos and eos from the files beside tokenizer.json in the directory, where they are. */
int bg_tokenizer_find_ends(bg_tokenizer *t, const char *directory, bg_err *e);
int bg_tokenizer_load_gguf(bg_tokenizer *t, const char *path, bg_err *e);

#endif
