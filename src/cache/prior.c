/* Shipped priors: what is known of neighbours before a namespace has labels of its own. prior.inc.h is written by
 * bench/prior.py. */
#include "evidence.h"

#include <string.h>

static const rm_prior priors[] = {
#include "prior.inc.h"
};

const rm_prior *rm_prior_of(const char *model)
{
    for (size_t i = 0; i + 1 < RM_COUNT(priors); i++)
        if (model && strcmp(priors[i].model, model) == 0)
            return &priors[i];
    return &priors[RM_COUNT(priors) - 1];
}
