/* Owns the rows of models with other blocks than attention, or with inputs of their own for each layer. */
#include "analysis/model/arch_rows.h"

const bg_arch bg_arch_special[] = {
    {0},
};
