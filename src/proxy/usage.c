/* usage.cost in the event of a stream that carries its usage: each caller reads there what it paid. */
#include "proxy_internal.h"

typedef struct request {
    rm_op op;
    double cost_usd;
    rm_buf *out;
    rm_status status;
} request;

static void on_event(void *user, const rm_sse_event *event)
{
    request *want = user;
    if (want->status == RM_ENOTFOUND)
        want->status = rm_provider_set_event_cost(want->op, event, want->cost_usd, want->out);
}

rm_status rm_proxy__set_cost(rm_op op, rm_slice raw_event, double cost_usd, rm_buf *out)
{
    request want = {.op = op, .cost_usd = cost_usd, .out = out, .status = RM_ENOTFOUND};
    rm_sse_parser parser;
    rm_sse_parser_init(&parser);
    rm_status status = rm_sse_parser_feed(&parser, raw_event, on_event, &want);
    rm_sse_parser_deinit(&parser);
    return status != RM_OK ? status : want.status;
}
