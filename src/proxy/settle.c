/* The last step: what one finished request is to the counters, the log and the ledger. */
#include "proxy_internal.h"

void rm_exchange__settle(rm_exchange *exchange)
{
    rm_worker *worker = exchange->worker;
    const rm_http_head *head = rm_req_head(exchange->req);
    uint64_t begin_ns = rm_req_begin_ns(exchange->req);
    uint64_t end_ns = rm_proxy__now_ns();
    rm_receipt receipt = {
        .id = {exchange->id, sizeof exchange->id - 1},
        .method = rm_slice_cstr(rm_method_name(head->method)),
        .path = head->path,
        .op = exchange->op,
        .outcome = exchange->outcome,
        .reason = exchange->reason,
        .status = exchange->status,
        .stream = exchange->stream,
        .failed = exchange->failed,
        .tenant = rm_slice_cstr(exchange->tenant.id_text),
        .model = exchange->model.len ? exchange->model : exchange->requested_model,
        .requested_model = exchange->requested_model,
        .upstream = exchange->upstream,
        .name_space = exchange->name_space,
        .service_tier = rm_slice_cstr(exchange->service_tier),
        .usage = exchange->usage,
        .cost_usd = exchange->cost_usd,
        .saved_usd = exchange->saved_usd,
        .request_bytes = exchange->request_bytes,
        .response_bytes = exchange->response_bytes,
        .total_ns = end_ns > begin_ns ? end_ns - begin_ns : 0,
        .first_byte_ns = exchange->first_byte_ns > begin_ns ? exchange->first_byte_ns - begin_ns : 0,
        .upstream_ns = exchange->upstream_ns,
        .tries = exchange->tries,
        .peer = rm_req_peer(exchange->req),
        .prompt = rm_blob_slice(exchange->log_prompt),
        .answer = rm_buf_slice(&exchange->log_answer),
    };
    const rm_semantic_decision *decision = rm_inquiry__decision(exchange->inquiry);
    if (decision) {
        receipt.semantic = rm_slice_cstr(rm_verdict_name(decision->verdict));
        receipt.semantic_shadow = rm_inquiry__is_shadow(exchange->inquiry);
        receipt.similarity = decision->candidate ? (double)decision->similarity : 0;
        receipt.risk = decision->risk;
        receipt.risk_limit = decision->limit;
    }
    rm_observer_settle(worker->observer, &receipt, rm_proxy__wall_ms());
}
