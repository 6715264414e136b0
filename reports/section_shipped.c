/* What the download cost: shipped checkpoints against the weights they were made from. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "reports/report.h"

enum { MODELS = 12, LAYERS = 512 };

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

static void say_comparisons(bg_report *r, bg_text *t)
{
    bg_rows rows = bg_docset_rows(&r->docs, "audit", "comparisons");
    for (int i = 0; i < rows.n; i++) {
        if (!(bg_row_number(&rows.rows[i], "tensors") > 0))
            continue;
        bg_text_add(t, "- ");
        bg_text_markdown(t, bg_row_string(&rows.rows[i], "model"));
        bg_text_add(t, " against ");
        bg_text_markdown(t, bg_row_string(&rows.rows[i], "against"));
        bg_text_add(t, ": ");
        bg_text_markdown(t, bg_row_string(&rows.rows[i], "verdict"));
        bg_text_add(t, "\n");
    }
    bg_rows models = bg_docset_rows(&r->docs, "audit", "models");
    for (int i = 0; i < models.n; i++)
        if (!bg_row_bool(&models.rows[i], "base") && !(bg_row_number(&models.rows[i], "quantized") > 0)) {
            bg_text_add(t, "- ");
            bg_text_markdown(t, bg_row_string(&models.rows[i], "model"));
            bg_text_add(t, " holds no codes: its weights are stored as plain numbers, whatever grid they lie on\n");
        }
}

/* ---- tables ---- */

static void put_models(bg_report *r, bg_text *t, bg_rows models)
{
    static const struct {
        const char *field;
        bg_style style;
    } columns[] = {{"file_bytes", BG_MEGA},        {"rate_bits", BG_SIG3},          {"quantized", BG_COUNT},
                   {"quantized_rate_bits", BG_SIG3}, {"index_entropy_bits", BG_SIG3}, {"entropy_saving_bytes", BG_MEGA},
                   {"relative", BG_SIG3},          {"sqnr_db", BG_SIG3},            {"gap_bits", BG_SIG3},
                   {"wasted_bytes", BG_MEGA}};
    bg_table b;
    bg_table_begin(&b, &r->page, t, "Checkpoints",
                   "checkpoint|container|file (MB)>|bits/weight, all>|tensors with codes>|bits/weight of them>|index entropy>|"
                   "entropy coding would save (MB)>|D/σ²>|SQNR (dB)>|gap (bit)>|wasted (MB)>");
    for (int i = 0; i < models.n; i++) {
        bg_table_text(&b, bg_row_string(&models.rows[i], "model"));
        bg_table_text(&b, bg_row_string(&models.rows[i], "container"));
        for (size_t c = 0; c < sizeof columns / sizeof *columns; c++)
            bg_table_number(&b, bg_num_cell(&r->docs, &models.rows[i], columns[c].field), columns[c].style);
    }
    bg_table_end(&b);
}

static void put_tensors(bg_report *r, bg_text *t, bg_rows tensors)
{
    static const struct {
        const char *field;
        bg_style style;
    } columns[] = {{"rate_bits", BG_SIG3}, {"relative", BG_SIG3},           {"sqnr_db", BG_SIG3}, {"gap_bits", BG_SIG3},
                   {"max_error", BG_SIG3}, {"index_entropy_bits", BG_SIG3}, {"clipped", BG_PERCENT}};
    bg_table b;
    bg_put_fold(t, "Every tensor of the checkpoints, worst first");
    bg_table_begin(&b, &r->page, t, "Tensors of the checkpoints",
                   "checkpoint|tensor|role|layer>|stored as|match|bits/weight>|D/σ²>|SQNR (dB)>|gap (bit)>|max error>|index entropy>|clipped (%)>");
    for (int i = 0; i < tensors.n; i++) {
        const bg_row *row = &tensors.rows[i];
        bg_table_text(&b, bg_row_string(row, "model"));
        bg_table_code(&b, bg_row_string(row, "tensor"));
        bg_table_code(&b, bg_row_string(row, "group"));
        if (bg_row_integer(row, "layer", -1) >= 0)
            bg_table_number(&b, bg_num_cell(&r->docs, row, "layer"), BG_PLAIN);
        else
            bg_table_dash(&b, "");
        bg_table_text(&b, bg_row_string(row, "storage"));
        bg_table_text(&b, bg_row_string(row, "match"));
        for (size_t c = 0; c < sizeof columns / sizeof *columns; c++)
            bg_table_number(&b, bg_num_cell(&r->docs, row, columns[c].field), columns[c].style);
    }
    bg_table_end(&b);
    bg_put_fold_end(t);
}

/* ---- where the bytes are ---- */

static double part_of(bg_rows tensors, const bg_row *model, const char *field, int quantized)
{
    double bytes = 0;
    for (int i = 0; i < tensors.n; i++) {
        const bg_row *row = &tensors.rows[i];
        double bits = field ? bg_row_number(row, field) : bg_row_number(row, "rate_bits");
        if (belongs(row, model) && (strcmp(bg_row_string(row, "state"), "quantized") == 0) == quantized && isfinite(bits))
            bytes += bits * bg_row_number(row, "weights") / 8;
    }
    return bytes;
}

static int draw_bytes(bg_report *r, bg_text *where, bg_rows models, bg_rows tensors, const bg_row *const *list, int n, bg_err *e)
{
    bg_figure f;
    int status = bg_figure_begin(&f, &r->page, "shipped-bytes", "Where the bytes of the checkpoints are", e);
    if (status)
        return status;
    bg_text *names = bg_slots_at(&f.slots, "names");
    bg_text_add(&f.data, "# row; MB of indices, scales and zero points, codebooks, other, plain tensors, headers\n");
    bg_text_add(&f.shown->alt, "Megabytes by checkpoint:");
    for (int i = 0; i < n; i++) {
        char mb[BG_NUMBER_TEXT];
        bg_text_format(&f.data, "%d %.6g %.6g %.6g %.6g %.6g %.6g\n", i, 1e-6 * part_of(tensors, list[i], "index_bits", 1),
                       1e-6 * part_of(tensors, list[i], "scale_bits", 1), 1e-6 * part_of(tensors, list[i], "codebook_bits", 1),
                       1e-6 * part_of(tensors, list[i], "other_bits", 1), 1e-6 * part_of(tensors, list[i], NULL, 0),
                       1e-6 * bg_row_number(list[i], "overhead_bytes"));
        bg_text_add(names, i ? ", " : "");
        bg_text_gnuplot(names, bg_row_string(list[i], "model"));
        bg_text_format(&f.shown->alt, "%s %s %s", i ? "," : "", bg_row_string(list[i], "model"),
                       bg_number_text(mb, bg_row_number(list[i], "file_bytes"), BG_MEGA));
    }
    bg_text_format(bg_slots_at(&f.slots, "bars"), "%d", n);
    bg_text_add(&f.shown->caption, "What is not indices is overhead; plain tensors (embeddings, norms) often weigh more than the codes they come with.");
    put_models(r, &f.shown->table, models);
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
        if (!belongs(row, model) || bg_row_integer(row, "layer", -1) != layer || !isfinite(gap) || strcmp(bg_row_string(row, "state"), "quantized"))
            continue;
        sum += w * gap;
        weights += w;
    }
    return weights > 0 ? sum / weights : (double)NAN;
}

static int draw_layers(bg_report *r, bg_text *where, bg_rows models, bg_rows tensors, const bg_row *const *list, int n, bg_err *e)
{
    bg_figure f;
    static const char *const families[] = {"uniform", "non-uniform", "vector", "trellis", "entropy-coded", "calibrated", "deployed", ""};
    int status = bg_figure_begin(&f, &r->page, "shipped-layers", "Gap of the checkpoints by layer", e), lines = 0, deepest = -1;
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
                bg_figure_curve(&f, bg_row_string(list[i], "model"), families[i % 8], i, 0);
            char tip[256], bits[BG_NUMBER_TEXT];
            snprintf(tip, sizeof tip, "%.120s, layer %d: gap %s bit", bg_row_string(list[i], "model"), layer, bg_number_text(bits, gap, BG_SIG3));
            bg_text_format(&f.data, "%d %.6g %d\n", layer, gap, bg_figure_tip(&f, tip));
            ends[lines] = (bg_line_end){bg_row_string(list[i], "model"), families[i % 8], layer, gap};
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
    bg_text_add(&f.shown->caption, "Mean gap of the quantized matrices of each layer, by weights; a format that mixes its types shows steps.");
    bg_text_format(&f.shown->alt, "Gap in bits against layer for %d checkpoints.", lines);
    put_models(r, &f.shown->table, models);
    status = bg_figure_finish(&f, e);
    bg_put_figure(&r->page, where, f.index);
    return status;
}

static int write(bg_report *r, bg_slots *s, int *present, bg_err *e)
{
    bg_rows models = bg_docset_rows(&r->docs, "audit", "models"), tensors = bg_docset_rows(&r->docs, "audit", "tensors");
    const bg_row *list[MODELS];
    bg_text *finding = bg_slots_at(s, "finding"), *comparisons = bg_slots_at(s, "comparisons"), *bytes = bg_slots_at(s, "bytes"),
            *layers = bg_slots_at(s, "layers"), *table = bg_slots_at(s, "tensors");
    int n = list_models(models, list);
    if (!n)
        return BG_OK;
    *present = 1;
    say_finding(r, finding, list, n);
    say_comparisons(r, comparisons);
    put_tensors(r, table, tensors);
    int status = draw_bytes(r, bytes, models, tensors, list, n, e);
    return status ? status : draw_layers(r, layers, models, tensors, list, n, e);
}

const bg_report_section bg_section_shipped = {"shipped", "Shipped checkpoints", write};
