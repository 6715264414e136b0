/* Owns the columns a study's table may have: one row says where the number is, how it prints and what it needs. */
#include <string.h>
#include "analysis/study/plan.h"

#define ROW(name, heading, field, as, relation, better, needs)                                                         \
    {                                                                                                                  \
        name, heading, "evaluation.rows", field, as, relation, better, needs                                           \
    }
#define POINT(name, heading, field, as, better, needs)                                                                 \
    {                                                                                                                  \
        name, heading, "curves.points", field, as, "none", better, needs                                               \
    }
#define LOGIT(name, heading, field, as, better)                                                                        \
    {                                                                                                                  \
        name, heading, "logits.rows", field, as, "none", better, BG_PLAN_LOGITS                                        \
    }

const bg_metric bg_metrics[] = {
    ROW("rate_bits", "bits/weight", "rate_bits", "sig3", "none", "less", BG_PLAN_COST),
    ROW("model_bits", "bits/weight (file)", "model_bits", "sig3", "none", "less", BG_PLAN_COST),
    ROW("bytes", "MB", "bytes", "mega", "none", "less", BG_PLAN_COST),
    ROW("bytes_percent", "size, % of raw", "bytes", "percent", "percent", "less", BG_PLAN_COST),
    ROW("compression", "compression, ×", "compression", "sig3", "none", "more", BG_PLAN_COST),
    ROW("weight_mse", "weight MSE", "weight_mse", "sig3", "none", "less", BG_PLAN_COST),
    ROW("quantize_seconds", "quantizing (s)", "quantize_seconds", "sig3", "none", "less", BG_PLAN_COST),
    ROW("perplexity", "perplexity", "perplexity", "two", "none", "less", BG_PLAN_PERPLEXITY),
    ROW("perplexity_se", "± s.e.", "perplexity_se", "two", "none", "none", BG_PLAN_PERPLEXITY),
    ROW("perplexity_change", "Δ perplexity", "perplexity", "signed", "minus", "less", BG_PLAN_PERPLEXITY),
    ROW("perplexity_percent", "perplexity, % of raw", "perplexity", "percent", "percent", "less", BG_PLAN_PERPLEXITY),
    ROW("log_perplexity_change", "Δ ln perplexity", "log_perplexity_change", "signed", "none", "less",
        BG_PLAN_PERPLEXITY),
    ROW("log_perplexity_change_se", "± s.e., paired", "log_perplexity_change_se", "sig3", "none", "none",
        BG_PLAN_PERPLEXITY),
    ROW("bits_per_byte", "bits/byte of text", "bits_per_byte", "sig3", "none", "less", BG_PLAN_PERPLEXITY),
    ROW("perplexity_llama_cpp", "perplexity, llama.cpp", "perplexity_llama_cpp", "two", "none", "less",
        BG_PLAN_PERPLEXITY),
    ROW("perplexity_strided", "perplexity, strided", "perplexity_strided", "two", "none", "less", BG_PLAN_PERPLEXITY),
    ROW("qa_accuracy", "QA (%)", "qa_accuracy", "percent", "none", "more", BG_PLAN_QA),
    ROW("qa_accuracy_se", "± s.e.", "qa_accuracy_se", "percent", "none", "none", BG_PLAN_QA),
    ROW("qa_greedy_accuracy", "QA, exact answer (%)", "qa_greedy_accuracy", "percent", "none", "more", BG_PLAN_QA),
    ROW("tokens_per_second", "tokens/s", "tokens_per_second", "sig3", "none", "more", BG_PLAN_SPEED),
    ROW("tokens_per_second_percent", "tokens/s, % of raw", "tokens_per_second", "percent", "percent", "more",
        BG_PLAN_SPEED),
    ROW("prompt_tokens_per_second", "prompt tokens/s", "prompt_tokens_per_second", "sig3", "none", "more",
        BG_PLAN_SPEED),
    ROW("ms_per_token", "ms/token", "ms_per_token", "sig3", "none", "less", BG_PLAN_SPEED),
    ROW("peak_bytes", "peak MB", "peak_bytes", "mega", "none", "less", BG_PLAN_COST),
    ROW("cache_bytes", "key-value cache (MB)", "cache_bytes", "mega", "none", "less", BG_PLAN_SPEED),
    ROW("same_texts", "same texts (%)", "same_texts", "percent", "none", "more", BG_PLAN_SPEED),
    ROW("edit_distance", "edits/token", "edit_distance", "sig3", "none", "less", BG_PLAN_SPEED),
    ROW("rouge_l", "ROUGE-L", "rouge_l", "sig3", "none", "more", BG_PLAN_SPEED),
    POINT("point_rate_bits", "bits/weight (mean)", "rate_bits", "sig3", "less", BG_PLAN_CURVES),
    POINT("mse", "weight MSE (mean)", "mse", "sig3", "less", BG_PLAN_CURVES),
    POINT("sqnr_db", "SQNR (dB)", "sqnr_db", "sig3", "more", BG_PLAN_CURVES),
    POINT("gap_bits", "gap (bits)", "gap_bits", "sig3", "less", BG_PLAN_CURVES),
    POINT("gap_empirical_bits", "gap to these weights' bound (bits)", "gap_empirical_bits", "sig3", "less",
          BG_PLAN_GAPS),
    POINT("max_error", "largest error (mean)", "max_error", "sig3", "less", BG_PLAN_CURVES),
    POINT("output_mse", "output MSE (mean)", "output_mse", "sig3", "less", BG_PLAN_CURVES),
    POINT("output_gap_bits", "functional gap (bits)", "output_gap_bits", "sig3", "less", BG_PLAN_CURVES),
    POINT("scale_bits", "bits of scales", "scale_bits", "sig3", "none", BG_PLAN_CURVES),
    POINT("codebook_bits", "bits of tables", "codebook_bits", "sig3", "none", BG_PLAN_CURVES),
    LOGIT("logits_mse", "logits MSE", "logits_mse", "sig3", "less"),
    LOGIT("kl_mean", "KL (nats/token)", "kl_mean", "sig3", "less"),
    LOGIT("kl_99", "KL, 99 %", "kl_99", "sig3", "less"),
    LOGIT("same_top", "same top token (%)", "same_top", "percent", "more"),
    {0},
};

const bg_metric *bg_metric_find(const char *name, size_t length)
{
    for (const bg_metric *m = bg_metrics; m->name; m++)
        if (strlen(m->name) == length && !strncmp(m->name, name, length))
            return m;
    return NULL;
}
