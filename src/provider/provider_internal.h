/* What the files of provider share. */
#ifndef REMORA_PROVIDER_INTERNAL_H
#define REMORA_PROVIDER_INTERNAL_H

#include "remora/provider.h"

static inline bool rm_provider__is(rm_slice text, const char *name)
{
    return rm_slice_eq(text, rm_slice_cstr(name));
}

/* Absent and null are one to the providers. */
static inline bool rm_provider__given(const rm_json *value)
{
    return rm_json_typeof(value) > RM_JSON_NULL;
}

/* ---- scan.c: the members of an object's text, without a parse ---------------------------------------------------- */

/* Walks the top-level members; what nests deeper is only stepped over, so malformed insides go unseen. */
typedef struct rm_provider__scan {
    const char *next, *end;
    bool escaped_key; /* some key is spelt with escapes: compare names after a parse only */
} rm_provider__scan;

bool rm_provider__scan_begin(rm_provider__scan *scan, rm_slice text); /* false: not an object */
/* 1: a member (key without its quotes), 0: the end, -1: malformed. */
int rm_provider__scan_next(rm_provider__scan *scan, rm_slice *ret_key, rm_slice *ret_value);
/* The text of the JSON string `value`, decoded, in the arena; {NULL,0} if it is none or there is no memory. */
rm_slice rm_provider__scan_string(rm_slice value, rm_arena *arena);

/* ---- sse.c: events out of a stored text, edited events back into text -------------------------------------------- */

typedef rm_status (*rm_provider__event_fn)(void *user, const rm_sse_event *event);
/* Each event of a whole stream, until one fails. RM_EPARSE: an event over the limit, or an unfinished one at the end.
 */
rm_status rm_provider__each_event(rm_slice events, rm_provider__event_fn on_event, void *user) RM_WARN_UNUSED;
/* Appends the event's raw text with its data replaced; all its other lines keep their bytes. */
rm_status rm_provider__put_event(const rm_sse_event *event, rm_slice data, rm_buf *out);
/* What the event is: its `event:` line, else the `type` of its data (undecoded). */
rm_slice rm_provider__event_type(const rm_sse_event *event);

/* ---- merge.c: fragments of JSON that add up to one value --------------------------------------------------------- */

/* A value that grows; strings are ropes over the parsed fragments, which stay in the arena. A zeroed one is absent. */
typedef struct rm_provider__node rm_provider__node;
struct rm_provider__node {
    enum { RM_NODE_ABSENT = 0, RM_NODE_VALUE, RM_NODE_TEXT, RM_NODE_OBJECT, RM_NODE_LIST } kind;
    rm_slice key;            /* as a member */
    int64_t index;           /* as an entry of a list by index */
    size_t count;            /* children */
    const rm_json *value;    /* RM_NODE_VALUE */
    rm_provider__node *next; /* sibling */
    rm_provider__node *head, *tail;
    struct rm_provider__piece *pieces, *pieces_tail; /* RM_NODE_TEXT */
};

/* Adds a fragment: strings are joined, objects merged by member, arrays by their entries' `index` or appended (table
 * in merge.c), all else replaced; null changes nothing that is there. RM_EPARSE: over the bounds. RM_ENOMEM. */
rm_status rm_provider__merge(rm_arena *arena, rm_provider__node *node, const rm_json *value) RM_WARN_UNUSED;
/* The member, made if need be; `node` becomes an object. RM_EPARSE: too many. RM_ENOMEM. */
rm_status rm_provider__node_member(rm_arena *arena, rm_provider__node *node, rm_slice key,
                                   rm_provider__node **ret_member) RM_WARN_UNUSED;
rm_provider__node *rm_provider__node_find(const rm_provider__node *node, const char *key); /* NULL: none */
/* The entry of that index, in order of indexes, made if need be. RM_EPARSE: an index out of bounds. RM_ENOMEM. */
rm_status rm_provider__node_entry(rm_arena *arena, rm_provider__node *list, int64_t index,
                                  rm_provider__node **ret_entry) RM_WARN_UNUSED;
/* Replaced by `value`, unless that is null and something stands there. */
void rm_provider__node_set(rm_provider__node *node, const rm_json *value);
rm_status rm_provider__node_join(rm_arena *arena, rm_provider__node *node, rm_slice text) RM_WARN_UNUSED;
rm_status rm_provider__node_append(rm_arena *arena, rm_provider__node *list, const rm_json *value) RM_WARN_UNUSED;
bool rm_provider__node_given(const rm_provider__node *node);                  /* there and not null */
rm_status rm_provider__node_text(const rm_provider__node *node, rm_buf *out); /* a string's characters, no quotes */
rm_status rm_provider__node_write(const rm_provider__node *node, rm_buf *out);

/* ---- write.c: JSON text ------------------------------------------------------------------------------------------ */

/* Minified; numbers keep their spelling. A failure sticks in the buffer: RM_EPARSE deeper than RM_JSON_DEPTH_MAX. */
rm_status rm_provider__put_value(const rm_json *value, rm_buf *out);
void rm_provider__put_string(rm_slice text, rm_buf *out);
/* `"key":`, with a comma before it unless it opens the object. */
void rm_provider__put_key(rm_slice key, rm_buf *out);
void rm_provider__put_member(rm_slice key, const rm_json *value, rm_buf *out);
void rm_provider__put_member_string(rm_slice key, rm_slice text, rm_buf *out);
void rm_provider__put_member_i64(rm_slice key, int64_t number, rm_buf *out);

/* ---- usage.c: what answers say of themselves --------------------------------------------------------------------- */

void rm_provider__take_usage(rm_dialect dialect, const rm_json *usage, rm_answer *answer);
rm_finish rm_provider__finish_of(rm_slice reason);
void rm_provider__take_finish(rm_finish finish, rm_answer *answer); /* the worse of the two stays */
/* A Responses object: usage, model, id, tier, status. */
void rm_provider__take_response(const rm_json *response, rm_arena *arena, rm_answer *answer);
/* Copied into the arena where the answer has none yet and the text is not empty. */
void rm_provider__take_text(rm_slice text, rm_arena *arena, rm_slice *field);

/* ---- one form out of the other ----------------------------------------------------------------------------------- */

typedef struct rm_provider__form {
    size_t state_bytes; /* zeroed before the first event */
    rm_status (*take)(void *state, rm_arena *arena, const rm_sse_event *event);
    rm_status (*finish)(void *state, rm_arena *arena, rm_buf *out);
    rm_status (*to_events)(const rm_json *body, bool include_usage, rm_buf *out);
} rm_provider__form;

extern const rm_provider__form rm_provider__form_chat;        /* chunks.c */
extern const rm_provider__form rm_provider__form_completions; /* chunks.c */
extern const rm_provider__form rm_provider__form_responses;   /* responses.c */
extern const rm_provider__form rm_provider__form_messages;    /* messages.c */

/* ---- prices.c, prices_builtin.c ---------------------------------------------------------------------------------- */

typedef enum rm_provider__price_kind {
    RM_PRICE_INPUT = 0,
    RM_PRICE_CACHED_INPUT,
    RM_PRICE_CACHE_WRITE,
    RM_PRICE_OUTPUT,
    RM_PRICE_KINDS
} rm_provider__price_kind;

/* Those that LiteLLM's map knows prices of. */
typedef enum rm_provider__price_tier {
    RM_TIER_STANDARD = 0,
    RM_TIER_FLEX,
    RM_TIER_BALANCED,
    RM_TIER_PRIORITY,
    RM_TIER_ULTRAFAST
} rm_provider__price_tier;

/* What the prices are instead, for the whole request, at a service tier or above a length of the prompt or both. */
typedef struct rm_provider__price_rule {
    int64_t above_tokens;         /* holds for longer prompts than this; -1: for all */
    rm_provider__price_tier tier; /* standard: for all */
    double usd[RM_PRICE_KINDS];   /* negative: says nothing */
} rm_provider__price_rule;

typedef struct rm_provider__price_entry {
    rm_slice name;
    rm_price price;
} rm_provider__price_entry;

struct rm_prices {
    const rm_provider__price_entry *entries; /* sorted by name (bytes) */
    size_t count;
    rm_provider__price_entry *own; /* what destroy frees; NULL: static */
    rm_provider__price_rule *rules;
    char *names;
};

extern const struct rm_prices rm_provider__prices_built_in;
extern const char rm_provider__prices_built_in_date[];

#endif
