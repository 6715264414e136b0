/* Outputs: a file appears complete, or the old one stays.
 *
 * What is written goes to NAME.PID.part beside its target. bg_out_commit flushes it to the disk, renames it and flushes
 * the directory, so that neither an interruption nor a power cut leaves half a file. A target that is a link stays one,
 * and a target that exists keeps its mode. Parts that dead processes left are removed when NAME is written again.
 * bg_out_open asks io/base/overwrite.h whether the target may be replaced.
 *
 *     bg_out o;
 *     int status = bg_out_open(&o, path, e);
 *     if (status)
 *         return status;
 *     fputs("text", o.file);            // errors of single writes show in bg_out_commit
 *     return bg_out_commit(&o, e);      // or bg_out_abandon(&o)
 */
#ifndef BG_IO_BASE_OUTPUT_H
#define BG_IO_BASE_OUTPUT_H

#include <stdio.h>
#include "io/base/error.h"

struct bg_sink;

typedef struct bg_out {
    FILE *file;           /* write here */
    char *path;           /* as given; NULL for standard output */
    char *target;         /* links resolved; NULL for what is written in place */
    char *temporary;      /* what is written, until it is renamed */
    struct bg_sink *sink; /* where the file's bytes go, and the first error */
} bg_out;

/* Nonzero for "-" (standard output), a device, a pipe: these are written in place, because renaming a file into their
 * place would destroy them. */
int bg_is_special(const char *path);

/* BG_USAGE when the target must not be replaced, BG_RESOURCE when it cannot be written. On failure *o is empty. */
int bg_out_open(bg_out *o, const char *path, bg_err *e);
/* The same for a file of the program's own affairs, such as what it exchanges with a child: it may replace any file
 * that is no input. */
int bg_out_replace(bg_out *o, const char *path, bg_err *e);
/* BG_RESOURCE with the name and the reason of the first write that failed. */
int bg_out_failed(const bg_out *o, bg_err *e);
/* Flushes and checks every write so far (a full disk shows here); o->file is closed. On failure the temporary file is
 * gone. Call it for each of several files that belong together before the first of them is committed. */
int bg_out_finish(bg_out *o, bg_err *e);
/* Finishes and renames. On failure the temporary file is gone and the old one is whole. */
int bg_out_commit(bg_out *o, bg_err *e);
/* Removes the temporary file; safe after commit and on a zeroed struct. */
void bg_out_abandon(bg_out *o);

#endif
