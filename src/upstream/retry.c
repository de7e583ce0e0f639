/* When a request is tried again, and after how long. Waits follow the upstream's word, else full jitter ("Exponential
 * Backoff and Jitter", AWS Architecture Blog, 2015); how often is bounded by a share of the recent requests, so that an
 * upstream in trouble is not buried under retries. */
#include "upstream_internal.h"

/* ---- budget ------------------------------------------------------------------------------------------------------ */

static size_t budget_cell(rm_upstream__budget *budget, uint64_t now_ms)
{
    uint64_t second = now_ms / 1000;

    if (second > budget->second + RM_UPSTREAM__BUDGET_WINDOW_S)
        budget->second = second - RM_UPSTREAM__BUDGET_WINDOW_S;
    while (budget->second < second) {
        size_t cell = ++budget->second % RM_UPSTREAM__BUDGET_WINDOW_S;
        budget->requests[cell] = budget->retries[cell] = 0;
    }
    return budget->second % RM_UPSTREAM__BUDGET_WINDOW_S;
}

void rm_upstream__budget_request(rm_upstream__budget *budget, uint64_t now_ms)
{
    budget->requests[budget_cell(budget, now_ms)]++;
}

bool rm_upstream__budget_take(rm_upstream__budget *budget, uint64_t now_ms)
{
    size_t cell = budget_cell(budget, now_ms);
    uint64_t requests = 0, retries = 0;

    for (size_t i = 0; i < RM_UPSTREAM__BUDGET_WINDOW_S; i++) {
        requests += budget->requests[i];
        retries += budget->retries[i];
    }
    if ((double)(retries + 1) > budget->share * (double)requests + budget->always)
        return false;
    budget->retries[cell]++;
    return true;
}

/* ---- decision ---------------------------------------------------------------------------------------------------- */

static uint64_t backoff_ms(rm_upstream_call *call)
{
    uint64_t ceiling = RM_UPSTREAM_BACKOFF_BASE_MS;

    for (unsigned i = 1; i < call->tries && ceiling < RM_UPSTREAM_BACKOFF_MAX_MS; i++)
        ceiling *= 2;
    if (ceiling > RM_UPSTREAM_BACKOFF_MAX_MS)
        ceiling = RM_UPSTREAM_BACKOFF_MAX_MS;
    return (uint64_t)(rm_rng_uniform(&call->client->rng) * (double)(ceiling + 1));
}

static bool retry_possible(const rm_upstream_call *call)
{
    return call->tries <= call->request.retries_max && !call->cancelled && !call->upload_begun &&
           !call->client->closing;
}

static bool charge(rm_upstream_call *call, uint64_t wait_ms)
{
    rm_upstream_client *client = call->client;
    uint64_t now_ms = client->exec->now_ms(client->exec);
    uint64_t due_ms = rm_upstream__call_due_ms(call);

    if (due_ms != RM_UPSTREAM__NEVER && now_ms + wait_ms >= due_ms)
        return false;
    if (!rm_upstream__budget_take(&client->budget, now_ms)) {
        client->stats.budget_exhausted++;
        return false;
    }
    client->stats.retries++;
    call->retry_wait_ms = wait_ms;
    return true;
}

bool rm_upstream__retry_failure(rm_upstream_call *call)
{
    return retry_possible(call) && charge(call, backoff_ms(call));
}

static rm_slice header_value(const rm_header *headers, size_t count, rm_slice name)
{
    for (size_t i = 0; i < count; i++) {
        if (rm_slice_eq_nocase(headers[i].name, name))
            return headers[i].value;
    }
    return RM_SLICE_NONE;
}

/* What the upstream asks us to wait; 0: it does not say. */
static uint64_t asked_wait_ms(const rm_header *headers, size_t count)
{
    uint64_t wait_ms = 0;
    double value;
    rm_slice text = header_value(headers, count, RM_SLICE("retry-after-ms"));

    if (text.ptr && rm_parse_double(rm_slice_trim(text), &value) == RM_OK && value >= 0)
        return value < (double)RM_TTL_MS_MAX ? (uint64_t)value : RM_TTL_MS_MAX;
    text = header_value(headers, count, RM_SLICE("retry-after"));
    if (text.ptr && rm_upstream_parse_reset(text, rm_clock_system()->wall_ms(rm_clock_system()), &wait_ms) == RM_OK)
        return wait_ms;
    return 0;
}

static bool status_retryable(int status)
{
    return status == 408 || status == 409 || status == 429 || (status >= 500 && status <= 599);
}

bool rm_upstream__retry_answer(rm_upstream_call *call, const rm_header *headers, size_t count)
{
    bool again = status_retryable(call->status);

    if (call->status < 400 || !retry_possible(call))
        return false;
    rm_slice word = rm_slice_trim(header_value(headers, count, RM_SLICE("x-should-retry")));
    if (rm_slice_eq_nocase(word, RM_SLICE("true")))
        again = true;
    else if (rm_slice_eq_nocase(word, RM_SLICE("false")))
        again = false;
    if (!again)
        return false;
    uint64_t wait_ms = asked_wait_ms(headers, count);
    if (wait_ms > RM_UPSTREAM_RETRY_AFTER_MS_MAX)
        return false;
    return charge(call, wait_ms ? wait_ms : backoff_ms(call));
}
