/* Calibrations: the document and, after a NUL byte, its side file; every tensor that it names is loaded.
 * Seeds: tests/fuzz/seeds/calibration/?* */
#include "analysis/output/calibration.h"
#include "tests/fuzz/checkpoint.h"

static void load_all(const char *path)
{
    bg_err e = {0};
    bg_calibration *k = NULL;
    cJSON *root = NULL;
    const cJSON *row;
    if (bg_calibration_open(path, NULL, &k, NULL, &e))
        return;
    if (!bg_doc_read(path, "calibration", &root, NULL, &e))
        cJSON_ArrayForEach(row, bg_doc_rows(root, "layers"))
        {
            const char *tensor = bg_json_string(row, "tensor", "");
            double cols = bg_json_number(row, "cols", 8);
            bg_activations x = {0};
            bg_folds folds = {0};
            if (cols > 64)
                continue;
            if (!bg_calibration_load(k, tensor, (int64_t)cols, &x, &e))
                bg_activations_free(&x);
            if (!bg_calibration_load_folds(k, tensor, (int64_t)cols, &folds, &e))
                bg_folds_free(&folds);
        }
    cJSON_Delete(root);
    bg_calibration_close(k);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char directory[FUZZ_PATH], document[FUZZ_PATH + 32], side[FUZZ_PATH + 32];
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL, *rest = nul ? nul + 1 : data + size;
    fuzz_path(directory, "");
    snprintf(document, sizeof document, "%s/calibration.json", directory);
    snprintf(side, sizeof side, "%s/calibration.bin", directory);
    mkdir(directory, 0700);
    put_file(document, data, nul ? (size_t)(nul - data) : size);
    put_file(side, rest, size - (size_t)(rest - data));
    load_all(document);
    unlink(document);
    unlink(side);
    rmdir(directory);
    return 0;
}
