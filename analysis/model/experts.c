/* Owns mixtures of experts (Shazeer et al. 2017): a router chooses some of the experts for each token and weighs them.
 *
 *     y = Σ_e w_e·M_e(x) + shared(x)
 *
 * The tokens of an expert are gathered, so that each expert is one MLP on a block of its own; the experts follow in
 * order, so that sums have one order too. Rules of routers: bg_router (arch.h). */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/model/rows.h"
#include "analysis/model/work.h"

/* The index of the largest of the scores that are allowed; −INFINITY marks those that are not. The first of equals. */
static int best(const float *x, int n)
{
    int at = 0;
    for (int i = 1; i < n; i++)
        if (x[i] > x[at])
            at = i;
    return at;
}

/* Groups beyond the best are barred; a group's worth is its largest score, or with biases the sum of its two largest.
 */
static void bar_groups(const bg_model_config *c, float *score, int two)
{
    int size = c->experts / c->expert_groups;
    for (int g = c->groups_used; g < c->expert_groups; g++) {
        int worst = -1;
        float low = INFINITY;
        for (int k = 0; k < c->expert_groups; k++) {
            float first = -INFINITY, second = -INFINITY;
            for (int i = k * size; i < (k + 1) * size; i++) {
                if (score[i] > first) {
                    second = first;
                    first = score[i];
                } else if (score[i] > second) {
                    second = score[i];
                }
            }
            if (first == -INFINITY)
                continue; /* barred already */
            float worth = two && size > 1 ? first + second : first;
            if (worth <= low) {
                low = worth;
                worst = k;
            }
        }
        for (int i = worst * size; worst >= 0 && i < (worst + 1) * size; i++)
            score[i] = -INFINITY;
    }
}

/* The experts_used largest scores; weight: of which array they take their weights. Destroys score. */
static void choose(const bg_model_config *c, float *score, const float *weight, int *chosen, float *weights)
{
    for (int k = 0; k < c->experts_used; k++) {
        chosen[k] = best(score, c->experts);
        weights[k] = weight[chosen[k]];
        score[chosen[k]] = -INFINITY;
    }
}

/* Phi-MoE's two: each weighed by a softmax over the experts whose outputs are near the largest of those left. */
static void sparsemix(const bg_model_config *c, const float *l, int *chosen, float *weights)
{
    for (int k = 0; k < 2; k++) {
        int top = -1;
        for (int i = 0; i < c->experts; i++)
            if (!(k && i == chosen[0]) && (top < 0 || l[i] > l[top]))
                top = i;
        double sum = 0;
        for (int i = 0; i < c->experts; i++) {
            float size = fabsf(l[i]) > l[top] ? fabsf(l[i]) : l[top];
            int far = (double)((l[top] - l[i]) / size) > 2 * c->expert_jitter;
            if (!(k && i == chosen[0]) && !far)
                sum += exp((double)l[i] - (double)l[top]);
        }
        chosen[k] = top;
        weights[k] = (float)(1 / sum);
    }
}

static float sigmoid(float x)
{
    return 1 / (1 + expf(-x));
}

/* One token: l [experts] is the router's output and is used up. `spare` [experts]. */
static void route(const bg_model *m, const float *bias, float *l, float *spare, int *chosen, float *weights)
{
    const bg_model_config *c = &m->config;
    bg_router kind = m->arch->router;
    if (kind == BG_ROUTER_SPARSEMIX) {
        sparsemix(c, l, chosen, weights);
        return;
    }
    if (kind == BG_ROUTER_SOFTMAX)
        bg_softmax_row_ref(l, c->experts, 1);
    if (kind == BG_ROUTER_SIGMOID)
        for (int i = 0; i < c->experts; i++)
            l[i] = sigmoid(l[i]);
    for (int i = 0; i < c->experts; i++)
        spare[i] = l[i] + (bias ? bias[i] : 0);
    if (c->groups_used < c->expert_groups)
        bar_groups(c, spare, kind == BG_ROUTER_SIGMOID);
    choose(c, spare, l, chosen, weights);
    if (kind == BG_ROUTER_CHOSEN)
        bg_softmax_row_ref(weights, c->experts_used, 1);
    double sum = 0;
    for (int k = 0; k < c->experts_used; k++) {
        weights[k] = kind == BG_ROUTER_INPUT ? sigmoid(weights[k]) : weights[k];
        sum += (double)weights[k];
    }
    float by = kind != BG_ROUTER_INPUT && kind != BG_ROUTER_CHOSEN && c->norms_experts ? (float)(1 / (sum + 1e-20)) : 1;
    for (int k = 0; k < c->experts_used; k++)
        weights[k] = weights[k] * by * (float)c->expert_scale;
}

static int choose_experts(const bg_flow *f, const float *x, bg_err *e)
{
    const bg_layer *l = &f->m->layers[f->layer];
    const bg_model_config *c = &f->m->config;
    bg_workspace *w = f->w;
    int status = bg_linear_apply(f->m, l->linear[BG_ROUTER], f->p, x, f->n, w->routing, c->experts, w, e);
    float *spare = status ? NULL : bg_floats(c->experts);
    if (!status && !spare)
        return bg_no_memory(e, "experts", (unsigned)c->experts * sizeof *spare);
    for (int64_t t = 0; t < f->n && !status; t++)
        route(f->m, l->vector[BG_ROUTER_BIAS].w, w->routing + t * c->experts, spare, w->chosen + t * c->experts_used,
              w->chosen_weight + t * c->experts_used);
    free(spare);
    return status;
}

/* The tokens of one expert: gathered, computed, added to y. */
static int run_expert(const bg_flow *f, int expert, const float *x, float *y, bg_err *e)
{
    const bg_model_config *c = &f->m->config;
    const bg_linear *three = f->m->layers[f->layer].experts + (int64_t)expert * BG_EXPERT_LINEARS;
    int64_t D = c->width, n = 0, used = f->n * c->experts_used;
    int before = f->m->arch->router == BG_ROUTER_INPUT;
    bg_workspace *w = f->w;
    for (int64_t i = 0; i < used; i++) {
        if (w->chosen[i] != expert)
            continue;
        const float *from = x + i / c->experts_used * D;
        float s = before ? w->chosen_weight[i] : 1;
        for (int64_t j = 0; j < D; j++)
            w->routed[n * D + j] = from[j] * s;
        n++;
    }
    if (!n)
        return BG_OK;
    bg_mlp mlp = {&three[BG_EXPERT_GATE], &three[BG_EXPERT_UP], &three[BG_EXPERT_DOWN], NULL};
    int status = bg_mlp_gated(f, &mlp, w->routed, n, w->answer, e);
    n = 0;
    for (int64_t i = 0; i < used && !status; i++) {
        if (w->chosen[i] != expert)
            continue;
        float s = before ? 1 : w->chosen_weight[i], *to = y + i / c->experts_used * D;
        for (int64_t j = 0; j < D; j++)
            to[j] += w->answer[n * D + j] * s;
        n++;
    }
    return status;
}

/* y = the shared expert's answer, behind its own switch where there is one; 0 without. */
static int run_shared(const bg_flow *f, const float *x, float *y, bg_err *e)
{
    const bg_layer *l = &f->m->layers[f->layer];
    int64_t D = f->m->config.width;
    if (!l->linear[BG_SHARED_DOWN]) {
        memset(y, 0, (size_t)(f->n * D) * sizeof *y);
        return BG_OK;
    }
    bg_mlp mlp = {l->linear[BG_SHARED_GATE], l->linear[BG_SHARED_UP], l->linear[BG_SHARED_DOWN], NULL};
    int status = bg_mlp_gated(f, &mlp, x, f->n, y, e);
    if (status || !l->linear[BG_SHARED_SWITCH])
        return status;
    status = bg_linear_apply(f->m, l->linear[BG_SHARED_SWITCH], f->p, x, f->n, f->w->gate, 1, f->w, e);
    for (int64_t t = 0; t < f->n && !status; t++)
        for (int64_t i = 0; i < D; i++)
            y[t * D + i] *= sigmoid(f->w->gate[t]);
    return status;
}

int bg_mlp_experts(const bg_flow *f, const float *x, float *y, bg_err *e)
{
    int status = choose_experts(f, x, e);
    if (!status)
        status = run_shared(f, x, y, e);
    for (int i = 0; i < f->m->config.experts && !status; i++)
        status = run_expert(f, i, x, y, e);
    return status;
}
