/* Documents: the JSON files that stages exchange. One table (doc_table.c) declares every document's sections, fields
 * and units; the writer refuses a field that is not declared, the reader one that is missing or of another type, and
 * the reference page (`bitgap help documents`) is printed from it.
 *
 * A document is an object: first `bitgap` (document, schema, version, arguments, seed, inputs), then its sections, each
 * an array of rows (flat objects of strings, numbers, booleans, or arrays of numbers).
 *
 *     bg_doc d;
 *     bg_doc_begin(&d, "bounds", "out/bounds.json", &provenance, &e);
 *     bg_doc_section(&d, "rows");
 *     bg_doc_row(&d);
 *     bg_doc_string(&d, "tensor", name);
 *     bg_doc_number(&d, "gaussian_bits", r);
 *     bg_doc_row_end(&d);
 *     status = bg_doc_commit(&d, &e);   // or bg_doc_abandon(&d)
 */
#ifndef BG_IO_DOCUMENTS_DOCUMENT_H
#define BG_IO_DOCUMENTS_DOCUMENT_H

#include "io/base/file.h"
#include "io/base/json.h"

typedef enum bg_type { BG_STRING, BG_NUMBER, BG_INTEGER, BG_BOOL, BG_NUMBERS } bg_type;

enum { BG_REQUIRED = 0, BG_OPTIONAL = 1 };

typedef struct bg_field {
    const char *name;
    bg_type type;
    int optional;
    const char *unit; /* "bits/weight", "weight²", "1", … */
    const char *help; /* one phrase */
} bg_field;

typedef struct bg_section {
    const char *name;
    const char *help;
    const bg_field *fields; /* ends with a NULL name */
} bg_section;

typedef struct bg_doc_kind {
    const char *name;           /* "curves" */
    int schema;                 /* raised when a reader of the old one would be wrong */
    const char *stage;          /* the stage that writes it: named in "re-run bitgap STAGE" */
    const bg_section *sections; /* ends with a NULL name */
} bg_doc_kind;

/* All kinds, in pipeline order, ending with a NULL name. */
extern const bg_doc_kind bg_doc_kinds[];
const bg_doc_kind *bg_doc_kind_find(const char *name);

typedef struct bg_input {
    char *name; /* base name only: a document does not tell where on a machine it was made */
    uint64_t size;
    char sha256[65];
} bg_input;

/* What a document says of its origin. Filled by bitgap.c (arguments, seed) and by whoever opens inputs. */
typedef struct bg_provenance {
    int argc;
    const char *const *argv; /* from the stage name on */
    uint64_t seed;
    bg_input *inputs;
    int n_inputs;
} bg_provenance;
/* Hashes the file (first `limit` bytes if limit > 0) and adds it; a name seen before is not added again. */
int bg_provenance_add(bg_provenance *p, const char *path, uint64_t limit, bg_err *e);
void bg_provenance_free(bg_provenance *p);

typedef struct bg_doc {
    bg_out out;
    bg_jsonw json;
    const bg_doc_kind *kind;
    const bg_section *section;
    int in_row, status;
    uint64_t seen; /* bit i: field i of the section is in this row */
    char complaint[160];
} bg_doc;

int bg_doc_begin(bg_doc *d, const char *kind, const char *path, const bg_provenance *p, bg_err *e);
/* Opens the named section, closing the one before. Sections come in the order of the table; each at most once. */
void bg_doc_section(bg_doc *d, const char *name);
void bg_doc_row(bg_doc *d);
void bg_doc_row_end(bg_doc *d);
void bg_doc_string(bg_doc *d, const char *field, const char *value);
/* A non-finite value of an optional field leaves the field out; of a required one it is an error at commit. */
void bg_doc_number(bg_doc *d, const char *field, double value);
void bg_doc_integer(bg_doc *d, const char *field, int64_t value);
void bg_doc_bool(bg_doc *d, const char *field, int value);
void bg_doc_numbers(bg_doc *d, const char *field, const double *values, size_t n);
int bg_doc_commit(bg_doc *d, bg_err *e);
/* Commits a file that belongs to the document, then the document. Both are written and checked before either takes its
 * place: after a failure the old pair is whole. On failure `side` is abandoned too. */
int bg_doc_commit_with(bg_doc *d, bg_out *side, bg_err *e);
void bg_doc_abandon(bg_doc *d);

/* Reads a document and checks header, schema, sections and every row against the table. kind NULL: any kind.
 * *root is the caller's to cJSON_Delete. Also adds the file to `p` (may be NULL) as an input. */
int bg_doc_read(const char *path, const char *kind, cJSON **root, bg_provenance *p, bg_err *e);
/* Kind of a document already read. */
const bg_doc_kind *bg_doc_kind_of(const cJSON *root);
/* Rows of a section (an array; NULL if the document has none). Iterate with cJSON_ArrayForEach. */
const cJSON *bg_doc_rows(const cJSON *root, const char *section);

/* Prints the reference of all documents (Markdown) to f. */
void bg_doc_reference(FILE *f);

extern const char bg_version[];

#endif
