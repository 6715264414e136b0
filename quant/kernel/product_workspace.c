/* Owns the workspace in which a thread packs its blocks: one for each thread, allocated at its first product and freed
 * when the thread ends. Thread-local arrays would be simpler, but they are taken from the thread's stack, of which a
 * system may give little. */
#include "quant/kernel/product_workspace.h"

#include <stdlib.h>
#include <threads.h>

static _Thread_local void *workspace;
static once_flag once = ONCE_FLAG_INIT;
static tss_t key;
static int keyed;

static void make_key(void)
{
    keyed = tss_create(&key, free) == thrd_success;
}

void *bg_product_workspace(void)
{
    if (workspace)
        return workspace;
    call_once(&once, make_key);
    void *fresh = keyed ? aligned_alloc(64, BG_PRODUCT_WORKSPACE) : NULL;
    if (!fresh || tss_set(key, fresh) != thrd_success) {
        free(fresh);
        return NULL;
    }
    return workspace = fresh;
}
