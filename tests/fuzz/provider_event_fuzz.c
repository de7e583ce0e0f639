/* Any bytes as a stream: read, cleaned, priced, replayed, turned into a body. The first byte chooses the operation. */
#include <stdlib.h>

#include "remora/provider.h"

#define OUT_BYTES_MAX (16 * RM_MIB)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expected(rm_status status)
{
    RM_CHECK(status == RM_OK || status == RM_EPARSE || status == RM_ETOOBIG || status == RM_EINVAL ||
             status == RM_ENOTFOUND || status == RM_ENOMEM);
}

struct run {
    rm_op op;
    rm_arena arena;
    rm_answer answer;
    rm_buf out;
};

static void on_event(void *user, const rm_sse_event *event)
{
    struct run *run = user;
    rm_event_info info;
    rm_provider_read_event(run->op, event, &run->arena, &run->answer, &info);
    RM_CHECK(!info.usage_only || event->has_data);
    expected(rm_provider_clean_event(run->op, event, &info, &run->out));
    expected(rm_provider_set_event_cost(run->op, event, 0.5, &run->out));
}

static bool canonical(rm_slice text, rm_buf *out)
{
    rm_arena arena;
    const rm_json *root;
    rm_arena_init(&arena, NULL, RM_EXCHANGE_ARENA_BYTES_MAX);
    RM_CHECK(rm_json_parse(&arena, text, &root) == RM_OK);
    rm_status status = rm_json_canonical(root, NULL, NULL, out);
    rm_arena_deinit(&arena);
    return status == RM_OK;
}

/* What became a body must be JSON to everybody else, and where it becomes a stream again, that says the same. */
static void check_body(rm_op op, rm_slice body)
{
    rm_buf events, again, before, after;
    rm_buf_init(&events, OUT_BYTES_MAX);
    rm_buf_init(&again, OUT_BYTES_MAX);
    rm_buf_init(&before, OUT_BYTES_MAX);
    rm_buf_init(&after, OUT_BYTES_MAX);
    bool plain = canonical(body, &before);
    if (rm_provider_body_to_events(op, body, true, &events) == RM_OK &&
        rm_provider_events_to_body(op, rm_buf_slice(&events), &again) == RM_OK) {
        plain = canonical(rm_buf_slice(&again), &after) && plain;
        RM_CHECK(!plain || rm_slice_eq(rm_buf_slice(&before), rm_buf_slice(&after)));
    }
    rm_buf_deinit(&events);
    rm_buf_deinit(&again);
    rm_buf_deinit(&before);
    rm_buf_deinit(&after);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rm_sse_parser parser;
    rm_rng rng;
    if (size == 0)
        return 0;
    struct run run = {.op = (rm_op)(data[0] % RM_OP_COUNT)};
    rm_slice events = rm_slice_make((const char *)data + 1, size - 1);
    rm_arena_init(&run.arena, NULL, RM_EXCHANGE_ARENA_BYTES_MAX);
    rm_answer_init(&run.answer);
    rm_buf_init(&run.out, OUT_BYTES_MAX);
    rm_sse_parser_init(&parser);
    expected(rm_sse_parser_feed(&parser, events, on_event, &run));
    rm_sse_parser_deinit(&parser);
    rm_buf_clear(&run.out);
    expected(rm_provider_replay_events(run.op, events, false, &run.out));
    rm_buf_clear(&run.out);
    rm_rng_seed(&rng, 1);
    expected(rm_provider_refresh_ids(run.op, true, events, 1, &rng, &run.out));
    rm_buf_clear(&run.out);
    rm_status status = rm_provider_answer_text(run.op, true, events, &run.out);
    expected(status);
    RM_CHECK((status == RM_OK) == (run.out.len > 0));
    rm_buf_clear(&run.out);
    if (rm_provider_events_to_body(run.op, events, &run.out) == RM_OK)
        check_body(run.op, rm_buf_slice(&run.out));
    rm_buf_deinit(&run.out);
    rm_arena_deinit(&run.arena);
    return 0;
}
