/* Questions and answers: a model's accuracy on items with a known answer.
 *
 * An item is a line of JSON: {"id", "kind", "prompt", "answer", "choices": […], "answer_index"}. Two scores:
 *   choice  the log-likelihood of " " + choice + "\n" after the begin token and the prompt; the largest sum wins, the
 * first of equals (items without choices are not scored this way) greedy  the most likely token, again and again, until
 * one holds a line feed or ends the text, at most 24; the decoded text without spaces at its ends must equal the answer
 */
#ifndef BG_ANALYSIS_OUTPUT_QUESTIONS_H
#define BG_ANALYSIS_OUTPUT_QUESTIONS_H

#include "analysis/model/model.h"
#include "io/tokenizer/tokenizer.h"

enum { BG_QA_CHOICES = 16, BG_QA_GREEDY_TOKENS = 24 };

typedef struct bg_qa_item {
    const char *id, *kind, *prompt, *answer;
    const char *choices[BG_QA_CHOICES];
    int n_choices, answer_index; /* −1 where the item has no choices */
} bg_qa_item;

typedef struct bg_qa {
    bg_qa_item *items;
    int n;
    cJSON **lines; /* own the strings */
} bg_qa;

/* BG_INPUT names the line of a damaged item. */
int bg_qa_read(const char *path, bg_qa *out, bg_err *e);
void bg_qa_free(bg_qa *qa);

typedef struct bg_qa_answer {
    double score[BG_QA_CHOICES]; /* nats */
    int picked;                  /* −1 without choices */
    int choice_right, greedy_right;
    char greedy[160]; /* the generated text, cut to fit */
} bg_qa_answer;

/* Runs every item; the model must be loaded. out[qa->n]. BG_INPUT for an item that is longer than the context. */
int bg_qa_run(const bg_model *m, const bg_pass *p, const bg_tokenizer *t, const bg_qa *qa, bg_qa_answer *out,
              bg_err *e);

#endif
