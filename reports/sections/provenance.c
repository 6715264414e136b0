/* Whether it can be repeated: documents, commands, seeds and inputs with their sha256. */
#include <string.h>
#include "reports/pages/report.h"

static void put_documents(bg_report *r, bg_text *t)
{
    bg_table b;
    bg_table_begin(&b, &r->page, t, "Documents", "document|file|command|seed>|sha256");
    for (int i = 0; i < r->docs.n; i++) {
        const bg_document *d = &r->docs.documents[i];
        const cJSON *word, *head = cJSON_GetObjectItemCaseSensitive(d->root, "bitgap");
        bg_text command = {0};
        char seed[32];
        bg_text_add(&command, "bitgap");
        cJSON_ArrayForEach(word, cJSON_GetObjectItemCaseSensitive(head, "arguments"))
            bg_text_format(&command, " %s", cJSON_IsString(word) ? word->valuestring : "");
        bg_table_text(&b, d->label);
        bg_table_code(&b, bg_path_base(d->path));
        bg_table_code(&b, bg_text_string(&command));
        snprintf(seed, sizeof seed, "%.0f", bg_json_number(head, "seed", 0));
        bg_table_text(&b, seed);
        bg_table_code(&b, d->hash.hex);
        bg_text_free(&command);
    }
    bg_table_end(&b);
}

static int seen_before(const bg_report *r, int document, const cJSON *input)
{
    const char *sha = bg_json_string(input, "sha256", "");
    for (int i = 0; i <= document; i++) {
        const cJSON *head = cJSON_GetObjectItemCaseSensitive(r->docs.documents[i].root, "bitgap"), *other;
        cJSON_ArrayForEach(other, cJSON_GetObjectItemCaseSensitive(head, "inputs"))
        {
            if (other == input)
                return 0;
            if (!strcmp(bg_json_string(other, "sha256", ""), sha))
                return 1;
        }
    }
    return 0;
}

static int put_inputs(bg_report *r, bg_text *t)
{
    bg_table b;
    int n = 0;
    char size[BG_NUMBER_TEXT];
    bg_table_begin(&b, &r->page, t, "Inputs", "input|bytes>|sha256");
    for (int i = 0; i < r->docs.n; i++) {
        const cJSON *head = cJSON_GetObjectItemCaseSensitive(r->docs.documents[i].root, "bitgap"), *input;
        cJSON_ArrayForEach(input, cJSON_GetObjectItemCaseSensitive(head, "inputs"))
        {
            if (seen_before(r, i, input))
                continue;
            bg_table_code(&b, bg_json_string(input, "name", "?"));
            bg_table_text(&b, bg_number_text(size, bg_json_number(input, "size", 0), BG_COUNT));
            bg_table_code(&b, bg_json_string(input, "sha256", "?"));
            n++;
        }
    }
    bg_table_end(&b);
    return n;
}

/* Sections that a reader may look for in vain, and what would make them; a study names those that it wants. */
static void say_absent(const bg_report *r, bg_text *t)
{
    static const char *const wanted[][3] = {{"gaps", "Gap and Layers", "gap"},
                                            {"logits", "Output", "logits"},
                                            {"evaluation", "Cost", "evaluate"},
                                            {"allocation", "Allocation", "allocate"},
                                            {"audit", "Shipped checkpoints", "audit"}};
    int n = 0;
    if (bg_docset_has(&r->docs, "study"))
        return;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        if (bg_docset_has(&r->docs, wanted[i][0]))
            continue;
        bg_text_format(t, "%s %s (`bitgap %s`)",
                       n++ ? "," : "\n\nNot on this page, for want of its document:", wanted[i][1], wanted[i][2]);
    }
    if (n)
        bg_text_add(t, ".");
    if (!bg_docset_has(&r->docs, "logits"))
        bg_text_add(t, " make runs the model for them when config.json and tokenizer.json lie beside its weights.");
}

static int write(bg_report *r, bg_slots *s, int *present, bg_err *e)
{
    (void)e;
    bg_text *finding = bg_slots_at(s, "finding"), *documents = bg_slots_at(s, "documents"),
            *inputs = bg_slots_at(s, "inputs");
    *present = 1;
    put_documents(r, documents);
    int n = put_inputs(r, inputs);
    bg_text_format(finding,
                   "Every number above comes from %d document%s made from %d input%s; `bitgap verify` on the HTML page "
                   "computes each of them again.",
                   r->docs.n, r->docs.n == 1 ? "" : "s", n, n == 1 ? "" : "s");
    say_absent(r, finding);
    return BG_OK;
}

const bg_report_section bg_section_provenance = {.id = "provenance", .title = "Provenance", .write = write};
