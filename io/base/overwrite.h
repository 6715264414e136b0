/* What an output may replace. Every file that is opened for reading is registered here, so that no output ever takes
 * the place of an input of the same run, and a file that exists is replaced only when Bitgap wrote it.
 *
 *     never, not even with --force   a file or directory that this run has read (compared by device and inode, so that
 *                                    links and other spellings of a path are recognised)
 *     never                          a directory with tensors that Bitgap did not write
 *     only with --force              a file that is no document, page, figure or checkpoint of Bitgap's
 *
 * Safe to call from any thread.
 */
#ifndef BG_IO_BASE_OVERWRITE_H
#define BG_IO_BASE_OVERWRITE_H

#include "io/base/error.h"

/* Registers an input: an open file, or a path (a directory, as a rule). Files that this run wrote are no inputs. */
void bg_input_opened(int fd);
void bg_input_path(const char *path);

/* Registers a file that this run, or a program it started, wrote: it may be read and replaced again. */
void bg_output_made(const char *path);

/* --force: existing files that are not Bitgap's may be replaced. */
void bg_set_force(int force);

/* BG_USAGE with the file and the remedy when an output must not take the place of `path`; BG_OK when nothing is there.
 */
int bg_output_allowed(const char *path, bg_err *e);

/* Makes the directory (and its parents) for the files of a checkpoint. BG_USAGE when this run has read it or when it
 * holds tensors that are not Bitgap's. In a directory that Bitgap filled, any file may be replaced from now on. */
int bg_output_directory(const char *path, bg_err *e);

#endif
