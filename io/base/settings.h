/* Configurations: JSON that a person writes. One table of settings checks one, documents it, and prints a start to
 * edit.
 *
 * JSON has no comments: a member whose name begins with '_' is a note to the reader, in any object, and is skipped.
 *
 *     static const bg_setting settings[] = {
 *         {.key = "data", .type = BG_SET_OBJECT, .help = "…"},
 *         {.key = "data.windows", .type = BG_SET_INTEGER, .least = 0, .most = 1e6, .start = "40", .help = "…"},
 *         {.key = "specs", .type = BG_SET_LIST, .required = 1, .help = "…"},
 *         {.key = "specs[].name", .type = BG_SET_TEXT, .help = "…"},
 *         {.key = "specs[].*", .type = BG_SET_ANY, .help = "keys of the spec"}, {0}};
 *     status = bg_settings_check(root, path, settings, &e);
 */
#ifndef BG_IO_BASE_SETTINGS_H
#define BG_IO_BASE_SETTINGS_H

#include "io/base/json.h"

typedef enum bg_setting_type {
    BG_SET_TEXT,
    BG_SET_INTEGER, /* least..most */
    BG_SET_BOOL,
    BG_SET_OBJECT,
    BG_SET_TEXTS, /* a text, or a list of texts */
    BG_SET_LIST,  /* of texts and objects */
    BG_SET_ANY,   /* a text, a number or a boolean */
} bg_setting_type;

typedef struct bg_setting {
    const char *key; /* members of a member after '.', of the items of a list after "[]."; '*': any name */
    bg_setting_type type;
    int required; /* where the object it belongs to is there */
    double least, most;
    const char *const *words; /* allowed texts, ending with NULL; NULL: any text that is not empty */
    const char *start;        /* JSON in the start to edit; NULL: left out there */
    const char *help;
} bg_setting;

/* Checks every member against the table. BG_INPUT names the file, the key and what is allowed there. */
int bg_settings_check(const cJSON *root, const char *path, const bg_setting *table, bg_err *e);
/* Writes a configuration with every setting that has a start, each after a note that says what it is. */
void bg_settings_start(const bg_setting *table, FILE *f);
/* Every setting, a line each, for the help of a stage and for readers. */
void bg_settings_reference(const bg_setting *table, FILE *f);

/* The n-th text of a member that is a text or a list of texts; NULL past the end. */
const char *bg_settings_nth(const cJSON *object, const char *key, int n);

#endif
