/* Questions, a JSON object a line. Seeds: tests/fuzz/seeds/questions/?* */
#include "analysis/output/questions.h"
#include "tests/fuzz/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[FUZZ_PATH];
    bg_err e = {0};
    bg_qa questions = {0};
    fuzz_path(path, ".jsonl");
    put_file(path, data, size);
    if (!bg_qa_read(path, &questions, &e))
        bg_qa_free(&questions);
    unlink(path);
    return 0;
}
