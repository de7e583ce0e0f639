/* Arguments, and the exit codes that scripts rely on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "app_internal.h"

typedef struct parsed {
    const char *file, *since, *operand;
    bool json;
} parsed;

/* One operand where `operands` says so. */
static int parse(char **argv, size_t operands, parsed *out)
{
    const rm_app_option options[] = {RM_APP_CONFIG_OPTION(&out->file),
                                     {"--since", "T", "from then on", &out->since, NULL},
                                     RM_APP_JSON_OPTION(&out->json)};
    const rm_app_command command = {"remora x", "Does x.", options, RM_COUNT(options), &out->operand, operands};
    int argc = 0;

    *out = (parsed){0};
    while (argv[argc])
        argc++;
    return rm_app_parse(&command, argc, argv);
}

#define S(text) ((char[]){text})

static void test_good_arguments(void **state)
{
    parsed p;

    (void)state;
    assert_int_equal(parse((char *[]){S("x"), NULL}, 0, &p), RM_APP_GO);
    assert_true(!p.file && !p.since && !p.json);
    assert_int_equal(parse((char *[]){S("x"), S("-c"), S("f"), S("--json"), S("--since"), S("7d"), NULL}, 0, &p),
                     RM_APP_GO);
    assert_string_equal(p.file, "f");
    assert_string_equal(p.since, "7d");
    assert_true(p.json);
    assert_int_equal(parse((char *[]){S("x"), S("-cf"), S("--since=24h"), S("k"), NULL}, 1, &p), RM_APP_GO);
    assert_string_equal(p.file, "f");
    assert_string_equal(p.since, "24h");
    assert_string_equal(p.operand, "k");
    assert_int_equal(parse((char *[]){S("x"), S("--"), S("--json"), NULL}, 1, &p), RM_APP_GO);
    assert_string_equal(p.operand, "--json");
    assert_false(p.json);
    assert_int_equal(parse((char *[]){S("x"), S("-"), NULL}, 1, &p), RM_APP_GO);
    assert_string_equal(p.operand, "-");
}

static void test_bad_arguments(void **state)
{
    parsed p;

    (void)state;
    assert_int_equal(parse((char *[]){S("x"), S("--nonsense"), NULL}, 0, &p), RM_APP_USAGE);
    assert_int_equal(parse((char *[]){S("x"), S("--jsonx"), NULL}, 0, &p), RM_APP_USAGE);
    assert_int_equal(parse((char *[]){S("x"), S("--json=1"), NULL}, 0, &p), RM_APP_USAGE);
    assert_int_equal(parse((char *[]){S("x"), S("-c"), NULL}, 0, &p), RM_APP_USAGE);
    assert_int_equal(parse((char *[]){S("x"), S("--since"), NULL}, 0, &p), RM_APP_USAGE);
    assert_int_equal(parse((char *[]){S("x"), S("-x"), NULL}, 0, &p), RM_APP_USAGE);
    assert_int_equal(parse((char *[]){S("x"), S("word"), NULL}, 0, &p), RM_APP_USAGE);
    assert_int_equal(parse((char *[]){S("x"), NULL}, 1, &p), RM_APP_USAGE);
    assert_int_equal(parse((char *[]){S("x"), S("a"), S("b"), NULL}, 1, &p), RM_APP_USAGE);
}

static void test_help_and_version(void **state)
{
    parsed p;

    (void)state;
    assert_int_equal(parse((char *[]){S("x"), S("--help"), NULL}, 1, &p), RM_APP_DONE);
    assert_int_equal(parse((char *[]){S("x"), S("--json"), S("--version"), NULL}, 1, &p), RM_APP_DONE);
}

static void test_commands_refuse_nonsense(void **state)
{
    static int (*const commands[])(int, char **) = {rm_app_check, rm_app_cache, rm_app_report};

    (void)state;
    for (size_t i = 0; i < RM_COUNT(commands); i++) {
        assert_int_equal(commands[i](2, (char *[]){S("x"), S("--nonsense"), NULL}), RM_APP_USAGE);
        assert_int_equal(commands[i](2, (char *[]){S("x"), S("--help"), NULL}), RM_APP_DONE);
        assert_int_equal(commands[i](2, (char *[]){S("x"), S("--version"), NULL}), RM_APP_DONE);
    }
    assert_int_equal(rm_app_cache(1, (char *[]){S("cache"), NULL}), RM_APP_USAGE);
    assert_int_equal(rm_app_cache(2, (char *[]){S("cache"), S("nonsense"), NULL}), RM_APP_USAGE);
    assert_int_equal(rm_app_cache(2, (char *[]){S("cache"), S("purge"), NULL}), RM_APP_USAGE);
    assert_int_equal(rm_app_cache(3, (char *[]){S("cache"), S("get"), S("xyz"), NULL}), RM_APP_USAGE);
    assert_int_equal(rm_app_report(3, (char *[]){S("report"), S("--since"), S("never"), NULL}), RM_APP_USAGE);
}

static void test_check(void **state)
{
    char path[] = "/tmp/remora-check-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "loops: 1\n", 9), 9);
    assert_int_equal(rm_app_check(4, (char *[]){S("check"), S("-c"), path, S("--offline"), NULL}), RM_APP_DONE);
    assert_int_equal(rm_app_check(5, (char *[]){S("check"), S("-c"), path, S("--offline"), S("--json"), NULL}),
                     RM_APP_DONE);
    assert_int_equal(write(fd, "lops: 1\n", 8), 8);
    assert_int_equal(rm_app_check(3, (char *[]){S("check"), S("-c"), path, NULL}), RM_APP_BAD);
    assert_int_equal(rm_app_check(4, (char *[]){S("check"), S("-c"), path, S("--json"), NULL}), RM_APP_BAD);
    (void)close(fd);
    (void)remove(path);
    assert_int_equal(rm_app_check(3, (char *[]){S("check"), S("-c"), path, NULL}), RM_APP_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_arguments),
        cmocka_unit_test(test_bad_arguments),
        cmocka_unit_test(test_help_and_version),
        cmocka_unit_test(test_commands_refuse_nonsense),
        cmocka_unit_test(test_check),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
