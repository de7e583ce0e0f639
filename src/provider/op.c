/* Which operation a request is, by its exact path: "/v1/chat/completions/" is not one that any provider answers as a
 * chat, so it goes through untouched. */
#include "provider_internal.h"

static const struct {
    rm_slice path;
    rm_method method;
    rm_op op;
} paths[] = {
    {RM_SLICE("/v1/chat/completions"), RM_METHOD_POST, RM_OP_CHAT},
    {RM_SLICE("/v1/completions"), RM_METHOD_POST, RM_OP_COMPLETIONS},
    {RM_SLICE("/v1/embeddings"), RM_METHOD_POST, RM_OP_EMBEDDINGS},
    {RM_SLICE("/v1/responses"), RM_METHOD_POST, RM_OP_RESPONSES},
    {RM_SLICE("/v1/messages"), RM_METHOD_POST, RM_OP_MESSAGES},
    {RM_SLICE("/v1/models"), RM_METHOD_GET, RM_OP_MODELS},
};

static const struct {
    const char *name;
    const char *gen_ai;
} names[RM_OP_COUNT] = {
    [RM_OP_OTHER] = {"other", "other"},
    [RM_OP_CHAT] = {"chat", "chat"},
    [RM_OP_COMPLETIONS] = {"completions", "text_completion"},
    [RM_OP_EMBEDDINGS] = {"embeddings", "embeddings"},
    [RM_OP_RESPONSES] = {"responses", "chat"},
    [RM_OP_MESSAGES] = {"messages", "chat"},
    [RM_OP_MODELS] = {"models", "models"},
};

rm_op rm_provider_op(rm_method method, rm_slice path)
{
    for (size_t i = 0; i < RM_COUNT(paths); i++)
        if (paths[i].method == method && rm_slice_eq(path, paths[i].path))
            return paths[i].op;
    return RM_OP_OTHER;
}

rm_dialect rm_provider_dialect(rm_op op, rm_slice path)
{
    rm_slice root = RM_SLICE("/v1/messages");
    if (op == RM_OP_MESSAGES)
        return RM_DIALECT_ANTHROPIC;
    if (op != RM_OP_OTHER || !rm_slice_has_prefix(path, root))
        return RM_DIALECT_OPENAI;
    return path.len == root.len || path.ptr[root.len] == '/' ? RM_DIALECT_ANTHROPIC : RM_DIALECT_OPENAI;
}

static size_t row(rm_op op)
{
    return (unsigned)op < RM_OP_COUNT ? (size_t)op : RM_OP_OTHER;
}

const char *rm_op_name(rm_op op)
{
    return names[row(op)].name;
}

const char *rm_op_gen_ai_name(rm_op op)
{
    return names[row(op)].gen_ai;
}
