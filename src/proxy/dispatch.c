/* From a decided request to the flight that will bring its answer: somebody else's, or one of its own. */
#include "proxy_internal.h"

/* The leader's answer repeats the leader's request: a follower must know its own. */
static bool keep_echo(rm_exchange *exchange, const rm_request_info *info)
{
    if (!info || !rm_provider_echoes(info->op))
        return true;
    rm_arena *arena = rm_req_arena(exchange->req);
    rm_echo *echo = rm_arena_alloc(arena, sizeof *echo);
    if (!echo || rm_provider_read_echo(info, arena, echo) != RM_OK)
        return false;
    exchange->echo = echo;
    return true;
}

bool rm_exchange__join(rm_exchange *exchange, const rm_request_info *info, const rm_exact_key *key)
{
    rm_flights *flights = exchange->worker->proxy->flights;
    if (!keep_echo(exchange, info) ||
        rm_flight_join(flights, key->key, key->canonical, &exchange->subscriber) != RM_OK) {
        exchange->echo = NULL;
        return false;
    }
    if (exchange->state == RM_EXCHANGE_READING)
        rm_exchange__move(exchange, RM_EXCHANGE_WAITING);
    exchange->merged = true;
    exchange->outcome = RM_OUTCOME_MERGED;
    exchange->reason = RM_REASON_MERGED;
    /* What has come so far can be read at once; on another loop nobody would say so. */
    rm_exchange__relay(exchange);
    return true;
}

/* What is not needed to answer this one caller is given up first: the table of flights, the record. */
static rm_status begin_alone(rm_exchange *exchange, const rm_fetch_plan *plan, rm_fetch **ret_fetch)
{
    rm_fetch_plan alone = *plan;
    alone.key = NULL;
    alone.merge = alone.store = false;
    return rm_fetch__start(exchange->worker, &alone, ret_fetch);
}

static void begin(rm_exchange *exchange, const rm_fetch_plan *plan)
{
    rm_fetch *fetch = NULL;
    rm_status status = rm_fetch__start(exchange->worker, plan, &fetch);
    if (status == RM_EBUSY && rm_exchange__join(exchange, plan->info, plan->key))
        return;
    /* RM_EBUSY is no fault: the flight of this key takes no more. */
    if (status != RM_OK && status != RM_EBUSY)
        rm_observer_fault(exchange->worker->observer, RM_STAGE_MERGE);
    if (status != RM_OK)
        status = begin_alone(exchange, plan, &fetch);
    if (status != RM_OK) {
        rm_exchange__fail(exchange, rm_status_http(status), NULL,
                          "Remora could not start the request to the upstream.");
        return;
    }
    if (plan->upload)
        exchange->fetch = fetch;
}

void rm_exchange__dispatch(rm_exchange *exchange, const rm_request_info *info, const rm_config_upstream *upstream,
                           const rm_exact_key *key)
{
    const rm_decision *decision = &exchange->decision;
    exchange->upstream = rm_slice_cstr(upstream->name);
    bool merge = key && decision->merge;
    if (merge && rm_exchange__join(exchange, info, key))
        return;
    rm_fetch_plan plan = {
        .exchange = exchange,
        .upstream = upstream,
        .info = info,
        .key = merge || decision->store ? key : NULL,
        .upload = exchange->state == RM_EXCHANGE_UPLOADING,
        .subscribe = true,
        .merge = merge,
        .store = key && decision->store,
    };
    begin(exchange, &plan);
}
