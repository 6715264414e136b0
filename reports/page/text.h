/* Text that grows, and the ways a name or a number enters Markdown, HTML, gnuplot and CSV.
 *
 *     bg_text t = {0};
 *     bg_text_format(&t, "%d of %d", 3, 4);
 *     bg_text_html(&t, tensor_name);          // escaped
 *     puts(bg_text_string(&t));
 *     bg_text_free(&t);
 *
 * An allocation that fails sets `failed` and every later call is a no-op: look once, at the end.
 */
#ifndef BG_REPORTS_PAGE_TEXT_H
#define BG_REPORTS_PAGE_TEXT_H

#include <stddef.h>

typedef struct bg_text {
    char *data;
    size_t length, room;
    int failed;
} bg_text;

void bg_text_add(bg_text *t, const char *s);
void bg_text_add_n(bg_text *t, const char *s, size_t n);
void bg_text_format(bg_text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Never NULL; valid until the next change. */
const char *bg_text_string(const bg_text *t);
void bg_text_clear(bg_text *t);
void bg_text_free(bg_text *t);

/* Each appends s so that it is only text there: no markup, no command, no second line. Control characters, among them
 * the report's own marks, become U+FFFD. */
void bg_text_html(bg_text *t, const char *s);     /* element content and double-quoted attributes */
void bg_text_markdown(bg_text *t, const char *s); /* prose and table cells (GFM) */
void bg_text_code(bg_text *t, const char *s);     /* a code span, in prose and table cells */
void bg_text_gnuplot(bg_text *t, const char *s);  /* 'a single-quoted string', quotes included */
void bg_text_column(bg_text *t, const char *s);   /* "a string column" of a .dat file, quotes included */
void bg_text_csv(bg_text *t, const char *s);      /* a field of RFC 4180, quoted when needed */
/* Lower-case letters, digits and single hyphens: for ids and file names. */
void bg_text_slug(bg_text *t, const char *s);

/* How a number is printed. The name is what data-as says in the HTML, so that verify prints it the same way. */
typedef enum bg_style {
    BG_SIG3,    /* three significant digits: 0.840, 12.3, 1.23e-5 */
    BG_COUNT,   /* 3,672,320 */
    BG_PLAIN,   /* shortest: 4, 4.25 */
    BG_PERCENT, /* value × 100, three significant digits, no sign: 12.3 */
    BG_SIGNED,  /* as BG_SIG3 with + or − */
    BG_TWO,     /* two decimals: 0.84 */
    BG_MEGA,    /* value / 10⁶, three significant digits */
    BG_STYLES
} bg_style;
enum { BG_NUMBER_TEXT = 48 };
extern const char *const bg_style_names[BG_STYLES];
/* A negative number carries U+2212; a number that is not finite prints as a dash. Returns buf. */
char *bg_number_text(char buf[BG_NUMBER_TEXT], double value, bg_style style);

#endif
