/* Wrong configurations, and what is said of each, to the letter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "config_internal.h"

/* clang-format off */
static const struct {
    const char *text, *messages;
} cases[] = {
    {"listen: [",
     "f.yaml:2: (file): is not YAML: did not find expected node content while parsing a flow node; mend it near here\n"},
    {"listen: 127.0.0.1:1\n  admin: x\n",
     "f.yaml:2: (file): is not YAML: mapping values are not allowed in this context; mend it near here\n"},
    {"a: b: c\n",
     "f.yaml:1: (file): is not YAML: mapping values are not allowed in this context; mend it near here\n"},
    {"\tlisten: x\n",
     "f.yaml:1: (file): is not YAML: found character that cannot start any token while scanning for the next token; mend it near here\n"},
    {"listen: \"abc\n",
     "f.yaml:2: (file): is not YAML: found unexpected end of stream while scanning a quoted scalar; mend it near here\n"},
    {"\377\n",
     "f.yaml:1: (file): is not YAML: invalid leading UTF-8 octet; mend it near here\n"},
    {"# c\n\nlisten: \001\n",
     "f.yaml:3: (file): is not YAML: control characters are not allowed; mend it near here\n"},
    {"- a\n- b\n",
     "f.yaml:1: (file): is a list; write a mapping of keys and values\n"},
    {"just words\n",
     "f.yaml:1: (file): is one value; write a mapping of keys and values\n"},
    {"listen: 127.0.0.1:1\n---\nlisten: 127.0.0.1:2\n",
     "f.yaml:3: (file): a second document begins here; keep one\n"},
    {"? [a, b]\n: c\n",
     "f.yaml:1: (file): a key is a mapping or list; write a word\n"},
    {"*nobody\n",
     "f.yaml:1: (file): is not YAML: found undefined alias; mend it near here\n"},
    {"lisen: 127.0.0.1:8700\n",
     "f.yaml:1: lisen: unknown key; did you mean \"listen\"?\n"},
    {"ttl: 7d\n",
     "f.yaml:1: ttl: unknown key; did you mean cache.exact.ttl?\n"},
    {"colour: red\n",
     "f.yaml:1: colour: unknown key; known here: listen, admin, data, loops, upstreams, models, prices, cache, embed, merge, trust_gateway_headers, timeouts, retries, limits, batch, route, log, cors\n"},
    {"cache:\n  exact:\n    tll: 7d\n",
     "f.yaml:3: cache.exact.tll: unknown key; did you mean \"ttl\"?\n"},
    {"cache:\n  exakt: {}\n",
     "f.yaml:2: cache.exakt: unknown key; did you mean \"exact\"?\n"},
    {"timeouts:\n  first-byte: 3s\n",
     "f.yaml:2: timeouts.first-byte: unknown key; did you mean \"first_byte\"?\n"},
    {"upstreams:\n  - name: a\n    base_url: http://h\n    apikey: x\n",
     "f.yaml:4: upstreams[0].apikey: unknown key; did you mean \"api_key\"?\n"},
    {"'': x\n",
     "f.yaml:1: (file): a key is empty; write a word\n"},
    {"this_key_is_far_too_long_to_be_any_of_ours_really: 1\n",
     "f.yaml:1: (file): unknown key; remove it\n"},
    {"cache.exact.ttl: 7d\n",
     "f.yaml:1: cache.exact.ttl: unknown key; write what stands before a dot as a mapping of its own\n"},
    {"listen: [a]\n",
     "f.yaml:1: listen: is a list; write one value\n"},
    {"cache: on\n",
     "f.yaml:1: cache: is one value; write a mapping of keys and values\n"},
    {"cache: [a]\n",
     "f.yaml:1: cache: is a list; write a mapping of keys and values\n"},
    {"cache:\n  exact: serve\n",
     "f.yaml:2: cache.exact: is one value; write a mapping of keys and values\n"},
    {"upstreams: openai\n",
     "f.yaml:1: upstreams: is one value; write a list, each item begun with \"- \"\n"},
    {"upstreams:\n  name: a\n",
     "f.yaml:2: upstreams: is a mapping; write a list, each item begun with \"- \"\n"},
    {"upstreams:\n  - openai\n",
     "f.yaml:2: upstreams[0]: is one value; write a mapping of keys and values\n"},
    {"models: {}\n",
     "f.yaml:1: models: is a mapping; write a list, each item begun with \"- \"\n"},
    {"models:\n  - name: m\n    price: 3\n",
     "f.yaml:3: models[0].price: is one value; write a mapping of keys and values\n"},
    {"models:\n  - name: m\n    capabilities: tools\n",
     "f.yaml:3: models[0].capabilities: is one value; write a list such as [tools]\n"},
    {"models:\n  - name: m\n    capabilities: [[tools]]\n",
     "f.yaml:3: models[0].capabilities: is a list; write one word\n"},
    {"listen: :1\nlisten: :2\n",
     "f.yaml:2: listen: is given twice; keep one\n"},
    {"cache: {}\ncache: {}\n",
     "f.yaml:2: cache: is given twice; keep one\n"},
    {"loops:\nloops: 1\n",
     "f.yaml:2: loops: is given twice; keep one\n"},
    {"loops: many\n",
     "f.yaml:1: loops: \"many\" is no number; write a whole number\n"},
    {"loops: -1\n",
     "f.yaml:1: loops: \"-1\" is no number; write a whole number\n"},
    {"loops: 257\n",
     "f.yaml:1: loops: 257 is out of range; write 0 to 256\n"},
    {"loops: 99999999999999999999\n",
     "f.yaml:1: loops: 99999999999999999999 is out of range; write 0 to 256\n"},
    {"retries: {per_request: 11}\n",
     "f.yaml:1: retries.per_request: 11 is out of range; write 0 to 10\n"},
    {"retries: {budget: 1.5}\n",
     "f.yaml:1: retries.budget: 1.5 is out of range; write 0 to 1\n"},
    {"retries: {budget: ten}\n",
     "f.yaml:1: retries.budget: \"ten\" is no share; write a number such as 0.01\n"},
    {"cache: {exact: {ttl: 7}}\n",
     "f.yaml:1: cache.exact.ttl: \"7\" is no duration; write a number with a unit, such as 10ms, 30s, 10m, 24h or 7d\n"},
    {"cache: {exact: {ttl: 7 days}}\n",
     "f.yaml:1: cache.exact.ttl: \"7 days\" is no duration; write a number with a unit, such as 10ms, 30s, 10m, 24h or 7d\n"},
    {"cache: {exact: {ttl: 0}}\n",
     "f.yaml:1: cache.exact.ttl: 0 is out of range; write 1s to 3650d\n"},
    {"cache: {exact: {ttl: 99999d}}\n",
     "f.yaml:1: cache.exact.ttl: 99999d is out of range; write 1s to 3650d\n"},
    {"cache: {exact: {bytes_max: 2 gigs}}\n",
     "f.yaml:1: cache.exact.bytes_max: \"2 gigs\" is no size; write a number with a unit, such as 64KiB, 8MiB or 2GiB\n"},
    {"cache: {exact: {bytes_max: 4KiB}}\n",
     "f.yaml:1: cache.exact.bytes_max: 4KiB is out of range; write 1MiB to 16TiB\n"},
    {"cache: {semantic: {max_error: 2}}\n",
     "f.yaml:1: cache.semantic.max_error: 2 is out of range; write 0 to 1\n"},
    {"cache: {semantic: {guards_off: numbers}}\n",
     "f.yaml:1: cache.semantic.guards_off: is one value; write a list such as [numbers]\n"},
    {"cache: {semantic: {guards_off: [numbers, colours]}}\n",
     "f.yaml:1: cache.semantic.guards_off: \"colours\" is not known here; write numbers, units, dates, negation, antonym, aspect, order, substitution, addition, entity, code, quoted, language, invisible, contained or noise\n"},
    {"cache: {semantic: {ttl: 3651d}}\n",
     "f.yaml:1: cache.semantic.ttl: 3651d is out of range; write 0 to 3650d\n"},
    {"cache: {semantic: {exact_only: [time, place]}}\n",
     "f.yaml:1: cache.semantic.exact_only: \"place\" is not known here; write time or personal\n"},
    {"cache: {semantic: {hit_delay: 1001ms}}\n",
     "f.yaml:1: cache.semantic.hit_delay: 1001ms is out of range; write 0 to 1s\n"},
    {"cache: {namespaces: faq}\n",
     "f.yaml:1: cache.namespaces: is one value; write a list, each item begun with \"- \"\n"},
    {"cache: {namespaces: {name: faq}}\n",
     "f.yaml:1: cache.namespaces: is a mapping; write a list, each item begun with \"- \"\n"},
    {"cache:\n  namespaces:\n    - faq\n",
     "f.yaml:3: cache.namespaces[0]: is one value; write a mapping of keys and values\n"},
    {"cache:\n  namespaces:\n    - {name: a}\n    - {semantic: serve}\n",
     "f.yaml:4: cache.namespaces[1].name: is missing; add name: NAME\n"},
    {"cache:\n  namespaces:\n    - {name: a}\n    - {name: b}\n    - name: a\n",
     "f.yaml:5: cache.namespaces[2].name: \"a\" is cache.namespaces[0]'s name too; give each its own\n"},
    {"cache:\n  namespaces:\n    - name: caf\303\251\n",
     "f.yaml:3: cache.namespaces[0].name: \"caf\303\251\" holds a byte outside printable ASCII; no header can say it\n"},
    {"cache: {namespaces: [{name: a, semantic: maybe}]}\n",
     "f.yaml:1: cache.namespaces[0].semantic: \"maybe\" is not known here; write off, shadow or serve\n"},
    {"cache: {namespaces: [{name: a, max_error: 1.5}]}\n",
     "f.yaml:1: cache.namespaces[0].max_error: 1.5 is out of range; write 0 to 1\n"},
    {"cache: {namespaces: [{name: a, ttl: 0}]}\n",
     "f.yaml:1: cache.namespaces[0].ttl: 0 is out of range; write 1s to 3650d\n"},
    {"cache: {namespaces: [{name: a, semantic_ttl: 6}]}\n",
     "f.yaml:1: cache.namespaces[0].semantic_ttl: \"6\" is no duration; write a number with a unit, such as 10ms, 30s, 10m, 24h or 7d\n"},
    {"cache: {namespaces: [{name: a, match: /v1/messages}]}\n",
     "f.yaml:1: cache.namespaces[0].match: is one value; write a mapping of keys and values\n"},
    {"cache:\n  namespaces:\n    - name: a\n      match: {}\n",
     "f.yaml:4: cache.namespaces[0].match: names neither path nor model; add one, or leave match out\n"},
    {"cache:\n  namespaces:\n    - name: a\n      match:\n        path: v1/messages\n",
     "f.yaml:5: cache.namespaces[0].match.path: \"v1/messages\" is no path; begin it with /, as in /v1/messages\n"},
    {"cache:\n  namespaces:\n    - name: a\n      match: {paht: /v1}\n",
     "f.yaml:4: cache.namespaces[0].match.paht: unknown key; did you mean \"path\"?\n"
     "f.yaml:4: cache.namespaces[0].match: names neither path nor model; add one, or leave match out\n"},
    {"cache: {namespaces: [{name: a, mode: serve}]}\n",
     "f.yaml:1: cache.namespaces[0].mode: unknown key; did you mean cache.exact.mode?\n"},
    {"timeouts: {connect: 25h}\n",
     "f.yaml:1: timeouts.connect: 25h is out of range; write 10ms to 24h\n"},
    {"embed: {deadline: 15}\n",
     "f.yaml:1: embed.deadline: \"15\" is no duration; write a number with a unit, such as 250us, 10ms or 1.5s\n"},
    {"limits: {connections: 0}\n",
     "f.yaml:1: limits.connections: 0 is out of range; write 1 to 16384\n"},
    {"models: [{name: m, price: {input: cheap}}]\n",
     "f.yaml:1: models[0].price.input: \"cheap\" is no USD amount; write a number of dollars such as 0.40\n"},
    {"models: [{name: m, price: {output: 1}}]\n",
     "f.yaml:1: models[0].price.input: is missing; add it, or leave price out\n"},
    {"models: [{name: m, context: 0}]\n",
     "f.yaml:1: models[0].context: 0 is out of range; write 1 to 1000000000\n"},
    {"cache: {scope: everyone}\n",
     "f.yaml:1: cache.scope: \"everyone\" is not known here; write key, team or shared\n"},
    {"cache: {anonymous: public}\n",
     "f.yaml:1: cache.anonymous: \"public\" is not known here; write private, shared or refuse\n"},
    {"cache: {exact: {mode: shadow}}\n",
     "f.yaml:1: cache.exact.mode: \"shadow\" is not known here; write off or serve\n"},
    {"cache: {exact: {sampled: off}}\n",
     "f.yaml:1: cache.exact.sampled: \"off\" is not known here; write serve or bypass\n"},
    {"merge: {in_flight: maybe}\n",
     "f.yaml:1: merge.in_flight: \"maybe\" is not known here; write on, deterministic or off\n"},
    {"trust_gateway_headers: perhaps\n",
     "f.yaml:1: trust_gateway_headers: \"perhaps\" is neither on nor off; write on or off\n"},
    {"log: {level: verbose}\n",
     "f.yaml:1: log.level: \"verbose\" is not known here; write error, warn, info or debug\n"},
    {"models: [{name: m, capabilities: [tools, flying]}]\n",
     "f.yaml:1: models[0].capabilities: \"flying\" is not known here; write tools, json_schema, vision, streaming or logprobs\n"},
    {"upstreams: [{name: a, base_url: http://h, dialect: cohere}]\n",
     "f.yaml:1: upstreams[0].dialect: \"cohere\" is not known here; write openai or anthropic\n"},
    {"listen: 8700\n",
     "f.yaml:1: listen: \"8700\" is no address; write 127.0.0.1:8700, [::1]:8700, :8700 (every address) or unix:/path\n"},
    {"listen: localhost:8700\n",
     "f.yaml:1: listen: \"localhost:8700\" is no address; write 127.0.0.1:8700, [::1]:8700, :8700 (every address) or unix:/path\n"},
    {"listen: 127.0.0.1:70000\n",
     "f.yaml:1: listen: \"127.0.0.1:70000\" is no address; write 127.0.0.1:8700, [::1]:8700, :8700 (every address) or unix:/path\n"},
    {"listen: \"[::1:8700\"\n",
     "f.yaml:1: listen: \"[::1:8700\" is no address; write 127.0.0.1:8700, [::1]:8700, :8700 (every address) or unix:/path\n"},
    {"listen: \"unix:\"\n",
     "f.yaml:1: listen: \"unix:\" is no address; write 127.0.0.1:8700, [::1]:8700, :8700 (every address) or unix:/path\n"},
    {"listen: \"\"\n",
     "f.yaml:1: listen: is empty; write a value or leave it out\n"},
    {"listen: 127.0.0.1:8701\n",
     "f.yaml:1: admin: \"127.0.0.1:8701\" is taken by listen (127.0.0.1:8701); give it another port\n"},
    {"listen: :9\nadmin: 127.0.0.1:9\n",
     "f.yaml:2: admin: \"127.0.0.1:9\" is taken by listen (:9); give it another port\n"},
    {"upstreams: [{name: a, base_url: ftp://h/v1}]\n",
     "f.yaml:1: upstreams[0].base_url: \"ftp://h/v1\" is no URL of an upstream; begin it with https:// or http://\n"},
    {"upstreams: [{name: a, base_url: h/v1}]\n",
     "f.yaml:1: upstreams[0].base_url: \"h/v1\" is no URL of an upstream; begin it with https:// or http://\n"},
    {"upstreams: [{name: a, base_url: \"http://h/v1?x=1\"}]\n",
     "f.yaml:1: upstreams[0].base_url: \"http://h/v1?x=1\" has a query or fragment; end it with the path\n"},
    {"upstreams: [{name: a, base_url: \"http://h/v1#f\"}]\n",
     "f.yaml:1: upstreams[0].base_url: \"http://h/v1#f\" has a query or fragment; end it with the path\n"},
    {"upstreams: [{name: a, base_url: \"http://me:pw@h/v1\"}]\n",
     "f.yaml:1: upstreams[0].base_url: holds a user name; put the key in api_key\n"},
    {"upstreams: [{name: a, base_url: \"http:///v1\"}]\n",
     "f.yaml:1: upstreams[0].base_url: \"http:///v1\" names no host; write it as https://host/v1\n"},
    {"upstreams: [{name: a, base_url: \"http://h:99999/v1\"}]\n",
     "f.yaml:1: upstreams[0].base_url: \"http://h:99999/v1\" has a bad port; write a number up to 65535 after the host\n"},
    {"upstreams: [{name: a, base_url: \"http://h /v1\"}]\n",
     "f.yaml:1: upstreams[0].base_url: \"http://h /v1\" holds a space or a byte outside ASCII; write it percent-encoded\n"},
    {"upstreams: [{name: a, base_url: http://h, proxy: squid}]\n",
     "f.yaml:1: upstreams[0].proxy: \"squid\" is no proxy URL; write one such as http://proxy.example:3128 or socks5h://127.0.0.1:1080\n"},
    {"upstreams: []\n",
     "f.yaml:1: upstreams: is empty; add one with name and base_url, or leave upstreams out for the default\n"},
    {"upstreams:\n  - base_url: http://h\n",
     "f.yaml:2: upstreams[0].name: is missing; add name: NAME\n"},
    {"upstreams:\n  - name: a\n",
     "f.yaml:2: upstreams[0].base_url: is missing; add base_url: https://host/v1\n"},
    {"upstreams:\n  - name: ~\n    base_url: http://h\n",
     "f.yaml:2: upstreams[0].name: is missing; add name: NAME\n"},
    {"upstreams:\n  - name: a\n    base_url: http://h/v1\n  - name: a\n    base_url: http://i\n",
     "f.yaml:4: upstreams[1].name: \"a\" is upstreams[0]'s name too; give each its own\n"},
    {"upstreams:\n  - name: a\n    base_url: http://h/v1\nmodels:\n  - name: m\n    upstream: b\n",
     "f.yaml:6: models[0].upstream: no upstream is called \"b\"; known: a\n"},
    {"upstreams:\n  - name: a\n    base_url: http://h/v1\nmodels:\n  - name: m\n  - name: n\n  - name: m\n",
     "f.yaml:7: models[2].name: \"m\" is models[0]'s name too; keep one\n"},
    {"models:\n  - upstream: openai\n",
     "f.yaml:2: models[0].name: is missing; add name: NAME\n"},
    {"upstreams:\n  - name: a\n    base_url: http://h\n    api_key: \"sk-1\\n\"\n",
     "f.yaml:4: upstreams[0].api_key: holds a control character (a line break, perhaps); remove it\n"},
    {"prices: ./no/such/file.json\n",
     "f.yaml:1: prices: \"./no/such/file.json\" cannot be read (No such file or directory); name a file that exists\n"},
    {"upstreams: [{name: a, base_url: http://h, ca_file: /no/such.pem}]\n",
     "f.yaml:1: upstreams[0].ca_file: \"/no/such.pem\" cannot be read (No such file or directory); name a file that exists\n"},
    {"data: ${REMORA_TEST_UNSET}\n",
     "f.yaml:1: data: environment variable REMORA_TEST_UNSET is not set; set it, or write ${REMORA_TEST_UNSET:-default} to do without\n"},
    {"data: ${REMORA_TEST_UNSET\n",
     "f.yaml:1: data: \"${\" has no closing \"}\"; write ${NAME}, or $${ for a plain ${\n"},
    {"data: \"${}\"\n",
     "f.yaml:1: data: \"${}\" names no environment variable; write ${NAME}, ${NAME:-default}, or $${ for a plain ${\n"},
    {"data: \"${A B}\"\n",
     "f.yaml:1: data: \"${A B}\" names no environment variable; write ${NAME}, ${NAME:-default}, or $${ for a plain ${\n"},
    {"data: \"${1X}\"\n",
     "f.yaml:1: data: \"${1X}\" names no environment variable; write ${NAME}, ${NAME:-default}, or $${ for a plain ${\n"},
    {"data: \"${A:+x}\"\n",
     "f.yaml:1: data: \"${A:+x}\" names no environment variable; write ${NAME}, ${NAME:-default}, or $${ for a plain ${\n"},
    {"loops: ${REMORA_TEST_WORD}\n",
     "f.yaml:1: loops: \"word\" is no number; write a whole number\n"},
    {"models:\n  - name: m\n    upstream: \n    price: {input: -1}\n",
     "f.yaml:4: models[0].price.input: -1 is out of range; write 0 to 1000000\n"},
    {"upstreams: [{name: a, base_url: http://h, proxy: \"http://u:p@h\\n\"}]\n",
     "f.yaml:1: upstreams[0].proxy: holds a control character (a line break, perhaps); remove it\n"},
    {"lisen: x\nloops: many\ncache:\n  scope: all\n  exact:\n    ttl: soon\nupstreams:\n  - name: a\n    base_url: gopher://h\n  - nam: b\n",
     "f.yaml:1: lisen: unknown key; did you mean \"listen\"?\n"
     "f.yaml:2: loops: \"many\" is no number; write a whole number\n"
     "f.yaml:4: cache.scope: \"all\" is not known here; write key, team or shared\n"
     "f.yaml:6: cache.exact.ttl: \"soon\" is no duration; write a number with a unit, such as 10ms, 30s, 10m, 24h or 7d\n"
     "f.yaml:9: upstreams[0].base_url: \"gopher://h\" is no URL of an upstream; begin it with https:// or http://\n"
     "f.yaml:10: upstreams[1].nam: unknown key; did you mean \"name\"?\n"
     "f.yaml:10: upstreams[1].name: is missing; add name: NAME\n"
     "f.yaml:10: upstreams[1].base_url: is missing; add base_url: https://host/v1\n"},
};
/* clang-format on */

/* One reading; the messages are the caller's to free. */
static char *messages_of(rm_slice text, size_t *ret_count)
{
    rm_config *config = NULL;
    rm_config_errors errors;

    rm_config_errors_init(&errors);
    rm_status status = rm_config_parse("f.yaml", text, &config, &errors);
    assert_int_equal(status, RM_EINVAL);
    assert_null(config);
    char *messages = rm_slice_dup(rm_buf_slice(&errors.text));
    *ret_count = errors.count;
    rm_config_errors_deinit(&errors);
    return messages;
}

static rm_config *parse_good(rm_slice text)
{
    rm_config *config = NULL;
    rm_config_errors errors;

    rm_config_errors_init(&errors);
    assert_int_equal(rm_config_parse("f.yaml", text, &config, &errors), RM_OK);
    rm_config_errors_deinit(&errors);
    return config;
}

static size_t lines_in(const char *text)
{
    size_t lines = 0;

    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}

static void test_each_mistake_has_its_message(void **state)
{
    (void)state;
    for (size_t i = 0; i < RM_COUNT(cases); i++) {
        size_t count;
        char *messages = messages_of(rm_slice_cstr(cases[i].text), &count);
        assert_string_equal(messages, cases[i].messages);
        assert_int_equal(count, lines_in(cases[i].messages));
        rm_free(messages);
    }
}

/* Over the limit mistakes are counted and no longer told. */
static void test_messages_are_bounded(void **state)
{
    rm_buf text;
    size_t count;

    (void)state;
    rm_buf_init(&text, RM_MIB);
    for (int i = 0; i < RM_CONFIG_ERRORS_MAX + 10; i++)
        rm_buf_appendf(&text, "k%d: 1\n", i);
    char *messages = messages_of(rm_buf_slice(&text), &count);
    assert_int_equal(count, RM_CONFIG_ERRORS_MAX + 10);
    assert_int_equal(lines_in(messages), RM_CONFIG_ERRORS_MAX);
    rm_free(messages);
    rm_buf_deinit(&text);
}

static void test_size_of_the_file(void **state)
{
    char *text = rm_alloc(RM_CONFIG_BYTES_MAX + 1);
    size_t count;

    (void)state;
    memset(text, '\n', RM_CONFIG_BYTES_MAX + 1);
    rm_config_unref(parse_good(rm_slice_make(text, RM_CONFIG_BYTES_MAX)));
    char *messages = messages_of(rm_slice_make(text, RM_CONFIG_BYTES_MAX + 1), &count);
    assert_string_equal(messages, "f.yaml:1: (file): is longer than 1048576 bytes; shorten it\n");
    rm_free(messages);
    rm_free(text);
}

/* So many upstreams u0, u1 …, models and namespaces. */
static void write_lists(rm_buf *text, size_t upstreams, size_t models, size_t spaces)
{
    rm_buf_clear(text);
    rm_buf_append_cstr(text, "upstreams:\n");
    for (size_t i = 0; i < upstreams; i++)
        rm_buf_appendf(text, "- {name: u%zu, base_url: http://h}\n", i);
    rm_buf_append_cstr(text, "models:\n");
    for (size_t i = 0; i < models; i++)
        rm_buf_appendf(text, "- {name: m%zu, upstream: u0}\n", i);
    rm_buf_append_cstr(text, "cache:\n  namespaces:\n");
    for (size_t i = 0; i < spaces; i++)
        rm_buf_appendf(text, "  - {name: s%zu}\n", i);
}

static void test_length_of_lists(void **state)
{
    rm_buf text;
    size_t count;

    (void)state;
    rm_buf_init(&text, RM_MIB);
    write_lists(&text, RM_UPSTREAMS_MAX, RM_MODELS_MAX, RM_CONFIG_NAMESPACES_MAX);
    rm_config *config = parse_good(rm_buf_slice(&text));
    assert_int_equal(config->model_count, RM_MODELS_MAX);
    assert_int_equal(config->cache.namespace_count, RM_CONFIG_NAMESPACES_MAX);
    rm_config_unref(config);
    write_lists(&text, RM_UPSTREAMS_MAX + 1, RM_MODELS_MAX + 1, RM_CONFIG_NAMESPACES_MAX + 1);
    char *messages = messages_of(rm_buf_slice(&text), &count);
    assert_string_equal(messages, "f.yaml:2: upstreams: has 65 items; at most 64 are allowed\n"
                                  "f.yaml:68: models: has 4097 items; at most 4096 are allowed\n"
                                  "f.yaml:4167: cache.namespaces: has 257 items; at most 256 are allowed\n");
    rm_free(messages);
    rm_buf_deinit(&text);
}

static void write_data(rm_buf *text, size_t len)
{
    rm_buf_clear(text);
    rm_buf_append_cstr(text, "data: ");
    for (size_t i = 0; i < len; i++)
        rm_buf_append_char(text, 'd');
}

static void test_length_of_values(void **state)
{
    rm_buf text;
    size_t count;

    (void)state;
    rm_buf_init(&text, RM_MIB);
    write_data(&text, RM_CONFIG_VALUE_BYTES_MAX);
    rm_config *config = parse_good(rm_buf_slice(&text));
    assert_int_equal(strlen(config->data), RM_CONFIG_VALUE_BYTES_MAX);
    rm_config_unref(config);
    write_data(&text, RM_CONFIG_VALUE_BYTES_MAX + 1);
    char *messages = messages_of(rm_buf_slice(&text), &count);
    assert_string_equal(messages, "f.yaml:1: data: is longer than 8192 bytes; shorten it\n");
    rm_free(messages);
    rm_buf_deinit(&text);
}

static void test_length_of_a_namespaces_name(void **state)
{
    char text[64 + RM_NAMESPACE_BYTES_MAX + 1], name[RM_NAMESPACE_BYTES_MAX + 2];
    size_t count;

    (void)state;
    memset(name, 'n', sizeof(name));
    name[RM_NAMESPACE_BYTES_MAX] = 0;
    (void)snprintf(text, sizeof(text), "cache: {namespaces: [{name: %s}]}", name);
    rm_config_unref(parse_good(rm_slice_cstr(text)));
    name[RM_NAMESPACE_BYTES_MAX] = 'n';
    name[RM_NAMESPACE_BYTES_MAX + 1] = 0;
    (void)snprintf(text, sizeof(text), "cache: {namespaces: [{name: %s}]}", name);
    char *messages = messages_of(rm_slice_cstr(text), &count);
    assert_int_equal(count, 1);
    assert_non_null(strstr(messages, "f.yaml:1: cache.namespaces[0].name: \"nnnn"));
    assert_non_null(strstr(messages, "n\" is longer than 128 bytes; shorten it\n"));
    rm_free(messages);
}

static void test_file_that_is_not_there(void **state)
{
    rm_config *config = NULL;
    rm_config_errors errors;

    (void)state;
    rm_config_errors_init(&errors);
    assert_int_equal(rm_config_load("/no/such/remora.yaml", &config, &errors), RM_EIO);
    rm_buf_append_char(&errors.text, 0);
    assert_string_equal(errors.text.ptr, "/no/such/remora.yaml:1: (file): cannot be read (No such file or directory); "
                                         "name a readable file with -c FILE\n");
    rm_config_errors_deinit(&errors);
}

/* A bomb of aliases and an alias to its own parent end quickly: nothing of them is followed. */
static void test_aliases_are_bounded(void **state)
{
    static const char *const bombs[] = {
        ("a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n"
         "d: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nupstreams: [*e,*e]\n"),
        "cache: &c {exact: *c}\n", "upstreams: &u [*u, *u]\n",
        "models: [&m {name: m, price: *m, capabilities: [*m]}]\n"};
    size_t count;

    (void)state;
    for (size_t i = 0; i < RM_COUNT(bombs); i++)
        rm_free(messages_of(rm_slice_cstr(bombs[i]), &count));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_mistake_has_its_message),
        cmocka_unit_test(test_messages_are_bounded),
        cmocka_unit_test(test_size_of_the_file),
        cmocka_unit_test(test_length_of_lists),
        cmocka_unit_test(test_length_of_values),
        cmocka_unit_test(test_length_of_a_namespaces_name),
        cmocka_unit_test(test_file_that_is_not_there),
        cmocka_unit_test(test_aliases_are_bounded),
    };

    (void)setenv("REMORA_TEST_WORD", "word", 1);
    (void)unsetenv("REMORA_TEST_UNSET");
    (void)unsetenv("OPENAI_BASE_URL");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
