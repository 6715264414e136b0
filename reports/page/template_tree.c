/* Owns the memory of a parsed template: everything is freed together. */
#include "reports/page/template_tree.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct chunk {
    struct chunk *next;
    max_align_t data[];
} chunk;

void *bg_tree_allocate(bg_tree *t, size_t size)
{
    chunk *c = calloc(1, sizeof *c + size);
    if (!c)
        return NULL;
    c->next = t->memory;
    t->memory = c;
    return c->data;
}

const char *bg_tree_copy(bg_tree *t, const char *s, size_t n)
{
    char *copy = bg_tree_allocate(t, n + 1);
    if (copy)
        memcpy(copy, s, n);
    return copy;
}

void bg_tree_free(bg_tree *t)
{
    for (chunk *c = t->memory, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    free(t->path);
    *t = (bg_tree){0};
}
