/* Any bytes as a body: a request, an answer, an answer to be streamed. The first byte chooses the operation. */
#include <stdlib.h>

#include "remora/provider.h"

#define OUT_BYTES_MAX (16 * RM_MIB)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expected(rm_status status)
{
    RM_CHECK(status == RM_OK || status == RM_EPARSE || status == RM_ETOOBIG || status == RM_EINVAL ||
             status == RM_ENOTFOUND || status == RM_ENOMEM);
}

/* What the upstream gets must read the same, but for what was injected and taken out. */
static void check_request(rm_op op, rm_slice body, rm_arena *arena)
{
    rm_request_info info, sent;
    rm_slice text = RM_SLICE_NONE;
    rm_buf canonical;
    if (rm_provider_read_request(op, body, arena, &info) != RM_OK)
        return;
    rm_buf_init(&canonical, OUT_BYTES_MAX);
    bool plain = rm_json_canonical(info.root, rm_provider_neutral_member, &op, &canonical) == RM_OK;
    rm_buf_deinit(&canonical);
    if (rm_provider_upstream_body(&info, body, true, arena, &text) != RM_OK)
        return;
    RM_CHECK(rm_provider_read_request(op, text, arena, &sent) == RM_OK);
    RM_CHECK(!plain || !sent.cache.present);
    RM_CHECK(!plain || !sent.usage_injectable || sent.include_usage);
    RM_CHECK(rm_slice_eq(sent.model, info.model));
}

/* What is accepted keeps the promises that the lane and the writer rely on. */
static void check_embeddings(rm_slice body, rm_arena *arena)
{
    enum { HIDDEN = 4 };
    rm_request_info info;
    rm_embeddings read;
    const char *why = NULL;
    if (rm_provider_read_request(RM_OP_EMBEDDINGS, body, arena, &info) != RM_OK)
        return;
    rm_status status = rm_provider_read_embeddings(&info, HIDDEN, arena, &read, &why);
    expected(status);
    RM_CHECK((status == RM_EINVAL) == (why != NULL));
    if (status != RM_OK)
        return;
    RM_CHECK(read.count >= 1 && read.count <= RM_EMBED_INPUTS_MAX && read.dimensions >= 1 && read.dimensions <= HIDDEN);
    for (uint32_t i = 0; i < read.count; i++)
        RM_CHECK(read.texts[i].len > 0);
}

static void check_answer(rm_op op, rm_slice body, rm_arena *arena)
{
    rm_answer answer;
    rm_buf events, back;
    rm_rng rng;
    expected(rm_provider_read_body(op, body, arena, &answer));
    rm_buf_init(&events, OUT_BYTES_MAX);
    rm_buf_init(&back, OUT_BYTES_MAX);
    if (rm_provider_body_to_events(op, body, true, &events) == RM_OK)
        expected(rm_provider_events_to_body(op, rm_buf_slice(&events), &back));
    rm_buf_clear(&back);
    rm_status status = rm_provider_answer_text(op, false, body, &back);
    expected(status);
    RM_CHECK((status == RM_OK) == (back.len > 0));
    rm_buf_clear(&back);
    rm_rng_seed(&rng, 1);
    expected(rm_provider_refresh_ids(op, false, body, 1, &rng, &back));
    rm_buf_deinit(&events);
    rm_buf_deinit(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rm_arena arena;
    if (size == 0)
        return 0;
    rm_op op = (rm_op)(data[0] % RM_OP_COUNT);
    rm_slice body = rm_slice_make((const char *)data + 1, size - 1);
    rm_arena_init(&arena, NULL, RM_EXCHANGE_ARENA_BYTES_MAX);
    check_request(op, body, &arena);
    check_answer(op, body, &arena);
    check_embeddings(body, &arena);
    rm_arena_deinit(&arena);
    return 0;
}
