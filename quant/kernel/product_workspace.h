/* The workspace in which a thread packs the blocks of its products. */
#ifndef BG_QUANT_KERNEL_PRODUCT_WORKSPACE_H
#define BG_QUANT_KERNEL_PRODUCT_WORKSPACE_H

enum { BG_PRODUCT_WORKSPACE = 5 << 18 }; /* bytes; a multiple of 64 */

/* This thread's BG_PRODUCT_WORKSPACE bytes, on a cache line's boundary, uninitialised; they stay the thread's. NULL: no
 * memory. */
void *bg_product_workspace(void);

#endif
