/* The answer on its way: pieces at their times, in a rewritten form or with a fault where the plan says so.
 *
 * A piece is an event of a stream or, of a JSON answer, the whole. `due_ms` keeps fractions, so that a rate above one
 * event a millisecond (the timer's step) is still met on average: each firing sends all that is due. */
#include "mock_internal.h"

#define WRITE_BYTES_MAX (64 * RM_KIB) /* pieces joined into one write when all are due at once */

static double now_ms(void)
{
    return (double)uv_hrtime() / 1e6;
}

/* ---- rewriting --------------------------------------------------------------------------------------------------- */

static void replace_bytes(rm_mock_script *script, rm_mock_script *other)
{
    rm_mock_script old = *script;
    script->bytes = other->bytes;
    script->ends = other->ends;
    rm_buf_deinit(&old.bytes);
    rm_buf_deinit(&old.ends);
}

static void compress(rm_mock_script *script)
{
    rm_mock_script packed;
    rm_mock__script_init(&packed);
    rm_bench__gzip_begin(&packed.bytes);
    size_t count = rm_mock__script_count(script), begin = 0;
    for (size_t i = 0; i < count; i++) {
        size_t end = rm_mock__script_end(script, i);
        rm_bench__gzip_block(&packed.bytes, rm_slice_make(script->bytes.ptr + begin, end - begin));
        if (i + 1 == count)
            rm_bench__gzip_end(&packed.bytes, rm_buf_slice(&script->bytes));
        rm_mock__script_cut(&packed);
        begin = end;
    }
    replace_bytes(script, &packed);
}

/* Pieces of a fixed size, which cut events and characters anywhere. */
static void split(rm_mock_script *script, size_t piece)
{
    rm_buf_clear(&script->ends);
    for (size_t end = piece; end < script->bytes.len; end += piece)
        rm_buf_append(&script->ends, &end, sizeof(end));
    rm_mock__script_cut(script);
}

static bool breaks_within(const rm_mock_plan *plan)
{
    return plan->fault > RM_MOCK_FAULT_RESET_HEAD;
}

static void prepare(rm_mock_call *call)
{
    rm_mock_plan *plan = &call->plan;
    rm_mock_script *script = &call->script;
    if (plan->gzip)
        compress(script);
    if (plan->split > 0)
        split(script, (size_t)plan->split);
    else if (breaks_within(plan) && rm_mock__script_count(script) == 1)
        split(script, script->bytes.len / 2 + 1);
    if (plan->fault_at == RM_MOCK_UNSET)
        plan->fault_at = rm_mock__script_count(script) / 2;
}

/* ---- head -------------------------------------------------------------------------------------------------------- */

#define HEADERS_MAX 24

typedef struct head_writer {
    rm_header headers[HEADERS_MAX];
    size_t count;
    rm_arena *arena;
} head_writer;

static void add_header(head_writer *head, const char *name, rm_slice value)
{
    if (head->count < HEADERS_MAX && value.ptr)
        head->headers[head->count++] = (rm_header){rm_slice_cstr(name), value};
}

static void add_limits(const rm_mock_call *call, head_writer *head)
{
    const rm_mock *mock = call->mock;
    uint64_t limit = mock->rate_limit ? mock->rate_limit : 10000;
    uint64_t left = mock->rate_limit && mock->window_requests < limit ? limit - mock->window_requests : 0;
    if (!mock->rate_limit)
        left = limit - 1;
    const char *prefix = call->anthropic ? "anthropic-ratelimit-requests-" : "x-ratelimit-";
    const char *suffix = call->anthropic ? "" : "-requests";
    rm_slice limit_text = rm_arena_printf(head->arena, "%llu", (unsigned long long)limit);
    rm_slice left_text = rm_arena_printf(head->arena, "%llu", (unsigned long long)left);
    rm_slice name = rm_arena_printf(head->arena, "%slimit%s", prefix, suffix);
    add_header(head, name.ptr, limit_text);
    name = rm_arena_printf(head->arena, "%sremaining%s", prefix, suffix);
    add_header(head, name.ptr, left_text);
    name = rm_arena_printf(head->arena, "%sreset%s", prefix, suffix);
    add_header(head, name.ptr, call->anthropic ? RM_SLICE("2030-01-01T00:00:00Z") : RM_SLICE("6m0s"));
    if (call->anthropic)
        return;
    add_header(head, "x-ratelimit-limit-tokens", RM_SLICE("2000000"));
    add_header(head, "x-ratelimit-remaining-tokens", RM_SLICE("1999000"));
    add_header(head, "x-ratelimit-reset-tokens", RM_SLICE("20ms"));
}

static void fill_head(rm_mock_call *call, head_writer *head)
{
    const rm_mock_plan *plan = &call->plan;
    char id[RM_MOCK_ID_BYTES] = {0};
    rm_bench__hex16(rm_rng_next(&call->mock->rng), id);
    add_header(head, "Content-Type", rm_slice_cstr(call->script.type));
    add_header(head, call->anthropic ? "request-id" : "x-request-id", rm_arena_printf(head->arena, "req_%s", id));
    if (!call->anthropic)
        add_header(head, "openai-processing-ms", RM_SLICE("7"));
    if (call->script.stream)
        add_header(head, "Cache-Control", RM_SLICE("no-cache"));
    if (plan->gzip)
        add_header(head, "Content-Encoding", RM_SLICE("gzip"));
    if (plan->headers || call->mock->rate_limit)
        add_limits(call, head);
    if (call->script.status < 400)
        return;
    if (plan->retry_after != RM_MOCK_UNSET)
        add_header(head, "retry-after", rm_arena_printf(head->arena, "%llu", (unsigned long long)plan->retry_after));
    if (plan->retry_after_ms != RM_MOCK_UNSET)
        add_header(head, "retry-after-ms",
                   rm_arena_printf(head->arena, "%llu", (unsigned long long)plan->retry_after_ms));
    if (plan->should_retry != RM_MOCK_UNSET)
        add_header(head, "x-should-retry", plan->should_retry ? RM_SLICE("true") : RM_SLICE("false"));
}

static void send_head(rm_mock_call *call, rm_slice first)
{
    head_writer head = {.arena = rm_req_arena(call->req)};
    fill_head(call, &head);
    bool sized = !call->script.stream && !call->plan.chunked;
    rm_reply reply = {call->script.status, head.headers, head.count,
                      sized ? (int64_t)call->script.bytes.len : RM_BODY_CHUNKED};
    call->mock->stats.statuses[call->script.status < 600 ? call->script.status : 0]++;
    (void)rm_req_reply(call->req, &reply, first);
}

/* ---- pieces ------------------------------------------------------------------------------------------------------ */

static void send_bytes(rm_mock_call *call, rm_slice bytes)
{
    call->mock->stats.bytes_out += bytes.len;
    if (!rm_req_replied(call->req))
        send_head(call, bytes);
    else
        (void)rm_req_write(call->req, bytes);
}

static void end_body(rm_mock_call *call)
{
    call->ended = true;
    if (!rm_req_replied(call->req))
        send_head(call, RM_SLICE(""));
    bool whole = !call->script.stream && !call->plan.chunked && call->next == rm_mock__script_count(&call->script);
    if (!whole)
        rm_req_end(call->req);
}

static void abort_call(rm_mock_call *call)
{
    call->ended = call->aborted = true;
    rm_req_abort(call->req);
}

/* Carries the plan's fault out in front of the next piece; true when nothing more comes now. */
static bool meet_fault(rm_mock_call *call)
{
    static const char openai[] = "data: {\"error\":{\"message\":\"mock: the model broke\",\"type\":\"server_error\","
                                 "\"param\":null,\"code\":500}}\n\n";
    static const char anthropic[] = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
                                    "\"message\":\"mock: the model broke\"}}\n\n";
    rm_mock_fault fault = (rm_mock_fault)call->plan.fault;
    if (!breaks_within(&call->plan) || call->next != call->plan.fault_at)
        return false;
    call->mock->stats.faults++;
    call->plan.fault = RM_MOCK_FAULT_NONE;
    switch (fault) {
    case RM_MOCK_FAULT_STALL:
        call->ended = true;
        if (!rm_req_replied(call->req))
            send_head(call, RM_SLICE(""));
        return true;
    case RM_MOCK_FAULT_MALFORMED:
        send_bytes(call, RM_SLICE("data: {\"id\":\"chatcmpl-broken\",\"choices\":[{\"delta\":{\"cont\n\n"));
        return false;
    case RM_MOCK_FAULT_ERROR:
        send_bytes(call, call->anthropic ? RM_SLICE(anthropic) : RM_SLICE(openai));
        end_body(call);
        return true;
    case RM_MOCK_FAULT_TRUNCATE:
        if (call->script.stream) {
            end_body(call);
            return true;
        }
        abort_call(call);
        return true;
    default:
        abort_call(call);
        return true;
    }
}

static double gap_ms(rm_mock_call *call)
{
    const rm_mock_plan *plan = &call->plan;
    if (plan->split > 0)
        return plan->split_gap_ms;
    if (plan->tps <= 0 || !call->script.stream)
        return 0;
    double spread = 1 + plan->jitter * (2 * rm_rng_uniform(&call->mock->rng) - 1);
    return 1e3 / plan->tps * spread * (double)(plan->burst ? plan->burst : 1);
}

/* How many pieces go out together: a burst, or with no pace at all as many as make a fair write. */
static size_t batch_end(const rm_mock_call *call, double gap)
{
    const rm_mock_script *script = &call->script;
    size_t count = rm_mock__script_count(script), end = call->next + 1;
    size_t begin_byte = call->next ? rm_mock__script_end(script, call->next - 1) : 0;
    size_t burst = call->plan.burst ? (size_t)call->plan.burst : 1;
    while (end < count && (end - call->next < burst ||
                           (gap <= 0 && rm_mock__script_end(script, end) - begin_byte <= WRITE_BYTES_MAX))) {
        if (breaks_within(&call->plan) && end == call->plan.fault_at)
            break;
        end++;
    }
    return end;
}

static void on_due(uv_timer_t *timer);

static void send_due(rm_mock_call *call)
{
    const rm_mock_script *script = &call->script;
    size_t count = rm_mock__script_count(script);
    while (call->next < count) {
        double wait = call->due_ms - now_ms();
        if (wait > 0.5) {
            uv_timer_start(&call->timer->timer, on_due, (uint64_t)(wait + 0.5), 0);
            return;
        }
        if (meet_fault(call))
            return;
        double gap = gap_ms(call);
        size_t end = batch_end(call, gap);
        size_t from = call->next ? rm_mock__script_end(script, call->next - 1) : 0;
        size_t to = rm_mock__script_end(script, end - 1);
        call->mock->stats.events += end - call->next;
        call->next = end;
        call->due_ms += gap;
        send_bytes(call, rm_slice_make(script->bytes.ptr + from, to - from));
        if (rm_req_queued_bytes(call->req) > RM_WRITE_HIGH_BYTES) {
            call->blocked = true;
            return;
        }
    }
    end_body(call);
}

static void on_due(uv_timer_t *timer)
{
    rm_mock_timer *holder = timer->data;
    rm_mock_call *call = holder->call;
    if (!call || call->ended)
        return;
    if (call->plan.fault == RM_MOCK_FAULT_RESET_HEAD) {
        call->mock->stats.faults++;
        abort_call(call);
        return;
    }
    send_due(call);
}

void rm_mock__send_drained(rm_mock_call *call)
{
    if (!call->blocked || call->ended)
        return;
    call->blocked = false;
    send_due(call);
}

void rm_mock__send_begin(rm_mock_call *call)
{
    const rm_mock_plan *plan = &call->plan;
    prepare(call);
    double delay = plan->ttft_ms;
    /* A whole answer takes as long as its stream would. */
    if (!call->script.stream && plan->tps > 0 && call->script.status == 200 && call->op != RM_OP_EMBEDDINGS &&
        call->op != RM_OP_MODELS)
        delay += (double)plan->tokens * 1e3 / plan->tps;
    call->due_ms = now_ms() + delay;
    call->timer = rm_mock__timer_take(call->mock, call);
    if (!call->timer) {
        abort_call(call);
        return;
    }
    if (delay > 0.5)
        uv_timer_start(&call->timer->timer, on_due, (uint64_t)(delay + 0.5), 0);
    else
        on_due(&call->timer->timer);
}
