/* Owns distances between generated texts: Levenshtein, longest common subsequence, ROUGE-L, BLEU. */
#include "analysis/output/text_drift.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

size_t bg_first_difference(const int32_t *a, size_t n_a, const int32_t *b, size_t n_b)
{
    size_t n = n_a < n_b ? n_a : n_b, i = 0;
    while (i < n && a[i] == b[i])
        i++;
    return i;
}

int bg_edit_distance(const int32_t *a, size_t n_a, const int32_t *b, size_t n_b, size_t *out, bg_err *e)
{
    size_t *row = malloc((n_b + 1) * sizeof *row); /* row[j]: a[0..i) to b[0..j) */
    if (!row)
        return bg_no_memory(e, "an edit distance", (n_b + 1) * sizeof *row);
    for (size_t j = 0; j <= n_b; j++)
        row[j] = j;
    for (size_t i = 0; i < n_a; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < n_b; j++) {
            size_t best = diagonal + (a[i] != b[j]);
            best = row[j + 1] + 1 < best ? row[j + 1] + 1 : best;
            best = row[j] + 1 < best ? row[j] + 1 : best;
            diagonal = row[j + 1];
            row[j + 1] = best;
        }
    }
    *out = row[n_b];
    free(row);
    return BG_OK;
}

int bg_common_subsequence(const int32_t *a, size_t n_a, const int32_t *b, size_t n_b, size_t *out, bg_err *e)
{
    size_t *row = calloc(n_b + 1, sizeof *row);
    if (!row)
        return bg_no_memory(e, "a common subsequence", (n_b + 1) * sizeof *row);
    for (size_t i = 0; i < n_a; i++) {
        size_t diagonal = 0;
        for (size_t j = 0; j < n_b; j++) {
            size_t above = row[j + 1];
            if (a[i] == b[j])
                row[j + 1] = diagonal + 1;
            else if (row[j] > above)
                row[j + 1] = row[j];
            diagonal = above;
        }
    }
    *out = row[n_b];
    free(row);
    return BG_OK;
}

int bg_rouge_l(const int32_t *reference, size_t n_reference, const int32_t *other, size_t n_other, double *out,
               bg_err *e)
{
    size_t common;
    int status = bg_common_subsequence(reference, n_reference, other, n_other, &common, e);
    if (!status)
        *out = n_reference + n_other ? 2 * (double)common / (double)(n_reference + n_other) : 1;
    return status;
}

/* ---- BLEU ---- */

static size_t occurrences(const int32_t *text, size_t n, const int32_t *gram, size_t order)
{
    size_t count = 0;
    for (size_t i = 0; i + order <= n; i++)
        count += !memcmp(text + i, gram, order * sizeof *gram);
    return count;
}

/* Matches are clipped: an n-gram counts at most as often as the reference has it. Quadratic, for texts of some hundred
 * words. */
void bg_bleu_add(bg_bleu *b, const int32_t *reference, size_t n_reference, const int32_t *other, size_t n_other)
{
    for (size_t order = 1; order <= BG_BLEU_ORDERS; order++) {
        for (size_t i = 0; i + order <= n_other; i++) {
            if (occurrences(other, i + order - 1, other + i, order)) /* an earlier copy has counted them all */
                continue;
            size_t mine = occurrences(other, n_other, other + i, order);
            size_t theirs = occurrences(reference, n_reference, other + i, order);
            b->matches[order - 1] += mine < theirs ? mine : theirs;
        }
        b->total[order - 1] += n_other >= order ? n_other - order + 1 : 0;
    }
    b->reference_length += n_reference;
    b->length += n_other;
}

double bg_bleu_score(const bg_bleu *b)
{
    double sum = 0;
    int orders = 0;
    for (int i = 0; i < BG_BLEU_ORDERS; i++) {
        if (!b->total[i])
            continue;
        if (!b->matches[i])
            return 0;
        sum += log((double)b->matches[i] / (double)b->total[i]);
        orders++;
    }
    if (!orders)
        return b->reference_length ? 0 : 1;
    double brevity = b->length < b->reference_length ? 1 - (double)b->reference_length / (double)b->length : 0;
    return exp(brevity + sum / orders);
}

/* ---- words ---- */

typedef struct word {
    const char *text;
    size_t length, place; /* in the order of both texts */
} word;

static int by_text(const void *x, const void *y)
{
    const word *a = x, *b = y;
    size_t n = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->text, b->text, n);
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

static size_t split(const char *text, word *out, size_t place)
{
    size_t n = 0;
    while (*text) {
        while (isspace((unsigned char)*text))
            text++;
        const char *from = text;
        while (*text && !isspace((unsigned char)*text))
            text++;
        if (text > from) {
            out[n] = (word){from, (size_t)(text - from), place + n};
            n++;
        }
    }
    return n;
}

int bg_words(const char *text_a, const char *text_b, int32_t **a, size_t *n_a, int32_t **b, size_t *n_b, bg_err *e)
{
    size_t capacity = (strlen(text_a) + strlen(text_b)) / 2 + 2; /* a word and its space are two bytes at least */
    word *words = malloc(capacity * sizeof *words);
    int32_t *ids = malloc(capacity * sizeof *ids);
    if (words && ids) {
        *n_a = split(text_a, words, 0);
        *n_b = split(text_b, words + *n_a, *n_a);
    }
    *a = words && ids ? malloc((*n_a + 1) * sizeof **a) : NULL;
    *b = words && ids ? malloc((*n_b + 1) * sizeof **b) : NULL;
    int status = *a && *b ? BG_OK : bg_no_memory(e, "the words of a text", capacity * sizeof *words);
    if (status) {
        free(*a);
        free(*b);
        *a = *b = NULL;
    } else {
        qsort(words, *n_a + *n_b, sizeof *words, by_text);
        int32_t id = 0;
        for (size_t i = 0; i < *n_a + *n_b; i++) {
            id += i && by_text(&words[i - 1], &words[i]);
            ids[words[i].place] = id;
        }
        memcpy(*a, ids, *n_a * sizeof **a);
        memcpy(*b, ids + *n_a, *n_b * sizeof **b);
    }
    free(words);
    free(ids);
    return status;
}
