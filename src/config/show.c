/* The table of options, and a configuration, as people and programs read them. */
#include <stdio.h>

#include "config_internal.h"

/* ---- help -------------------------------------------------------------------------------------------------------- */

/* The words of a choice, or the kind's name; with the range where there is one. */
static void append_type(const rm_config_option *option, const char *separator, rm_buf *out)
{
    if (option->words && option->kind == RM_KIND_FLAGS)
        rm_buf_append_cstr(out, "list of ");
    for (const rm_config_word *w = option->words; w && w->word; w++)
        rm_buf_appendf(out, "%s%s", w == option->words ? "" : separator, w->word);
    if (!option->words)
        rm_buf_append_cstr(out, rm_config__kind_name(option->kind));
    if (option->min && option->max)
        rm_buf_appendf(out, ", %s to %s", option->min, option->max);
}

static const char *initial_of(const rm_config_option *option)
{
    if (option->initial)
        return option->initial;
    return option->flags & RM_OPTION_REQUIRED ? "(required)" : "(none)";
}

static const char *restart_note(const rm_config_option *option)
{
    return option->flags & RM_OPTION_RESTART ? " (a change needs a restart)" : "";
}

static void describe_markdown(const rm_config_option *option, rm_buf *out)
{
    rm_buf_appendf(out, "| `%s` | ", option->path);
    append_type(option, " \\| ", out);
    rm_buf_appendf(out, " | `%s` | %s%s |\n", initial_of(option), option->help, restart_note(option));
}

static void describe_text(const rm_config_option *option, rm_buf *out)
{
    rm_buf_appendf(out, "  %s: %s\n      ", option->path, initial_of(option));
    append_type(option, " | ", out);
    rm_buf_appendf(out, "\n      %s%s\n", option->help, restart_note(option));
}

rm_status rm_config_describe(bool markdown, rm_buf *out)
{
    if (markdown)
        rm_buf_append_cstr(out, "| Option | Type | Default | Meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < rm_config__option_count; i++)
        (markdown ? describe_markdown : describe_text)(&rm_config__options[i], out);
    return out->status;
}

/* ---- a configuration's values ------------------------------------------------------------------------------------ */

typedef struct unit {
    const char *name;
    uint64_t size;
} unit;
static const unit ms_units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
static const unit us_units[] = {{"s", 1000000}, {"ms", 1000}, {"us", 1}};
static const unit byte_units[] = {{"TiB", 1ULL << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}};

/* In the largest unit that divides it: as one would have written it. */
static void append_in_units(rm_buf *out, uint64_t value, const unit *units, size_t count)
{
    size_t i = 0;

    while (value > 0 && i + 1 < count && value % units[i].size != 0)
        i++;
    rm_buf_appendf(out, "\"%llu%s\"", (unsigned long long)(value / units[i].size), value ? units[i].name : "");
}

static void append_string(rm_buf *out, const char *text)
{
    if (!text) {
        rm_buf_append_cstr(out, "null");
        return;
    }
    rm_buf_append_char(out, '"');
    rm_buf_append_json_escaped(out, rm_slice_cstr(text));
    rm_buf_append_char(out, '"');
}

static void append_word(const rm_config_option *option, int value, rm_buf *out)
{
    for (const rm_config_word *w = option->words; w->word; w++)
        if (w->value == value) {
            append_string(out, w->word);
            return;
        }
}

static void append_flags(const rm_config_option *option, unsigned value, rm_buf *out)
{
    const char *comma = "";

    rm_buf_append_char(out, '[');
    for (const rm_config_word *w = option->words; w->word; w++)
        if (value & (unsigned)w->value) {
            rm_buf_appendf(out, "%s\"%s\"", comma, w->word);
            comma = ",";
        }
    rm_buf_append_char(out, ']');
}

static void append_double(rm_buf *out, double value)
{
    if (value < 0)
        rm_buf_append_cstr(out, "null");
    else
        rm_buf_append_usd(out, value);
}

/* Secrets, and proxies that hold a password, are shown as set or not. */
static const char *redact(const rm_config_option *option, const char *text)
{
    bool secret = option->kind == RM_KIND_SECRET || (option->kind == RM_KIND_PROXY && text && strchr(text, '@'));

    return secret && text ? "(set)" : text;
}

static void append_value(const rm_config_option *option, const void *base, rm_buf *out)
{
    const void *field = (const char *)base + option->offset;

    switch (option->kind) {
    case RM_KIND_SWITCH:
        rm_buf_append_cstr(out, *(const bool *)field ? "true" : "false");
        break;
    case RM_KIND_COUNT:
        rm_buf_append_u64(out, *(const unsigned *)field);
        break;
    case RM_KIND_TOKENS:
        append_double(out, (double)*(const int64_t *)field);
        break;
    case RM_KIND_SHARE:
    case RM_KIND_USD:
        append_double(out, *(const double *)field);
        break;
    case RM_KIND_BYTES:
        append_in_units(out, *(const uint64_t *)field, byte_units, RM_COUNT(byte_units));
        break;
    case RM_KIND_MS:
        append_in_units(out, *(const uint64_t *)field, ms_units, RM_COUNT(ms_units));
        break;
    case RM_KIND_US:
        append_in_units(out, *(const uint64_t *)field, us_units, RM_COUNT(us_units));
        break;
    case RM_KIND_CHOICE:
        append_word(option, *(const int *)field, out);
        break;
    case RM_KIND_CHOICE_BOOL:
        append_word(option, *(const bool *)field, out);
        break;
    case RM_KIND_FLAGS:
        append_flags(option, *(const unsigned *)field, out);
        break;
    default:
        append_string(out, redact(option, *(const char *const *)field));
    }
}

static void append_section(const rm_config *config, const char *section, const void *base, rm_buf *out);

static void append_upstream(const rm_config *config, size_t index, rm_buf *out)
{
    append_section(config, "upstreams[].", &config->upstreams[index], out);
}

/* Its rows count from a draft. */
static void append_model(const rm_config *config, size_t index, rm_buf *out)
{
    const rm_config_model *model = &config->models[index];
    rm_config_model_draft draft = {.model = *model, .upstream_name = model->upstream->name};

    append_section(config, "models[].", &draft, out);
}

static void append_namespace(const rm_config *config, size_t index, rm_buf *out)
{
    append_section(config, "cache.namespaces[].", &config->cache.namespaces[index], out);
}

static const struct list {
    const char *path;
    size_t count; /* offset of it */
    void (*append)(const rm_config *config, size_t index, rm_buf *out);
} lists[] = {
    {"upstreams", offsetof(rm_config, upstream_count), append_upstream},
    {"models", offsetof(rm_config, model_count), append_model},
    {"cache.namespaces", offsetof(rm_config, cache.namespace_count), append_namespace},
};

static void append_list(const rm_config *config, const char *path, rm_buf *out)
{
    size_t which = 0, count;

    while (strcmp(lists[which].path, path) != 0) /* the table of options has no others */
        RM_CHECK(++which < RM_COUNT(lists));
    memcpy(&count, (const char *)config + lists[which].count, sizeof(count));
    rm_buf_append_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i)
            rm_buf_append_char(out, ',');
        lists[which].append(config, i, out);
    }
    rm_buf_append_char(out, ']');
}

static void append_section(const rm_config *config, const char *section, const void *base, rm_buf *out)
{
    char path[RM_CONFIG_PATH_BYTES_MAX], below[RM_CONFIG_PATH_BYTES_MAX + 4];
    const char *comma = "";
    size_t cursor = 0;
    rm_slice name;

    rm_buf_append_char(out, '{');
    while (rm_config__section_next(section, &cursor, &name)) {
        (void)snprintf(path, sizeof(path), "%s%.*s", section, (int)name.len, name.ptr);
        (void)snprintf(below, sizeof(below), "%s[].", path);
        rm_buf_appendf(out, "%s\"%.*s\":", comma, (int)name.len, name.ptr);
        comma = ",";
        const rm_config_option *option = rm_config__option_find(path);
        if (option) {
            append_value(option, base, out);
        } else if (rm_config__section_find(below) >= 0) {
            append_list(config, path, out);
        } else {
            (void)snprintf(below, sizeof(below), "%s.", path);
            append_section(config, below, base, out);
        }
    }
    rm_buf_append_char(out, '}');
}

rm_status rm_config_json(const rm_config *config, rm_buf *out)
{
    append_section(config, "", config, out);
    return out->status;
}

/* ---- reload ------------------------------------------------------------------------------------------------------ */

rm_status rm_config_restart_needed(const rm_config *before, const rm_config *after, rm_buf *out)
{
    rm_buf a, b;

    rm_buf_init(&a, RM_CONFIG_VALUE_BYTES_MAX * 8);
    rm_buf_init(&b, RM_CONFIG_VALUE_BYTES_MAX * 8);
    for (size_t i = 0; i < rm_config__option_count; i++) {
        const rm_config_option *option = &rm_config__options[i];
        if (!(option->flags & RM_OPTION_RESTART))
            continue;
        rm_buf_clear(&a);
        rm_buf_clear(&b);
        append_value(option, before, &a);
        append_value(option, after, &b);
        if (a.status != RM_OK || b.status != RM_OK) {
            out->status = out->status ? out->status : a.status ? a.status : b.status;
            break;
        }
        if (!rm_slice_eq(rm_buf_slice(&a), rm_buf_slice(&b)))
            rm_buf_appendf(out, "%s%s", out->len ? ", " : "", option->path);
    }
    rm_buf_deinit(&a);
    rm_buf_deinit(&b);
    return out->status;
}
