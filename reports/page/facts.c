/* Owns sets of facts: names, values and lists that a template may use. */
#define _POSIX_C_SOURCE 200809L
#include "reports/page/facts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The fact of that name, made when new; NULL when memory gave out. */
static bg_fact *declare_fact(bg_facts *f, const char *name, bg_fact_kind kind)
{
    for (int i = 0; i < f->n; i++)
        if (!strcmp(f->facts[i].name, name))
            return &f->facts[i];
    if (f->n == f->capacity) {
        int capacity = f->capacity ? 2 * f->capacity : 16;
        bg_fact *grown = realloc(f->facts, (size_t)capacity * sizeof *grown);
        if (!grown) {
            f->failed = 1;
            return NULL;
        }
        f->facts = grown;
        f->capacity = capacity;
    }
    f->facts[f->n] = (bg_fact){.name = name, .kind = kind};
    return &f->facts[f->n++];
}

void bg_fact_number(bg_facts *f, const char *name, bg_num n, bg_style style)
{
    bg_fact *fact = declare_fact(f, name, BG_FACT_NUMBER);
    if (!fact)
        return;
    fact->style = style;
    if (!isfinite(n.value))
        return;
    if (!fact->number)
        fact->number = malloc(sizeof *fact->number);
    if (fact->number)
        *fact->number = n;
    f->failed |= !fact->number;
}

void bg_fact_text(bg_facts *f, const char *name, const char *text)
{
    bg_fact *fact = declare_fact(f, name, BG_FACT_TEXT);
    if (!fact || !text)
        return;
    free(fact->text);
    fact->text = strdup(text);
    f->failed |= !fact->text;
}

void bg_fact_flag(bg_facts *f, const char *name, int flag)
{
    bg_fact *fact = declare_fact(f, name, BG_FACT_FLAG);
    if (fact)
        fact->flag = flag != 0;
}

static bg_facts *add_set(bg_facts *f, const char *name, bg_fact_kind kind, bg_facts *set)
{
    bg_fact *fact = set ? declare_fact(f, name, kind) : NULL;
    bg_facts **grown = fact ? realloc(fact->sets, (size_t)(fact->n + 1) * sizeof(bg_facts *)) : NULL;
    if (!grown) {
        bg_facts_free(set);
        f->failed = 1;
        return f;
    }
    fact->sets = grown;
    grown[fact->n++] = set;
    return set;
}

bg_facts *bg_fact_set(bg_facts *f, const char *name)
{
    const bg_fact *held = bg_fact_find(f, name);
    return held && held->n ? held->sets[0] : add_set(f, name, BG_FACT_SET, bg_facts_new());
}

void bg_fact_no_set(bg_facts *f, const char *name)
{
    declare_fact(f, name, BG_FACT_SET);
}

bg_facts *bg_fact_row(bg_facts *f, const char *name, const bg_row *row)
{
    if (!row) {
        bg_fact_no_set(f, name);
        return NULL;
    }
    bg_facts *set = bg_fact_set(f, name);
    set->row = row;
    return set;
}

void bg_fact_rows(bg_facts *f, const char *name)
{
    declare_fact(f, name, BG_FACT_ROWS);
}

bg_facts *bg_fact_add_row(bg_facts *f, const char *name)
{
    return add_set(f, name, BG_FACT_ROWS, bg_facts_new());
}

void bg_fact_drawing(bg_facts *f, const char *name, const bg_drawing *drawing, bg_facts *facts)
{
    bg_drawing *copy = malloc(sizeof *copy);
    if (!copy || !facts) {
        drawing->release(drawing->self);
        bg_facts_free(facts);
        free(copy);
        f->failed = 1;
        return;
    }
    *copy = *drawing;
    facts->drawing = copy;
    add_set(f, name, BG_FACT_SET, facts);
}

const bg_fact *bg_fact_find(const bg_facts *f, const char *name)
{
    for (int i = 0; i < f->n; i++)
        if (!strcmp(f->facts[i].name, name))
            return &f->facts[i];
    return NULL;
}

bg_facts *bg_facts_new(void)
{
    return calloc(1, sizeof(bg_facts));
}

void bg_facts_free(bg_facts *f)
{
    if (!f)
        return;
    for (int i = 0; i < f->n; i++) {
        bg_fact *fact = &f->facts[i];
        for (int k = 0; k < fact->n; k++)
            bg_facts_free(fact->sets[k]);
        free(fact->sets);
        free(fact->number);
        free(fact->text);
    }
    if (f->drawing)
        f->drawing->release(f->drawing->self);
    free(f->drawing);
    free(f->facts);
    free(f);
}
