/* The YAML document, walked by the table of options. Only names of the table are followed, so the walk is as deep as
 * the table, and an alias that names its own parent, or a bomb of aliases, costs nothing. */
#include <stdio.h>
#include <yaml.h>

#include "config_internal.h"

static void read_mapping(rm_config_reader *reader, yaml_document_t *doc, const yaml_node_t *node, const char *section,
                         void *base);

static unsigned line_of(const yaml_node_t *node)
{
    return (unsigned)node->start_mark.line + 1;
}

static rm_slice text_of(const yaml_node_t *node)
{
    return rm_slice_make((const char *)node->data.scalar.value, node->data.scalar.length);
}

/* An empty value, ~ or null: as if the key had been left out. */
static bool is_null(const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    rm_slice text = text_of(node);
    return text.len == 0 || rm_slice_eq(text, RM_SLICE("~")) || rm_slice_eq_nocase(text, RM_SLICE("null"));
}

static const char *type_name(const yaml_node_t *node)
{
    switch (node->type) {
    case YAML_MAPPING_NODE:
        return "a mapping";
    case YAML_SEQUENCE_NODE:
        return "a list";
    default:
        return "one value";
    }
}

/* ---- unknown keys ------------------------------------------------------------------------------------------------ */

/* Letters to change, add, drop or swap with a neighbour to make one word of the other (Damerau 1964). */
static unsigned edit_distance(rm_slice a, rm_slice b)
{
    unsigned rows[3][RM_CONFIG_PATH_BYTES_MAX];
    unsigned *two_before = rows[0], *before = rows[1], *now = rows[2];

    for (size_t j = 0; j <= b.len; j++)
        before[j] = (unsigned)j;
    for (size_t i = 1; i <= a.len; i++) {
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= b.len; j++) {
            unsigned best = before[j - 1] + (a.ptr[i - 1] != b.ptr[j - 1]);
            best = best < before[j] + 1 ? best : before[j] + 1;
            best = best < now[j - 1] + 1 ? best : now[j - 1] + 1;
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1] &&
                two_before[j - 2] + 1 < best)
                best = two_before[j - 2] + 1;
            now[j] = best;
        }
        unsigned *spare = two_before;
        two_before = before;
        before = now;
        now = spare;
    }
    return before[b.len];
}

/* The option elsewhere in the table whose last name is `key`. */
static const char *find_elsewhere(rm_slice key)
{
    for (size_t i = 0; i < rm_config__option_count; i++) {
        const char *path = rm_config__options[i].path, *dot = strrchr(path, '.');
        if (dot && rm_slice_eq(key, rm_slice_cstr(dot + 1)))
            return path;
    }
    return NULL;
}

/* section: as read_mapping's. */
static void mistake_in_section(rm_config_reader *reader, const yaml_node_t *node, const char *section, const char *what)
{
    char path[RM_CONFIG_PATH_BYTES_MAX];

    (void)snprintf(path, sizeof(path), "%.*s", (int)(*section ? strlen(section) - 1 : 0), section);
    rm_config__mistake(reader, line_of(node), *section ? path : "(file)", "%s", what);
}

static void report_unknown(rm_config_reader *reader, const yaml_node_t *key, const char *section)
{
    rm_slice text = text_of(key), name, nearest = RM_SLICE_NONE;
    char path[RM_CONFIG_PATH_BYTES_MAX], list[512] = "";
    unsigned nearest_distance = UINT32_MAX;
    size_t cursor = 0, len = 0;

    if (reader->errors->count >= RM_CONFIG_ERRORS_MAX || text.len > 40) {
        mistake_in_section(reader, key, section, "unknown key; remove it");
        return;
    }
    if (text.len == 0) {
        mistake_in_section(reader, key, section, "a key is empty; write a word");
        return;
    }
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] <= 0x20 || text.ptr[i] == 0x7f)
            key->data.scalar.value[i] = '?';
    (void)snprintf(path, sizeof(path), "%s%.*s", section, (int)text.len, text.ptr);
    while (rm_config__section_next(section, &cursor, &name)) {
        unsigned distance = edit_distance(text, name);
        if (distance < nearest_distance) {
            nearest_distance = distance;
            nearest = name;
        }
        if (len < sizeof(list))
            len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%.*s", len ? ", " : "", (int)name.len, name.ptr);
    }
    const char *elsewhere = find_elsewhere(text);
    if (memchr(text.ptr, '.', text.len))
        rm_config__mistake(reader, line_of(key), path,
                           "unknown key; write what stands before a dot as a mapping of its own");
    else if (nearest_distance <= 1 + text.len / 4)
        rm_config__mistake(reader, line_of(key), path, "unknown key; did you mean \"%.*s\"?", (int)nearest.len,
                           nearest.ptr);
    else if (elsewhere)
        rm_config__mistake(reader, line_of(key), path, "unknown key; did you mean %s?", elsewhere);
    else
        rm_config__mistake(reader, line_of(key), path, "unknown key; known here: %s", list);
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static void expect(rm_config_reader *reader, const yaml_node_t *node, const char *path, const char *wanted)
{
    rm_config__mistake(reader, line_of(node), path, "is %s; write %s", type_name(node), wanted);
}

static void read_flags(rm_config_reader *reader, yaml_document_t *doc, const yaml_node_t *node,
                       const rm_config_option *option, void *base)
{
    if (node->type != YAML_SEQUENCE_NODE) {
        char wanted[64];
        (void)snprintf(wanted, sizeof(wanted), "a list such as [%s]", option->words[0].word);
        expect(reader, node, option->path, wanted);
        return;
    }
    for (yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++) {
        const yaml_node_t *word = yaml_document_get_node(doc, *item);
        if (word->type != YAML_SCALAR_NODE)
            expect(reader, word, option->path, "one word");
        else if (rm_config__expand(reader, line_of(word), option->path, text_of(word)))
            (void)rm_config__set_flag(reader, option, base, rm_buf_slice(&reader->value), line_of(word));
    }
}

static void read_option(rm_config_reader *reader, yaml_document_t *doc, const yaml_node_t *node,
                        const rm_config_option *option, void *base)
{
    if (option->kind == RM_KIND_FLAGS) {
        read_flags(reader, doc, node, option, base);
    } else if (node->type != YAML_SCALAR_NODE) {
        expect(reader, node, option->path, "one value");
    } else if (rm_config__expand(reader, line_of(node), option->path, text_of(node))) {
        (void)rm_config__set(reader, option, base, rm_buf_slice(&reader->value), line_of(node));
    }
}

/* The value node of a mapping's key, or NULL. */
static const yaml_node_t *member(yaml_document_t *doc, const yaml_node_t *node, const char *name)
{
    if (node->type != YAML_MAPPING_NODE)
        return NULL;
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(doc, pair->key);
        if (key->type == YAML_SCALAR_NODE && rm_slice_eq(text_of(key), rm_slice_cstr(name)))
            return yaml_document_get_node(doc, pair->value);
    }
    return NULL;
}

static unsigned member_line(yaml_document_t *doc, const yaml_node_t *node, const char *name)
{
    const yaml_node_t *value = member(doc, node, name);

    return line_of(value ? value : node);
}

/* ---- lists ------------------------------------------------------------------------------------------------------- */

static void read_upstream(rm_config_reader *reader, yaml_document_t *doc, const yaml_node_t *node)
{
    rm_config_upstream *upstream = &reader->upstreams[reader->index];

    if (!rm_config__set_defaults(reader, "upstreams[].", upstream))
        return;
    reader->upstream_lines[reader->index] = member_line(doc, node, "name");
    upstream->url_line = member_line(doc, node, "base_url");
    read_mapping(reader, doc, node, "upstreams[].", upstream);
    rm_config__finish_upstream(reader, reader->index);
}

static void read_model(rm_config_reader *reader, yaml_document_t *doc, const yaml_node_t *node)
{
    rm_config_model_draft *draft = &reader->drafts[reader->index];
    const yaml_node_t *price = member(doc, node, "price"), *flags = member(doc, node, "capabilities");

    draft->index = reader->index;
    draft->line = line_of(node);
    draft->name_line = member_line(doc, node, "name");
    draft->upstream_line = member_line(doc, node, "upstream");
    draft->model.price_input = draft->model.price_cached_input = draft->model.price_output = -1;
    draft->model.context_tokens = -1;
    draft->model.capabilities_given = flags && !is_null(flags);
    read_mapping(reader, doc, node, "models[].", draft);
    if (price && price->type == YAML_MAPPING_NODE && !member(doc, price, "input"))
        rm_config__mistake(reader, line_of(price), "models[].price.input", "is missing; add it, or leave price out");
    draft->model.priced = draft->model.price_input >= 0;
    if (draft->model.priced && draft->model.price_output < 0)
        draft->model.price_output = 0;
}

static void read_namespace(rm_config_reader *reader, yaml_document_t *doc, const yaml_node_t *node)
{
    rm_config_namespace *space = &reader->namespaces[reader->index];
    const yaml_node_t *match = member(doc, node, "match");
    bool matches = match && match->type == YAML_MAPPING_NODE;

    space->semantic = RM_CONFIG__OPEN_MODE;
    space->max_error = RM_CONFIG__OPEN_SHARE;
    space->ttl_ms = space->semantic_ttl_ms = RM_CONFIG__OPEN_MS;
    space->line = member_line(doc, node, "name");
    space->path_line = matches ? member_line(doc, match, "path") : 0;
    read_mapping(reader, doc, node, "cache.namespaces[].", space);
    if (matches && !member(doc, match, "path") && !member(doc, match, "model"))
        rm_config__mistake(reader, line_of(match), "cache.namespaces[].match",
                           "names neither path nor model; add one, or leave match out");
}

static const struct list {
    const char *path;
    size_t max, item_bytes;
    size_t items, count; /* offsets of where they go, in the reader and in the configuration */
    bool may_be_empty;
    void (*read)(rm_config_reader *reader, yaml_document_t *doc, const yaml_node_t *node);
} lists[] = {
    {"upstreams", RM_UPSTREAMS_MAX, sizeof(rm_config_upstream), offsetof(rm_config_reader, upstreams),
     offsetof(rm_config, upstream_count), false, read_upstream},
    {"models", RM_MODELS_MAX, sizeof(rm_config_model_draft), offsetof(rm_config_reader, drafts),
     offsetof(rm_config, model_count), true, read_model},
    {"cache.namespaces", RM_CONFIG_NAMESPACES_MAX, sizeof(rm_config_namespace), offsetof(rm_config_reader, namespaces),
     offsetof(rm_config, cache.namespace_count), true, read_namespace},
};

static const struct list *find_list(const char *path)
{
    size_t i = 0;

    while (strcmp(lists[i].path, path) != 0) /* the table of options has no others */
        RM_CHECK(++i < RM_COUNT(lists));
    return &lists[i];
}

static void read_list(rm_config_reader *reader, yaml_document_t *doc, const yaml_node_t *node, const struct list *list)
{
    size_t count;
    void *items;

    if (node->type != YAML_SEQUENCE_NODE) {
        expect(reader, node, list->path, "a list, each item begun with \"- \"");
        return;
    }
    count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    if (count == 0 && !list->may_be_empty)
        rm_config__mistake(reader, line_of(node), list->path,
                           "is empty; add one with name and base_url, or leave %s out for the default", list->path);
    if (count > list->max) {
        rm_config__mistake(reader, line_of(node), list->path, "has %zu items; at most %zu are allowed", count,
                           list->max);
        count = list->max;
    }
    items = rm_arena_calloc(&reader->config->arena, (count + 1) * list->item_bytes);
    if (!items) {
        reader->fatal = RM_ENOMEM;
        return;
    }
    memcpy((char *)reader + list->items, &items, sizeof(items));
    memcpy((char *)reader->config + list->count, &count, sizeof(count));
    for (size_t i = 0; i < count && reader->fatal == RM_OK; i++) {
        reader->index = i;
        list->read(reader, doc, yaml_document_get_node(doc, node->data.sequence.items.start[i]));
    }
}

/* ---- mappings ---------------------------------------------------------------------------------------------------- */

enum { SEEN = 1, SEEN_WITH_VALUE = 2 };

static void read_pair(rm_config_reader *reader, yaml_document_t *doc, const yaml_node_t *key, const yaml_node_t *value,
                      const char *section, void *base, unsigned char *seen)
{
    char path[RM_CONFIG_PATH_BYTES_MAX], below[RM_CONFIG_PATH_BYTES_MAX + 4];
    rm_slice name = text_of(key);

    if (name.len == 0 || name.len > 40 || memchr(name.ptr, '.', name.len) || memchr(name.ptr, '[', name.len)) {
        report_unknown(reader, key, section);
        return;
    }
    (void)snprintf(path, sizeof(path), "%s%.*s", section, (int)name.len, name.ptr);
    const rm_config_option *option = rm_config__option_find(path);
    (void)snprintf(below, sizeof(below), "%s[].", path);
    int list = rm_config__section_find(below);
    if (list < 0)
        (void)snprintf(below, sizeof(below), "%s.", path);
    int row = option ? (int)(option - rm_config__options) : list >= 0 ? list : rm_config__section_find(below);
    if (row < 0) {
        report_unknown(reader, key, section);
        return;
    }
    if (seen[row]) {
        rm_config__mistake(reader, line_of(key), path, "is given twice; keep one");
        return;
    }
    seen[row] = is_null(value) ? SEEN : SEEN_WITH_VALUE;
    if (is_null(value))
        return;
    if (option) {
        if (base == reader->config)
            reader->option_lines[row] = line_of(key);
        read_option(reader, doc, value, option, base);
    } else if (list >= 0) {
        read_list(reader, doc, value, find_list(path));
    } else {
        read_mapping(reader, doc, value, below, base);
    }
}

static void check_required(rm_config_reader *reader, const yaml_node_t *node, const char *section,
                           const unsigned char *seen)
{
    size_t len = strlen(section);

    for (size_t i = 0; i < rm_config__option_count; i++) {
        const rm_config_option *option = &rm_config__options[i];
        if ((option->flags & RM_OPTION_REQUIRED) && seen[i] != SEEN_WITH_VALUE &&
            strncmp(option->path, section, len) == 0 && len > 0 && !strpbrk(option->path + len, ".["))
            rm_config__mistake(reader, line_of(node), option->path, "is missing; add %s: %s", option->path + len,
                               option->kind == RM_KIND_URL ? "https://host/v1" : "NAME");
    }
}

/* section: "" or a prefix of the table's paths that ends with a dot. */
static void read_mapping(rm_config_reader *reader, yaml_document_t *doc, const yaml_node_t *node, const char *section,
                         void *base)
{
    unsigned char seen[RM_CONFIG_OPTIONS_MAX] = {0};

    if (node->type != YAML_MAPPING_NODE) {
        mistake_in_section(reader, node, section,
                           node->type == YAML_SEQUENCE_NODE ? "is a list; write a mapping of keys and values"
                                                            : "is one value; write a mapping of keys and values");
        return;
    }
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top && reader->fatal == RM_OK; pair++) {
        const yaml_node_t *key = yaml_document_get_node(doc, pair->key);
        if (key->type != YAML_SCALAR_NODE)
            mistake_in_section(reader, key, section, "a key is a mapping or list; write a word");
        else
            read_pair(reader, doc, key, yaml_document_get_node(doc, pair->value), section, base, seen);
    }
    check_required(reader, node, section, seen);
}

/* ---- documents --------------------------------------------------------------------------------------------------- */

/* Where a parser stopped: a reader's error (not UTF-8) comes with an offset only. */
static unsigned fault_line(const yaml_parser_t *parser, rm_slice text)
{
    unsigned line = 1;

    if (parser->error != YAML_READER_ERROR)
        return (unsigned)parser->problem_mark.line + 1;
    for (size_t i = 0; i < parser->problem_offset && i < text.len; i++)
        line += text.ptr[i] == '\n';
    return line;
}

static rm_status report_syntax(rm_config_reader *reader, const yaml_parser_t *parser, rm_slice text)
{
    if (parser->error == YAML_MEMORY_ERROR)
        return RM_ENOMEM;
    rm_config__mistake(reader, fault_line(parser, text), "(file)", "is not YAML: %s%s%s; mend it near here",
                       parser->problem ? parser->problem : "unreadable", parser->context ? " " : "",
                       parser->context ? parser->context : "");
    return RM_EINVAL;
}

/* The only document was read; another is more than Remora would look at. */
static rm_status refuse_second(rm_config_reader *reader, yaml_parser_t *parser, rm_slice text)
{
    yaml_document_t doc;
    const yaml_node_t *root;

    if (!yaml_parser_load(parser, &doc))
        return report_syntax(reader, parser, text);
    root = yaml_document_get_root_node(&doc);
    if (root)
        rm_config__mistake(reader, line_of(root), "(file)", "a second document begins here; keep one");
    yaml_document_delete(&doc);
    return RM_OK;
}

rm_status rm_config__read(rm_config_reader *reader, rm_slice text)
{
    yaml_parser_t parser;
    yaml_document_t doc;
    const yaml_node_t *root;
    rm_status status = RM_OK;

    if (!yaml_parser_initialize(&parser))
        return RM_ENOMEM;
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.ptr ? text.ptr : ""), text.len);
    if (!yaml_parser_load(&parser, &doc)) {
        status = report_syntax(reader, &parser, text);
        goto out;
    }
    root = yaml_document_get_root_node(&doc);
    if (root && !is_null(root))
        read_mapping(reader, &doc, root, "", reader->config);
    yaml_document_delete(&doc);
    if (root && reader->fatal == RM_OK)
        status = refuse_second(reader, &parser, text);
out:
    yaml_parser_delete(&parser);
    return status;
}
