/* remora-bench mock: a provider that answers by rule. Options, the server, and a request's life. */
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "mock_internal.h"

static const char usage[] = "remora-bench mock [--listen ADDRESS] [OPTION]...";

/* ---- timers ------------------------------------------------------------------------------------------------------ */

rm_mock_timer *rm_mock__timer_take(rm_mock *mock, rm_mock_call *call)
{
    rm_mock_timer *timer = mock->spare_timers;
    if (timer) {
        mock->spare_timers = timer->next_spare;
    } else {
        if (!(timer = rm_calloc(1, sizeof(*timer))))
            return NULL;
        uv_timer_init(rm_loop_uv(mock->loop), &timer->timer);
        timer->timer.data = timer;
        timer->next_all = mock->all_timers;
        mock->all_timers = timer;
    }
    timer->call = call;
    return timer;
}

void rm_mock__timer_give(rm_mock *mock, rm_mock_timer *timer)
{
    uv_timer_stop(&timer->timer);
    timer->call = NULL;
    timer->next_spare = mock->spare_timers;
    mock->spare_timers = timer;
}

static void on_timer_closed(uv_handle_t *handle)
{
    rm_free(handle->data);
}

/* ---- a request --------------------------------------------------------------------------------------------------- */

/* By the path's end, so that any prefix works as a base URL. */
static const struct {
    const char *suffix;
    rm_op op;
    bool anthropic, count_tokens;
} paths[] = {
    {"/chat/completions", RM_OP_CHAT, false, false}, {"/completions", RM_OP_COMPLETIONS, false, false},
    {"/embeddings", RM_OP_EMBEDDINGS, false, false}, {"/v1/responses", RM_OP_RESPONSES, false, false},
    {"/v1/messages", RM_OP_MESSAGES, true, false},   {"/v1/messages/count_tokens", RM_OP_MESSAGES, true, true},
};

static bool has_suffix(rm_slice text, const char *literal)
{
    rm_slice suffix = rm_slice_cstr(literal);
    return text.len >= suffix.len && memcmp(text.ptr + text.len - suffix.len, suffix.ptr, suffix.len) == 0;
}

static void classify(rm_mock_call *call, const rm_http_head *head)
{
    for (size_t i = 0; head->method == RM_METHOD_POST && i < RM_COUNT(paths); i++) {
        if (!has_suffix(head->path, paths[i].suffix))
            continue;
        call->known = true;
        call->op = paths[i].op;
        call->anthropic = paths[i].anthropic;
        call->count_tokens = paths[i].count_tokens;
        return;
    }
}

/* The answers about the mock itself: not counted, never delayed. */
static bool answer_about_itself(rm_mock_call *call, const rm_http_head *head)
{
    rm_mock_stats *stats = &call->mock->stats;
    bool get = head->method == RM_METHOD_GET;
    if (get && rm_slice_eq(head->path, RM_SLICE("/stats"))) {
        (void)rm_mock__stats_render(stats, rm_slice_eq(head->query, RM_SLICE("prompts=all")), &call->script);
    } else if (get && rm_slice_eq(head->path, RM_SLICE("/stats/last"))) {
        rm_buf_append_slice(&call->script.bytes,
                            stats->last_body.len ? rm_buf_slice(&stats->last_body) : RM_SLICE("null"));
        rm_mock__script_cut(&call->script);
    } else if (head->method == RM_METHOD_POST && rm_slice_eq(head->path, RM_SLICE("/stats/reset"))) {
        rm_mock__stats_reset(stats);
        rm_map_deinit(&call->mock->failed);
        rm_map_init(&call->mock->failed);
        rm_buf_append_cstr(&call->script.bytes, "{}");
        rm_mock__script_cut(&call->script);
    } else {
        return false;
    }
    const rm_header type = {RM_SLICE("Content-Type"), RM_SLICE("application/json")};
    rm_reply reply = {200, &type, 1, (int64_t)call->script.bytes.len};
    (void)rm_req_reply(call->req, &reply, rm_buf_slice(&call->script.bytes));
    call->ended = true;
    return true;
}

static void *on_request(void *server_user, rm_req *req)
{
    rm_mock *mock = server_user;
    rm_mock_call *call = rm_arena_calloc(rm_req_arena(req), sizeof(*call));
    if (!call)
        return NULL;
    const rm_http_head *head = rm_req_head(req);
    call->mock = mock;
    call->req = req;
    rm_buf_init(&call->body, RM_MOCK_BODY_BYTES_MAX);
    rm_mock__script_init(&call->script);
    classify(call, head);
    if (mock->canned && call->known) {
        mock->stats.requests++;
        return call;
    }
    call->plan = mock->plan;
    if (!call->known && answer_about_itself(call, head))
        return call;
    rm_mock__plan_set_headers(&call->plan, head);
    uint64_t *seen = rm_req_connection_memo(req);
    mock->stats.connections += *seen == 0;
    *seen = 1;
    call->counted = true;
    mock->stats.requests++;
    if (++mock->stats.active > mock->stats.active_max)
        mock->stats.active_max = mock->stats.active;
    if (!call->known)
        rm_mock__other_begin(call);
    return call;
}

static void on_body(void *user, rm_slice bytes)
{
    rm_mock_call *call = user;
    call->mock->stats.bytes_in += bytes.len;
    if (call->ended)
        return;
    if (call->mock->canned && call->known)
        call->canned_stream |= rm_slice_find(bytes, RM_SLICE("\"stream\":true")) != NULL;
    else if (call->known)
        rm_buf_append_slice(&call->body, bytes);
    else
        rm_mock__other_body(call, bytes);
}

/* ---- its answer -------------------------------------------------------------------------------------------------- */

/* A failure that happens to the first `times` requests of a key only. */
static bool failure_is_over(rm_mock_call *call)
{
    rm_mock_plan *plan = &call->plan;
    if (plan->times == RM_MOCK_UNSET)
        return false;
    rm_key128 key = rm_hash128(plan->key);
    uint64_t count = (uint64_t)(uintptr_t)rm_map_get(&call->mock->failed, key);
    if (count >= plan->times)
        return true;
    return rm_map_put(&call->mock->failed, key, (void *)(uintptr_t)(count + 1)) != RM_OK;
}

static void draw_error(rm_mock_call *call)
{
    const rm_mock *mock = call->mock;
    for (size_t i = 0; i < mock->error_rate_count; i++) {
        if (rm_rng_uniform(&call->mock->rng) >= mock->error_rates[i].share)
            continue;
        if (mock->error_rates[i].status)
            call->plan.status = mock->error_rates[i].status;
        else
            call->plan.fault = mock->error_rates[i].fault;
        return;
    }
}

static bool over_rate_limit(rm_mock *mock)
{
    if (mock->rate_limit == 0)
        return false;
    uint64_t now_ms = uv_hrtime() / 1000000;
    if (now_ms - mock->window_begin_ms >= 60000) {
        mock->window_begin_ms = now_ms;
        mock->window_requests = 0;
    }
    return ++mock->window_requests > mock->rate_limit;
}

static bool key_refused(const rm_mock_call *call, const rm_http_head *head)
{
    if (!call->mock->require_key)
        return false;
    rm_slice key = rm_slice_cstr(call->mock->require_key), bearer = rm_http_header(head, "authorization");
    const rm_slice prefix = RM_SLICE("Bearer ");
    if (rm_slice_has_prefix(bearer, prefix))
        bearer = rm_slice_make(bearer.ptr + prefix.len, bearer.len - prefix.len);
    return !rm_slice_eq(bearer, key) && !rm_slice_eq(rm_http_header(head, "x-api-key"), key);
}

static rm_status render(rm_mock_call *call, const rm_mock_question *question)
{
    rm_arena *arena = rm_req_arena(call->req);
    rm_mock_script *script = &call->script;
    rm_mock_answer answer;
    if (call->count_tokens)
        return rm_mock__render_count_tokens(question, script);
    if (call->op == RM_OP_EMBEDDINGS)
        return rm_mock__render_embeddings(question, arena, script);
    rm_status status = rm_mock__answer_make(question, &call->plan, &call->mock->rng, arena, &answer);
    if (status != RM_OK)
        return status;
    script->stream = question->stream;
    script->type = question->stream ? "text/event-stream; charset=utf-8" : "application/json";
    if (call->op == RM_OP_RESPONSES)
        return rm_mock__render_responses(&answer, script);
    if (call->op == RM_OP_MESSAGES)
        return rm_mock__render_messages(&answer, script);
    return call->op == RM_OP_CHAT ? rm_mock__render_chat(&answer, script)
                                  : rm_mock__render_completions(&answer, script);
}

static void refuse(rm_mock_call *call, int status, const char *message)
{
    (void)rm_mock__render_error(call->anthropic, status, message, &call->script);
}

/* The script for a request on a known path, after its plan is settled. */
static void make_script(rm_mock_call *call, const rm_http_head *head)
{
    rm_mock_question question;
    rm_mock_plan *plan = &call->plan;
    rm_status status = call->body.status;
    if (status == RM_OK)
        status = rm_mock__question_read(call->op, rm_buf_slice(&call->body), rm_req_arena(call->req), &question);
    if (status != RM_OK) {
        refuse(call, status == RM_ETOOBIG ? 413 : 400, "mock: the body is not a JSON object");
        return;
    }
    rm_mock__plan_set_body(plan, question.root);
    rm_mock__stats_question(&call->mock->stats, &question);
    draw_error(call);
    if ((plan->status || plan->fault) && failure_is_over(call))
        plan->status = plan->fault = 0;
    if (plan->tokens > RM_MOCK_TOKENS_MAX)
        plan->tokens = RM_MOCK_TOKENS_MAX;
    if (key_refused(call, head))
        refuse(call, 401, "mock: wrong key");
    else if (over_rate_limit(call->mock))
        refuse(call, 429, "mock: rate limit reached");
    else if (plan->status >= 400 && plan->status < 600)
        refuse(call, (int)plan->status, "mock: this status was asked for");
    else if (plan->echo)
        (void)rm_mock__render_echo(head, rm_buf_slice(&call->body), &call->script);
    else if (question.model.len == 0)
        refuse(call, 400, "mock: you must provide a model parameter");
    else if ((status = render(call, &question)) != RM_OK)
        refuse(call, status == RM_EINVAL ? 400 : 500, "mock: this cannot be answered");
}

static void answer_canned(rm_mock_call *call)
{
    const rm_header json = {RM_SLICE("Content-Type"), RM_SLICE("application/json")};
    const rm_header events = {RM_SLICE("Content-Type"), RM_SLICE("text/event-stream; charset=utf-8")};
    const rm_mock_script *script = call->canned_stream ? &call->mock->canned_stream : &call->mock->canned_body;
    rm_slice body = rm_buf_slice(&script->bytes);
    rm_reply reply = {200, call->canned_stream ? &events : &json, 1,
                      call->canned_stream ? RM_BODY_CHUNKED : (int64_t)body.len};
    call->ended = true;
    if (rm_req_reply(call->req, &reply, body) == RM_OK && call->canned_stream)
        rm_req_end(call->req);
}

static void on_body_end(void *user)
{
    rm_mock_call *call = user;
    const rm_http_head *head = rm_req_head(call->req);
    if (call->ended)
        return;
    if (call->mock->canned && call->known) {
        answer_canned(call);
        return;
    }
    const rm_slice models = RM_SLICE("/v1/models");
    const char *found = head->method == RM_METHOD_GET ? rm_slice_find(head->path, models) : NULL;
    if (found) {
        call->op = RM_OP_MODELS;
        size_t rest = (size_t)(head->path.ptr + head->path.len - found) - models.len;
        (void)rm_mock__render_models(rest > 1 ? rm_slice_make(found + models.len + 1, rest - 1) : RM_SLICE_NONE,
                                     &call->script);
    } else if (call->known) {
        rm_mock__stats_keep(&call->mock->stats, head, rm_buf_slice(&call->body));
        make_script(call, head);
    }
    call->mock->stats.ops[call->op]++;
    if (call->known || call->op == RM_OP_MODELS)
        rm_mock__send_begin(call);
    else
        rm_mock__other_end(call);
}

static void on_drain(void *user)
{
    rm_mock_call *call = user;
    if (call->download_left > 0)
        rm_mock__other_drained(call);
    else
        rm_mock__send_drained(call);
}

static void on_close(void *user, rm_status why)
{
    rm_mock_call *call = user;
    rm_mock_stats *stats = &call->mock->stats;
    if (call->counted) {
        stats->active -= stats->active > 0;
        stats->answered += why == RM_OK;
        stats->cancelled += why != RM_OK && !call->aborted;
    }
    if (call->timer)
        rm_mock__timer_give(call->mock, call->timer);
    rm_mock__script_deinit(&call->script);
    rm_buf_deinit(&call->body);
}

static const rm_server_ops server_ops = {
    .on_request = on_request,
    .on_body = on_body,
    .on_body_end = on_body_end,
    .on_drain = on_drain,
    .on_close = on_close,
};

/* ---- the server -------------------------------------------------------------------------------------------------- */

/* "0.01:429,0.01:reset" */
static rm_status parse_error_rates(rm_mock *mock, const char *text)
{
    rm_slice rest = rm_slice_cstr(text), item;
    while (rest.len > 0 && rm_slice_split(&rest, ',', &item)) {
        const char *colon = item.len ? memchr(item.ptr, ':', item.len) : NULL;
        if (!colon || mock->error_rate_count == RM_MOCK_ERROR_RATES_MAX)
            return RM_EPARSE;
        rm_mock_error_rate *rate = &mock->error_rates[mock->error_rate_count++];
        rm_slice kind = rm_slice_make(colon + 1, item.len - (size_t)(colon - item.ptr) - 1);
        rm_mock_plan plan = {0};
        if (rm_parse_double(rm_slice_make(item.ptr, (size_t)(colon - item.ptr)), &rate->share) != RM_OK)
            return RM_EPARSE;
        if (rm_parse_u64(kind, &rate->status) == RM_OK)
            continue;
        if (rm_mock__plan_set(&plan, RM_SLICE("fault"), kind) != RM_OK)
            return RM_EPARSE;
        rate->fault = (rm_mock_fault)plan.fault;
    }
    return RM_OK;
}

/* A fixed answer of about 1 KB, and a stream of about 50 events. */
static rm_status make_canned(rm_mock *mock)
{
    static const char body[] =
        "{\"model\":\"gpt-4.1-mini\",\"messages\":[{\"role\":\"user\",\"content\":\"canned\"}],\"stream\":true}";
    rm_arena arena;
    rm_arena_init(&arena, NULL, RM_EXCHANGE_ARENA_BYTES_MAX);
    rm_mock_question question;
    rm_mock_answer answer;
    rm_mock_plan plan = mock->plan;
    rm_status status = rm_mock__question_read(RM_OP_CHAT, RM_SLICE(body), &arena, &question);
    plan.tokens = 50;
    if (status == RM_OK)
        status = rm_mock__answer_make(&question, &plan, &mock->rng, &arena, &answer);
    if (status == RM_OK) {
        mock->canned_stream.stream = true;
        status = rm_mock__render_chat(&answer, &mock->canned_stream);
    }
    plan.tokens = 90;
    if (status == RM_OK)
        status = rm_mock__answer_make(&question, &plan, &mock->rng, &arena, &answer);
    if (status == RM_OK)
        status = rm_mock__render_chat(&answer, &mock->canned_body);
    rm_arena_deinit(&arena);
    return status;
}

typedef struct mock_signals {
    rm_mock *mock;
    uv_signal_t terminate, interrupt;
} mock_signals;

static void on_listener_closed(void *user)
{
    rm_loop_stop(((rm_mock *)user)->loop);
}

static void on_signal(uv_signal_t *signal, int number)
{
    (void)number;
    mock_signals *signals = signal->data;
    rm_mock *mock = signals->mock;
    if (uv_is_closing((uv_handle_t *)signal))
        return;
    uv_close((uv_handle_t *)&signals->terminate, NULL);
    uv_close((uv_handle_t *)&signals->interrupt, NULL);
    rm_mock__raw_close(mock->raw);
    rm_listener_close(mock->listener, on_listener_closed, mock);
}

static void close_timers(rm_mock *mock)
{
    for (rm_mock_timer *timer = mock->all_timers, *next; timer; timer = next) {
        next = timer->next_all;
        uv_close((uv_handle_t *)&timer->timer, on_timer_closed);
    }
    mock->all_timers = mock->spare_timers = NULL;
}

static rm_status serve(rm_mock *mock, const char *listen, const char *raw_listen)
{
    const rm_server_options options = {.ops = &server_ops,
                                       .server_user = mock,
                                       .header_timeout_ms = 60000,
                                       .body_timeout_ms = 600000,
                                       .idle_timeout_ms = 600000,
                                       .write_timeout_ms = 600000,
                                       .connections_max = RM_CONNECTIONS_PER_LOOP_MAX,
                                       .connections_per_address_max = RM_CONNECTIONS_PER_LOOP_MAX};
    mock_signals signals = {.mock = mock};
    rm_status status = rm_loop_create(0, &mock->loop);
    if (status != RM_OK)
        return status;
    status = rm_listener_open(mock->loop, listen, &options, &mock->listener);
    if (status == RM_OK && raw_listen)
        status = rm_mock__raw_open(mock, raw_listen, &mock->raw);
    if (status != RM_OK)
        goto out;
    uv_signal_init(rm_loop_uv(mock->loop), &signals.terminate);
    uv_signal_init(rm_loop_uv(mock->loop), &signals.interrupt);
    signals.terminate.data = signals.interrupt.data = &signals;
    uv_signal_start(&signals.terminate, on_signal, SIGTERM);
    uv_signal_start(&signals.interrupt, on_signal, SIGINT);
    printf("listening on port %d\n", rm_listener_port(mock->listener));
    fflush(stdout);
    rm_loop_run(mock->loop);
    close_timers(mock);
out:
    rm_loop_destroy(mock->loop);
    return status;
}

static void raise_file_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

typedef struct mock_arguments {
    const char *listen, *raw_listen, *error_rate;
    rm_bench_list settings;
    uint64_t seed, tokens, ttft_us;
    double tps, jitter;
} mock_arguments;

static int parse(rm_mock *mock, mock_arguments *a, int argc, char **argv)
{
    const rm_bench_option table[] = {
        {"listen", "ADDRESS", "(127.0.0.1:9100; port 0 picks one)", RM_OPTION_TEXT, &a->listen},
        {"raw-listen", "ADDRESS", "also serve answers that are not HTTP as it should be: /raw/KIND", RM_OPTION_TEXT,
         &a->raw_listen},
        {"ttft", "D", "time to the first byte (20ms)", RM_OPTION_DURATION_US, &a->ttft_us},
        {"tps", "R", "events a second (100; 0: all at once)", RM_OPTION_DOUBLE, &a->tps},
        {"jitter", "P", "share by which each gap varies (0.2)", RM_OPTION_SHARE, &a->jitter},
        {"tokens", "N", "length of an answer (32)", RM_OPTION_U64, &a->tokens},
        {"set", "NAME=VALUE", "any setting of the list below; may be given again", RM_OPTION_LIST, &a->settings},
        {"error-rate", "P:KIND,…", "KIND is a status or a fault, e.g. 0.01:429,0.01:reset", RM_OPTION_TEXT,
         &a->error_rate},
        {"rate-limit", "RPM", "429 beyond so many requests a minute", RM_OPTION_U64, &mock->rate_limit},
        {"require-key", "K", "401 without this key", RM_OPTION_TEXT, &mock->require_key},
        {"canned", NULL, "one fixed answer of 1 KB, as fast as can be", RM_OPTION_FLAG, &mock->canned},
        {"seed", "N", "of jitter and errors (1)", RM_OPTION_U64, &a->seed},
    };
    int code = rm_bench__options_parse(usage, table, RM_COUNT(table), argc, argv);
    if (code == 0) {
        printf(
            "\nSettings (--set, header x-mock-NAME, body metadata.mock \"name=value,…\", model \"m@name=value,…\"):\n");
        rm_mock__plan_print(stdout);
    }
    return code;
}

static int settle(rm_mock *mock, const mock_arguments *a)
{
    mock->plan = (rm_mock_plan){.ttft_ms = (double)a->ttft_us / 1e3,
                                .tps = a->tps,
                                .jitter = a->jitter,
                                .split_gap_ms = 1,
                                .tokens = a->tokens,
                                .times = RM_MOCK_UNSET,
                                .retry_after = RM_MOCK_UNSET,
                                .retry_after_ms = RM_MOCK_UNSET,
                                .should_retry = RM_MOCK_UNSET,
                                .fault_at = RM_MOCK_UNSET,
                                .key = RM_SLICE("")};
    for (size_t i = 0; i < a->settings.count; i++)
        rm_mock__plan_set_list(&mock->plan, rm_slice_cstr(a->settings.items[i]));
    rm_rng_seed(&mock->rng, a->seed);
    if (a->error_rate && parse_error_rates(mock, a->error_rate) != RM_OK) {
        fprintf(stderr, "remora-bench: --error-rate is a list of SHARE:KIND: %s\n", a->error_rate);
        return 2;
    }
    return -1;
}

int rm_bench_mock(int argc, char **argv)
{
    rm_mock mock = {0};
    mock_arguments arguments = {
        .listen = "127.0.0.1:9100", .ttft_us = 20000, .tps = 100, .jitter = 0.2, .tokens = 32, .seed = 1};
    int code = parse(&mock, &arguments, argc, argv);
    if (code < 0)
        code = settle(&mock, &arguments);
    if (code >= 0)
        return code;
    raise_file_limit();
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
    rm_mock__stats_init(&mock.stats);
    rm_map_init(&mock.failed);
    rm_mock__script_init(&mock.canned_body);
    rm_mock__script_init(&mock.canned_stream);
    rm_status status = make_canned(&mock);
    if (status == RM_OK)
        status = serve(&mock, arguments.listen, arguments.raw_listen);
    if (status != RM_OK)
        fprintf(stderr, "remora-bench: mock: %s\n", rm_status_text(status));
    rm_mock__script_deinit(&mock.canned_body);
    rm_mock__script_deinit(&mock.canned_stream);
    rm_map_deinit(&mock.failed);
    rm_mock__stats_deinit(&mock.stats);
    return status == RM_OK ? 0 : 1;
}
