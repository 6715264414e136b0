/* The marks in a stream: control characters, which no name can bring in because every escape replaces them.
 *   NUMBER index TEXT printed NUMBER_END       a number with its origin
 *   BLOCK kind ':' argument BLOCK_END          a directive, on a line of its own
 *   COLUMN key COLUMN_END                       in a heading of a table: what the column holds, for the script
 *   PARAGRAPH                                   within a template: an empty line of its text */
#ifndef BG_REPORTS_PAGE_MARKS_H
#define BG_REPORTS_PAGE_MARKS_H

enum {
    BG_MARK_NUMBER = 0x02,
    BG_MARK_TEXT = 0x03,
    BG_MARK_NUMBER_END = 0x04,
    BG_MARK_BLOCK = 0x05,
    BG_MARK_BLOCK_END = 0x06,
    BG_MARK_COLUMN = 0x0e,
    BG_MARK_COLUMN_END = 0x0f,
    BG_MARK_PARAGRAPH = 0x10,
};

#endif
