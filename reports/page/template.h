/* Templates: text files with {{placeholders}}, found beside the source tree or where the program was installed. */
#ifndef BG_REPORTS_PAGE_TEMPLATE_H
#define BG_REPORTS_PAGE_TEMPLATE_H

#include "io/base/error.h"
#include "reports/page/text.h"

typedef struct bg_slot {
    const char *name;
    bg_text text;
} bg_slot;

enum { BG_SLOTS = 40 };
typedef struct bg_slots {
    bg_slot slots[BG_SLOTS];
    int n;
} bg_slots;
/* The slot of that name, made when new (`name` is kept by reference). With more than BG_SLOTS names: the last one,
 * failed. */
bg_text *bg_slots_at(bg_slots *s, const char *name);
void bg_slots_free(bg_slots *s);

/* Looks in `given` (may be NULL), $BITGAP_TEMPLATES, ../templates and ../share/bitgap/templates beside the program, and
 * the directory compiled in. *out is malloc'ed. */
int bg_templates_find(const char *given, char **out, bg_err *e);
/* Appends directory/name to out with every {{placeholder}} replaced. A placeholder that is no slot is BG_INPUT and
 * names file, line and nearest slot. A line of its own around an empty slot disappears. */
int bg_template_fill(const char *directory, const char *name, const bg_slots *s, bg_text *out, bg_err *e);

#endif
