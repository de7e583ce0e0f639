/* int8 weights with 15 bits of x, as kernels_avx2_int16.c has them: the template with the instruction in plain C and with the widest vectors, so that
 * all but that one instruction is tested on every machine. */
#define LANES   16
#define VECTORS 2
#define TILE    12
#include "fp32.inc.h"

#define FORM_INT16
#include "packed.inc.h"

#include "kernel_checks.h"

static const rm_embed__kernels wide = {.name = "wide", .precision = RM_PRECISION_INT8, PACKED_FUNCTIONS};

#include "packed_checks.h"
