/* JSON: a guarded reader over cJSON and a small streaming writer.
 *
 * Reader: every JSON text is hostile until checked. bg_json_parse refuses invalid UTF-8, nesting deeper than 64, the
 * escape \u0000, duplicate member names, and anything but white space after the value; only then is cJSON called.
 * Writer: numbers print so that they read back bit-exact; a non-finite number is an error, never a token in a file.
 */
#ifndef BG_IO_BASE_JSON_H
#define BG_IO_BASE_JSON_H

#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdio.h>
#include "io/base/error.h"

enum { BG_JSON_DEPTH = 64 };

/* Parses text[0..length) (a NUL must follow it). `name` is what errors call it. The caller frees *out with
 * cJSON_Delete. */
int bg_json_parse(const char *text, size_t length, const char *name, cJSON **out, bg_err *e);

/* BG_INPUT names the byte where text[0..length) stops being UTF-8 (overlong forms and surrogates are none). */
int bg_check_utf8(const char *text, size_t length, const char *name, bg_err *e);

/* Reads and parses a file of at most `limit` bytes. */
int bg_json_read(const char *path, size_t limit, cJSON **out, bg_err *e);

/* Members with a default; a member of another type counts as absent. NULL object is allowed. */
double bg_json_number(const cJSON *object, const char *key, double otherwise);
int bg_json_bool(const cJSON *object, const char *key, int otherwise);
const char *bg_json_string(const cJSON *object, const char *key, const char *otherwise);
/* Non-negative integer of at most 2^53; *out is left alone when the member is absent, BG_INPUT when it is anything
 * else. */
int bg_json_integer(const cJSON *object, const char *key, int64_t *out, bg_err *e);

/* The writer. Keys are NULL inside arrays. Errors stick: call bg_jsonw_finish once and look at its status. */
typedef struct bg_jsonw {
    FILE *file;
    int depth, status;
    char first[BG_JSON_DEPTH];
    const char *bad_key; /* of the first non-finite number, for the error */
} bg_jsonw;

void bg_jsonw_init(bg_jsonw *w, FILE *file);
void bg_jsonw_object(bg_jsonw *w, const char *key);
void bg_jsonw_array(bg_jsonw *w, const char *key);
void bg_jsonw_end(bg_jsonw *w, char closing); /* '}' or ']' */
void bg_jsonw_string(bg_jsonw *w, const char *key, const char *value);
void bg_jsonw_number(bg_jsonw *w, const char *key, double value);
void bg_jsonw_integer(bg_jsonw *w, const char *key, int64_t value);
void bg_jsonw_bool(bg_jsonw *w, const char *key, int value);
int bg_jsonw_finish(bg_jsonw *w, bg_err *e);

/* Shortest decimal that reads back to the same double; buf of at least 32 bytes; returns buf. */
char *bg_print_double(char *buf, double value);

#endif
