/* The providers' answers under tests/golden/provider. */
#ifndef REMORA_TESTS_PROVIDER_SAMPLES_H
#define REMORA_TESTS_PROVIDER_SAMPLES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "remora/base.h"
#include "remora/limits.h"

static inline void sample_read(const char *name, const char *suffix, rm_buf *out)
{
    char path[256];
    rm_buf_init(out, RM_MIB);
    snprintf(path, sizeof(path), "tests/golden/provider/%s.%s", name, suffix);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(rm_buf_reserve(out, 65536), RM_OK);
    out->len = fread(out->ptr, 1, 65536, file);
    fclose(file);
}

#endif
