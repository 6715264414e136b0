/* bitgap can-run: whether Bitgap can run a model, or the reason why it cannot. */
#include <stdio.h>
#include "analysis/output/can_run.h"
#include "io/base/options.h"
#include "quant/source/weights.h"

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    (void)p;
    bg_ckpt *c = NULL;
    bg_err reason = {0};
    int status = bg_weights_open(bg_args_word(a, 0), &(bg_ckpt_options){0}, &c, e);
    if (!status) {
        int unable = bg_can_run(c, &reason);
        if (unable)
            puts(reason.text);
        status = unable == BG_RESOURCE ? bg_fail(e, unable, "%s", reason.text) : unable ? BG_MISSED : BG_OK;
    }
    bg_ckpt_close(c);
    return status;
}

const bg_stage bg_stage_can_run = {
    .name = "can-run",
    .arguments = "MODEL",
    .min_words = 1,
    .max_words = 1,
    .summary = "whether a model can be run on a text, or the reason why it cannot",
    .about =
        "Ends with status 0 if Bitgap knows the architecture of the model, finds all of its tensors and can read its "
        "tokenizer. Otherwise the reason is printed and the status is 1. No weights are read, and no document is "
        "written. The makefile asks this to decide whether a report measures the outputs of the model.",
    .example = "bitgap can-run data/austen-3.7m",
    .is_tool = 1,
    .run = run,
};
