/* int8 products whose first sums have 16 bits, as kernels_avx2_int8.c has them: the template with the instructions in plain C
 * and with the widest vectors, so that all but those is tested on every machine. */
#define LANES   16
#define VECTORS 2
#define TILE    12
#include "fp32.inc.h"

#define FORM_CHAIN
#include "packed.inc.h"

#include "kernel_checks.h"

static const rm_embed__kernels wide = {.name = "wide", .precision = RM_PRECISION_INT8, PACKED_FUNCTIONS};

#include "packed_checks.h"
