/* Shipped priors: what is known of neighbours before a namespace has labels of its own. prior.inc.h is written by
 * bench/prior.py. */
#include "evidence.h"

#include <math.h>
#include <string.h>

#include "remora/semantic.h"

#include "prior.inc.h"

const rm_prior *rm_prior_of(const char *model)
{
    for (size_t i = 0; i + 1 < RM_COUNT(priors); i++)
        if (model && strcmp(priors[i].model, model) == 0)
            return &priors[i];
    return &priors[RM_COUNT(priors) - 1];
}

void rm_semantic_centre(const char *model, float *vector, uint32_t dimensions)
{
    const rm_prior *prior = rm_prior_of(model);
    double sum = 0;

    if (!prior->centre || prior->dimensions != dimensions)
        return;
    for (uint32_t i = 0; i < dimensions; i++) {
        vector[i] -= prior->centre[i];
        sum += (double)vector[i] * (double)vector[i];
    }
    for (uint32_t i = 0; i < dimensions; i++)
        vector[i] = sum > 0 ? (float)((double)vector[i] / sqrt(sum)) : (i == 0);
}
