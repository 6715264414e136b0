/* What the download cost: shipped checkpoints against the weights they were made from. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "reports/pages/report.h"

enum { MODELS = 12, LAYERS = 512, BARS = 24 };

/* The checkpoints that are not the base. Returns how many. */
static int list_models(bg_rows models, const bg_row *out[MODELS])
{
    int n = 0;
    for (int i = 0; i < models.n && n < MODELS; i++)
        if (!bg_row_bool(&models.rows[i], "base"))
            out[n++] = &models.rows[i];
    return n;
}

static int belongs(const bg_row *tensor, const bg_row *model)
{
    return !strcmp(bg_row_string(tensor, "model"), bg_row_string(model, "model"));
}

static void say_finding(bg_report *r, bg_text *t, const bg_row *const *models, int n)
{
    const bg_row *best = NULL, *worst = NULL;
    for (int i = 0; i < n; i++) {
        double gap = bg_row_number(models[i], "gap_bits");
        if (!isfinite(gap))
            continue;
        if (!best || gap < bg_row_number(best, "gap_bits"))
            best = models[i];
        if (!worst || gap > bg_row_number(worst, "gap_bits"))
            worst = models[i];
    }
    if (!best) {
        bg_text_add(t, "None of the checkpoints could be compared with a base, so only their bytes are known.");
        return;
    }
    bg_put_method(t, bg_row_string(best, "model"));
    bg_num gap = bg_num_cell(&r->docs, best, "gap_bits");
    bg_text_add(t, gap.value >= 0 ? " wastes " : " stays below the bound of a Gaussian, its gap is ");
    bg_put_number(&r->page, t, gap, BG_SIG3);
    bg_text_add(t, " bit a weight");
    bg_num wasted = bg_num_cell(&r->docs, best, "wasted_bytes");
    if (wasted.value > 0) {
        bg_text_add(t, ", ");
        bg_put_number(&r->page, t, wasted, BG_MEGA);
        bg_text_add(t, " MB of its ");
        bg_put_number(&r->page, t, bg_num_cell(&r->docs, best, "file_bytes"), BG_MEGA);
    }
    if (worst != best) {
        bg_text_add(t, "; ");
        bg_put_method(t, bg_row_string(worst, "model"));
        bg_text_add(t, " has a gap of ");
        bg_put_number(&r->page, t, bg_num_cell(&r->docs, worst, "gap_bits"), BG_SIG3);
        bg_text_add(t, " bit");
    }
    bg_text_add(t, ". An ideal code would have stored the same weights with the same error in that much less.");
}

/* ---- tables ---- */

typedef struct column {
    const char *field;
    bg_style style;
} column;

static void put_cells(bg_report *r, bg_table *b, const bg_row *row, const column *c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        bg_table_number(b, bg_num_cell(&r->docs, row, c[i].field), c[i].style);
}

static void put_models(bg_report *r, bg_text *t, bg_rows models)
{
    static const column columns[] = {{"file_bytes", BG_MEGA},         {"rate_bits", BG_SIG3},
                                     {"quantized", BG_COUNT},         {"quantized_rate_bits", BG_SIG3},
                                     {"index_entropy_bits", BG_SIG3}, {"entropy_saving_bytes", BG_MEGA},
                                     {"relative", BG_SIG3},           {"sqnr_db", BG_SIG3},
                                     {"gap_bits", BG_SIG3},           {"wasted_bytes", BG_MEGA}};
    bg_table b;
    bg_table_begin(
        &b, &r->page, t, "Checkpoints",
        "checkpoint|container|file (MB)>|bits/weight, all>|tensors with codes>|bits/weight of them>|index entropy>|"
        "entropy coding would save (MB)>|D/σ²>|SQNR (dB)>|gap (bit)>|wasted (MB)>");
    for (int i = 0; i < models.n; i++) {
        bg_table_text(&b, bg_row_string(&models.rows[i], "model"));
        bg_table_text(&b, bg_row_string(&models.rows[i], "container"));
        put_cells(r, &b, &models.rows[i], columns, sizeof columns / sizeof *columns);
    }
    bg_table_end(&b);
}

/* Every pair of checkpoints, over the tensors that both quantize. */
static void put_comparisons(bg_report *r, bg_text *t)
{
    static const column columns[] = {{"tensors", BG_COUNT},
                                     {"better", BG_COUNT},
                                     {"rate_difference_bits", BG_SIG3},
                                     {"gap_difference_bits", BG_SIG3},
                                     {"improvement_percent", BG_SIG3}};
    bg_rows rows = bg_docset_rows(&r->docs, "audit", "comparisons");
    bg_table b;
    if (!rows.n)
        return;
    bg_table_begin(
        &b, &r->page, t, "Checkpoints against each other",
        "checkpoint|against|tensors of both>|less error in>|bits/weight more>|gap more (bit)>|less error (%)>|verdict");
    for (int i = 0; i < rows.n; i++) {
        bg_table_text(&b, bg_row_string(&rows.rows[i], "model"));
        bg_table_text(&b, bg_row_string(&rows.rows[i], "against"));
        put_cells(r, &b, &rows.rows[i], columns, sizeof columns / sizeof *columns);
        bg_table_text(&b, bg_row_string(&rows.rows[i], "verdict"));
    }
    bg_table_end(&b);
}

/* What the error is due to. Nothing without a base. */
static void put_causes(bg_report *r, bg_text *t, const bg_row *const *list, int n)
{
    static const column columns[] = {{"share_clipping", BG_PERCENT},
                                     {"share_rounding", BG_PERCENT},
                                     {"share_scale", BG_PERCENT},
                                     {"share_zero", BG_PERCENT},
                                     {"share_choice", BG_PERCENT}};
    bg_table b;
    int compared = 0;
    for (int i = 0; i < n; i++)
        compared += isfinite(bg_row_number(list[i], "share_clipping"));
    if (!compared)
        return;
    bg_table_begin(&b, &r->page, t, "What the error is due to, in % of it",
                   "checkpoint|clipped weights>|rounding>|better scales would save>|better zero points would "
                   "save>|nearest levels would save>");
    for (int i = 0; i < n; i++) {
        bg_table_text(&b, bg_row_string(list[i], "model"));
        put_cells(r, &b, list[i], columns, sizeof columns / sizeof *columns);
    }
    bg_table_end(&b);
}

static void put_unmatched(bg_report *r, bg_text *t)
{
    bg_rows rows = bg_docset_rows(&r->docs, "audit", "unmatched");
    bg_table b;
    if (!rows.n)
        return;
    bg_put_fold(t, "Tensors of the base that a checkpoint does not have");
    bg_table_begin(&b, &r->page, t, "Tensors without a counterpart", "checkpoint|tensor|reason");
    for (int i = 0; i < rows.n; i++) {
        bg_table_text(&b, bg_row_string(&rows.rows[i], "model"));
        bg_table_code(&b, bg_row_string(&rows.rows[i], "tensor"));
        bg_table_text(&b, bg_row_string(&rows.rows[i], "reason"));
    }
    bg_table_end(&b);
    bg_put_fold_end(t);
}

static void put_tensors(bg_report *r, bg_text *t, bg_rows tensors)
{
    static const column columns[] = {{"rate_bits", BG_SIG3},    {"index_entropy_bits", BG_SIG3},
                                     {"sigma2", BG_SIG3},       {"kurtosis_excess", BG_SIG3},
                                     {"mse", BG_SIG3},          {"sqnr_db", BG_SIG3},
                                     {"gap_bits", BG_SIG3},     {"gap_empirical_bits", BG_SIG3},
                                     {"wasted_bytes", BG_MEGA}, {"max_error", BG_SIG3},
                                     {"clipped", BG_PERCENT},   {"mse_clipping", BG_SIG3},
                                     {"mse_scale", BG_SIG3},    {"mse_zero", BG_SIG3},
                                     {"mse_choice", BG_SIG3}};
    bg_table b;
    bg_put_fold(t, "Every tensor of the checkpoints, worst first");
    bg_table_begin(&b, &r->page, t, "Tensors of the checkpoints",
                   "checkpoint|tensor|role|layer>|stored as|match|bits/weight>|index entropy>|σ² of the base>|its "
                   "kurtosis>|MSE>|SQNR (dB)>|"
                   "gap (bit)>|gap to its own bound>|wasted (MB)>|max error>|clipped (%)>|MSE by clipping>|by "
                   "scales>|by zero points>|"
                   "by choice>");
    for (int i = 0; i < tensors.n; i++) {
        const bg_row *row = &tensors.rows[i];
        bg_table_text(&b, bg_row_string(row, "model"));
        bg_table_code(&b, bg_row_string(row, "tensor"));
        bg_table_code(&b, bg_row_string(row, "role"));
        if (bg_row_integer(row, "layer", -1) >= 0)
            bg_table_number(&b, bg_num_cell(&r->docs, row, "layer"), BG_PLAIN);
        else
            bg_table_dash(&b, "");
        bg_table_text(&b, bg_row_string(row, "storage"));
        bg_table_text(&b, bg_row_string(row, "match"));
        put_cells(r, &b, row, columns, sizeof columns / sizeof *columns);
    }
    bg_table_end(&b);
    bg_put_fold_end(t);
}

/* ---- where the bytes are ---- */

/* MB of one purpose in the quantized tensors of a checkpoint, or (no fields) of its plain ones. */
static double part_of(bg_rows tensors, const bg_row *model, const char *const *fields)
{
    static const char *const all[] = {"rate_bits", NULL};
    double bytes = 0;
    for (int i = 0; i < tensors.n; i++) {
        const bg_row *row = &tensors.rows[i];
        if (!belongs(row, model) || (strcmp(bg_row_string(row, "state"), "quantized") == 0) != (fields != NULL))
            continue;
        for (const char *const *f = fields ? fields : all; *f; f++)
            if (isfinite(bg_row_number(row, *f)))
                bytes += bg_row_number(row, *f) * bg_row_number(row, "weights") / 8;
    }
    return 1e-6 * bytes;
}

static int draw_bytes(bg_report *r, bg_text *where, bg_rows models, bg_rows tensors, const bg_row *const *list, int n,
                      bg_err *e)
{
    static const char *const parts[][4] = {{"index_bits"},
                                           {"scale_bits", "zero_bits"},
                                           {"codebook_bits"},
                                           {"order_bits", "padding_bits", "metadata_bits"}};
    bg_figure f;
    int status = bg_figure_begin(&f, &r->page, "shipped-bytes", "Where the bytes of the checkpoints are", e);
    if (status)
        return status;
    bg_text *names = bg_slots_at(&f.slots, "names");
    bg_text_add(&f.data, "# row; MB of indices, scales and zero points, codebooks, order, padding and descriptions, "
                         "plain tensors, headers\n");
    bg_text_add(&f.shown->alt, "Megabytes by checkpoint:");
    for (int i = 0; i < n; i++) {
        char mb[BG_NUMBER_TEXT];
        bg_text_format(&f.data, "%d", i);
        for (size_t k = 0; k < sizeof parts / sizeof *parts; k++)
            bg_text_format(&f.data, " %.6g", part_of(tensors, list[i], parts[k]));
        bg_text_format(&f.data, " %.6g %.6g\n", part_of(tensors, list[i], NULL),
                       1e-6 * bg_row_number(list[i], "overhead_bytes"));
        bg_text_add(names, i ? ", " : "");
        bg_text_gnuplot(names, bg_row_string(list[i], "model"));
        bg_text_format(&f.shown->alt, "%s %s %s", i ? "," : "", bg_row_string(list[i], "model"),
                       bg_number_text(mb, bg_row_number(list[i], "file_bytes"), BG_MEGA));
    }
    bg_text_format(bg_slots_at(&f.slots, "bars"), "%d", n);
    bg_text_add(&f.shown->caption, "What is not indices is overhead; plain tensors (embeddings, norms) often weigh "
                                   "more than the codes they come with.");
    put_models(r, &f.shown->table, models);
    status = bg_figure_finish(&f, e);
    bg_put_figure(&r->page, where, f.index);
    return status;
}

/* ---- the largest errors ---- */

typedef struct bar {
    const char *tensor;
    double mse; /* the largest of the checkpoints */
} bar;

static int larger_first(const void *a, const void *b)
{
    const bar *x = a, *y = b;
    return x->mse != y->mse ? (x->mse < y->mse) - (x->mse > y->mse) : strcmp(x->tensor, y->tensor);
}

/* Quantized tensors that have an error, each once, by falling error. malloc'ed. */
static bar *list_bars(bg_rows tensors, int *n)
{
    bar *bars = calloc((size_t)tensors.n + 1, sizeof *bars);
    *n = 0;
    for (int i = 0; bars && i < tensors.n; i++) {
        const char *name = bg_row_string(&tensors.rows[i], "tensor");
        double mse = bg_row_number(&tensors.rows[i], "mse");
        int k = 0;
        if (strcmp(bg_row_string(&tensors.rows[i], "state"), "quantized") || !isfinite(mse))
            continue;
        while (k < *n && strcmp(bars[k].tensor, name))
            k++;
        bars[k] = (bar){name, k < *n ? fmax(bars[k].mse, mse) : mse};
        *n += k == *n;
    }
    if (bars)
        qsort(bars, (size_t)*n, sizeof *bars, larger_first);
    return bars;
}

static void add_bars(bg_figure *f, bg_rows tensors, const bg_row *model, const bar *bars, int n)
{
    for (int k = 0; k < n; k++)
        for (int i = 0; i < tensors.n; i++) {
            double mse = bg_row_number(&tensors.rows[i], "mse");
            if (belongs(&tensors.rows[i], model) &&
                !strcmp(bg_row_string(&tensors.rows[i], "tensor"), bars[k].tensor) && isfinite(mse))
                bg_text_format(&f->data, "%d %.6g\n", k, mse);
        }
}

static void put_errors(bg_report *r, bg_text *t, bg_rows tensors, const bar *bars, int n)
{
    bg_table b;
    bg_table_begin(&b, &r->page, t, "Error of the checkpoints by tensor", "tensor|checkpoint|MSE>|SQNR (dB)>");
    for (int k = 0; k < n; k++)
        for (int i = 0; i < tensors.n; i++) {
            const bg_row *row = &tensors.rows[i];
            if (strcmp(bg_row_string(row, "tensor"), bars[k].tensor) || !isfinite(bg_row_number(row, "mse")))
                continue;
            bg_table_code(&b, bars[k].tensor);
            bg_table_text(&b, bg_row_string(row, "model"));
            bg_table_number(&b, bg_num_cell(&r->docs, row, "mse"), BG_SIG3);
            bg_table_number(&b, bg_num_cell(&r->docs, row, "sqnr_db"), BG_SIG3);
        }
    bg_table_end(&b);
}

static int draw_errors(bg_report *r, bg_text *where, bg_rows tensors, const bg_row *const *list, int n, bg_err *e)
{
    bg_figure f;
    int all, lines = 0;
    bar *bars = list_bars(tensors, &all);
    if (!bars)
        return bg_no_memory(e, "a figure", (size_t)tensors.n * sizeof *bars);
    int shown = all < BARS ? all : BARS,
        status = all ? bg_figure_begin(&f, &r->page, "shipped-errors", "Error of the checkpoints by tensor", e) : BG_OK;
    if (status || !all) {
        free(bars);
        return status;
    }
    bg_text *names = bg_slots_at(&f.slots, "names"), *titles = bg_slots_at(&f.slots, "titles");
    bg_text_add(&f.data, "# for each checkpoint: bar, MSE\n");
    for (int i = 0; i < n && i < 8; i++, lines++) {
        bg_figure_curve(&f, bg_row_string(list[i], "model"), bg_family_in_turn(i), i, 0);
        add_bars(&f, tensors, list[i], bars, shown);
        bg_text_format(&f.data, "%d 0\n\n\n", -9); /* an index is never empty */
        bg_text_add(titles, i ? ", " : "");
        bg_text_gnuplot(titles, bg_row_string(list[i], "model"));
    }
    for (int k = 0; k < shown; k++) {
        bg_text_add(names, k ? ", " : "");
        bg_text_gnuplot(names, bars[k].tensor);
    }
    bg_text_format(bg_slots_at(&f.slots, "bars"), "%d", shown);
    bg_text_format(bg_slots_at(&f.slots, "curves"), "%d", lines);
    bg_text_format(&f.shown->caption, "Mean squared error by tensor, sorted by the largest among the checkpoints%s.",
                   shown < all ? "; the worst ones" : "");
    bg_text_format(&f.shown->alt, "Bars of the mean squared error of %d tensors in %d checkpoints; the largest in %s.",
                   shown, lines, bars[0].tensor);
    put_errors(r, &f.shown->table, tensors, bars, shown);
    free(bars);
    status = bg_figure_finish(&f, e);
    bg_put_figure(&r->page, where, f.index);
    return status;
}

/* ---- gap by layer ---- */

static double layer_mean(bg_rows tensors, const bg_row *model, int layer)
{
    double sum = 0, weights = 0;
    for (int i = 0; i < tensors.n; i++) {
        const bg_row *row = &tensors.rows[i];
        double gap = bg_row_number(row, "gap_bits"), w = bg_row_number(row, "weights");
        if (!belongs(row, model) || bg_row_integer(row, "layer", -1) != layer || !isfinite(gap) ||
            strcmp(bg_row_string(row, "state"), "quantized"))
            continue;
        sum += w * gap;
        weights += w;
    }
    return weights > 0 ? sum / weights : (double)NAN;
}

static int draw_layers(bg_report *r, bg_text *where, bg_rows models, bg_rows tensors, const bg_row *const *list, int n,
                       bg_err *e)
{
    bg_figure f;
    int status = bg_figure_begin(&f, &r->page, "shipped-layers", "Gap of the checkpoints by layer", e), lines = 0,
        deepest = -1;
    if (status)
        return status;
    bg_line_end ends[8];
    double bottom = INFINITY, top = -INFINITY;
    for (int i = 0; i < tensors.n; i++)
        if (bg_row_integer(&tensors.rows[i], "layer", -1) > deepest)
            deepest = bg_row_integer(&tensors.rows[i], "layer", -1);
    for (int i = 0; i < n && i < 8; i++) {
        int points = 0;
        for (int layer = 0; layer <= deepest && layer < LAYERS; layer++) {
            double gap = layer_mean(tensors, list[i], layer);
            if (!isfinite(gap))
                continue;
            if (!points++)
                bg_figure_curve(&f, bg_row_string(list[i], "model"), bg_family_in_turn(i), i, 0);
            char tip[256], bits[BG_NUMBER_TEXT];
            snprintf(tip, sizeof tip, "%.120s, layer %d: gap %s bit", bg_row_string(list[i], "model"), layer,
                     bg_number_text(bits, gap, BG_SIG3));
            bg_text_format(&f.data, "%d %.6g %d\n", layer, gap, bg_figure_tip(&f, tip));
            ends[lines] = (bg_line_end){bg_row_string(list[i], "model"), bg_family_in_turn(i), layer, gap};
            bottom = fmin(bottom, gap);
            top = fmax(top, gap);
        }
        if (!points)
            continue;
        bg_text_add(&f.data, "\n\n");
        lines++;
    }
    if (!lines || deepest < 1) {
        bg_figure_abandon(&f);
        return BG_OK;
    }
    bg_text_format(bg_slots_at(&f.slots, "curves"), "%d", lines);
    double pad = fmax(0.01, 0.06 * (top - bottom));
    bg_text_format(bg_slots_at(&f.slots, "yrange"), "[%.6g:%.6g]", bottom - pad, top + pad);
    bg_label_ends(&f, ends, lines, bottom - pad, top + pad, 360, 0);
    bg_text_add(
        &f.shown->caption,
        "Mean gap of the quantized matrices of each layer, by weights; a format that mixes its types shows steps.");
    bg_text_format(&f.shown->alt, "Gap in bits against layer for %d checkpoints.", lines);
    put_models(r, &f.shown->table, models);
    status = bg_figure_finish(&f, e);
    bg_put_figure(&r->page, where, f.index);
    return status;
}

static int write(bg_report *r, bg_slots *s, int *present, bg_err *e)
{
    bg_rows models = bg_docset_rows(&r->docs, "audit", "models"),
            tensors = bg_docset_rows(&r->docs, "audit", "tensors");
    const bg_row *list[MODELS];
    bg_text *finding = bg_slots_at(s, "finding"), *comparisons = bg_slots_at(s, "comparisons"),
            *bytes = bg_slots_at(s, "bytes"), *layers = bg_slots_at(s, "layers"), *table = bg_slots_at(s, "tensors"),
            *errors = bg_slots_at(s, "errors"), *causes = bg_slots_at(s, "causes");
    int n = list_models(models, list);
    if (!n)
        return BG_OK;
    *present = 1;
    say_finding(r, finding, list, n);
    put_comparisons(r, comparisons);
    put_causes(r, causes, list, n);
    put_tensors(r, table, tensors);
    put_unmatched(r, table);
    int status = draw_bytes(r, bytes, models, tensors, list, n, e);
    if (!status)
        status = draw_errors(r, errors, tensors, list, n, e);
    return status ? status : draw_layers(r, layers, models, tensors, list, n, e);
}

const bg_report_section bg_section_shipped = {.id = "shipped", .title = "Shipped checkpoints", .write = write};
