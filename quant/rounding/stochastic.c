/* Stochastic rounding: one of the two points around a weight, the upper one with probability (x − below)/(above −
 * below), so that the error has mean zero: E x̂ = x inside the grid. Its mean squared error is step²/6 where the nearest
 * point's is step²/12, twice as much. The choice depends on the seed and the weight's place only. Croci et al. 2022, R.
 * Soc. Open Sci. 9, 211631. */
#include "quant/engine/quantize.h"

static int choose(const bg_code *c, float x, double u)
{
    int k = bg_code_index(c, x);
    double here = (double)bg_code_value(c, k), d = (double)x - here;
    int other = d > 0 ? k + 1 : k - 1;
    if (d == 0 || other < 0 || other >= c->K)
        return k;
    double there = (double)bg_code_value(c, other);
    return there != here && u < d / (there - here) ? other : k;
}

const bg_rounding bg_rounding_stochastic = {
    .name = "stochastic",
    .title = "one of the two neighbours at random, without bias",
    .paper = "Croci et al. 2022, Stochastic rounding, R. Soc. Open Sci. 9, 211631",
    .scalar_only = 1,
    .choose = choose,
};
