/* Fragments that add up to one JSON value, as the deltas of a stream do.
 *
 * A node is a value that grows. Its strings are ropes of slices into the parsed fragments, so that a long answer is
 * never copied until it is written; its members and entries are short lists. Bounds keep a hostile stream from making
 * the lists long. */
#include "provider_internal.h"

#define MEMBERS_MAX 256
#define ENTRIES_MAX 1024
#define DEPTH_MAX   16

struct rm_provider__piece {
    rm_slice text;
    struct rm_provider__piece *next;
};

/* Strings that name something are said whole each time they are said: the last one stands. */
static const rm_slice identities[] = {RM_SLICE("role"),   RM_SLICE("type"),   RM_SLICE("id"),     RM_SLICE("format"),
                                      RM_SLICE("object"), RM_SLICE("status"), RM_SLICE("call_id")};

/* Arrays whose fragments are appended to one another; other arrays without indexes are replaced. */
static const rm_slice appended[] = {RM_SLICE("annotations"),  RM_SLICE("images"),      RM_SLICE("content"),
                                    RM_SLICE("refusal"),      RM_SLICE("tokens"),      RM_SLICE("token_logprobs"),
                                    RM_SLICE("top_logprobs"), RM_SLICE("text_offset"), RM_SLICE("bytes")};

static bool listed(rm_slice key, const rm_slice *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (rm_slice_eq(key, names[i]))
            return true;
    return false;
}

static void reset(rm_provider__node *node)
{
    node->kind = RM_NODE_ABSENT;
    node->count = 0;
    node->value = NULL;
    node->head = node->tail = NULL;
    node->pieces = node->pieces_tail = NULL;
}

/* Sets `kind` where nothing, null or something else stood. */
static void become(rm_provider__node *node, int kind)
{
    if ((int)node->kind == kind)
        return;
    reset(node);
    node->kind = kind;
}

static void link_child(rm_provider__node *node, rm_provider__node *after, rm_provider__node *child)
{
    child->next = after ? after->next : node->head;
    *(after ? &after->next : &node->head) = child;
    if (!child->next)
        node->tail = child;
    node->count++;
}

rm_provider__node *rm_provider__node_find(const rm_provider__node *node, const char *key)
{
    if (!node || node->kind != RM_NODE_OBJECT)
        return NULL;
    for (rm_provider__node *child = node->head; child; child = child->next)
        if (rm_provider__is(child->key, key))
            return child;
    return NULL;
}

rm_status rm_provider__node_member(rm_arena *arena, rm_provider__node *node, rm_slice key,
                                   rm_provider__node **ret_member)
{
    become(node, RM_NODE_OBJECT);
    for (rm_provider__node *child = node->head; child; child = child->next)
        if (rm_slice_eq(child->key, key)) {
            *ret_member = child;
            return RM_OK;
        }
    if (node->count >= MEMBERS_MAX)
        return RM_EPARSE;
    rm_provider__node *child = rm_arena_calloc(arena, sizeof(*child));
    if (!child)
        return RM_ENOMEM;
    child->key = key;
    link_child(node, node->tail, child);
    *ret_member = child;
    return RM_OK;
}

rm_status rm_provider__node_entry(rm_arena *arena, rm_provider__node *list, int64_t index,
                                  rm_provider__node **ret_entry)
{
    rm_provider__node *after = NULL;
    become(list, RM_NODE_LIST);
    if (list->tail && list->tail->index < index)
        after = list->tail;
    else
        for (rm_provider__node *child = list->head; child && child->index <= index; child = child->next) {
            if (child->index == index) {
                *ret_entry = child;
                return RM_OK;
            }
            after = child;
        }
    if (index < 0 || index >= ENTRIES_MAX)
        return RM_EPARSE;
    rm_provider__node *child = rm_arena_calloc(arena, sizeof(*child));
    if (!child)
        return RM_ENOMEM;
    child->index = index;
    link_child(list, after, child);
    *ret_entry = child;
    return RM_OK;
}

void rm_provider__node_set(rm_provider__node *node, const rm_json *value)
{
    if (!rm_provider__given(value) && node->kind != RM_NODE_ABSENT)
        return;
    reset(node);
    node->kind = RM_NODE_VALUE;
    node->value = value;
}

rm_status rm_provider__node_join(rm_arena *arena, rm_provider__node *node, rm_slice text)
{
    become(node, RM_NODE_TEXT);
    if (text.len == 0)
        return RM_OK;
    struct rm_provider__piece *piece = rm_arena_alloc(arena, sizeof(*piece));
    if (!piece)
        return RM_ENOMEM;
    *piece = (struct rm_provider__piece){text, NULL};
    *(node->pieces_tail ? &node->pieces_tail->next : &node->pieces) = piece;
    node->pieces_tail = piece;
    return RM_OK;
}

rm_status rm_provider__node_append(rm_arena *arena, rm_provider__node *list, const rm_json *value)
{
    become(list, RM_NODE_LIST);
    rm_provider__node *child = rm_arena_calloc(arena, sizeof(*child));
    if (!child)
        return RM_ENOMEM;
    child->kind = RM_NODE_VALUE;
    child->value = value;
    child->index = INT64_MAX;
    link_child(list, list->tail, child);
    return RM_OK;
}

bool rm_provider__node_given(const rm_provider__node *node)
{
    if (!node || node->kind == RM_NODE_ABSENT)
        return false;
    return node->kind != RM_NODE_VALUE || rm_provider__given(node->value);
}

static rm_status merge(rm_arena *arena, rm_provider__node *node, const rm_json *value, unsigned depth);

static bool text_is(const rm_provider__node *node, rm_slice text)
{
    return node->pieces && !node->pieces->next && rm_slice_eq(node->pieces->text, text);
}

static rm_status merge_string(rm_arena *arena, rm_provider__node *node, rm_slice text)
{
    if (node->kind == RM_NODE_TEXT && listed(node->key, identities, RM_COUNT(identities))) {
        if (text.len == 0)
            return RM_OK;
        reset(node);
    }
    /* A function's name may come in pieces, or whole with every fragment. */
    if (node->kind == RM_NODE_TEXT && rm_provider__is(node->key, "name") && text_is(node, text))
        return RM_OK;
    return rm_provider__node_join(arena, node, text);
}

static rm_status merge_object(rm_arena *arena, rm_provider__node *node, const rm_json *value, bool with_index,
                              unsigned depth)
{
    become(node, RM_NODE_OBJECT);
    for (rm_json_iter it = rm_json_iterate(value); rm_json_iter_next(&it);) {
        if (!with_index && rm_provider__is(it.key, "index"))
            continue;
        rm_provider__node *member;
        rm_status status = rm_provider__node_member(arena, node, it.key, &member);
        if (status == RM_OK)
            status = merge(arena, member, it.value, depth + 1);
        if (status != RM_OK)
            return status;
    }
    return RM_OK;
}

/* Some providers leave the index of a tool call out: a new id begins a new call. */
static int64_t entry_index(const rm_provider__node *list, const rm_json *entry)
{
    const rm_provider__node *last = list->kind == RM_NODE_LIST ? list->tail : NULL;
    int64_t index = rm_json_i64(rm_json_get(entry, "index"), -1);
    if (index >= 0)
        return index;
    if (!last)
        return 0;
    rm_slice id = rm_json_string(rm_json_get(entry, "id"));
    const rm_provider__node *known = rm_provider__node_find(last, "id");
    bool same = id.len == 0 || (known && known->kind == RM_NODE_TEXT && text_is(known, id));
    return same ? last->index : last->index + 1;
}

static rm_status merge_indexed(rm_arena *arena, rm_provider__node *node, const rm_json *value, unsigned depth)
{
    bool calls = rm_provider__is(node->key, "tool_calls");
    for (rm_json_iter it = rm_json_iterate(value); rm_json_iter_next(&it);) {
        rm_provider__node *entry;
        rm_status status = rm_provider__node_entry(arena, node, entry_index(node, it.value), &entry);
        if (status == RM_OK)
            status = merge_object(arena, entry, it.value, !calls, depth + 1);
        if (status != RM_OK)
            return status;
    }
    return RM_OK;
}

static bool has_indexes(rm_slice key, const rm_json *array)
{
    bool calls = rm_provider__is(key, "tool_calls");
    for (rm_json_iter it = rm_json_iterate(array); rm_json_iter_next(&it);) {
        if (rm_json_typeof(it.value) != RM_JSON_OBJECT)
            return false;
        if (!calls && rm_json_i64(rm_json_get(it.value, "index"), -1) < 0)
            return false;
    }
    return true;
}

static rm_status merge_array(rm_arena *arena, rm_provider__node *node, const rm_json *value, unsigned depth)
{
    if (listed(node->key, appended, RM_COUNT(appended))) {
        become(node, RM_NODE_LIST);
        rm_status status = RM_OK;
        for (rm_json_iter it = rm_json_iterate(value); status == RM_OK && rm_json_iter_next(&it);)
            status = rm_provider__node_append(arena, node, it.value);
        return status;
    }
    if (has_indexes(node->key, value)) {
        become(node, RM_NODE_LIST);
        return merge_indexed(arena, node, value, depth);
    }
    rm_provider__node_set(node, value);
    return RM_OK;
}

static rm_status merge(rm_arena *arena, rm_provider__node *node, const rm_json *value, unsigned depth)
{
    if (depth > DEPTH_MAX)
        return RM_EPARSE;
    switch (rm_json_typeof(value)) {
    case RM_JSON_STRING:
        return merge_string(arena, node, rm_json_string(value));
    case RM_JSON_OBJECT:
        return merge_object(arena, node, value, true, depth);
    case RM_JSON_ARRAY:
        return merge_array(arena, node, value, depth);
    default:
        rm_provider__node_set(node, value);
        return RM_OK;
    }
}

rm_status rm_provider__merge(rm_arena *arena, rm_provider__node *node, const rm_json *value)
{
    return merge(arena, node, value, 0);
}

rm_status rm_provider__node_text(const rm_provider__node *node, rm_buf *out)
{
    for (const struct rm_provider__piece *piece = node->pieces; piece; piece = piece->next)
        rm_buf_append_slice(out, piece->text);
    return out->status;
}

static void write_children(const rm_provider__node *node, bool object, rm_buf *out)
{
    rm_buf_append_char(out, object ? '{' : '[');
    for (const rm_provider__node *child = node->head; child; child = child->next) {
        if (child != node->head)
            rm_buf_append_char(out, ',');
        if (object) {
            rm_provider__put_string(child->key, out);
            rm_buf_append_char(out, ':');
        }
        rm_provider__node_write(child, out);
    }
    rm_buf_append_char(out, object ? '}' : ']');
}

rm_status rm_provider__node_write(const rm_provider__node *node, rm_buf *out)
{
    switch (node->kind) {
    case RM_NODE_ABSENT:
    case RM_NODE_VALUE:
        return rm_provider__put_value(node->value, out);
    case RM_NODE_TEXT:
        rm_buf_append_char(out, '"');
        for (const struct rm_provider__piece *piece = node->pieces; piece; piece = piece->next)
            rm_buf_append_json_escaped(out, piece->text);
        rm_buf_append_char(out, '"');
        break;
    case RM_NODE_OBJECT:
    case RM_NODE_LIST:
        write_children(node, node->kind == RM_NODE_OBJECT, out);
        break;
    }
    return out->status;
}
