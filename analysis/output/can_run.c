/* Owns the question whether a model can be run at all. */
#include "analysis/output/can_run.h"

#include "analysis/model/model.h"
#include "analysis/output/corpus.h"

int bg_can_run(const bg_ckpt *c, bg_err *e)
{
    bg_model *m = NULL;
    bg_corpus text = {0};
    int status = bg_model_open(c, &m, e);
    if (!status)
        status = bg_corpus_encode(c, "a", 1, c->title, 1, &text, e);
    bg_corpus_free(&text);
    bg_model_close(m);
    return status;
}
