/* Which kernels there are, and which of them this CPU runs. */
#include "kernels.h"

/* Best first; what `auto` takes is the first that runs here. */
static const rm_embed__kernels *const all[] = {
#ifdef __x86_64__
    &rm_embed__vnni,     &rm_embed__avx2_int8, &rm_embed__bf16,
    &rm_embed__avx512,   &rm_embed__avx2,      &rm_embed__avx2_bf16,
#endif
    &rm_embed__openblas, &rm_embed__generic,   &rm_embed__reference,
};

const rm_embed__kernels *rm_embed__kernels_here(unsigned index)
{
    for (size_t i = 0; i < RM_COUNT(all); i++) {
        if (all[i]->runs_here() && index-- == 0)
            return all[i];
    }
    return NULL;
}

const char *rm_kernels_name(unsigned index)
{
    const rm_embed__kernels *kernels = rm_embed__kernels_here(index);
    return kernels ? kernels->name : NULL;
}

const char *rm_precision_name(rm_precision precision)
{
    static const char *const names[] = {"auto", "fp32", "bf16", "int8"};
    return (unsigned)precision < RM_COUNT(names) ? names[precision] : "unknown";
}

bool rm_precision_parse(const char *text, rm_precision *ret_precision)
{
    for (rm_precision p = RM_PRECISION_AUTO; p <= RM_PRECISION_INT8; p++) {
        if (strcmp(text, rm_precision_name(p)) == 0) {
            *ret_precision = p;
            return true;
        }
    }
    return false;
}
