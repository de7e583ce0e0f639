/* A configuration from its text, which has no mistakes. */
#ifndef REMORA_TESTS_CONFIG_TEXT_H
#define REMORA_TESTS_CONFIG_TEXT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "remora/config.h"

static inline rm_config *config_of(const char *text)
{
    rm_config *config = NULL;
    rm_config_errors errors;

    rm_config_errors_init(&errors);
    assert_int_equal(rm_config_parse("f.yaml", rm_slice_cstr(text), &config, &errors), RM_OK);
    rm_config_errors_deinit(&errors);
    return config;
}

#endif
