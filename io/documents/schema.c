/* Owns the schema of every document: its sections, their fields, types and units. */
#include "io/documents/document.h"

#define REQ(n, t, u, h)                                                                                                \
    {                                                                                                                  \
        n, t, BG_REQUIRED, u, h                                                                                        \
    }
#define OPT(n, t, u, h)                                                                                                \
    {                                                                                                                  \
        n, t, BG_OPTIONAL, u, h                                                                                        \
    }

/* Where a row belongs. */
#define PLACE                                                                                                          \
    REQ("tensor", BG_STRING, "-", "Hugging Face name"), REQ("role", BG_STRING, "-", "role, e.g. mlp.down_proj"),       \
        REQ("layer", BG_INTEGER, "-", "layer number; -1 outside the layers")

/* ---- groups ---- */

#define STATISTICS                                                                                                     \
    REQ("weights", BG_INTEGER, "weights", "number of weights"), REQ("mean", BG_NUMBER, "weight", "mean"),              \
        REQ("sigma2", BG_NUMBER, "weight²", "variance about the mean (population)"),                                   \
        OPT("skewness", BG_NUMBER, "1", "third standardised moment"),                                                  \
        OPT("kurtosis_excess", BG_NUMBER, "1", "fourth standardised moment minus 3 (population moments)"),             \
        REQ("min", BG_NUMBER, "weight", "smallest weight"), REQ("max", BG_NUMBER, "weight", "largest weight"),         \
        OPT("max_over_sigma", BG_NUMBER, "σ", "largest |weight − mean| over σ"),                                       \
        REQ("zeros", BG_INTEGER, "weights", "exact zeros"), REQ("nans", BG_INTEGER, "weights", "NaN, left out"),       \
        REQ("infs", BG_INTEGER, "weights", "±Inf, left out"),                                                          \
        REQ("entropy_bits", BG_NUMBER, "bits/weight", "order-0 entropy of the stored values"),                         \
        OPT("differential_entropy_bits", BG_NUMBER, "bits", "h of the weights: H(codes) + Σ p·log2(code spacing)"),    \
        OPT("ggd_shape", BG_NUMBER, "1", "β of the generalised Gaussian fitted by the ratio of moments"),              \
        REQ("distinct", BG_INTEGER, "values", "distinct values")

static const bg_section groups_sections[] = {
    {"models", "the checkpoint",
     (const bg_field[]){REQ("title", BG_STRING, "-", "name of the model"),
                        REQ("architecture", BG_STRING, "-", "model_type, or source"),
                        REQ("parameters", BG_INTEGER, "weights", "all stored parameters"),
                        REQ("bytes", BG_INTEGER, "bytes", "size of the weight files"),
                        REQ("layers", BG_INTEGER, "-", "layers"),
                        REQ("tied", BG_BOOL, "-", "the output matrix is the embedding"),
                        OPT("path", BG_STRING, "-", "MODEL as given"),
                        OPT("histograms", BG_STRING, "-", "side file with the exact histograms"),
                        OPT("histograms_sha256", BG_STRING, "-", "its sha256"),
                        {0}}},
    {"tensors", "every weight matrix of the study",
     (const bg_field[]){PLACE,
                        REQ("rows", BG_INTEGER, "-", "outputs"),
                        REQ("cols", BG_INTEGER, "-", "inputs"),
                        REQ("dtype", BG_STRING, "-", "as stored"),
                        REQ("bytes", BG_INTEGER, "bytes", "as stored"),
                        STATISTICS,
                        OPT("histogram_offset", BG_INTEGER, "bytes", "of its atoms in the side file"),
                        OPT("histogram_atoms", BG_INTEGER, "-", "pairs (float32 value, uint64 count) there"),
                        OPT("note", BG_STRING, "-", "why a statistic is absent"),
                        {0}}},
    {"roles", "all tensors of a role together",
     (const bg_field[]){
         REQ("role", BG_STRING, "-", "role"), REQ("tensors", BG_INTEGER, "-", "matrices"), STATISTICS, {0}}},
    {"histograms", "coarse histograms for figures, in units of σ about the mean",
     (const bg_field[]){REQ("role", BG_STRING, "-", "role"),
                        REQ("first", BG_NUMBER, "σ", "left edge of bin 0"),
                        REQ("width", BG_NUMBER, "σ", "bin width"),
                        REQ("density", BG_NUMBERS, "1/σ", "probability density per bin"),
                        {0}}},
    {0}};

/* ---- bounds ---- */

static const bg_section bounds_sections[] = {
    {"rows", "rate needed at a distortion",
     (const bg_field[]){
         PLACE,
         REQ("distortion", BG_NUMBER, "weight²", "D"),
         REQ("relative", BG_NUMBER, "1", "D/σ²"),
         REQ("gaussian_bits", BG_NUMBER, "bits/weight", "½·log2(σ²/D), at least 0"),
         OPT("shannon_lower_bits", BG_NUMBER, "bits/weight", "h − ½·log2(2πeD), at least 0"),
         OPT("lower_bits", BG_NUMBER, "bits/weight", "Blahut–Arimoto, certified lower"),
         OPT("upper_bits", BG_NUMBER, "bits/weight", "Blahut–Arimoto, certified upper"),
         OPT("channel_bits", BG_NUMBER, "bits/weight", "Gaussian rows with known variances, reverse water-filling"),
         OPT("channel_lower_bits", BG_NUMBER, "bits/weight",
             "these weights given the scale of each row, Blahut–Arimoto, lower"),
         OPT("channel_upper_bits", BG_NUMBER, "bits/weight", "the same, upper; the scales are not counted"),
         OPT("group_bits", BG_NUMBER, "bits/weight", "Gaussian groups of 128 with known variances"),
         OPT("group_lower_bits", BG_NUMBER, "bits/weight", "these weights given the scale of each group, lower"),
         OPT("group_upper_bits", BG_NUMBER, "bits/weight", "the same, upper"),
         {0}}},
    {"entropies", "differential entropy of the weights over σ by four estimators; 2.0471 is a Gaussian's",
     (const bg_field[]){
         PLACE,
         REQ("samples", BG_INTEGER, "-", "drawn from the weights, each spread over the spacing of its code"),
         REQ("codes_bits", BG_NUMBER, "bits", "all weights: H(codes) + Σ p·log2 spacing; what the Shannon bound uses"),
         OPT("vasicek_bits", BG_NUMBER, "bits", "samples: m-spacings, m = √n/2 (Vasicek 1976)"),
         OPT("kozachenko_leonenko_bits", BG_NUMBER, "bits", "samples: fourth nearest neighbours (1987)"),
         OPT("miller_madow_bits", BG_NUMBER, "bits", "samples: histogram of σ/16 with Miller's correction (1955)"),
         {0}}},
    {"outputs",
     "with a calibration: the functional bound of each layer, and what rounding loses against it at high rate",
     (const bg_field[]){
         PLACE,
         REQ("mean_diagonal", BG_NUMBER, "input²", "mean of Σ_ii, Σ = E[xxᵀ]"),
         OPT("geometric_mean", BG_NUMBER, "input²", "of the eigenvalues of Σ; absent when one is 0"),
         OPT("nearest_loss_bits", BG_NUMBER, "bits/weight",
             "of rounding to nearest: ½·log2(mean diagonal/geometric mean)"),
         OPT("feedback_loss_bits", BG_NUMBER, "bits/weight", "of GPTQ's error feedback, columns in order"),
         OPT("feedback_weight_factor", BG_NUMBER, "1", "how much feedback raises the weights' own squared error"),
         REQ("rates", BG_NUMBERS, "bits/weight", "rates of the functional bound"),
         REQ("distortions", BG_NUMBERS, "output²/weight", "least tr((W−Ŵ)Σ(W−Ŵ)ᵀ)/weights at each"),
         OPT("effective_rank", BG_NUMBER, "1", "exp of the entropy of the eigenvalues' shares"),
         OPT("folds", BG_INTEGER, "-", "parts of the text behind what follows"),
         OPT("shrinkage", BG_NUMBER, "1", "ρ of Ledoit and Wolf 2004, sampling error taken between folds"),
         OPT("shrinkage_bits", BG_NUMBER, "bits/weight", "what it adds to the bound at 4 bits"),
         OPT("held_out_bits", BG_NUMBER, "bits/weight", "what held-out text adds to the bound at 4 bits"),
         OPT("held_out_low_bits", BG_NUMBER, "bits/weight", "bootstrap over folds, 2.5 %"),
         OPT("held_out_high_bits", BG_NUMBER, "bits/weight", "97.5 %"),
         OPT("shrunk_distortions", BG_NUMBERS, "output²/weight", "of the shrunk Σ"),
         OPT("held_out_distortions", BG_NUMBERS, "output²/weight",
             "eigenvectors of some folds, energies on the others"),
         OPT("low_distortions", BG_NUMBERS, "output²/weight", "bootstrap over folds, 2.5 %"),
         OPT("high_distortions", BG_NUMBERS, "output²/weight", "97.5 %"),
         {0}}},
    {0}};

/* ---- curves ---- */

static const bg_section curves_sections[] = {
    {"points", "one tensor under one spec",
     (const bg_field[]){
         PLACE,
         REQ("spec", BG_STRING, "-", "canonical spec of the point"),
         REQ("quantizer", BG_STRING, "-", "spec without its bits: the curve this point is on"),
         REQ("family", BG_STRING, "-", "uniform, non-uniform, vector, trellis, entropy-coded, calibrated, deployed"),
         OPT("bits", BG_NUMBER, "bits/weight", "nominal index bits"),
         REQ("weights", BG_INTEGER, "weights", "weights in the tensor; 0: a density"),
         REQ("rate_bits", BG_NUMBER, "bits/weight", "everything stored, over the weights"),
         REQ("mse", BG_NUMBER, "weight²", "mean squared error"),
         REQ("sigma2", BG_NUMBER, "weight²", "variance"),
         OPT("sqnr_db", BG_NUMBER, "dB", "10·log10(σ²/mse)"),
         OPT("gap_bits", BG_NUMBER, "bits/weight", "rate_bits − ½·log2(σ²/mse)"),
         OPT("max_error", BG_NUMBER, "weight", "largest |w − ŵ|"),
         OPT("max_relative_error", BG_NUMBER, "1", "largest |w − ŵ| over the largest |w|"),
         OPT("clipped", BG_NUMBER, "1", "share of weights beyond the grid"),
         OPT("index_entropy_bits", BG_NUMBER, "bits/weight", "order-0 entropy of the indices"),
         OPT("output_mse", BG_NUMBER, "output²", "tr((W−Ŵ)Σ(W−Ŵ)ᵀ) per output"),
         OPT("babai_bound", BG_NUMBER, "output²",
             "round=gptq: no walk that clips nothing loses more (Babai 1986), damping included"),
         OPT("output_gap_bits", BG_NUMBER, "bits/weight", "distance from the functional bound"),
         REQ("index_bits", BG_NUMBER, "bits/weight", "of the rate: indices"),
         REQ("scale_bits", BG_NUMBER, "bits/weight", "of the rate: scales, zero points, minima"),
         REQ("codebook_bits", BG_NUMBER, "bits/weight", "of the rate: codebooks and coder tables"),
         REQ("other_bits", BG_NUMBER, "bits/weight", "of the rate: positions, permutations, padding"),
         {0}}},
    {"grids", "reconstruction points of the 4-bit scalar grids, for figures",
     (const bg_field[]){REQ("role", BG_STRING, "-", "role they were fitted to; 'all': a grid that is not fitted"),
                        REQ("spec", BG_STRING, "-", "canonical spec"),
                        REQ("quantizer", BG_STRING, "-", "spec without its bits"),
                        REQ("levels", BG_NUMBERS, "σ", "ascending, about the mean, at the mean scale of the role"),
                        {0}}},
    {"skipped", "specs that could not run on a tensor",
     (const bg_field[]){PLACE, REQ("spec", BG_STRING, "-", "spec"), REQ("reason", BG_STRING, "-", "why"), {0}}},
    {0}};

/* ---- gaps ---- */

/* Of a mean over tensors. */
#define GAP_INTERVAL                                                                                                   \
    REQ("gap_bits", BG_NUMBER, "bits/weight", "mean by weights"),                                                      \
        OPT("gap_low_bits", BG_NUMBER, "bits/weight", "bootstrap over the tensors, 2.5 %"),                            \
        OPT("gap_high_bits", BG_NUMBER, "bits/weight", "97.5 %"),                                                      \
        OPT("output_gap_bits", BG_NUMBER, "bits/weight", "mean by weights, above the functional bound"),               \
        OPT("output_gap_low_bits", BG_NUMBER, "bits/weight", "bootstrap over the tensors, 2.5 %"),                     \
        OPT("output_gap_high_bits", BG_NUMBER, "bits/weight", "97.5 %")

static const bg_section gaps_sections[] = {
    {"points", "every point of the curves against every bound",
     (const bg_field[]){
         PLACE,
         REQ("quantizer", BG_STRING, "-", "curve"),
         REQ("spec", BG_STRING, "-", "point"),
         REQ("rate_bits", BG_NUMBER, "bits/weight", "everything counted"),
         REQ("gap_bits", BG_NUMBER, "bits/weight", "above the Gaussian bound"),
         OPT("gap_empirical_bits", BG_NUMBER, "bits/weight", "above Blahut–Arimoto of these weights (upper curve)"),
         OPT("gap_shannon_lower_bits", BG_NUMBER, "bits/weight", "above the Shannon lower bound of these weights"),
         {0}}},
    {"targets", "rate at which a curve reaches a distortion, by interpolation in log D",
     (const bg_field[]){PLACE,
                        REQ("quantizer", BG_STRING, "-", "curve"),
                        REQ("relative", BG_NUMBER, "1", "D/σ²"),
                        REQ("reached", BG_BOOL, "-", "the curve covers this distortion"),
                        OPT("rate_bits", BG_NUMBER, "bits/weight", "interpolated rate"),
                        OPT("gap_bits", BG_NUMBER, "bits/weight", "above the Gaussian bound there"),
                        OPT("gap_empirical_bits", BG_NUMBER, "bits/weight", "above Blahut–Arimoto there"),
                        {0}}},
    {"sensitivity", "layers by their loss at 4 bits per channel, worst first",
     (const bg_field[]){PLACE,
                        REQ("rank", BG_INTEGER, "-", "1 is worst"),
                        REQ("spec", BG_STRING, "-", "at this spec"),
                        REQ("mse", BG_NUMBER, "weight²", "mean squared error"),
                        REQ("sqnr_db", BG_NUMBER, "dB", "SQNR"),
                        OPT("max_error", BG_NUMBER, "weight", "largest error"),
                        OPT("max_relative_error", BG_NUMBER, "1", "over the largest weight"),
                        {0}}},
    {"roles", "averages of a role",
     (const bg_field[]){REQ("role", BG_STRING, "-", "role"),
                        REQ("quantizer", BG_STRING, "-", "curve"),
                        REQ("spec", BG_STRING, "-", "point"),
                        REQ("over", BG_STRING, "-", "'spaced': at most 6 evenly spaced layers; 'all'"),
                        REQ("tensors", BG_INTEGER, "-", "how many"),
                        REQ("rate_bits", BG_NUMBER, "bits/weight", "mean by weights"),
                        REQ("relative", BG_NUMBER, "1", "mean of D/σ² by weights"),
                        REQ("gap_bits", BG_NUMBER, "bits/weight", "mean by weights"),
                        REQ("gap_least_bits", BG_NUMBER, "bits/weight", "least over the tensors"),
                        REQ("gap_most_bits", BG_NUMBER, "bits/weight", "largest over the tensors"),
                        OPT("gap_low_bits", BG_NUMBER, "bits/weight", "bootstrap over the tensors, 2.5 %"),
                        OPT("gap_high_bits", BG_NUMBER, "bits/weight", "97.5 %"),
                        {0}}},
    {"bdrate", "average distance between curves over all tensors",
     (const bg_field[]){
         REQ("anchor", BG_STRING, "-", "curve"),
         REQ("test", BG_STRING, "-", "curve"),
         REQ("tensors", BG_INTEGER, "-", "tensors whose curves both rise all the way and overlap"),
         REQ("bd_bits", BG_NUMBER, "bits/weight", "mean horizontal distance, PCHIP; negative: test needs less"),
         OPT("bd_bits_low", BG_NUMBER, "bits/weight", "bootstrap over tensors, 2.5 %"),
         OPT("bd_bits_high", BG_NUMBER, "bits/weight", "97.5 %"),
         OPT("bd_rate_percent", BG_NUMBER, "%", "Bjøntegaard: log rate, PCHIP"),
         OPT("bd_bits_akima", BG_NUMBER, "bits/weight",
             "as bd_bits by Akima's interpolation, where both curves have five points"),
         {0}}},
    {"specs", "average of a spec over all tensors, with its interval",
     (const bg_field[]){REQ("quantizer", BG_STRING, "-", "curve"),
                        REQ("spec", BG_STRING, "-", "point"),
                        REQ("tensors", BG_INTEGER, "-", "how many"),
                        REQ("rate_bits", BG_NUMBER, "bits/weight", "mean by weights"),
                        GAP_INTERVAL,
                        {0}}},
    {"pairs", "average of a spec less that of a rival, tensor by tensor, where their rates are within 1.5 bits",
     (const bg_field[]){REQ("spec", BG_STRING, "-", "point"),
                        REQ("rival", BG_STRING, "-", "point of another curve"),
                        REQ("tensors", BG_INTEGER, "-", "that both have"),
                        GAP_INTERVAL,
                        {0}}},
    {0}};

/* ---- timings ---- */

static const bg_section timings_sections[] = {
    {"rows", "how long it took: measurements, which differ from run to run",
     (const bg_field[]){REQ("stage", BG_STRING, "-", "stage"),
                        REQ("document", BG_STRING, "-", "the document it wrote"),
                        REQ("what", BG_STRING, "-", "spec, or 'all' for the stage from start to end"),
                        REQ("seconds", BG_NUMBER, "s", "wall time; specs that share a pass share its time evenly"),
                        OPT("weights", BG_NUMBER, "weights", "weights it ran over"),
                        OPT("threads", BG_INTEGER, "-", "threads it was given"),
                        {0}}},
    {0}};

/* ---- logits ---- */

static const bg_section logits_sections[] = {
    {"texts", "what the models read",
     (const bg_field[]){REQ("text", BG_STRING, "-", "file, or 'built-in sentences'"),
                        REQ("tokens", BG_INTEGER, "tokens", "tokens run"),
                        REQ("scored", BG_INTEGER, "tokens", "of them with a next token"),
                        REQ("sequences", BG_INTEGER, "-", "windows or sentences"),
                        REQ("context", BG_INTEGER, "tokens", "longest sequence"),
                        REQ("token_sha256", BG_STRING, "-", "of the ids as little-endian 32-bit numbers"),
                        REQ("replaced", BG_INTEGER, "-", "invalid UTF-8 sequences read as U+FFFD"),
                        OPT("perplexity", BG_NUMBER, "1", "of the base"),
                        OPT("perplexity_se", BG_NUMBER, "1", "standard error"),
                        {0}}},
    {"rows", "the base against changed weights",
     (const bg_field[]){REQ("spec", BG_STRING, "-", "canonical spec; a checkpoint's name"),
                        REQ("quantizer", BG_STRING, "-", "spec without its bits"),
                        REQ("source", BG_STRING, "-", "'spec', 'recipe' (a spec for each tensor) or 'checkpoint'"),
                        REQ("over", BG_STRING, "-", "what was changed: 'all', 'layer', 'role', 'tensor'"),
                        REQ("layer", BG_INTEGER, "-", "the layer; -1: all"),
                        REQ("role", BG_STRING, "-", "the role; 'all'"),
                        REQ("tensors", BG_INTEGER, "-", "changed tensors"),
                        REQ("weights", BG_INTEGER, "weights", "in them"),
                        OPT("rate_bits", BG_NUMBER, "bits/weight", "of the changed tensors, everything counted"),
                        REQ("weight_mse", BG_NUMBER, "weight²", "mean squared error of the changed weights"),
                        REQ("weight_relative", BG_NUMBER, "1", "‖W−Ŵ‖²/‖W‖²"),
                        REQ("logits_mse", BG_NUMBER, "logit²", "mean over tokens and vocabulary"),
                        OPT("logits_mse_se", BG_NUMBER, "logit²", "standard error over tokens"),
                        OPT("ratio", BG_NUMBER, "logit²/weight²", "logits_mse / weight_mse"),
                        REQ("kl_mean", BG_NUMBER, "nats/token", "KL(base ‖ changed)"),
                        OPT("kl_se", BG_NUMBER, "nats/token", "standard error"),
                        REQ("kl_median", BG_NUMBER, "nats/token", "median over tokens"),
                        REQ("kl_90", BG_NUMBER, "nats/token", "90 %"),
                        REQ("kl_99", BG_NUMBER, "nats/token", "99 %"),
                        REQ("kl_999", BG_NUMBER, "nats/token", "99.9 %"),
                        REQ("kl_max", BG_NUMBER, "nats/token", "largest"),
                        REQ("same_top", BG_NUMBER, "1", "share of tokens with the same top choice"),
                        OPT("same_top_se", BG_NUMBER, "1", "standard error"),
                        OPT("delta_p_mean", BG_NUMBER, "1", "mean change of the next token's probability"),
                        OPT("delta_p_rms", BG_NUMBER, "1", "root mean square of it"),
                        OPT("perplexity", BG_NUMBER, "1", "exp of the mean log-loss"),
                        OPT("perplexity_se", BG_NUMBER, "1", "standard error"),
                        OPT("log_ratio", BG_NUMBER, "nats/token", "ln(perplexity / base's)"),
                        OPT("log_ratio_se", BG_NUMBER, "nats/token", "of the paired differences"),
                        {0}}},
    {"noise", "the reference's own floor: the same weights in other arithmetic",
     (const bg_field[]){REQ("arithmetic", BG_STRING, "-", "'float64 sums' or 'bfloat16 activations'"),
                        REQ("tokens", BG_INTEGER, "tokens", "tokens run"),
                        REQ("logits_mse", BG_NUMBER, "logit²", "mean"),
                        REQ("kl_mean", BG_NUMBER, "nats/token", "mean"),
                        REQ("kl_max", BG_NUMBER, "nats/token", "largest"),
                        REQ("same_top", BG_NUMBER, "1", "share"),
                        OPT("log_ratio", BG_NUMBER, "nats/token", "ln(perplexity / base's)"),
                        {0}}},
    {"coefficients", "linearity: what a small error of one tensor costs, per unit of ‖W−Ŵ‖²/‖W‖²",
     (const bg_field[]){PLACE,
                        REQ("step", BG_NUMBER, "1", "‖noise‖/‖W‖ it was measured with"),
                        REQ("tokens", BG_INTEGER, "tokens", "tokens run"),
                        REQ("kl", BG_NUMBER, "nats/token", "of the divergence"),
                        REQ("log_ratio", BG_NUMBER, "nats/token", "of the log-perplexity"),
                        {0}}},
    {"linearity", "the sum over tensors against the measurement",
     (const bg_field[]){REQ("spec", BG_STRING, "-", "canonical spec"),
                        OPT("rate_bits", BG_NUMBER, "bits/weight", "everything counted"),
                        REQ("predicted_kl", BG_NUMBER, "nats/token", "Σ a·t²"),
                        REQ("measured_kl", BG_NUMBER, "nats/token", "mean"),
                        REQ("predicted_log_ratio", BG_NUMBER, "nats/token", "Σ a·t²"),
                        OPT("measured_log_ratio", BG_NUMBER, "nats/token", "ln(perplexity / base's)"),
                        OPT("measured_log_ratio_se", BG_NUMBER, "nats/token", "of the paired differences"),
                        OPT("residual_kl", BG_NUMBER, "nats", "ln(measured / predicted)"),
                        OPT("residual_log_ratio", BG_NUMBER, "nats/token", "measured − predicted"),
                        OPT("shaped", BG_INTEGER, "-", "1: calibration shapes the error; not in the fit"),
                        {0}}},
    {"linearity_fit", "how well that held over the specs whose error is not shaped by calibration",
     (const bg_field[]){REQ("measure", BG_STRING, "-", "'kl' or 'log_ratio'"),
                        REQ("specs", BG_INTEGER, "-", "specs with positive values"),
                        OPT("r2", BG_NUMBER, "1", "of the logarithms, about predicted = measured"),
                        REQ("worst", BG_NUMBER, "1", "largest |predicted/measured − 1|"),
                        REQ("tolerance", BG_NUMBER, "1", "what counts as holding"),
                        OPT("holds_from_bits", BG_NUMBER, "bits/weight",
                            "least rate from which on every spec is within the tolerance"),
                        {0}}},
    {"tokens", "token by token (on request)",
     (const bg_field[]){REQ("spec", BG_STRING, "-", "canonical spec"),
                        REQ("squared", BG_NUMBERS, "logit²", "mean over the vocabulary"),
                        REQ("kl", BG_NUMBERS, "nats", "KL(base ‖ changed)"),
                        {0}}},
    {"skipped", "specs that could not run",
     (const bg_field[]){REQ("spec", BG_STRING, "-", "spec"),
                        REQ("tensor", BG_STRING, "-", "first tensor it could not run on"),
                        REQ("reason", BG_STRING, "-", "why"),
                        {0}}},
    {0}};

/* ---- correlation ---- */

static const bg_section correlation_sections[] = {
    {"points", "weight error against functional error",
     (const bg_field[]){REQ("spec", BG_STRING, "-", "canonical spec"),
                        REQ("quantizer", BG_STRING, "-", "spec without its bits"),
                        REQ("over", BG_STRING, "-", "'all', 'layer', 'role', 'tensor'"),
                        REQ("layer", BG_INTEGER, "-", "the layer; -1: all"),
                        REQ("role", BG_STRING, "-", "the role; 'all'"),
                        OPT("rate_bits", BG_NUMBER, "bits/weight", "everything counted"),
                        REQ("weight_mse", BG_NUMBER, "weight²", "of the changed tensors, from the curves"),
                        REQ("logits_mse", BG_NUMBER, "logit²", "mean"),
                        REQ("kl_mean", BG_NUMBER, "nats/token", "mean"),
                        REQ("ratio", BG_NUMBER, "logit²/weight²", "logits_mse / weight_mse"),
                        {0}}},
    {"rows", "does weight error foretell functional error?",
     (const bg_field[]){
         REQ("over", BG_STRING, "-", "the points taken: 'all', 'layer', 'role', 'tensor'"),
         REQ("role", BG_STRING, "-", "the role; 'all'"),
         REQ("measure", BG_STRING, "-", "'logits_mse' or 'kl_mean'"),
         REQ("points", BG_INTEGER, "-", "how many"),
         OPT("pearson", BG_NUMBER, "1", "of the logarithms"),
         OPT("pearson_p", BG_NUMBER, "1", "two-sided, Student t"),
         OPT("pearson_low", BG_NUMBER, "1", "95 % by Fisher's z"),
         OPT("pearson_high", BG_NUMBER, "1", "95 %"),
         OPT("spearman", BG_NUMBER, "1", "of mid-ranks"),
         OPT("spearman_p", BG_NUMBER, "1", "two-sided, Student t"),
         OPT("spearman_p_exact", BG_NUMBER, "1", "over all permutations, at most 8 points"),
         OPT("spearman_low", BG_NUMBER, "1", "95 % by Fisher's z"),
         OPT("spearman_high", BG_NUMBER, "1", "95 %"),
         OPT("slope", BG_NUMBER, "1", "of ln functional over ln weight error; 1: proportional"),
         REQ("ratio_geometric_mean", BG_NUMBER, "functional/weight²", "of functional over weight error"),
         REQ("ratio_spread", BG_NUMBER, "1", "largest over smallest ratio"),
         REQ("verdict", BG_STRING, "-", "'validated' (ρ > 0.8), 'partly' (> 0.5), 'not', 'too few' points or p > 0.05"),
         {0}}},
    {0}};

/* ---- calibration ---- */

static const bg_section calibration_sections[] = {
    {"settings", "what was run",
     (const bg_field[]){REQ("model", BG_STRING, "-", "title of the checkpoint"),
                        REQ("samples", BG_INTEGER, "-", "windows of the text"),
                        REQ("length", BG_INTEGER, "tokens", "of each"),
                        REQ("tokens", BG_INTEGER, "tokens", "in all"),
                        REQ("sequential", BG_STRING, "-", "spec of the predecessors; none: as they are"),
                        REQ("side_file", BG_STRING, "-",
                            "beside this document: doubles, per input C·E|x|, C·max|x|, lower triangle of Σ"),
                        REQ("side_bytes", BG_INTEGER, "bytes", "its size"),
                        REQ("side_sha256", BG_STRING, "-", "its sha256"),
                        {0}}},
    {"layers", "the input of every linear layer",
     (const bg_field[]){PLACE,
                        REQ("tensor_sha256", BG_STRING, "-", "of its name, shape and first row"),
                        REQ("cols", BG_INTEGER, "-", "inputs, C"),
                        REQ("shares", BG_STRING, "-", "first tensor with the same input"),
                        REQ("tokens", BG_INTEGER, "tokens", "behind the means"),
                        REQ("offset", BG_INTEGER, "bytes", "of its block in the side file"),
                        OPT("folds", BG_INTEGER, "-", "parts of the text whose Σ follows, as float32"),
                        REQ("trace", BG_NUMBER, "input²", "of Σ = E[xxᵀ]"),
                        REQ("mean_abs", BG_NUMBER, "input", "mean of E|x_i|"),
                        REQ("max_abs", BG_NUMBER, "input", "largest |x_i|"),
                        {0}}},
    {0}};

/* ---- quantization ---- */

static const bg_section quantization_sections[] = {
    {"models", "the checkpoint that was written",
     (const bg_field[]){
         REQ("model", BG_STRING, "-", "title of the original"),
         REQ("spec", BG_STRING, "-", "canonical spec; a recipe's file"),
         REQ("layout", BG_STRING, "-", "dense, compressed-tensors, gptq, awq, bitsandbytes or gguf"),
         REQ("weights", BG_INTEGER, "weights", "quantized"),
         REQ("rate_bits", BG_NUMBER, "bits/weight", "of the quantized matrices, everything the spec stores"),
         REQ("bytes", BG_INTEGER, "bytes", "of all tensors as written"),
         REQ("original_bytes", BG_INTEGER, "bytes", "of the original's weight files"),
         REQ("mse", BG_NUMBER, "weight²", "mean over the quantized weights, as written"),
         OPT("clipped", BG_NUMBER, "1", "share of the quantized weights beyond their grids; absent: not counted"),
         OPT("output_relative", BG_NUMBER, "1", "Σ tr((W−Ŵ)Σ(W−Ŵ)ᵀ) / Σ tr(WΣWᵀ), with a calibration"),
         OPT("babai_relative", BG_NUMBER, "1", "of it, what error feedback loses at most while nothing clips"),
         REQ("shards", BG_INTEGER, "-", "files"),
         {0}}},
    {"tensors", "each quantized matrix",
     (const bg_field[]){PLACE,
                        REQ("spec", BG_STRING, "-", "canonical spec"),
                        REQ("weights", BG_INTEGER, "weights", "in it"),
                        REQ("rate_bits", BG_NUMBER, "bits/weight", "everything counted"),
                        REQ("mse", BG_NUMBER, "weight²", "of the weights as written"),
                        OPT("clipped", BG_NUMBER, "1", "share of the weights beyond their grids"),
                        OPT("output_mse", BG_NUMBER, "output²", "with a calibration"),
                        OPT("output_relative", BG_NUMBER, "1", "tr((W−Ŵ)Σ(W−Ŵ)ᵀ) / tr(WΣWᵀ)"),
                        OPT("babai_bound", BG_NUMBER, "output²", "of GPTQ: at most lost while nothing clips"),
                        REQ("bytes", BG_INTEGER, "bytes", "written"),
                        {0}}},
    {0}};

/* ---- evaluation ---- */

static const bg_section evaluation_sections[] = {
    {"settings", "what was run",
     (const bg_field[]){REQ("base_model", BG_STRING, "-", "row 0, which every comparison is against"),
                        REQ("context", BG_INTEGER, "tokens", "of a window; 0: the model's own, at most 2048"),
                        REQ("stride", BG_INTEGER, "tokens", "of the strided convention; 0: half the context"),
                        REQ("windows", BG_INTEGER, "-", "at most so many were scored; 0: all"),
                        OPT("tokens_sha256", BG_STRING, "-", "of the text's token ids in the base model"),
                        REQ("prompts", BG_INTEGER, "-", "excerpts that the models went on from"),
                        REQ("prompt_tokens", BG_INTEGER, "tokens", "of each"),
                        REQ("new_tokens", BG_INTEGER, "tokens", "at most generated for each"),
                        REQ("repeats", BG_INTEGER, "-", "runs over all prompts"),
                        {0}}},
    {"rows", "one model under one spec; row 0 is the base",
     (const bg_field[]){
         REQ("model", BG_STRING, "-", "title of the checkpoint"),
         REQ("spec", BG_STRING, "-", "canonical spec; none: the weights as they are"),
         REQ("rate_bits", BG_NUMBER, "bits/weight", "of the layers' matrices, everything counted"),
         REQ("model_bits", BG_NUMBER, "bits/weight", "of the whole file over all parameters"),
         REQ("bytes", BG_NUMBER, "bytes", "of the weight files, or what they would be"),
         OPT("compression", BG_NUMBER, "1", "bytes of the base over these"),
         OPT("quantize_seconds", BG_NUMBER, "s", "making the quantized matrices"),
         OPT("weight_mse", BG_NUMBER, "weight²", "mean squared error over the layers' matrices"),
         OPT("perplexity", BG_NUMBER, "1", "windows that do not overlap, all tokens but the first of each"),
         OPT("perplexity_se", BG_NUMBER, "1", "standard error"),
         OPT("log_perplexity_change", BG_NUMBER, "nats/token", "ln of the ratio to the base"),
         OPT("log_perplexity_change_se", BG_NUMBER, "nats/token", "paired standard error"),
         OPT("bits_per_byte", BG_NUMBER, "bits/byte", "mean bits a token times the text's tokens a byte"),
         OPT("perplexity_llama_cpp", BG_NUMBER, "1", "second half of windows of at most 512, begin token in front"),
         OPT("perplexity_llama_cpp_se", BG_NUMBER, "1", "standard error"),
         OPT("perplexity_strided", BG_NUMBER, "1", "overlapping windows, each token once"),
         OPT("perplexity_strided_se", BG_NUMBER, "1", "standard error"),
         OPT("scored_tokens", BG_NUMBER, "tokens", "behind perplexity"),
         OPT("qa_items", BG_NUMBER, "-", "questions"),
         OPT("qa_accuracy", BG_NUMBER, "1", "share whose likeliest choice is right"),
         OPT("qa_accuracy_se", BG_NUMBER, "1", "binomial standard error"),
         OPT("qa_greedy_accuracy", BG_NUMBER, "1", "share whose greedy answer is exactly right"),
         OPT("prompt_tokens_per_second", BG_NUMBER, "tokens/s", "reading a prompt, median of the runs"),
         OPT("prompt_tokens_per_second_least", BG_NUMBER, "tokens/s", "slowest run"),
         OPT("prompt_tokens_per_second_most", BG_NUMBER, "tokens/s", "fastest run"),
         OPT("tokens_per_second", BG_NUMBER, "tokens/s", "generating, median of the runs"),
         OPT("tokens_per_second_least", BG_NUMBER, "tokens/s", "slowest run"),
         OPT("tokens_per_second_most", BG_NUMBER, "tokens/s", "fastest run"),
         OPT("ms_per_token", BG_NUMBER, "ms", "latency of a generated token, median of the runs"),
         OPT("ms_per_token_least", BG_NUMBER, "ms", "fastest run"),
         OPT("ms_per_token_most", BG_NUMBER, "ms", "slowest run"),
         OPT("peak_bytes", BG_NUMBER, "bytes", "peak resident memory of this program, float32 weights included"),
         OPT("cache_bytes", BG_NUMBER, "bytes", "keys and values of the longest sequence"),
         OPT("first_difference", BG_NUMBER, "tokens", "mean place where the generated text leaves the base's"),
         OPT("same_texts", BG_NUMBER, "1", "share of generated texts equal to the base's"),
         OPT("edit_distance", BG_NUMBER, "1", "mean edits to the base's text per token"),
         OPT("bleu", BG_NUMBER, "1", "of the words, corpus BLEU-4 against the base's texts"),
         OPT("rouge_l", BG_NUMBER, "1", "of the words, mean F1 against the base's texts"),
         OPT("note", BG_STRING, "-", "layers that the spec could not run on"),
         {0}}},
    {"qa", "accuracy by kind of question",
     (const bg_field[]){REQ("model", BG_STRING, "-", "title"),
                        REQ("spec", BG_STRING, "-", "spec"),
                        REQ("kind", BG_STRING, "-", "as the items say; all: every item"),
                        REQ("items", BG_INTEGER, "-", "questions"),
                        OPT("accuracy", BG_NUMBER, "1", "likeliest choice is right"),
                        REQ("greedy_accuracy", BG_NUMBER, "1", "greedy answer is exactly right"),
                        {0}}},
    {"drift", "generated texts against the base's",
     (const bg_field[]){
         REQ("model", BG_STRING, "-", "title"),
         REQ("spec", BG_STRING, "-", "spec"),
         REQ("prompt", BG_INTEGER, "-", "which excerpt"),
         REQ("tokens", BG_INTEGER, "tokens", "generated"),
         REQ("first_difference", BG_INTEGER, "tokens", "equal tokens from the start (words, for another tokenizer)"),
         REQ("edits", BG_INTEGER, "tokens", "insertions, deletions and substitutions"),
         REQ("rouge_l", BG_NUMBER, "1", "F1 of the words"),
         REQ("text", BG_STRING, "-", "generated"),
         {0}}},
    {"imported", "figures measured elsewhere",
     (const bg_field[]){REQ("model", BG_STRING, "-", "as the file says, or as given"),
                        REQ("task", BG_STRING, "-", "task"),
                        REQ("metric", BG_STRING, "-", "metric, with its filter unless that is none"),
                        REQ("value", BG_NUMBER, "-", "as the file says"),
                        OPT("value_se", BG_NUMBER, "-", "standard error"),
                        {0}}},
    {0}};

/* ---- audit ---- */

#define PARTS_OF_RATE                                                                                                  \
    REQ("index_bits", BG_NUMBER, "bits/weight", "of the rate: codes (of plain tensors: elements)"),                    \
        REQ("scale_bits", BG_NUMBER, "bits/weight", "of the rate: scales"),                                            \
        REQ("zero_bits", BG_NUMBER, "bits/weight", "of the rate: zero points and minima"),                             \
        REQ("codebook_bits", BG_NUMBER, "bits/weight", "of the rate: code books"),                                     \
        REQ("order_bits", BG_NUMBER, "bits/weight", "of the rate: g_idx and permutations"),                            \
        REQ("padding_bits", BG_NUMBER, "bits/weight", "of the rate: padding"),                                         \
        REQ("metadata_bits", BG_NUMBER, "bits/weight", "of the rate: descriptions")

static const bg_section audit_sections[] = {
    {"models", "each checkpoint as a whole; its bytes add up to its files",
     (const bg_field[]){
         REQ("model", BG_STRING, "-", "title"),
         REQ("base", BG_BOOL, "-", "the others are compared with it"),
         REQ("container", BG_STRING, "-", "safetensors, gguf or source"),
         REQ("file_bytes", BG_INTEGER, "bytes", "all weight files: tensor_bytes + overhead_bytes"),
         REQ("tensor_bytes", BG_INTEGER, "bytes", "what belongs to a tensor"),
         REQ("overhead_bytes", BG_INTEGER, "bytes", "headers and alignment"),
         REQ("tensors", BG_INTEGER, "-", "tensors"),
         REQ("quantized", BG_INTEGER, "-", "of them with codes"),
         REQ("weights", BG_INTEGER, "weights", "in all tensors"),
         REQ("rate_bits", BG_NUMBER, "bits/weight", "8·file_bytes/weights"),
         REQ("quantized_weights", BG_INTEGER, "weights", "in tensors with codes"),
         OPT("quantized_rate_bits", BG_NUMBER, "bits/weight", "rate of the tensors with codes"),
         OPT("index_entropy_bits", BG_NUMBER, "bits/weight", "mean entropy of their codes"),
         OPT("entropy_saving_bytes", BG_NUMBER, "bytes", "what an order-0 entropy coder would still save"),
         OPT("relative", BG_NUMBER, "1", "mean D/σ² of the tensors with codes, by weights"),
         OPT("sqnr_db", BG_NUMBER, "dB", "−10·log10 of it"),
         OPT("share_clipping", BG_NUMBER, "1", "share of their squared error that clipped weights make"),
         OPT("share_rounding", BG_NUMBER, "1", "share that all others make"),
         OPT("share_scale", BG_NUMBER, "1", "share that the best scale of each group would save, same codes"),
         OPT("share_zero", BG_NUMBER, "1", "share that a free offset beside it would save further"),
         OPT("share_choice", BG_NUMBER, "1", "share that the nearest levels of the same grids would save"),
         OPT("gap_bits", BG_NUMBER, "bits/weight", "mean gap of the tensors with codes, by weights"),
         OPT("wasted_bytes", BG_NUMBER, "bytes", "their gaps as bytes: Σ weights·gap_bits/8"),
         {0}}},
    {"tensors", "every tensor of every checkpoint but the base, worst D/σ² first",
     (const bg_field[]){
         REQ("model", BG_STRING, "-", "title"),
         PLACE,
         REQ("state", BG_STRING, "-", "quantized or plain"),
         REQ("storage", BG_STRING, "-", "as stored, for people"),
         REQ("match", BG_STRING, "-",
             "same, renamed, tied (with the embedding), missing or shape; none without a base"),
         OPT("base_tensor", BG_STRING, "-", "its name in the base, where it differs"),
         REQ("rows", BG_INTEGER, "-", "outputs"),
         REQ("cols", BG_INTEGER, "-", "inputs"),
         REQ("weights", BG_INTEGER, "weights", "weights"),
         REQ("bytes", BG_INTEGER, "bytes", "as stored, everything counted"),
         REQ("rate_bits", BG_NUMBER, "bits/weight", "8·bytes/weights"),
         PARTS_OF_RATE,
         OPT("index_entropy_bits", BG_NUMBER, "bits/weight", "order-0 entropy of the codes"),
         OPT("sigma2", BG_NUMBER, "weight²", "variance of the base"),
         OPT("kurtosis_excess", BG_NUMBER, "1", "of the base"),
         OPT("mse", BG_NUMBER, "weight²", "mean squared error"),
         OPT("relative", BG_NUMBER, "1", "D/σ²"),
         OPT("sqnr_db", BG_NUMBER, "dB", "10·log10(σ²/mse)"),
         OPT("max_error", BG_NUMBER, "weight", "largest |w − ŵ|"),
         OPT("gap_bits", BG_NUMBER, "bits/weight", "rate_bits − ½·log2(σ²/mse)"),
         OPT("gap_empirical_bits", BG_NUMBER, "bits/weight",
             "rate_bits − Blahut–Arimoto of these weights (upper curve)"),
         OPT("wasted_bytes", BG_NUMBER, "bytes", "weights·gap_bits/8"),
         OPT("clipped", BG_NUMBER, "1", "share of weights more than half a step outside the levels"),
         OPT("mse_clipping", BG_NUMBER, "weight²", "of mse: the clipped weights"),
         OPT("mse_rounding", BG_NUMBER, "weight²", "of mse: all others"),
         OPT("mse_scale", BG_NUMBER, "weight²", "of mse: what the best scale of each group would save, same codes"),
         OPT("mse_zero", BG_NUMBER, "weight²", "of mse: what a free offset beside that scale would save further"),
         OPT("mse_choice", BG_NUMBER, "weight²", "of mse: what the nearest level of the same grid would save"),
         OPT("unfinite", BG_INTEGER, "weights", "NaN or Inf on either side, left out"),
         {0}}},
    {"unmatched", "tensors of the base that a checkpoint does not have",
     (const bg_field[]){REQ("model", BG_STRING, "-", "title"),
                        REQ("tensor", BG_STRING, "-", "name in the base"),
                        REQ("reason", BG_STRING, "-", "missing, or tied: the embedding serves"),
                        {0}}},
    {"comparisons", "checkpoints against each other over the tensors that both quantize",
     (const bg_field[]){
         REQ("model", BG_STRING, "-", "title"),
         REQ("against", BG_STRING, "-", "title"),
         REQ("tensors", BG_INTEGER, "-", "tensors compared"),
         REQ("better", BG_INTEGER, "-", "of them with less error in `model`"),
         OPT("rate_difference_bits", BG_NUMBER, "bits/weight", "model − against, mean by weights"),
         OPT("gap_difference_bits", BG_NUMBER, "bits/weight", "model − against, mean by weights"),
         OPT("improvement_percent", BG_NUMBER, "%", "less error: 100·(1 − geometric mean of the error ratios)"),
         REQ("verdict", BG_STRING, "-", "one sentence"),
         {0}}},
    {0}};

/* ---- diff ---- */

static const bg_section diff_sections[] = {
    {"summary", "B against A",
     (const bg_field[]){REQ("a", BG_STRING, "-", "title"),
                        REQ("b", BG_STRING, "-", "title"),
                        REQ("tensors", BG_INTEGER, "-", "in both"),
                        REQ("same", BG_INTEGER, "-", "without change"),
                        REQ("better", BG_INTEGER, "-", "smaller gap or error in B"),
                        REQ("worse", BG_INTEGER, "-", "larger in B"),
                        REQ("only_a", BG_INTEGER, "-", "missing in B"),
                        REQ("only_b", BG_INTEGER, "-", "new in B"),
                        OPT("worst", BG_NUMBER, "bits/weight or 1", "largest change for the worse"),
                        OPT("worst_tensor", BG_STRING, "-", "where"),
                        OPT("limit", BG_NUMBER, "as worst", "--fail-above"),
                        REQ("missed", BG_BOOL, "-", "the limit was missed"),
                        {0}}},
    {"tensors", "every tensor that differs, worst first",
     (const bg_field[]){PLACE,
                        REQ("state", BG_STRING, "-", "better, worse, only_a or only_b"),
                        OPT("change", BG_NUMBER, "bits/weight or 1",
                            "gap_bits of B − A; without a reference, D/σ² of B as a copy of A"),
                        OPT("rate_bits_a", BG_NUMBER, "bits/weight", "in A"),
                        OPT("rate_bits_b", BG_NUMBER, "bits/weight", "in B"),
                        OPT("mse_a", BG_NUMBER, "weight²", "of A against the reference"),
                        OPT("mse_b", BG_NUMBER, "weight²", "of B against the reference, or against A without one"),
                        OPT("gap_bits_a", BG_NUMBER, "bits/weight", "in A"),
                        OPT("gap_bits_b", BG_NUMBER, "bits/weight", "in B"),
                        {0}}},
    {0}};

/* ---- allocation ---- */

static const bg_section allocation_sections[] = {
    {"summary", "the budget and what it buys",
     (const bg_field[]){
         REQ("measure", BG_STRING, "-", "what is lost: 'KL' by measured coefficients, or 'squared error'"),
         REQ("unit", BG_STRING, "-", "unit of the losses"),
         REQ("budget_bits", BG_NUMBER, "bits/weight", "allowed"),
         REQ("rate_bits", BG_NUMBER, "bits/weight", "used"),
         REQ("loss", BG_NUMBER, "unit", "of the optimum"),
         REQ("exact", BG_BOOL, "-", "no allocation within the budget is better"),
         REQ("lagrangian_bits", BG_NUMBER, "bits/weight", "used by the best hull vertices"),
         REQ("lagrangian_loss", BG_NUMBER, "unit", "of them"),
         REQ("dual_bound", BG_NUMBER, "unit", "no allocation of these points loses less"),
         OPT("uniform_spec", BG_STRING, "-", "best single spec within the budget"),
         OPT("uniform_bits", BG_NUMBER, "bits/weight", "its rate"),
         OPT("uniform_loss", BG_NUMBER, "unit", "its loss"),
         REQ("weights", BG_INTEGER, "weights", "allocated"),
         {0}}},
    {"layers", "what each tensor gets",
     (const bg_field[]){PLACE,
                        REQ("spec", BG_STRING, "-", "chosen point"),
                        OPT("bits", BG_NUMBER, "bits/weight", "nominal"),
                        REQ("rate_bits", BG_NUMBER, "bits/weight", "everything counted"),
                        REQ("weights", BG_INTEGER, "weights", "in the tensor"),
                        REQ("coefficient", BG_NUMBER, "unit", "loss per ‖W−Ŵ‖²/‖W‖²"),
                        REQ("loss", BG_NUMBER, "unit", "predicted"),
                        {0}}},
    {"budgets", "the least loss at every budget",
     (const bg_field[]){REQ("budget_bits", BG_NUMBER, "bits/weight", "allowed"),
                        REQ("rate_bits", BG_NUMBER, "bits/weight", "used"),
                        REQ("loss", BG_NUMBER, "unit", "least"),
                        REQ("dual_bound", BG_NUMBER, "unit", "of any allocation"),
                        {0}}},
    {"uniforms", "one spec for all tensors",
     (const bg_field[]){REQ("spec", BG_STRING, "-", "spec"),
                        REQ("rate_bits", BG_NUMBER, "bits/weight", "everything counted"),
                        REQ("loss", BG_NUMBER, "unit", "predicted"),
                        {0}}},
    {"measured",
     "the model run under the best allocation that is no larger than the best single spec, and under that spec",
     (const bg_field[]){REQ("uniform_spec", BG_STRING, "-", "the single spec"),
                        REQ("tokens", BG_INTEGER, "tokens", "compared"),
                        REQ("uniform_bits", BG_NUMBER, "bits/weight", "of the single spec"),
                        REQ("rate_bits", BG_NUMBER, "bits/weight", "of the allocation"),
                        REQ("uniform_predicted", BG_NUMBER, "unit", "loss of the single spec"),
                        REQ("predicted", BG_NUMBER, "unit", "loss of the allocation"),
                        REQ("uniform_kl", BG_NUMBER, "nats/token", "of the single spec, measured"),
                        REQ("uniform_kl_se", BG_NUMBER, "nats/token", "its standard error"),
                        REQ("kl", BG_NUMBER, "nats/token", "of the allocation, measured"),
                        REQ("kl_se", BG_NUMBER, "nats/token", "its standard error"),
                        REQ("difference", BG_NUMBER, "nats/token", "allocation less single spec, paired by token"),
                        REQ("difference_se", BG_NUMBER, "nats/token", "its standard error"),
                        REQ("verdict", BG_STRING, "-", "gain or loss; none: within twice the paired error"),
                        {0}}},
    {"recipes", "the allocation as other engines read it, line by line",
     (const bg_field[]){REQ("engine", BG_STRING, "-", "llama.cpp, exllamav3, AutoRound, llm-compressor"),
                        REQ("line", BG_STRING, "-", "a line of its file or command"),
                        {0}}},
    {0}};

/* ---- budget ---- */

#define BUDGET_PARTS(unit)                                                                                             \
    REQ("granular", BG_NUMBER, unit,                                                                                   \
        "error of the best levels for the weights in the unit of their scopes, or of scopes' own levels"),             \
        REQ("mismatch", BG_NUMBER, unit, "what the grid's own levels add"),                                            \
        REQ("clipping", BG_NUMBER, unit, "error of weights beyond the outermost level by more than half a step"),      \
        REQ("scale_rounding", BG_NUMBER, unit, "what scales in their stored type add"),                                \
        REQ("zero_point", BG_NUMBER, unit, "what zero points, minima or fitted levels in theirs add"),                 \
        REQ("rounding", BG_NUMBER, unit, "what another rounding than to the nearest point adds")
#define BUDGET_RATE                                                                                                    \
    REQ("entropy_bits", BG_NUMBER, "bits/weight", "order-0 entropy of the indices; not known: their bits"),            \
        REQ("slack_bits", BG_NUMBER, "bits/weight", "what the stored indices take beyond it"),                         \
        REQ("side_bits", BG_NUMBER, "bits/weight", "scales, zero points, levels, tables, positions, order"),           \
        REQ("padding_bits", BG_NUMBER, "bits/weight", "padding"),                                                      \
        REQ("rate_bits", BG_NUMBER, "bits/weight", "their sum")

static const bg_section budget_sections[] = {
    {"rows", "one tensor under one spec: the parts of its error add up to mse, those of its rate to rate_bits",
     (const bg_field[]){PLACE,
                        REQ("spec", BG_STRING, "-", "spec"),
                        REQ("sigma2", BG_NUMBER, "weight²", "variance"),
                        BUDGET_PARTS("weight²"),
                        REQ("mse", BG_NUMBER, "weight²", "their sum"),
                        BUDGET_RATE,
                        {0}}},
    {"means", "means by weights over the tensors, errors over each tensor's variance",
     (const bg_field[]){REQ("spec", BG_STRING, "-", "spec"),
                        REQ("weights", BG_INTEGER, "weights", "weights of these tensors"),
                        BUDGET_PARTS("1"),
                        REQ("relative", BG_NUMBER, "1", "their sum, D/σ²"),
                        BUDGET_RATE,
                        {0}}},
    {"skipped", "specs without a budget on a tensor",
     (const bg_field[]){PLACE, REQ("spec", BG_STRING, "-", "spec"), REQ("reason", BG_STRING, "-", "why"), {0}}},
    {0}};

/* ---- lossless ---- */

static const bg_section lossless_sections[] = {
    {"rows", "a tensor of 16-bit floats: entropies of order 0 and, beside them, bits that rANS writes, tables counted",
     (const bg_field[]){PLACE,
                        REQ("dtype", BG_STRING, "-", "as stored"),
                        REQ("weights", BG_INTEGER, "weights", "weights"),
                        REQ("sign_bits", BG_NUMBER, "bits/weight", "entropy of the sign"),
                        REQ("exponent_bits", BG_NUMBER, "bits/weight", "entropy of the exponent"),
                        REQ("mantissa_bits", BG_NUMBER, "bits/weight", "entropy of the mantissa"),
                        REQ("mantissa_given_exponent_bits", BG_NUMBER, "bits/weight",
                            "entropy of the mantissa once the exponent is known"),
                        REQ("exponent_given_left_bits", BG_NUMBER, "bits/weight",
                            "entropy of the exponent once the one to the left is known"),
                        REQ("code_bits", BG_NUMBER, "bits/weight", "entropy of the whole number"),
                        REQ("fields_coded_bits", BG_NUMBER, "bits/weight",
                            "written: exponents by rANS, sign and mantissa as they are"),
                        REQ("codes_coded_bits", BG_NUMBER, "bits/weight", "written: whole numbers by rANS"),
                        REQ("saved", BG_NUMBER, "1", "share of the stored bits that the shorter of the two saves"),
                        {0}}},
    {"totals", "all of them together, each in the shorter form",
     (const bg_field[]){REQ("weights", BG_INTEGER, "weights", "weights"),
                        REQ("bytes", BG_INTEGER, "bytes", "as stored"),
                        REQ("coded_bytes", BG_INTEGER, "bytes", "coded"),
                        REQ("coded_bits", BG_NUMBER, "bits/weight", "coded"),
                        REQ("exponent_bits", BG_NUMBER, "bits/weight", "mean entropy of the exponents"),
                        REQ("mantissa_given_exponent_bits", BG_NUMBER, "bits/weight",
                            "mean entropy of the mantissas, exponents known"),
                        REQ("saved", BG_NUMBER, "1", "share of the bytes saved"),
                        {0}}},
    {"skipped", "tensors that have no such fields",
     (const bg_field[]){PLACE, REQ("reason", BG_STRING, "-", "why"), {0}}},
    {0}};

/* ---- published ---- */

static const bg_section published_sections[] = {
    {"rows", "cases of published tables, run again",
     (const bg_field[]){
         REQ("table", BG_STRING, "-", "file"),
         REQ("title", BG_STRING, "-", "of the table"),
         REQ("citation", BG_STRING, "-", "where it is from"),
         REQ("source", BG_STRING, "-", "law or samples"),
         REQ("spec", BG_STRING, "-", "spec"),
         REQ("quantity", BG_STRING, "-", "what is compared; mse over the variance"),
         REQ("grade", BG_STRING, "-",
             "P: read in the paper; C: computed independently; B: value ± tolerance spans what it must lie between"),
         REQ("value", BG_NUMBER, "as quantity", "what it should be"),
         OPT("ours", BG_NUMBER, "as quantity", "what came out"),
         OPT("difference", BG_NUMBER, "as quantity", "ours − value"),
         REQ("tolerance", BG_NUMBER, "as quantity", "of the difference"),
         REQ("inside", BG_BOOL, "-", "|difference| ≤ tolerance"),
         OPT("note", BG_STRING, "-", "remark"),
         OPT("skipped", BG_STRING, "-", "why it could not run"),
         {0}}},
    {0}};

/* ---- estimates ---- */

static const bg_section estimates_sections[] = {
    {"settings", "what was assumed",
     (const bg_field[]){REQ("context", BG_INTEGER, "tokens", "whose keys and values are kept"),
                        REQ("bandwidth", BG_NUMBER, "bytes/s", "of the memory that the weights are read from"),
                        {0}}},
    {"rows", "one shape under one spec, by arithmetic",
     (const bg_field[]){REQ("model", BG_STRING, "-", "name"),
                        REQ("spec", BG_STRING, "-", "canonical spec; none: 16 bits"),
                        REQ("parameters", BG_NUMBER, "weights", "of the model, without biases"),
                        REQ("matrices", BG_NUMBER, "weights", "of them in the layers' matrices"),
                        REQ("rate_bits", BG_NUMBER, "bits/weight", "of the layers' matrices, everything counted"),
                        REQ("bytes", BG_NUMBER, "bytes", "matrices at the rate, all else in 16 bits"),
                        REQ("cache_bytes", BG_NUMBER, "bytes", "keys and values in 16 bits at the context"),
                        REQ("memory_bytes", BG_NUMBER, "bytes", "both"),
                        REQ("token_bytes", BG_NUMBER, "bytes", "read for one token at the context"),
                        REQ("tokens_per_second", BG_NUMBER, "tokens/s", "no more than this"),
                        {0}}},
    {0}};

/* ---- study ---- */

#define METRIC(prefix, declare)                                                                                        \
    declare(prefix "metric", BG_STRING, "-", "its name in the configuration"),                                         \
        declare(prefix "heading", BG_STRING, "-", "as a person reads it, with its unit"),                              \
        declare(prefix "section", BG_STRING, "-",                                                                      \
                "DOCUMENT.SECTION that holds it; curves.points: mean over the tensors"),                               \
        declare(prefix "field", BG_STRING, "-", "field there"), declare(prefix "as", BG_STRING, "-", "printed form"),  \
        declare(prefix "relation", BG_STRING, "-", "to the model as it is: none, minus or percent"),                   \
        declare(prefix "better", BG_STRING, "-", "less, more or none")

static const bg_section study_sections[] = {
    {"settings", "what is asked",
     (const bg_field[]){REQ("title", BG_STRING, "-", "heading of the page"),
                        OPT("question", BG_STRING, "-", "what the study answers"),
                        OPT("reference", BG_STRING, "-", "method that improvements are over"),
                        REQ("measure", BG_STRING, "-", "field of curves.points that improvements compare"),
                        {0}}},
    {"data", "texts, and how much of them",
     (const bg_field[]){REQ("setting", BG_STRING, "-", "key"),
                        REQ("value", BG_STRING, "-", "as given; files by name"),
                        REQ("help", BG_STRING, "-", "what it is"),
                        {0}}},
    {"models", "what it is about",
     (const bg_field[]){
         REQ("model", BG_STRING, "-", "name"),
         REQ("suffix", BG_STRING, "-", "what the names of its documents end in before .json: nothing, -2, -3, …"),
         {0}}},
    {"methods", "the rows of its table",
     (const bg_field[]){REQ("name", BG_STRING, "-", "what the tables call it"),
                        REQ("spec", BG_STRING, "-", "canonical spec; none: the model as it is"),
                        {0}}},
    {"knobs", "every key of every spec",
     (const bg_field[]){REQ("name", BG_STRING, "-", "method"),
                        REQ("knob", BG_STRING, "-", "key of the spec"),
                        REQ("value", BG_STRING, "-", "its value"),
                        REQ("given", BG_BOOL, "-", "not the default of the row"),
                        REQ("help", BG_STRING, "-", "what it is"),
                        {0}}},
    {"columns", "the columns of its table", (const bg_field[]){METRIC("", REQ), {0}}},
    {"figures", "what is drawn",
     (const bg_field[]){REQ("figure", BG_STRING, "-", "as written"),
                        REQ("kind", BG_STRING, "-", "bars, against, tensors, histogram or section"),
                        REQ("report_section", BG_STRING, "-", "of the report, where the kind is section"),
                        METRIC("y_", OPT),
                        METRIC("x_", OPT),
                        {0}}},
    {0}};

/* ---- atlas ---- */

static const bg_section atlas_sections[] = {
    {"points", "one format on one source",
     (const bg_field[]){
         REQ("axis", BG_STRING, "-",
             "student, ggd, ar1, outliers: law of the source; block: a Gaussian, blocks of one size"),
         REQ("source", BG_STRING, "-", "the source, unit variance"),
         REQ("parameter", BG_NUMBER, "as axis", "ν, β, ρ, share of outliers, weights that share a scale"),
         REQ("spec", BG_STRING, "-", "format"),
         REQ("quantizer", BG_STRING, "-", "spec without its bits"),
         REQ("family", BG_STRING, "-", "as in curves"),
         REQ("exact", BG_BOOL, "-", "on the density; else a mean over samples"),
         REQ("rate_bits", BG_NUMBER, "bits/weight", "everything stored"),
         REQ("relative", BG_NUMBER, "1", "D/σ²"),
         REQ("gap_bits", BG_NUMBER, "bits/weight", "above the Gaussian bound"),
         REQ("own_gap_bits", BG_NUMBER, "bits/weight", "above the Shannon lower bound of the source"),
         OPT("error_bits", BG_NUMBER, "bits/weight", "standard error of the gap over samples"),
         {0}}},
    {"skipped", "formats that could not run on a source",
     (const bg_field[]){REQ("source", BG_STRING, "-", "source"),
                        REQ("spec", BG_STRING, "-", "format"),
                        REQ("reason", BG_STRING, "-", "why"),
                        {0}}},
    {"tensors", "each tensor placed by its fitted shape",
     (const bg_field[]){PLACE,
                        REQ("spec", BG_STRING, "-", "format"),
                        REQ("quantizer", BG_STRING, "-", "spec without its bits"),
                        REQ("shape", BG_NUMBER, "1", "β of the generalised Gaussian fitted to it"),
                        REQ("predicted_bits", BG_NUMBER, "bits/weight",
                            "gap that the atlas foretells at this shape and the measured rate"),
                        REQ("measured_bits", BG_NUMBER, "bits/weight", "gap measured"),
                        REQ("residual_bits", BG_NUMBER, "bits/weight", "measured − foretold"),
                        {0}}},
    {"residuals", "what the shape alone does not say, by format",
     (const bg_field[]){REQ("spec", BG_STRING, "-", "format"),
                        REQ("tensors", BG_INTEGER, "-", "placed"),
                        REQ("mean_bits", BG_NUMBER, "bits/weight", "mean residual"),
                        OPT("mean_low_bits", BG_NUMBER, "bits/weight", "bootstrap over tensors, 2.5 %"),
                        OPT("mean_high_bits", BG_NUMBER, "bits/weight", "97.5 %"),
                        REQ("rms_bits", BG_NUMBER, "bits/weight", "root mean square residual"),
                        REQ("largest_bits", BG_NUMBER, "bits/weight", "largest |residual|"),
                        {0}}},
    {0}};

const bg_doc_kind bg_doc_kinds[] = {
    {"groups", 1, "extract", groups_sections},
    {"bounds", 1, "bound", bounds_sections},
    {"curves", 1, "curve", curves_sections},
    {"gaps", 1, "gap", gaps_sections},
    {"budget", 1, "budget", budget_sections},
    {"lossless", 1, "lossless", lossless_sections},
    {"allocation", 1, "allocate", allocation_sections},
    {"logits", 1, "logits", logits_sections},
    {"correlation", 1, "correlate", correlation_sections},
    {"audit", 1, "audit", audit_sections},
    {"diff", 1, "diff", diff_sections},
    {"timings", 1, "curve", timings_sections},
    {"calibration", 2, "calibrate", calibration_sections},
    {"quantization", 1, "quantize", quantization_sections},
    {"evaluation", 1, "evaluate", evaluation_sections},
    {"published", 1, "published", published_sections},
    {"study", 1, "study", study_sections},
    {"atlas", 1, "atlas", atlas_sections},
    {"estimates", 1, "estimate", estimates_sections},
    {0},
};
