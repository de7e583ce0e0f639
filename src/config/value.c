/* One scalar's text into one field, as its row says; each refusal tells how to mend it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config_internal.h"

typedef rm_status (*number_fn)(rm_slice text, double *ret_number);

static rm_status read_whole(rm_slice text, double *ret_number)
{
    uint64_t value;
    rm_status status = rm_parse_u64(text, &value);

    if (status == RM_OK)
        *ret_number = (double)value;
    for (size_t i = 0; status == RM_EPARSE && i < text.len; i++)
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return RM_EPARSE;
    return status == RM_EPARSE && text.len > 0 ? RM_ETOOBIG : status;
}

static rm_status read_bytes(rm_slice text, double *ret_number)
{
    uint64_t value;
    rm_status status = rm_parse_bytes(text, &value);

    if (status != RM_OK)
        return status;
    *ret_number = (double)value;
    return RM_OK;
}

static rm_status read_ms(rm_slice text, double *ret_number)
{
    uint64_t value;
    rm_status status = rm_parse_duration_ms(text, false, &value);

    if (status != RM_OK)
        return status;
    *ret_number = (double)value;
    return RM_OK;
}

static rm_status read_us(rm_slice text, double *ret_number)
{
    uint64_t value;
    rm_status status = rm_parse_duration_us(text, false, &value);

    if (status != RM_OK)
        return status;
    *ret_number = (double)value;
    return RM_OK;
}

/* max: what the field's type can hold, for rows without a range of their own. */
static const struct {
    const char *name, *mend;
    number_fn number;
    double max;
} kinds[RM_KIND_COUNT_OF] = {
    [RM_KIND_SWITCH] = {"on or off", "write on or off", NULL, 0},
    [RM_KIND_COUNT] = {"number", "write a whole number", read_whole, UINT32_MAX},
    [RM_KIND_TOKENS] = {"number", "write a whole number", read_whole, 1e15},
    [RM_KIND_SHARE] = {"share", "write a number such as 0.01", rm_parse_double, 1},
    [RM_KIND_USD] = {"USD amount", "write a number of dollars such as 0.40", rm_parse_double, 1e9},
    [RM_KIND_BYTES] = {"size", "write a number with a unit, such as 64KiB, 8MiB or 2GiB", read_bytes, 1e15},
    [RM_KIND_MS] = {"duration", "write a number with a unit, such as 10ms, 30s, 10m, 24h or 7d", read_ms, 1e15},
    [RM_KIND_US] = {"duration", "write a number with a unit, such as 250us, 10ms or 1.5s", read_us, 1e15},
    [RM_KIND_CHOICE] = {"choice", NULL, NULL, 0},
    [RM_KIND_CHOICE_BOOL] = {"choice", NULL, NULL, 0},
    [RM_KIND_CHOICE_TEXT] = {"choice", NULL, NULL, 0},
    [RM_KIND_FLAGS] = {"list", NULL, NULL, 0},
    [RM_KIND_TEXT] = {"text", NULL, NULL, 0},
    [RM_KIND_NAME] = {"name", NULL, NULL, 0},
    [RM_KIND_ADDRESS] = {"address", NULL, NULL, 0},
    [RM_KIND_URL] = {"URL", NULL, NULL, 0},
    [RM_KIND_PROXY] = {"URL", NULL, NULL, 0},
    [RM_KIND_FILE] = {"file", NULL, NULL, 0},
    [RM_KIND_PATH] = {"path", NULL, NULL, 0},
    [RM_KIND_SECRET] = {"secret", NULL, NULL, 0},
};

const char *rm_config__kind_name(rm_config_kind kind)
{
    return kinds[kind].name;
}

rm_status rm_config__number(rm_config_kind kind, rm_slice text, double *ret_number)
{
    return kinds[kind].number(text, ret_number);
}

/* ---- mistakes ---------------------------------------------------------------------------------------------------- */

/* The path as the reader of the file counts it: "upstreams[].name" is "upstreams[2].name". */
static void append_path(const rm_config_reader *reader, const char *path, rm_buf *out)
{
    const char *brackets = strstr(path, "[]");

    if (!brackets) {
        rm_buf_append_cstr(out, path);
        return;
    }
    rm_buf_append(out, path, (size_t)(brackets - path));
    rm_buf_appendf(out, "[%zu]%s", reader->index, brackets + 2);
}

void rm_config__mistake(rm_config_reader *reader, unsigned line, const char *path, const char *format, ...)
{
    rm_config_errors *errors = reader->errors;
    char text[RM_CONFIG_ERROR_BYTES_MAX];
    va_list args;

    if (errors->count++ >= RM_CONFIG_ERRORS_MAX)
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    rm_buf_appendf(&errors->text, "%s:%u: ", reader->file, line ? line : 1);
    append_path(reader, path, &errors->text);
    rm_buf_appendf(&errors->text, ": %s\n", text);
}

/* A value as a message may show it: short, one line, printable. */
typedef struct shown {
    char text[72];
} shown;

static shown show(rm_slice value)
{
    shown out;
    size_t len = 0;

    for (; len < value.len && len < 64; len++) {
        unsigned char c = (unsigned char)value.ptr[len];
        out.text[len] = (char)(c < 0x20 || c == 0x7f ? '?' : c);
    }
    memcpy(out.text + len, len < value.len ? "..." : "", len < value.len ? 4 : 1);
    return out;
}

/* ---- ${NAME} -------------------------------------------------------------------------------------------------------
 */

static bool is_name_char(char c, bool first)
{
    return c == '_' || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (!first && c >= '0' && c <= '9');
}

static size_t name_bytes(rm_slice text)
{
    size_t n = 0;

    while (n < text.len && is_name_char(text.ptr[n], n == 0))
        n++;
    return n;
}

/* Puts in what stands between "${" and "}". */
static bool put_variable(rm_config_reader *reader, unsigned line, const char *path, rm_slice inside)
{
    size_t len = name_bytes(inside);
    rm_slice rest = {inside.ptr + len, inside.len - len};
    bool has_default = rm_slice_has_prefix(rest, RM_SLICE(":-"));
    char name[RM_CONFIG_PATH_BYTES_MAX];

    if (len == 0 || len >= sizeof(name) || (rest.len > 0 && !has_default)) {
        rm_config__mistake(
            reader, line, path,
            "\"${%s}\" names no environment variable; write ${NAME}, ${NAME:-default}, or $${ for a plain ${",
            show(inside).text);
        return false;
    }
    memcpy(name, inside.ptr, len);
    name[len] = 0;
    const char *value = getenv(name);
    if (has_default && (!value || !*value)) {
        rm_buf_append(&reader->value, rest.ptr + 2, rest.len - 2);
    } else if (value) {
        rm_buf_append_cstr(&reader->value, value);
    } else {
        rm_config__mistake(reader, line, path,
                           "environment variable %s is not set; set it, or write ${%s:-default} to do without", name,
                           name);
        return false;
    }
    return true;
}

/* Takes one piece off `rest`: a variable, an escaped "$${" or text up to the next dollar. */
static bool expand_piece(rm_config_reader *reader, unsigned line, const char *path, rm_slice *rest)
{
    size_t take;

    if (rm_slice_has_prefix(*rest, RM_SLICE("$${"))) {
        rm_buf_append_cstr(&reader->value, "${");
        take = 3;
    } else if (rm_slice_has_prefix(*rest, RM_SLICE("${"))) {
        const char *end = memchr(rest->ptr, '}', rest->len);
        if (!end) {
            rm_config__mistake(reader, line, path, "\"${\" has no closing \"}\"; write ${NAME}, or $${ for a plain ${");
            return false;
        }
        if (!put_variable(reader, line, path, rm_slice_make(rest->ptr + 2, (size_t)(end - rest->ptr) - 2)))
            return false;
        take = (size_t)(end - rest->ptr) + 1;
    } else {
        const char *dollar = rest->len > 1 ? memchr(rest->ptr + 1, '$', rest->len - 1) : NULL;
        take = dollar ? (size_t)(dollar - rest->ptr) : rest->len;
        rm_buf_append(&reader->value, rest->ptr, take);
    }
    *rest = rm_slice_make(rest->ptr + take, rest->len - take);
    return true;
}

bool rm_config__expand(rm_config_reader *reader, unsigned line, const char *path, rm_slice text)
{
    rm_buf_clear(&reader->value);
    while (text.len > 0)
        if (!expand_piece(reader, line, path, &text))
            return false;
    if (reader->value.status == RM_ETOOBIG) {
        rm_config__mistake(reader, line, path, "is longer than %d bytes; shorten it", RM_CONFIG_VALUE_BYTES_MAX);
        return false;
    }
    if (reader->value.status != RM_OK) {
        reader->fatal = RM_ENOMEM;
        return false;
    }
    return true;
}

/* ---- fields ------------------------------------------------------------------------------------------------------ */

static bool set_switch(rm_slice text, bool *ret_on)
{
    static const char *const words[] = {"off", "on", "false", "true", "no", "yes"};

    for (size_t i = 0; i < RM_COUNT(words); i++)
        if (rm_slice_eq_nocase(text, rm_slice_cstr(words[i]))) {
            *ret_on = i & 1;
            return true;
        }
    return false;
}

/* The word itself; where on or off is among the words, YAML's other spellings of it too. */
const rm_config_word *rm_config__word_find(const rm_config_word *words, rm_slice text)
{
    bool on;

    for (const rm_config_word *w = words; w->word; w++)
        if (rm_slice_eq(text, rm_slice_cstr(w->word)))
            return w;
    if (set_switch(text, &on))
        for (const rm_config_word *w = words; w->word; w++)
            if (strcmp(w->word, on ? "on" : "off") == 0)
                return w;
    return NULL;
}

static bool refuse_word(rm_config_reader *reader, const rm_config_option *option, rm_slice text, unsigned line)
{
    char list[256] = "";
    size_t len = 0;

    for (const rm_config_word *w = option->words; w->word && len < sizeof(list); w++)
        len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s",
                                w == option->words ? ""
                                : w[1].word        ? ", "
                                                   : " or ",
                                w->word);
    rm_config__mistake(reader, line, option->path, "\"%s\" is not known here; write %s", show(text).text, list);
    return false;
}

static void store_number(const rm_config_option *option, void *field, double number)
{
    switch (option->kind) {
    case RM_KIND_COUNT:
        *(unsigned *)field = (unsigned)number;
        break;
    case RM_KIND_TOKENS:
        *(int64_t *)field = (int64_t)number;
        break;
    case RM_KIND_SHARE:
    case RM_KIND_USD:
        *(double *)field = number;
        break;
    default:
        *(uint64_t *)field = (uint64_t)number;
    }
}

static bool set_number(rm_config_reader *reader, const rm_config_option *option, void *field, rm_slice text,
                       unsigned line)
{
    double number, min = 0, max = kinds[option->kind].max;
    rm_status status = rm_config__number(option->kind, text, &number);

    if (status != RM_OK && status != RM_ETOOBIG) {
        rm_config__mistake(reader, line, option->path, "\"%s\" is no %s; %s", show(text).text, kinds[option->kind].name,
                           kinds[option->kind].mend);
        return false;
    }
    if (option->min)
        RM_CHECK(rm_config__number(option->kind, rm_slice_cstr(option->min), &min) == RM_OK);
    if (option->max)
        RM_CHECK(rm_config__number(option->kind, rm_slice_cstr(option->max), &max) == RM_OK);
    if (status == RM_ETOOBIG || number < min || number > max) {
        rm_config__mistake(reader, line, option->path, "%s is out of range; write %s to %s", show(text).text,
                           option->min, option->max);
        return false;
    }
    store_number(option, field, number);
    return true;
}

/* NULL, or what is wrong with a text of that kind. */
static const char *text_fault(rm_config_kind kind, rm_slice text)
{
    size_t origin_bytes;

    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
            return "holds a control character (a line break, perhaps); remove it";
    if (text.len == 0)
        return "is empty; write a value or leave it out";
    switch (kind) {
    case RM_KIND_NAME:
        return text.len > RM_MODEL_NAME_BYTES_MAX ? "is longer than 256 bytes; shorten it" : NULL;
    case RM_KIND_ADDRESS:
        return rm_config__address_fault(text);
    case RM_KIND_URL:
        return rm_config__url_fault(text, &origin_bytes);
    case RM_KIND_PROXY:
        return rm_slice_find(text, RM_SLICE("://"))
                   ? NULL
                   : "is no proxy URL; write one such as http://proxy.example:3128 or socks5h://127.0.0.1:1080";
    default:
        return NULL;
    }
}

static bool is_optional_text(const rm_config_option *option)
{
    return !option->initial && !(option->flags & RM_OPTION_REQUIRED);
}

static bool set_text(rm_config_reader *reader, const rm_config_option *option, void *field, rm_slice text,
                     unsigned line)
{
    if (text.len == 0 && is_optional_text(option)) /* ${NAME:-} is how one leaves it out by environment */
        return true;
    const char *fault = text_fault(option->kind, text);
    if (fault) {
        bool may_hold_password = option->kind == RM_KIND_SECRET || rm_slice_find(text, RM_SLICE("@"));
        if (text.len == 0 || may_hold_password)
            rm_config__mistake(reader, line, option->path, "%s", fault);
        else
            rm_config__mistake(reader, line, option->path, "\"%s\" %s", show(text).text, fault);
        return false;
    }
    while (option->kind == RM_KIND_URL && text.ptr[text.len - 1] == '/')
        text.len--;
    rm_slice copy = rm_arena_dup(&reader->config->arena, text);
    if (!copy.ptr) {
        reader->fatal = RM_ENOMEM;
        return false;
    }
    if (option->kind == RM_KIND_FILE && access(copy.ptr, R_OK) != 0) {
        rm_config__mistake(reader, line, option->path, "\"%s\" cannot be read (%s); name a file that exists",
                           show(text).text, strerror(errno));
        return false;
    }
    *(const char **)field = copy.ptr;
    return true;
}

static bool set_choice(rm_config_reader *reader, const rm_config_option *option, void *field, rm_slice text,
                       unsigned line)
{
    const rm_config_word *word = rm_config__word_find(option->words, text);

    if (!word)
        return refuse_word(reader, option, text, line);
    if (option->kind == RM_KIND_CHOICE)
        memcpy(field, &word->value, sizeof(int));
    else if (option->kind == RM_KIND_CHOICE_BOOL)
        *(bool *)field = word->value != 0;
    else
        *(const char **)field = word->word;
    return true;
}

bool rm_config__set(rm_config_reader *reader, const rm_config_option *option, void *base, rm_slice text, unsigned line)
{
    void *field = (char *)base + option->offset;

    if (kinds[option->kind].number)
        return set_number(reader, option, field, text, line);
    if (option->words)
        return set_choice(reader, option, field, text, line);
    if (option->kind != RM_KIND_SWITCH)
        return set_text(reader, option, field, text, line);
    if (set_switch(text, field))
        return true;
    rm_config__mistake(reader, line, option->path, "\"%s\" is neither on nor off; write on or off", show(text).text);
    return false;
}

bool rm_config__set_flag(rm_config_reader *reader, const rm_config_option *option, void *base, rm_slice text,
                         unsigned line)
{
    const rm_config_word *word = rm_config__word_find(option->words, text);

    if (!word)
        return refuse_word(reader, option, text, line);
    *(unsigned *)(void *)((char *)base + option->offset) |= (unsigned)word->value;
    return true;
}

bool rm_config__set_defaults(rm_config_reader *reader, const char *section, void *base)
{
    size_t len = strlen(section);

    for (size_t i = 0; i < rm_config__option_count; i++) {
        const rm_config_option *option = &rm_config__options[i];
        bool of_item = strchr(option->path, '[') != NULL;
        if (strncmp(option->path, section, len) != 0 || of_item != (len > 0) || !option->initial)
            continue;
        if (option->kind == RM_KIND_FLAGS) /* no list by default has a word in it */
            continue;
        if (!rm_config__set(reader, option, base, rm_slice_cstr(option->initial), 0))
            return false;
    }
    return true;
}
