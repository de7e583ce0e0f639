/* Reads tests/golden/malformed_http.json: a list of {"name", "expect", "requests", "input"} in that order, one a line.
 * `input` is a list of texts and of [text, times] pairs; each \u00XX is one byte. Just enough JSON for that file. */
#ifndef REMORA_TEST_GOLDEN_HTTP_H
#define REMORA_TEST_GOLDEN_HTTP_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct golden_http {
    char name[128];
    int expect;        /* HTTP status; 200: accepted; 0: more is waited for */
    unsigned requests; /* complete ones */
    char *input;
    size_t len;
} golden_http;

static const char *golden_text(const char *at, char *out, size_t cap, size_t *ret_len)
{
    size_t len = 0;

    for (at++; *at != '"'; at++) {
        char c = *at;

        if (c == '\\') {
            unsigned value;

            c = *++at;
            if (c == 'u') {
                if (sscanf(at + 1, "%4x", &value) != 1 || value > 255)
                    abort();
                c = (char)value;
                at += 4;
            } else if (c == 'r' || c == 'n' || c == 't') {
                c = c == 'r' ? '\r' : c == 'n' ? '\n' : '\t';
            }
        }
        if (len == cap)
            abort();
        out[len++] = c;
    }
    *ret_len = len;
    return at + 1;
}

/* One line of the file; 0: not a case. */
static int golden_parse(const char *line, golden_http *ret_case)
{
    static char input[1 << 18];
    golden_http item = {{0}, 0, 0, NULL, 0};
    const char *at = strstr(line, "\"name\": ");
    size_t len = 0;

    if (!at)
        return 0;
    at = golden_text(at + 8, item.name, sizeof(item.name) - 1, &len);
    if (sscanf(at, ", \"expect\": %d, \"requests\": %u", &item.expect, &item.requests) != 2)
        abort();
    at = strstr(at, "\"input\": [") + 10;
    while (*at != ']') {
        if (*at == '"') {
            at = golden_text(at, input + item.len, sizeof(input) - item.len, &len);
            item.len += len;
        } else if (*at == '[') {
            static char part[4096];
            long times;
            char *end;

            at = golden_text(at + 1, part, sizeof(part), &len);
            times = strtol(at + 2, &end, 10);
            for (; times > 0 && item.len + len <= sizeof(input); times--, item.len += len)
                memcpy(input + item.len, part, len);
            at = end + 1;
        } else {
            at++;
        }
    }
    item.input = malloc(item.len ? item.len : 1);
    if (!item.input)
        abort();
    memcpy(item.input, input, item.len);
    *ret_case = item;
    return 1;
}

/* Calls `run` for each case; how many there were. The test's working directory is the repository. */
static unsigned golden_each(void (*run)(const golden_http *item, void *user), void *user)
{
    FILE *file = fopen("tests/golden/malformed_http.json", "r");
    static char line[1 << 16];
    unsigned count = 0;
    golden_http item;

    if (!file)
        abort();
    while (fgets(line, sizeof(line), file)) {
        if (!golden_parse(line, &item))
            continue;
        run(&item, user);
        free(item.input);
        count++;
    }
    fclose(file);
    return count;
}

#endif
