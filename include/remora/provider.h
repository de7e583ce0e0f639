/* L1: what the providers' dialects mean: requests, answers, streams, errors, usage, prices. No sockets, no state.
 * One thread an object; prices are immutable and shared. */
#ifndef REMORA_PROVIDER_H
#define REMORA_PROVIDER_H

#include "remora/base.h"
#include "remora/json.h"
#include "remora/wire.h"

rm_op rm_provider_op(rm_method method, rm_slice path);
rm_dialect rm_provider_dialect(rm_op op, rm_slice path); /* Anthropic for /v1/messages and what is below it */
const char *rm_op_name(rm_op op);                        /* "chat", "completions", …, "other" */
const char *rm_op_gen_ai_name(rm_op op); /* OTel gen_ai.operation.name: chat, text_completion, embeddings */

/* ---- requests ---------------------------------------------------------------------------------------------------- */

/* LiteLLM's body field `cache`. */
typedef struct rm_body_cache {
    bool present, no_cache, no_store;
    bool bad_name_space;       /* one is given that is no text */
    int64_t ttl_s, s_maxage_s; /* -1: not given; 0 also where it cannot be read */
    rm_slice name_space;
} rm_body_cache;

/* What the steps need to know of a request. Slices lie in the arena or the body. */
typedef struct rm_request_info {
    rm_op op;
    const rm_json *root;
    size_t body_bytes; /* of the text that `root` was read from */
    rm_slice model;
    bool stream;
    bool include_usage;      /* the caller asked for the usage chunk (chat, completions) */
    bool has_stream_options; /* an object that an injected include_usage joins */
    bool usage_injectable;   /* a stream of a dialect that knows stream_options (chat, completions) */
    bool sampled;            /* temperature > 0 (or left out, where the provider's default is > 0) and no seed */
    bool temperature_given;
    bool seeded;
    int64_t choices;    /* n; 1 if left out */
    int64_t max_tokens; /* -1: not given */
    bool stateful;      /* Responses with store (true or left out), previous_response_id, conversation or background,
                           * item_reference, or a prompt template without its version */
    bool refers_media;  /* audio, or what lies elsewhere by reference (file_id, image URLs but "data:", vector stores,
                           * containers, …) */
    bool has_tools;
    bool health_probe; /* LiteLLM's: table in request.c */
    rm_body_cache cache;
} rm_request_info;

/* RM_EPARSE: not a JSON object (the upstream shall say so). RM_ENOMEM. */
rm_status rm_provider_read_request(rm_op op, rm_slice body, rm_arena *arena, rm_request_info *ret_info) RM_WARN_UNUSED;

/* True for top-level members that cannot change the answer's meaning (stream, user, metadata …); each with its reason
 * in one table (request.c). Those that a Responses answer repeats become the present caller's (rm_provider_set_echo).
 * For rm_json_canonical; `op` is a const rm_op *. */
bool rm_provider_neutral_member(rm_slice key, const rm_json *value, void *op);

/* The body as the upstream shall get it: without `cache`, with stream_options.include_usage true where `inject_usage`.
 * *ret_body is `body` itself when nothing had to change. RM_ENOMEM. */
rm_status rm_provider_upstream_body(const rm_request_info *info, rm_slice body, bool inject_usage, rm_arena *arena,
                                    rm_slice *ret_body) RM_WARN_UNUSED;

/* ---- answers ----------------------------------------------------------------------------------------------------- */

typedef enum rm_finish {
    RM_FINISH_NONE = 0, /* none seen (embeddings have none) */
    RM_FINISH_STOP,     /* stop, tool_calls, end_turn, … : a whole answer */
    RM_FINISH_LENGTH,
    RM_FINISH_FILTER,
    RM_FINISH_OTHER
} rm_finish;

/* What was learnt from a whole answer or a stream so far. Slices lie in the arena given. */
typedef struct rm_answer {
    rm_usage usage;
    rm_slice model;
    rm_slice id;
    rm_slice service_tier;
    rm_finish finish; /* the worst over all choices: filter > length > other > stop */
    bool error;       /* an error object, also inside a 2xx stream */
    bool terminal;    /* streams: [DONE], message_stop, response.completed was seen; bodies: nothing is still open */
    double usage_cost_usd; /* usage.cost as some upstreams state it; -1: none */
} rm_answer;

/* RM_EPARSE: not JSON of this dialect. RM_ENOMEM. */
rm_status rm_provider_read_body(rm_op op, rm_slice body, rm_arena *arena, rm_answer *ret_answer) RM_WARN_UNUSED;

/* What one event is to the relay. */
typedef struct rm_event_info {
    bool usage_only; /* chunk with choices [] and usage: strip for a caller that did not ask */
    bool usage_null; /* carries "usage":null, which comes of include_usage: strip as above */
    bool padded;     /* carries `obfuscation` */
    bool has_usage;  /* carries final usage: usage.cost may be set here (rm_provider_set_event_cost) */
    bool terminal, error;
} rm_event_info;

/* Takes one event of a stream into `answer` (start from rm_answer_init). Never fails: what it cannot read it skips. */
void rm_answer_init(rm_answer *answer);
void rm_provider_read_event(rm_op op, const rm_sse_event *event, rm_arena *arena, rm_answer *answer,
                            rm_event_info *ret_info);

/* Appends the event's raw text without "usage":null and without `obfuscation` padding. */
rm_status rm_provider_clean_event(rm_op op, const rm_sse_event *event, const rm_event_info *info, rm_buf *out);
/* Appends the event's raw text with usage.cost set; for events with has_usage. */
rm_status rm_provider_set_event_cost(rm_op op, const rm_sse_event *event, double cost_usd, rm_buf *out);

/* ---- one form out of the other ----------------------------------------------------------------------------------- */

/* A stream's text as the JSON body that the same request without `stream` would have got: content, tool calls,
 * reasoning, refusals, logprobs, several choices, usage. Of all conversions: RM_EPARSE: not whole, an error, audio, or
 * not of this dialect. RM_EINVAL: an operation without streams. RM_ETOOBIG, RM_ENOMEM. On failure `out` is as before. */
rm_status rm_provider_events_to_body(rm_op op, rm_slice events, rm_buf *out) RM_WARN_UNUSED;
/* A body as the stream that says the same: role, content, tool calls, finish, usage chunk (chat, completions: only where
 * include_usage), terminal event. */
rm_status rm_provider_body_to_events(rm_op op, rm_slice body, bool include_usage, rm_buf *out) RM_WARN_UNUSED;
/* A stored stream's text for a caller with or without include_usage. */
rm_status rm_provider_replay_events(rm_op op, rm_slice events, bool include_usage, rm_buf *out) RM_WARN_UNUSED;
/* True if replay would change nothing, so that the stored bytes may be sent as they are. Cheap. */
bool rm_provider_replay_is_plain(rm_op op, bool include_usage);
/* The answer's own id, wherever it stands, and its `created` replaced (body or events): option `ids: fresh`. The new id
 * has the old one's length and prefix. Ids of items and tool calls stay, as signed reasoning is bound to them. */
rm_status rm_provider_refresh_ids(rm_op op, bool events, rm_slice content, uint64_t now_s, rm_rng *rng,
                                  rm_buf *out) RM_WARN_UNUSED;

/* ---- what an answer says ----------------------------------------------------------------------------------------- */

/* Appends what a whole answer (a body, or a stream's text) says to a reader: chat and completions: the first choice's text, or
 * its refusal; Messages: its text blocks; Responses: its output texts and refusals. Calls of tools follow as one JSON array of
 * {"name","arguments"}, arguments as the JSON they hold where they do (ids are left out: they are random). Reasoning is not part
 * of it. RM_ENOTFOUND: it says nothing, or more than text (audio, images, results of the provider's own tools). RM_EPARSE, RM_EINVAL:
 * as the conversions above. RM_ETOOBIG: over the buffer's bound; RM_ENOMEM. On failure `out` is as before. */
rm_status rm_provider_answer_text(rm_op op, bool events, rm_slice content, rm_buf *out) RM_WARN_UNUSED;

/* ---- what an answer repeats -------------------------------------------------------------------------------------- */

/* A Responses answer repeats members of the request it was made for: `metadata`, `user`, `safety_identifier`,
 * `prompt_cache_key`. They are neutral, so one answer serves requests that differ in them, even of several tenants: each
 * caller's own are put in their place. */
#define RM_ECHO_MEMBERS 4

/* One request's, as JSON text in an arena; {NULL,0}: not given. */
typedef struct rm_echo {
    rm_slice values[RM_ECHO_MEMBERS];
} rm_echo;

/* Whether answers of the operation repeat anything at all. */
bool rm_provider_echoes(rm_op op);

/* RM_ENOMEM. */
rm_status rm_provider_read_echo(const rm_request_info *info, rm_arena *arena, rm_echo *ret_echo) RM_WARN_UNUSED;

/* Appends the answer (whole events, or a body) with the members set to this request's wherever they stand; those that
 * the answer leaves out stay out, and an empty one stays as it is where the request gives none. RM_ENOTFOUND: nothing
 * has to change. RM_EPARSE: an unfinished event, one over the limit, or a body that is no JSON. RM_ENOMEM, RM_ETOOBIG. On
 * failure `out` is as before. */
rm_status rm_provider_set_echo(const rm_echo *echo, bool events, rm_slice content, rm_buf *out) RM_WARN_UNUSED;

/* ---- embeddings that Remora makes itself ------------------------------------------------------------------------- */

/* What a request for embeddings asks of a model with `hidden` dimensions. Slices lie in the arena or the request. */
typedef struct rm_embeddings {
    const rm_slice *texts; /* 1 to RM_EMBED_INPUTS_MAX, none empty */
    uint32_t count;
    uint32_t hidden;
    uint32_t dimensions; /* 1 to hidden: the first ones, at length 1 again (Matryoshka style, as OpenAI's) */
    bool base64;         /* little-endian floats in base64, else numbers */
} rm_embeddings;

/* RM_EINVAL: *ret_why is a sentence for the caller. RM_ENOMEM. */
rm_status rm_provider_read_embeddings(const rm_request_info *info, uint32_t hidden, rm_arena *arena,
                                      rm_embeddings *ret_embeddings, const char **ret_why) RM_WARN_UNUSED;
/* Appends the answer's body. `vectors`: count x hidden, each of length 1, changed where fewer dimensions are asked for.
 * RM_ETOOBIG, RM_ENOMEM. */
rm_status rm_provider_write_embeddings(const rm_embeddings *embeddings, rm_slice model, float *vectors, uint64_t tokens,
                                       rm_buf *out);

/* ---- errors ------------------------------------------------------------------------------------------------------ */

/* The dialect's own error shape. `type` NULL: by status (invalid_request_error, …); Anthropic's list of types is closed,
 * so there it is always by status. OpenAI's `code` is the status as text: its typed clients take text or null only. */
rm_status rm_provider_error_body(rm_dialect dialect, int http_status, const char *type, const char *message,
                                 rm_buf *out);

/* ---- prices ------------------------------------------------------------------------------------------------------ */

/* USD a token; negative: unknown. */
typedef struct rm_price {
    double input, cached_input, cache_write, output, batch_input, batch_output;
    int64_t context_tokens; /* -1: unknown */
    /* Where other prices hold, by service tier and length of prompt. By length, then tier: the later one wins. */
    const struct rm_provider__price_rule *rules;
    size_t rule_count;
} rm_price;

typedef struct rm_prices rm_prices; /* model name -> price; immutable */

/* A small built-in table (its date: rm_prices_built_in_date). Never fails; static. */
const rm_prices *rm_prices_built_in(void);
const char *rm_prices_built_in_date(void);
/* LiteLLM's cost map. Lenient: a model with unreadable prices is skipped and counted. Prices by length of prompt
 * (…_above_200k_tokens) and service tier (…_flex, …_priority, …) are read; those by modality, lifetime of a cache write,
 * hour and the lists `tiered_pricing` are not looked at. A missing batch price is half the plain one.
 * RM_EPARSE, RM_ETOOBIG (RM_PRICE_MAP_BYTES_MAX), RM_EIO, RM_ENOMEM. */
rm_status rm_prices_load(const char *path, rm_prices **ret_prices, size_t *ret_skipped) RM_WARN_UNUSED;
void rm_prices_destroy(rm_prices *prices);
/* By exact name, then without a provider prefix ("openai/x"), then without a date suffix ("-2025-04-14", "-20250929",
 * "-latest"). NULL: unknown. */
const rm_price *rm_prices_find(const rm_prices *prices, rm_slice model);
/* Negative: unknown price or usage. Cached and written input at their own prices (input price if none). The tier is the
 * one that the answer names; any other or no tier, and each price that the tier lacks: the standard one. Above a length
 * of prompt the whole request costs that length's price. LiteLLM's common calculation; those that it keeps for single
 * providers (Fireworks and Perplexity without tiers) are not followed. */
double rm_price_cost(const rm_price *price, const rm_usage *usage, rm_slice service_tier);

#endif
