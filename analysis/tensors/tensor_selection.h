/* A selection: the tensors of a checkpoint that a stage reads.
 *
 * MODEL is a checkpoint or a groups.json, which names the checkpoint it was made from and the tensors it listed.
 * Options narrow the choice further: --include, --exclude, --layers, --roles, --shard.
 */
#ifndef BG_ANALYSIS_TENSORS_TENSOR_SELECTION_H
#define BG_ANALYSIS_TENSORS_TENSOR_SELECTION_H

#include "io/checkpoints/checkpoint.h"
#include "io/base/options.h"
#include "quant/engine/quantize.h"

typedef struct bg_selection {
    bg_ckpt *ckpt;
    const bg_tensor **tensors; /* in the checkpoint's order */
    int n;
    double weights; /* of all of them */
} bg_selection;

/* The options of every stage that takes a selection; put them into its table. */
#define BG_SELECTION_OPTIONS                                                                                           \
    {.name = "include", .argument = "REGEX", .help = "only tensors whose name matches"},                               \
        {.name = "exclude", .argument = "REGEX", .help = "no tensors whose name matches"},                             \
        {.name = "layers", .argument = "LIST", .help = "only these layers, e.g. 0,5,11"},                              \
        {.name = "roles",                                                                                              \
         .old_name = "groups",                                                                                         \
         .argument = "LIST",                                                                                           \
         .help = "only these roles, e.g. mlp.down_proj,attn.q_proj"},                                                  \
    {                                                                                                                  \
        .name = "shard", .argument = "I/N",                                                                            \
        .help = "only part I of N of about equal size; bitgap merge joins the documents"                               \
    }

/* Opens MODEL, selects, and adds its files to the provenance. An empty selection is BG_USAGE. */
int bg_selection_open(bg_selection *s, const char *model, const bg_args *a, bg_provenance *p, bg_err *e);
void bg_selection_close(bg_selection *s);

/* The tensor as a matrix whose rows come from the file on demand. Both live as long as the selection. */
bg_matrix bg_selection_matrix(const bg_selection *s, const bg_tensor *t, uint64_t seed);

#endif
