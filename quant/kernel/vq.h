/* Nearest codeword: which of K words of dimension d lies nearest to each of n vectors, in the least squares sense.
 *
 * |x − c|² = |x|² + 2·(|c|²/2 − c·x): the bracket is the score, d fused multiply-adds a pair. Sixteen vectors stay in
 * registers while the words stream past; words are held sixteen to a block so that the winner inside the best block is
 * found once at the end. Ties go to the lower index. Scores are rounded the same way in every version.
 *
 *     float *packed = malloc(bg_vq_packed_floats(K, d) * sizeof(float));
 *     bg_vq_pack(words, K, d, d, packed);
 *     bg_vq_nearest(&(bg_vq_words){packed, K, d}, (bg_vectors){x, n, d}, index, NULL);
 */
#ifndef BG_QUANT_KERNEL_VQ_H
#define BG_QUANT_KERNEL_VQ_H

#include <stddef.h>
#include <stdint.h>

/* n vectors: vector i is x[i·stride … + dims). */
typedef struct bg_vectors {
    const float *x;
    size_t n, stride;
} bg_vectors;

/* K words of `dims` components as bg_vq_pack lays them out. */
typedef struct bg_vq_words {
    const float *packed;
    int K, dims;
} bg_vq_words;

enum { BG_VQ_BLOCK = 16, BG_VQ_MAX_DIM = 64, BG_VQ_MAX_WORDS = 65536 };

/* Floats that bg_vq_pack writes. */
size_t bg_vq_packed_floats(int K, int dims);

/* words[K × stride], of which the first `dims` (≤ BG_VQ_MAX_DIM) of each count, as blocks of 16 words: |c|²/2, then one
 * row a dimension. The last block is filled up with words at infinity. */
void bg_vq_pack(const float *words, int K, int stride, int dims, float *packed);

/* index[n] of the word nearest to each vector; score[n] (may be NULL) the smallest |c|²/2 − c·x.
 * A vector with NaN gets index 0. */
void bg_vq_nearest(const bg_vq_words *w, bg_vectors v, uint16_t *index, float *score);
/* The same with the second smallest score too (infinite when K = 1): what bounds on moving words need. */
void bg_vq_two_nearest(const bg_vq_words *w, bg_vectors v, uint16_t *index, float *score, float *second);
/* bg_vq_nearest, one vector and one word at a time. */
void bg_vq_nearest_ref(const bg_vq_words *w, bg_vectors v, uint16_t *index, float *score);

/* For d = 2: the words' bounding box cut into cells × cells squares, cells = 2^levels; each square lists, ascending,
 * every word that is nearest to some point in it. Squares stand in Morton order (the bits of column and row
 * interleaved), so that the lists grow by halving: a square's words are among its parent's. Vectors outside the box are
 * searched in full. */
enum { BG_PLANE_MAX_LEVELS = 9 };
typedef struct bg_plane {
    float left, bottom, right, top, per_x, per_y;
    int levels;
    uint32_t spread[1 << BG_PLANE_MAX_LEVELS]; /* the bits of 0…cells−1 with gaps between them */
    uint32_t *start;                           /* [4^levels + 1] */
    uint16_t *list;
} bg_plane;

/* Fills p for words[K × 2] and returns the number of list entries; with p->list NULL it only counts them. The caller
 * has set levels, start and list. scratch[K × (levels + 1)]. */
size_t bg_plane_build(bg_plane *p, const float *words, int K, uint16_t *scratch);
/* As bg_vq_nearest for dims = 2, with the same answers. */
void bg_plane_nearest(const bg_plane *p, const bg_vq_words *w, bg_vectors v, uint16_t *index, float *score);

#endif
