/* What is read from good configurations: defaults, every option, environment, YAML's spellings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "config_internal.h"

static rm_config *parse(const char *text)
{
    rm_config *config = NULL;
    rm_config_errors errors;

    rm_config_errors_init(&errors);
    if (rm_config_parse("f.yaml", rm_slice_cstr(text), &config, &errors) != RM_OK)
        print_error("%.*s", (int)errors.text.len, errors.text.ptr);
    rm_config_errors_deinit(&errors);
    assert_non_null(config);
    return config;
}

static void check_defaults(const rm_config *config)
{
    assert_string_equal(config->listen, "127.0.0.1:8700");
    assert_string_equal(config->admin, "127.0.0.1:8701");
    assert_string_equal(config->data, "./data");
    assert_true(config->loops >= 1 && config->loops <= RM_LOOPS_MAX);
    assert_int_equal(config->upstream_count, 1);
    assert_string_equal(config->upstreams[0].name, "openai");
    assert_string_equal(config->upstreams[0].base_url, "https://api.openai.com/v1");
    assert_string_equal(config->upstreams[0].origin, "https://api.openai.com");
    assert_null(config->upstreams[0].api_key);
    assert_true(config->upstreams[0].tls_verify && config->upstreams[0].http2);
    assert_int_equal(config->model_count, 0);
    assert_null(config->prices);
    assert_int_equal(config->cache.scope, RM_SCOPE_KEY);
    assert_int_equal(config->cache.anonymous, RM_ANONYMOUS_PRIVATE);
    assert_int_equal(config->cache.exact.mode, RM_MODE_SERVE);
    assert_int_equal(config->cache.exact.ttl_ms, 7 * 86400000ULL);
    assert_int_equal(config->cache.exact.bytes_max, 2048 * RM_MIB);
    assert_true(config->cache.exact.serve_sampled && config->cache.exact.compress);
    assert_false(config->cache.exact.fresh_ids || config->cache.exact.store_truncated);
    assert_int_equal(config->cache.namespace_count, 0);
    assert_int_equal(config->cache.semantic.guards_off, 0);
    assert_int_equal(config->cache.semantic.exact_only, 0);
    assert_int_equal(config->cache.semantic.ttl_ms, 0);
    assert_int_equal(config->cache.semantic.hit_delay_ms, 0);
    assert_int_equal(config->merge.in_flight, RM_MERGE_ON);
    assert_int_equal(config->merge.bytes_max, 8 * RM_MIB);
    assert_int_equal(config->limits.connections, RM_CONNECTIONS_PER_LOOP_MAX);
    assert_int_equal(config->limits.connections_per_address, RM_CONNECTIONS_PER_ADDRESS_MAX);
    assert_false(config->trust_gateway_headers || config->cors || config->log.bodies || config->merge.choices);
    assert_int_equal(config->timeouts.first_byte_ms, 300000);
    assert_int_equal(config->timeouts.total_ms, 0);
    assert_int_equal(config->batch.embeddings_window_us, 3000);
    assert_int_equal(config->retries.per_request, 2);
    assert_float_equal(config->retries.budget, 0.1, 1e-12);
    assert_string_equal(config->log.access, "stdout");
    assert_int_equal(config->log.level, RM_LOG_INFO);
}

static void test_nothing_means_defaults(void **state)
{
    static const char *const nothing[] = {"",      "\n\n", "# only a comment\n", "~\n",
                                          "---\n", "{}\n", "cache:\nmodels: ~\n"};
    rm_config *config = NULL;
    rm_config_errors errors;

    (void)state;
    for (size_t i = 0; i < RM_COUNT(nothing); i++) {
        config = parse(nothing[i]);
        check_defaults(config);
        assert_string_equal(config->path, "f.yaml");
        rm_config_unref(config);
    }
    rm_config_errors_init(&errors);
    assert_int_equal(rm_config_load(NULL, &config, &errors), RM_OK);
    check_defaults(config);
    assert_null(config->path);
    rm_config_unref(config);
    rm_config_errors_deinit(&errors);
}

static const char every_option[] =
    "listen: '[::1]:1'\nadmin: unix:/tmp/a\ndata: /d\nloops: 3\n"
    "upstreams:\n"
    "  - {name: a, dialect: anthropic, base_url: 'https://h.example:8443/x/v1//', batch: off, api_key: k,\n"
    "     ca_file: /dev/null, proxy: 'http://u:p@proxy:1', tls_verify: no, http2: false}\n"
    "  - name: b\n    base_url: http://[::1]:9\n"
    "models:\n"
    "  - {name: z, upstream: b, price: {input: 0.4, cached_input: 0.1, output: 1.6}, context: 1047576,\n"
    "     capabilities: [tools, logprobs]}\n"
    "  - {name: y, price: {input: 0}, capabilities: []}\n"
    "  - {name: x}\n"
    "prices: /dev/null\n"
    "cache: {scope: team, anonymous: refuse,\n"
    "  namespaces: [{name: faq, match: {path: /v1/messages, model: z}, semantic: off, max_error: 1, ttl: 1s,\n"
    "    semantic_ttl: 0}, {name: open}],\n"
    "  exact: {mode: off, ttl: 1s, bytes_max: 1MiB, sampled: bypass, ids: fresh, store_truncated: on,\n"
    "          stale_while_revalidate: 1m, stale_if_error: 1d, compress: off},\n"
    "  semantic: {mode: serve, max_error: 0.5, model: other, exact_only: [personal], ttl: 3650d, hit_delay: 1s, "
    "guards_off: [noise, "
    "numbers]}}\n"
    "embed: {precision: int8, workers: 2, deadline: 250us, overflow: last_turn}\n"
    "merge: {in_flight: deterministic, bytes_max: 64KiB, choices: yes}\n"
    "trust_gateway_headers: on\n"
    "timeouts: {header: 1s, body: 2s, idle: 3s, connect: 4s, first_byte: 5s, stream_idle: 6s, total: 7s,\n"
    "  silence_comment: 0, drain: 0}\n"
    "retries: {per_request: 0, budget: 1, budget_min: 0}\n"
    "limits: {connections: 10, connections_per_address: 5}\n"
    "batch: {embeddings_window: 0, deferred: {mode: off, window: 1m, requests_max: 50000}}\n"
    "route: {mode: shadow}\n"
    "log: {access: /var/log/x, level: debug, bodies: true}\n"
    "cors: on\n";

static void check_lists(const rm_config *config)
{
    const rm_config_upstream *a = &config->upstreams[0], *b = &config->upstreams[1];

    assert_int_equal(config->upstream_count, 2);
    assert_int_equal(a->dialect, RM_DIALECT_ANTHROPIC);
    assert_string_equal(a->base_url, "https://h.example:8443/x/v1");
    assert_string_equal(a->origin, "https://h.example:8443");
    assert_int_equal(a->batch, RM_BATCH_OFF);
    assert_string_equal(a->api_key, "k");
    assert_string_equal(a->ca_file, "/dev/null");
    assert_string_equal(a->proxy, "http://u:p@proxy:1");
    assert_false(a->tls_verify || a->http2);
    assert_string_equal(b->origin, "http://[::1]:9");
    assert_true(b->tls_verify && b->http2);

    assert_int_equal(config->model_count, 3);
    const rm_config_model *x = rm_config_find_model(config, RM_SLICE("x"));
    const rm_config_model *y = rm_config_find_model(config, RM_SLICE("y"));
    const rm_config_model *z = rm_config_find_model(config, RM_SLICE("z"));
    assert_ptr_equal(z->upstream, b);
    assert_ptr_equal(x->upstream, a);
    assert_true(z->priced && y->priced && !x->priced);
    assert_float_equal(z->price_cached_input, 0.1, 1e-12);
    assert_float_equal(z->price_output, 1.6, 1e-12);
    assert_true(y->price_cached_input < 0 && y->price_output == 0 && x->price_input < 0);
    assert_int_equal(z->context_tokens, 1047576);
    assert_int_equal(x->context_tokens, -1);
    assert_int_equal(z->capabilities, RM_CAP_TOOLS | RM_CAP_LOGPROBS);
    assert_true(z->capabilities_given && y->capabilities_given && !x->capabilities_given);
    assert_int_equal(y->capabilities, 0);
    assert_null(rm_config_find_model(config, RM_SLICE("")));
    assert_null(rm_config_find_model(config, RM_SLICE("xx")));
    assert_null(rm_config_find_model(config, RM_SLICE_NONE));
}

/* What the second leaves out is the global value, though that stands further down. */
static void check_namespaces(const rm_config *config)
{
    const rm_config_namespace *faq = &config->cache.namespaces[0], *open = &config->cache.namespaces[1];

    assert_int_equal(config->cache.namespace_count, 2);
    assert_string_equal(faq->name, "faq");
    assert_string_equal(faq->match_path, "/v1/messages");
    assert_string_equal(faq->match_model, "z");
    assert_int_equal(faq->semantic, RM_MODE_OFF);
    assert_float_equal(faq->max_error, 1, 0);
    assert_int_equal(faq->ttl_ms, 1000);
    assert_int_equal(faq->semantic_ttl_ms, 0);
    assert_true(faq->line == 17 && faq->path_line == 17 && open->line == 18);
    assert_string_equal(open->name, "open");
    assert_true(!open->match_path && !open->match_model);
    assert_int_equal(open->semantic, RM_MODE_SERVE);
    assert_float_equal(open->max_error, 0.5, 0);
    assert_int_equal(open->ttl_ms, 1000);
    assert_int_equal(open->semantic_ttl_ms, 3650 * 86400000ULL);
}

static void check_values(const rm_config *config)
{
    assert_string_equal(config->listen, "[::1]:1");
    assert_string_equal(config->admin, "unix:/tmp/a");
    assert_int_equal(config->loops, 3);
    assert_int_equal(config->cache.scope, RM_SCOPE_TEAM);
    assert_int_equal(config->cache.anonymous, RM_ANONYMOUS_REFUSE);
    assert_int_equal(config->cache.exact.mode, RM_MODE_OFF);
    assert_int_equal(config->cache.exact.mode_line, 19);
    assert_int_equal(config->cache.exact.ttl_ms, 1000);
    assert_int_equal(config->cache.exact.bytes_max, RM_MIB);
    assert_true(config->cache.exact.fresh_ids && config->cache.exact.store_truncated);
    assert_false(config->cache.exact.serve_sampled || config->cache.exact.compress);
    assert_int_equal(config->cache.exact.stale_while_revalidate_ms, 60000);
    assert_int_equal(config->cache.exact.stale_if_error_ms, 86400000);
    assert_int_equal(config->cache.semantic.mode, RM_MODE_SERVE);
    assert_string_equal(config->cache.semantic.model, "other");
    assert_int_equal(config->cache.semantic.guards_off, 1 << 15 | 1);
    assert_int_equal(config->cache.semantic.exact_only, RM_EXACT_ONLY_PERSONAL);
    assert_int_equal(config->cache.semantic.hit_delay_ms, 1000);
    assert_int_equal(config->cache.semantic.ttl_ms, 3650 * 86400000ULL);
    assert_string_equal(config->embed.precision, "int8");
    assert_int_equal(config->embed.deadline_us, 250);
    assert_int_equal(config->embed.overflow, RM_LONG_TEXT_LAST_TURN);
    assert_int_equal(config->merge.in_flight, RM_MERGE_DETERMINISTIC);
    assert_true(config->merge.choices && config->trust_gateway_headers && config->cors && config->log.bodies);
    assert_int_equal(config->timeouts.header_ms, 1000);
    assert_int_equal(config->timeouts.total_ms, 7000);
    assert_int_equal(config->timeouts.silence_comment_ms, 0);
    assert_int_equal(config->retries.per_request, 0);
    assert_int_equal(config->limits.connections_per_address, 5);
    assert_false(config->batch.deferred.on);
    assert_int_equal(config->batch.deferred.requests_max, 50000);
    assert_int_equal(config->route.mode, RM_MODE_SHADOW);
    assert_int_equal(config->log.level, RM_LOG_DEBUG);
}

static void test_every_option(void **state)
{
    rm_config *config = parse(every_option);

    (void)state;
    check_lists(config);
    check_namespaces(config);
    check_values(config);
    rm_config_unref(config);
}

/* The sample stays complete: `every_option` and it name each option of the table. */
static void test_every_option_is_shown_in_the_sample(void **state)
{
    rm_buf text;
    char line[4096];
    FILE *file = fopen("deploy/etc/remora.yaml", "r");

    (void)state;
    assert_non_null(file);
    rm_buf_init(&text, RM_MIB);
    while (fgets(line, sizeof(line), file))
        rm_buf_append_cstr(&text, line);
    (void)fclose(file);
    rm_buf_append_char(&text, 0);
    for (size_t i = 0; i < rm_config__option_count; i++) {
        const char *dot = strrchr(rm_config__options[i].path, '.');
        char name[RM_CONFIG_PATH_BYTES_MAX];
        (void)snprintf(name, sizeof(name), "%s:", dot ? dot + 1 : rm_config__options[i].path);
        if (!strstr(text.ptr, name))
            print_error("deploy/etc/remora.yaml lacks %s\n", rm_config__options[i].path);
        assert_non_null(strstr(text.ptr, name));
    }
    rm_buf_deinit(&text);
    rm_config *config = NULL;
    rm_config_errors errors;
    rm_config_errors_init(&errors);
    assert_int_equal(rm_config_load("deploy/etc/remora.yaml", &config, &errors), RM_OK);
    rm_config_unref(config);
    rm_config_errors_deinit(&errors);
}

/* The semantic cache needs its model as soon as one category asks it. */
static void test_who_uses_the_semantic_cache(void **state)
{
    static const struct {
        const char *text;
        bool uses;
    } cases[] = {
        {"{}", true}, /* in shadow */
        {"cache: {semantic: {mode: serve}, namespaces: [{name: a, semantic: off}]}", true},
        {"cache: {semantic: {mode: off}}", false},
        {"cache: {semantic: {mode: off}, namespaces: [{name: a}]}", false},
        {"cache: {semantic: {mode: off}, namespaces: [{name: a}, {name: b, semantic: shadow}]}", true},
    };

    (void)state;
    for (size_t i = 0; i < RM_COUNT(cases); i++) {
        rm_config *config = parse(cases[i].text);
        assert_int_equal(rm_config_uses_semantic(config), cases[i].uses);
        rm_config_unref(config);
    }
}

static void test_switches_have_yaml_spellings(void **state)
{
    static const char *const on[] = {"on", "On", "ON", "true", "True", "yes", "YES", "'on'", "\"true\""};
    static const char *const off[] = {"off", "false", "no", "No", "FALSE"};
    char text[64];

    (void)state;
    for (size_t i = 0; i < RM_COUNT(on) + RM_COUNT(off); i++) {
        bool is_on = i < RM_COUNT(on);
        const char *word = is_on ? on[i] : off[i - RM_COUNT(on)];
        (void)snprintf(text, sizeof(text), "cors: %s\nmerge: {in_flight: %s}\nroute: {mode: off}\n", word, word);
        rm_config *config = parse(text);
        assert_int_equal(config->cors, is_on);
        assert_int_equal(config->merge.in_flight, is_on ? RM_MERGE_ON : RM_MERGE_OFF);
        rm_config_unref(config);
    }
}

static void test_environment(void **state)
{
    static const struct {
        const char *text, *data;
    } cases[] = {
        {"data: ${REMORA_TEST_WORD}\n", "word"},
        {"data: a${REMORA_TEST_WORD}b${REMORA_TEST_WORD}c\n", "awordbwordc"},
        {"data: \"${REMORA_TEST_UNSET:-d}\"\n", "d"},
        {"data: \"${REMORA_TEST_EMPTY:-d}\"\n", "d"},
        {"data: \"${REMORA_TEST_WORD:-d}\"\n", "word"},
        {"data: \"x${REMORA_TEST_EMPTY}\"\n", "x"},
        {"data: $${REMORA_TEST_WORD}\n", "${REMORA_TEST_WORD}"},
        {"data: $5 $$ $\n", "$5 $$ $"},
        {"data: ${REMORA_TEST_YAML}\n", "a: [b]"}, /* what comes from outside is never YAML */
    };

    (void)state;
    for (size_t i = 0; i < RM_COUNT(cases); i++) {
        rm_config *config = parse(cases[i].text);
        assert_string_equal(config->data, cases[i].data);
        rm_config_unref(config);
    }
}

/* ${NAME:-} is how a key is left out by environment. */
static void test_empty_optional_values_count_as_left_out(void **state)
{
    rm_config *config = parse("upstreams:\n  - name: a\n    base_url: http://h\n    api_key: ${REMORA_TEST_EMPTY}\n"
                              "    proxy: \"${REMORA_TEST_UNSET:-}\"\nprices: ''\n");

    (void)state;
    assert_null(config->upstreams[0].api_key);
    assert_null(config->upstreams[0].proxy);
    assert_null(config->prices);
    rm_config_unref(config);
}

static void test_default_upstream_follows_the_environment(void **state)
{
    rm_config *config = NULL;
    rm_config_errors errors;

    (void)state;
    (void)setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1/", 1);
    config = parse("");
    assert_string_equal(config->upstreams[0].base_url, "http://127.0.0.1:9/v1");
    assert_string_equal(config->upstreams[0].origin, "http://127.0.0.1:9");
    rm_config_unref(config);
    config = NULL;
    (void)setenv("OPENAI_BASE_URL", "nonsense", 1);
    rm_config_errors_init(&errors);
    assert_int_equal(rm_config_load(NULL, &config, &errors), RM_EINVAL);
    rm_config_errors_deinit(&errors);
    (void)unsetenv("OPENAI_BASE_URL");
}

static void test_anchors(void **state)
{
    rm_config *config = parse("upstreams:\n  - &a {name: a, base_url: &u http://h/v1}\n  - {name: b, base_url: *u}\n");

    (void)state;
    assert_string_equal(config->upstreams[1].base_url, "http://h/v1");
    rm_config_unref(config);
}

static void test_addresses_that_do_not_clash(void **state)
{
    static const char *const good[] = {"listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\n",
                                       "listen: 127.0.0.1:9\nadmin: 127.0.0.2:9\n",
                                       "listen: unix:/a\nadmin: unix:/b\n"};

    (void)state;
    for (size_t i = 0; i < RM_COUNT(good); i++)
        rm_config_unref(parse(good[i]));
}

/* A command that needs the data folder only gets it, whatever else is wrong. */
static void test_peek(void **state)
{
    rm_config *config = NULL;
    rm_config_errors errors;
    char path[] = "/tmp/remora-config-XXXXXX";
    static const char text[] = "data: /d\nupstreams:\n  - name: a\n    api_key: ${REMORA_TEST_UNSET}\nloops: x\n";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    assert_int_equal(fwrite(text, 1, sizeof(text) - 1, file), sizeof(text) - 1);
    (void)fclose(file);
    rm_config_errors_init(&errors);
    assert_int_equal(rm_config_peek(path, &config, &errors), RM_OK);
    assert_int_equal(errors.count, 3);
    assert_string_equal(config->data, "/d");
    rm_config_unref(config);
    rm_config_errors_deinit(&errors);
    (void)remove(path);
}

/* Whichever allocation fails, the answer is RM_ENOMEM and nothing leaks (which the sanitizer sees). */
static void test_allocation_failures(void **state)
{
    (void)state;
#ifdef REMORA_FAULTS
    rm_status status = RM_ENOMEM;
    for (uint64_t nth = 1; status != RM_OK; nth++) {
        rm_config *config = NULL;
        rm_config_errors errors;
        rm_config_errors_init(&errors);
        rm_fault_set(RM_FAULT_ALLOC, nth, true);
        status = rm_config_parse("f.yaml", rm_slice_cstr(every_option), &config, &errors);
        rm_fault_set(RM_FAULT_ALLOC, 0, false);
        assert_true(status == RM_OK || status == RM_ENOMEM);
        assert_int_equal(status == RM_OK, config != NULL);
        rm_config_unref(config);
        rm_config_errors_deinit(&errors);
        assert_true(nth < 1000);
    }
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_means_defaults),
        cmocka_unit_test(test_every_option),
        cmocka_unit_test(test_every_option_is_shown_in_the_sample),
        cmocka_unit_test(test_who_uses_the_semantic_cache),
        cmocka_unit_test(test_switches_have_yaml_spellings),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_empty_optional_values_count_as_left_out),
        cmocka_unit_test(test_default_upstream_follows_the_environment),
        cmocka_unit_test(test_anchors),
        cmocka_unit_test(test_addresses_that_do_not_clash),
        cmocka_unit_test(test_peek),
        cmocka_unit_test(test_allocation_failures),
    };

    (void)setenv("REMORA_TEST_WORD", "word", 1);
    (void)setenv("REMORA_TEST_EMPTY", "", 1);
    (void)setenv("REMORA_TEST_YAML", "a: [b]", 1);
    (void)unsetenv("REMORA_TEST_UNSET");
    (void)unsetenv("OPENAI_BASE_URL");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
