/* One request from start to on_done: tries, deadlines, pauses, cancel.
 *
 *   start -> [work list] -> in curl --result--> settle --> finish -> on_done -> spare
 *                 ^                                |
 *                 '------- backoff timer <---------' tried again
 *
 * Exactly one of these holds a call: the work list (ADD or DONE), curl (in_multi), the backoff timer. The deadline
 * timer runs beside all of them; it is set to the nearest deadline and, since most move to later times, looks again
 * when it fires instead of being moved with each piece of data. */
#include "upstream_internal.h"

static uint64_t now_of(const rm_upstream_call *call)
{
    return call->client->exec->now_ms(call->client->exec);
}

/* ---- deadlines
 * -------------------------------------------------------------------------------------------------------- */

static uint64_t after(uint64_t base_ms, uint64_t wait_ms)
{
    return wait_ms == 0 || wait_ms > UINT64_MAX / 2 ? RM_UPSTREAM__NEVER : base_ms + wait_ms;
}

static uint64_t due_head_or_idle_ms(const rm_upstream_call *call)
{
    const rm_upstream_timeouts *timeouts = &call->request.timeouts;

    if (!call->head_sent) { /* a long upload is not a late answer */
        bool begun = call->last_upload_ms > call->started_ms;
        return after(begun ? call->last_upload_ms : call->started_ms, timeouts->first_byte_ms);
    }
    return call->paused ? RM_UPSTREAM__NEVER : after(call->last_data_ms, timeouts->stream_idle_ms);
}

uint64_t rm_upstream__call_due_ms(const rm_upstream_call *call)
{
    uint64_t due_ms = due_head_or_idle_ms(call);
    uint64_t total_ms = after(call->started_ms, call->request.timeouts.total_ms);

    return due_ms < total_ms ? due_ms : total_ms;
}

static void deadline_arm(rm_upstream_call *call)
{
    uint64_t due_ms = rm_upstream__call_due_ms(call), now_ms = now_of(call);

    if (due_ms == RM_UPSTREAM__NEVER || (rm_timer_armed(&call->deadline) && call->armed_ms <= due_ms))
        return;
    call->armed_ms = due_ms;
    rm_timer_start(call->client->exec, &call->deadline, due_ms > now_ms ? due_ms - now_ms : 0);
}

static const char *deadline_text(const rm_upstream_call *call, uint64_t now_ms)
{
    if (after(call->started_ms, call->request.timeouts.total_ms) <= now_ms)
        return "the answer was not complete within the total deadline";
    return call->head_sent ? "the answer stalled" : "no answer within the first-byte deadline";
}

static void on_deadline(rm_timer *timer)
{
    rm_upstream_call *call = RM_CONTAINER_OF(timer, rm_upstream_call, deadline);
    uint64_t now_ms = now_of(call);

    if (rm_upstream__call_due_ms(call) > now_ms) {
        deadline_arm(call);
        return;
    }
    call->client->stats.timeouts++;
    rm_upstream__call_remove(call);
    rm_upstream__call_finish(call, RM_ETIMEOUT, deadline_text(call, now_ms));
}

void rm_upstream__call_head_sent(rm_upstream_call *call)
{
    call->last_data_ms = now_of(call);
    call->first_byte_ms = call->last_data_ms - call->started_ms;
    call->head_sent = true;
    deadline_arm(call);
}

/* ---- in and out of curl ---------------------------------------------------------------------------------------------
 */

void rm_upstream__call_remove(rm_upstream_call *call)
{
    if (call->wire)
        rm_upstream__direct_cut(call);
    if (!call->in_multi)
        return;
    RM_CHECK(call->client->in_curl == 0);
    curl_multi_remove_handle(call->client->multi, call->easy);
    call->in_multi = false;
}

void rm_upstream__call_add(rm_upstream_call *call)
{
    if (call->set_raw && curl_easy_setopt(call->easy, CURLOPT_HTTP_CONTENT_DECODING, 1L) == CURLE_OK)
        call->set_raw = false;
    call->tries++;
    call->client->stats.tries++;
    if (call->direct)
        rm_upstream__direct_add(call);
    else
        rm_upstream__call_transfer(call);
}

/* Hands the handle to curl. */
void rm_upstream__call_transfer(rm_upstream_call *call)
{
    if (call->set_fresh != call->free_retry_used &&
        curl_easy_setopt(call->easy, CURLOPT_FRESH_CONNECT, call->free_retry_used ? 1L : 0L) == CURLE_OK)
        call->set_fresh = call->free_retry_used;
    CURLMcode code = curl_multi_add_handle(call->client->multi, call->easy);
    if (code != CURLM_OK) {
        rm_upstream__call_finish(call, RM_ENOMEM, curl_multi_strerror(code));
        return;
    }
    call->in_multi = true;
}

/* Tells curl what is paused now; what it held back is delivered in here. */
void rm_upstream__call_wake(rm_upstream_call *call)
{
    rm_upstream_client *client = call->client;

    if (call->wire)
        rm_upstream__direct_wake(call);
    if (!call->in_multi || call->cancelled)
        return;
    if (!call->paused)
        call->held = false;
    if (call->upload_ended || call->upload.len > call->upload_taken_bytes)
        call->upload_starved = false;
    int mask = (call->held ? CURLPAUSE_RECV : 0) | (call->upload_starved ? CURLPAUSE_SEND : 0);
    rm_upstream__enter(client);
    CURLcode code = curl_easy_pause(call->easy, mask);
    rm_upstream__leave(client);
    if (code != CURLE_OK && !call->cancelled) {
        rm_upstream__call_remove(call);
        rm_upstream__call_settle(call, code);
    }
}

/* ---- the end of a try
 * ------------------------------------------------------------------------------------------------- */

static void on_backoff(rm_timer *timer)
{
    rm_upstream__work(RM_CONTAINER_OF(timer, rm_upstream_call, backoff), RM_UPSTREAM__WORK_ADD);
}

static void try_again(rm_upstream_call *call, uint64_t wait_ms)
{
    rm_buf_clear(&call->head);
    call->status = 0;
    call->swallowed_bytes = 0;
    call->head_complete = call->swallow = call->held = call->upload_starved = false;
    call->failure = RM_OK;
    if (wait_ms == 0)
        rm_upstream__work(call, RM_UPSTREAM__WORK_ADD);
    else
        rm_timer_start(call->client->exec, &call->backoff, wait_ms);
}

/* A kept-alive connection that the upstream closed just as we used it says nothing about the upstream: curl tries again
 * by itself where reading fails; this is for the rest, once. */
static bool stale_connection(rm_upstream_call *call, CURLcode code)
{
    long connects = 0;

    if (call->free_retry_used || call->upload_begun || call->cancelled ||
        (code != CURLE_SEND_ERROR && code != CURLE_RECV_ERROR && code != CURLE_GOT_NOTHING))
        return false;
    if (call->direct ? !call->wire_reused
                     : curl_easy_getinfo(call->easy, CURLINFO_NUM_CONNECTS, &connects) != CURLE_OK || connects > 0)
        return false;
    call->free_retry_used = true;
    return true;
}

static bool proxy_refused(const rm_upstream_call *call)
{
    long status = 0;

    return !call->direct && curl_easy_getinfo(call->easy, CURLINFO_HTTP_CONNECTCODE, &status) == CURLE_OK &&
           status >= 300;
}

void rm_upstream__call_settle(rm_upstream_call *call, CURLcode code)
{
    if (call->cancelled) /* on_done is on the work list */
        return;
    if (code == CURLE_OK && !call->head_complete) /* closed inside the head, or after an interim one: curl minds not */
        code = CURLE_GOT_NOTHING;
    else if (code == CURLE_RECV_ERROR && proxy_refused(call))
        code = CURLE_PROXY;
    const rm_upstream__error *error = rm_upstream__error_of(code);
    if (call->swallow) {
        try_again(call, call->retry_wait_ms);
    } else if (call->failure != RM_OK) {
        rm_upstream__call_finish(call, call->failure, call->failure_text);
    } else if (code == CURLE_OK) {
        rm_upstream__call_finish(call, RM_OK, "");
    } else if (!call->head_complete && call->head.len == 0 && stale_connection(call, code)) {
        try_again(call, 0);
    } else if (!call->head_complete && error->retry && rm_upstream__retry_failure(call)) {
        try_again(call, call->retry_wait_ms);
    } else {
        rm_upstream__call_finish(call, error->status, error->detail && call->error[0] ? call->error : error->text);
    }
}

/* ---- the end of a call
 * ------------------------------------------------------------------------------------------------ */

void rm_upstream__call_free(rm_upstream_call *call)
{
    curl_easy_cleanup(call->easy);
    curl_url_cleanup(call->parts);
    rm_free(call->url);
    rm_buf_deinit(&call->head);
    rm_buf_deinit(&call->upload);
    rm_free(call->header_block);
    rm_free(call);
}

static void recycle(rm_upstream_call *call)
{
    rm_upstream_client *client = call->client;

    if (client->spare_count >= RM_UPSTREAM_HANDLES_SPARE_MAX) {
        rm_upstream__call_free(call);
        return;
    }
    if (call->connecting)
        rm_upstream__easy_drop(call);
    rm_buf_deinit(&call->upload);
    if (call->head.cap > RM_UPSTREAM__KEPT_BYTES_MAX)
        rm_buf_deinit(&call->head);
    if (call->easy && call->header_block_bytes > RM_UPSTREAM__KEPT_BYTES_MAX) {
        curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, NULL);
        rm_free(call->header_block);
        call->header_block = NULL;
        call->header_block_bytes = 0;
    }
    rm_list_append(&client->spare, &call->link);
    client->spare_count++;
}

static void count_end(rm_upstream_call *call, const rm_upstream_result *result)
{
    rm_upstream_client *client = call->client;

    if (result->status == RM_ECANCELLED) {
        client->stats.cancelled++;
    } else if (result->status != RM_OK) {
        client->stats.failures++;
        rm_log_limited(RM_LOG_WARN, "upstream", "%.*s: %s", (int)call->request.name.len,
                       call->request.name.len ? call->request.name.ptr : "", result->text);
    }
}

void rm_upstream__call_finish(rm_upstream_call *call, rm_status status, const char *text)
{
    rm_upstream_client *client = call->client;
    rm_upstream_result result = {.status = status, .tries = call->tries, .first_byte_ms = call->first_byte_ms};

    rm_timer_stop(client->exec, &call->deadline);
    rm_timer_stop(client->exec, &call->backoff);
    if (call->work & RM_UPSTREAM__WORK_CUT)
        client->cuts--;
    call->work = 0;
    rm_list_remove(&call->work_link);
    rm_list_remove(&call->link);
    result.total_ms = now_of(call) - call->started_ms;
    result.head_sent = call->head_sent;
    if (status != RM_OK)
        snprintf(result.text, sizeof(result.text), "%s", text);
    count_end(call, &result);
    call->events.on_done(call->user, &result);
    client->stats.active--;
    recycle(call);
    if (client->closing)
        rm_upstream__kick(client);
}

/* ---- what callers call
 * ------------------------------------------------------------------------------------------------ */

static rm_upstream_call *call_make(rm_upstream_client *client)
{
    rm_upstream_call *call = rm_calloc(1, sizeof(*call));

    if (!call)
        return NULL;
    call->client = client;
    call->deadline.fire = on_deadline;
    call->backoff.fire = on_backoff;
    rm_buf_init(&call->head, RM_UPSTREAM_HEADER_BYTES_MAX);
    return call;
}

/* The last one put back is the first taken: its memory is warm. */
static rm_upstream_call *call_take(rm_upstream_client *client)
{
    if (rm_list_empty(&client->spare))
        return call_make(client);
    rm_upstream_call *call = RM_CONTAINER_OF(client->spare.prev, rm_upstream_call, link);
    rm_list_remove(&call->link);
    client->spare_count--;
    return call;
}

static void call_reset(rm_upstream_call *call)
{
    call->started_ms = now_of(call);
    call->last_data_ms = call->last_upload_ms = call->first_byte_ms = 0;
    call->tries = 0;
    call->paused = call->held = call->cancelled = call->free_retry_used = call->connecting = false;
    call->error[0] = '\0';
    rm_buf_clear(&call->head);
    call->status = 0;
    call->swallowed_bytes = 0;
    call->head_complete = call->head_sent = call->swallow = false;
    call->failure = RM_OK;
    rm_buf_init(&call->upload, 2 * RM_UPSTREAM_UPLOAD_BYTES_MAX);
    call->upload_taken_bytes = 0;
    call->upload_sent_bytes = call->upload_fed_bytes = 0;
    call->upload_ended = call->upload_starved = call->upload_begun = false;
}

rm_status rm_upstream_start(rm_upstream_client *client, const rm_upstream_request *request,
                            const rm_upstream_events *events, void *user, rm_upstream_call **ret_call)
{
    if (client->closing)
        return RM_ECANCELLED;
    rm_upstream_call *call = call_take(client);
    if (!call)
        return RM_ENOMEM;
    call->request = *request;
    call->events = *events;
    call->user = user;
    call_reset(call);
    rm_status status = rm_upstream__easy_prepare(call);
    if (status != RM_OK) {
        recycle(call);
        return status;
    }
    rm_list_append(&client->calls, &call->link);
    client->stats.active++;
    client->stats.requests++;
    rm_upstream__budget_request(&client->budget, call->started_ms);
    deadline_arm(call);
    rm_upstream__work(call, RM_UPSTREAM__WORK_ADD);
    *ret_call = call;
    return RM_OK;
}

void rm_upstream_cancel(rm_upstream_call *call)
{
    rm_upstream_client *client = call->client;

    if (call->cancelled)
        return;
    call->cancelled = true;
    rm_timer_stop(client->exec, &call->deadline);
    rm_timer_stop(client->exec, &call->backoff);
    if (client->in_curl == 0)
        rm_upstream__call_remove(call);
    bool on_its_way = call->in_multi || call->wire;
    rm_upstream__work(call, RM_UPSTREAM__WORK_DONE | (on_its_way ? RM_UPSTREAM__WORK_CUT : 0U));
}

void rm_upstream_pause(rm_upstream_call *call)
{
    call->paused = true;
}

void rm_upstream_resume(rm_upstream_call *call)
{
    if (!call->paused || call->cancelled)
        return;
    call->paused = false;
    if (call->head_sent)
        call->last_data_ms = now_of(call);
    deadline_arm(call);
    if (call->held)
        rm_upstream__work(call, RM_UPSTREAM__WORK_WAKE);
}

rm_status rm_upstream_call_feed(rm_upstream_call *call, rm_slice bytes)
{
    int64_t length = call->request.stream_body_bytes;

    if (!call->request.stream_body || call->upload_ended)
        return RM_EINVAL;
    if (length >= 0 && (int64_t)bytes.len > length - call->upload_fed_bytes)
        return RM_ETOOBIG;
    if (rm_upstream_call_queued_bytes(call) + bytes.len > RM_UPSTREAM_UPLOAD_BYTES_MAX)
        return RM_EBUSY;
    rm_status status = rm_buf_reserve(&call->upload, bytes.len);
    if (status != RM_OK) {
        call->upload.status = RM_OK;
        return status;
    }
    rm_buf_append_slice(&call->upload, bytes);
    call->upload_fed_bytes += (int64_t)bytes.len;
    if (call->upload_starved)
        rm_upstream__work(call, RM_UPSTREAM__WORK_WAKE);
    return RM_OK;
}

void rm_upstream_call_feed_end(rm_upstream_call *call)
{
    call->upload_ended = true;
    if (call->upload_starved)
        rm_upstream__work(call, RM_UPSTREAM__WORK_WAKE);
}

size_t rm_upstream_call_queued_bytes(const rm_upstream_call *call)
{
    return call->upload.len - call->upload_taken_bytes;
}
